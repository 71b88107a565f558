"""A whole Ringback whose carrier is an SMSC over SMPP: API to submission, receipt to callback, phone to application."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ringback.model import segments
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import running, settings_for
from tests.fakes.smsc import scripted_smsc

PHONE = "14155550199"
LONG = "From far away 🎉, with love. " * 12


def smpp(port: int, **more: object) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, "system_id": "ringback", **more}


async def test_a_message_over_smpp_and_its_callbacks(tmp_path: Path) -> None:
    rules = [
        {"dest": "15005550030", "receipts": [{"after_ms": 1, "state": "UNDELIV", "error": "030"}]},
        {"dest": "15005550011", "answer": "error", "status": 0x0B},
        {"dest": "15005550005", "receipts": [{"early": True}]},
    ]
    async with scripted_smsc(rule=rules) as (smsc, port), recording_endpoint() as endpoint:
        settings = settings_for(tmp_path, smpp=smpp(port, error_codes=["30=30"]))
        async with running(settings) as ringback:
            uuids = {}
            for dst in ("15005550001", "15005550030", "15005550011", "15005550005"):
                _, answer = await ringback.send(dst=dst, text=LONG, url=endpoint.url)
                uuids[dst] = answer["message_uuid"][0]
            await ringback.until_status(uuids["15005550001"], "delivered")
            bounced = await ringback.until_status(uuids["15005550030"], "undelivered")
            refused = await ringback.until_status(uuids["15005550011"], "failed")
            await ringback.until_status(uuids["15005550005"], "delivered")
            assert (bounced.error_code, refused.error_code) == ("30", "50")
            await ringback.until_called_back()
            told = [dict(parse_qsl(request.body.decode())) for request in endpoint.requests]
    by_message = {uuid: [each["Status"] for each in told if each["MessageUUID"] == uuid] for uuid in uuids.values()}
    assert by_message == {
        uuids["15005550001"]: ["queued", "sent", "delivered"],
        uuids["15005550030"]: ["queued", "sent", "undelivered"],
        uuids["15005550011"]: ["queued", "failed"],
        uuids["15005550005"]: ["queued", "sent", "delivered"],
    }
    # One for each part: of three messages in several parts, and none for what was refused.
    assert smsc.counts["receipts"] == 3 * len(segments.segment(LONG, smart=False).parts)


async def test_a_message_from_a_phone_reaches_its_application(tmp_path: Path) -> None:
    brought = [{"source": PHONE, "dest": OURS, "text": LONG, "after_ms": 300}]
    async with (
        scripted_smsc(inbound=brought) as (_, port),
        recording_endpoint() as endpoint,
        running(settings_for(tmp_path, smpp=smpp(port))) as ringback,
    ):
        await own_number(ringback.platform.store, ringback.account.auth_id, message_url=endpoint.url)
        (request,) = await endpoint.wait_for(1)
    said = dict(parse_qsl(request.body.decode()))
    assert (said["From"], said["To"], said["Text"]) == (PHONE, OURS, LONG)


async def test_messages_wait_for_a_carrier_and_receipts_for_a_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_smsc() as (_, port):
        pass
    settings = settings_for(tmp_path, smpp=smpp(port))
    async with AsyncExitStack() as stack:
        async with running(settings) as ringback:
            _, answer = await ringback.send()
            (uuid,) = answer["message_uuid"]
            # The carrier comes only now; its receipt, when Ringback has gone.
            smsc, _ = await stack.enter_async_context(scripted_smsc(port=port))
            deliver, has_gone = smsc._deliver, asyncio.Event()

            async def later(*receipt: Any) -> None:
                await has_gone.wait()
                await deliver(*receipt)

            monkeypatch.setattr(smsc, "_deliver", later)
            await ringback.until_status(uuid, "sent")
        assert smsc.counts["receipts"] == 0
        has_gone.set()
        async with running(settings, account=ringback.account) as again:
            await again.until_status(uuid, "delivered")
        assert smsc.counts["ok"] == 1
