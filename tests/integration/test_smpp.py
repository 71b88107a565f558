"""The SMPP connector against a scripted SMSC, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from ringback.carriers.port import (
    Accepted,
    Deferred,
    Inbound,
    InboundAnswer,
    NotTaken,
    Outbound,
    Part,
    Receipt,
    Rejected,
    Taken,
    Unknown,
)
from ringback.carriers.smpp import coding, inbound
from ringback.carriers.smpp.configure import smpp_carrier, with_quirks
from ringback.carriers.smpp.connector import SmppConnector
from ringback.model.errors import ConfigInvalid, StoreUnavailable
from ringback.model.status import Status
from ringback.runtime import SystemClock
from ringback.settings import SmppSettings
from tests.fakes.smsc import scripted_smsc

LONG = "Grüße aus der Ferne, " * 20
EMOJI = "Fröhliche Grüße 🎉 " * 12


class Takers:
    """Takes receipts and inbound messages, or not."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.inbound: list[Inbound] = []
        self.refusals = 0
        self.answer: InboundAnswer = Taken("uuid")
        self.news = asyncio.Event()

    async def take_receipt(self, receipt: Receipt) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("not now")
        self.receipts.append(receipt)
        self.news.set()

    async def take_inbound(self, inbound: Inbound) -> InboundAnswer:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("not now")
        self.inbound.append(inbound)
        self.news.set()
        return self.answer

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                await self.news.wait()
                self.news.clear()


@asynccontextmanager
async def bound(port: int, takers: Takers, **settings: Any) -> AsyncIterator[SmppConnector]:
    """A connector that is up."""
    own = {"host": "127.0.0.1", "port": port, "system_id": "ringback", "response_s": 60.0, **settings}
    given = msgspec.convert(with_quirks(SmppSettings(), own, name="smpp"), SmppSettings)
    made = smpp_carrier(given, name="smpp", clock=SystemClock(), chance=lambda: 0.0)
    made.deliver_receipts_to(takers.take_receipt)
    made.deliver_inbound_to(takers.take_inbound)
    running = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(60):
            for link in made._links:
                await link.is_up.wait()
        yield made
    finally:
        made.stop()
        await running


def total_of(each: Inbound) -> int:
    return each.part.total if each.part else 1


def joined(parts: list[tuple[str, Part | None]]) -> str:
    """The text that parts make, which must all be of one."""
    assert len({(part.reference, part.total) if part else None for _, part in parts}) == 1
    assert [part.number if part else 1 for _, part in parts] == list(range(1, len(parts) + 1))
    return "".join(text for text, _ in parts)


def outbound(text: str = "Hello", *, dst: str = "15005550001", src: str = "15005550100", number: int = 1) -> Outbound:
    uuid = f"019ab000-0000-7000-8000-{number:012d}"
    return Outbound(message_uuid=uuid, src=src, dst=dst, text=text)


@pytest.mark.parametrize("pairs", [False, True])
async def test_a_message_and_its_receipt(*, pairs: bool) -> None:
    takers = Takers()
    async with scripted_smsc() as (smsc, port), bound(port, takers, pairs=pairs, binds=2) as carrier:
        outcome = await carrier.submit(outbound(src="Ringback"))
        assert outcome == Accepted(carrier_refs=("1",))
        await takers.until(lambda: bool(takers.receipts))
        shown = carrier.snapshot()
    (body,) = smsc.submitted
    assert (body.source_ton, body.source, body.dest_ton, body.dest_npi, body.dest) == (
        5,
        "Ringback",
        1,
        1,
        "15005550001",
    )
    assert body.short_message == b"Hello"
    assert takers.receipts == [
        Receipt(
            connector="smpp", carrier_ref="1", status=Status.DELIVERED, error_code="000", detail="stat:DELIVRD err:0"
        )
    ]
    assert (shown.state, shown.window_used) == ("up", 0)
    assert not any("Hello" in each.what or "1500555" in each.what for each in shown.exchanges)
    assert smsc.counts["binds"] == (4 if pairs else 2)


@pytest.mark.parametrize("concatenation", ["udh", "udh16", "sar", "payload"])
@pytest.mark.parametrize("default_coding", ["gsm", "gsm_packed", "latin1"])
@pytest.mark.parametrize("text", ["Hello", LONG, EMOJI, "€[]{}~^|\\" * 30, "a" * 160, "Ω" * 200])
async def test_texts_arrive_as_they_were(concatenation: Any, default_coding: Any, text: str) -> None:
    async with (
        scripted_smsc() as (smsc, port),
        bound(port, Takers(), concatenation=concatenation, default_coding=default_coding) as carrier,
    ):
        outcome = await carrier.submit(outbound(text))
        assert isinstance(outcome, Accepted)
        parts = [inbound.text_of(body, default_coding) for body in smsc.submitted]
        assert len(outcome.carrier_refs) == len(parts)
    assert joined(parts) == text
    assert all(len(body.short_message) <= 160 for body in smsc.submitted)
    assert {body.registered_delivery for body in smsc.submitted} == {1}


@pytest.mark.parametrize("form", ["text", "tlv", "both"])
@pytest.mark.parametrize(("ids", "submitted"), [("decimal", "text"), ("hex", "hex"), ("padded", "decimal")])
async def test_receipts_in_all_their_forms(form: str, ids: str, submitted: Any) -> None:
    takers = Takers()
    rule = {"receipts": [{"after_ms": 1, "state": "UNDELIV", "error": "007", "form": form, "times": 2}]}
    receipted: Any = "text" if ids == "decimal" else "decimal"
    async with (
        scripted_smsc(rule=[rule], ids=ids) as (_, port),
        bound(port, takers, submitted_ids=submitted, receipted_ids=receipted, error_codes=("007=50",)) as carrier,
    ):
        refs = []
        for number in range(12):
            outcome = await carrier.submit(outbound(number=number))
            assert isinstance(outcome, Accepted)
            refs += outcome.carrier_refs
        await takers.until(lambda: len(takers.receipts) == 24)
    assert sorted({receipt.carrier_ref for receipt in takers.receipts}) == sorted(refs)
    assert {(receipt.status, receipt.error_code) for receipt in takers.receipts} == {(Status.UNDELIVERED, "50")}


async def test_a_receipt_that_was_not_stored_is_offered_again() -> None:
    takers = Takers()
    takers.refusals = 2
    async with scripted_smsc() as (smsc, port), bound(port, takers) as carrier:
        await carrier.submit(outbound())
        await takers.until(lambda: bool(takers.receipts))
    assert len(takers.receipts) == 1
    assert smsc.counts["receipts not taken"] == 2


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"answer": "error", "status": 0x0B}, Rejected(error_code="50", detail="ESME_RINVDSTADR")),
        (
            {"answer": "error", "status": 0x401},
            Rejected(error_code="1000", detail="vendor 0x00000401", elsewhere=True),
        ),
        ({"answer": "error", "status": 0x58}, Deferred(retry_after_s=0.5, detail="ESME_RTHROTTLED")),
        ({"answer": "error", "status": 0x08}, Deferred(retry_after_s=5.0, detail="ESME_RSYSERR")),
        ({"answer": "drop"}, Unknown(detail="no answer came in time", taken=("",))),
        ({"answer": "garbage"}, Unknown(detail="no answer came in time", taken=("",))),
        ({"answer": "close"}, Unknown(detail="the peer closed the connection", taken=("",))),
    ],
)
async def test_what_becomes_of_a_message(rule: dict[str, Any], outcome: Any) -> None:
    # Of those who get no answer alone the time is to run out.
    settings = {"response_s": 1.0} if rule["answer"] in {"drop", "garbage"} else {}
    async with scripted_smsc(rule=[rule]) as (_, port), bound(port, Takers(), **settings) as carrier:
        found = await carrier.submit(outbound())
        if isinstance(found, Deferred) and found.retry_after_s < 1:
            assert 0 < found.retry_after_s <= 0.5
            found = Deferred(retry_after_s=0.5, detail=found.detail)
        assert found == outcome


async def test_throttling_narrows_the_window_and_holds_back() -> None:
    rule = {"answer": "error", "status": 0x58, "every": 2}
    async with scripted_smsc(rule=[rule]) as (smsc, port), bound(port, Takers(), window=8) as carrier:
        found = await asyncio.gather(*(carrier.submit(outbound(number=number)) for number in range(8)))
        assert sum(isinstance(each, Deferred) for each in found) == 4
        shown = carrier.snapshot()
        assert shown.window_allowed == 4
        window = carrier._links[0]._window
        assert window.held_until_us > 0
        # However long the machine takes for the next one.
        window.held_until_us += 3_600_000_000
        held = await carrier.submit(outbound(number=9))
        assert isinstance(held, Deferred)
        assert smsc.counts.total() == 9


async def test_a_carrier_that_throttles_can_be_bound_to_again() -> None:
    rule = {"answer": "error", "status": 0x58}
    async with scripted_smsc(rule=[rule]) as (smsc, port), bound(port, Takers()) as carrier:
        assert isinstance(await carrier.submit(outbound()), Deferred)
        # What was learned holds messages back, not the bind that they need.
        link = carrier._links[0]
        link._window.held_until_us += 3_600_000_000
        link.is_up.clear()
        carrier.rebind()
        async with asyncio.timeout(60):
            await link.is_up.wait()
        assert smsc.counts["binds"] == 2
        assert isinstance(await carrier.submit(outbound(number=2)), Deferred)


async def test_nobody_to_send_to() -> None:
    takers = Takers()
    async with scripted_smsc() as (_, port):
        pass
    made = smpp_carrier(
        SmppSettings(host="127.0.0.1", port=port, system_id="me"), name="smpp", clock=SystemClock(), chance=lambda: 0.0
    )
    made.deliver_receipts_to(takers.take_receipt)
    running = asyncio.create_task(made.run())
    outcome = await made.submit(outbound())
    assert isinstance(outcome, Deferred)
    assert outcome.reason == "down"
    assert await made.submit(Outbound(message_uuid="x", src="1", dst="2", text="", type="mms")) == Rejected(
        error_code="90", detail="this carrier takes no MMS", elsewhere=True
    )
    made.stop()
    await running
    assert made.snapshot().state == "stopped"


async def test_a_wrong_password_is_told() -> None:
    async with scripted_smsc(password="right") as (smsc, port):
        made = smpp_carrier(
            SmppSettings(host="127.0.0.1", port=port, system_id="me", password="wrong"),
            name="smpp",
            clock=SystemClock(),
            chance=lambda: 0.0,
        )
        assert await made._links[0]._connect() == "the peer refused the bind: ESME_RINVPASWD"
    assert smsc.counts["binds"] == 1


async def test_a_link_comes_back() -> None:
    takers = Takers()
    async with scripted_smsc() as (_, port), bound(port, takers) as carrier:
        assert isinstance(await carrier.submit(outbound()), Accepted)
        carrier.rebind()
        async with asyncio.timeout(60):
            while not isinstance(await carrier.submit(outbound(number=2)), Accepted):
                await carrier._links[0].is_up.wait()


@pytest.mark.parametrize("text", ["Hello", LONG, EMOJI])
async def test_messages_from_phones_say_which_part_they_are(text: str) -> None:
    takers = Takers()
    takers.refusals = 1
    brought = [{"source": "14155550199", "dest": "14155550100", "text": text, "after_ms": 50}]
    async with scripted_smsc(inbound=brought) as (smsc, port), bound(port, takers):
        await takers.until(lambda: bool(takers.inbound) and len(takers.inbound) == total_of(takers.inbound[0]))
    assert {(each.src, each.dst) for each in takers.inbound} == {("14155550199", "14155550100")}
    assert joined([(each.text, each.part) for each in takers.inbound]) == text
    assert smsc.counts["inbound not taken"] >= 1


async def test_a_message_that_is_refused_is_told_so() -> None:
    takers = Takers()
    takers.answer = NotTaken("the number belongs to no account")
    brought = [{"source": "14155550199", "dest": "14155550100", "text": "Hello", "after_ms": 1}]
    async with scripted_smsc(inbound=brought) as (smsc, port), bound(port, takers):
        await takers.until(lambda: len(takers.inbound) >= 2)
    assert smsc.counts["inbound"] == 0


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"host": ""}, "carrier smpp: host is missing"),
        ({"system_id": ""}, "carrier smpp: system_id is missing"),
        ({"system_id": "x" * 16}, "carrier smpp: system_id may have 15 characters"),
        ({"password": "x" * 9}, "carrier smpp: password may have 8 characters"),
        ({"error_codes": ("50",)}, "must be like 1=50"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], complaint: str) -> None:
    given = SmppSettings(**{"host": "127.0.0.1", "system_id": "me", **settings})
    with pytest.raises(ConfigInvalid, match=complaint):
        smpp_carrier(given, name="smpp", clock=SystemClock(), chance=lambda: 0.0)


def test_packing_is_undone() -> None:
    septets = coding.to_septets("Hello €")
    for fill_bits in range(7):
        assert coding.unpack(coding.pack(septets, fill_bits=fill_bits), fill_bits=fill_bits) == septets
