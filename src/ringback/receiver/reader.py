"""Received events for whoever comes to fetch them: a page after a cursor, as JSON has it.

What an event says is read from its request as it came, so nothing that was ever received is without what a newer
Ringback has learned to read. A cursor is a position in the log (``store.received_log``).
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ringback.receiver.event import Arrived, Event
from ringback.receiver.explained import arrived
from ringback.receiver.forward import Received, iso, shown
from ringback.receiver.source import PROVIDERS
from ringback.settings import SourceSettings
from ringback.store import received_log
from ringback.store.port import Transaction
from ringback.store.received_log import Logged


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one look gave."""

    events: list[dict[str, Any]]
    cursor: int
    """Where to go on."""
    has_more: bool


def read(
    tx: Transaction, sources: Mapping[str, SourceSettings], *, names: Collection[str] | None, after: int, limit: int
) -> Batch:
    """Return up to ``limit`` events of the sources named ``names``, or of all, after a cursor, oldest first."""
    page = received_log.page(tx, after=after, sources=names, limit=limit)
    return Batch(
        events=[_shown(each, sources.get(each.request.source)) for each in page.events],
        cursor=page.position,
        has_more=page.has_more,
    )


def sources_of(account_id: str, sources: Mapping[str, SourceSettings]) -> list[str]:
    """Return the names of the sources that an account may read: those that name it."""
    return [name for name, source in sources.items() if account_id in {source.account, source.auth_id}]


def _shown(logged: Logged, source: SourceSettings | None) -> dict[str, Any]:
    stored = logged.request
    request = arrived(stored)
    provider, event = _read(request, source)
    if event is None:
        facts = {"id": stored.id, "source": stored.source, "provider": provider, "flag": logged.flag}
        return {"cursor": logged.position, **facts, "received_at": iso(stored.received_at_us), "status": "unknown"}
    received = Received(
        request_id=stored.id,
        source=stored.source,
        provider=provider,
        received_at_us=stored.received_at_us,
        flag=logged.flag,
        event=event,
    )
    return {"cursor": logged.position, **shown(received)}


def _read(request: Arrived, source: SourceSettings | None) -> tuple[str, Event | None]:
    """Read a request by its source's provider; by whose headers it has, if nobody knows the source any more."""
    if source is not None:
        named = source.provider
    elif "x-twilio-signature" in request.headers:
        named = "twilio"
    else:
        named = "standard" if "webhook-id" in request.headers else "plivo"
    return named, PROVIDERS[named].read(request)
