"""A list that is narrowed gives the messages that its predicate takes, on every database."""

import pytest

from ringback.store import messages
from ringback.store.messages import Filter
from ringback.store.narrowing import Narrowing, NoReceipt
from ringback.store.port import Store
from tests.fakes.messages import message, message_uuid

MADE = [
    message(**{"uuid": message_uuid(number), **changes})
    for number, changes in enumerate(
        (
            {"country": "US", "mcc": "310", "mnc": "260", "route": "premium", "src": "Acme"},
            {"country": "IN", "mcc": "404", "mnc": "20", "route": "premium", "status": "sent"},
            {"country": "IN", "mcc": None, "mnc": None, "route": None, "status": "failed", "error_code": "30"},
            {"country": "GB", "direction": "inbound", "status": "received", "log": "false", "src": "447700900000"},
            {"country": "GB", "direction": "inbound", "status": "received", "log": "true", "src": "447700900000"},
            {"country": "FR", "status": "sent", "sent_at_us": 5, "queued_at_us": 3},
            {"country": "", "status": "sent", "sent_at_us": None, "queued_at_us": 6},
        )
    )
]


@pytest.mark.parametrize(
    ("narrowing", "numbers"),
    [
        (Narrowing(), [0, 1, 2, 3, 4, 5, 6]),
        (Narrowing(country=("US", "IN")), [0, 1, 2]),
        (Narrowing(country=("IN",), route=("premium",)), [1]),
        (Narrowing(carrier=("310-260", "404-20")), [0, 1]),
        (Narrowing(carrier=("404-20", "none")), [1, 2, 3, 4, 5, 6]),
        (Narrowing(route=("none",), direction=("outbound",)), [2, 5, 6]),
        (Narrowing(sender=("447700900000",)), [4]),
        (Narrowing(status=("sent", "failed")), [1, 2, 5, 6]),
        (Narrowing(no_receipt=NoReceipt(5)), []),
        (Narrowing(no_receipt=NoReceipt(6)), [5]),
        (Narrowing(no_receipt=NoReceipt(7)), [5, 6]),
        (Narrowing(no_receipt=NoReceipt(7, ("FR",))), [6]),
        (Narrowing(no_receipt=NoReceipt(7), status=("failed",)), [2, 5, 6]),
        (Narrowing(no_receipt=NoReceipt(7), country=("FR", "GB")), [5]),
        (Narrowing(error_code=("30",)), [2]),
    ],
)
async def test_the_list_and_the_predicate_agree(store: Store, narrowing: Narrowing, numbers: list[int]) -> None:
    await store.write(lambda tx: messages.insert(tx, MADE))
    found = await store.read(
        lambda tx: messages.newest(tx, Filter(), number=None, before=None, limit=9, narrowing=narrowing)
    )
    assert sorted(each.uuid for each in found) == [message_uuid(number) for number in numbers]
    assert [number for number, each in enumerate(MADE) if narrowing.takes(each)] == numbers
