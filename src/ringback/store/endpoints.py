"""Endpoints: whose callbacks are worth a look, and whether the endpoint is worth trying.

An endpoint is one account's way to one scheme, host and port. Its row says from when on its queue has something
due, for first attempts and for retries. Claiming starts from there: nobody meets a callback of an endpoint that is
parked, however many there are.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ringback.model.circuit import Circuit, CircuitState, Party
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
    looked_at_us: int
    """When a claim last looked into its queue."""
    concurrency: int | None
    rate_per_minute: int | None
    retry_delays: str | None
    keep_parked: bool | None


@lru_cache(maxsize=4096)
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
        "looked_at_us": now_us,
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
    if len(ready) == 1 and tx.dialect.name == "postgresql":
        # In one step, as everybody else who works for the endpoint waits; for several the order of locking matters.
        ((id_, at_us),) = ready.items()
        return set(tx.execute(_LOWER_ONE, {"only": id_, "at_us": at_us}).scalars())
    found = tx.execute(_TO_WAKE, {"ids": sorted(ready)}).all()
    late = [
        row.id
        for row in found
        if row.state in _WAKES_ON_NEW
        and not row.is_full
        and (row.first_ready_at_us is None or row.first_ready_at_us > ready[row.id])
    ]
    if late:
        tx.execute(_WAKE, {"ids": late, "at_us": min(ready[id_] for id_ in late)})
    return {row.id for row in found}


def ready(
    tx: Transaction, looks: Mapping[Lane, int], *, now_us: int, wait: bool = False
) -> list[tuple[Lane, Endpoint]]:
    """Return endpoints with something due, lane by lane, those that have waited longest first; nobody else gets them.

    ``looks`` says how many of each lane at most. Endpoints that somebody is writing to are left out, unless ``wait``
    says to wait for them.
    """
    if wait and tx.dialect.name == "sqlite":
        # Whoever writes has the whole file: nothing was left out.
        return []
    limits = {f"{lane.value}_limit": looks.get(lane, 0) for lane in Lane}
    rows = tx.execute(_READY_WAITING if wait else _READY, {"now_us": now_us, **limits}).all()
    found = sorted(rows, key=lambda row: (_LANE_ORDER[row[0]], row[1]))
    return [(Lane(row[0]), _endpoint(row[2:])) for row in found]


def next_ready_at_us(tx: Transaction) -> dict[Lane, int]:
    """Return when the next endpoint of each lane is worth a look, for lanes that have one."""
    times = zip((*FIRST_LANES, Lane.RETRY), tx.execute(_NEXT_READY).one(), strict=True)
    return {lane: at_us for lane, at_us in times if at_us is not None}


def by_id(tx: Transaction, ids: Sequence[str], *, lock: bool = False) -> dict[str, Endpoint]:
    """Return endpoints by id; ``lock`` keeps others from changing them meanwhile."""
    found = [_endpoint(row) for row in tx.execute(_BY_ID_LOCKED if lock else _BY_ID, {"ids": list(ids)})]
    return {endpoint.id: endpoint for endpoint in found}


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
                "looked_at_us": each.looked_at_us,
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
    """Set an endpoint's own limits: ``concurrency``, ``rate_per_minute``, ``retry_delays``, ``keep_parked``."""
    tx.execute(endpoints.update().where(endpoints.c.id == endpoint_id).values(**limits))


def page(
    tx: Transaction, *, account_id: str | None = None, state: str | None = None, limit: int, after: str = ""
) -> list[Endpoint]:
    """Return endpoints in the order of their ids, those after ``after``."""
    query = sa.select(*_COLUMNS).where(endpoints.c.id > after).order_by(endpoints.c.id).limit(limit)
    if account_id is not None:
        query = query.where(endpoints.c.account_id == account_id)
    if state is not None:
        query = query.where(endpoints.c.state == state)
    return [_endpoint(row) for row in tx.execute(query)]


def troubled(tx: Transaction, *, limit: int, only: Collection[str] | None = None) -> list[Endpoint]:
    """Return endpoints that are parked, paused or disabled, by state; ``only`` those of some accounts."""
    # Named, not "any but closed": so the index on states finds them among those that work.
    states = [state.value for state in CircuitState if state is not CircuitState.CLOSED]
    query = sa.select(*_COLUMNS).where(endpoints.c.state.in_(states))
    query = query.order_by(endpoints.c.state, endpoints.c.id).limit(limit)
    if only is not None:
        query = query.where(endpoints.c.account_id.in_(only))
    return [_endpoint(row) for row in tx.execute(query)]


def of_accounts(only: Collection[str]) -> sa.Select[tuple[str]]:
    """Return a query for the ids of the endpoints of some accounts."""
    return sa.select(endpoints.c.id).where(endpoints.c.account_id.in_(only))


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


def _endpoint(values: Sequence[Any]) -> Endpoint:
    """Build an endpoint from values in the order of ``_COLUMNS``."""
    circuit = dict(zip(_CIRCUIT, values, strict=False))
    circuit["state"] = CircuitState(circuit["state"])
    if circuit["paused_by"] is not None:
        circuit["paused_by"] = Party(circuit["paused_by"])
    return Endpoint(circuit=Circuit(**circuit), **dict(zip(_OWN, values[len(_CIRCUIT) :], strict=True)))


# Statements that run all the time are built once: building one costs more than running it.

_OWN: Final = tuple(name for name in Endpoint.__struct_fields__ if name != "circuit")
_COLUMNS: Final = tuple(endpoints.c[name] for name in (*_CIRCUIT, *_OWN))
_LANE_ORDER: Final = {lane.value: at for at, lane in enumerate(Lane)}
_IDS: Final[sa.BindParameter[str]] = sa.bindparam("ids", expanding=True)
_BY_ID: Final = sa.select(*_COLUMNS).where(endpoints.c.id.in_(_IDS)).order_by(endpoints.c.id)
_BY_ID_LOCKED: Final = _BY_ID.with_for_update()
_TO_WAKE: Final = (
    sa.select(endpoints.c.id, endpoints.c.first_ready_at_us, endpoints.c.state, endpoints.c.is_full)
    .where(endpoints.c.id.in_(_IDS))
    .order_by(endpoints.c.id)
    .with_for_update(key_share=True)
)
_WAKE: Final = endpoints.update().where(endpoints.c.id.in_(_IDS)).values(first_ready_at_us=sa.bindparam("at_us"))
_LOWER_ONE: Final = (
    endpoints.update()
    .where(endpoints.c.id == sa.bindparam("only"))
    .values(
        first_ready_at_us=sa.case(
            (
                sa.and_(
                    endpoints.c.state.in_([sa.literal_column(f"'{state}'") for state in _WAKES_ON_NEW]),
                    endpoints.c.is_full.is_(False),
                ),
                sa.func.least(endpoints.c.first_ready_at_us, sa.bindparam("at_us", type_=sa.BigInteger)),
            ),
            else_=endpoints.c.first_ready_at_us,
        )
    )
    .returning(endpoints.c.id)
)
_NEXT_READY: Final = sa.select(
    *(
        sa.select(sa.func.min(endpoints.c.first_ready_at_us))
        .where(endpoints.c.lane == sa.literal_column(f"'{lane.value}'"), endpoints.c.first_ready_at_us.is_not(None))
        .scalar_subquery()
        for lane in FIRST_LANES
    ),
    sa.select(sa.func.min(endpoints.c.retry_ready_at_us))
    .where(endpoints.c.retry_ready_at_us.is_not(None))
    .scalar_subquery(),
)


def _ready_in(lane: Lane, *, wait: bool) -> sa.Subquery:
    column = endpoints.c.retry_ready_at_us if lane is Lane.RETRY else endpoints.c.first_ready_at_us
    in_lane: sa.ColumnElement[str] = sa.literal_column(f"'{lane.value}'")
    query = sa.select(in_lane.label("in_lane"), column.label("ready_at_us"), *_COLUMNS)
    query = query.where(column <= sa.bindparam("now_us", type_=sa.BigInteger))
    if lane is not Lane.RETRY:
        query = query.where(endpoints.c.lane == in_lane)
    limit = sa.bindparam(f"{lane.value}_limit", type_=sa.Integer)
    return query.order_by(column).limit(limit).with_for_update(skip_locked=not wait).subquery()


_READY: Final = sa.union_all(*(sa.select(_ready_in(lane, wait=False)) for lane in Lane))
_READY_WAITING: Final = sa.union_all(*(sa.select(_ready_in(lane, wait=True)) for lane in Lane))
