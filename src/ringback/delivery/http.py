"""One HTTP try: request in, what happened out. It never raises for anything the other side does."""

import asyncio
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal, Self

import aiohttp
import msgspec
import yarl
from aiohttp.abc import AbstractResolver

from ringback.delivery.request import Headers, Request
from ringback.dialect.times import retry_after_s
from ringback.egress import EgressPolicy, guarded_connector, refusal_of, trusting
from ringback.model.errors import ConfigInvalid
from ringback.settings import DeliverySettings, Invalid

Outcome = Literal["ok", "http_status", "timeout", "dns", "connect", "tls", "broken", "blocked"]
"""``ok`` is any 2xx whose body came, as far as it is read; ``http_status`` any other answer, redirects included;
``blocked``: the address is not one that the operator lets callbacks go to."""

MAX_RETRY_AFTER_S: Final = 3600
LOOKUP_THREADS: Final = 64
"""Name servers that do not answer hold a thread each for a while; they must not hold all of them."""

MAX_HEADER_BYTES: Final = 16_384


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, or why nothing did."""

    outcome: Outcome
    http_status: int | None = None
    headers: Headers = []
    body: bytes = b""
    error: str | None = None
    duration_us: int


class HttpClient:
    """Makes attempts. Open for as long as ``async with`` lasts."""

    def __init__(self, settings: DeliverySettings, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._resolver = resolver
        try:
            self._policy = EgressPolicy.parse(settings.egress_allow)
        except Invalid as error:
            raise ConfigInvalid(f"settings: delivery.egress_allow: {error}") from error
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "lookup"))
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self._policy, resolver=self._resolver, tls=trusting(self._settings.ca_file)),
            timeout=aiohttp.ClientTimeout(
                total=self._settings.deadline_s, connect=self._settings.connect_timeout_s, ceil_threshold=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A proxy in the environment of the process is no decision about where callbacks go.
            trust_env=False,
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            skip_auto_headers=("Accept-Encoding", "Content-Type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def attempt(self, request: Request) -> Answer:
        """Send the request and wait for the answer, at most for the deadline."""
        started_ns = time.monotonic_ns()

        def failed(outcome: Outcome, error: BaseException | str) -> Answer:
            text = error if isinstance(error, str) else str(error) or type(error).__name__
            return Answer(outcome=outcome, error=text[:500], duration_us=_since_us(started_ns))

        try:
            return await self._send(request, started_ns)
        except TimeoutError:
            return failed("timeout", f"no full answer within {self._settings.deadline_s:g} s")
        except aiohttp.ClientConnectorDNSError as error:
            return failed("blocked" if refusal_of(error) else "dns", refusal_of(error) or error)
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            return failed("tls", error)
        except aiohttp.ClientConnectorError as error:
            return failed("blocked" if refusal_of(error) else "connect", refusal_of(error) or error)
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            return failed("broken", error)

    async def _send(self, request: Request, started_ns: int) -> Answer:
        if self._session is None:
            raise RuntimeError("HttpClient is used outside its async with")
        async with self._session.request(
            request.method,
            # Exactly as signed: no normalising on the way out.
            yarl.URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as response:
            body = await _read(response.content, self._settings.response_cap_bytes)
            return Answer(
                outcome="ok" if 200 <= response.status < 300 else "http_status",
                http_status=response.status,
                headers=[(_clean(name), _clean(value)) for name, value in response.headers.items()],
                body=body,
                error=None if response.status < 300 else f"answered {response.status} {response.reason or ''}".strip(),
                duration_us=_since_us(started_ns),
            )


def retry_after_us(answer: Answer, now_us: int) -> int:
    """Return for how long an answer of 429 or 503 asks to wait (RFC 9110 section 10.2.3), at most an hour; else 0."""
    if answer.http_status not in {429, 503}:
        return 0
    text = next((value for name, value in answer.headers if name.lower() == "retry-after"), "")
    return round(min(retry_after_s(text, now_us), MAX_RETRY_AFTER_S) * 1_000_000)


async def _read(content: aiohttp.StreamReader, cap: int) -> bytes:
    """Read up to ``cap`` bytes; what follows is left, and the connection with it."""
    parts: list[bytes] = []
    size = 0
    while size < cap and (part := await content.read(cap - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _clean(text: str) -> str:
    """Make what came over the wire plain text: aiohttp keeps undecodable bytes as lone surrogates."""
    return str(text).encode("utf-8", "replace").decode()


def _since_us(started_ns: int) -> int:
    return (time.monotonic_ns() - started_ns) // 1000
