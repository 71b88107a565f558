"""Media that are still to be fetched: one row for all messages of a request, leased while somebody works on it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import submissions
from ringback.store.schema_media import media_fetches


class Wanted(msgspec.Struct, frozen=True):
    """A URL, and the id that what it gives will have."""

    media_id: str
    url: str


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be fetched before messages can go, leased under ``lease_token``."""

    id: str
    account_id: str
    wanted: tuple[Wanted, ...]
    message_uuids: tuple[str, ...]
    slots: dict[str, int] = {}
    """When those of its messages may go, in microseconds, that have to wait their turn (``model.pace``)."""
    size_bytes: int
    """What else the messages carry."""
    attempts_made: int
    lease_token: str


_DUE: Final = (
    sa.select(media_fetches)
    .where(
        media_fetches.c.due_at_us <= sa.bindparam("now_us"),
        media_fetches.c.account_id.not_in(sa.bindparam("busy", expanding=True)),
    )
    .order_by(media_fetches.c.due_at_us)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = sa.select(sa.func.min(media_fetches.c.due_at_us))
_encode = msgspec.json.Encoder().encode


def add(tx: Transaction, fetch: Fetch, *, due_at_us: int) -> None:
    """Store a new one."""
    tx.execute(
        media_fetches.insert().values(
            id=fetch.id,
            account_id=fetch.account_id,
            wanted=_encode(fetch.wanted).decode(),
            message_uuids=_encode(fetch.message_uuids).decode(),
            slots=_encode(fetch.slots).decode() if fetch.slots else None,
            size_bytes=fetch.size_bytes,
            attempts_made=0,
            due_at_us=due_at_us,
            lease_token=None,
        )
    )


def claim(
    tx: Transaction, *, now_us: int, lease_until_us: int, lease_token: str, limit: int, shares: Counter[str], most: int
) -> list[Fetch]:
    """Lease up to ``limit`` that are due, those due longest first.

    ``shares`` counts what each account has in hand already; none gets more than ``most``.
    """
    shares = Counter(shares)
    busy = [account_id for account_id, count in shares.items() if count >= most]
    taken = []
    for row in tx.execute(_DUE, {"now_us": now_us, "busy": busy, "limit": limit}):
        if shares[row.account_id] >= most:
            continue
        shares[row.account_id] += 1
        taken.append(
            Fetch(
                id=row.id,
                account_id=row.account_id,
                wanted=msgspec.json.decode(row.wanted, type=tuple[Wanted, ...]),
                message_uuids=msgspec.json.decode(row.message_uuids, type=tuple[str, ...]),
                slots=msgspec.json.decode(row.slots, type=dict[str, int]) if row.slots else {},
                size_bytes=row.size_bytes,
                attempts_made=row.attempts_made,
                lease_token=lease_token,
            )
        )
    if taken:
        ids = [fetch.id for fetch in taken]
        tx.execute(
            media_fetches.update()
            .where(media_fetches.c.id.in_(ids))
            .values(due_at_us=lease_until_us, lease_token=lease_token)
        )
    return taken


def next_due_at_us(tx: Transaction) -> int | None:
    """Return when the next one is due."""
    due: int | None = tx.execute(_NEXT_DUE).scalar_one()
    return due


def finish(tx: Transaction, fetch: Fetch) -> bool:
    """Remove one; says no when its lease was lost."""
    return tx.execute(media_fetches.delete().where(*_held(fetch))).rowcount == 1


def put_back(tx: Transaction, fetch: Fetch, *, due_at_us: int, attempts_made: int) -> None:
    """Give up a lease, and try again later."""
    tx.execute(
        media_fetches.update()
        .where(*_held(fetch))
        .values(due_at_us=due_at_us, attempts_made=attempts_made, lease_token=None)
    )


def _held(fetch: Fetch) -> tuple[sa.ColumnElement[bool], ...]:
    return media_fetches.c.id == fetch.id, media_fetches.c.lease_token == fetch.lease_token


def waiting(tx: Transaction) -> int:
    """Return how many are not finished."""
    return tx.execute(sa.select(sa.func.count()).select_from(media_fetches)).scalar_one()


def take_submissions(tx: Transaction, fetch: Fetch) -> Sequence[str]:
    """Return the messages that still wait for it, and lock them: nobody hands them over meanwhile."""
    query = (
        sa.select(submissions.c.message_uuid)
        .where(submissions.c.message_uuid.in_(fetch.message_uuids), submissions.c.lease_token.is_(None))
        .order_by(submissions.c.message_uuid)
        .with_for_update()
    )
    return tx.execute(query).scalars().all()


def release(tx: Transaction, fetch: Fetch, message_uuids: Sequence[str], *, now_us: int) -> None:
    """Let messages be handed over, each when its turn comes."""
    by_time: dict[int, list[str]] = defaultdict(list)
    for uuid in message_uuids:
        by_time[max(fetch.slots.get(uuid, now_us), now_us)].append(uuid)
    for due_at_us, uuids in by_time.items():
        tx.execute(submissions.update().where(submissions.c.message_uuid.in_(uuids)).values(due_at_us=due_at_us))
