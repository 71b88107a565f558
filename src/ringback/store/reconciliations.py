"""Runs that compare what was received with a provider's list: where one is, and what it has found.

The place of a run and the messages that it has looked at change in one transaction with what it fills in, so a run that
was cut off goes on where it was, and counts no message twice.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from ringback.model.ids import uuid7
from ringback.model.vocabulary import THEIRS, Word
from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema import received_events
from ringback.store.schema_upstream import reconciled_messages, reconciliations

RunState = Literal["running", "finished", "abandoned"]
Kind = Literal["same", "missing", "behind", "ahead", "differs", "unknown"]
"""``missing``: nothing was received; ``behind``: less than the provider says; ``ahead``: more; ``differs``: another
end; ``unknown``: the provider has no such message."""
KINDS: Final[tuple[Kind, ...]] = ("same", "missing", "behind", "ahead", "differs", "unknown")

_INBOUND: Final = sorted(word for word, ours in THEIRS.items() if ours is Word.RECEIVED)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run goes on: in a slice of the list, or among our own messages."""

    at_us: int
    """The beginning of the slice; slices before it are done."""
    width_us: int
    offset: int = 0
    total: int | None = None
    """Messages that the list has in the whole time, as it says."""
    listed: bool = False
    """Whether the list has been gone through; then our own messages are, in their order."""
    after: str = ""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has found."""

    looked_at: int = 0
    same: int = 0
    missing: int = 0
    behind: int = 0
    ahead: int = 0
    differs: int = 0
    unknown: int = 0
    filled: int = 0
    """Events that were added."""
    unreadable: int = 0
    """Records without id, state or numbers."""
    asked: int = 0
    """Requests that the provider has answered."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a time."""

    id: str
    source: str
    subaccount: str
    since_us: int
    until_us: int
    dry_run: bool
    state: RunState
    place: Place
    counts: Counts
    updated_at_us: int


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about a message."""

    message_uuid: str
    finding: Kind
    ours: str
    """The furthest status that was received; empty for none."""
    theirs: str


def begin(tx: Transaction, run: Run) -> None:
    """Store a new run; one of the same source that has not ended is abandoned."""
    tx.execute(
        reconciliations.update()
        .where(reconciliations.c.source == run.source, reconciliations.c.state == "running")
        .values(state="abandoned")
    )
    tx.execute(reconciliations.insert().values(_row(run)))


def _row(run: Run) -> dict[str, Any]:
    encode = msgspec.json.encode
    return msgspec.structs.asdict(run) | {"place": encode(run.place).decode(), "counts": encode(run.counts).decode()}


def save(tx: Transaction, run: Run) -> bool:
    """Store where a run is; says no when another one was begun instead."""
    values = {name: value for name, value in _row(run).items() if name != "id"}
    return (
        tx.execute(
            reconciliations.update()
            .where(reconciliations.c.id == run.id, reconciliations.c.state == "running")
            .values(**values)
        ).rowcount
        == 1
    )


def unfinished(tx: Transaction, source: str) -> Run | None:
    """Return the run of a source that has not ended."""
    query = (
        sa.select(reconciliations)
        .where(reconciliations.c.source == source, reconciliations.c.state == "running")
        .order_by(reconciliations.c.id.desc())
        .limit(1)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    fields["place"] = msgspec.json.decode(row.place, type=Place)
    fields["counts"] = msgspec.json.decode(row.counts, type=Counts)
    return Run(**fields)


def not_seen(tx: Transaction, run_id: str, uuids: Sequence[str]) -> set[str]:
    """Return those of messages that a run has not looked at."""
    query = sa.select(reconciled_messages.c.message_uuid).where(
        reconciled_messages.c.run_id == run_id, reconciled_messages.c.message_uuid.in_(uuids)
    )
    return {*uuids} - {*tx.execute(query).scalars()}


def note(tx: Transaction, run_id: str, findings: Sequence[Finding]) -> None:
    """Note messages that a run has looked at."""
    bulk.insert(
        tx, reconciled_messages, [{"run_id": run_id, **msgspec.structs.asdict(finding)} for finding in findings]
    )


def ours_alone(tx: Transaction, run: Run, *, limit: int) -> list[str]:
    """Return outbound messages that we first heard of within the time, and of which the list has said nothing."""
    said = received_events.c
    seen = sa.exists().where(
        reconciled_messages.c.run_id == run.id, reconciled_messages.c.message_uuid == said.message_uuid
    )
    first = sa.func.min(said.received_at_us)
    query = (
        sa.select(said.message_uuid)
        .where(said.source == run.source, said.message_uuid > run.place.after, ~seen)
        .group_by(said.message_uuid)
        .having(
            first >= run.since_us,
            first < run.until_us,
            sa.func.max(sa.case((said.status.in_(_INBOUND), 1), else_=0)) == 0,
        )
        .order_by(said.message_uuid)
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def findings(tx: Transaction, run_id: str, *, after: str = "", limit: int) -> list[Finding]:
    """Return what there is to say about messages, in the order of their ids."""
    of = reconciled_messages.c
    query = (
        sa.select(*(of[name] for name in Finding.__struct_fields__))
        .where(of.run_id == run_id, of.finding != "same", of.message_uuid > after)
        .order_by(of.message_uuid)
        .limit(limit)
    )
    return [Finding(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def forget_same(tx: Transaction, run_id: str, *, limit: int) -> int:
    """Remove up to ``limit`` notes that say nothing; returns how many."""
    of = reconciled_messages.c
    query = sa.select(of.message_uuid).where(of.run_id == run_id, of.finding == "same").limit(limit)
    return _remove(tx, run_id, list(tx.execute(query).scalars()))


def _remove(tx: Transaction, run_id: str, uuids: Sequence[str]) -> int:
    of = reconciled_messages.c
    gone = reconciled_messages.delete().where(of.run_id == run_id, of.message_uuid.in_(uuids))
    return tx.execute(gone).rowcount if uuids else 0


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove runs that began before ``before_us``, and up to ``limit`` of their notes; returns how many notes."""
    old = uuid7(max(before_us, 0), bytes(8))
    of = reconciled_messages.c
    notes = tx.execute(sa.select(of.run_id, of.message_uuid).where(of.run_id < old).limit(limit)).all()
    for run_id in {row.run_id for row in notes}:
        _remove(tx, run_id, [row.message_uuid for row in notes if row.run_id == run_id])
    if len(notes) < limit:
        tx.execute(reconciliations.delete().where(reconciliations.c.id < old))
    return len(notes)
