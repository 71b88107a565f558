"""What came in: every request, and which of the things said count."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from ringback.store import received
from ringback.store.port import Store, Transaction
from ringback.store.received import NOTHING, ReceivedEvent, ReceivedRequest, Totals
from tests.fakes.messages import QUEUED_AT_US, message_uuid

BOUND_S = 60


def request(number: int, **changes: Any) -> ReceivedRequest:
    fields: dict[str, Any] = {
        "id": message_uuid(number),
        "source": "a",
        "received_at_us": QUEUED_AT_US + number,
        "method": "POST",
        "target": "/hooks/a?x=%20",
        "headers": '[["A", "b"]]',
        "body": b"\x00\xff" + str(number).encode(),
        "peer": "127.0.0.1",
        "verdict": "v3",
        "accepted": True,
    }
    return ReceivedRequest(**fields | changes)


def said(number: int, status: str, sequence: int | None, **changes: Any) -> ReceivedEvent:
    fields: dict[str, Any] = {
        "request_id": message_uuid(number),
        "source": "a",
        "message_uuid": "m-1",
        "status": status,
        "sequence": sequence,
        "from_number": "15005550100",
        "to_number": "14155550123",
        "error_code": None,
        "mcc": None,
        "mnc": "260",
        "units": 2,
        "total_amount": "0.01100",
        "received_at_us": QUEUED_AT_US + number,
    }
    return ReceivedEvent(**fields | changes)


CAME = [
    said(1, "queued", 1),
    said(2, "delivered", 3),
    said(3, "sent", 2),
    said(4, "delivered", 3),
    said(5, "sent", None),
    said(6, "failed", None),
    said(7, "sent", 2, source="b"),
    said(8, "sent", 1, message_uuid="m-2"),
]
FLAGS = ["", "", "out_of_order", "duplicate", "duplicate", "", "", ""]


@pytest.mark.parametrize("together", [1, 3, 8])
async def test_flags_whatever_comes_together(store: Store, together: int) -> None:
    flags = []
    for at in range(0, len(CAME), together):
        events = CAME[at : at + together]
        requests = [request(at + number + 1, source=event.source) for number, event in enumerate(events)]
        stored = await store.write(partial(received.store, requests=requests, said=events))
        flags += [event.flag for event in stored]
    assert flags == FLAGS
    kept = await store.read(lambda tx: received.of_messages(tx, ["m-1", "m-2"]))
    assert [event.flag for event in kept] == FLAGS
    refused = request(20, accepted=False, verdict="no_signature")
    assert await store.write(lambda tx: received.store(tx, [refused], [])) == []
    assert await store.read(received.totals_by_source) == {
        "a": Totals(requests=8, rejected=1, unique=5, duplicate=2, out_of_order=1),
        "b": Totals(requests=1, rejected=0, unique=1, duplicate=0, out_of_order=0),
    }


async def test_requests_are_kept_as_they_came(store: Store) -> None:
    assert await store.read(received.totals_by_source) == {}
    assert NOTHING.requests == 0
    requests = [request(1), request(2, accepted=False, verdict="bad_signature", body=b""), request(3)]
    events = [said(1, "sent", 1), said(3, "delivered", 2)]
    await store.write(lambda tx: received.store(tx, requests, events))
    assert await store.read(lambda tx: [received.request(tx, item.id) for item in requests]) == requests
    assert await store.read(lambda tx: received.request(tx, message_uuid(9))) is None
    assert await store.read(lambda tx: received.of_request(tx, message_uuid(3))) == events[1]
    assert await store.read(lambda tx: received.of_request(tx, message_uuid(2))) is None
    assert await store.read(lambda tx: received.newest(tx, limit=2)) == [(requests[2], events[1]), (requests[1], None)]


async def test_one_of_two_that_come_at_once_is_the_first(store: Store) -> None:
    """Both transactions are open when the first commits, where the driver has more than one writer."""
    both = threading.Barrier(2)

    def work(tx: Transaction, number: int) -> list[ReceivedEvent]:
        if tx.dialect.name != "sqlite":
            both.wait(BOUND_S)
        return received.store(
            tx,
            [request(number)],
            [
                said(number, "sent", 2),
            ],
        )

    stored = await asyncio.gather(*(store.write(partial(work, number=number)) for number in (1, 2)))
    assert sorted(event.flag for one in stored for event in one) == ["", "duplicate"]
