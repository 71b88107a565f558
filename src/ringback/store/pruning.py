"""Removing what is older than it has to be: little at a time, found by index, never what somebody still works on."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.model.circuit import CircuitState
from ringback.model.ids import uuid7
from ringback.store import logins, media, parts, received_log
from ringback.store.callbacks import WITHOUT_MESSAGE
from ringback.store.port import Transaction
from ringback.store.schema import (
    attempts,
    auth_tokens,
    callback_queue,
    callbacks,
    conversions,
    early_receipts,
    endpoints,
    events,
    inbound_requests,
    inbound_results,
    messages,
    received_events,
    received_requests,
    replays,
    submissions,
    xml_replies,
)

Place = tuple[int, str]
"""Where among the messages, in the order of their age: ``queued_at_us`` and uuid."""

BEGINNING: Final[Place] = (-1, "")


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch of messages came to."""

    messages: int
    callbacks_given_up: int
    submissions_given_up: int
    next_place: Place | None
    """Where to go on; ``None`` when there is nothing old any more."""


def prune_messages(tx: Transaction, *, before_us: int, give_up_before_us: int, after: Place, limit: int) -> Pruned:
    """Look at up to ``limit`` messages accepted before ``before_us``, and remove those with all that belongs to them.

    A message stays while a callback of it is queued or its submission waits. One accepted before
    ``give_up_before_us`` loses both and goes.
    """
    query = (
        sa.select(messages.c.queued_at_us, messages.c.uuid)
        .where(
            messages.c.queued_at_us < before_us,
            messages.c.queued_at_us >= after[0],
            sa.tuple_(messages.c.queued_at_us, messages.c.uuid) > after,
        )
        .order_by(messages.c.queued_at_us, messages.c.uuid)
        .limit(limit)
        # A receipt that is being taken in, or another process's retention, has its messages to itself.
        .with_for_update(skip_locked=True)
    )
    found: list[Place] = [(row.queued_at_us, row.uuid) for row in tx.execute(query)]
    if not found:
        return Pruned(messages=0, callbacks_given_up=0, submissions_given_up=0, next_place=None)
    busy = _busy(tx, [uuid for _, uuid in found])
    hopeless = {uuid for at_us, uuid in found if at_us < give_up_before_us} & busy
    going = sorted({uuid for _, uuid in found} - (busy - hopeless) - _of_newest_event(tx))
    hopeless &= set(going)
    callbacks_given_up = submissions_given_up = 0
    if hopeless:
        callbacks_given_up = _delete(tx, callback_queue.c.message_uuid, sorted(hopeless))
        submissions_given_up = _delete(tx, submissions.c.message_uuid, sorted(hopeless))
    _remove(tx, going)
    return Pruned(
        messages=len(going),
        callbacks_given_up=callbacks_given_up,
        submissions_given_up=submissions_given_up,
        next_place=found[-1] if len(found) == limit else None,
    )


def _busy(tx: Transaction, uuids: Sequence[str]) -> set[str]:
    owing = sa.select(callback_queue.c.message_uuid).where(callback_queue.c.message_uuid.in_(uuids))
    waiting = sa.select(submissions.c.message_uuid).where(submissions.c.message_uuid.in_(uuids))
    ended = sa.select(inbound_results.c.message_uuid).where(inbound_results.c.message_uuid.in_(uuids))
    return {*tx.execute(owing).scalars(), *tx.execute(waiting).scalars(), *tx.execute(ended).scalars()}


def _of_newest_event(tx: Transaction) -> set[str]:
    # The log's offsets go on from its newest event, and so does the clock: it must not go before another one comes.
    return set(tx.execute(sa.select(events.c.message_uuid).order_by(events.c.id.desc()).limit(1)).scalars())


def _remove(tx: Transaction, uuids: Sequence[str]) -> None:
    owed = tx.execute(sa.select(callbacks.c.id).where(callbacks.c.message_uuid.in_(uuids))).scalars().all()
    _delete(tx, attempts.c.callback_id, owed)
    _delete(tx, callbacks.c.id, owed)
    _delete(tx, events.c.message_uuid, uuids)
    media.unlink(tx, uuids)
    parts.remove(tx, uuids)
    _delete(tx, inbound_results.c.message_uuid, uuids)
    _delete(tx, xml_replies.c.message_uuid, uuids)
    _delete(tx, conversions.c.message_uuid, uuids)
    _delete(tx, messages.c.uuid, uuids)


def _delete(tx: Transaction, column: sa.Column[str] | sa.Column[int], values: Iterable[str | int]) -> int:
    wanted = list(values)
    return tx.execute(column.table.delete().where(column.in_(wanted))).rowcount if wanted else 0


def prune_other_callbacks(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` ended callbacks without message from before ``before_us``; returns how many."""
    query = (
        sa.select(callbacks.c.id)
        .where(
            # Written out: the index that has them alone can serve it only so.
            callbacks.c.kind.in_(sa.literal_column(f"'{kind}'") for kind in WITHOUT_MESSAGE),
            callbacks.c.created_at_us < before_us,
            callbacks.c.state != "pending",
        )
        .order_by(callbacks.c.created_at_us)
        .limit(limit)
    )
    ids = tx.execute(query).scalars().all()
    _delete(tx, attempts.c.callback_id, ids)
    return _delete(tx, callbacks.c.id, ids)


def prune_received(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` requests that were received before ``before_us``; returns how many."""
    # Their ids are in the order of time, so that no further index is needed.
    query = (
        sa.select(received_requests.c.id)
        .where(
            received_requests.c.id < uuid7(max(before_us, 0), bytes(8)), received_requests.c.received_at_us < before_us
        )
        .order_by(received_requests.c.id)
        .limit(limit)
    )
    ids = tx.execute(query).scalars().all()
    received_log.forget(tx, ids)
    _delete(tx, received_events.c.request_id, ids)
    return _delete(tx, received_requests.c.id, ids)


def prune_early_receipts(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` receipts for which no submission came; returns how many."""
    query = (
        sa.select(early_receipts.c.id)
        .where(early_receipts.c.at_us < before_us)
        .order_by(early_receipts.c.at_us)
        .limit(limit)
    )
    return _delete(tx, early_receipts.c.id, tx.execute(query).scalars().all())


def prune_inbound_requests(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` simulated inbound messages that were asked for before ``before_us``; returns how many.

    Those that nobody has taken up are removed too: what is old is no test any more.
    """
    query = (
        sa.select(inbound_requests.c.id)
        .where(inbound_requests.c.id < uuid7(max(before_us, 0), bytes(8)))
        .order_by(inbound_requests.c.id)
        .limit(limit)
    )
    return _delete(tx, inbound_requests.c.id, tx.execute(query).scalars().all())


def prune_replays(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` replays that began before ``before_us`` and have ended; returns how many."""
    query = (
        sa.select(replays.c.id)
        .where(replays.c.id < uuid7(max(before_us, 0), bytes(8)), replays.c.due_at_us.is_(None))
        .order_by(replays.c.id)
        .limit(limit)
    )
    return _delete(tx, replays.c.id, tx.execute(query).scalars().all())


_REASONS_TO_STAY: Final = (
    "first_ready_at_us", "retry_ready_at_us", "concurrency", "rate_per_minute", "retry_delays", "keep_parked",
)  # fmt: skip
"""What is null at an endpoint that nobody waits for and nobody has given limits."""


class PrunedEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch of endpoints came to."""

    endpoints: int
    next_id: str | None
    """Where to go on; ``None`` when all have been looked at."""


def prune_endpoints(tx: Transaction, *, before_us: int, after: str, limit: int) -> PrunedEndpoints:
    """Look at up to ``limit`` endpoints with ids above ``after``, and remove those that are no different from new.

    Such a one works, has no limits of its own, is owed nothing, and no claim has looked into its queue since
    ``before_us``. Whoever owes it a callback meanwhile waits here, in ``endpoints.wake``, and makes it anew.
    """
    found = tx.execute(
        sa.select(endpoints.c.id).where(endpoints.c.id > after).order_by(endpoints.c.id).limit(limit)
    ).scalars()
    ids = list(found)
    idle = (
        sa.select(endpoints.c.id)
        .where(
            endpoints.c.id.in_(ids),
            endpoints.c.state == CircuitState.CLOSED.value,
            endpoints.c.looked_at_us < before_us,
            *(endpoints.c[name].is_(None) for name in _REASONS_TO_STAY),
        )
        .order_by(endpoints.c.id)
        # One that somebody is working for has a reason to stay.
        .with_for_update(skip_locked=True)
    )
    locked = list(tx.execute(idle).scalars())
    removed = 0
    if locked:
        # Asked under the locks: what is committed is seen, and what is not has yet to wake the endpoint, which waits.
        owed = sa.select(callback_queue.c.callback_id).where(
            callback_queue.c.endpoint_id == endpoints.c.id, callback_queue.c.due_at_us.is_not(None)
        )
        removed = tx.execute(endpoints.delete().where(endpoints.c.id.in_(locked), ~owed.exists())).rowcount
    return PrunedEndpoints(endpoints=removed, next_id=ids[-1] if len(ids) == limit else None)


def prune_expired(tx: Transaction, now_us: int) -> tuple[int, int]:
    """Remove login links, sessions and auth tokens that are valid no more; returns how many of each."""
    old_logins = logins.prune(tx, now_us)
    old_tokens = tx.execute(auth_tokens.delete().where(auth_tokens.c.expires_at_us <= now_us)).rowcount
    return old_logins, old_tokens
