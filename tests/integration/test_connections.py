"""Connections of callbacks: kept, given up and made anew, against a server that says bytes as they are."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ringback.delivery.connections import Broken, Place, Pool, Reply, Stale
from ringback.delivery.http import written
from ringback.delivery.request import Request
from ringback.egress import EgressPolicy
from tests.fakes.raw_server import OK, Handler, server

EMPTY = OK + b"Content-Length: 0\r\n\r\n"
TRAP = b"HTTP/1.1 500 Trap\r\nContent-Length: 0\r\n\r\n"
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENT_S = 30
"""Nothing here is about who is slow."""


@asynccontextmanager
async def pool(*, fresh_s: float = 60, keep_s: float = 60, body_cap: int = 100) -> AsyncIterator[Pool]:
    """A pool that may dial this machine."""
    opened = Pool(
        EgressPolicy.parse(["127.0.0.1"]),
        tls=ssl.create_default_context(),
        connect_timeout_s=PATIENT_S,
        body_cap=body_cap,
        fresh_s=fresh_s,
        keep_s=keep_s,
    )
    try:
        yield opened
    finally:
        await opened.close()


class Scripted:
    """Answers each connection's requests with what is next in its script; ``None`` closes the connection."""

    def __init__(self, *scripts: list[bytes | None]) -> None:
        self._scripts = list(scripts)
        self.connections = 0
        self.closed = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[self.connections]
        self.connections += 1
        for answer in script:
            if answer is None:
                break
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        self.closed.set()


async def asked(script: Handler, *, times: int = 1, body_cap: int = 100) -> list[Reply]:
    """Ask so often."""
    async with server(script) as port, pool(body_cap=body_cap) as connections:
        place = Place(False, "127.0.0.1", port)
        return [await connections.ask(place, ASK, deadline_s=PATIENT_S) for _ in range(times)]


async def test_a_connection_is_used_again() -> None:
    script = Scripted([EMPTY, EMPTY, EMPTY])
    assert [reply.status for reply in await asked(script, times=3)] == [200, 200, 200]
    assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        EMPTY + b"and more than was asked for",
        EMPTY + TRAP,
        OK + b"Content-Length: 200\r\n\r\n" + b"x" * 200,
    ],
    ids=["told to close", "HTTP/1.0", "says more", "answers twice", "body over the cap"],
)
async def test_a_connection_that_is_not_to_be_trusted_again_is_not_used_again(answer: bytes) -> None:
    script = Scripted([answer], [EMPTY])
    assert [reply.status for reply in await asked(script, times=2)] == [200, 200]
    assert script.connections == 2


async def test_an_interim_answer_is_not_the_answer() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    (reply,) = await asked(Scripted([early + b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"]))
    assert (reply.status, reply.headers, reply.body) == (204, [("X-A", "b")], b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        OK + b"X-Name: caf\xe9\r\nContent-Length: 2\r\n\r\nok",
        OK + b"X-Name: a\x01b\r\nContent-Length: 2\r\n\r\nok",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
        OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["bare LF", "no reason", "not UTF-8", "control character", "space in a chunk size", "offers HTTP/2"],
)
async def test_an_answer_that_is_written_carelessly_is_one(answer: bytes) -> None:
    (reply,) = await asked(Scripted([answer]))
    assert (reply.status, reply.body) == (200, b"ok")


async def test_an_answer_that_changes_the_protocol_is_none() -> None:
    with pytest.raises(Broken, match="changes the protocol"):
        await asked(Scripted([b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"]))


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    (reply,) = await asked(Scripted([OK + b"\r\nall of it", None]))
    assert reply.body == b"all of it"


async def test_nothing_but_an_answer_to_a_request_is_taken() -> None:
    async def speaks_unasked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EMPTY)
        await answered.wait()
        writer.write(TRAP)
        await reader.read()
        hung_up.set()

    answered, hung_up = asyncio.Event(), asyncio.Event()
    async with server(speaks_unasked) as port, pool() as connections:
        place = Place(False, "127.0.0.1", port)
        await connections.ask(place, ASK, deadline_s=PATIENT_S)
        answered.set()
        async with asyncio.timeout(PATIENT_S):
            await hung_up.wait()
        assert (await connections.ask(place, ASK, deadline_s=PATIENT_S)).status == 200


async def test_a_kept_connection_that_was_closed_costs_no_attempt() -> None:
    script = Scripted([EMPTY, None], [EMPTY])
    async with server(script) as port, pool(fresh_s=0) as connections:
        place = Place(False, "127.0.0.1", port)
        await connections.ask(place, ASK, deadline_s=PATIENT_S)
        await script.closed.wait()
        assert (await connections.ask(place, ASK, deadline_s=PATIENT_S)).status == 200
    assert script.connections == 2


async def test_a_server_that_hangs_up_on_each_request_is_asked_once() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        if requests == 1:
            writer.write(EMPTY)
            await reader.readuntil(b"\r\n\r\n")
            requests += 1

    requests = 0
    async with server(hangs_up) as port, pool() as connections:
        place = Place(False, "127.0.0.1", port)
        await connections.ask(place, ASK, deadline_s=PATIENT_S)
        with pytest.raises(Stale):
            await connections.ask(place, ASK, deadline_s=PATIENT_S)
    assert requests == 2


async def test_half_an_answer_is_not_asked_for_again() -> None:
    with pytest.raises(Broken, match="before the whole answer"):
        await asked(Scripted([EMPTY, OK + b"Content-Length: 9\r\n\r\nhalf", None]), times=2)


async def test_a_connection_is_not_kept_for_ever() -> None:
    script = Scripted([EMPTY, EMPTY])
    async with server(script) as port, pool(keep_s=0.01) as connections:
        await connections.ask(Place(False, "127.0.0.1", port), ASK, deadline_s=PATIENT_S)
        async with asyncio.timeout(PATIENT_S):
            await script.closed.wait()


def _head(url: str) -> tuple[Place, list[str]]:
    place, head = written(Request(method="GET", url=url, headers=[("X-A", "b")], body=None))
    return place, head.decode().split("\r\n")[:-2]


@pytest.mark.parametrize(
    ("url", "place", "lines"),
    [
        ("http://a.example/x?y=1#z", Place(False, "a.example", 80), ["GET /x?y=1 HTTP/1.1", "Host: a.example"]),
        ("https://a.example:84?y=/1", Place(True, "a.example", 84), ["GET /?y=/1 HTTP/1.1", "Host: a.example:84"]),
        ("http://[::1]:99/%7e//..", Place(False, "::1", 99), ["GET /%7e//.. HTTP/1.1", "Host: [::1]:99"]),
        ("http://bücher.de", Place(False, "xn--bcher-kva.de", 80), ["GET / HTTP/1.1", "Host: xn--bcher-kva.de"]),
        (
            "http://us%40er:p%3Aw@a.example/",
            Place(False, "a.example", 80),
            ["GET / HTTP/1.1", "Host: a.example", "Authorization: Basic dXNAZXI6cDp3"],
        ),
    ],
)  # fmt: skip
def test_a_url_is_sent_as_it_is(url: str, place: Place, lines: list[str]) -> None:
    assert _head(url) == (place, [*lines, "X-A: b"])


@pytest.mark.parametrize(
    "url", ["ftp://a.example/", "http:///x", "http://a.example/a b", "http://a.example/\r\nX: y", "http://a.example:x/"]
)
def test_a_url_of_which_no_request_can_be_made_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        _head(url)
