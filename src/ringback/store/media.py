"""Media: what was uploaded or fetched, and which messages have it. The bytes are files (``store.media_files``).

A row is there once its file is. Media that no message has any more expire at once; those that a message takes stay as
long as message media do. Whoever changes either locks the rows of the media first, in the order of their ids: the one
that adds a message to them and the one that finds that they have none do not miss each other.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import OutOfSpace
from ringback.runtime import Clock
from ringback.store import bulk
from ringback.store.port import Store, Transaction
from ringback.store.schema_media import media, message_media


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An image, a sound or another file of an account."""

    id: str
    account_id: str
    source: str
    """``upload``, or ``fetch``: from a URL that came with a message."""
    content_type: str
    file_name: str
    size_bytes: int
    created_at_us: int
    expires_at_us: int | None
    """``None`` when it stays for ever."""


_IDS: Final[sa.BindParameter[str]] = sa.bindparam("ids", expanding=True)
_BY_ID: Final = sa.select(media).where(media.c.id.in_(_IDS))
_LOCKED: Final = sa.select(media.c.id).where(media.c.id.in_(_IDS)).order_by(media.c.id).with_for_update()
_LINKED: Final = sa.select(message_media.c.media_id).where(message_media.c.media_id.in_(_IDS))
_OF_MESSAGES: Final = sa.select(message_media.c.media_id).where(
    message_media.c.message_uuid.in_(sa.bindparam("uuids", expanding=True))
)
_UNLINK: Final = message_media.delete().where(message_media.c.message_uuid.in_(sa.bindparam("uuids", expanding=True)))


def add(tx: Transaction, new: Sequence[Media]) -> None:
    """Store what files there are now."""
    bulk.insert(tx, media, [msgspec.structs.asdict(each) for each in new])


def by_id(tx: Transaction, ids: Sequence[str]) -> dict[str, Media]:
    """Return the media among ``ids`` that exist."""
    return {row.id: _media(row) for row in tx.execute(_BY_ID, {"ids": list(ids)})}


def upload(tx: Transaction, account_id: str, media_id: str) -> Media | None:
    """Return what an account has uploaded, or ``None``."""
    found = by_id(tx, [media_id]).get(media_id)
    return found if found and (found.account_id, found.source) == (account_id, "upload") else None


def uploads(tx: Transaction, account_id: str, *, now_us: int, limit: int, offset: int) -> tuple[int, list[Media]]:
    """Return how many uploads an account has, and a page of them, newest first."""
    theirs = (media.c.account_id == account_id, media.c.source == "upload", _alive(now_us))
    count = tx.execute(sa.select(sa.func.count()).select_from(media).where(*theirs)).scalar_one()
    page = sa.select(media).where(*theirs).order_by(media.c.id.desc()).limit(limit).offset(offset)
    return count, [_media(row) for row in tx.execute(page)]


def usable(tx: Transaction, account_id: str, ids: Sequence[str], *, now_us: int) -> dict[str, Media]:
    """Return the media among ``ids`` that the account may send: its own uploads that have not expired."""
    return {
        each.id: each
        for each in by_id(tx, ids).values()
        if (each.account_id, each.source) == (account_id, "upload") and is_alive(each, now_us)
    }


def is_alive(each: Media, now_us: int) -> bool:
    """Say whether it has not expired."""
    return each.expires_at_us is None or each.expires_at_us > now_us


def attach(tx: Transaction, account_id: str, ids: Sequence[str], *, now_us: int, expires_at_us: int | None) -> bool:
    """Keep an account's uploads for messages; says no if one of them has expired meanwhile."""
    wanted = sorted(set(ids))
    tx.execute(_LOCKED, {"ids": wanted})
    if len(usable(tx, account_id, wanted, now_us=now_us)) < len(wanted):
        return False
    tx.execute(media.update().where(media.c.id.in_(wanted)).values(expires_at_us=expires_at_us))
    return True


def link(tx: Transaction, message_uuids: Sequence[str], media_ids: Sequence[str]) -> None:
    """Note the media of messages, in their order; those still to be fetched too."""
    rows = [
        {"message_uuid": uuid, "position": position, "media_id": media_id}
        for uuid in message_uuids
        for position, media_id in enumerate(media_ids)
    ]
    bulk.insert(tx, message_media, rows)


def unlink(tx: Transaction, message_uuids: Sequence[str]) -> None:
    """Take the media off messages; what no other message has expires now."""
    ids = sorted(set(tx.execute(_OF_MESSAGES, {"uuids": list(message_uuids)}).scalars()))
    if not ids:
        return
    tx.execute(_LOCKED, {"ids": ids})
    tx.execute(_UNLINK, {"uuids": list(message_uuids)})
    if idle := set(ids) - linked(tx, ids):
        tx.execute(media.update().where(media.c.id.in_(sorted(idle))).values(expires_at_us=0))


def linked(tx: Transaction, ids: Sequence[str]) -> set[str]:
    """Return those that a message has."""
    return set(tx.execute(_LINKED, {"ids": list(ids)}).scalars())


def of_message(tx: Transaction, message_uuid: str) -> list[Media]:
    """Return a message's media, in their order."""
    query = (
        sa.select(media)
        .join(message_media, message_media.c.media_id == media.c.id)
        .where(message_media.c.message_uuid == message_uuid)
        .order_by(message_media.c.position)
    )
    return [_media(row) for row in tx.execute(query)]


def prune(tx: Transaction, *, now_us: int, limit: int) -> list[str]:
    """Remove up to ``limit`` media that have expired; returns their ids, whose files are nobody's then."""
    query = (
        sa.select(media.c.id)
        .where(media.c.expires_at_us <= now_us)
        .order_by(media.c.expires_at_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(tx.execute(query).scalars())
    if ids:
        tx.execute(message_media.delete().where(message_media.c.media_id.in_(ids)))
        tx.execute(media.delete().where(media.c.id.in_(ids)))
    return ids


def total_bytes(tx: Transaction) -> int:
    """Return what all media weigh."""
    return int(tx.execute(sa.select(sa.func.coalesce(sa.func.sum(media.c.size_bytes), 0))).scalar_one())


def _alive(now_us: int) -> sa.ColumnElement[bool]:
    return sa.or_(media.c.expires_at_us.is_(None), media.c.expires_at_us > now_us)


def _media(row: Any) -> Media:
    return Media(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


class MediaRoom:
    """How much may still be stored. What is stored is asked for at most every ``ttl_s``."""

    def __init__(self, store: Store, clock: Clock, *, max_bytes: int, ttl_s: float = 10.0) -> None:
        self._store = store
        self._clock = clock
        self._max_bytes = max_bytes
        self._ttl_us = round(ttl_s * 1_000_000)
        self._read_at_us: int | None = None
        self._stored = 0
        self._promised = 0

    @asynccontextmanager
    async def promised(self, size_bytes: int) -> AsyncIterator[None]:
        """Keep room for so much while the block writes it. Raises ``OutOfSpace`` when there is none."""
        now_us = self._clock.now_us()
        if self._read_at_us is None or now_us - self._read_at_us >= self._ttl_us:
            self._stored = await self._store.read(total_bytes)
            self._read_at_us = now_us
        if self._stored + self._promised + size_bytes > self._max_bytes:
            raise OutOfSpace("the space for media is used up, nothing was stored; the operator has to make room")
        self._promised += size_bytes
        try:
            yield
        finally:
            self._promised -= size_bytes
            self._read_at_us = None
