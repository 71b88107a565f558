"""Messages and their events."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model import redaction
from ringback.model.message import INBOUND_REF, Event, Message
from ringback.store import bulk
from ringback.store.narrowing import Narrowing
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import events, messages


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages to list; ``None`` takes all."""

    account_id: str | None = None
    direction: str | None = None
    status: str | None = None
    type: str | None = None
    error_code: str | None = None
    src: str | None = None
    dst: str | None = None
    country: str | None = None
    powerpack_uuid: str | None = None
    queued_after_us: int | None = None
    """Inclusive."""
    queued_before_us: int | None = None
    """Exclusive."""


# Statements that run all the time are built once: building one costs more than running it.

_BY_UUID: Final = sa.select(messages).where(messages.c.uuid.in_(sa.bindparam("uuids", expanding=True)))
_BY_UUID_LOCKED: Final = _BY_UUID.order_by(messages.c.uuid).with_for_update()
_BY_CARRIER_REF: Final = (
    sa.select(messages)
    .where(
        messages.c.connector == sa.bindparam("connector"),
        messages.c.carrier_ref.in_(sa.bindparam("refs", expanding=True)),
    )
    .order_by(messages.c.uuid)
    .with_for_update()
)


def insert(tx: Transaction, new: Sequence[Message]) -> None:
    """Store new messages."""
    bulk.insert(tx, messages, [msgspec.structs.asdict(message) for message in new])


def update(tx: Transaction, changed: Sequence[Message]) -> None:
    """Store the columns that a status change touches."""
    columns = (
        "uuid", "status", "sequence", "error_code", "connector", "carrier_ref", "mcc", "mnc", "network", "route",
        "sent_at_us", "final_at_us", "updated_at_us",
    )  # fmt: skip
    rows = [{column: getattr(message, column) for column in columns} for message in changed]
    bulk.update(tx, messages, rows, key="uuid")


def add_events(tx: Transaction, rows: Sequence[bulk.Row]) -> None:
    """Append to the event log."""
    bulk.insert(tx, events, rows)


def by_uuid(tx: Transaction, uuids: Sequence[str], *, lock: bool = False) -> dict[str, Message]:
    """Return the messages among ``uuids`` that exist; ``lock`` keeps others from changing them meanwhile."""
    rows = tx.execute(_BY_UUID_LOCKED if lock else _BY_UUID, {"uuids": list(uuids)})
    return {row.uuid: _message(row) for row in rows}


def by_carrier_ref(tx: Transaction, connector: str, refs: Sequence[str]) -> dict[str, Message]:
    """Return messages by the id that the carrier gave them, locked against other changes.

    Who does not find one may keep what it knows as an early receipt: see ``submissions.take_early_receipts``.
    """
    one_at_a_time(tx, *(f"{connector} {ref}" for ref in refs))
    rows = tx.execute(_BY_CARRIER_REF, {"connector": connector, "refs": list(refs)})
    return {row.carrier_ref: _message(row) for row in rows}


def called(tx: Transaction, connector: str, refs: Sequence[str]) -> dict[str, Message]:
    """Return messages of either direction by what a carrier calls them, for looking only."""
    query = sa.select(messages).where(
        messages.c.connector == connector,
        messages.c.carrier_ref.in_([*refs, *(INBOUND_REF + ref for ref in refs)]),
    )
    found = [_message(row) for row in tx.execute(query)]
    return {(each.carrier_ref or "").removeprefix(INBOUND_REF): each for each in found}


def find(tx: Transaction, account_id: str | None, uuid: str) -> Message | None:
    """Return a message of an account (of any when ``None``)."""
    message = by_uuid(tx, [uuid]).get(uuid)
    return message if message and account_id in (None, message.account_id) else None


def page(tx: Transaction, wanted: Filter, *, limit: int, offset: int) -> list[Message]:
    """Return messages newest first."""
    query = (
        sa.select(messages)
        .where(*_conditions(wanted))
        .order_by(messages.c.queued_at_us.desc(), messages.c.uuid.desc())
        .limit(limit)
        .offset(offset)
    )
    return [_message(row) for row in tx.execute(query)]


def count(tx: Transaction, wanted: Filter) -> int:
    """Return how many messages there are."""
    return tx.execute(sa.select(sa.func.count()).select_from(messages).where(*_conditions(wanted))).scalar_one()


def awaiting_receipt(tx: Transaction, connector: str, *, limit: int) -> list[Message]:
    """Return messages that a connector has taken and not reported on, newest first."""
    query = (
        sa.select(messages)
        .where(
            messages.c.connector == connector,
            messages.c.carrier_ref.is_not(None),
            messages.c.status == "sent",
        )
        .order_by(messages.c.uuid.desc())
        .limit(limit)
    )
    return [_message(row) for row in tx.execute(query)]


def timeline(tx: Transaction, uuid: str) -> list[Event]:
    """Return a message's events in the order in which they were recorded."""
    query = sa.select(events).where(events.c.message_uuid == uuid).order_by(events.c.id)
    return [Event(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def events_after(tx: Transaction, offset: int, *, up_to: int, limit: int) -> list[Event]:
    """Return events after a log offset, oldest first.

    Whoever goes on from the last one misses none if ``up_to`` is what ``feed.complete_to`` gave before.
    """
    query = sa.select(events).where(events.c.id > offset, events.c.id <= up_to).order_by(events.c.id).limit(limit)
    return [Event(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def last_offset(tx: Transaction) -> int:
    """Return the newest log offset, 0 when there is none."""
    return tx.execute(sa.select(sa.func.max(events.c.id))).scalar_one() or 0


def newest_time_us(tx: Transaction) -> int:
    """Return when the newest event happened, 0 when there is none."""
    newest = sa.select(events.c.at_us).order_by(events.c.id.desc()).limit(1)
    return tx.execute(newest).scalar_one_or_none() or 0


_COLUMNS: Final = tuple(messages.c.keys())


def _message(row: Any) -> Message:
    # Of whole rows of the table: looking each column up by its name costs four times as much.
    return Message(**dict(zip(_COLUMNS, row, strict=True)))


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    equal = {
        messages.c.account_id: wanted.account_id,
        messages.c.direction: wanted.direction,
        messages.c.status: wanted.status,
        messages.c.type: wanted.type,
        messages.c.error_code: wanted.error_code,
        messages.c.src: wanted.src,
        messages.c.dst: wanted.dst,
        messages.c.country: wanted.country,
        messages.c.powerpack_uuid: wanted.powerpack_uuid,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.queued_after_us is not None:
        conditions.append(messages.c.queued_at_us >= wanted.queued_after_us)
    if wanted.queued_before_us is not None:
        conditions.append(messages.c.queued_at_us < wanted.queued_before_us)
    return conditions


HIDES_NUMBER: Final = redaction.HIDES_NUMBER
_ALL: Final = Narrowing()


def newest(
    tx: Transaction,
    wanted: Filter,
    *,
    number: str | None,
    before: tuple[int, str] | None,
    limit: int,
    narrowing: Narrowing = _ALL,
) -> list[Message]:
    """Return messages newest first, from or to ``number``, older than ``before`` (queued_at_us, uuid).

    A message whose ``log`` hides the other party's number is not found by that number.
    """
    conditions = [*_conditions(wanted), *narrowing.conditions()]
    if number is not None:
        shown = messages.c.log.not_in(HIDES_NUMBER)
        conditions.append(
            sa.or_(
                sa.and_(messages.c.src == number, sa.or_(messages.c.direction == "outbound", shown)),
                sa.and_(messages.c.dst == number, sa.or_(messages.c.direction == "inbound", shown)),
            )
        )
    if before is not None:
        conditions.append(sa.tuple_(messages.c.queued_at_us, messages.c.uuid) < before)
    query = (
        sa.select(messages)
        .where(*conditions)
        .order_by(messages.c.queued_at_us.desc(), messages.c.uuid.desc())
        .limit(limit)
    )
    return [_message(row) for row in tx.execute(query)]
