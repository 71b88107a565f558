"""The official Python SDK, unpatched but for the base URL, against a running Ringback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import plivo
import plivo.rest.client
import pytest
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError

from tests.fakes.platform import Running, running, settings_for


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


async def test_create_get_and_list(ringback: Running, client: plivo.RestClient) -> None:
    created = await call(client.messages.create, src="+15005550100", dst="+15005550030", text="Hello")
    assert created.message == "message(s) queued"
    uuid = created.message_uuid[0]
    await ringback.until_status(uuid, "undelivered")
    found = await call(client.messages.get, uuid)
    assert (found.message_uuid, found.message_state, found.error_code) == (uuid, "undelivered", "30")
    assert (found.units, found.total_rate, found.from_number) == (1, "0.00550", "15005550100")
    listed = await call(client.messages.list, message_state="undelivered", limit=5)
    assert [message.message_uuid for message in listed] == [uuid]
    assert listed.meta.total_count == 1


async def test_bulk(ringback: Running, client: plivo.RestClient) -> None:
    created = await call(client.messages.create, src="15005550100", dst="15005550001<15005550003<zzz", text="Hello")
    assert len(created.message_uuid) == 2
    assert created.invalid_number == ["zzz"]
    created = await call(client.messages.create, src="15005550100", dst=["15005550001", "15005550003"], text="Hello")
    assert len(created.message_uuid) == 2


async def test_errors_are_the_sdks_own(ringback: Running, client: plivo.RestClient) -> None:
    with pytest.raises(ValidationError, match="is not a valid phone number"):
        await call(client.messages.create, src="15005550100", dst="zzz", text="Hello")
    with pytest.raises(ResourceNotFoundError, match="not found"):
        await call(client.messages.get, "db3ce55a-7f1d-11e1-8ea7-1231380bc196")
    with (
        plivo.RestClient(ringback.account.auth_id, "wrong", timeout=60) as stranger,
        pytest.raises(AuthenticationError),
    ):
        # Not list(): there this SDK trips over any error body before it looks at the status.
        await call(stranger.messages.create, src="15005550100", dst="15005550001", text="Hello")
