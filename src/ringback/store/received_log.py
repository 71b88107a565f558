"""Received events one after the other, in the order in which they were committed.

A reader remembers the position of the last event that it has seen. Positions are given in the order of commits: on
SQLite only one transaction writes at a time, on PostgreSQL a lock sees to it. So whoever goes on from a position misses
nothing that a slower transaction brings later.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.callbacks import NewCallback
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.received import Flag, ReceivedEvent, ReceivedRequest
from ringback.store.schema import attempts, callback_queue, callbacks, received_events, received_requests
from ringback.store.schema_received import received_forwards, received_log

LOOK_AT: Final = 10_000
"""Positions that one look goes through: what is wanted may be rare among them."""


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its place."""

    position: int
    request: ReceivedRequest
    flag: Flag


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found."""

    events: list[Logged]
    position: int
    """Where to go on: everything up to here has been looked at."""
    has_more: bool


_AFTER: Final = sa.bindparam("after", type_=sa.BigInteger)
_UNTIL: Final = sa.bindparam("until", type_=sa.BigInteger)
_SOURCES: Final[sa.BindParameter[str]] = sa.bindparam("sources", expanding=True)
_PAGE: Final = (
    sa.select(received_log.c.position, received_events.c.flag, received_requests)
    .join(received_requests, received_requests.c.id == received_log.c.request_id)
    .join(received_events, received_events.c.request_id == received_log.c.request_id)
    .where(received_log.c.position > _AFTER, received_log.c.position <= _UNTIL)
    .order_by(received_log.c.position)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_PAGE_OF_SOME: Final = _PAGE.where(received_log.c.source.in_(_SOURCES))
_LAST: Final = sa.select(sa.func.coalesce(sa.func.max(received_log.c.position), 0))


def append(tx: Transaction, events: Sequence[ReceivedEvent]) -> None:
    """Give events their places; the last thing that a transaction waits for another about."""
    if not events:
        return
    one_at_a_time(tx, "received log")
    rows: list[dict[str, Any]] = [{"request_id": event.request_id, "source": event.source} for event in events]
    bulk.insert(tx, received_log, rows)


def note_forwards(tx: Transaction, forwards: Sequence[tuple[NewCallback, str]]) -> None:
    """Note which request each callback hands on, so that they are removed together."""
    rows: list[dict[str, Any]] = [{"callback_id": new.id, "request_id": request_id} for new, request_id in forwards]
    if rows:
        bulk.insert(tx, received_forwards, rows)


def last_position(tx: Transaction) -> int:
    """Return the newest position, 0 when nothing was received."""
    return int(tx.execute(_LAST).scalar_one())


def page(tx: Transaction, *, after: int, sources: Collection[str] | None, limit: int) -> Page:
    """Return up to ``limit`` events of ``sources``, or of all, after a position, in the order of commits."""
    newest = last_position(tx)
    until = min(newest, after + LOOK_AT)
    found: list[Logged] = []
    if until > after and (sources is None or sources):
        given: dict[str, Any] = {"after": after, "until": until, "most": limit + 1}
        query = _PAGE
        if sources is not None:
            query = _PAGE_OF_SOME
            given["sources"] = sorted(sources)
        found = [_logged(row._mapping) for row in tx.execute(query, given)]  # noqa: SLF001 - SQLAlchemy's public name
    if len(found) > limit:
        return Page(events=found[:limit], position=found[limit - 1].position, has_more=True)
    return Page(events=found, position=max(until, after), has_more=until < newest)


def _logged(row: Any) -> Logged:
    fields = dict(row)
    return Logged(position=fields.pop("position"), flag=fields.pop("flag"), request=ReceivedRequest(**fields))


def forwards_of(tx: Transaction, request_id: str) -> list[tuple[str, str, str]]:
    """Return (id, URL, state) of the callbacks that hand a request on, oldest first."""
    query = (
        sa.select(callbacks.c.id, callbacks.c.url, callbacks.c.state)
        .join(received_forwards, received_forwards.c.callback_id == callbacks.c.id)
        .where(received_forwards.c.request_id == request_id)
        .order_by(callbacks.c.id)
    )
    return [(row.id, row.url, row.state) for row in tx.execute(query)]


def forget(tx: Transaction, request_ids: Sequence[str]) -> None:
    """Remove what was handed on of requests that are removed, and the oldest places up to theirs."""
    if not request_ids:
        return
    query = sa.select(received_forwards.c.callback_id).where(received_forwards.c.request_id.in_(request_ids))
    owed = list(tx.execute(query).scalars())
    if owed:
        tx.execute(callback_queue.delete().where(callback_queue.c.callback_id.in_(owed)))
        tx.execute(attempts.delete().where(attempts.c.callback_id.in_(owed)))
        tx.execute(callbacks.delete().where(callbacks.c.id.in_(owed)))
        tx.execute(received_forwards.delete().where(received_forwards.c.callback_id.in_(owed)))
    gone = set(request_ids)
    oldest = (
        sa.select(received_log.c.position, received_log.c.request_id, received_requests.c.id)
        .outerjoin(received_requests, received_requests.c.id == received_log.c.request_id)
        .order_by(received_log.c.position)
        .limit(2 * len(gone))
    )
    places = [row.position for row in tx.execute(oldest) if row.id is None or row.request_id in gone]
    if places:
        tx.execute(received_log.delete().where(received_log.c.position.in_(places)))
