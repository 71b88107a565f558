"""One HTTP try: request in, what happened out. It never raises for anything the other side does."""

import asyncio
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

import msgspec
from aiohttp import encode_basic_auth
from aiohttp.abc import AbstractResolver

from ringback.delivery.connections import Broken, NameUnknown, Place, Pool, Reply
from ringback.delivery.request import Headers, Request
from ringback.dialect.times import retry_after_s
from ringback.egress import configured_policy, refusal_of, trusting
from ringback.settings import DeliverySettings

Outcome = Literal["ok", "http_status", "timeout", "dns", "connect", "tls", "broken", "blocked"]
"""``ok`` is any 2xx whose body came, as far as it is read; ``http_status`` any other answer, redirects included;
``blocked``: the address is not one that the operator lets callbacks go to."""

LOOKUP_THREADS: Final = 64
"""Name servers that do not answer hold a thread each for a while; they must not hold all of them."""

_PORTS: Final = {"http": 80, "https": 443}


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
        self._policy = configured_policy(settings.egress_allow)
        self._pool: Pool | None = None

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "lookup"))
        self._pool = Pool(
            self._policy,
            tls=trusting(self._settings.ca_file),
            connect_timeout_s=self._settings.connect_timeout_s,
            body_cap=self._settings.response_cap_bytes,
            resolver=self._resolver,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def attempt(self, request: Request) -> Answer:
        """Send the request and wait for the answer, at most for the deadline."""
        started_ns = time.monotonic_ns()

        def failed(outcome: Outcome, error: BaseException | str) -> Answer:
            text = error if isinstance(error, str) else str(error) or type(error).__name__
            return Answer(outcome=outcome, error=text[:500], duration_us=_since_us(started_ns))

        try:
            reply = await self._ask(request)
        except TimeoutError:
            return failed("timeout", f"no full answer within {self._settings.deadline_s:g} s")
        except NameUnknown as error:
            return failed("dns", error)
        except ssl.SSLError as error:
            return failed("tls", error)
        except (Broken, ValueError) as error:
            return failed("broken", error)
        except OSError as error:
            refusal = refusal_of(error)
            return failed("blocked" if refusal else "connect", refusal or error)
        return Answer(
            outcome="ok" if 200 <= reply.status < 300 else "http_status",
            http_status=reply.status,
            headers=reply.headers,
            body=reply.body,
            error=None if reply.status < 300 else f"answered {reply.status} {reply.reason}".strip(),
            duration_us=_since_us(started_ns),
        )

    async def _ask(self, request: Request) -> Reply:
        if self._pool is None:
            raise RuntimeError("HttpClient is used outside its async with")
        place, head = written(request)
        content = head + request.body if request.body else head
        return await self._pool.ask(place, content, deadline_s=self._settings.deadline_s)


def written(request: Request) -> tuple[Place, bytes]:
    """Return where a request goes, and its head as sent: the URL exactly as signed.

    Raises ``ValueError`` for a URL that no request can be made of.
    """
    scheme, _, rest = request.url.partition("#")[0].partition("://")
    authority, slash, path = rest.partition("/")
    if "?" in authority:
        authority, slash, path = rest.partition("?")
    target = slash + path
    user, _, address = authority.rpartition("@")
    place = _place(scheme.lower(), address)
    if not target.startswith("/"):
        target = f"/{target}"
    if " " in target or not (target.isprintable() and address.isprintable()):
        raise ValueError("the URL has a space or a control character, which must be percent-encoded")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {_host(address)}"]
    if user:
        lines.append(f"Authorization: {encode_basic_auth(*map(unquote, user.partition(':')[::2]))}")
    lines += [f"{name}: {value}" for name, value in request.headers]
    if request.method != "GET":
        lines.append(f"Content-Length: {len(request.body or b'')}")
    return place, ("\r\n".join(lines) + "\r\n\r\n").encode()


@lru_cache(maxsize=1024)
def _place(scheme: str, address: str) -> Place:
    parts = urlsplit(f"{scheme}://{address}")
    if scheme not in _PORTS or not parts.hostname:
        raise ValueError("the URL is not an http or https URL with a host")
    return Place(scheme == "https", _ascii(parts.hostname), parts.port or _PORTS[scheme])


@lru_cache(maxsize=1024)
def _host(address: str) -> str:
    return address if address.isascii() else _ascii(address)


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def retry_after_us(answer: Answer, now_us: int) -> int:
    """Return for how long an answer of 429 or 503 asks to wait (RFC 9110 section 10.2.3), at most an hour; else 0."""
    if answer.http_status not in {429, 503}:
        return 0
    text = next((value for name, value in answer.headers if name.lower() == "retry-after"), "")
    return round(retry_after_s(text, now_us) * 1_000_000)


def _since_us(started_ns: int) -> int:
    return (time.monotonic_ns() - started_ns) // 1000
