"""Requests as the SDKs of languages that are not installed here make them, byte by byte, and what they need back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ringback.store import messages
from tests.data.sdk_requests import DESTINATIONS, SDKS, TEXT, message_body, request
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for

STRINGS = ("error_code", "total_amount", "total_rate", "carrier_fees", "carrier_fees_rate", "message_time", "log")


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


async def exchange(ringback: Running, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Put bytes on a connection of their own, and read one answer."""
    where = urlsplit(ringback.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(60):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
    finally:
        writer.close()
        await writer.wait_closed()
    return int(status_line.split(" ")[1]), headers, body


async def answer(ringback: Running, language: str, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    """Ask as a language's SDK does; gives status and body."""
    target = f"/v1/Account/{ringback.account.auth_id}/{path}"
    sent = request(SDKS[language], method, target, authorization=ringback.auth["Authorization"], body=body)
    status, headers, received = await exchange(ringback, sent)
    # Ruby parses nothing else; Go takes an empty body of an error for success.
    assert headers["content-type"] == "application/json"
    assert "content-encoding" not in headers
    return status, json.loads(received)


@pytest.mark.parametrize("language", SDKS)
async def test_a_message_with_a_callback_url(ringback: Running, language: str) -> None:
    async with recording_endpoint() as endpoint:
        body = message_body(SDKS[language], f"{endpoint.url}/status")
        status, sent = await answer(ringback, language, "POST", "Message/", body)
        assert status == 202
        assert (sent["message"], set(sent)) == ("message(s) queued", {"api_id", "message", "message_uuid"})
        uuids = sent["message_uuid"]
        stored = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, uuids))
        assert [stored[uuid].dst for uuid in uuids] == list(DESTINATIONS)
        assert {message.text for message in stored.values()} == {TEXT}
        requests = await endpoint.wait_for(3)
        assert {each.target for each in requests} == {"/status"}
        assert {each.method for each in requests} == {"POST"}
        await ringback.until_called_back()

    status, found = await answer(ringback, language, "GET", f"Message/{uuids[0]}/")
    assert status == 200
    status, listed = await answer(ringback, language, "GET", "Message/?limit=1&offset=0")
    assert status == 200
    for record in (found, *listed["objects"]):
        has_types_of_strict_sdks(record)
    assert {type(listed["meta"][name]) for name in ("limit", "offset", "total_count")} == {int}


def has_types_of_strict_sdks(record: dict[str, Any]) -> None:
    """Go, Java and .NET refuse the whole answer when a member is of another type."""
    for name in STRINGS:
        assert isinstance(record[name], str | None), name
    for name, value in record.items():
        if name.startswith(("dlt_", "conversation_", "tendlc_")):
            assert isinstance(value, str | None), name
    assert type(record["units"]) is int
    assert isinstance(record["is_domestic"], bool | None)


@pytest.mark.parametrize("language", SDKS)
async def test_refusals_have_a_body_that_each_can_read(ringback: Running, language: str) -> None:
    refused = message_body(SDKS[language], "http://127.0.0.1").replace("15005550100", "")
    for method, path, body, expected in (
        ("POST", "Message/", refused, 400),
        ("GET", "Message/db3ce55a-7f1d-11e1-8ea7-1231380bc196/", None, 404),
        ("DELETE", "Message/", SDKS[language].delete, 405),
    ):
        status, told = await answer(ringback, language, method, path, body)
        assert status == expected
        assert set(told) == {"api_id", "error"}
        assert isinstance(told["error"], str)
        assert told["error"]
    assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 0


@pytest.mark.parametrize("language", SDKS)
@pytest.mark.parametrize("body", ["", "{}", '""', None])
async def test_requests_to_read_may_have_a_body(ringback: Running, language: str, body: str | None) -> None:
    assert (await answer(ringback, language, "GET", "Message/", body))[0] == 200


@pytest.mark.parametrize("path", ["//Message//", "/Message", "/message/?limit=20"])
async def test_paths_as_sdks_write_them(ringback: Running, path: str) -> None:
    assert (await answer(ringback, "go", "GET", path))[0] == 200
