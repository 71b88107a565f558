"""Replays: sending once more whatever matches a filter, by whichever process has the replay's row.

A replay says after which callback it is to go on. That is moved on in the transaction that sends callbacks once more,
so none is sent by one replay twice, whenever it is broken off. A replay of nobody's account is an operator's.
"""

import msgspec
import sqlalchemy as sa

from ringback.model.errors import NotFound
from ringback.store.port import Transaction
from ringback.store.resends import Filter
from ringback.store.schema import replays

RUNNING = "running"
FINISHED = "finished"
CANCELLED = "cancelled"


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it stands."""

    id: str
    account_id: str | None
    wanted: Filter
    rate_per_s: float
    total: int
    """How many callbacks matched when it was started."""
    counted_all: bool = True
    """Whether that is all; else there were at least so many."""
    done: int
    state: str
    """``running``, ``finished`` or ``cancelled``."""
    after_id: str
    """The callback up to which everything that matches has been sent once more."""
    created_at_us: int
    updated_at_us: int
    due_at_us: int | None
    """When its next callbacks may go; ``None`` when it has ended."""


def add(tx: Transaction, replay: Replay) -> None:
    """Store a replay that begins."""
    tx.execute(replays.insert().values(**_columns(replay)))


def find(tx: Transaction, replay_id: str, *, account_id: str | None = None) -> Replay:
    """Return a replay. Raises ``NotFound``, also for one that is not of the account asked for."""
    row = tx.execute(sa.select(replays).where(replays.c.id == replay_id)).one_or_none()
    if row is None or account_id not in (None, row.account_id):
        raise NotFound(f"there is no replay {replay_id[:64]}")
    return _replay(row)


def page(tx: Transaction, *, account_id: str | None = None, limit: int, before: str | None = None) -> list[Replay]:
    """Return replays, newest first, older than the id ``before``."""
    query = sa.select(replays).order_by(replays.c.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(replays.c.account_id == account_id)
    if before is not None:
        query = query.where(replays.c.id < before)
    return [_replay(row) for row in tx.execute(query)]


def running(tx: Transaction, account_id: str) -> int:
    """Return how many replays of an account have not ended."""
    query = sa.select(sa.func.count()).where(replays.c.account_id == account_id, replays.c.state == RUNNING)
    return tx.execute(query).scalar_one()


def due(tx: Transaction, now_us: int) -> Replay | None:
    """Return the replay whose next callbacks have waited longest."""
    query = sa.select(replays).where(replays.c.due_at_us <= now_us).order_by(replays.c.due_at_us).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else _replay(row)


def next_due_at_us(tx: Transaction) -> int | None:
    """Return when the next callbacks of any replay may go."""
    query = sa.select(sa.func.min(replays.c.due_at_us)).where(replays.c.due_at_us.is_not(None))
    due_at_us: int | None = tx.execute(query).scalar_one()
    return due_at_us


def take(tx: Transaction, seen: Replay) -> bool:
    """Lock a replay; returns whether it is still as it was seen, and nobody else has it."""
    query = (
        sa.select(replays.c.id)
        .where(
            replays.c.id == seen.id,
            replays.c.state == RUNNING,
            replays.c.after_id == seen.after_id,
            replays.c.due_at_us == seen.due_at_us,
        )
        .with_for_update(skip_locked=True)
    )
    return tx.execute(query).one_or_none() is not None


def save(tx: Transaction, replay: Replay) -> None:
    """Store how far a replay has come that this transaction has taken."""
    tx.execute(replays.update().where(replays.c.id == replay.id).values(**_columns(replay)))


def cancel(tx: Transaction, replay_id: str, *, now_us: int, account_id: str | None = None) -> Replay:
    """End a replay where it is; one that has ended stays as it is. Raises ``NotFound``."""
    find(tx, replay_id, account_id=account_id)
    tx.execute(
        replays.update()
        .where(replays.c.id == replay_id, replays.c.state == RUNNING)
        .values(state=CANCELLED, due_at_us=None, updated_at_us=now_us)
    )
    return find(tx, replay_id)


def _columns(replay: Replay) -> dict[str, object]:
    columns: dict[str, object] = msgspec.structs.asdict(replay)
    columns["filter"] = msgspec.json.encode(columns.pop("wanted")).decode()
    return columns


def _replay(row: sa.Row[tuple[object, ...]]) -> Replay:
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Replay(wanted=msgspec.json.decode(str(columns.pop("filter")), type=Filter), **columns)
