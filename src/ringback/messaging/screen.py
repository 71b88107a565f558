"""Reasons not to hand a message to its carrier, found when its turn has come (contract section 2.2: accepted, then
failed).

Whatever can be said of the request alone is said when it is accepted; here is what may have changed since, or what
the contract answers with a failed message instead of an error.
"""

from collections.abc import Callable, Sequence
from typing import Final

from ringback.messaging.geo import over_threshold
from ringback.messaging.refusal import Refusal
from ringback.store import credit, optouts
from ringback.store.port import Transaction
from ringback.store.submissions import Submission

__all__ = ["CHECKS", "Check", "Refusal", "screen"]

OPTED_OUT: Final = "200"
"""The code of a message whose recipient has opted out."""

Check = Callable[[Transaction, Sequence[Submission], int], dict[str, Refusal]]
"""From messages whose turn it is, and the time in microseconds, to refusals by message uuid."""

OUT_OF_CREDIT: Final = "900"
REFUSED_AFTERWARDS_US: Final = 120_000_000
"""For how long an account that has run out of credit gets no new messages in (contract section 2.9)."""


def opted_out(tx: Transaction, submissions: Sequence[Submission], _: int) -> dict[str, Refusal]:
    """Refuse messages to recipients who want none from their sender, but for the answers to their keywords."""
    blocked = optouts.among(tx, ((each.src, each.dst) for each in submissions))
    found = [each.message_uuid for each in submissions if (each.src, each.dst) in blocked]
    answers = optouts.confirmations(tx, found)
    refusal = Refusal(OPTED_OUT, "the recipient has opted out")
    return {uuid: refusal for uuid in found if uuid not in answers}


def _out_of_credit(tx: Transaction, submissions: Sequence[Submission], now_us: int) -> dict[str, Refusal]:
    # What has expired fails of that, and costs nothing.
    alive = [each for each in submissions if each.price is not None and each.expires_at_us > now_us]
    unpaid = credit.unpaid(tx, alive, refuse_until_us=now_us + REFUSED_AFTERWARDS_US)
    return dict.fromkeys(unpaid, Refusal(OUT_OF_CREDIT, "insufficient credit"))


CHECKS: Final[tuple[Check, ...]] = (opted_out, over_threshold, _out_of_credit)
"""In this order; the first that refuses a message is the reason."""


def screen(tx: Transaction, submissions: Sequence[Submission], *, now_us: int) -> dict[str, Refusal]:
    """Return the messages that are not to be handed over, by uuid, in the transaction that leases them."""
    refused: dict[str, Refusal] = {}
    for check in CHECKS:
        left = [submission for submission in submissions if submission.message_uuid not in refused]
        refused |= check(tx, left, now_us) if left else {}
    return refused
