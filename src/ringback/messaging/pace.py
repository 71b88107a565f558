"""Messages of a limited account or sender wait their turn: each is given its slot in the transaction that accepts it.

Unlimited ones cost nothing here. A message whose slot lies beyond its expiry is due at its expiry, when it fails.
"""

from collections.abc import Sequence
from typing import Self

import msgspec

from ringback.model.message import Message
from ringback.model.pace import interval_us
from ringback.store import pacing
from ringback.store.limits import Limit, Limits
from ringback.store.pacing import Lane, Wanted
from ringback.store.port import Transaction


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast messages of one kind may go."""

    kind: str
    account: Limit | None
    source: Limit | None

    @classmethod
    def of(cls, limits: Limits, kind: str) -> Self | None:
        """Return the pace of messages of a type, or ``None`` where there is none to keep."""
        is_mms = kind == "mms"
        account = limits.mms_per_s if is_mms else limits.messages_per_s
        source = limits.source_mms_per_s if is_mms else limits.source_messages_per_s
        if account is None and source is None:
            return None
        return cls(kind="mms" if is_mms else "sms", account=account, source=source)

    def wanted(self, message: Message, until_us: int) -> Wanted:
        """Return what a message asks the calendars for."""
        return Wanted(
            at_us=message.queued_at_us,
            until_us=until_us,
            account=None
            if self.account is None
            else Lane(f"{self.account.owner} {self.kind}", interval_us(self.account.value)),
            source=None
            if self.source is None
            else Lane(f"{self.source.owner} {self.kind} {message.src}", interval_us(self.source.value)),
        )


def slots_of(tx: Transaction, accepted: Sequence[tuple[Sequence[Message], int, Pace | None]]) -> dict[str, int]:
    """Return when the messages that have a pace may go, by uuid; given with them is when they expire."""
    wanted = {
        message.uuid: pace.wanted(message, until_us)
        for messages, until_us, pace in accepted
        if pace is not None
        for message in messages
    }
    return dict(zip(wanted, pacing.reserve(tx, list(wanted.values())), strict=True)) if wanted else {}
