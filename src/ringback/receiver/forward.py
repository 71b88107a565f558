"""Handing on: which callbacks a received event causes, and how an event is written for others.

The callbacks are owed in the commit that stores the event, and made by the engine that makes all callbacks: signed
anew, retried by plan, parked when nobody answers.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from ringback.dialect.callbacks import endpoint_of
from ringback.model.errors import ConfigInvalid
from ringback.model.ids import NewId
from ringback.model.vocabulary import RANK, Word
from ringback.receiver.event import Event
from ringback.settings import ForwardSettings, SourceSettings
from ringback.store.callbacks import JSON_BODY, STATUS, NewCallback
from ringback.store.received import Flag

_encode = msgspec.json.Encoder().encode

EVERYTHING: Final = frozenset(Word)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """An event with what the receiver knows of it."""

    request_id: str
    source: str
    provider: str
    received_at_us: int
    flag: Flag
    event: Event


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere that events of a source go on to."""

    name: str
    settings: ForwardSettings
    account: str
    words: frozenset[Word]


def targets_of(name: str, source: SourceSettings) -> list[Target]:
    """Return where a source's events go on to. Raises ``ConfigInvalid``."""
    found = []
    for key, forward in source.forward.items():
        where = f"settings: sources.{name}.forward.{key}"
        if not forward.url.lower().startswith(("http://", "https://")):
            raise ConfigInvalid(f"{where}.url must be an http or https URL")
        unknown = [word for word in forward.events if word not in RANK]
        if unknown:
            raise ConfigInvalid(f"{where}.events: {unknown[0]!r} is none of {', '.join(Word)}")
        account = forward.account or source.account or source.auth_id
        if not account:
            raise ConfigInvalid(f"{where} needs an account whose tokens sign: set its account, or the source's auth_id")
        words = frozenset(Word(word) for word in forward.events) or EVERYTHING
        found.append(Target(name=key, settings=forward, account=account, words=words))
    return found


def callbacks_for(
    received: Sequence[Received], targets: Mapping[str, Sequence[Target]], *, new_id: NewId
) -> Iterator[tuple[NewCallback, str]]:
    """Give the callbacks that received events cause, each with the id of its request."""
    for each in received:
        for target in targets.get(each.source, ()):
            if each.event.status in target.words and (each.flag != "duplicate" or target.settings.duplicates):
                yield _callback(each, target, new_id(each.received_at_us)), each.request_id


def _callback(each: Received, target: Target, callback_id: str) -> NewCallback:
    settings = target.settings
    as_json = settings.format == "json"
    params: Sequence[tuple[str, str]] = each.event.raw
    if as_json:
        params = [("body", _encode(shown(each)).decode())]
    return NewCallback(
        id=callback_id,
        account_id=target.account,
        message_uuid=_thread(each.source, target.name, each.event.message_id),
        sequence=each.event.sequence or max(each.event.rank, 1),
        url=settings.url,
        method="POST" if as_json else settings.method,
        endpoint=endpoint_of(settings.url),
        params=_encode(params).decode(),
        created_at_us=each.received_at_us,
        kind=JSON_BODY if as_json else STATUS,
    )


def _thread(source: str, target: str, message_id: str) -> str:
    """Name what is kept in order: a message's events at one target. Another target is not waited for."""
    digest = hashlib.sha256(f"{source}\x00{target}\x00{message_id}".encode(errors="surrogatepass")).digest()
    return str(UUID(bytes=digest[:16], version=5))


def shown(each: Received) -> dict[str, Any]:
    """Write an event as JSON has it: our words, theirs, and every parameter as it came."""
    said = msgspec.to_builtins(each.event)
    return {
        "id": each.request_id,
        "source": each.source,
        "provider": each.provider,
        "received_at": iso(each.received_at_us),
        "flag": each.flag,
        "rank": each.event.rank,
        **said,
        "raw": [list(pair) for pair in each.event.raw],
    }


def iso(at_us: int) -> str:
    """Write a time in UTC with microseconds."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
