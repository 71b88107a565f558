"""Finding callbacks by any filter, and sending them once more.

A resend is a callback of its own, with the same parameters and a plan that begins anew; the one it repeats stays as
it is. Ids are in time order, so lists and bounds in time go by id.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId, made_at_ms, uuid7
from ringback.model.redaction import redactor
from ringback.store import callbacks as store
from ringback.store import messages
from ringback.store.callbacks import Callback, NewCallback
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import attempts, callback_queue, callbacks

LOOK_AT: Final = 10_000
"""Callbacks that one look for those that match reads at most."""
COUNT_AMONG: Final = 100_000
"""So many callbacks are looked at to count those that match."""


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


class Survey(msgspec.Struct, frozen=True):
    """How many callbacks a filter takes, and the oldest of them."""

    total: int
    counted_all: bool
    """Whether that is all; else there are at least so many."""
    first: list[Callback]


def redacted(tx: Transaction, found: Sequence[Callback]) -> list[Callback]:
    """Return callbacks as they may be shown: URLs can have a number in them that its message hides."""
    about = messages.by_uuid(tx, [callback.message_uuid for callback in found])
    shown = []
    for callback in found:
        redact = redactor(about.get(callback.message_uuid))
        shown.append(msgspec.structs.replace(callback, url=redact(callback.url), endpoint=redact(callback.endpoint)))
    return shown


def survey(tx: Transaction, wanted: Filter, *, show: int = 0, look_at: int = COUNT_AMONG) -> Survey:
    """Count the callbacks of a filter among the oldest ``look_at`` that it may take, and return the first ``show``."""
    walk = _walk(wanted, newest_first=False)
    matching = _matching(walk.limit(look_at), wanted)
    total = tx.execute(sa.select(sa.func.count()).select_from(matching.subquery())).scalar_one()
    _, is_there_more = _end(tx, walk, look_at)
    ids = tx.execute(matching.order_by("id").limit(show)).scalars().all() if show else ()
    found = tx.execute(sa.select(callbacks).where(callbacks.c.id.in_(ids)).order_by(callbacks.c.id)) if ids else ()
    return Survey(total, not is_there_more, [Callback(**row._mapping) for row in found])  # noqa: SLF001


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
    """What a look at callbacks has found."""

    ids: list[str]
    end: str | None
    """The id after which to go on; ``None`` when everything has been looked at."""


def stretch(tx: Transaction, wanted: Filter, *, after: str, limit: int, look_at: int = LOOK_AT) -> Stretch:
    """Return the oldest callbacks of a filter with ids above ``after``, looking at ``look_at`` callbacks at most."""
    within = [*_bounds(wanted, callbacks.c.id), callbacks.c.id > after]
    if wanted.account_id is not None:
        within.append(callbacks.c.account_id == wanted.account_id)
    last = sa.select(callbacks.c.id).where(*within).order_by(callbacks.c.id).limit(1).offset(look_at - 1)
    end = tx.execute(last).scalar_one_or_none()
    query = sa.select(callbacks.c.id).where(*_conditions(wanted), callbacks.c.id > after)
    if end is not None:
        query = query.where(callbacks.c.id <= end)
    ids = list(tx.execute(query.order_by(callbacks.c.id).limit(limit)).scalars())
    return Stretch(ids, ids[-1] if len(ids) == limit else end)


def newest(
    tx: Transaction, wanted: Filter, *, limit: int, before: str | None = None, look_at: int = LOOK_AT
) -> Stretch:
    """Return the newest callbacks of a filter with ids below ``before``, looking at ``look_at`` callbacks at most."""
    walk = _walk(wanted, newest_first=True, before=before)
    query = _matching(walk.limit(look_at), wanted).order_by(sa.desc("id")).limit(limit)
    ids = list(tx.execute(query).scalars())
    if len(ids) == limit:
        return Stretch(ids, ids[-1])
    end, is_there_more = _end(tx, walk, look_at)
    return Stretch(ids, end if is_there_more else None)


def listed(
    tx: Transaction, wanted: Filter, *, limit: int, before: str | None = None, look_at: int = LOOK_AT
) -> tuple[list[Callback], str | None]:
    """Return the newest callbacks of a filter as they may be shown, and the id before which to go on.

    It looks at ``look_at`` callbacks at most: there may be less than ``limit`` of them, and more to come all the same.
    """
    look = newest(tx, wanted, limit=limit, before=before, look_at=look_at)
    if not look.ids:
        return [], look.end
    query = sa.select(callbacks).where(callbacks.c.id.in_(look.ids)).order_by(callbacks.c.id.desc())
    return redacted(tx, [Callback(**row._mapping) for row in tx.execute(query)]), look.end  # noqa: SLF001


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
        message_uuid=callback_id if callback.kind in store.WITHOUT_MESSAGE else callback.message_uuid,
        sequence=callback.sequence,
        url=callback.url,
        method=callback.method,
        endpoint=callback.endpoint,
        params=callback.params,
        created_at_us=now_us,
        # Of a resend, the first of the row: what counts is whose parameters they are.
        resend_of=callback.resend_of or callback.id,
        retry_delays=callback.retry_delays,
        kind=callback.kind,
    )


def _walk(wanted: Filter, *, newest_first: bool, before: str | None = None) -> sa.Select[Any]:
    """Return the callbacks among which to look for those of a filter, in order of time, as one index has them."""
    columns = callbacks.c
    asked = sa.select(
        columns.id,
        columns.account_id,
        columns.message_uuid,
        columns.endpoint,
        columns.state,
        columns.created_at_us,
        columns.resend_of,
    )
    id_: sa.ColumnElement[str] = columns.id
    message_uuid: sa.ColumnElement[str] = columns.message_uuid
    order: list[sa.ColumnElement[Any]] = [id_]
    within: list[sa.ColumnElement[bool]] = []
    if wanted.state == "pending":
        # Only these are queued.
        id_, message_uuid = callback_queue.c.callback_id, callback_queue.c.message_uuid
        asked = asked.select_from(callback_queue.join(callbacks, columns.id == id_))
        order = [id_]
    if wanted.message_uuid is not None:
        within.append(message_uuid == wanted.message_uuid)
    elif wanted.state == "given_up":
        # These have an index of their own, by time; bounds of ids would only tempt to read all callbacks between them.
        within += [columns.state == sa.literal_column("'given_up'"), *_times(wanted, callbacks, before)]
        order = [columns.created_at_us, id_]
    elif wanted.state != "pending" and wanted.account_id is not None:
        within.append(columns.account_id == wanted.account_id)
    if wanted.state != "given_up":
        within += _bounds(wanted, id_)
    if before is not None:
        within.append(id_ < before)
    return asked.where(*within).order_by(*(each.desc() if newest_first else each for each in order))


def _matching(walk: sa.Select[Any], wanted: Filter) -> sa.Select[Any]:
    """Return the ids of a filter's callbacks among those that ``walk`` gives."""
    walked = walk.subquery("walked")
    return sa.select(walked.c.id).where(*_conditions(wanted, walked))


def _end(tx: Transaction, walk: sa.Select[Any], look_at: int) -> tuple[str | None, bool]:
    """Return the last id of a look and whether others follow it; ``None`` when it came to the end."""
    found = tx.execute(walk.with_only_columns(walk.selected_columns.id).limit(2).offset(look_at - 1)).scalars().all()
    return (found[0] if found else None), len(found) > 1


def _times(wanted: Filter, rows: sa.FromClause, before: str | None = None) -> list[sa.ColumnElement[bool]]:
    times: list[sa.ColumnElement[bool]] = []
    if wanted.since_us is not None:
        times.append(rows.c.created_at_us >= wanted.since_us)
    if wanted.until_us is not None:
        times.append(rows.c.created_at_us < wanted.until_us)
    if before is not None:
        times.append(rows.c.created_at_us < made_at_ms(before) * 1000 + 1000)
    return times


def _conditions(wanted: Filter, rows: sa.FromClause = callbacks) -> list[sa.ColumnElement[bool]]:
    equal = {
        rows.c.account_id: wanted.account_id,
        rows.c.message_uuid: wanted.message_uuid,
        rows.c.endpoint: wanted.endpoint,
    }
    conditions: list[sa.ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.state is not None:
        # Written out where it is known: a partial index can serve it only so.
        given_up = wanted.state == "given_up"
        conditions.append(rows.c.state == (sa.literal_column("'given_up'") if given_up else wanted.state))
    conditions += _bounds(wanted, rows.c.id) + _times(wanted, rows)
    if wanted.ended:
        conditions.append(rows.c.state != "pending")
    if wanted.not_resent:
        copies = callbacks.alias("copies")
        again = sa.select(copies.c.id).where(copies.c.resend_of == rows.c.id).exists()
        conditions += [rows.c.resend_of.is_(None), ~again]
    return conditions


def _bounds(wanted: Filter, id_: sa.ColumnElement[str]) -> list[sa.ColumnElement[bool]]:
    """Return the bounds in time as bounds of ids, exact to the millisecond."""
    bounds: list[sa.ColumnElement[bool]] = []
    if wanted.since_us is not None:
        bounds.append(id_ >= _first_id(wanted.since_us))
    if wanted.until_us is not None:
        bounds.append(id_ < _first_id(wanted.until_us + 1000))
    return bounds


def _first_id(at_us: int) -> str:
    """Return an id no later than any that was made in the millisecond of ``at_us`` or after it."""
    return uuid7(max(at_us, 0) // 1000 * 1000, b"\x00" * 8)
