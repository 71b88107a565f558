"""Uploading and serving media over real HTTP: good requests, and hostile ones."""

import asyncio
import contextlib
import errno
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.retention import Retention
from ringback.settings import RetentionSettings
from ringback.store import media
from ringback.store.media_files import MediaFiles
from ringback.wiring.backbone import create_account
from tests.data.media import GIF, JPEG, PNG
from tests.fakes.platform import Running, running, settings_for

MB = 1_048_576
File = tuple[bytes, str, str]


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path, store={"data_dir": tmp_path, "max_media_mb": 60})) as platform:
        yield platform


def media_url(ringback: Running, rest: str = "") -> str:
    return f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Media/{rest}"


async def upload(ringback: Running, *files: File, field: str = "file") -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData(quote_fields=False)
    for content, name, content_type in files:
        form.add_field(field, io.BytesIO(content), filename=name, content_type=content_type)
    async with ringback.http.post(media_url(ringback), data=form, headers=ringback.auth) as response:
        assert response.headers["content-type"] == "application/json"
        return response.status, await response.json()


async def get(ringback: Running, url: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with ringback.http.get(url, headers={**ringback.auth, **headers}) as response:
        return response.status, await response.json()


def on_disk(directory: Path) -> list[Path]:
    return sorted(path for path in (directory / "media").rglob("*") if path.is_file())


async def stored(ringback: Running) -> int:
    return await ringback.platform.store.read(media.total_bytes)


async def nothing_was_kept(ringback: Running, directory: Path) -> None:
    assert await stored(ringback) == 0
    assert on_disk(directory) == []


async def test_files_are_taken_listed_and_read(ringback: Running, tmp_path: Path) -> None:
    status, answer = await upload(ringback, (JPEG, "cat.jpg", "image/jpeg"), (GIF, "x", "application/octet-stream"))
    assert (status, len(answer["api_id"])) == (201, 36)
    first, second = answer["objects"]
    assert first.keys() == {
        "content_type", "file_name", "media_id", "media_url", "url", "size", "upload_time",
        "status", "status_code", "error_code", "error_message",
    }  # fmt: skip
    assert (first["status"], first["status_code"], first["error_code"]) == ("success", 201, None)
    assert (second["content_type"], second["file_name"], second["size"]) == ("image/gif", "x", len(GIF))
    assert [path.name for path in on_disk(tmp_path)] == sorted(
        [first["media_id"], second["media_id"]], key=lambda i: i[-2:]
    )
    assert {oct(path.stat().st_mode & 0o777) for path in on_disk(tmp_path)} == {"0o600"}

    status, page = await get(ringback, media_url(ringback) + "?limit=1&offset=1")
    assert (status, page["meta"]["total_count"], page["meta"]["next"]) == (200, 2, None)
    assert page["meta"]["previous"] == f"/v1/Account/{ringback.account.auth_id}/Media/?limit=1&offset=0"
    assert [each["media_id"] for each in page["objects"]] == [first["media_id"]]
    status, one = await get(ringback, media_url(ringback, first["media_id"]))
    assert (status, one["file_name"], one["media_url"]) == (200, "cat.jpg", one["url"])


@pytest.mark.parametrize("query", ["limit=0", "limit=21", "offset=-1", "limit=x"])
async def test_lists_refuse_odd_pages(ringback: Running, query: str) -> None:
    status, answer = await get(ringback, f"{media_url(ringback)}?{query}")
    assert (status, answer.keys()) == (400, {"api_id", "error"})


async def test_one_bad_file_does_not_keep_the_others_out(ringback: Running, tmp_path: Path) -> None:
    status, answer = await upload(
        ringback,
        (b"<html>", "page.html", "text/html"),
        (PNG, "../../../etc/passwd", "image/png"),
        (b"\xff\xd8\xff" + bytes(2 * MB), "large.jpg", "image/jpeg"),
        (PNG, "lie.jpg", "image/jpeg"),
        (b"", "empty.png", "image/png"),
        (b"PK\x03\x04" + bytes(100), "bomb.zip", "application/zip"),
        (GIF, "fine.gif", "image/gif"),
    )
    assert status == 201
    assert [(each["status_code"], each["file_name"]) for each in answer["objects"]] == [
        (415, "page.html"),
        (201, "passwd"),
        (413, "large.jpg"),
        (415, "lie.jpg"),
        (400, "empty.png"),
        (415, "bomb.zip"),
        (201, "fine.gif"),
    ]
    assert all(
        each["error_message"] and each["media_id"] is None for each in answer["objects"] if each["status"] == "failed"
    )
    assert len(on_disk(tmp_path)) == 2
    assert await stored(ringback) == len(PNG) + len(GIF)


async def test_ten_files_are_taken_and_no_more(ringback: Running) -> None:
    status, answer = await upload(ringback, *[(PNG, f"{number}.png", "image/png") for number in range(12)])
    assert (status, [each["status_code"] for each in answer["objects"]]) == (201, [201] * 10 + [400] * 2)
    assert (await get(ringback, media_url(ringback)))[1]["meta"]["total_count"] == 10


async def test_when_no_file_is_taken_the_answer_is_an_error(ringback: Running, tmp_path: Path) -> None:
    status, answer = await upload(ringback, (b"<html>", "page.html", "text/html"), (b"", "empty.txt", "text/plain"))
    assert (status, answer["error"]) == (415, "text/html is not a type of media that can be sent")
    assert [each["status_code"] for each in answer["objects"]] == [415, 400]
    status, answer = await upload(ringback, (PNG, "cat.png", "image/png"), field="picture")
    assert (status, answer["error"]) == (400, "file parameter is missing")
    await nothing_was_kept(ringback, tmp_path)


async def send_raw(ringback: Running, body: bytes, *, content_type: str = "multipart/form-data; boundary=xyz") -> Any:
    headers = {**ringback.auth, "Content-Type": content_type}
    async with ringback.http.post(media_url(ringback), data=io.BytesIO(body), headers=headers) as response:
        return response.status, await response.json()


PART = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PART + PNG, "multipart/form-data; boundary=xyz"),
        (PART + PNG + b"\r\n--xyz", "multipart/form-data; boundary=xyz"),
        (b"nonsense", "multipart/form-data; boundary=xyz"),
        (b"", "multipart/form-data; boundary=xyz"),
        (PART + PNG + b"\r\n--xyz--\r\n", "multipart/form-data"),
        (b"{}", "application/json"),
    ],
)
async def test_truncated_and_broken_forms_leave_nothing(
    ringback: Running, tmp_path: Path, body: bytes, content_type: str
) -> None:
    status, answer = await send_raw(ringback, body, content_type=content_type)
    assert (status, answer.keys()) == (400, {"api_id", "error"})
    await nothing_was_kept(ringback, tmp_path)


async def test_requests_that_are_too_large_are_cut_off(ringback: Running, tmp_path: Path) -> None:
    status, answer = await send_raw(ringback, PART + bytes(23 * MB))
    assert (status, answer.keys()) == (413, {"api_id", "error"})

    async def endless() -> AsyncIterator[bytes]:
        yield PART + PNG
        for _ in range(50):
            yield bytes(MB)

    headers = {**ringback.auth, "Content-Type": "multipart/form-data; boundary=xyz"}
    # The answer may be lost, as the rest of the request is not read.
    with contextlib.suppress(aiohttp.ClientError):
        async with ringback.http.post(media_url(ringback), data=endless(), headers=headers) as response:
            assert response.status == 413
    await nothing_was_kept(ringback, tmp_path)


async def test_who_hangs_up_leaves_nothing(ringback: Running, tmp_path: Path) -> None:
    url = URL(ringback.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST /v1/Account/{ringback.account.auth_id}/Media/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        f"Authorization: {ringback.auth['Authorization']}\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n"
    )
    writer.write(head.encode() + PART + PNG)
    await writer.drain()
    async with asyncio.timeout(60):
        # Only who is being heard leaves something behind.
        while not on_disk(tmp_path):
            await get(ringback, media_url(ringback))
    writer.close()
    await reader.read()
    # Whatever comes after it on this platform finds nothing left over.
    async with asyncio.timeout(60):
        while on_disk(tmp_path):
            await get(ringback, media_url(ringback))
    await nothing_was_kept(ringback, tmp_path)


async def test_an_upload_that_never_ends_is_given_up(
    ringback: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.web.api.media.DEADLINE_S", 0.05)
    answered = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield PART + PNG
        await answered.wait()

    headers = {**ringback.auth, "Content-Type": "multipart/form-data; boundary=xyz"}
    async with ringback.http.post(media_url(ringback), data=slow(), headers=headers) as response:
        answered.set()
        assert (response.status, "did not arrive within" in (await response.json())["error"]) == (400, True)
    await nothing_was_kept(ringback, tmp_path)


async def test_credentials_are_asked_for_before_anything_is_read(ringback: Running, tmp_path: Path) -> None:
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="a.png", content_type="image/png")
    async with ringback.http.post(media_url(ringback), data=form) as response:
        assert (response.status, (await response.json()).keys()) == (401, {"api_id", "error"})
    await nothing_was_kept(ringback, tmp_path)


async def test_others_uploads_are_not_there(ringback: Running) -> None:
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    other = await create_account(ringback.platform.store, ringback.platform.clock, "other")
    stranger = Running(ringback.platform, other, ringback.http)
    for rest in (answer["objects"][0]["media_id"], "nonsense", "019ab000-0000-7000-8000-000000000001"):
        status, error = await get(stranger, media_url(stranger, rest))
        assert (status, error["error"]) == (404, "not found")
    assert (await get(stranger, media_url(stranger)))[1]["objects"] == []
    status, error = await stranger.send(type="mms", media_ids=[answer["objects"][0]["media_id"]])
    assert (status, "that you have not uploaded" in error["error"]) == (400, True)


async def test_links_serve_the_file_and_nothing_that_runs(ringback: Running) -> None:
    _, answer = await upload(ringback, (PNG, 'c"at é.png', "image/png"), (b"%PDF-1", "b.pdf", "application/pdf"))
    image, paper = (each["media_url"] for each in answer["objects"])
    async with ringback.http.get(image) as response:
        assert (response.status, await response.read()) == (200, PNG)
        shown = response.headers
    assert shown["Content-Type"] == "image/png"
    assert shown["X-Content-Type-Options"] == "nosniff"
    assert shown["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert shown["Content-Disposition"].startswith("inline; filename*=UTF-8''")
    async with ringback.http.get(image, headers={"If-None-Match": f'"x", W/{shown["ETag"]}'}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with ringback.http.get(image, headers={"Range": "bytes=0-3"}) as response:
        assert (response.status, await response.read()) == (206, PNG[:4])
    async with ringback.http.head(image) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(PNG)))
    async with ringback.http.get(paper) as response:
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["Content-Type"] == "application/pdf"


async def test_links_without_a_sound_signature_lead_nowhere(ringback: Running, tmp_path: Path) -> None:
    _, answer = await upload(ringback, (PNG, "a.png", "image/png"))
    given = URL(answer["objects"][0]["media_url"])
    for url in (
        given.with_query(None),
        given.update_query(signature="x"),
        given.update_query(expires="99999999999"),
        given.with_path(given.path + "/../../../../ringback.db", keep_query=True),
        URL(f"{given.origin()}/media/Account/x/Media/..%2f..%2fringback.db?{given.query_string}", encoded=True),
    ):
        async with ringback.http.get(url) as response:
            assert (response.status, (await response.json()).keys()) == (404, {"api_id", "error"})
    for path in on_disk(tmp_path):
        path.unlink()
    async with ringback.http.get(given) as response:
        assert response.status == 404


async def test_links_carry_the_public_address_and_last_as_long_as_the_database(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, server={"public_base_url": "https://sms.example.com/"})
    async with running(settings) as first:
        _, answer = await upload(first, (PNG, "a.png", "image/png"))
        account = first.account
    link = answer["objects"][0]["media_url"]
    assert link.startswith(f"https://sms.example.com/media/Account/{account.auth_id}/Media/")
    async with running(settings, account=account) as second:
        parts = urlsplit(link)
        async with second.http.get(f"{second.url}{parts.path}?{parts.query}") as response:
            assert (response.status, await response.read()) == (200, PNG)


async def test_media_have_a_bound(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, store={"data_dir": tmp_path, "max_media_mb": 1})) as ringback:
        gif = GIF + bytes(600_000)
        assert (await upload(ringback, (gif, "a.gif", "image/gif")))[0] == 201
        status, answer = await upload(ringback, (gif, "b.gif", "image/gif"))
        assert (status, answer.keys()) == (507, {"api_id", "error"})
        assert len(on_disk(tmp_path)) == 1
        assert (await upload(ringback, (GIF, "c.gif", "image/gif")))[0] == 201


async def test_a_full_disk_is_told(ringback: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("ringback.store.media_files._write_all", full)
        status, answer = await upload(ringback, (PNG, "a.png", "image/png"))
        assert (status, answer["objects"][0]["status_code"]) == (507, 507)
        assert "the operator has to make room" in answer["error"]
    with monkeypatch.context() as patched:
        # Found only when the file is synced.
        patched.setattr("ringback.store.media_files._settle", full)
        assert (await upload(ringback, (PNG, "a.png", "image/png")))[0] == 507
    await nothing_was_kept(ringback, tmp_path)


def sweeper(ringback: Running, directory: Path, **kept: int) -> Retention:
    platform = ringback.platform
    return Retention(
        store=platform.store,
        clock=platform.clock,
        settings=RetentionSettings(**kept),
        metrics=Metrics(),
        files=MediaFiles(directory / "media"),
        least_rest_s=0.0001,
    )


async def test_a_crash_between_file_and_row_leaves_what_a_sweep_removes(
    ringback: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the database went away")

    _, kept = await upload(ringback, (PNG, "kept.png", "image/png"))
    with monkeypatch.context() as patched:
        patched.setattr("ringback.web.api.media.media.add", crash)
        assert (await upload(ringback, (PNG, "lost.png", "image/png")))[0] == 503
    (tmp_path / "media" / "incoming" / "0").write_bytes(b"begun")
    (tmp_path / "media" / "incoming" / "1").write_bytes(b"being written")
    assert len(on_disk(tmp_path)) == 4
    await sweeper(ringback, tmp_path).sweep()
    assert len(on_disk(tmp_path)) == 4, "they may be about to get a row"
    for path in on_disk(tmp_path):
        if path.name != "1":
            os.utime(path, (0, 0))
    await sweeper(ringback, tmp_path).sweep()
    assert {path.name for path in on_disk(tmp_path)} == {kept["objects"][0]["media_id"], "1"}


async def test_uploads_that_no_message_has_vanish(ringback: Running, tmp_path: Path) -> None:
    _, answer = await upload(ringback, (PNG, "sent.png", "image/png"), (PNG, "unused.png", "image/png"))
    sent, unused = (each["media_id"] for each in answer["objects"])
    status, _ = await ringback.send(type="mms", media_ids=[sent])
    assert status == 202
    # Seven hours later.
    platform = ringback.platform
    platform.clock.set_floor(platform.clock.now_us() + 7 * 3_600_000_000)
    assert (await get(ringback, media_url(ringback, unused)))[0] == 404
    assert (await ringback.send(type="mms", media_ids=[unused]))[0] == 400
    removed = await sweeper(ringback, tmp_path).sweep()
    assert removed["media"] == 1
    assert [path.name for path in on_disk(tmp_path)] == [sent]
    assert (await get(ringback, media_url(ringback, sent)))[0] == 200
    # And a year after it was sent.
    platform.clock.set_floor(platform.clock.now_us() + 366 * 86_400_000_000)
    removed = await sweeper(ringback, tmp_path, messages_days=0).sweep()
    assert (removed["media"], on_disk(tmp_path)) == (1, [])
