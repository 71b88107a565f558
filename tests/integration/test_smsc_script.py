"""What a scripted SMSC can do to a carrier, and what the carrier makes of it, over real sockets."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ringback.carriers.port import Accepted, Deferred, Rejected
from ringback.carriers.smpp.connector import SmppConnector
from ringback.carriers.smsc.script import read_script
from ringback.model.errors import ConfigInvalid
from ringback.model.status import Status
from tests.fakes.clock import FakeClock
from tests.fakes.smsc import scripted_smsc
from tests.integration.test_smpp import LONG, Takers, bound, joined, outbound, total_of


async def bound_anew(carrier: SmppConnector) -> None:
    """Wait until the bind has ended and there is another."""
    link = carrier._links[0]
    async with asyncio.timeout(60):
        if link._now is not None:
            await asyncio.shield(link._now.closed)
            # Its owner, who waited for that before, hears of it now.
            await asyncio.sleep(0)
        await link.is_up.wait()


async def refs_of(carrier: SmppConnector, count: int) -> list[str]:
    """Hand over so many at once; their names in the order of the messages."""
    found = await asyncio.gather(*(carrier.submit(outbound(number=number)) for number in range(count)))
    assert all(isinstance(each, Accepted) for each in found)
    return [each.carrier_refs[0] for each in found if isinstance(each, Accepted)]


@pytest.mark.parametrize("reorder", [4, 9])
async def test_answers_in_another_order_go_to_the_right_message(reorder: int) -> None:
    takers = Takers()
    async with scripted_smsc(rule=[{"reorder": reorder}]) as (smsc, port), bound(port, takers) as carrier:
        refs = await refs_of(carrier, 8)
        told = [each.what for each in carrier.snapshot().exchanges if each.what.startswith("submit_sm_resp")]
        await takers.until(lambda: len(takers.receipts) == 8)
    # The SMSC numbers them as they came in; what it answers first is what came last.
    assert [ref for ref, _ in zip(refs, smsc.submitted, strict=True)] == [str(number) for number in range(1, 9)]
    batch = min(reorder, 8)
    assert f"message_id {batch}" in told[0]
    assert {each.carrier_ref for each in takers.receipts} == set(refs)


async def test_so_many_a_second_and_no_more() -> None:
    clock = FakeClock()
    rule = [{"per_s": 5}]
    async with (
        scripted_smsc(rule=rule, clock=clock) as (smsc, port),
        bound(port, Takers(), window=50) as carrier,
    ):
        found = await asyncio.gather(*(carrier.submit(outbound(number=number)) for number in range(20)))
        shown = carrier.snapshot()
        clock.advance(1)
        # The one that was refused keeps away for a while.
        async with bound(port, Takers()) as another:
            assert isinstance(await another.submit(outbound(number=20)), Accepted)
    assert [type(each) for each in found].count(Accepted) == 5
    assert smsc.counts["error"] == 15
    assert shown.errors["ESME_RTHROTTLED"] == 15
    assert shown.window_allowed is not None
    assert shown.window_allowed < 50


async def test_messages_without_a_name_are_taken_all_the_same() -> None:
    async with scripted_smsc(ids="none") as (_, port), bound(port, Takers()) as carrier:
        outcome = await carrier.submit(outbound())
    assert isinstance(outcome, Accepted)
    assert outcome.carrier_refs[0].startswith("unnamed ")


@pytest.mark.parametrize(
    ("script", "settings"),
    [
        ({"ids": "hex", "parameter_ids": "hex", "receipt_ids": "padded"}, {"quirks": "hex-decimal"}),
        ({"ids": "hex", "receipt_ids": "padded", "form": "text"}, {"quirks": "vonage"}),
        ({"receipts_by": "data_sm", "form": "tlv"}, {"quirks": "jasmin"}),
        ({"receipts_by": "data_sm"}, {}),
        ({"receipt_class": 0, "form": "text"}, {"receipts_by": "text"}),
        ({"receipt_text": "id:{id} submitdate:{submitted} stat:{state} err:{error} text:", "form": "text"}, {}),
        ({"receipt_text": "id:{id} stat:GONEOUT err:{error}", "form": "text"}, {"states": ("GONEOUT=DELIVRD",)}),
    ],
)
async def test_receipts_in_layouts_of_all_kinds(script: dict[str, Any], settings: dict[str, Any]) -> None:
    takers = Takers()
    given = {name: value for name, value in script.items() if name != "form"}
    rule = {"receipts": [{"after_ms": 1, "form": script.get("form", "both")}]}
    async with scripted_smsc(rule=[rule], **given) as (_, port), bound(port, takers, **settings) as carrier:
        refs = await refs_of(carrier, 12)
        await takers.until(lambda: len(takers.receipts) == 12)
    assert {(each.carrier_ref, each.status) for each in takers.receipts} == {(ref, Status.DELIVERED) for ref in refs}
    assert not takers.inbound


@pytest.mark.parametrize("concatenation", ["udh", "udh16", "sar", "payload"])
async def test_long_messages_from_phones(concatenation: str) -> None:
    takers = Takers()
    brought = [{"source": "14155550199", "dest": "14155550100", "text": LONG, "concatenation": concatenation}]
    async with scripted_smsc(inbound=brought) as (_, port), bound(port, takers):
        await takers.until(lambda: bool(takers.inbound) and len(takers.inbound) == total_of(takers.inbound[0]))
    assert joined([(each.text, each.part) for each in takers.inbound]) == LONG


async def test_a_carrier_that_unbinds_is_bound_to_again() -> None:
    async with scripted_smsc(rule=[{"answer": "unbind", "every": 2}]) as (smsc, port), bound(port, Takers()) as carrier:
        assert isinstance(await carrier.submit(outbound()), Accepted)
        found = await carrier.submit(outbound(number=2))
        assert isinstance(found, Deferred)
        await bound_anew(carrier)
        assert isinstance(await carrier.submit(outbound(number=3)), Accepted)
    assert smsc.counts["binds"] == 2


async def test_a_carrier_that_unbinds_everybody_after_a_while() -> None:
    async with scripted_smsc(unbind_after_ms=50) as (smsc, port), bound(port, Takers()) as carrier:
        await bound_anew(carrier)
        await bound_anew(carrier)
    assert smsc.counts["binds"] >= 3


async def test_a_carrier_of_smpp_5_that_says_how_busy_it_is() -> None:
    rule = {"congestion": 100, "parameters": {"0x1403": "26201", "0x2ABC": "of a vendor"}}
    settings = {"interface_version": "5.0", "window": 16, "network_parameter": 0x1403}
    async with scripted_smsc(rule=[rule]) as (_, port), bound(port, Takers(), **settings) as carrier:
        outcome = await carrier.submit(outbound())
        shown = carrier.snapshot()
    assert outcome == Accepted(carrier_refs=("1",), mcc="262", mnc="01")
    assert shown.window_allowed == 8
    told = [each.what for each in shown.exchanges]
    assert any("congestion_state 1 bytes, 0x1403 5 bytes, 0x2abc 11 bytes" in each for each in told)


@pytest.mark.parametrize(
    ("receipts_for", "refs", "told"),
    [("last", ("3",), 1), ("failures", ("1", "2", "3"), 0), ("all", ("1", "2", "3"), 3)],
)
async def test_receipts_for_some_parts(receipts_for: str, refs: tuple[str, ...], told: int) -> None:
    takers = Takers()
    async with (
        scripted_smsc(rule=[{"receipts": [{"after_ms": 1}]}]) as (smsc, port),
        bound(port, takers, receipts_for=receipts_for) as carrier,
    ):
        assert await carrier.submit(outbound("a" * 400)) == Accepted(carrier_refs=refs)
        await takers.until(lambda: len(takers.receipts) == told)
        assert smsc.pending == 0 or told
    assert {each.carrier_ref for each in takers.receipts} <= set(refs)


@pytest.mark.parametrize(
    ("settings", "status", "outcome"),
    [
        ({"status_codes": ("0x22=90",)}, 0x22, Rejected(error_code="90", detail="reserved 0x00000022", elsewhere=True)),
        ({"status_codes": ("0x401=40",)}, 0x401, Rejected(error_code="40", detail="vendor 0x00000401")),
        ({"trouble_statuses": ("0x4a1",)}, 0x4A1, Deferred(retry_after_s=5.0, detail="vendor 0x000004a1")),
    ],
)
async def test_statuses_of_a_carrier_of_its_own(settings: dict[str, Any], status: int, outcome: Any) -> None:
    rule = {"answer": "error", "status": status}
    async with scripted_smsc(rule=[rule]) as (_, port), bound(port, Takers(), **settings) as carrier:
        assert await carrier.submit(outbound()) == outcome


async def test_a_status_that_throttles_a_carrier_of_its_own() -> None:
    rule = {"answer": "error", "status": 0x45}
    settings = {"throttle_statuses": ("0x45",), "window": 8}
    async with scripted_smsc(rule=[rule]) as (_, port), bound(port, Takers(), **settings) as carrier:
        assert isinstance(await carrier.submit(outbound()), Deferred)
        assert carrier.snapshot().window_allowed == 4


async def test_an_idle_bind_is_made_anew() -> None:
    async with scripted_smsc() as (smsc, port), bound(port, Takers(), inactivity_s=0.1) as carrier:
        await bound_anew(carrier)
    assert smsc.counts["binds"] >= 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('ids = "odd"', "Invalid enum value"),
        ('receipt_text = "id:{name}"', "receipt_text or parameters: 'name'"),
        ('[[rule]]\nparameters = { odd = "1" }', "receipt_text or parameters: invalid literal"),
        ("[[rule]]\nreorder = 0", "Expected `int` >= 1"),
        ("rule", "script .*: "),
    ],
)
def test_scripts_that_cannot_be(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text(text)
    with pytest.raises(ConfigInvalid, match=complaint):
        read_script(file)
