"""What a list of messages is narrowed to besides its filter: alternatives for each of some properties.

The same in two forms, for what is read from the table and for a message that comes along a live stream.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.message import Message
from ringback.model.redaction import HIDES_NUMBER
from ringback.model.status import Status
from ringback.store.schema import messages

NONE: Final = "none"
"""The value of messages that have none."""


class NoReceipt(msgspec.Struct, frozen=True):
    """Messages that were sent so long ago that no receipt is to be expected."""

    sent_before_us: int
    assumed: tuple[str, ...] = ()
    """Countries where none is expected at all: there a message counts as delivered once it is sent."""

    def condition(self) -> sa.ColumnElement[bool]:
        """Return what rows of ``messages`` must fulfil."""
        sent_at_us = sa.func.coalesce(messages.c.sent_at_us, messages.c.queued_at_us)
        is_waiting = sa.and_(messages.c.status == Status.SENT, sent_at_us < self.sent_before_us)
        return sa.and_(is_waiting, messages.c.country.not_in(self.assumed))

    def takes(self, message: Message) -> bool:
        """Say whether a message is one."""
        sent_at_us = message.queued_at_us if message.sent_at_us is None else message.sent_at_us
        is_waiting = message.status == Status.SENT and sent_at_us < self.sent_before_us
        return is_waiting and message.country not in self.assumed


class Narrowing(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one field are alternatives, and an empty one takes all; fields narrow each other."""

    status: tuple[str, ...] = ()
    no_receipt: NoReceipt | None = None
    """Messages without a receipt, besides those of the statuses."""
    error_code: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    carrier: tuple[str, ...] = ()
    """MCC-MNC."""
    sender: tuple[str, ...] = ()
    """Not found by it: an inbound message whose ``log`` hides its sender."""
    route: tuple[str, ...] = ()
    connector: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return what rows of ``messages`` must fulfil."""
        found = [_one_of(messages.c[name], values) for name in _SIMPLE if (values := getattr(self, name))]
        if self.no_receipt is not None:
            found.append(sa.or_(messages.c.status.in_(self.status), self.no_receipt.condition()))
        elif self.status:
            found.append(_one_of(messages.c.status, self.status))
        if self.carrier:
            carriers = [value.partition("-")[::2] for value in self.carrier if value != NONE]
            named = sa.tuple_(messages.c.mcc, messages.c.mnc).in_(carriers)
            found.append(sa.or_(named, messages.c.mcc.is_(None)) if NONE in self.carrier else named)
        if self.sender:
            shown = sa.or_(messages.c.direction == "outbound", messages.c.log.not_in(HIDES_NUMBER))
            found.append(sa.and_(_one_of(messages.c.src, self.sender), shown))
        return found

    def takes(self, message: Message) -> bool:
        """Say whether a message fulfils them."""
        hidden = message.direction == "inbound" and message.log in HIDES_NUMBER
        carrier = None if message.mcc is None else f"{message.mcc}-{message.mnc}"
        return (
            all(_is_one_of(getattr(message, name), getattr(self, name)) for name in _SIMPLE)
            and self._takes_status(message)
            and _is_one_of(carrier, self.carrier)
            and (not self.sender or (not hidden and _is_one_of(message.src, self.sender)))
        )

    def _takes_status(self, message: Message) -> bool:
        if self.no_receipt is None:
            return _is_one_of(message.status, self.status)
        return message.status in self.status or self.no_receipt.takes(message)


_SIMPLE: Final = ("error_code", "country", "route", "connector", "type", "direction")


def _one_of(column: sa.Column[Any], values: Sequence[str]) -> sa.ColumnElement[bool]:
    named = column.in_([value for value in values if value != NONE])
    return sa.or_(named, column.is_(None)) if NONE in values else named


def _is_one_of(value: str | None, values: Sequence[str]) -> bool:
    return not values or (NONE if value is None else value) in values
