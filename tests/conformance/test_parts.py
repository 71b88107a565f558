"""Messages of several parts: what receipts of parts say of the whole, in any order, twice, early and late."""

import itertools
from typing import Any

import pytest

from ringback.carriers.port import Accepted, Awaiting, PartRejected
from ringback.model.routes import Route
from ringback.store import parts
from ringback.store.port import Store
from tests.fakes.carriers import Carriers, table
from tests.fakes.clock import FakeClock

THREE = Accepted(carrier_refs=("a", "b", "c"))


@pytest.fixture
def sms(store: Store, clock: FakeClock) -> Carriers:
    return Carriers(store, clock, table(Route(name="only", carrier="x")))


async def sent(sms: Carriers, outcome: Accepted = THREE) -> str:
    [uuid] = await sms.accept()
    await sms.turn("x", outcome)
    return uuid


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
async def test_it_is_delivered_when_every_part_is(sms: Carriers, order: tuple[str, ...]) -> None:
    uuid = await sent(sms)
    message = await sms.message(uuid)
    assert (message.status, message.carrier_ref, message.connector, message.route) == ("sent", None, "x", "only")
    for ref in order:
        assert (await sms.message(uuid)).status == "sent"
        await sms.report("x", ref)
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.sequence) == ("delivered", "000", 3)
    assert await sms.history(uuid) == ["queued", "sent", "delivered part", "delivered part", "delivered"]
    assert (await sms.details(uuid))[1] == "3 parts"
    assert (await sms.details(uuid))[-1].startswith(f"part {'abc'.index(order[-1]) + 1} of 3: ")


async def test_one_part_that_is_undelivered_ends_it(sms: Carriers) -> None:
    uuid = await sent(sms)
    await sms.report("x", "a")
    await sms.report("x", "b", "undelivered", "30")
    message = await sms.message(uuid)
    assert (message.status, message.error_code) == ("undelivered", "30")
    await sms.report("x", "c")
    assert await sms.history(uuid) == [
        "queued",
        "sent",
        "delivered part",
        "undelivered",
        "delivered part",
    ]
    assert (await sms.message(uuid)).error_code == "30"


async def test_a_receipt_of_a_part_that_comes_twice_or_otherwise_is_flagged(sms: Carriers) -> None:
    uuid = await sent(sms)
    for status in ("delivered", "delivered", "undelivered"):
        await sms.report("x", "a", status)
    assert await sms.history(uuid) == ["queued", "sent", "delivered part", "delivered duplicate", "undelivered late"]
    assert (await sms.message(uuid)).status == "sent"


async def test_receipts_of_parts_that_come_early_wait(sms: Carriers) -> None:
    [uuid] = await sms.accept()
    for ref in "cab":
        await sms.report("x", ref)
    await sms.turn("x", THREE)
    assert await sms.history(uuid) == ["queued", "sent", "delivered part", "delivered part", "delivered"]


async def test_a_part_that_was_rejected_after_another_was_taken(sms: Carriers) -> None:
    mixture = Accepted(
        carrier_refs=("a", "", "c"), rejected=(PartRejected(part=2, error_code="100", detail="no more of these"),)
    )
    uuid = await sent(sms, mixture)
    message = await sms.message(uuid)
    assert (message.status, message.error_code, message.sequence) == ("undelivered", "100", 3)
    assert await sms.history(uuid) == ["queued", "sent", "undelivered"]
    told = (await sms.details(uuid))[1]
    assert told == "2 of 3 parts taken; part 2 rejected with code 100: no more of these"
    await sms.report("x", "a")
    assert (await sms.message(uuid)).status == "undelivered"


async def test_one_part_keeps_its_ref_with_the_message(sms: Carriers) -> None:
    uuid = await sent(sms, Accepted(carrier_refs=("whole",)))
    assert (await sms.message(uuid)).carrier_ref == "whole"
    assert await sms.store.read(lambda tx: parts.of_messages(tx, [uuid])) == {}


async def test_after_a_restart_the_open_parts_are_named(sms: Carriers) -> None:
    uuid = await sent(sms)
    await sms.report("x", "b")
    await sms.submitters["x"].resume()
    sent_at_us = (await sms.message(uuid)).sent_at_us or 0
    common: dict[str, Any] = {"message_uuid": uuid, "dst": "14155550123", "submitted_at_us": sent_at_us}
    assert sms.connectors["x"].resumed == [Awaiting(carrier_ref=ref, **common) for ref in "ac"]


async def test_intermediate_receipts_change_nothing(sms: Carriers) -> None:
    uuid = await sent(sms)
    whole = (await sms.accept())[0]
    await sms.turn("x", Accepted(carrier_refs=("w",)))
    await sms.report("x", "unknown", "sent")
    for ref in "aw":
        await sms.report("x", ref, "sent")
    assert await sms.history(uuid) == ["queued", "sent", "sent intermediate"]
    assert await sms.history(whole) == ["queued", "sent", "sent intermediate"]
    await sms.report("x", "w")
    await sms.report("x", "w", "sent")
    assert await sms.history(whole) == ["queued", "sent", "sent intermediate", "delivered"]
    assert (await sms.message(whole)).sequence == 3


async def test_two_messages_whose_parts_are_reported_at_once(sms: Carriers) -> None:
    uuids = await sms.accept(dst="14155550123<14155550124")
    await sms.turn("x", THREE, Accepted(carrier_refs=("d", "e")))
    for ref in "dacbe":
        await sms.report("x", ref)
    assert [(await sms.message(uuid)).status for uuid in uuids] == ["delivered", "delivered"]
