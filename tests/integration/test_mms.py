"""MMS from the API to the carrier: media from uploads and from URLs, good hosts and bad ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ringback.carriers.port import Outbound
from ringback.messaging import fetch, mms
from ringback.store import fetches, media, messages, submissions
from ringback.wiring.backbone import create_account
from tests.data.media import GIF, JPEG, PNG
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint
from tests.fakes.platform import Running, running, settings_for
from tests.integration.test_media_api import get, media_url, on_disk, upload

MB = 1_048_576
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def ringback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(fetch, "RETRY_DELAYS_S", (0.01, 0.02))
    async with running(settings_for(tmp_path)) as platform:
        yield platform


@pytest.fixture
async def customer() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def host() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as endpoint:
        yield endpoint


def gives(body: bytes, content_type: str = "image/png", *, status: int = 200, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type, **headers})

    return answer


async def chunked(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/png"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(PNG)
    return response


async def promises_more(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/png", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(PNG)
    assert request.transport is not None
    request.transport.abort()
    return response


async def submitted(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> list[Outbound]:
    """Note what is handed to the carrier from now on."""
    carrier = ringback.platform.carrier
    assert carrier is not None
    seen: list[Outbound] = []
    original = carrier.submit

    async def submit(message: Outbound) -> Any:
        seen.append(message)
        return await original(message)

    monkeypatch.setattr(carrier, "submit", submit)
    return seen


async def send(ringback: Running, **fields: Any) -> list[str]:
    status, answer = await ringback.send(type="mms", **fields)
    assert status == 202, answer
    uuids: list[str] = answer["message_uuid"]
    return uuids


async def media_of(ringback: Running, uuid: str) -> list[dict[str, Any]]:
    status, answer = await get(ringback, f"{ringback.messages_url}{uuid}/Media//")
    assert (status, answer["message_uuid"]) == (200, uuid)
    objects: list[dict[str, Any]] = answer["objects"]
    return objects


async def failure(ringback: Running, uuid: str) -> tuple[str | None, str]:
    message = await ringback.until_status(uuid, "failed")
    events = await ringback.platform.store.read(lambda tx: messages.timeline(tx, uuid))
    return message.error_code, events[-1].detail or ""


async def nothing_is_left(ringback: Running, directory: Path) -> None:
    tx = ringback.platform.store.read
    assert (await tx(fetches.waiting), await tx(submissions.waiting), await tx(media.total_bytes)) == (0, 0, 0)
    await until_files(ringback, directory, 0)


async def until_files(ringback: Running, directory: Path, count: int) -> None:
    """Wait until there are so many: they go after the message has failed."""
    async with asyncio.timeout(60):
        while len(on_disk(directory)) != count:
            await ringback.platform.store.read(fetches.waiting)


async def test_media_reach_the_carrier_in_order(
    ringback: Running,
    host: RecordingEndpoint,
    customer: RecordingEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen = await submitted(ringback, monkeypatch)
    _, answer = await upload(ringback, (GIF, "up.gif", "image/gif"))
    upload_id = answer["objects"][0]["media_id"]
    host.answer_next(gives(JPEG, "image/jpg"), gives(b"", status=302, Location="/moved.png"), gives(PNG))
    uuids = await send(
        ringback,
        dst="15005550001<15005550003",
        text="é",
        url=f"{customer.url}/status",
        media_urls=[f"{host.url}/a.jpg", f"{host.url}/b.png"],
        media_ids=[upload_id],
    )
    for uuid in uuids:
        await ringback.until(
            lambda tx, uuid=uuid: messages.by_uuid(tx, [uuid])[uuid].status not in {"queued", "failed"}
        )
    # One fetch serves both messages.
    assert [request.target for request in host.requests] == ["/a.jpg", "/b.png", "/moved.png"]
    assert sorted(message.message_uuid for message in seen) == sorted(uuids)
    for message in seen:
        assert (message.type, message.text) == ("mms", "é")
        assert [each.content_type for each in message.media] == ["image/jpeg", "image/png", "image/gif"]
        assert [each.path.read_bytes() for each in message.media] == [JPEG, PNG, GIF]
    record = (await get(ringback, ringback.messages_url + uuids[0]))[1]
    assert (record["message_type"], record["units"], record["total_rate"]) == ("mms", 1, "0.01800")
    await ringback.until_called_back()
    assert customer.requests
    assert all(b"Type=mms" in request.body for request in customer.requests)
    events = await ringback.platform.store.read(lambda tx: messages.timeline(tx, uuids[0]))
    assert (
        events[1].detail
        == f"mms with {len(JPEG) + len(PNG) + len(GIF)} bytes of media: image/jpeg, image/png, image/gif"
    )


async def test_the_answer_does_not_wait_for_the_media(ringback: Running, host: RecordingEndpoint) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return await gives(PNG)(request)

    host.answer_next(slow)
    [uuid] = await send(ringback, media_urls=[f"{host.url}/slow.png"])
    await host.wait_for(1)
    # Text messages pass it.
    _, answer = await ringback.send(dst="15005550001")
    await ringback.until_status(answer["message_uuid"][0], "delivered")
    found = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, [uuid]))
    assert (found[uuid].status, await media_of(ringback, uuid)) == ("queued", [])
    release.set()
    await ringback.until_status(uuid, "delivered")


async def test_media_of_a_message_are_read_and_deleted(ringback: Running) -> None:
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    upload_id = answer["objects"][0]["media_id"]
    [uuid] = await send(ringback, media_ids=[upload_id])
    await ringback.until_status(uuid, "delivered")
    [each] = await media_of(ringback, uuid)
    assert (each["media_id"], each["message_uuid"], each["size"]) == (upload_id, uuid, len(PNG))
    async with ringback.http.get(each["media_url"]) as response:
        assert (response.status, await response.read()) == (200, PNG)
    one = f"{ringback.messages_url}{uuid}/Media/{upload_id}/"
    status, found = await get(ringback, one)
    assert (status, found["media_id"], "api_id" in found) == (200, upload_id, True)
    other = await create_account(ringback.platform.store, ringback.platform.clock, "other")
    stranger = Running(ringback.platform, other, ringback.http)
    for url in (f"{stranger.messages_url}{uuid}/Media/", f"{stranger.messages_url}{uuid}/Media/{upload_id}"):
        assert (await get(stranger, url))[0] == 404
    async with ringback.http.delete(f"{stranger.messages_url}{uuid}/Media/", headers=stranger.auth) as response:
        assert response.status == 404
    for _ in range(2):
        async with ringback.http.delete(f"{ringback.messages_url}{uuid}/Media/", headers=ringback.auth) as response:
            assert (response.status, await response.read()) == (204, b"")
    assert await media_of(ringback, uuid) == []
    assert (await get(ringback, one))[0] == 404
    async with ringback.http.get(each["media_url"]) as response:
        assert response.status == 404
    assert (await get(ringback, f"{ringback.messages_url}nonsense/Media/"))[0] == 404


async def test_an_mms_may_be_text_alone(ringback: Running) -> None:
    [uuid] = await send(ringback, text="x" * 500)
    message = await ringback.until_status(uuid, "delivered")
    assert (message.type, message.units) == ("mms", 1)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (gives(PNG, status=404), ("10", "media URL 1 was answered with 404")),
        (gives(b"<html>", "text/html"), ("10", "text/html is not a type")),
        (gives(JPEG), ("10", "the content is not image/png")),
        (gives(b""), ("10", "gives nothing")),
        (gives(PNG, **{"Content-Encoding": "gzip"}), ("10", "packed")),
        (chunked, ("10", "does not say Content-Type and Content-Length")),
        (gives(PNG + bytes(2 * MB)), ("120", "larger than 2 MB")),
        (gives(b"", status=302, Location="ftp://example.com/"), ("10", "leads nowhere")),
        (gives(b"", status=302, Location="http://169.254.169.254/latest"), ("10", "an address that is not allowed")),
    ],
)
async def test_what_cannot_be_used_fails_the_message(
    ringback: Running, host: RecordingEndpoint, tmp_path: Path, answer: Answer, expected: tuple[str, str]
) -> None:
    host.answer_next(answer)
    [uuid] = await send(ringback, media_urls=[f"{host.url}/secret"])
    found = await failure(ringback, uuid)
    assert (found[0], expected[1] in found[1], "secret" in found[1]) == (expected[0], True, False), found
    assert len(host.requests) == 1
    await nothing_is_left(ringback, tmp_path)


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/a.png", "http://169.254.169.254/latest/meta-data", "http://[::1]:1/a.png", "http://0x7f.1/a.png"],
)
async def test_no_url_leads_inside(tmp_path: Path, url: str) -> None:
    async with running(settings_for(tmp_path, delivery={"egress_allow": []})) as ringback:
        [uuid] = await send(ringback, media_urls=[url])
        code, detail = await failure(ringback, uuid)
    assert (code, detail) == ("10", "media URL 1 leads to an address that is not allowed")


@pytest.mark.parametrize("answer", [gives(PNG, status=503), promises_more])
async def test_a_host_in_trouble_is_asked_three_times(
    ringback: Running, host: RecordingEndpoint, tmp_path: Path, answer: Answer
) -> None:
    host.answer_next(answer, answer, answer)
    [uuid] = await send(ringback, media_urls=[f"{host.url}/a.png"])
    assert (await failure(ringback, uuid))[0] == "20"
    assert len(host.requests) == 3
    await nothing_is_left(ringback, tmp_path)
    host.answer_next(answer, gives(PNG))
    [uuid] = await send(ringback, media_urls=[f"{host.url}/a.png"])
    await ringback.until_status(uuid, "delivered")


async def test_more_than_five_megabytes_fail_with_120(
    ringback: Running, host: RecordingEndpoint, tmp_path: Path
) -> None:
    large = GIF + bytes(2 * MB - len(GIF))
    _, answer = await upload(ringback, *[(large, f"{number}.gif", "image/gif") for number in range(3)])
    ids = [each["media_id"] for each in answer["objects"]]
    [uuid] = await send(ringback, media_ids=ids)
    assert (await failure(ringback, uuid))[0] == "120"
    host.answer_next(*[gives(large, "image/gif")] * 2)
    [uuid] = await send(ringback, media_urls=[f"{host.url}/1", f"{host.url}/2"], media_ids=ids[:1])
    assert await failure(ringback, uuid) == ("120", "the media are larger than 5 MB together")
    await until_files(ringback, tmp_path, 3)


async def test_what_waits_survives_a_restart(tmp_path: Path, host: RecordingEndpoint) -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    host.answer_next(hang, gives(PNG))
    async with running(settings_for(tmp_path)) as first:
        [uuid] = await send(first, media_urls=[f"{host.url}/a.png"])
        await host.wait_for(1)
        account = first.account
    # A host that hangs does not hold up the end: the block above saw it drain.
    async with running(settings_for(tmp_path), account=account) as second:
        await second.until_status(uuid, "delivered")
    release.set()


async def test_media_that_are_deleted_in_time_are_not_sent(ringback: Running, host: RecordingEndpoint) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return await gives(PNG)(request)

    host.answer_next(slow)
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    [uuid] = await send(ringback, media_urls=[f"{host.url}/a"], media_ids=[answer["objects"][0]["media_id"]])
    await host.wait_for(1)
    async with ringback.http.delete(f"{ringback.messages_url}{uuid}/Media/", headers=ringback.auth) as response:
        assert response.status == 204
    await ringback.platform.store.write(lambda tx: media.prune(tx, now_us=1, limit=9))
    release.set()
    assert await failure(ringback, uuid) == ("10", "media were deleted before the message was handed over")


async def test_numbers_that_cannot_send_mms_are_refused(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mms, "is_known_without_mms", lambda *given: given[-1] == "15005550100")
    status, answer = await ringback.send(type="mms", text="x")
    assert (status, answer["error"]) == (400, "15005550100 is not an MMS enabled phone number")
    assert (await ringback.send(src="15005550101", type="mms"))[0] == 202
    assert (await ringback.send())[0] == 202


@pytest.mark.parametrize(
    "fields",
    [
        {"media_ids": ["019ab000-0000-7000-8000-000000000001"]},
        {"media_ids": ["nonsense"]},
        {"media_urls": ["http://example.com/"] * 11},
        {"media_urls": ["file:///etc/passwd"]},
        {"text": ""},
        {"type": "whatsapp"},
    ],
)
async def test_what_is_refused_is_not_stored(ringback: Running, fields: dict[str, Any]) -> None:
    status, answer = await ringback.send(**{"type": "mms", **fields})
    assert (status, answer.keys()) == (400, {"api_id", "error"})
    store = ringback.platform.store
    assert await store.read(lambda tx: messages.count(tx, messages.Filter())) == 0
    assert (await store.read(fetches.waiting), await store.read(submissions.waiting)) == (0, 0)


async def test_an_upload_that_is_gone_when_the_message_is_stored(
    ringback: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    monkeypatch.setattr(mms.media, "attach", lambda *_, **__: False)
    refused, taken = await asyncio.gather(
        ringback.send(type="mms", media_ids=[answer["objects"][0]["media_id"]]), ringback.send(dst="15005550003")
    )
    assert (refused[0], taken[0]) == (400, 202)
    assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 1


async def test_a_lost_file_fails_the_message(ringback: Running, tmp_path: Path) -> None:
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    for path in on_disk(tmp_path):
        path.unlink()
    [uuid] = await send(ringback, media_ids=[answer["objects"][0]["media_id"]])
    assert (await failure(ringback, uuid))[0] == "10"
    assert (await get(ringback, media_url(ringback)))[1]["meta"]["total_count"] == 1
