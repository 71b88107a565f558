"""Received events one after the other, and what they tell about what never came."""

import asyncio
import threading
from functools import partial

import pytest

from ringback.model.ids import uuid7
from ringback.store import callbacks, pruning, received, received_log, received_report
from ringback.store.port import Store, Transaction
from tests.conformance.test_received import request, said
from tests.fakes.messages import QUEUED_AT_US, message_uuid

HOUR_US = 3_600_000_000
BOUND_S = 60


def put(tx: Transaction, *numbers: int, source: str = "a") -> None:
    events = [said(number, "sent", 2, source=source, message_uuid=f"m-{number}") for number in numbers]
    received_log.append(tx, received.store(tx, [request(number, source=source) for number in numbers], events))


async def look(store: Store, after: int, *, limit: int = 10, sources: list[str] | None = None) -> tuple[list[str], int]:
    page = await store.read(lambda tx: received_log.page(tx, after=after, sources=sources, limit=limit))
    return [each.request.id for each in page.events], page.position


async def test_pages_go_on_where_the_last_ended(store: Store) -> None:
    begin = await store.read(received_log.last_position)
    await store.write(lambda tx: put(tx, 3, 1))
    await store.write(lambda tx: put(tx, 2, source="b"))
    first, at = await look(store, begin, limit=2)
    assert first == [message_uuid(3), message_uuid(1)]
    assert await look(store, at, limit=2) == ([message_uuid(2)], at + 1)
    assert await look(store, at + 1) == ([], at + 1)
    assert (await look(store, begin, sources=["b"]))[0] == [message_uuid(2)]
    # Whoever may read nothing is not sent through it again.
    assert await look(store, begin, sources=[]) == ([], at + 1)


async def test_no_position_appears_behind_one_that_was_seen(store: Store) -> None:
    """Of two transactions that are open at once, the one that takes the later place commits later."""
    both = threading.Barrier(2)

    def work(tx: Transaction, number: int) -> None:
        if tx.dialect.name != "sqlite":
            both.wait(BOUND_S)
        put(tx, number, source=f"source {number}")

    begin = await store.read(received_log.last_position)
    seen: list[str] = []
    writing = asyncio.gather(*(store.write(partial(work, number=number)) for number in (1, 2)))
    at = begin
    while len(seen) < 2:
        found, at = await look(store, at)
        seen += found
        if not found and writing.done():
            found, at = await look(store, at)
            seen += found
            break
    await writing
    assert sorted(seen) == sorted([message_uuid(1), message_uuid(2)])


async def test_pruning_takes_places_and_forwards_along_and_gives_no_place_twice(store: Store) -> None:
    old, new = (uuid7(at_us, bytes(10)) for at_us in (QUEUED_AT_US, QUEUED_AT_US + 2 * HOUR_US))
    handed_on = callbacks.NewCallback(
        id=message_uuid(50), account_id="MA", message_uuid=message_uuid(60), sequence=2, url="http://x/", method="POST",
        endpoint="http://x", params="[]", created_at_us=QUEUED_AT_US,
    )  # fmt: skip

    def work(tx: Transaction) -> None:
        requests = [request(1, id=old), request(2, id=new, received_at_us=QUEUED_AT_US + 2 * HOUR_US)]
        events = [said(1, "sent", 2, request_id=old), said(2, "delivered", 3, request_id=new)]
        received_log.append(tx, received.store(tx, requests, events))
        callbacks.owe(tx, [handed_on])
        received_log.note_forwards(tx, [(handed_on, old)])

    await store.write(work)
    last = await store.read(received_log.last_position)
    assert await store.read(lambda tx: received_log.forwards_of(tx, old)) == [(handed_on.id, "http://x/", "pending")]
    assert await store.write(lambda tx: pruning.prune_received(tx, before_us=QUEUED_AT_US + HOUR_US, limit=10)) == 1
    assert (await look(store, 0))[0] == [new]
    assert await store.read(lambda tx: received_log.forwards_of(tx, old)) == []
    assert await store.read(callbacks.waiting) == 0
    await store.write(lambda tx: pruning.prune_received(tx, before_us=QUEUED_AT_US + 9 * HOUR_US, limit=10))
    await store.write(lambda tx: put(tx, 7))
    assert await store.read(received_log.last_position) == last + 1


@pytest.mark.parametrize("together", [1, 10])
async def test_the_report_names_what_never_came(store: Store, together: int) -> None:
    came = [
        said(1, "sent", 2, message_uuid="whole"),
        said(2, "delivered", 3, message_uuid="whole"),
        said(3, "queued", 1, message_uuid="whole"),
        said(4, "delivered", None, message_uuid="no sent"),
        said(5, "queued", None, message_uuid="no sent"),
        said(6, "delivered", None, message_uuid="two ends"),
        said(7, "failed", None, message_uuid="two ends"),
        said(8, "sent", None, message_uuid="two ends"),
        said(9, "queued", 1, message_uuid="open"),
        said(10, "received", None, message_uuid="from a phone"),
        said(11, "queued", 1, message_uuid="open"),
    ]
    for at in range(0, len(came), together):
        events = came[at : at + together]
        requests = [request(at + number + 1) for number in range(len(events))]
        await store.write(partial(received.store, requests=requests, said=events))
    await store.write(lambda tx: received.store(tx, [request(40, accepted=False, verdict="mismatch")], []))
    (report,) = await store.read(received_report.reports)
    assert (report.requests, report.messages, report.refused) == (12, 5, {"mismatch": 1})
    assert (report.duplicates, report.out_of_order, report.late) == (1, 1, 2)
    assert (report.without_sent, report.sequence_gaps, report.contradicting, report.unfinished) == (1, 0, 1, 1)
    (missing,) = await store.read(lambda tx: received_report.missing(tx, limit=5))
    assert (missing.message_uuid, missing.without_sent) == ("no sent", True)
    assert await store.read(lambda tx: received_report.missing(tx, source="b", limit=5)) == []
    assert await store.read(lambda tx: received_report.reports(tx, since_us=QUEUED_AT_US + HOUR_US)) == []


async def test_messages_that_have_stopped_are_counted_and_named(store: Store) -> None:
    old_us, young_us = QUEUED_AT_US, QUEUED_AT_US + 2 * HOUR_US
    came = [
        ("stuck", "queued", old_us, "a"), ("stuck", "sent", old_us + 5, "a"), ("waits", "queued", old_us + 1, "a"),
        ("done", "sent", old_us, "a"), ("done", "delivered", old_us, "a"), ("young", "sent", young_us, "a"),
        ("phone", "received", old_us, "a"), ("odd", "sideways", old_us, "a"), ("stuck", "sent", old_us + 2, "b"),
        ("canceled", "canceled", old_us, "b"), ("older", "sent", old_us - HOUR_US, "a"),
    ]  # fmt: skip

    def work(tx: Transaction) -> None:
        changes = [{"source": source, "received_at_us": at_us} for _, _, at_us, source in came]
        requests = [request(number, **each) for number, each in enumerate(changes)]
        events = [
            said(number, status, None, message_uuid=uuid, **changes[number])
            for number, (uuid, status, _, _) in enumerate(came)
        ]
        received.store(tx, requests, events)

    await store.write(work)
    wanted = {"before_us": old_us + HOUR_US, "since_us": old_us}
    counted = await store.read(lambda tx: received_report.stalled(tx, **wanted))
    assert [(each.source, each.status, each.messages, each.oldest_at_us - old_us) for each in counted] == [
        ("a", "unknown", 1, 0),
        ("a", "queued", 1, 1),
        ("a", "sent", 1, 5),
        ("b", "sent", 1, 2),
    ]
    oldest = await store.read(lambda tx: received_report.stalled_messages(tx, source="a", limit=2, **wanted))
    assert [(each.message_uuid, each.status) for each in oldest] == [("odd", "unknown"), ("waits", "queued")]
