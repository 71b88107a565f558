"""Finding callbacks by any filter, and sending them once more.

A resend is a callback of its own, with the same parameters and a plan that begins anew; the one it repeats stays as
it is. Ids are in time order, so lists and bounds in time go by id.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId, uuid7
from ringback.store import callbacks as store
from ringback.store.callbacks import Callback, NewCallback
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import attempts, callbacks

LOOK_AT: Final = 10_000
"""Callbacks that one look for those that match reads at most."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which callbacks; ``None`` takes all."""

    account_id: str | None = None
    message_uuid: str | None = None
    endpoint: str | None = None
    """Scheme, host and port."""
    state: str | None = None
    """``pending``, ``delivered`` or ``given_up``."""
    since_us: int | None = None
    """When they became owed, inclusive."""
    until_us: int | None = None
    """Exclusive."""
    ended: bool = False
    """Only those that are delivered or given up."""
    not_resent: bool = False
    """Only those that are no resend, and that nobody has sent once more."""


def search(tx: Transaction, wanted: Filter, *, limit: int, before: str | None = None) -> list[Callback]:
    """Return callbacks newest first, older than the id ``before``."""
    # The same order twice; this one is that of the index that holds given-up callbacks alone.
    is_rare = wanted.state == "given_up" and wanted.account_id is None
    newest = [callbacks.c.created_at_us.desc()] if is_rare else []
    query = sa.select(callbacks).where(*_conditions(wanted)).order_by(*newest, callbacks.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(callbacks.c.id < before)
    return [Callback(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def oldest(tx: Transaction, wanted: Filter, *, limit: int) -> list[Callback]:
    """Return the first callbacks of a filter."""
    query = sa.select(callbacks).where(*_conditions(wanted)).order_by(callbacks.c.id).limit(limit)
    return [Callback(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def count(tx: Transaction, wanted: Filter) -> int:
    """Return how many callbacks there are."""
    return tx.execute(sa.select(sa.func.count()).select_from(callbacks).where(*_conditions(wanted))).scalar_one()


def find(tx: Transaction, callback_id: str, *, account_id: str | None = None) -> tuple[Callback, list[store.Attempt]]:
    """Return a callback with its attempts. Raises ``NotFound``, also for one of another account."""
    row = tx.execute(sa.select(callbacks).where(callbacks.c.id == callback_id)).one_or_none()
    if row is None or account_id not in (None, row.account_id):
        raise NotFound(f"there is no callback {callback_id[:64]}")
    made = sa.select(attempts).where(attempts.c.callback_id == callback_id).order_by(attempts.c.number)
    return Callback(**row._mapping), [store.Attempt(**each._mapping) for each in tx.execute(made)]  # noqa: SLF001


def resend(tx: Transaction, ids: Sequence[str], *, new_id: NewId, now_us: int) -> list[str]:
    """Send callbacks once more, now; returns the ids of the new ones in the order of ``ids``.

    Raises ``NotFound``, or ``InvalidRequest`` for one that is still being tried; then none is sent.
    """
    query = sa.select(callbacks).where(callbacks.c.id.in_(ids))
    found = {row.id: Callback(**row._mapping) for row in tx.execute(query)}  # noqa: SLF001
    for callback_id in ids:
        if callback_id not in found:
            raise NotFound(f"there is no callback {callback_id[:64]}")
        if found[callback_id].state == "pending":
            raise InvalidRequest(f"callback {callback_id} is still being tried")
    new = [_again(found[callback_id], new_id(now_us), now_us) for callback_id in ids]
    store.owe(tx, new)
    return [callback.id for callback in new]


class Stretch(msgspec.Struct, frozen=True):
    """What a look at callbacks, oldest first, has found."""

    ids: list[str]
    end: str | None
    """The id after which to go on; ``None`` when everything has been looked at."""


def stretch(tx: Transaction, wanted: Filter, *, after: str, limit: int, look_at: int = LOOK_AT) -> Stretch:
    """Return the oldest callbacks of a filter with ids above ``after``, looking at ``look_at`` callbacks at most."""
    within = [*_bounds(wanted), callbacks.c.id > after]
    if wanted.account_id is not None:
        within.append(callbacks.c.account_id == wanted.account_id)
    last = sa.select(callbacks.c.id).where(*within).order_by(callbacks.c.id).limit(1).offset(look_at - 1)
    end = tx.execute(last).scalar_one_or_none()
    query = sa.select(callbacks.c.id).where(*_conditions(wanted), callbacks.c.id > after)
    if end is not None:
        query = query.where(callbacks.c.id <= end)
    ids = list(tx.execute(query.order_by(callbacks.c.id).limit(limit)).scalars())
    return Stretch(ids, ids[-1] if len(ids) == limit else end)


def resend_those_left(tx: Transaction, wanted: Filter, ids: Sequence[str], *, new_id: NewId, now_us: int) -> list[str]:
    """Send once more, now, those of ``ids`` that still match; returns the ids of the new ones.

    Others that do the same meanwhile, and go by ``not_resent``, do not send one of them as well.
    """
    if wanted.not_resent:
        one_at_a_time(tx, "replay")
    query = sa.select(callbacks.c.id).where(
        callbacks.c.id.in_(ids), *_conditions(wanted), callbacks.c.state != "pending"
    )
    left = list(tx.execute(query.order_by(callbacks.c.id)).scalars())
    return resend(tx, left, new_id=new_id, now_us=now_us)


def _again(callback: Callback, callback_id: str, now_us: int) -> NewCallback:
    return NewCallback(
        id=callback_id,
        account_id=callback.account_id,
        message_uuid=callback.message_uuid,
        sequence=callback.sequence,
        url=callback.url,
        method=callback.method,
        endpoint=callback.endpoint,
        params=callback.params,
        created_at_us=now_us,
        # Of a resend, the first of the row: what counts is whose parameters they are.
        resend_of=callback.resend_of or callback.id,
        retry_delays=callback.retry_delays,
    )


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    equal = {
        callbacks.c.account_id: wanted.account_id,
        callbacks.c.message_uuid: wanted.message_uuid,
        callbacks.c.endpoint: wanted.endpoint,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.state is not None:
        # Written out where it is known: a partial index can serve it only so.
        given_up = wanted.state == "given_up"
        conditions.append(callbacks.c.state == (sa.literal_column("'given_up'") if given_up else wanted.state))
    conditions += _bounds(wanted)
    if wanted.since_us is not None:
        conditions.append(callbacks.c.created_at_us >= wanted.since_us)
    if wanted.until_us is not None:
        conditions.append(callbacks.c.created_at_us < wanted.until_us)
    if wanted.ended:
        conditions.append(callbacks.c.state != "pending")
    if wanted.not_resent:
        copies = callbacks.alias("copies")
        again = sa.select(copies.c.id).where(copies.c.resend_of == callbacks.c.id).exists()
        conditions += [callbacks.c.resend_of.is_(None), ~again]
    return conditions


def _bounds(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """Return the bounds in time as bounds of ids, exact to the millisecond."""
    bounds: list[sa.ColumnElement[bool]] = []
    if wanted.since_us is not None:
        bounds.append(callbacks.c.id >= _first_id(wanted.since_us))
    if wanted.until_us is not None:
        bounds.append(callbacks.c.id < _first_id(wanted.until_us + 1000))
    return bounds


def _first_id(at_us: int) -> str:
    """Return an id no later than any that was made in the millisecond of ``at_us`` or after it."""
    return uuid7(max(at_us, 0) // 1000 * 1000, b"\x00" * 8)
