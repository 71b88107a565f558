"""How endpoints are doing, for people to read: every figure costs a bounded amount of work, however much there is."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.circuit import CircuitState
from ringback.store import endpoints as store
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction
from ringback.store.schema import accounts, attempts, callback_queue, callbacks, endpoints, messages

COUNT_UP_TO: Final = 10_000
"""No backlog is counted further."""
RANK_UP_TO: Final = 50
"""Endpoints with more waiting rank alike, and are in order only within a page: ranking counts at every endpoint."""
GIVEN_UP_UP_TO: Final = 10_000
"""So many of the newest given-up callbacks are looked at."""
MESSAGES_SEARCHED: Final = 2_000
"""So many of an account's newest messages are looked at for callbacks to one of its endpoints."""


class Place(msgspec.Struct, frozen=True):
    """Where an endpoint stands in the list: those in trouble first, then by what is waiting, then by id."""

    is_well: bool
    waiting: int
    """Counted up to ``RANK_UP_TO``."""
    id: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and how it is doing."""

    endpoint: Endpoint
    account_name: str
    waiting: int
    """Callbacks to be attempted, counted up to ``COUNT_UP_TO``."""
    first_due_at_us: int | None
    """For when the next of them is planned, or was."""
    given_up: int
    """Callbacks that became owed in the time asked for and were given up."""


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the list."""

    rows: Sequence[Standing]
    next: Place | None
    """The last row's place when others follow it."""
    all_given_up: bool
    """Whether all that were given up in the time asked for are counted; else there are at least as many."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A callback in short."""

    id: str
    account_id: str
    message_uuid: str
    sequence: int
    endpoint: str
    state: str
    created_at_us: int
    done_at_us: int | None
    resend_of: str | None
    attempts: int
    """HTTP tries so far."""
    next_at_us: int | None
    """When the next is planned; ``None`` for a finished callback and one that is held."""
    kind: str


def page(
    tx: Transaction, *, since_us: int, limit: int, after: Place | None = None, only: Collection[str] | None = None
) -> Standings:
    """Return endpoints from a place on, or ``only`` those of some accounts.

    ``since_us`` bounds what counts as given up.
    """
    places = _places(tx, after, limit + 1, only)
    rows, whole = _standings(tx, [place.id for place in places[:limit]], since_us)
    rows.sort(key=lambda row: (row.endpoint.circuit.state is CircuitState.CLOSED, -row.waiting, row.endpoint.id))
    return Standings(rows=rows, next=places[limit - 1] if len(places) > limit else None, all_given_up=whole)


def of_endpoint(tx: Transaction, endpoint_id: str, *, since_us: int) -> tuple[Standing | None, bool]:
    """Return how one endpoint is doing, ``None`` when there is no such; and ``Standings.all_given_up``."""
    rows, whole = _standings(tx, [endpoint_id], since_us)
    return (rows[0] if rows else None), whole


def _places(tx: Transaction, after: Place | None, limit: int, only: Collection[str] | None) -> list[Place]:
    is_closed = endpoints.c.state == CircuitState.CLOSED.value
    has_nothing = sa.and_(is_closed, endpoints.c.first_ready_at_us.is_(None), endpoints.c.retry_ready_at_us.is_(None))
    depth = store.waiting_up_to(RANK_UP_TO)
    seen = sa.select(
        endpoints.c.id,
        sa.case((is_closed, 1), else_=0).label("is_well"),
        # Most endpoints have nothing waiting, and say so themselves.
        sa.case((has_nothing, 0), else_=depth).label("waiting"),
    )
    if only is not None:
        seen = seen.where(endpoints.c.account_id.in_(only))
    ranked = seen.subquery("ranked")
    query = sa.select(ranked).order_by(ranked.c.is_well, ranked.c.waiting.desc(), ranked.c.id).limit(limit)
    if after is not None:
        query = query.where(
            sa.or_(
                ranked.c.is_well > int(after.is_well),
                sa.and_(
                    ranked.c.is_well == int(after.is_well),
                    sa.or_(
                        ranked.c.waiting < after.waiting,
                        sa.and_(ranked.c.waiting == after.waiting, ranked.c.id > after.id),
                    ),
                ),
            )
        )
    return [Place(bool(row.is_well), row.waiting, row.id) for row in tx.execute(query)]


def _standings(tx: Transaction, ids: Sequence[str], since_us: int) -> tuple[list[Standing], bool]:
    known = store.by_id(tx, ids)
    query = (
        sa.select(
            endpoints.c.id,
            accounts.c.name,
            store.waiting_up_to(COUNT_UP_TO).label("waiting"),
            _first_due(is_retry=False).label("first"),
            _first_due(is_retry=True).label("retry"),
        )
        .select_from(endpoints.outerjoin(accounts, accounts.c.auth_id == endpoints.c.account_id))
        .where(endpoints.c.id.in_(ids))
    )
    facts = {row.id: row for row in tx.execute(query)}
    given_up, whole = _given_up(tx, since_us)
    rows = [
        Standing(
            endpoint=known[id_],
            account_name=facts[id_].name or "",
            waiting=facts[id_].waiting,
            first_due_at_us=min((at for at in (facts[id_].first, facts[id_].retry) if at is not None), default=None),
            given_up=given_up.get((known[id_].account_id, known[id_].origin), 0),
        )
        for id_ in ids
        if id_ in known
    ]
    return rows, whole


def _first_due(*, is_retry: bool) -> sa.ScalarSelect[Any]:
    queue = callback_queue.c
    # What is planned, not the end of a lease.
    return (
        sa.select(queue.planned_at_us)
        .where(queue.endpoint_id == endpoints.c.id, queue.is_retry.is_(is_retry), queue.due_at_us.is_not(None))
        .order_by(queue.due_at_us)
        .limit(1)
        .correlate(endpoints)
        .scalar_subquery()
    )


def _given_up(tx: Transaction, since_us: int) -> tuple[dict[tuple[str, str], int], bool]:
    newest = (
        sa.select(callbacks.c.account_id, callbacks.c.endpoint)
        # Written out, not bound: a partial index on this state can serve it only so.
        .where(callbacks.c.state == sa.literal_column("'given_up'"), callbacks.c.created_at_us >= since_us)
        .order_by(callbacks.c.created_at_us.desc())
        .limit(GIVEN_UP_UP_TO)
        .subquery("newest")
    )
    query = sa.select(newest.c.account_id, newest.c.endpoint, sa.func.count().label("total")).group_by(
        newest.c.account_id, newest.c.endpoint
    )
    counts = {(row.account_id, row.endpoint): row.total for row in tx.execute(query)}
    return counts, sum(counts.values()) < GIVEN_UP_UP_TO


def newest(tx: Transaction, endpoint: Endpoint, *, limit: int) -> list[Sent]:
    """Return the newest callbacks to an endpoint, newest first.

    They are found through the newest messages of its account; where those lead to too few, what is waiting longest
    is added.
    """
    found = (
        sa.select(messages.c.uuid)
        .where(messages.c.account_id == endpoint.account_id)
        .order_by(messages.c.queued_at_us.desc())
        .limit(MESSAGES_SEARCHED)
        .subquery("found")
    )
    query = (
        sa.select(callbacks.c.id)
        .select_from(found.join(callbacks, callbacks.c.message_uuid == found.c.uuid))
        .where(callbacks.c.account_id == endpoint.account_id, callbacks.c.endpoint == endpoint.origin)
        .order_by(callbacks.c.created_at_us.desc(), callbacks.c.id.desc())
        .limit(limit)
    )
    ids = list(tx.execute(query).scalars())
    if len(ids) < limit:
        ids += _waiting_longest(tx, endpoint, limit)
    return sent(tx, ids)[:limit]


def _waiting_longest(tx: Transaction, endpoint: Endpoint, limit: int) -> Sequence[str]:
    queue = callback_queue.c
    query = (
        sa.select(queue.callback_id)
        .where(queue.endpoint_id == endpoint.id, queue.due_at_us.is_not(None))
        .order_by(queue.is_retry, queue.due_at_us)
        .limit(limit)
    )
    return tx.execute(query).scalars().all()


def sent(tx: Transaction, ids: Sequence[str]) -> list[Sent]:
    """Return callbacks in short, newest first."""
    queue = callback_queue.c
    query = (
        sa.select(
            callbacks.c.id,
            callbacks.c.account_id,
            callbacks.c.message_uuid,
            callbacks.c.kind,
            callbacks.c.sequence,
            callbacks.c.endpoint,
            callbacks.c.state,
            callbacks.c.created_at_us,
            callbacks.c.done_at_us,
            callbacks.c.resend_of,
            _tries().label("attempts"),
            queue.planned_at_us.label("next_at_us"),
        )
        .select_from(callbacks.outerjoin(callback_queue, queue.callback_id == callbacks.c.id))
        .where(callbacks.c.id.in_(ids))
        .order_by(callbacks.c.created_at_us.desc(), callbacks.c.id.desc())
    )
    return [Sent(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def _tries() -> sa.ScalarSelect[int]:
    # What parking has used up is noted as an attempt too.
    return (
        sa.select(sa.func.count())
        .where(attempts.c.callback_id == callbacks.c.id, attempts.c.outcome != "parked")
        .correlate(callbacks)
        .scalar_subquery()
    )
