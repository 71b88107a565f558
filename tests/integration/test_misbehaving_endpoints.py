"""One HTTP try against endpoints that do what they should not: each ends in time, bounded, and under its name."""

import asyncio
import socket
import ssl
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.delivery.http import Answer, HttpClient, retry_after_us
from ringback.delivery.request import Request
from ringback.model.errors import ConfigInvalid
from ringback.settings import DeliverySettings
from tests.fakes.raw_server import OK, Handler, says, server

CAP = 16_384


async def attempt(url: str, *, deadline_s: float = 30, **settings: Any) -> Answer:
    """Make one try, with a deadline that is far off unless it is to run out."""
    given = {"deadline_s": deadline_s, "connect_timeout_s": 30, "egress_allow": ("127.0.0.0/8", "::1"), **settings}
    async with HttpClient(DeliverySettings(**given)) as client:
        request = Request(method="POST", url=url, headers=[("Content-Type", "text/plain")], body=b"hello")
        async with asyncio.timeout(60):
            return await client.attempt(request)


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte after the other, for ever."""
    never = asyncio.Event()
    while True:
        writer.write(b"x")
        await writer.drain()
        try:
            async with asyncio.timeout(0.02):
                await never.wait()
        except TimeoutError:
            continue


async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much as goes through, for ever."""
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Nothing, until the other side has gone."""
    await reader.read(1_000_000)
    await reader.read()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (silence, "timeout"),
        (says(OK, b"X-Slow: ", then=drip), "timeout"),
        (says(OK + b"Content-Length: 1000\r\n\r\n", then=drip), "timeout"),
        (says(OK + b"Content-Length: 1000\r\n\r\n", then=silence), "timeout"),
        (says(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nab", then=silence), "timeout"),
        (says(then=reset), "broken"),
        (says(OK + b"Content-Length: 1000\r\n\r\nhalf", then=reset), "broken"),
        (says(OK + b"Content-Length: 1000\r\n\r\nhalf"), "broken"),
        (says(OK + b"X-Huge: " + b"x" * 20_000 + b"\r\n\r\n"), "broken"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "broken"),
        (says(b"HTTP/1.1 99999 What\r\n\r\n"), "broken"),
        (says(OK + b"Transfer-Encoding: chunked\r\n\r\nnot hex\r\n"), "broken"),
    ],
    ids=[
        "silence", "headers drip", "body drips", "body stalls", "chunk stalls", "reset at once", "reset in the body",
        "ends in the body", "huge header", "not HTTP", "no such status", "no chunk size",
    ],
)  # fmt: skip
async def test_it_ends_in_time_and_under_its_name(handler: Handler, outcome: str) -> None:
    deadline_s = 0.5 if outcome == "timeout" else 30
    async with server(handler) as port:
        answer = await attempt(f"http://127.0.0.1:{port}/", deadline_s=deadline_s)
    assert answer.outcome == outcome
    assert answer.error
    assert (answer.duration_us >= deadline_s * 1_000_000) == (outcome == "timeout")


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 99999999999\r\n\r\n", b"\r\n", b"Content-Encoding: gzip\r\n\r\n"],
    ids=["declared", "until close", "said to be gzip"],
)
async def test_an_endless_body_is_read_up_to_the_cap(head: bytes) -> None:
    async with server(says(OK + head, then=pour)) as port:
        answer = await attempt(f"http://127.0.0.1:{port}/")
    assert answer.outcome == "ok"
    assert answer.body == b"x" * CAP


async def test_a_callback_to_an_address_that_is_not_allowed_goes_nowhere() -> None:
    reached = asyncio.Event()

    async def never(*_: Any) -> None:
        reached.set()

    async with server(never) as port:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            answer = await attempt(f"http://{host}:{port}/", egress_allow=())
            assert answer.outcome == "blocked", host
    assert not reached.is_set()


class Flapping(AbstractResolver):
    """Knows a name every other time."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.asked % 2:
            raise OSError(None, "no name server answers")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_comes_and_goes_fails_only_while_it_is_gone() -> None:
    resolver = Flapping()
    settings = DeliverySettings(egress_allow=("127.0.0.1",))
    answered = says(OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
    async with server(answered) as port, HttpClient(settings, resolver=resolver) as client:
        request = Request(method="POST", url=f"http://flapping.example:{port}/", headers=[], body=b"")
        outcomes = [(await client.attempt(request)).outcome for _ in range(3)]
    # A name that was found is remembered for half a minute; one that was not is asked for again.
    assert outcomes == ["dns", "ok", "ok"]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that signs itself, with its key, for 127.0.0.1."""
    path = tmp_path / "self-signed.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(tmp_path / "key.pem"), "-out", str(path),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + (tmp_path / "key.pem").read_text())
    return path


async def test_only_trusted_certificates_are_spoken_to(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with server(says(OK + b"Content-Length: 0\r\n\r\n"), tls) as port:
        assert (await attempt(f"https://127.0.0.1:{port}/")).outcome == "tls"
        trusted = await attempt(f"https://127.0.0.1:{port}/", ca_file=certificate)
        assert trusted.outcome == "ok"
        other_name = await attempt(f"https://127.0.0.2:{port}/", ca_file=certificate)
        assert other_name.outcome in {"tls", "connect"}


async def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigInvalid, match=r"delivery\.ca_file"):
            await attempt("http://127.0.0.1:1/", ca_file=tmp_path / name)


async def test_a_network_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ConfigInvalid, match=r"egress_allow.*10\.0\.0"):
        await attempt("http://127.0.0.1:1/", egress_allow=("10.0.0",))


@pytest.mark.parametrize(
    ("status", "value", "wait_s"),
    [
        (503, "120", 120),
        (429, "0", 0),
        (429, "999999999", 3600),
        (503, "Wed, 01 Jan 2025 00:02:00 GMT", 120),
        (503, "Tue, 31 Dec 2024 00:00:00 GMT", 0),
        (503, "soon", 0),
        (503, "-5", 0),
        (503, "", 0),
        (500, "120", 0),
        (200, "120", 0),
    ],
)
def test_retry_after_is_read(status: int, value: str, wait_s: int) -> None:
    answer = Answer(outcome="http_status", http_status=status, headers=[("retry-after", value)], duration_us=1)
    assert retry_after_us(answer, 1_735_689_600_000_000) == wait_s * 1_000_000
