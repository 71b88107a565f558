"""Bins over real sockets: byte for byte what came, stored before the answer, whatever the sender does."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from ringback.web.wire import MAX_HEAD_BYTES
from tests.fakes.bins import captured, connection, exchange, make_bin, until_ended
from tests.fakes.platform import Running, running, settings_for

BINARY = bytes(range(256)) * 5


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    """A platform whose bins take bodies of up to 100,000 bytes."""
    async with running(settings_for(tmp_path, bins={"max_body_bytes": 100_000})) as started:
        yield started


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "PROPFIND", "PURGE"])
async def test_any_method_and_path_byte_for_byte(ringback: Running, method: str) -> None:
    await make_bin(ringback)
    head = (
        f"{method} /bin/T/a%2Fb//c/../%C3%BC?x=%20&x=+&& HTTP/1.1\r\nHost: Example.com\r\nX-B: 1\r\nx-a:  two \r\n"
        f"X-B: \xff\r\nContent-Length: {len(BINARY)}\r\nConnection: close\r\n\r\n"
    ).encode("latin-1")
    answer = await exchange(ringback, head + BINARY)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    (item,) = await until_ended(ringback)
    assert (item.method, item.path, item.query) == (method, "/bin/T/a%2Fb//c/../%C3%BC", "x=%20&x=+&&")
    assert json.loads(item.headers) == [
        ["Host", "Example.com"], ["X-B", "1"], ["x-a", "two "], ["X-B", "\xff"], ["Content-Length", "1280"],
        ["Connection", "close"],
    ]  # fmt: skip
    assert item.body == BINARY
    assert (item.cut, item.answer, item.answered_status, item.outcome) == ("", "answer", 200, "answered")
    assert item.peer == "127.0.0.1"
    assert item.duration_us is not None
    assert item.duration_us > 0


async def test_a_request_to_upgrade_is_a_request(ringback: Running) -> None:
    await make_bin(ringback)
    answer = await exchange(
        ringback,
        b"GET /bin/t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(await captured(ringback)) == 1


async def test_pages_of_scripts_can_do_nothing(ringback: Running) -> None:
    step = {"body": "<script>alert(1)</script>", "headers": {"Content-Type": "text/html"}}
    await make_bin(ringback, script=[step])
    async with ringback.http.get(f"{ringback.url}/bin/t") as answer:
        assert await answer.text() == "<script>alert(1)</script>"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_no_bin_nothing_stored(ringback: Running) -> None:
    for name in ("other", "a%20b", "." * 70):
        async with ringback.http.post(f"{ringback.url}/bin/{name}/x", data=b"x") as answer:
            assert answer.status == 404
            assert "there is no bin" in (await answer.json())["error"]


# ---- hostile ----


@pytest.mark.parametrize("framing", [b"Content-Length: 900000000000", b"Transfer-Encoding: chunked"])
async def test_an_endless_body_is_kept_up_to_the_cap(ringback: Running, framing: bytes) -> None:
    await make_bin(ringback)
    async with connection(ringback) as (reader, writer), asyncio.timeout(60):
        writer.write(b"POST /bin/t HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        part = b"ffff\r\n" + bytes(0xFFFF) + b"\r\n" if framing.endswith(b"chunked") else bytes(0xFFFF)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000 and not writer.is_closing():
                writer.write(part)
                sent += len(part)
                await writer.drain()
        assert sent < 60_000_000
        with contextlib.suppress(ConnectionError):
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    (item,) = await until_ended(ringback)
    assert (item.cut, len(item.body), item.answered_status) == ("too_large", 100_000, 413)


async def test_a_body_a_little_over_the_cap_gets_its_413(ringback: Running) -> None:
    await make_bin(ringback)
    async with ringback.http.post(f"{ringback.url}/bin/t", data=bytes(300_000)) as answer:
        assert answer.status == 413
        assert "captured up to there" in (await answer.json())["error"]
    (item,) = await until_ended(ringback)
    assert item.body == bytes(100_000)


async def test_a_body_that_does_not_come_is_kept_as_far_as_it_came(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, bins={"body_timeout_s": 1})) as ringback:
        await make_bin(ringback)
        answer = await exchange(ringback, b"POST /bin/t HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")
        (item,) = await until_ended(ringback)
    assert (item.cut, item.body) == ("timeout", b"abc")


async def test_a_sender_that_goes_in_the_middle_is_told_of(ringback: Running) -> None:
    await make_bin(ringback)
    async with connection(ringback) as (_, writer):
        writer.write(b"POST /bin/t HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        writer.close()
    (item,) = await until_ended(ringback)
    assert (item.cut, item.answered_status, item.outcome) == ("disconnected", None, "gone")


@pytest.mark.parametrize("shape", ["one", "many", "line"])
async def test_huge_heads_are_refused(ringback: Running, shape: str) -> None:
    await make_bin(ringback)
    start = b"GET /bin/t" + (b"?" if shape == "line" else b" HTTP/1.1\r\nHost: x\r\nX: ")
    part = b"X: y\r\n" * 5_000 if shape == "many" else b"a" * 30_000
    async with connection(ringback) as (reader, writer), asyncio.timeout(60):
        sent = 0
        with contextlib.suppress(ConnectionError):
            writer.write(start)
            while sent < 100 * MAX_HEAD_BYTES and not writer.is_closing():
                writer.write(part)
                sent += len(part)
                await writer.drain()
            assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        assert sent < 100 * MAX_HEAD_BYTES
    assert await captured(ringback) == []
    async with ringback.http.get(f"{ringback.url}/bin/t", headers={"X": "y" * 8_000}) as answer:
        assert answer.status == 200


async def test_endless_trailers_are_let_go(ringback: Running) -> None:
    await make_bin(ringback)
    answer = await exchange(
        ringback,
        b"POST /bin/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
        + b"X-Trailer: y\r\n" * 500
        + b"\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    (item,) = await until_ended(ringback)
    assert item.body == b"abc"
    assert "X-Trailer" not in item.headers


# ---- limits ----


async def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, bins={"requests_per_s_per_address": 0, "requests_per_s_per_bin": 0.01})
    async with running(settings) as ringback:
        await make_bin(ringback)
        await make_bin(ringback, "other")
        for name, status in (("t", 200), ("t", 429), ("other", 200)):
            async with ringback.http.get(f"{ringback.url}/bin/{name}") as answer:
                assert answer.status == status
                assert ("Retry-After" in answer.headers) == (status == 429)
        assert len(await captured(ringback)) == 1


async def test_without_room_nothing_is_stored_and_that_is_said(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, bins={"max_waiting_mb": 1, "max_body_bytes": 5_000_000})
    async with running(settings) as ringback:
        await make_bin(ringback)
        async with ringback.http.post(f"{ringback.url}/bin/t", data=BytesIO(bytes(1_500_000))) as answer:
            assert answer.status == 503
            assert "nothing was stored" in (await answer.json())["error"]
        assert await captured(ringback) == []
        async with ringback.http.post(f"{ringback.url}/bin/t", data=bytes(900_000)) as answer:
            assert answer.status == 200, "room is given back"
