"""Alerts of the delivery analytics: those there are, what has happened to each, and whose turn it is to look.

**One look at a time.** A process that wants to look takes the turn: the row of ``alert_looks`` says when the next look
is due, and who moves that on has this one. Where several processes could look, one does; when it dies, the next minute
has another. What a look finds is written in one transaction with the callbacks that tell of it, after ``begin`` has
made sure that no look at newer figures has been written meanwhile.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.alerts import Alert, Kind, State
from ringback.model.errors import NotFound
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_alerts import alert_looks, alert_notes, alerts

COUNT_UP_TO: Final = 1_000
_LOCK: Final = "alerts"
_ONLY: Final = 1
NOTE_LIMIT: Final = 500


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened to an alert."""

    at_us: int
    what: str
    by: str
    """Who did it; empty for Ringback itself."""
    detail: str


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The last look."""

    due_at_us: int
    """When the next one is due."""
    as_of_us: int
    """Of the figures; 0 before the first one."""
    detail: str
    """Why there was none, where there was none."""


NEVER: Final = Looked(due_at_us=0, as_of_us=0, detail="")
_decoder: Final = msgspec.json.Decoder(Alert)


def looked(tx: Transaction) -> Looked:
    """Return when the last look was."""
    row = tx.execute(sa.select(alert_looks).where(alert_looks.c.id == _ONLY)).one_or_none()
    return NEVER if row is None else Looked(due_at_us=row.due_at_us, as_of_us=row.as_of_us, detail=row.detail)


def take_turn(tx: Transaction, *, now_us: int, next_us: int) -> bool:
    """Take the look that is due and put the next one off until ``next_us``; say whether there was one."""
    one_at_a_time(tx, _LOCK)
    if looked(tx).due_at_us > now_us:
        return False
    _put(tx, due_at_us=next_us)
    return True


def begin(tx: Transaction, as_of_us: int) -> bool:
    """Begin to write what a look found, nobody else at the same time; no, if newer figures were looked at meanwhile."""
    one_at_a_time(tx, _LOCK)
    if looked(tx).as_of_us >= as_of_us:
        return False
    _put(tx, as_of_us=as_of_us, detail="")
    return True


def note_no_look(tx: Transaction, detail: str) -> None:
    """Note why there was no look though it was due."""
    one_at_a_time(tx, _LOCK)
    _put(tx, detail=detail)


def _put(tx: Transaction, **values: Any) -> None:
    if tx.execute(alert_looks.update().where(alert_looks.c.id == _ONLY).values(**values)).rowcount == 0:
        row = {"id": _ONLY, **msgspec.structs.asdict(NEVER), **values}
        tx.execute(alert_looks.insert().values(**row))


def save(tx: Transaction, alert: Alert) -> None:
    """Store an alert as it is now, a new one or one that is there."""
    values = {
        "kind": alert.kind.value,
        "state": alert.state.value,
        "raised_at_us": alert.raised_at_us,
        "resolved_at_us": alert.resolved_at_us,
        "acknowledged_at_us": alert.acknowledged_at_us,
        "muted_until_us": alert.muted_until_us,
        "content": msgspec.json.encode(alert).decode(),
    }
    if tx.execute(alerts.update().where(alerts.c.id == alert.id).values(**values)).rowcount == 0:
        tx.execute(alerts.insert().values(id=alert.id, **values))


def add_note(tx: Transaction, alert_id: str, note: Note) -> None:
    """Write into an alert's history."""
    last = sa.select(sa.func.coalesce(sa.func.max(alert_notes.c.number), 0)).where(alert_notes.c.alert_id == alert_id)
    number = tx.execute(last).scalar_one() + 1
    tx.execute(alert_notes.insert().values(alert_id=alert_id, number=number, **msgspec.structs.asdict(note)))


def find(tx: Transaction, alert_id: str) -> Alert | None:
    """Return an alert."""
    content = tx.execute(sa.select(alerts.c.content).where(alerts.c.id == alert_id)).scalar_one_or_none()
    return None if content is None else _decoder.decode(content)


def notes(tx: Transaction, alert_id: str) -> list[Note]:
    """Return an alert's history, oldest first."""
    query = sa.select(alert_notes).where(alert_notes.c.alert_id == alert_id).order_by(alert_notes.c.number)
    return [Note(at_us=row.at_us, what=row.what, by=row.by, detail=row.detail) for row in tx.execute(query)]


def standing(tx: Transaction, *, now_us: int, quiet_us: int) -> list[Alert]:
    """Return the alerts that a look has to know: open, resolved a short time ago, or muted; oldest first."""
    parts = (
        alerts.c.state == State.OPEN.value,
        sa.and_(alerts.c.state == State.RESOLVED.value, alerts.c.resolved_at_us > now_us - quiet_us),
        alerts.c.muted_until_us > now_us,
    )
    query = sa.select(alerts.c.content).where(sa.or_(*parts)).order_by(alerts.c.raised_at_us, alerts.c.id)
    return [_decoder.decode(content) for content in tx.execute(query).scalars()]


def page(
    tx: Transaction, *, state: State | None = None, kind: Kind | None = None, limit: int, before_us: int | None = None
) -> list[Alert]:
    """Return alerts, newest first: those raised before a time, of one state, of one kind."""
    query = sa.select(alerts.c.content).order_by(alerts.c.raised_at_us.desc(), alerts.c.id.desc()).limit(limit)
    for column, value in ((alerts.c.state, state), (alerts.c.kind, kind)):
        if value is not None:
            query = query.where(column == value.value)
    if before_us is not None:
        query = query.where(alerts.c.raised_at_us < before_us)
    return [_decoder.decode(content) for content in tx.execute(query).scalars()]


def muted(tx: Transaction, now_us: int) -> list[Alert]:
    """Return the alerts that are muted now, whether they are open or not."""
    newest_first = (alerts.c.raised_at_us.desc(), alerts.c.id.desc())
    query = sa.select(alerts.c.content).where(alerts.c.muted_until_us > now_us).order_by(*newest_first)
    return [_decoder.decode(content) for content in tx.execute(query).scalars()]


def news(tx: Transaction, now_us: int, *, limit: int) -> list[Alert]:
    """Return open alerts that nobody has acknowledged or muted, newest first."""
    query = sa.select(alerts.c.content).where(
        alerts.c.state == State.OPEN.value,
        alerts.c.acknowledged_at_us.is_(None),
        sa.or_(alerts.c.muted_until_us.is_(None), alerts.c.muted_until_us <= now_us),
    )
    query = query.order_by(alerts.c.raised_at_us.desc(), alerts.c.id.desc()).limit(limit)
    return [_decoder.decode(content) for content in tx.execute(query).scalars()]


def firing(tx: Transaction) -> dict[str, int]:
    """Return how many alerts are open, by kind; counted up to ``COUNT_UP_TO``."""
    query = sa.select(alerts.c.kind).where(alerts.c.state == State.OPEN.value).limit(COUNT_UP_TO)
    return dict(Counter(tx.execute(query).scalars()))


def change(tx: Transaction, alert_id: str, said: Note, **values: Any) -> Alert:
    """Set fields of an alert that somebody has decided on, and note it. Raises ``NotFound``."""
    one_at_a_time(tx, _LOCK)
    found = find(tx, alert_id)
    if found is None:
        raise NotFound(f"there is no alert {alert_id}")
    changed: Alert = msgspec.structs.replace(found, **values)
    save(tx, changed)
    add_note(tx, alert_id, said)
    return changed


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` alerts that were resolved before a time, with their history; returns how many."""
    query = sa.select(alerts.c.id).where(
        alerts.c.state == State.RESOLVED.value,
        alerts.c.raised_at_us < before_us,
        alerts.c.resolved_at_us < before_us,
        sa.or_(alerts.c.muted_until_us.is_(None), alerts.c.muted_until_us < before_us),
    )
    ids: Sequence[str] = tx.execute(query.limit(limit)).scalars().all()
    if not ids:
        return 0
    tx.execute(alert_notes.delete().where(alert_notes.c.alert_id.in_(ids)))
    return tx.execute(alerts.delete().where(alerts.c.id.in_(ids))).rowcount
