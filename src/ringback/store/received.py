"""Callbacks that came in: every request as it was, and what the verified ones say."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from ringback.model.vocabulary import rank_of
from ringback.store import bulk
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import received_events, received_requests

Flag = Literal["", "duplicate", "out_of_order", "late", "reconciled"]

RECONCILED: Final = "reconciled"
"""Verdict and flag of what the provider's list says and no callback has brought."""


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived, accepted or not."""

    id: str
    source: str
    received_at_us: int
    method: str
    target: str
    """Path and query string as on the request line."""
    headers: str
    """JSON list of (name, value) pairs in the order in which they came."""
    body: bytes
    peer: str
    verdict: str
    """What verified it (``v3``, ``v2``), or why it was refused."""
    accepted: bool


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What an accepted request says, in our words; ``status`` is the sender's word."""

    request_id: str
    source: str
    message_uuid: str
    status: str
    sequence: int | None
    from_number: str
    to_number: str
    error_code: str | None
    mcc: str | None
    mnc: str | None
    units: int | None
    total_amount: str | None
    received_at_us: int
    flag: Flag = ""


_SEEN: Final = sa.select(
    received_events.c.source,
    received_events.c.message_uuid,
    received_events.c.status,
    received_events.c.sequence,
).where(
    received_events.c.source.in_(sa.bindparam("sources", expanding=True)),
    received_events.c.message_uuid.in_(sa.bindparam("messages", expanding=True)),
)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What one source has sent."""

    requests: int
    rejected: int
    unique: int
    duplicate: int
    out_of_order: int
    late: int = 0
    reconciled: int = 0
    """Filled in from the provider's list; no requests of its."""


NOTHING = Totals(requests=0, rejected=0, unique=0, duplicate=0, out_of_order=0)


def store(tx: Transaction, requests: Sequence[ReceivedRequest], said: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """Store requests and, for the accepted ones, their events; returns these with their flags.

    A (message, status) pair counts once: further ones are flagged ``duplicate``. One whose sequence is lower
    than one already there is flagged ``out_of_order``; one that gives no sequence, and whose word is of lower rank than
    one already there, ``late``. One that comes flagged ``reconciled`` stays so, unless it is a duplicate.
    """
    bulk.insert_structs(tx, received_requests, requests)
    if not said:
        return []
    # Two that store the same event would each find that it is the first. One lock a source, not one a message: a
    # server's table of locks is small.
    one_at_a_time(tx, *(f"received from {event.source}" for event in said))
    flagged = _flag(tx, said)
    bulk.insert_structs(tx, received_events, flagged)
    return flagged


def _flag(tx: Transaction, said: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    about = {
        "sources": list({event.source for event in said}),
        "messages": list({event.message_uuid for event in said}),
    }
    seen: set[tuple[str, str, str]] = set()
    highest: dict[tuple[str, str], int] = {}
    furthest: dict[tuple[str, str], int] = {}
    for source, message_uuid, status, sequence in tx.execute(_SEEN, about):
        seen.add((source, message_uuid, status))
        message = source, message_uuid
        highest[message] = max(highest.get(message, 0), sequence or 0)
        furthest[message] = max(furthest.get(message, 0), rank_of(status))
    flagged = []
    for event in said:
        once, message = (event.source, event.message_uuid, event.status), (event.source, event.message_uuid)
        flag: Flag = ""
        if once in seen:
            flag = "duplicate"
        elif event.flag == RECONCILED:
            flag = RECONCILED
        elif event.sequence is not None and event.sequence < highest.get(message, 0):
            flag = "out_of_order"
        elif event.sequence is None and rank_of(event.status) < furthest.get(message, 0):
            flag = "late"
        seen.add(once)
        highest[message] = max(highest.get(message, 0), event.sequence or 0)
        furthest[message] = max(furthest.get(message, 0), rank_of(event.status))
        flagged.append(msgspec.structs.replace(event, flag=flag) if flag != event.flag else event)
    return flagged


def words_of(tx: Transaction, source: str, uuids: Sequence[str]) -> dict[str, set[str]]:
    """Return which statuses a source has sent of messages; nothing for those of which it has sent none."""
    found: dict[str, set[str]] = defaultdict(set)
    query = sa.select(received_events.c.message_uuid, received_events.c.status).where(
        received_events.c.source == source, received_events.c.message_uuid.in_(uuids)
    )
    for message_uuid, status in tx.execute(query):
        found[message_uuid].add(status)
    return dict(found)


def of_messages(tx: Transaction, uuids: Sequence[str]) -> list[ReceivedEvent]:
    """Return what was received about messages, in order of arrival."""
    query = (
        sa.select(received_events)
        .where(received_events.c.message_uuid.in_(uuids))
        .order_by(received_events.c.received_at_us, received_events.c.request_id)
    )
    return [ReceivedEvent(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def request(tx: Transaction, request_id: str) -> ReceivedRequest | None:
    """Return one request as it came."""
    row = tx.execute(sa.select(received_requests).where(received_requests.c.id == request_id)).one_or_none()
    return ReceivedRequest(**row._mapping) if row else None  # noqa: SLF001


def newest(
    tx: Transaction, *, limit: int, only: Collection[str] | None = None
) -> list[tuple[ReceivedRequest, ReceivedEvent | None]]:
    """Return the newest requests of all sources or ``only`` of some, each with what it says when it was accepted."""
    query = sa.select(received_requests).order_by(received_requests.c.id.desc()).limit(limit)
    if only is not None:
        query = query.where(received_requests.c.source.in_(only))
    requests = [ReceivedRequest(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001
    said = {
        row.request_id: ReceivedEvent(**row._mapping)  # noqa: SLF001
        for row in tx.execute(
            sa.select(received_events).where(received_events.c.request_id.in_([item.id for item in requests]))
        )
    }
    return [(item, said.get(item.id)) for item in requests]


def of_request(tx: Transaction, request_id: str) -> ReceivedEvent | None:
    """Return what an accepted request says, ``None`` for a refused one."""
    row = tx.execute(sa.select(received_events).where(received_events.c.request_id == request_id)).one_or_none()
    return ReceivedEvent(**row._mapping) if row else None  # noqa: SLF001


def totals_by_source(tx: Transaction, *, only: Collection[str] | None = None) -> dict[str, Totals]:
    """Count what every source (or ``only`` some) has sent that has sent anything, by name in order."""
    requests: dict[str, dict[bool, int]] = defaultdict(dict)
    query = (
        sa.select(received_requests.c.source, received_requests.c.accepted, sa.func.count())
        .where(received_requests.c.verdict != RECONCILED)
        .group_by(received_requests.c.source, received_requests.c.accepted)
    )
    if only is not None:
        query = query.where(received_requests.c.source.in_(only))
    for source, accepted, total in tx.execute(query):
        requests[source][accepted] = total
    flags: dict[str, dict[str, int]] = defaultdict(dict)
    marked = sa.select(received_events.c.source, received_events.c.flag, sa.func.count()).group_by(
        received_events.c.source, received_events.c.flag
    )
    if only is not None:
        marked = marked.where(received_events.c.source.in_(only))
    for source, flag, total in tx.execute(marked):
        flags[source][flag] = total
    return {
        source: Totals(
            requests=sum(requests[source].values()),
            rejected=requests[source].get(False, 0),
            unique=sum(flags[source].get(flag, 0) for flag in ("", "out_of_order", "late")),
            duplicate=flags[source].get("duplicate", 0),
            out_of_order=flags[source].get("out_of_order", 0),
            late=flags[source].get("late", 0),
            reconciled=flags[source].get(RECONCILED, 0),
        )
        for source in sorted({*requests, *flags})
    }
