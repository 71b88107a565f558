"""What the analytics read of the store (``Store.text``, ``Store.stream``).

No column is NULL: what is missing is an empty text, or ``NOTHING`` for a number. The numbers of people leave the store
without their last four digits; where a message's ``log`` hides them, with the first three only.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.store import feed
from ringback.store.port import Store, Transaction
from ringback.store.schema import callbacks, conversions, events, messages, received_events, received_requests
from ringback.store.schema_received import received_log

NOTHING: Final = -1

Answer = sa.Select[Any]


class Mark:
    """Where conversions are complete, once everybody has ended who was writing when it was looked at."""

    def __init__(self) -> None:
        self._waits_for: tuple[int, int] | None = None
        self._complete_to = 0

    async def conversions_complete_to(self, store: Store) -> int:
        """Return an id up to which every later read finds all conversions that there will ever be."""
        return await store.read(self._look)

    def _look(self, tx: Transaction) -> int:
        last = sa.select(sa.func.coalesce(sa.func.max(conversions.c.id), 0))
        if tx.dialect.name != "postgresql":
            return int(tx.execute(last).scalar_one())
        # Conversions draw ids of their own and hold the word of the event log (store.feed): who might still bring a
        # lower one had begun before, and its word is no higher than what was drawn then.
        if self._waits_for is None:
            self._waits_for = feed.last_drawn(tx), int(tx.exec_driver_sql(_LAST_CONVERSION).scalar_one())
        lowest = feed.lowest_word(tx)
        if lowest is None or lowest > self._waits_for[0]:
            self._complete_to, self._waits_for = self._waits_for[1], None
        return self._complete_to


_HIDES_NUMBERS: Final = ("false", "content_only")


def _prefix(number: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    # Where nobody may learn the number not even what is left of it without its last four digits.
    return sa.case((messages.c.log.in_(_HIDES_NUMBERS), sa.func.substr(number, 1, 3)), else_=_without_last(number))


def _without_last(number: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    length = sa.func.length(number)
    return sa.case((length > 4, sa.func.substr(number, 1, length - 4)), else_="")


_LAST_CONVERSION: Final = "SELECT last_value - (NOT is_called)::int FROM conversions_id_seq"


def span(tx: Transaction, after: int, until: int) -> tuple[int, int]:
    """Narrow a range of offsets to where events are: up to the last one, after one before the first."""
    # Each by itself: SQLite finds one end in the index, and reads everything for both at a time.
    ends = [
        sa.select(end(events.c.id)).where(events.c.id > after, events.c.id <= until).scalar_subquery()
        for end in (sa.func.min, sa.func.max)
    ]
    first, last = tx.execute(sa.select(*ends)).one()
    return (after, after) if first is None else (first - 1, last)


DIVISOR: Final = 1_000_003
"""A prime: sums of remainders are small, and events that differ have different ones."""


class Stretch(msgspec.Struct, frozen=True):
    """Events of one stretch of the log, summed up so that two logs that differ differ in it."""

    number: int
    """With ``size`` offsets each, it has those after ``number * size`` up to ``(number + 1) * size``."""
    events: int
    ids: int
    """The sum of the remainders of their offsets, divided by ``DIVISOR``."""
    times: int
    """The same of their times in microseconds."""


def stretches(tx: Transaction, after: int, until: int, *, size: int) -> list[Stretch]:
    """Sum up the log after an offset up to another, in stretches of ``size`` offsets; ``after`` ends one."""
    found = []
    for number in range(after // size, -(-until // size)):
        first, last = number * size, min((number + 1) * size, until)
        # Each by itself: SQLite would sort all of them to group them.
        sums = tx.execute(_STRETCH.where(events.c.id > first, events.c.id <= last)).one()
        if sums[0]:
            found.append(Stretch(number, *map(int, sums)))
    return found


_STRETCH: Final = sa.select(sa.func.count(), sa.func.sum(events.c.id % DIVISOR), sa.func.sum(events.c.at_us % DIVISOR))


def events_between(after: int, until: int) -> Answer:
    """Ask for events of the log after one offset up to another."""
    return (
        sa.select(
            events.c.id,
            events.c.account_id,
            events.c.message_uuid,
            events.c.sequence,
            events.c.status,
            events.c.flag,
            _text(events.c.error_code, "error_code"),
            events.c.at_us,
        )
        .where(events.c.id > after, events.c.id <= until)
        .order_by(events.c.id)
    )


def messages_between(after: int, until: int) -> Answer:
    """Ask for the present state of the messages of those events: each once, with what has been said about it."""
    touched = sa.select(events.c.message_uuid).where(events.c.id > after, events.c.id <= until)
    said = (
        sa.select(conversions.c.status + sa.literal("@", sa.Text) + sa.cast(conversions.c.converted_at_us, sa.Text))
        .where(conversions.c.message_uuid == messages.c.uuid)
        .order_by(conversions.c.id.desc())
        .limit(1)
    )
    called_back = sa.select(sa.func.max(callbacks.c.done_at_us - callbacks.c.created_at_us)).where(
        callbacks.c.message_uuid == messages.c.uuid, callbacks.c.state == "delivered", callbacks.c.resend_of.is_(None)
    )
    return sa.select(
        messages.c.uuid,
        messages.c.account_id,
        messages.c.direction,
        messages.c.type,
        sa.case((messages.c.direction == "inbound", _prefix(messages.c.src)), else_=messages.c.src).label("src"),
        sa.case(
            (messages.c.direction == "outbound", _prefix(messages.c.dst)), else_=_without_last(messages.c.dst)
        ).label("dst_prefix"),
        messages.c.country,
        _text(messages.c.mcc, "mcc"),
        _text(messages.c.mnc, "mnc"),
        _text(messages.c.network, "network"),
        _text(messages.c.connector, "connector"),
        _text(messages.c.route, "route"),
        messages.c.status,
        _text(messages.c.error_code, "error_code"),
        messages.c.units,
        messages.c.rate,
        _text(messages.c.carrier_fees_rate, "carrier_fees_rate"),
        sa.cast(messages.c.trackable, sa.Integer).label("trackable"),
        messages.c.queued_at_us,
        _number(messages.c.sent_at_us, "sent_at_us"),
        _number(messages.c.final_at_us, "final_at_us"),
        _text(said.scalar_subquery(), "said"),
        _number(called_back.scalar_subquery(), "lag_us"),
    ).where(messages.c.uuid.in_(touched))


def conversions_between(after: int, until: int) -> Answer:
    """Ask for what customers have said, with the time of the message, so that it is found without an index."""
    return (
        sa.select(
            conversions.c.id,
            conversions.c.message_uuid,
            conversions.c.status,
            conversions.c.converted_at_us,
            messages.c.queued_at_us,
        )
        .join(messages, messages.c.uuid == conversions.c.message_uuid)
        .where(conversions.c.id > after, conversions.c.id <= until)
        .order_by(conversions.c.id)
    )


_RECEIVED: Final = (
    received_events.c.source,
    received_events.c.message_uuid,
    received_events.c.status,
    received_events.c.from_number,
    received_events.c.to_number,
    received_events.c.flag,
)


_OF_OTHERS: Final = sa.not_(sa.exists().where(messages.c.uuid == received_events.c.message_uuid))
"""Ringback may receive its own callbacks, as in the demonstration: its messages are counted once."""


def _received_columns() -> list[sa.ColumnElement[Any]]:
    return [
        *_RECEIVED,
        _number(received_events.c.sequence, "sequence"),
        _text(received_events.c.error_code, "error_code"),
        _text(received_events.c.mcc, "mcc"),
        _text(received_events.c.mnc, "mnc"),
        _number(received_events.c.units, "units"),
        _text(received_events.c.total_amount, "total_amount"),
        received_events.c.received_at_us,
    ]


def requests_between(after: int, until: int) -> Answer:
    """Ask for the requests of the messages of received events, whose bodies have the provider's times."""
    wanted = received_of_messages_between(after, until).subquery()
    return sa.select(
        received_requests.c.id.label("request_id"),
        received_requests.c.source,
        received_requests.c.method,
        received_requests.c.target,
        received_requests.c.headers,
        received_requests.c.body,
    ).where(received_requests.c.id.in_(sa.select(wanted.c.request_id)))


def received_between(after: int, until: int) -> Answer:
    """Ask for received events after one position up to another."""
    return (
        sa.select(received_log.c.position, received_events.c.request_id, *_received_columns())
        .join(received_events, received_events.c.request_id == received_log.c.request_id)
        .where(received_log.c.position > after, received_log.c.position <= until, _OF_OTHERS)
        .order_by(received_log.c.position)
    )


def received_of_messages_between(after: int, until: int) -> Answer:
    """Ask for everything that was received about the messages of those events, so that disorder does no harm."""
    touched = (
        sa.select(received_events.c.source, received_events.c.message_uuid)
        .join(received_log, received_events.c.request_id == received_log.c.request_id)
        .where(received_log.c.position > after, received_log.c.position <= until, _OF_OTHERS)
        .distinct()
        .subquery()
    )
    same = sa.and_(
        received_events.c.source == touched.c.source, received_events.c.message_uuid == touched.c.message_uuid
    )
    return sa.select(received_events.c.request_id, *_received_columns()).join(touched, same)


def _text(value: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(value, sa.literal("", sa.Text)).label(name)


def _number(value: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(value, sa.literal(NOTHING, sa.BigInteger)).label(name)
