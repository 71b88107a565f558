"""The calendars of accounts and senders with a limited rate (``model.pace``): slots are given in the transaction that
accepts their messages.

Whoever takes slots of a calendar holds its row until the commit, in the order of the keys and before anything that
others wait for. So two processes that accept for one account give different slots, in the order of their commits.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.pace import Calendar, Gap, take
from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema_limits import pacing


class Lane(msgspec.Struct, frozen=True):
    """A calendar, and how far apart its slots are."""

    key: str
    interval_us: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A message that needs a slot."""

    at_us: int
    """When it was accepted."""
    until_us: int
    """When it expires."""
    account: Lane | None
    source: Lane | None


_KEYS: Final[sa.BindParameter[str]] = sa.bindparam("keys", expanding=True)
_LOCKED: Final = sa.select(pacing).where(pacing.c.key.in_(_KEYS)).order_by(pacing.c.key).with_for_update()
_decode_gaps: Final = msgspec.json.Decoder(tuple[Gap, ...]).decode
_encode: Final = msgspec.json.Encoder().encode


def reserve(tx: Transaction, wanted: Sequence[Wanted]) -> list[int]:
    """Return for each message when it may go.

    One that would have to wait until after its expiry gets the time of that, and takes no slot away.
    """
    calendars = _locked(tx, {lane.key for each in wanted for lane in (each.account, each.source) if lane})
    before = dict(calendars)
    slots = [_slot(calendars, each) for each in wanted]
    changed = [
        {"key": key, "next_free_at_us": calendar.next_free_at_us, "gaps": _encode(calendar.gaps).decode()}
        for key, calendar in calendars.items()
        if calendar is not before[key]
    ]
    bulk.update(tx, pacing, changed, key="key")
    return slots


def _slot(calendars: dict[str, Calendar], wanted: Wanted) -> int:
    slot_us = wanted.at_us
    after = {}
    if wanted.source is not None:
        slot_us = max(slot_us, calendars[wanted.source.key].next_free_at_us)
    if wanted.account is not None:
        lane = wanted.account
        slot_us, after[lane.key] = take(calendars[lane.key], slot_us, lane.interval_us, now_us=wanted.at_us)
    if wanted.source is not None:
        after[wanted.source.key] = Calendar(slot_us + wanted.source.interval_us)
    if slot_us >= wanted.until_us:
        return wanted.until_us
    calendars |= after
    return slot_us


def _locked(tx: Transaction, keys: Iterable[str]) -> dict[str, Calendar]:
    ordered = sorted(keys)
    known = _read(tx, ordered)
    if missing := [key for key in ordered if key not in known]:
        # Somebody else may be adding them too: waits for their commit, after which the rows are theirs and ours. Each
        # is locked before the next is added: who has the first of them may be about to add the next one.
        for key in missing:
            tx.exec_driver_sql(_insert(tx), (key,))
            known |= _read(tx, [key])
    return known


def _insert(tx: Transaction) -> str:
    mark = "?" if tx.dialect.paramstyle == "qmark" else "%s"
    return f"INSERT INTO pacing (key, next_free_at_us, gaps) VALUES ({mark}, 0, '[]') ON CONFLICT DO NOTHING"  # noqa: S608


def _read(tx: Transaction, ordered: Sequence[str]) -> dict[str, Calendar]:
    rows: Iterable[Any] = tx.execute(_LOCKED, {"keys": list(ordered)})
    return {row.key: Calendar(row.next_free_at_us, _decode_gaps(row.gaps)) for row in rows}


def prune(tx: Transaction, *, before_us: int, after: str, limit: int) -> tuple[int, str | None]:
    """Look at up to ``limit`` calendars with keys above ``after``, and remove those with nothing after ``before_us``.

    Returns how many went, and where to go on; ``None`` when all have been looked at.
    """
    query = sa.select(pacing).where(pacing.c.key > after).order_by(pacing.c.key).limit(limit)
    # One that somebody takes slots of stays.
    found = tx.execute(query.with_for_update(skip_locked=True)).all()
    idle = [row.key for row in found if row.next_free_at_us < before_us]
    if idle:
        tx.execute(pacing.delete().where(pacing.c.key.in_(idle)))
    return len(idle), found[-1].key if len(found) == limit else None
