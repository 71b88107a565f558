"""Callbacks owed to customers, the queue of those still to be made, and every attempt.

**Order.** A callback is held (``due_at_us`` null) while an earlier one of the same message has not had its
first attempt. Recording a first attempt releases the next one. So a later status never overtakes an earlier
one's first attempt, and a failing endpoint holds nothing up beyond it.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema import attempts, callback_queue, callbacks


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
    attempts_made: int
    planned_at_us: int
    lease_token: str


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
    attempt: Attempt
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


def owe(tx: Transaction, new: Sequence[NewCallback]) -> None:
    """Store callbacks and queue them; those of one message must come in the order of their sequence."""
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
                "attempts_made": 0,
                "due_at_us": due_at_us,
                "planned_at_us": due_at_us,
                "lease_token": None,
            }
        )
    bulk.insert(tx, callback_queue, rows)


def _unattempted(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    query = sa.select(callback_queue.c.message_uuid).where(
        callback_queue.c.message_uuid.in_(uuids), callback_queue.c.attempts_made == 0
    )
    return set(tx.execute(query).scalars())


def claim(tx: Transaction, *, now_us: int, lease_until_us: int, lease_token: str, limit: int) -> list[DueCallback]:
    """Lease up to ``limit`` callbacks that are due, those due longest first."""
    due = (
        sa.select(callback_queue.c.callback_id, callback_queue.c.attempts_made, callback_queue.c.planned_at_us)
        .where(callback_queue.c.due_at_us <= now_us)
        .order_by(callback_queue.c.due_at_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    leased = {row.callback_id: row for row in tx.execute(due)}
    if not leased:
        return []
    tx.execute(
        callback_queue.update()
        .where(callback_queue.c.callback_id.in_(list(leased)))
        .values(due_at_us=lease_until_us, lease_token=lease_token)
    )
    bodies = {row.id: row for row in tx.execute(sa.select(callbacks).where(callbacks.c.id.in_(list(leased))))}
    return [
        DueCallback(
            id=callback_id,
            account_id=bodies[callback_id].account_id,
            message_uuid=bodies[callback_id].message_uuid,
            sequence=bodies[callback_id].sequence,
            url=bodies[callback_id].url,
            method=bodies[callback_id].method,
            endpoint=bodies[callback_id].endpoint,
            params=bodies[callback_id].params,
            attempts_made=queued.attempts_made,
            planned_at_us=queued.planned_at_us,
            lease_token=lease_token,
        )
        for callback_id, queued in leased.items()
    ]


def record(tx: Transaction, outcomes: Sequence[Outcome]) -> int:
    """Store attempts and what follows from them; release callbacks that waited for a first attempt.

    Outcomes of workers that have lost their lease are dropped; returns how many were recorded.
    """
    held = _held(tx, [outcome.callback for outcome in outcomes])
    valid = [outcome for outcome in outcomes if outcome.callback.id in held]
    if not valid:
        return 0
    bulk.insert(tx, attempts, [msgspec.structs.asdict(outcome.attempt) for outcome in valid])
    ended = [outcome for outcome in valid if outcome.next_due_at_us is None]
    if ended:
        tx.execute(
            callback_queue.delete().where(callback_queue.c.callback_id.in_([outcome.callback.id for outcome in ended]))
        )
        bulk.update(
            tx,
            callbacks,
            [
                {"id": outcome.callback.id, "state": outcome.state, "done_at_us": outcome.recorded_at_us}
                for outcome in ended
            ],
            key="id",
        )
    bulk.update(
        tx,
        callback_queue,
        [
            {
                "callback_id": outcome.callback.id,
                "attempts_made": outcome.attempt.number,
                "due_at_us": outcome.next_due_at_us,
                "planned_at_us": outcome.next_due_at_us,
                "lease_token": None,
            }
            for outcome in valid
            if outcome.next_due_at_us is not None
        ],
        key="callback_id",
    )
    first = {o.callback.message_uuid: o.recorded_at_us for o in valid if o.attempt.number == 1}
    _release(tx, first)
    return len(valid)


def _held(tx: Transaction, leased: Sequence[DueCallback]) -> set[str]:
    query = sa.select(callback_queue.c.callback_id, callback_queue.c.lease_token).where(
        callback_queue.c.callback_id.in_([callback.id for callback in leased])
    )
    tokens = {row.callback_id: row.lease_token for row in tx.execute(query.with_for_update())}
    return {callback.id for callback in leased if tokens.get(callback.id) == callback.lease_token}


def _release(tx: Transaction, first_attempted: dict[str, int]) -> None:
    """Make due the next callback of each message whose earlier ones have all had their first attempt."""
    if not first_attempted:
        return
    query = (
        sa.select(callback_queue.c.message_uuid, callback_queue.c.callback_id, callback_queue.c.due_at_us)
        .where(callback_queue.c.message_uuid.in_(list(first_attempted)), callback_queue.c.attempts_made == 0)
        .order_by(callback_queue.c.message_uuid, callback_queue.c.sequence)
    )
    seen: set[str] = set()
    rows = []
    for row in tx.execute(query):
        if row.message_uuid not in seen and row.due_at_us is None:
            due_at_us = first_attempted[row.message_uuid]
            rows.append({"callback_id": row.callback_id, "due_at_us": due_at_us, "planned_at_us": due_at_us})
        seen.add(row.message_uuid)
    bulk.update(tx, callback_queue, rows, key="callback_id")


def give_back(tx: Transaction, leased: Sequence[DueCallback]) -> None:
    """Give up leases on callbacks that were not attempted; they are due as before."""
    held = _held(tx, leased)
    bulk.update(
        tx,
        callback_queue,
        [
            {"callback_id": callback.id, "due_at_us": callback.planned_at_us, "lease_token": None}
            for callback in leased
            if callback.id in held
        ],
        key="callback_id",
    )


def next_due_at_us(tx: Transaction) -> int | None:
    """Return when the next callback is due."""
    due: int | None = tx.execute(sa.select(sa.func.min(callback_queue.c.due_at_us))).scalar_one()
    return due


def waiting(tx: Transaction) -> int:
    """Return how many callbacks are neither delivered nor given up."""
    return tx.execute(sa.select(sa.func.count()).select_from(callback_queue)).scalar_one()


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


def given_up(tx: Transaction, *, since_us: int) -> int:
    """Return how many callbacks that became owed from ``since_us`` on have used up their attempts."""
    query = (
        sa.select(sa.func.count())
        .select_from(callbacks)
        # Written out, not bound: a partial index on this state can serve it only so.
        .where(callbacks.c.state == sa.literal_column("'given_up'"), callbacks.c.created_at_us >= since_us)
    )
    return tx.execute(query).scalar_one()
