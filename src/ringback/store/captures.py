"""Requests that bins have captured: stored with what they are answered, evicted first in, first out.

A bin's row is locked while captures are added to it or removed. So its numbers are in the order of the commits: whoever
has read all up to a number misses none by going on after it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote_plus

import msgspec
import sqlalchemy as sa

from ringback.store import bins, bulk
from ringback.store.bins import Bin
from ringback.store.port import Transaction
from ringback.store.schema_bins import bins as bins_table
from ringback.store.schema_bins import captures

Cut = Literal["", "too_large", "timeout", "disconnected"]
"""Why the body of a request is not whole."""

EVICTED_AT_ONCE: Final = 500


class NewCapture(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be stored."""

    bin: str
    """The bin's name."""
    received_at_us: int
    method: str
    path: str
    query: str
    headers: str
    """JSON list of (name, value) pairs in the order in which they came."""
    body: bytes
    cut: Cut
    peer: str
    group_key: str

    @property
    def size(self) -> int:
        """Bytes that count towards the bin's cap."""
        return len(self.body) + len(self.headers) + len(self.path) + len(self.query) + 200


class Planned(msgspec.Struct, frozen=True):
    """What a request is answered."""

    answer: str
    status: int | None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A capture but for its body."""

    bin_id: str
    number: int
    received_at_us: int
    method: str
    path: str
    query: str
    headers: str
    cut: Cut
    size: int
    peer: str
    group_key: str
    attempt: int
    """Which of the bin's requests that say the same, from 1."""
    answer: str
    answered_status: int | None
    duration_us: int | None
    outcome: str
    """How answering ended; empty until then."""
    body_size: int


class Capture(Head, frozen=True, kw_only=True):
    """A capture with its body."""

    body: bytes


class Stored(msgspec.Struct, frozen=True):
    """Where a capture was put, and the bin at that time."""

    bin: Bin
    number: int
    attempt: int
    planned: Planned


Decide = Callable[[Bin, int, int, NewCapture], Planned]
"""Gets the bin, how many requests its script has answered, which attempt this is, and the request."""


def store(tx: Transaction, new: Sequence[NewCapture], decide: Decide) -> list[Stored | None]:
    """Store requests with what they are answered, in order, and evict what is over the caps of their bins.

    Gives ``None`` for one whose bin is not there any more.
    """
    found = bins.lock(tx, sorted({item.bin for item in new}))
    attempts = _attempts(tx, new, found)
    results: list[Stored | None] = []
    rows: list[dict[str, Any]] = []
    added: dict[str, list[NewCapture]] = defaultdict(list)
    for item in new:
        known = found.get(item.bin)
        if known is None:
            results.append(None)
            continue
        added[item.bin].append(item)
        number = known.last_number + len(added[item.bin])
        attempt = attempts.get((known.id, item.group_key), 0) + 1
        attempts[known.id, item.group_key] = attempt
        planned = decide(known, number - known.script_from - 1, attempt, item)
        results.append(Stored(known, number, attempt, planned))
        rows.append(_row(known, number, attempt, planned, item))
    bulk.insert(tx, captures, rows)
    for name, items in added.items():
        _settle(tx, found[name], items)
    return results


def _attempts(tx: Transaction, new: Sequence[NewCapture], found: dict[str, Bin]) -> dict[tuple[str, str], int]:
    highest: dict[tuple[str, str], int] = {}
    wanted: dict[str, set[str]] = defaultdict(set)
    for item in new:
        if item.bin in found:
            wanted[found[item.bin].id].add(item.group_key)
    for bin_id, keys in wanted.items():
        for row in tx.execute(_HIGHEST, {"bin": bin_id, "keys": sorted(keys)}):
            highest[bin_id, row.group_key] = row.attempt
    return highest


def _row(known: Bin, number: int, attempt: int, planned: Planned, item: NewCapture) -> dict[str, Any]:
    return {
        "bin_id": known.id,
        "number": number,
        "received_at_us": item.received_at_us,
        "method": item.method,
        "path": item.path,
        "query": item.query,
        "headers": item.headers,
        "body": item.body,
        "cut": item.cut,
        "size": item.size,
        "peer": item.peer,
        "group_key": item.group_key,
        "attempt": attempt,
        "answer": planned.answer,
        "answered_status": planned.status,
        "duration_us": None,
        "outcome": "",
    }


def _settle(tx: Transaction, known: Bin, added: Sequence[NewCapture]) -> None:
    last_number = known.last_number + len(added)
    held = known.captures + len(added)
    held_bytes = known.bytes + sum(item.size for item in added)
    while held > 1 and (held > known.max_captures or held_bytes > known.max_bytes):
        gone = up_to = 0
        for row in tx.execute(_OLDEST, {"bin": known.id, "most": EVICTED_AT_ONCE}):
            if held <= 1 or (held <= known.max_captures and held_bytes <= known.max_bytes):
                break
            gone, up_to = gone + 1, row.number
            held, held_bytes = held - 1, held_bytes - row.size
        if not gone:
            break
        tx.execute(_EVICT, {"bin": known.id, "up_to": up_to})
    bins.note_contents(tx, known.id, last_number=last_number, captures=held, held_bytes=held_bytes)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How answering a request ended."""

    bin_id: str
    number: int
    duration_us: int
    outcome: str


def note_answered(tx: Transaction, answered: Sequence[Answered]) -> None:
    """Note how answering ended; what is evicted meanwhile is passed over."""
    rows = [
        {"bin": item.bin_id, "wanted": item.number, "took_us": item.duration_us, "ended": item.outcome}
        # In one order for everybody who notes several.
        for item in sorted(answered, key=lambda item: (item.bin_id, item.number))
    ]
    tx.execute(_ANSWERED, rows)


def one(tx: Transaction, bin_id: str, number: int) -> Capture | None:
    """Return a capture."""
    row = tx.execute(_ONE, {"bin": bin_id, "wanted": number}).one_or_none()
    return Capture(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's public name


def after(tx: Transaction, bin_id: str, number: int, *, limit: int) -> list[Head]:
    """Return the captures that follow the one of ``number``, oldest first."""
    query = _HEADS.where(captures.c.bin_id == bin_id, captures.c.number > number).order_by(captures.c.number)
    return _heads(tx, query.limit(limit))


def whole_after(tx: Transaction, bin_id: str, number: int, *, limit: int) -> list[Capture]:
    """Do as ``after`` does, with bodies."""
    query = _WHOLE.where(captures.c.bin_id == bin_id, captures.c.number > number).order_by(captures.c.number)
    return [Capture(**row._mapping) for row in tx.execute(query.limit(limit))]  # noqa: SLF001


def newest_whole(tx: Transaction, bin_id: str, *, limit: int, max_bytes: int) -> list[Capture]:
    """Return the newest captures with bodies, oldest first: up to ``limit``, and up to ``max_bytes`` of them."""
    sizes = sa.select(captures.c.number, captures.c.size).where(captures.c.bin_id == bin_id)
    first, left = None, max_bytes
    for number, size in tx.execute(sizes.order_by(captures.c.number.desc()).limit(limit)):
        left -= size
        if left < 0:
            break
        first = number
    return [] if first is None else whole_after(tx, bin_id, first - 1, limit=limit)


def count_after(tx: Transaction, bin_id: str, number: int, *, most: int) -> int:
    """Count the captures that follow the one of ``number``, up to ``most``."""
    some = sa.select(captures.c.number).where(captures.c.bin_id == bin_id, captures.c.number > number).limit(most)
    return tx.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar() or 0


def newest(
    tx: Transaction, bin_id: str, *, before: int | None = None, after: int | None = None, text: str = "", limit: int
) -> list[Head]:
    """Return the newest captures, those between the numbers ``after`` and ``before``, with ``text`` somewhere in them.

    The text is looked for as it stands, in body, headers and target, and as a form would have it.
    """
    query = _HEADS.where(captures.c.bin_id == bin_id).order_by(captures.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(captures.c.number < before)
    if after is not None:
        query = query.where(captures.c.number > after)
    if text:
        query = query.where(sa.or_(*_mentions(tx, text)))
    return _heads(tx, query)


def heads(tx: Transaction, bin_id: str, numbers: Sequence[int]) -> list[Head]:
    """Return the captures of these numbers that are there."""
    if not numbers:
        return []
    return _heads(tx, _HEADS.where(captures.c.bin_id == bin_id, captures.c.number.in_(numbers)))


def oldest_number(tx: Transaction, bin_id: str) -> int:
    """Return the number of the oldest capture; 0 when there is none."""
    return tx.execute(sa.select(sa.func.min(captures.c.number)).where(captures.c.bin_id == bin_id)).scalar() or 0


def group(tx: Transaction, bin_id: str, key: str, *, limit: int) -> list[Head]:
    """Return the captures that say the same, oldest first."""
    query = _HEADS.where(captures.c.bin_id == bin_id, captures.c.group_key == key)
    return _heads(tx, query.order_by(captures.c.attempt).limit(limit))


def clear(tx: Transaction, name: str, *, limit: int) -> int:
    """Remove up to ``limit`` captures of a bin, oldest first; returns how many."""
    known = bins.lock(tx, [name]).get(name)
    if known is None:
        return 0
    oldest = tx.execute(_OLDEST, {"bin": known.id, "most": limit}).all()
    return _remove(tx, known, oldest)


def prune(tx: Transaction, *, now_us: int, limit: int) -> int:
    """Remove up to ``limit`` captures that are older than their bins keep them; returns how many."""
    gone = 0
    while gone < limit and (name := tx.execute(_OVERDUE, {"now_us": now_us}).scalar()) is not None:
        known = bins.lock(tx, [name]).get(name)
        if known is None:
            break
        before_us = now_us - known.retention_s * 1_000_000
        old = tx.execute(_OLD, {"bin": known.id, "before_us": before_us, "most": limit - gone}).all()
        if not old:
            # Somebody else has removed them, or the bin keeps them longer now.
            break
        gone += _remove(tx, known, old)
    return gone


def _remove(tx: Transaction, known: Bin, rows: Sequence[Any]) -> int:
    if rows:
        tx.execute(_REMOVE, {"bin": known.id, "gone": [row.number for row in rows]})
        bins.note_contents(
            tx,
            known.id,
            last_number=known.last_number,
            captures=known.captures - len(rows),
            held_bytes=known.bytes - sum(row.size for row in rows),
        )
    return len(rows)


def _mentions(tx: Transaction, text: str) -> list[sa.ColumnElement[bool]]:
    # Text is kept as it came over the wire, byte for byte in Latin-1.
    as_it_stands = text.encode("utf-8", "replace")
    kept, quoted = as_it_stands.decode("latin-1"), quote_plus(as_it_stands)
    found = [
        _in_body(tx, as_it_stands),
        _in_text(tx, captures.c.path, kept),
        _in_text(tx, captures.c.query, kept),
        _in_text(tx, captures.c.headers, msgspec.json.encode(kept).decode()[1:-1]),
    ]
    if quoted != kept:
        found += [_in_body(tx, quoted.encode()), _in_text(tx, captures.c.query, quoted)]
    return found


def _in_text(tx: Transaction, column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    if tx.dialect.name == "sqlite":
        # Several times as fast as instr, which goes byte by byte. It ends at a NUL, which none of these columns has.
        pattern = "".join(f"[{each}]" if each in "*?[" else each for each in text)
        return column.op("GLOB")(f"*{pattern}*")
    return sa.func.strpos(column, text) > 0


def _in_body(tx: Transaction, form: bytes) -> sa.ColumnElement[bool]:
    wanted = sa.literal(form, sa.LargeBinary)
    if tx.dialect.name == "sqlite":
        return sa.func.instr(captures.c.body, wanted) > 0
    return sa.func.position(wanted.op("IN")(captures.c.body)) > 0


def _heads(tx: Transaction, query: Any) -> list[Head]:
    return [Head(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


_BIN: Final = captures.c.bin_id == sa.bindparam("bin")
_BODY_SIZE: Final = sa.func.length(captures.c.body).label("body_size")
_HEADS: Final = sa.select(*(column for column in captures.c if column.name != "body"), _BODY_SIZE)
_WHOLE: Final = sa.select(captures, _BODY_SIZE)
_ONE: Final = _WHOLE.where(_BIN, captures.c.number == sa.bindparam("wanted"))
_OLDEST: Final = (
    sa.select(captures.c.number, captures.c.size).where(_BIN).order_by(captures.c.number).limit(sa.bindparam("most"))
)
# From bin to bin, each by its own index: there are few bins, and many captures.
_OVERDUE: Final = (
    sa.select(bins_table.c.name)
    .where(
        bins_table.c.id > "",
        bins_table.c.retention_s > 0,
        sa.exists().where(
            captures.c.bin_id == bins_table.c.id,
            captures.c.received_at_us
            < sa.bindparam("now_us", type_=sa.BigInteger) - bins_table.c.retention_s * 1_000_000,
        ),
    )
    .order_by(bins_table.c.id)
    .limit(1)
)
_OLD: Final = (
    sa.select(captures.c.number, captures.c.size)
    .where(_BIN, captures.c.received_at_us < sa.bindparam("before_us", type_=sa.BigInteger))
    .order_by(captures.c.received_at_us)
    .limit(sa.bindparam("most"))
)
_EVICT: Final = captures.delete().where(_BIN, captures.c.number <= sa.bindparam("up_to"))
_REMOVE: Final = captures.delete().where(_BIN, captures.c.number.in_(sa.bindparam("gone", expanding=True)))
_HIGHEST: Final = (
    sa.select(captures.c.group_key, sa.func.max(captures.c.attempt).label("attempt"))
    .where(_BIN, captures.c.group_key.in_(sa.bindparam("keys", expanding=True)))
    .group_by(captures.c.group_key)
)
_ANSWERED: Final = (
    captures.update()
    .where(_BIN, captures.c.number == sa.bindparam("wanted"))
    .values(duration_us=sa.bindparam("took_us"), outcome=sa.bindparam("ended"))
)
