"""What the callbacks of a source tell about themselves: copies, order, and what never came."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.vocabulary import ENDS, RANK, THEIRS, Word
from ringback.store.port import Transaction
from ringback.store.received import RECONCILED
from ringback.store.schema import received_events, received_requests


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a source has sent within a time."""

    source: str
    requests: int
    refused: dict[str, int]
    """Refused requests by verdict."""
    messages: int
    statuses: dict[str, int]
    """Callbacks by the provider's word, copies left out."""
    duplicates: int
    out_of_order: int
    """Came after one with a higher ``Sequence``."""
    late: int
    """Came without a ``Sequence`` after a word of higher rank."""
    reconciled: int
    """Filled in from the provider's list by ``ringback reconcile``; counted among the statuses, not the requests."""
    without_sent: int
    """Messages that were delivered or undelivered, and of which ``sent`` never came."""
    sequence_gaps: int
    """Messages of which a ``Sequence`` below the highest never came."""
    contradicting: int
    """Messages that ended in more than one way."""
    unfinished: int
    """Outbound messages of which no end has come."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A message of which something never came."""

    source: str
    message_uuid: str
    first_at_us: int
    highest_sequence: int | None
    sequences: int
    """How many different ones came."""
    without_sent: bool


def _words(*wanted: Word) -> list[str]:
    return sorted(word for word, ours in THEIRS.items() if ours in wanted)


_SENT: Final = _words(Word.SENT)
_RECEIPTS: Final = _words(Word.DELIVERED, Word.UNDELIVERED)
_ENDS: Final = _words(*ENDS)
_READ: Final = _words(Word.READ)
_RECEIVED: Final = _words(Word.RECEIVED)


def reports(tx: Transaction, *, since_us: int = 0) -> list[Report]:
    """Report on every source that has sent anything since a time, by name."""
    found: dict[str, dict[str, Any]] = {}
    of = received_requests.c
    query = (
        sa.select(of.source, of.accepted, of.verdict, sa.func.count())
        .where(of.received_at_us >= since_us)
        .group_by(of.source, of.accepted, of.verdict)
    )
    for source, accepted, verdict, total in tx.execute(query):
        facts = found.setdefault(source, {"source": source, "requests": 0, "refused": {}, "statuses": {}})
        if verdict == RECONCILED:
            continue
        facts["requests"] += total
        if not accepted:
            facts["refused"][verdict] = total
    said = received_events.c
    flags = (
        sa.select(said.source, said.flag, said.status, sa.func.count())
        .where(said.received_at_us >= since_us)
        .group_by(said.source, said.flag, said.status)
    )
    counts: dict[tuple[str, str], int] = {}
    for source, flag, status, total in tx.execute(flags):
        counts[source, flag] = counts.get((source, flag), 0) + total
        if flag != "duplicate":
            statuses = found[source]["statuses"]
            statuses[status] = statuses.get(status, 0) + total
    gaps = {row.source: row._mapping for row in tx.execute(_gaps(since_us))}  # noqa: SLF001 - SQLAlchemy's public name
    nothing = dict.fromkeys(("messages", "without_sent", "sequence_gaps", "contradicting", "unfinished"), 0)
    return [
        Report(
            **found[source],
            duplicates=counts.get((source, "duplicate"), 0),
            out_of_order=counts.get((source, "out_of_order"), 0),
            late=counts.get((source, "late"), 0),
            reconciled=counts.get((source, RECONCILED), 0),
            **_whole(gaps.get(source, nothing)),
        )
        for source in sorted(found)
    ]


def _whole(row: Any) -> dict[str, Any]:
    # PostgreSQL gives sums as decimals.
    return {
        name: int(row[name] or 0)
        for name in ("messages", "without_sent", "sequence_gaps", "contradicting", "unfinished")
    }


def _per_message(since_us: int) -> sa.Subquery:
    said = received_events.c

    def any_of(words: list[str]) -> sa.ColumnElement[int]:
        return sa.func.max(sa.case((said.status.in_(words), 1), else_=0))

    ends = sa.func.count(sa.distinct(sa.case((said.status.in_(_ENDS), said.status), else_=None)))
    return (
        sa.select(
            said.source,
            said.message_uuid,
            sa.func.min(said.received_at_us).label("first_at_us"),
            sa.func.max(said.sequence).label("highest"),
            sa.func.count(sa.distinct(said.sequence)).label("sequences"),
            any_of(_SENT).label("has_sent"),
            any_of([*_RECEIPTS, *_READ]).label("has_receipt"),
            any_of([*_ENDS, *_READ]).label("has_end"),
            any_of(_RECEIVED).label("is_inbound"),
            ends.label("ends"),
        )
        .where(said.received_at_us >= since_us)
        .group_by(said.source, said.message_uuid)
        .subquery()
    )


def _gaps(since_us: int) -> sa.Select[Any]:
    each = _per_message(since_us).c

    def total(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    return sa.select(
        each.source,
        sa.func.count().label("messages"),
        total(_lacks_sent(each)).label("without_sent"),
        total(_lacks_sequence(each)).label("sequence_gaps"),
        total(each.ends > 1).label("contradicting"),
        total(sa.and_(each.has_end == 0, each.is_inbound == 0)).label("unfinished"),
    ).group_by(each.source)


def _lacks_sent(each: Any) -> sa.ColumnElement[bool]:
    return sa.and_(each.has_receipt == 1, each.has_sent == 0, each.is_inbound == 0)


def _lacks_sequence(each: Any) -> sa.ColumnElement[bool]:
    return sa.and_(each.highest.is_not(None), each.highest > each.sequences)


def missing(tx: Transaction, *, source: str | None = None, since_us: int = 0, limit: int) -> list[Missing]:
    """Return messages of which something never came, oldest first."""
    each = _per_message(since_us).c
    query = (
        sa.select(each.source, each.message_uuid, each.first_at_us, each.highest, each.sequences, _lacks_sent(each))
        .where(sa.or_(_lacks_sent(each), _lacks_sequence(each)))
        .order_by(each.first_at_us, each.message_uuid)
        .limit(limit)
    )
    if source is not None:
        query = query.where(each.source == source)
    return [
        Missing(
            source=name, message_uuid=uuid, first_at_us=first, highest_sequence=highest, sequences=seen,
            without_sent=bool(lacks_sent),
        )
        for name, uuid, first, highest, seen, lacks_sent in tx.execute(query)
    ]  # fmt: skip


class Stalled(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a source that have stopped at one status."""

    source: str
    status: Word
    messages: int
    oldest_at_us: int
    """When something was last received of the one that has stood longest."""


class StalledMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has stopped on its way."""

    source: str
    message_uuid: str
    status: Word
    last_at_us: int


_STEPS: Final = {RANK[word]: word for word in (Word.UNKNOWN, Word.ACCEPTED, Word.QUEUED, Word.SENT)}


def _stopped(source: str | None, since_us: int, before_us: int) -> sa.Subquery:
    """Select outbound messages without an end of which nothing has come since ``before_us``."""
    said = received_events.c
    rank = sa.case(*((said.status.in_(_words(word)), RANK[word]) for word in Word if RANK[word]), else_=0)
    query = (
        sa.select(
            said.source,
            said.message_uuid,
            sa.func.max(rank).label("rank"),
            sa.func.max(said.received_at_us).label("last_at_us"),
        )
        .where(said.received_at_us >= since_us)
        .group_by(said.source, said.message_uuid)
        .having(
            sa.func.max(rank) <= max(_STEPS),
            sa.func.max(said.received_at_us) < before_us,
            sa.func.max(sa.case((said.status.in_(_RECEIVED), 1), else_=0)) == 0,
        )
    )
    return (query if source is None else query.where(said.source == source)).subquery()


def stalled(tx: Transaction, *, before_us: int, since_us: int = 0, source: str | None = None) -> list[Stalled]:
    """Count messages that have stopped on their way, by source and status."""
    each = _stopped(source, since_us, before_us).c
    query = (
        sa.select(each.source, each.rank, sa.func.count(), sa.func.min(each.last_at_us))
        .group_by(each.source, each.rank)
        .order_by(each.source, each.rank)
    )
    return [
        Stalled(source=name, status=_STEPS[rank], messages=messages, oldest_at_us=oldest)
        for name, rank, messages, oldest in tx.execute(query)
    ]


def stalled_messages(
    tx: Transaction, *, before_us: int, since_us: int = 0, source: str | None = None, limit: int
) -> list[StalledMessage]:
    """Return messages that have stopped on their way, those first of which nothing has come for longest."""
    each = _stopped(source, since_us, before_us).c
    query = (
        sa.select(each.source, each.message_uuid, each.rank, each.last_at_us)
        .order_by(each.last_at_us, each.message_uuid)
        .limit(limit)
    )
    return [
        StalledMessage(source=name, message_uuid=uuid, status=_STEPS[rank], last_at_us=last_at_us)
        for name, uuid, rank, last_at_us in tx.execute(query)
    ]
