"""Callbacks owed to customers, the queue of those still to be made, and every attempt.

**Order.** A callback is held (``due_at_us`` null) while an earlier one of the same message has not had its
first attempt. Recording a first attempt releases the next one. So a later status never overtakes an earlier
one's first attempt, and a failing endpoint holds nothing up beyond it.

**Kinds.** Most tell a message's status. Those in ``WITHOUT_MESSAGE`` tell something else, as JSON: they have no
message, their own id stands for its uuid, and their parameters are the pair ``body`` and the JSON text.

**Queue.** Callbacks are leased endpoint by endpoint (``store.endpoints``), by whoever has the endpoint's row.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.store import bulk, endpoints
from ringback.store.port import Transaction
from ringback.store.schema import attempts, callback_queue, callbacks, inbound_results

MAX_PARTS: Final = 64
"""Queues read by one statement."""
WITHOUT_MESSAGE: Final = ("alert", "async")
"""Kinds of callbacks that belong to no message."""

STATUS: Final = "status"
"""Kind of a callback that tells a status of an outbound message."""
MESSAGE: Final = "message"
"""Kind of a callback that brings an inbound message. Its end is a fact about the message (``store.inbound``)."""

JSON_BODY: Final = "json"
"""Kind of a callback that hands on what was received, as JSON."""
AS_JSON: Final = (*WITHOUT_MESSAGE, JSON_BODY)
"""Kinds whose one parameter, ``body``, is a JSON text."""


class NewCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that has just become owed."""

    id: str
    account_id: str
    message_uuid: str
    sequence: int
    url: str
    method: str
    endpoint: str
    params: str
    """JSON list of (name, value) pairs."""
    created_at_us: int
    resend_of: str | None = None
    retry_delays: str | None = None
    """The plan that its message asked for, as stored (``model.retry``)."""
    kind: str = STATUS


class DueCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback to be attempted now, leased under ``lease_token``."""

    id: str
    account_id: str
    message_uuid: str
    sequence: int
    url: str
    method: str
    endpoint: str
    params: str
    endpoint_id: str
    attempts_made: int
    planned_at_us: int
    lease_token: str
    retry_delays: str | None = None
    """As in ``NewCallback``."""
    kind: str = STATUS


class Wanted(msgspec.Struct, frozen=True):
    """So many callbacks of an endpoint's queue."""

    endpoint_id: str
    is_retry: bool
    count: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP try."""

    callback_id: str
    number: int
    planned_at_us: int
    started_at_us: int
    duration_us: int
    outcome: str
    http_status: int | None
    request_headers: str
    response_headers: str
    response_body: bytes
    error: str | None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a leased callback after an attempt."""

    callback: DueCallback
    attempt: Attempt | None
    """``None`` when the callback only moved on because attempts fell due while its endpoint was parked."""
    attempts_made: int
    """How many count as made now."""
    state: str
    """``pending`` (another try follows), ``delivered`` or ``given_up``."""
    next_due_at_us: int | None
    recorded_at_us: int


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback as it stands."""

    id: str
    account_id: str
    message_uuid: str
    sequence: int
    url: str
    method: str
    endpoint: str
    params: str
    state: str
    created_at_us: int
    done_at_us: int | None
    resend_of: str | None
    """The callback that this one sends once more."""
    retry_delays: str | None
    """As in ``NewCallback``."""
    kind: str = STATUS


_encode: Final = msgspec.json.Encoder().encode

# Statements that run all the time are built once: building one costs more than running it.

_IDS: Final[sa.BindParameter[str]] = sa.bindparam("ids", expanding=True)
_UUIDS: Final[sa.BindParameter[str]] = sa.bindparam("uuids", expanding=True)
_BODIES: Final = sa.select(callbacks).where(callbacks.c.id.in_(_IDS))
_LEASE: Final = (
    callback_queue.update()
    .where(callback_queue.c.callback_id.in_(_IDS))
    .values(due_at_us=sa.bindparam("until_us"), lease_token=sa.bindparam("token"))
)
_FINISH: Final = callback_queue.delete().where(callback_queue.c.callback_id.in_(_IDS))
_LEASE_TOKENS: Final = (
    sa.select(callback_queue.c.callback_id, callback_queue.c.lease_token)
    .where(callback_queue.c.callback_id.in_(_IDS))
    .order_by(callback_queue.c.callback_id)
    .with_for_update()
)
_UNATTEMPTED: Final = (
    sa.select(callback_queue.c.message_uuid)
    .where(callback_queue.c.message_uuid.in_(_UUIDS), callback_queue.c.attempts_made == 0)
    .order_by(callback_queue.c.callback_id)
    # Only against whoever records: claiming has the endpoint first, and must not wait for somebody who wants it next.
    .with_for_update(read=True, key_share=True)
)
_HELD: Final = (
    sa.select(
        callback_queue.c.message_uuid,
        callback_queue.c.callback_id,
        callback_queue.c.due_at_us,
        callback_queue.c.endpoint_id,
    )
    .where(callback_queue.c.message_uuid.in_(_UUIDS), callback_queue.c.attempts_made == 0)
    .order_by(callback_queue.c.message_uuid, callback_queue.c.sequence)
)


@lru_cache(maxsize=MAX_PARTS)
def _heads(count: int) -> sa.CompoundSelect[Any]:
    """Return a query for the heads of so many queues."""
    queue = callback_queue.c
    parts = [
        sa.select(
            sa.literal_column(str(at)).label("part"),
            queue.callback_id,
            queue.attempts_made,
            queue.due_at_us,
            queue.planned_at_us,
        )
        .where(
            queue.endpoint_id == sa.bindparam(f"endpoint_{at}"),
            queue.is_retry == sa.bindparam(f"is_retry_{at}"),
            queue.due_at_us.is_not(None),
        )
        .order_by(queue.due_at_us)
        .limit(sa.bindparam(f"limit_{at}", type_=sa.Integer))
        .subquery()
        for at in range(count)
    ]
    return sa.union_all(*(sa.select(part) for part in parts))


def json_params(body: str) -> str:
    """Return the parameters of a callback without message that says ``body``, a JSON text."""
    return _encode([("body", body)]).decode()


def owe(tx: Transaction, new: Sequence[NewCallback]) -> None:
    """Store callbacks, queue them and let them be found; those of one message in the order of their sequence."""
    add(tx, new)
    wake(tx, new)


def add(tx: Transaction, new: Sequence[NewCallback]) -> None:
    """Store callbacks and queue them; the same transaction has to ``wake`` their endpoints, at its end."""
    if not new:
        return
    bulk.insert(
        tx,
        callbacks,
        [msgspec.structs.asdict(callback) | {"state": "pending", "done_at_us": None} for callback in new],
    )
    later = [callback.message_uuid for callback in new if callback.sequence > 1]
    holding = _unattempted(tx, later) if later else set()
    rows = []
    for callback in new:
        due_at_us = None if callback.message_uuid in holding else callback.created_at_us
        holding.add(callback.message_uuid)
        rows.append(
            {
                "callback_id": callback.id,
                "message_uuid": callback.message_uuid,
                "sequence": callback.sequence,
                "endpoint_id": endpoints.key(callback.account_id, callback.endpoint),
                "is_retry": False,
                "attempts_made": 0,
                "due_at_us": due_at_us,
                "planned_at_us": due_at_us,
                "lease_token": None,
            }
        )
    bulk.insert(tx, callback_queue, rows)


def wake(tx: Transaction, new: Sequence[NewCallback]) -> None:
    """Let callbacks that were added be found. Whoever else wants to work for their endpoints waits from here on."""
    if not new:
        return
    owed: dict[tuple[str, str], int] = {}
    for callback in new:
        owed.setdefault((callback.account_id, callback.endpoint), callback.created_at_us)
    endpoints.wake(tx, owed)


def _unattempted(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    # Locked: whoever is recording the first attempt that is waited for must either see the new callback, or be done.
    return set(tx.execute(_UNATTEMPTED, {"uuids": list(uuids)}).scalars())


class Leased(msgspec.Struct, frozen=True):
    """What one queue gave."""

    callbacks: list[DueCallback]
    next_due_at_us: int | None
    """When the queue has something again: the first callback that was left, or the end of the first lease."""


def lease(
    tx: Transaction, wanted: Sequence[Wanted], *, now_us: int, lease_until_us: int, lease_token: str
) -> list[Leased]:
    """Lease what is due of the wanted queues, those due longest first; one result for each of ``wanted``."""
    found = [rows for at in range(0, len(wanted), MAX_PARTS) for rows in _oldest(tx, wanted[at : at + MAX_PARTS])]
    due = [
        [row for row in rows[: each.count] if row.due_at_us <= now_us] for each, rows in zip(wanted, found, strict=True)
    ]
    ids = [row.callback_id for rows in due for row in rows]
    if ids:
        tx.execute(_LEASE, {"ids": ids, "until_us": lease_until_us, "token": lease_token})
    bodies = {row.id: row for row in tx.execute(_BODIES, {"ids": ids})} if ids else {}
    return [
        Leased(
            [_due_callback(bodies[row.callback_id], row, lease_token) for row in taken],
            min([row.due_at_us for row in rows[len(taken) :]] + [lease_until_us] * bool(taken), default=None),
        )
        for rows, taken in zip(found, due, strict=True)
    ]


def _oldest(tx: Transaction, wanted: Sequence[Wanted]) -> list[list[sa.Row[Any]]]:
    """Read the head of several queues, one row more than wanted of each, with one statement."""
    given: dict[str, object] = {}
    for at, each in enumerate(wanted):
        given |= {f"endpoint_{at}": each.endpoint_id, f"is_retry_{at}": each.is_retry, f"limit_{at}": each.count + 1}
    rows: list[list[sa.Row[Any]]] = [[] for _ in wanted]
    for row in tx.execute(_heads(len(wanted)), given) if wanted else ():
        rows[row.part].append(row)
    return rows


def _due_callback(body: sa.Row[Any], queued: sa.Row[Any], lease_token: str) -> DueCallback:
    return DueCallback(
        id=body.id,
        account_id=body.account_id,
        message_uuid=body.message_uuid,
        sequence=body.sequence,
        url=body.url,
        method=body.method,
        endpoint=body.endpoint,
        params=body.params,
        endpoint_id=endpoints.key(body.account_id, body.endpoint),
        attempts_made=queued.attempts_made,
        planned_at_us=queued.planned_at_us,
        lease_token=lease_token,
        retry_delays=body.retry_delays,
        kind=body.kind,
    )


def record(tx: Transaction, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Store attempts and what follows from them; release callbacks that waited for a first attempt.

    Outcomes of workers that have lost their lease are dropped; returns those that were recorded.
    """
    if not outcomes:
        return []
    tokens = _lease_tokens(tx, [outcome.callback for outcome in outcomes])
    valid = [each for each in outcomes if tokens.get(each.callback.id) == each.callback.lease_token]
    if not valid:
        return []
    made = [outcome.attempt for outcome in valid if outcome.attempt is not None]
    bulk.insert_structs(tx, attempts, made)
    ended = [outcome for outcome in valid if outcome.next_due_at_us is None]
    if ended:
        ids = [outcome.callback.id for outcome in ended]
        tx.execute(_FINISH, {"ids": ids})
        rows = [{"id": each.callback.id, "state": each.state, "done_at_us": each.recorded_at_us} for each in ended]
        bulk.update(tx, callbacks, rows, key="id")
        _tell_inbound(tx, ended)
    bulk.update(
        tx,
        callback_queue,
        [
            {
                "callback_id": outcome.callback.id,
                "is_retry": outcome.attempts_made > 0,
                "attempts_made": outcome.attempts_made,
                "due_at_us": outcome.next_due_at_us,
                "planned_at_us": outcome.next_due_at_us,
                "lease_token": None,
            }
            for outcome in valid
            if outcome.next_due_at_us is not None
        ],
        key="callback_id",
    )
    # Not only after first attempts: those of a parked endpoint may have been skipped.
    _release(tx, {each.callback.message_uuid: each for each in valid})
    return valid


def _tell_inbound(tx: Transaction, ended: Sequence[Outcome]) -> None:
    """Leave word for the inbound messages whose callbacks have ended, in the transaction that ends them."""
    rows = [
        {
            "callback_id": each.callback.id,
            "message_uuid": each.callback.message_uuid,
            "account_id": each.callback.account_id,
            "state": each.state,
            "attempt_number": each.attempt.number if each.attempt else None,
            "ended_at_us": each.recorded_at_us,
            "due_at_us": each.recorded_at_us,
            "lease_token": None,
        }
        for each in ended
        if each.callback.kind == MESSAGE
    ]
    bulk.insert(tx, inbound_results, rows)


def give_back(tx: Transaction, leased: Sequence[DueCallback]) -> None:
    """Give up leases on callbacks that were not attempted; they are due as before."""
    tokens = _lease_tokens(tx, leased)
    rows = [
        {"callback_id": each.id, "due_at_us": each.planned_at_us, "lease_token": None}
        for each in leased
        if tokens.get(each.id) == each.lease_token
    ]
    bulk.update(tx, callback_queue, rows, key="callback_id")


def _lease_tokens(tx: Transaction, leased: Sequence[DueCallback]) -> dict[str, str | None]:
    rows = tx.execute(_LEASE_TOKENS, {"ids": [callback.id for callback in leased]})
    return {row.callback_id: row.lease_token for row in rows}


def _release(tx: Transaction, first_attempted: Mapping[str, Outcome]) -> None:
    """Make due the next callback of each message whose earlier ones have all had their first attempt."""
    if not first_attempted:
        return
    seen: set[str] = set()
    rows = []
    ready: dict[str, int] = {}
    for row in tx.execute(_HELD, {"uuids": list(first_attempted)}):
        if row.message_uuid not in seen and row.due_at_us is None:
            due_at_us = first_attempted[row.message_uuid].recorded_at_us
            rows.append({"callback_id": row.callback_id, "due_at_us": due_at_us, "planned_at_us": due_at_us})
            ready.setdefault(row.endpoint_id, due_at_us)
        seen.add(row.message_uuid)
    bulk.update(tx, callback_queue, rows, key="callback_id")
    endpoints.lower_first(tx, ready)


def waiting(tx: Transaction, *, only: Collection[str] | None = None) -> int:
    """Return how many callbacks are neither delivered nor given up, of all accounts or ``only`` of some."""
    query = sa.select(sa.func.count()).select_from(callback_queue)
    if only is not None:
        query = query.where(callback_queue.c.endpoint_id.in_(endpoints.of_accounts(only)))
    return tx.execute(query).scalar_one()


def owed_for(tx: Transaction, uuids: Sequence[str]) -> list[Callback]:
    """Return the callbacks of messages, by message and sequence."""
    query = (
        sa.select(callbacks)
        .where(callbacks.c.message_uuid.in_(uuids))
        .order_by(callbacks.c.message_uuid, callbacks.c.sequence)
    )
    return [Callback(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def of_message(tx: Transaction, uuid: str) -> list[tuple[Callback, list[Attempt]]]:
    """Return a message's callbacks by sequence, each with its attempts."""
    found = owed_for(tx, [uuid])
    made: dict[str, list[Attempt]] = defaultdict(list)
    query = (
        sa.select(attempts)
        .where(attempts.c.callback_id.in_([callback.id for callback in found]))
        .order_by(attempts.c.number)
    )
    for row in tx.execute(query):
        made[row.callback_id].append(Attempt(**row._mapping))  # noqa: SLF001
    return [(callback, made[callback.id]) for callback in found]


def due_times(tx: Transaction, ids: Sequence[str]) -> dict[str, int | None]:
    """Return when each unfinished callback is planned next; ``None`` while it is held for an earlier one."""
    query = sa.select(callback_queue.c.callback_id, callback_queue.c.planned_at_us).where(
        callback_queue.c.callback_id.in_(ids)
    )
    return {row.callback_id: row.planned_at_us for row in tx.execute(query)}


def given_up(tx: Transaction, *, since_us: int, only: Collection[str] | None = None) -> int:
    """Return how many callbacks that became owed from ``since_us`` on have used up their attempts."""
    query = (
        sa.select(sa.func.count())
        .select_from(callbacks)
        # Written out, not bound: a partial index on this state can serve it only so.
        .where(callbacks.c.state == sa.literal_column("'given_up'"), callbacks.c.created_at_us >= since_us)
    )
    if only is not None:
        query = query.where(callbacks.c.account_id.in_(only))
    return tx.execute(query).scalar_one()
