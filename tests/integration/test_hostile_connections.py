"""Senders who mean harm: the rest of the process answers as ever, and takes a bounded amount of memory."""

import asyncio
import contextlib
import json
import re
import resource
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from ringback.web.connections import Connections, room_for
from ringback.web.wire import MAX_HEAD_BYTES
from tests.fakes.process import Served, create_account, run, served

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Record = Callable[[str, object], None]

MANY = 10_000
NORMAL_S = 30.0
"""Within this everything else is answered meanwhile; a healthy process on an idle machine takes some milliseconds."""
MOST_RSS_MB = 700


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=NORMAL_S)) as found:
        yield found


@asynccontextmanager
async def started(place: Path, **settings: str) -> AsyncIterator[Served]:
    """Run a Ringback with a bin ``t``."""
    account = create_account(place)
    assert run("bin", "new", "t", "--data-dir", str(place)).returncode == 0
    async with served(place, account, **settings) as server:
        yield server


class Crowd:
    """Connections of those who mean harm."""

    def __init__(self) -> None:
        self.streams: list[Streams] = []

    async def connect(self, server: Served, request: bytes = b"") -> Streams:
        """Open one, and send the beginning of a request."""
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        self.streams.append((reader, writer))
        writer.write(request)
        return reader, writer

    async def leave(self) -> None:
        """Break all of them off."""
        for _, writer in self.streams:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for _, writer in self.streams), return_exceptions=True)
        self.streams.clear()


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    found = Crowd()
    yield found
    await found.leave()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process have descriptors for ``MANY`` connections, and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < MANY + 2_000:
        pytest.skip(f"this machine gives a process {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + 2_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def is_healthy(server: Served, http: aiohttp.ClientSession) -> None:
    """Ask what everybody else would, on connections of their own."""
    close = {"Connection": "close"}
    async with http.get(f"{server.url}/readyz", headers=close) as answer:
        assert answer.status == 200, await answer.text()
    async with http.get(f"{server.url}/dashboard/login", headers=close) as answer:
        assert "ringback login-link" in await answer.text()
    status, _ = await server.send(http)
    assert status == 202
    async with http.post(f"{server.url}/bin/t", data=b"x", headers=close) as answer:
        assert answer.status == 200


def rss_mb(server: Served) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def closed(streams: Sequence[Streams], *, timeout_s: float = 60) -> list[bytes]:
    """Wait until the server has closed connections; gives what it said last."""

    async def read(reader: asyncio.StreamReader) -> bytes:
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""

    async with asyncio.timeout(timeout_s):
        return list(await asyncio.gather(*(read(reader) for reader, _ in streams)))


@pytest.mark.usefixtures("many_descriptors")
async def test_ten_thousand_connections(
    tmp_path: Path, http: aiohttp.ClientSession, crowd: Crowd, record_property: Record
) -> None:
    begun = (b"", b"POST /bin/t HTTP/1.1\r\nHost: x\r\nX-A: ", b"POST /bin/t HTTP/1.1\r\nContent-Length: 9\r\n\r\nx")
    async with started(tmp_path) as server:
        await is_healthy(server, http)
        before_mb = rss_mb(server)
        for first in range(0, MANY, 250):
            await asyncio.gather(*(crowd.connect(server, begun[at % 3]) for at in range(first, first + 250)))
            if first % 2_500 == 0:
                await is_healthy(server, http)
        for _ in range(5):
            await is_healthy(server, http)
        with_all_mb = rss_mb(server)
        record_property("rss_mb", {"before": round(before_mb), f"with {MANY}": round(with_all_mb)})
        assert with_all_mb < MOST_RSS_MB
        await crowd.leave()
        await is_healthy(server, http)


async def test_too_many_connections_push_out_those_that_say_nothing(
    tmp_path: Path, http: aiohttp.ClientSession, crowd: Crowd
) -> None:
    async with started(tmp_path, RINGBACK_SERVER__MAX_CONNECTIONS="40") as server:
        at_work = await crowd.connect(server, b"GET /v1/bins/t/wait?count=9 HTTP/1.1\r\nHost: x\r\n")
        auth = aiohttp.encode_basic_auth(server.account["auth_id"], server.account["auth_token"])
        at_work[1].write(f"Authorization: {auth}\r\n\r\n".encode())
        streams = [await crowd.connect(server, b"GET / HTTP/1.1\r\n") for _ in range(100)]
        said = await closed(streams[:50])
        assert all(each.startswith(b"HTTP/1.1 503 ") for each in said if each)
        for _ in range(50):
            await is_healthy(server, http)


async def test_who_is_slow_is_let_go(tmp_path: Path, http: aiohttp.ClientSession, crowd: Crowd) -> None:
    async with started(tmp_path, RINGBACK_SERVER__REQUEST_TIMEOUT_S="5") as server:
        auth = aiohttp.encode_basic_auth(server.account["auth_id"], server.account["auth_token"])
        send = f"POST /v1/Account/{server.account['auth_id']}/Message/ HTTP/1.1\r\nAuthorization: {auth}\r\n"
        requests = (
            b"", b"GET /readyz HT", b"GET /readyz HTTP/1.1\r\nX-A: b\r\n",
            send.encode() + b"Content-Length: 99\r\n\r\n{",
        )  # fmt: skip
        streams = [await crowd.connect(server, request) for request in requests]
        drip = await crowd.connect(server, b"GET /readyz HTTP/1.1\r\n")
        dripping = asyncio.create_task(_drip(drip[1]))
        said = await closed([*streams, drip])
        await dripping
        assert {each[:12] for each in said} <= {b"HTTP/1.1 408", b""}
        await is_healthy(server, http)


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Send a header a bit at a time: a head is not given more time for going on."""
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("line", "count"),
    [(b"X-A: " + b"a" * 10_000_000 + b"\r\n", 1), (b"A:b\r\n", 2_000_000), (b"A" * 10_000_000, 1)],
    ids=["one value", "many headers", "one name"],
)
async def test_heads_of_ten_megabytes(
    tmp_path: Path, http: aiohttp.ClientSession, crowd: Crowd, line: bytes, count: int
) -> None:
    async with started(tmp_path) as server:
        await is_healthy(server, http)
        before_mb = rss_mb(server)

        async def attack() -> bytes:
            reader, writer = await crowd.connect(server, b"POST /bin/t HTTP/1.1\r\nHost: x\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(0, count, 1_000):
                    writer.write(line * min(count, 1_000))
                    await writer.drain()
            with contextlib.suppress(ConnectionError):
                return await reader.read()
            return b""

        said, *_ = await asyncio.gather(
            asyncio.gather(*(attack() for _ in range(20))), *(is_healthy(server, http) for _ in range(5))
        )
        assert all(each.startswith(b"HTTP/1.1 431 ") for each in said if each)
        assert rss_mb(server) < before_mb + 100
        # What is just within the bound is taken.
        headers = {f"X-{number}": "a" * 500 for number in range(MAX_HEAD_BYTES // 600)}
        async with http.get(f"{server.url}/bin/t", headers=headers) as answer:
            assert answer.status == 200


async def test_fifty_endless_bodies(
    tmp_path: Path, http: aiohttp.ClientSession, crowd: Crowd, record_property: Record
) -> None:
    async with started(tmp_path) as server:
        await is_healthy(server, http)
        before_mb = rss_mb(server)

        async def attack(at: int) -> None:
            framing = (b"Content-Length: 900000000000", b"Transfer-Encoding: chunked")[at % 2]
            _, writer = await crowd.connect(server, b"POST /bin/t HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
            part = (b"", b"ffff\r\n")[at % 2] + bytes(0xFFFF) + (b"", b"\r\n")[at % 2]
            with contextlib.suppress(ConnectionError):
                while not writer.is_closing():
                    writer.write(part)
                    await writer.drain()

        async with asyncio.timeout(60):
            await asyncio.gather(*(attack(at) for at in range(50)), *(is_healthy(server, http) for _ in range(5)))
        await is_healthy(server, http)
        after_mb = rss_mb(server)
        record_property("rss_mb", {"before": round(before_mb), "after": round(after_mb)})
        assert after_mb < before_mb + 300
    held = json.loads(run("bin", "show", "t", "--json", "--data-dir", str(tmp_path)).stdout)
    assert held["held_bytes"] <= 50_000_000


class Quiet:
    """A connection that does as it is told."""

    def __init__(self, *, may_end: bool = True) -> None:
        self.may_end = may_end
        self.ended = ""

    def give_up(self) -> bool:
        self.ended = "gave up" if self.may_end else ""
        return self.may_end

    def make_room(self) -> None:
        self.ended = "made room"


async def test_which_connection_goes_first() -> None:
    connections = Connections(most=3, patience_s=60)
    first, second, idle, fourth = Quiet(), Quiet(), Quiet(), Quiet()
    for each in (first, second, idle):
        connections.opened(each)
    connections.answers(idle)
    connections.rests(idle)
    connections.answers(first)
    connections.opened(fourth)
    assert [each.ended for each in (first, second, idle, fourth)] == ["", "made room", "", ""]
    connections.closed(second)
    connections.answers(fourth)
    fifth, sixth = Quiet(), Quiet()
    connections.opened(fifth)
    assert idle.ended == "made room"
    connections.closed(idle)
    connections.answers(fifth)
    connections.opened(sixth)
    assert sixth.ended == "made room"
    connections.closed(sixth)
    assert connections.count == 3


def test_there_is_room_for_as_many_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert room_for(10) == 10
        assert 0 < room_for(10**9) <= max(hard, 0) or hard == resource.RLIM_INFINITY
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
