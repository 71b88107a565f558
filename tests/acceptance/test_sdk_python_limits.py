"""The official Python SDK where limits, countries, later answers and lists are concerned."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import plivo
import plivo.rest.client
import pytest
from plivo.exceptions import GeoPermissionError, PlivoRestError

from ringback.store import limits
from tests.fakes.endpoint import recording_endpoint
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


async def configure(ringback: Running, **changes: Any) -> None:
    id_ = ringback.account.auth_id
    await ringback.platform.store.write(lambda tx: limits.configure(tx, id_, changes))


async def test_a_blocked_country_is_its_geo_permission_error(ringback: Running, client: plivo.RestClient) -> None:
    await configure(ringback, countries_blocked="RU")
    with pytest.raises(GeoPermissionError, match="messages to RU are blocked for this account"):
        await call(client.messages.create, src="15005550100", dst="79161234567", text="Hello")


async def test_too_many_requests_are_its_rest_error(ringback: Running, client: plivo.RestClient) -> None:
    await configure(ringback, requests_per_5_s=1)
    ringback.stop_clock()
    await call(client.messages.create, src="15005550100", dst="15005550001", text="Hello")
    with pytest.raises(PlivoRestError):
        await call(client.messages.create, src="15005550100", dst="15005550001", text="Hello")


async def test_every_filter_that_it_knows(ringback: Running, client: plivo.RestClient) -> None:
    created = await call(client.messages.create, src="15005550100", dst="15005550030", text="Hello")
    [uuid] = created.message_uuid
    await ringback.until_status(uuid, "undelivered")
    found: dict[str, Any] = {
        "message_direction": "outbound",
        "message_state": "undelivered",
        "message_type": "sms",
        "error_code": 30,
        "from_number": "+15005550100",
        "to_number": "15005550030",
        "destination_country_iso2": "US",
        "message_time__gte": "2020-01-01 00:00",
        "message_time__lt": "2099-01-01 00:00:00.5",
    }
    for given in [*({name: value} for name, value in found.items()), found]:
        listed = await call(client.messages.list, limit=5, **given)
        assert ([each.message_uuid for each in listed], listed.meta.total_count) == ([uuid], 1), given
    for given in (
        {"powerpack_id": "86bbb125-97bb-4d72-89fd-81d5c515b015"},
        {"tendlc_campaign_id": "CY5NVUA"},
        {"tendlc_registration_status": "registered"},
        {"conversation_id": "1"},
        {"conversation_origin": "service"},
        {"message_direction": "inbound"},
        {"error_code": 420},
    ):
        assert (await call(client.messages.list, **given)).objects == [], given


async def test_pages(ringback: Running, client: plivo.RestClient) -> None:
    created = await call(client.messages.create, src="15005550100", dst="15005550001<15005550003<15005550030", text="H")
    first = await call(client.messages.list, limit=2)
    second = await call(client.messages.list, limit=2, offset=2)
    # Those of one request have one time.
    assert sorted(each.message_uuid for each in [*first, *second]) == sorted(created.message_uuid)
    assert (first.meta.total_count, first.meta.previous, second.meta.next) == (3, None, None)
    assert first.meta.next.endswith("limit=2&offset=2")
    assert second.meta.previous.endswith("limit=2&offset=0")


async def test_an_answer_that_comes_later(ringback: Running, client: plivo.RestClient) -> None:
    async with recording_endpoint() as endpoint:
        # Its own methods do not take the parameter; its requests do.
        said = await call(
            client.request,
            "POST",
            ("Message",),
            data={"src": "15005550100", "dst": "15005550001", "text": "Hello", "callback_url": endpoint.url + "/later"},
        )
        assert (said.message, hasattr(said, "message_uuid")) == ("async api spawned", False)
        [request] = await endpoint.wait_for(1)
    assert json.loads(request.body)["api_id"] == said.api_id
