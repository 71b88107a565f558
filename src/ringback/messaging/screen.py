"""Reasons not to hand a message to its carrier, found when its turn has come (contract section 2.2: accepted, then
failed).

Whatever can be said of the request alone is said when it is accepted; here is what may have changed since, or what
the contract answers with a failed message instead of an error.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ringback.store.port import Transaction
from ringback.store.submissions import Submission


class Refusal(msgspec.Struct, frozen=True):
    """Why a message fails without having been handed over."""

    error_code: str
    detail: str


Check = Callable[[Transaction, Sequence[Submission], int], dict[str, Refusal]]
"""From messages whose turn it is, and the time in microseconds, to refusals by message uuid."""

CHECKS: Final[tuple[Check, ...]] = ()
"""In this order; the first that refuses a message is the reason."""


def screen(tx: Transaction, submissions: Sequence[Submission], *, now_us: int) -> dict[str, Refusal]:
    """Return the messages that are not to be handed over, by uuid, in the transaction that leases them."""
    refused: dict[str, Refusal] = {}
    for check in CHECKS:
        left = [submission for submission in submissions if submission.message_uuid not in refused]
        refused |= check(tx, left, now_us) if left else {}
    return refused
