"""SMPP with Kannel on the other side: as a customer that binds to our listener, and its test SMSC for our links."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ringback.carriers.port import Accepted
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smsc.server import ScriptedSmsc
from tests.fakes.kannel import EXTRAS, Heard, Upstream, kannel, need, running
from tests.fakes.ports import free_port
from tests.fakes.smsc import scripted_smsc
from tests.integration.test_smpp import EMOJI, LONG, Takers, bound, joined, outbound

TAKEN, DELIVERED, FAILED, QUEUED, REFUSED, EXPIRED = 8, 1, 2, 4, 16, 32
"""Types of Kannel's delivery reports."""
PHONE, OURS = "14155550199", "14155550100"


def told(smsc: ScriptedSmsc) -> list[str]:
    """The texts that were taken, long ones whole."""
    whole: dict[tuple[str, int | None], list[Any]] = {}
    for body in smsc.submitted:
        text, part = text_of(body, "gsm")
        whole.setdefault((body.dest, part.reference if part else id(body)), []).append((text, part))
    return [joined(parts) for parts in whole.values()]


@pytest.mark.parametrize("pair", [False, True], ids=["transceiver", "transmitter and receiver"])
async def test_kannel_sends_and_gets_its_receipts(tmp_path: Path, *, pair: bool) -> None:
    texts = {"Hello": "0", "€[]{}~^|\\": "0", LONG: "0", EMOJI: "2", "Ωλ 日本語": "2"}
    # Kannel has a thread for each link: a receipt that it reads before the answer to its message is lost to it.
    rules = [{"receipts": [{"after_ms": 2_000}]}] if pair else []
    async with scripted_smsc(rule=rules, system_id="kannel", password="pw") as (smsc, port):
        async with kannel(tmp_path / "kannel", Upstream(port=port, pair=pair)) as peer:
            for name, (text, coding) in enumerate(texts.items()):
                assert await peer.send(str(name), text=text, coding=coding) == 202
            await peer.until_heard(lambda: all(DELIVERED in found for found in peer.reports.values()))
        assert set(map(tuple, peer.reports.values())) == {(TAKEN, DELIVERED)}
        assert sorted(told(smsc)) == sorted(texts)
        assert smsc.counts["binds"] == (2 if pair else 1)


STATES = {
    "DELIVRD": DELIVERED, "ACCEPTD": QUEUED, "ENROUTE": QUEUED, "UNDELIV": FAILED, "EXPIRED": FAILED,
    "DELETED": FAILED, "REJECTD": FAILED, "UNKNOWN": FAILED,
}  # fmt: skip


@pytest.mark.parametrize("form", ["text", "tlv", "both"])
async def test_kannel_understands_receipts_of_every_state(tmp_path: Path, form: str) -> None:
    rules = [
        {"dest": f"1500555{at:04d}", "receipts": [{"after_ms": 10, "state": state, "form": form}]}
        for at, state in enumerate(STATES)
    ]
    async with scripted_smsc(rule=rules) as (smsc, port), kannel(tmp_path / "kannel", Upstream(port=port)) as peer:
        for at, state in enumerate(STATES):
            await peer.send(state, dst=f"1500555{at:04d}")
        await peer.until_heard(lambda: all(len(found) == 2 for found in peer.reports.values()))
    wanted = {state: [TAKEN, report] for state, report in STATES.items()}
    if form != "text":
        wanted["EXPIRED"] = [TAKEN, FAILED | EXPIRED]
    assert peer.reports == wanted
    assert smsc.counts["receipts"] == len(STATES)


SECOND_TRY = [{"dest": "15005550001", "every": 2}]
ROUGH: dict[str, tuple[dict[str, Any], list[int], dict[str, int]]] = {
    "refused": ({"answer": "error", "status": 0x0B}, [REFUSED], {"error": 1}),
    "unknown to it": ({"answer": "error", "status": 0x0401}, [REFUSED], {"error": 1}),
    "throttled": ({"answer": "error", "status": 0x58}, [TAKEN, DELIVERED], {"error": 1, "ok": 1}),
    "queue full": ({"answer": "error", "status": 0x14}, [TAKEN, DELIVERED], {"error": 1, "ok": 1}),
    "closed": ({"answer": "close"}, [TAKEN, DELIVERED], {"close": 1, "ok": 1}),
    # Kannel takes any answer without an error for a yes.
    "answered with garbage": ({"answer": "garbage"}, [TAKEN], {"garbage": 1}),
}


@pytest.mark.parametrize(("rule", "reports", "counts"), ROUGH.values(), ids=ROUGH)
async def test_kannel_and_an_smsc_that_does_not_take_it(
    tmp_path: Path, rule: dict[str, Any], reports: list[int], counts: dict[str, int]
) -> None:
    rules = [*(SECOND_TRY if "ok" in counts else []), {**rule, "dest": "15005550001"}]
    async with (
        scripted_smsc(rule=rules) as (smsc, port),
        kannel(tmp_path / "kannel", Upstream(port=port)) as peer,
    ):
        await peer.send("it")
        await peer.until_heard(lambda: len(peer.reports["it"]) >= len(reports))
    assert peer.reports == {"it": reports}
    assert {word: smsc.counts[word] for word in counts} == counts


async def test_kannel_hears_phones(tmp_path: Path) -> None:
    texts = ["Hello", "€[]{}~^|\\", LONG, EMOJI]
    brought = [{"source": PHONE, "dest": OURS, "text": text, "after_ms": 500} for text in texts]
    async with (
        scripted_smsc(inbound=brought) as (smsc, port),
        kannel(tmp_path / "kannel", Upstream(port=port)) as peer,
    ):
        await peer.until_heard(lambda: len(peer.heard) == len(texts))
    assert sorted(peer.heard, key=repr) == sorted((Heard(f"+{PHONE}", f"+{OURS}", text) for text in texts), key=repr)
    assert smsc.counts["inbound not taken"] == 0


async def test_our_links_with_kannels_smsc(tmp_path: Path) -> None:
    """Its ``drive_smpp`` names no message, and tells a ``receipted_message_id`` with messages that are no receipts."""
    need(EXTRAS / "drive_smpp", "kannel-extras")
    port, takers = free_port(), Takers()
    arguments = ("-v", "1", "-p", str(port), "-m", "50")
    async with (
        running(EXTRAS / "drive_smpp", *arguments, log=tmp_path / "drive.out"),
        bound(port, takers, pairs=True) as carrier,
    ):
        outcomes = await asyncio.gather(
            *(carrier.submit(outbound(text, number=number)) for number, text in enumerate(["Hello", LONG, EMOJI]))
        )
        await takers.until(lambda: len(takers.inbound) == 50)
        errors = carrier.snapshot().errors
    assert all(isinstance(each, Accepted) for each in outcomes)
    assert Counter((each.src, each.dst, each.text) for each in takers.inbound) == Counter(
        ("456", "123", str(number)) for number in range(1, 51)
    )
    assert (takers.receipts, errors) == ([], {})
