"""Media and MMS through the official Python SDK, unpatched but for the base URL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import plivo
import plivo.rest.client
import pytest
from aiohttp import web
from plivo.exceptions import ResourceNotFoundError, ValidationError

from tests.data.media import JPEG, PNG
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path / "data")) as platform:
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


# The SDK leaves the files that it uploads open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_upload_list_get_and_send(ringback: Running, client: plivo.RestClient, tmp_path: Path) -> None:
    first, second = tmp_path / "cat.jpg", tmp_path / "dog.png"
    first.write_bytes(JPEG)
    second.write_bytes(PNG)
    uploaded = await call(client.media.upload, [str(first), str(second)])
    assert [(each.status, each.status_code, each.file_name, each.size) for each in uploaded.objects] == [
        ("success", 201, "cat.jpg", len(JPEG)),
        ("success", 201, "dog.png", len(PNG)),
    ]
    ids = [each.media_id for each in uploaded.objects]
    listed = await call(client.media.list, limit=1)
    assert [each.media_id for each in listed.objects] == ids[1:]
    assert (listed.meta.total_count, listed.meta.limit, listed.meta.offset) == (2, 1, 0)
    found = await call(client.media.get, ids[0])
    assert (found.media_id, found.content_type, found.media_url) == (ids[0], "image/jpeg", found.url)
    async with ringback.http.get(found.media_url) as response:
        assert (response.status, await response.read()) == (200, JPEG)

    created = await call(
        client.messages.create, src="15005550100", dst="15005550001", type_="mms", media_ids=ids, text="look"
    )
    [uuid] = created.message_uuid
    await ringback.until_status(uuid, "delivered")
    message = await call(client.messages.get, uuid)
    assert (message.message_type, message.units, message.total_amount) == ("mms", 1, "0.01800")
    carried = await call(message.listMedia)
    assert [each.media_id for each in carried.objects] == ids
    with pytest.raises(ResourceNotFoundError):
        await call(client.media.get, uuid)


async def test_media_urls(ringback: Running, client: plivo.RestClient) -> None:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    async with recording_endpoint() as host:
        host.answer_next(picture)
        url = f"{host.url}/a/dog.png?secret=1"
        created = await call(
            client.messages.create, src="15005550100", dst="15005550001", type_="mms", media_urls=[url]
        )
        [uuid] = created.message_uuid
        await ringback.until_status(uuid, "delivered")
    [each] = (await call((await call(client.messages.get, uuid)).listMedia)).objects
    assert (each.content_type, each.file_name, each.size) == ("image/png", "dog.png", len(PNG))
    with pytest.raises(ValidationError, match="at most 10 media"):
        await call(client.messages.create, src="15005550100", dst="15005550001", type_="mms", media_urls=[url] * 11)
