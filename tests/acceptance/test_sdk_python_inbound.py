"""Inbound messages with the official Python SDK: its XML, its signatures, its record of a message."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import plivo
import plivo.rest.client
import pytest
from aiohttp import web
from plivo.utils import validate_signature, validate_v3_signature

from ringback.carriers.port import Inbound, Taken
from ringback.store import replies
from tests.fakes.endpoint import Answer, recording_endpoint
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for

PHONE = "15005550001"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


@pytest.fixture
def client(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[plivo.RestClient]:
    for name in (
        "PLIVO_API_BASE_URI",
        "API_VOICE_BASE_URI",
        "API_VOICE_BASE_URI_FALLBACK_1",
        "API_VOICE_BASE_URI_FALLBACK_2",
    ):
        monkeypatch.setattr(plivo.rest.client, name, f"{ringback.url}/v1/Account")
    with plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as made:
        yield made


async def call(function: Any, *arguments: Any, **fields: Any) -> Any:
    """Call the SDK, which blocks, beside the server's loop."""
    return await asyncio.to_thread(function, *arguments, **fields)


def application(token: str, url: str) -> Answer:
    """Answer as an application does that is written with the SDK: verify, then reply to whoever wrote."""

    async def answer(request: web.Request) -> web.StreamResponse:
        given = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        headers = request.headers
        assert validate_v3_signature(
            "POST", url, headers["X-Plivo-Signature-V3-Nonce"], token, headers["X-Plivo-Signature-V3"], given
        )
        assert validate_signature(url, headers["X-Plivo-Signature-V2-Nonce"], headers["X-Plivo-Signature-V2"], token)
        response = plivo.plivoxml.ResponseElement()
        text = f"You wrote: {given['Text']}"
        response.add(plivo.plivoxml.MessageElement(text, src=given["To"], dst=given["From"], type="sms"))
        return web.Response(text=response.to_string(), content_type="application/xml")

    return answer


async def test_an_application_written_with_the_sdk_replies(ringback: Running, client: plivo.RestClient) -> None:
    async with recording_endpoint() as endpoint:
        url = f"{endpoint.url}/incoming?tenant=4"
        endpoint.answer_next(application(ringback.account.tokens[0], url))
        await own_number(ringback.platform.store, ringback.account.auth_id, message_url=url)
        assert ringback.platform.carrier is not None
        brought = Inbound(connector="simulator", carrier_ref=None, src=PHONE, dst=OURS, text="Größe & <b> ☎")
        taken = await ringback.platform.carrier.bring(brought)
        assert isinstance(taken, Taken)
        uuid = taken.message_uuid
        (reply,) = await ringback.until(lambda tx: replies.of_message(tx, uuid))
        await ringback.until_status(uuid, "delivered")
        (answered,) = reply.parts[0].message_uuids
        message = await ringback.until_status(answered, "delivered")
    assert (message.src, message.dst, message.text) == (OURS, PHONE, "You wrote: Größe & <b> ☎")
    record = await call(client.messages.get, uuid)
    assert (record.message_direction, record.message_state, record.from_number) == ("inbound", "delivered", PHONE)
    listed = await call(client.messages.list, message_direction="inbound")
    assert [each.message_uuid for each in listed] == [uuid]
    listed = await call(client.messages.list, message_direction="outbound")
    assert [each.message_uuid for each in listed] == [answered]


async def test_a_message_to_somebody_who_opted_out_fails_with_200(ringback: Running, client: plivo.RestClient) -> None:
    await own_number(ringback.platform.store, ringback.account.auth_id)
    assert ringback.platform.carrier is not None
    brought = Inbound(connector="simulator", carrier_ref=None, src=PHONE, dst=OURS, text="stop")
    await ringback.platform.carrier.bring(brought)
    created = await call(client.messages.create, src=OURS, dst=PHONE, text="Hello")
    uuid = created.message_uuid[0]
    await ringback.until_status(uuid, "failed")
    assert (await call(client.messages.get, uuid)).error_code == "200"
