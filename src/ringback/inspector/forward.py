"""Sending a captured request on, as it came or changed, to where the operator says and the egress policy allows."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from typing import Final

import aiohttp
import msgspec
import yarl

from ringback.egress import EgressPolicy, guarded_connector, refusal_of
from ringback.inspector.exports import HOP
from ringback.model.errors import InvalidRequest
from ringback.settings import DeliverySettings

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


async def forward(wanted: Outgoing, settings: DeliverySettings) -> Forwarded:
    """Send a request and wait for the answer, at most for the deadline of callbacks; redirects are not followed."""
    tls = ssl.create_default_context(cafile=None)
    if settings.ca_file is not None:
        tls.load_verify_locations(settings.ca_file)
    started_ns = time.monotonic_ns()
    policy = EgressPolicy.parse(settings.egress_allow)
    try:
        async with (
            aiohttp.ClientSession(
                connector=guarded_connector(policy, tls=tls),
                timeout=aiohttp.ClientTimeout(total=settings.deadline_s, connect=settings.connect_timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            ) as session,
            session.request(
                wanted.method,
                yarl.URL(wanted.url, encoded=True),
                headers=[(name, value) for name, value in wanted.headers if name.lower() not in HOP],
                data=wanted.body or None,
                allow_redirects=False,
            ) as response,
        ):
            return Forwarded(
                status=response.status,
                headers=[(name, value) for name, value in response.headers.items()],
                body=await response.content.read(ANSWER_BYTES),
                duration_us=_since_us(started_ns),
            )
    except TimeoutError:
        error = f"no full answer within {settings.deadline_s:g} s"
    except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as failure:
        refusal = refusal_of(failure)
        error = f"{refusal}; delivery.egress_allow says where requests may go" if refusal else str(failure)
        error = error or type(failure).__name__
    return Forwarded(error=error, duration_us=_since_us(started_ns))


def _since_us(started_ns: int) -> int:
    return (time.monotonic_ns() - started_ns) // 1000
