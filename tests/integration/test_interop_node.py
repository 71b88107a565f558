"""SMPP with the library smpp of Node.js on the other side: its client and our listener, its server and our links."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ringback.carriers.port import Accepted, Rejected
from ringback.carriers.smpp.inbound import text_of
from ringback.model.status import Status
from tests.fakes import node_sdk
from tests.fakes.ports import free_port
from tests.fakes.smsc import scripted_smsc
from tests.integration.test_smpp import EMOJI, LONG, Takers, bound, outbound

HERE = Path(__file__).parent / "smpp_node"
PHONE, OURS = "14155550199", "14155550100"


@pytest.fixture(scope="module", autouse=True)
def _library() -> None:
    node_sdk.install(HERE, "smpp")


async def test_their_client_with_our_listener() -> None:
    rules = [
        {"dest": "15005550011", "answer": "error", "status": 0x0B},
        {"dest": "15005550002", "receipts": [{"after_ms": 10, "state": "UNDELIV", "form": "both"}]},
    ]
    brought = [{"source": PHONE, "dest": OURS, "text": LONG, "after_ms": 200}]
    parts = 3
    async with scripted_smsc(rule=rules, inbound=brought, system_id="me", password="secret") as (smsc, port):
        told = json.loads(await node_sdk.output_of("client.js", str(port), str(4 + parts), here=HERE))
    assert (told["bound"]["command_status"], told["bound"]["sc_interface_version"]) == (0, 0x34)
    assert told["answers"] == [[0, "1"], [0, "2"], [0, "3"], [0, "4"], [0x0B, ""]]
    assert [text_of(body, "gsm")[0] for body in smsc.submitted] == ["Grüße €", "日本語 🎉", "first, ", "second"]
    receipts = [each for each in told["heard"] if each["kind"] == 4]
    assert sorted(each["text"][:4] for each in receipts) == ["id:1", "id:2", "id:3", "id:4"]
    assert [(each["id"], each["state"]) for each in receipts if "id" in each] == [("2", 5)]
    phone = sorted((each for each in told["heard"] if each["kind"] == 0x40), key=lambda each: each["header"][-1])
    assert "".join(each["text"] for each in phone) == LONG
    assert [each["header"][-2:] for each in phone] == [[parts, number] for number in range(1, parts + 1)]
    assert (told["enquired"], told["unbound"]) == (0, 0)


@pytest.mark.parametrize(
    "settings",
    [{}, {"pairs": True}, {"concatenation": "udh16"}, {"concatenation": "sar"}, {"concatenation": "payload"}],
    ids=str,
)
async def test_our_links_with_their_server(settings: dict[str, Any]) -> None:
    port, takers = free_port(), Takers()
    process = await asyncio.create_subprocess_exec(
        "node", "server.js", str(port), cwd=HERE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
        async with bound(port, takers, **settings) as carrier:
            refs: list[str] = []
            for number, text in enumerate(["Grüße €", LONG, EMOJI], 1):
                outcome = await carrier.submit(outbound(text, dst=f"1500555000{number}", src="Ringback", number=number))
                assert isinstance(outcome, Accepted)
                refs += outcome.carrier_refs
            assert await carrier.submit(outbound(dst="15005550011")) == Rejected(
                error_code="50", detail="ESME_RINVDSTADR"
            )
            await takers.until(lambda: len(takers.receipts) == len(refs) and bool(takers.inbound))
            taken = [json.loads(await process.stdout.readline()) for _ in refs]
            errors = carrier.snapshot().errors
    finally:
        process.kill()
        await process.wait()
    assert {(each.carrier_ref, each.status) for each in takers.receipts} == {(ref, Status.DELIVERED) for ref in refs}
    assert [(each.src, each.dst, each.text) for each in takers.inbound] == [(PHONE, OURS, "Grüße")]
    assert errors == {"ESME_RINVDSTADR": 1}
    for number, text in enumerate(["Grüße €", LONG, EMOJI], 1):
        parts = [each for each in taken if each["dest"] == f"1500555000{number}"]
        assert "".join(each["text"] for each in sorted(parts, key=lambda each: each["part"])) == text
        assert {(each["source"], each["ton"]) for each in parts} == {("Ringback", 5)}
