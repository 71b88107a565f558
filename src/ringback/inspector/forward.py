"""Sending a captured request on, as it came or changed, to where the operator says and the egress policy allows."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import msgspec
import yarl

from ringback.egress import configured_policy, guarded_connector, refusal_of, trusting
from ringback.inspector.exports import HOP, headers_of
from ringback.model.errors import InvalidRequest
from ringback.settings import DeliverySettings
from ringback.store.captures import Capture

ANSWER_BYTES: Final = 65_536


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is to be sent."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Forwarded(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, or why nothing did."""

    status: int | None = None
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    error: str | None = None
    duration_us: int


def read_headers(text: str) -> list[tuple[str, str]]:
    """Read headers, one a line. Raises ``InvalidRequest``."""
    found = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip() or name != name.strip() or not name.isascii() or not line.isprintable():
            raise InvalidRequest(f"headers: {line[:64]!r} is none; write one a line, such as X-Name: value")
        found.append((name, value.strip()))
    return found


def onward(item: Capture, url: str) -> Outgoing:
    """Return a capture as it goes on to ``url``: what follows the bin's name in its path, and its query, are added.

    Method, headers but those of the connection, and body stay as they came.
    """
    rest = item.path.split("/", 3)[3:]
    parts = urlsplit(url)
    path = "/".join([parts.path.removesuffix("/"), *rest]) if rest else parts.path
    query = "&".join(part for part in (parts.query, item.query) if part)
    return Outgoing(
        method=item.method,
        url=urlunsplit((parts.scheme, parts.netloc, path, query, "")),
        headers=headers_of(item),
        body=item.body,
    )


class Forwarder:
    """Sends requests on. Its connections are kept for as long as ``async with`` lasts."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(configured_policy(settings.egress_allow), tls=trusting(settings.ca_file)),
            timeout=aiohttp.ClientTimeout(total=settings.deadline_s, connect=settings.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, wanted: Outgoing) -> Forwarded:
        """Send a request and wait for the answer, at most for the deadline of callbacks; redirects are not followed."""
        if self._session is None:
            raise RuntimeError("Forwarder is used outside its async with")
        started_ns = time.monotonic_ns()
        try:
            async with self._session.request(
                wanted.method,
                yarl.URL(wanted.url, encoded=True),
                headers=_headers(wanted),
                data=wanted.body or None,
                allow_redirects=False,
            ) as response:
                return Forwarded(
                    status=response.status,
                    headers=[(name, value) for name, value in response.headers.items()],
                    body=await response.content.read(ANSWER_BYTES),
                    duration_us=_since_us(started_ns),
                )
        except TimeoutError:
            error = f"no full answer within {self._settings.deadline_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as failure:
            refusal = refusal_of(failure)
            error = f"{refusal}; delivery.egress_allow says where requests may go" if refusal else str(failure)
            error = error or type(failure).__name__
        return Forwarded(error=error, duration_us=_since_us(started_ns))


async def forward(wanted: Outgoing, settings: DeliverySettings) -> Forwarded:
    """Send a single request, as ``Forwarder`` does."""
    async with Forwarder(settings) as forwarder:
        return await forwarder.send(wanted)


def _headers(wanted: Outgoing) -> list[tuple[str, str]]:
    spelled: dict[str, str] = {}
    return [
        # The client keeps only the last of two that are spelled differently.
        (spelled.setdefault(name.lower(), name), _as_written(value))
        for name, value in wanted.headers
        if name.lower() not in HOP
    ]


def _as_written(value: str) -> str:
    """Return what goes over the wire as the bytes that came: they are kept as Latin-1, and are sent as UTF-8."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _since_us(started_ns: int) -> int:
    return (time.monotonic_ns() - started_ns) // 1000
