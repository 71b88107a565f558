"""Endpoints: whose callbacks are worth a look, and whether the endpoint is worth trying.

An endpoint is one account's way to one scheme, host and port. Its row says from when on its queue has something
due, for first attempts and for retries. Claiming starts from there: nobody meets a callback of an endpoint that is
parked, however many there are.
"""

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ringback.model.circuit import Circuit, CircuitState
from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema import callback_queue, endpoints

_CIRCUIT = tuple(Circuit.__struct_fields__)
_WAKES_ON_NEW = (CircuitState.CLOSED.value, CircuitState.HALF_OPEN.value)


class Lane(StrEnum):
    """Which of an endpoint's callbacks, and on what standing; each lane has its share of the attempts in flight."""

    FIRST = "first"
    """First attempts at endpoints whose last attempt found them up."""
    NEW = "new"
    """First attempts at endpoints that nothing is known about."""
    DOUBTFUL = "doubtful"
    """First attempts at endpoints that were down last."""
    RETRY = "retry"


FIRST_LANES: Final = (Lane.FIRST, Lane.NEW, Lane.DOUBTFUL)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as it stands."""

    id: str
    account_id: str
    origin: str
    circuit: Circuit
    first_ready_at_us: int | None
    retry_ready_at_us: int | None
    is_full: bool
    concurrency: int | None
    rate_per_minute: int | None
    retry_delays: str | None
    keep_parked: bool | None


def key(account_id: str, origin: str) -> str:
    """Return the id of an account's endpoint."""
    return hashlib.sha256(f"{account_id} {origin}".encode()).hexdigest()[:32]


def wake(tx: Transaction, owed: Mapping[tuple[str, str], int]) -> None:
    """Let endpoints (account, origin) be looked at from a time on, because they are owed first attempts."""
    ids = {key(*each): each for each in owed}
    times = {id_: owed[each] for id_, each in ids.items()}
    missing = times.keys() - lower_first(tx, times)
    if not missing:
        return
    for row in [_new_row(id_, *ids[id_], times[id_]) for id_ in sorted(missing)]:
        tx.execute(_insert_ignore(tx, row))
    lower_first(tx, {id_: times[id_] for id_ in missing})


def _new_row(id_: str, account_id: str, origin: str, now_us: int) -> dict[str, Any]:
    circuit = msgspec.structs.asdict(Circuit())
    return {
        "id": id_,
        "account_id": account_id,
        "origin": origin,
        "created_at_us": now_us,
        "lane": Lane.NEW.value,
        "is_full": False,
        **circuit,
    }


def _insert_ignore(tx: Transaction, row: Mapping[str, Any]) -> postgresql.Insert | sqlite.Insert:
    # Another process may have met the endpoint in this very moment.
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    return insert(endpoints).values(**row).on_conflict_do_nothing()


def lower_first(tx: Transaction, ready: Mapping[str, int]) -> set[str]:
    """Let endpoints (by id) be looked at for first attempts, where they are not already and may be at all.

    Returns the ids of those that exist.
    """
    if not ready:
        return set()
    # Locked, so that a claim that is under way, and does not see these callbacks, has ended before this is decided:
    # it would otherwise note afterwards that there is nothing to look for.
    query = (
        sa.select(endpoints.c.id, endpoints.c.first_ready_at_us, endpoints.c.state, endpoints.c.is_full)
        .where(endpoints.c.id.in_(sorted(ready)))
        .order_by(endpoints.c.id)
        .with_for_update(key_share=True)
    )
    found = tx.execute(query).all()
    late = [
        row.id
        for row in found
        if row.state in _WAKES_ON_NEW
        and not row.is_full
        and (row.first_ready_at_us is None or row.first_ready_at_us > ready[row.id])
    ]
    if late:
        tx.execute(
            endpoints.update().where(endpoints.c.id.in_(late)).values(first_ready_at_us=min(ready[id_] for id_ in late))
        )
    return {row.id for row in found}


def ready(tx: Transaction, lane: Lane, *, now_us: int, limit: int, wait: bool = False) -> list[Endpoint]:
    """Return endpoints with something due in a lane, those that have waited longest first; nobody else gets them.

    Endpoints that somebody is writing to are left out, unless ``wait`` says to wait for them.
    """
    column = endpoints.c.retry_ready_at_us if lane is Lane.RETRY else endpoints.c.first_ready_at_us
    query = sa.select(endpoints).where(column <= now_us)
    if lane is not Lane.RETRY:
        query = query.where(endpoints.c.lane == lane.value)
    query = query.order_by(column).limit(limit).with_for_update(skip_locked=not wait)
    return [_endpoint(row) for row in tx.execute(query)]


def next_ready_at_us(tx: Transaction) -> int | None:
    """Return when the next endpoint is worth a look."""
    first, retry = endpoints.c.first_ready_at_us, endpoints.c.retry_ready_at_us
    query = sa.select(
        *(
            sa.select(sa.func.min(first)).where(endpoints.c.lane == lane.value, first.is_not(None)).scalar_subquery()
            for lane in FIRST_LANES
        ),
        sa.select(sa.func.min(retry)).where(retry.is_not(None)).scalar_subquery(),
    )
    return min((at_us for at_us in tx.execute(query).one() if at_us is not None), default=None)


def by_id(tx: Transaction, ids: Sequence[str], *, lock: bool = False) -> dict[str, Endpoint]:
    """Return endpoints by id; ``lock`` keeps others from changing them meanwhile."""
    query = sa.select(endpoints).where(endpoints.c.id.in_(ids)).order_by(endpoints.c.id)
    return {row.id: _endpoint(row) for row in tx.execute(query.with_for_update() if lock else query)}


def save(tx: Transaction, changed: Sequence[Endpoint]) -> None:
    """Store circuits and when queues are worth a look."""
    bulk.update(
        tx,
        endpoints,
        [
            {
                "id": each.id,
                **{name: getattr(each.circuit, name) for name in _CIRCUIT},
                "lane": _lane(each.circuit).value,
                "first_ready_at_us": each.first_ready_at_us,
                "retry_ready_at_us": each.retry_ready_at_us,
                "is_full": each.is_full,
            }
            for each in changed
        ],
        key="id",
    )


def _lane(circuit: Circuit) -> Lane:
    if circuit.proven:
        return Lane.FIRST
    return Lane.DOUBTFUL if circuit.failures else Lane.NEW


def configure(tx: Transaction, endpoint_id: str, **limits: int | str | bool | None) -> None:
    """Set the operator's limits: ``concurrency``, ``rate_per_minute``, ``retry_delays``, ``keep_parked``."""
    tx.execute(endpoints.update().where(endpoints.c.id == endpoint_id).values(**limits))


def page(
    tx: Transaction, *, account_id: str | None = None, state: str | None = None, limit: int, after: str = ""
) -> list[Endpoint]:
    """Return endpoints in the order of their ids, those after ``after``."""
    query = sa.select(endpoints).where(endpoints.c.id > after).order_by(endpoints.c.id).limit(limit)
    if account_id is not None:
        query = query.where(endpoints.c.account_id == account_id)
    if state is not None:
        query = query.where(endpoints.c.state == state)
    return [_endpoint(row) for row in tx.execute(query)]


def troubled(tx: Transaction, *, limit: int) -> list[Endpoint]:
    """Return endpoints that are parked, paused or disabled, by state."""
    # Named, not "any but closed": so the index on states finds them among those that work.
    states = [state.value for state in CircuitState if state is not CircuitState.CLOSED]
    query = sa.select(endpoints).where(endpoints.c.state.in_(states))
    query = query.order_by(endpoints.c.state, endpoints.c.id).limit(limit)
    return [_endpoint(row) for row in tx.execute(query)]


def waiting_up_to(limit: int) -> sa.ScalarSelect[int]:
    """Return a subquery for queries of ``endpoints``: how many callbacks wait for an endpoint, counted to a limit.

    Those that an earlier callback of their message holds up are left out: no index finds them by endpoint.
    """
    found = (
        sa.select(sa.literal_column("1").label("one"))
        .where(callback_queue.c.endpoint_id == endpoints.c.id, callback_queue.c.due_at_us.is_not(None))
        .limit(limit)
        .correlate(endpoints)
        .subquery("found")
    )
    return sa.select(sa.func.count()).select_from(found).scalar_subquery()


def _endpoint(row: Any) -> Endpoint:
    columns = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    known = {name: columns[name] for name in _CIRCUIT} | {"state": CircuitState(row.state)}
    names = Endpoint.__struct_fields__
    return Endpoint(circuit=Circuit(**known), **{name: columns[name] for name in names if name != "circuit"})
