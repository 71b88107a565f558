"""What MMS need beside text messages: media that are the sender's, fetched before the message goes, and kept.

Accepting a message does not wait for the media that it names by URL. Its submission is due only when it expires,
until whoever fetches them (``messaging.fetch``) makes it due.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from ringback.carriers.port import OutboundMedia
from ringback.dialect.media import MAX_MESSAGE_BYTES
from ringback.dialect.mms import MediaFields
from ringback.messaging.screen import Refusal
from ringback.model.errors import InvalidRequest
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.settings import RetentionSettings
from ringback.store import fetches, media, numbers
from ringback.store.fetches import Fetch, Wanted
from ringback.store.media import Media
from ringback.store.port import Store, Transaction
from ringback.store.submissions import Submission

TOO_LARGE = "120"
UNUSABLE = "10"
DAY_US = 86_400_000_000

_NOT_YOURS = "media_ids parameter names media that you have not uploaded, or that have expired"


class Load(msgspec.Struct, frozen=True):
    """What a request's messages carry, as far as it is known when they are accepted."""

    account_id: str
    media_ids: tuple[str, ...]
    """All of them, in their order; those of URLs are not there yet."""
    uploaded: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    size_bytes: int
    """Of what is there."""

    @property
    def must_wait(self) -> bool:
        """Whether the messages go only when something else has been done."""
        return bool(self.wanted) or self.size_bytes > MAX_MESSAGE_BYTES

    def stored(self) -> str:
        """Return the ids as a submission keeps them."""
        return msgspec.json.encode(self.media_ids).decode()


def is_known_without_mms(tx: Transaction, src: str) -> bool:
    """Say whether ``src`` is a number of the inventory that carries no MMS."""
    known = numbers.owner(tx, src) if src.isdigit() else None
    return known is not None and not known.mms_enabled


async def prepare(store: Store, account_id: str, src: str, fields: MediaFields, *, now_us: int, new_id: NewId) -> Load:
    """Look at what a request wants to send. Raises ``InvalidRequest``."""

    def look(tx: Transaction) -> int:
        if is_known_without_mms(tx, src):
            raise InvalidRequest(f"{src} is not an MMS enabled phone number")
        found = media.usable(tx, account_id, fields.ids, now_us=now_us)
        if len(found) < len(fields.ids):
            raise InvalidRequest(_NOT_YOURS)
        return sum(each.size_bytes for each in found.values())

    size_bytes = await store.read(look)
    wanted = tuple(Wanted(new_id(now_us), url) for url in fields.urls)
    ids = (*(each.media_id for each in wanted), *fields.ids)
    return Load(account_id, ids, fields.ids, wanted, size_bytes)


def keep(
    tx: Transaction,
    load: Load,
    carriers: Sequence[Message],
    slots: Mapping[str, int],
    *,
    retention: RetentionSettings,
    new_id: NewId,
) -> None:
    """Store what messages carry, in the transaction that accepts them. Raises ``InvalidRequest``.

    ``slots`` says when those may go that have to wait their turn, by uuid in microseconds.
    """
    now_us = carriers[0].queued_at_us
    message_uuids = [message.uuid for message in carriers]
    if load.uploaded and not media.attach(
        tx, load.account_id, load.uploaded, now_us=now_us, expires_at_us=expires_at_us(retention, now_us)
    ):
        raise InvalidRequest(_NOT_YOURS)
    media.link(tx, message_uuids, load.media_ids)
    if load.must_wait:
        fetch = Fetch(
            id=new_id(now_us),
            account_id=load.account_id,
            wanted=load.wanted,
            message_uuids=tuple(message_uuids),
            slots={uuid: slots[uuid] for uuid in message_uuids if uuid in slots},
            size_bytes=load.size_bytes,
            attempts_made=0,
            lease_token="",
        )
        fetches.add(tx, fetch, due_at_us=now_us)


def expires_at_us(retention: RetentionSettings, now_us: int) -> int | None:
    """Return until when media of a message that is accepted now are kept."""
    return now_us + retention.media_days * DAY_US if retention.media_days else None


def gather(
    tx: Transaction, submissions: Sequence[Submission], path: Callable[[str], Path]
) -> tuple[dict[str, tuple[OutboundMedia, ...]], dict[str, Refusal]]:
    """Return what each MMS among ``submissions`` carries, and why others cannot go."""
    ids = {each.message_uuid: msgspec.json.decode(each.media, type=list[str]) for each in submissions if each.media}
    if not ids:
        return {}, {}
    known = media.by_id(tx, sorted({media_id for listed in ids.values() for media_id in listed}))
    carried = {
        uuid: tuple(_outbound(known[media_id], path(media_id)) for media_id in listed)
        for uuid, listed in ids.items()
        if known.keys() >= set(listed)
    }
    gone = Refusal(UNUSABLE, "media were deleted before the message was handed over")
    return carried, dict.fromkeys(ids.keys() - carried.keys(), gone)


def _outbound(each: Media, path: Path) -> OutboundMedia:
    return OutboundMedia(
        id=each.id,
        content_type=each.content_type,
        file_name=each.file_name,
        size_bytes=each.size_bytes,
        path=path,
    )
