"""Requests to a provider's REST API, through the egress guard. They never raise for anything the other side does."""

import asyncio
import ssl
from typing import Final, Self

import aiohttp
import msgspec
import yarl

from ringback import __version__
from ringback.dialect.times import retry_after_s
from ringback.egress import configured_policy, guarded_connector, refusal_of, trusting
from ringback.receiver.sources.upstream import Upstream
from ringback.runtime import Clock
from ringback.settings import DeliverySettings

MAX_BYTES: Final = 4_000_000
SHOWN: Final = 200


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    http_status: int | None
    """``None`` when there was no whole answer."""
    body: bytes = b""
    wait_s: float = 0.0
    """What ``Retry-After`` asks for."""
    error: str = ""
    """What went wrong, in the provider's own words where it has any; empty for any 2xx."""


class RestClient:
    """Talks to providers. Open for as long as ``async with`` lasts."""

    def __init__(self, settings: DeliverySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._policy = configured_policy(settings.egress_allow)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self._policy, tls=trusting(self._settings.ca_file)),
            timeout=aiohttp.ClientTimeout(
                total=self._settings.deadline_s, connect=self._settings.connect_timeout_s, ceil_threshold=60
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"User-Agent": f"Ringback/{__version__}"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, upstream: Upstream, method: str, target: str, body: bytes | None = None) -> Reply:
        """Make a request with the source's credentials, and wait for the answer at most for the deadline."""
        if self._session is None:
            raise RuntimeError("RestClient is used outside its async with")
        headers = {"Authorization": aiohttp.encode_basic_auth(upstream.auth_id, upstream.token)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                yarl.URL(upstream.base_url + target, encoded=True),
                headers=headers,
                data=body,
                # Elsewhere the credentials would be somebody else's to read.
                allow_redirects=False,
            ) as response:
                return await self._read(response)
        except TimeoutError:
            return Reply(http_status=None, error=f"no full answer within {self._settings.deadline_s:g} s")
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError, asyncio.IncompleteReadError) as failure:
            refusal = refusal_of(failure)
            told = f"{refusal}; delivery.egress_allow says where requests may go" if refusal else str(failure)
            return Reply(http_status=None, error=(told or type(failure).__name__)[: 2 * SHOWN])

    async def _read(self, response: aiohttp.ClientResponse) -> Reply:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                return Reply(http_status=None, error=f"the answer is longer than {MAX_BYTES} bytes")
        body = b"".join(parts)
        ok = 200 <= response.status < 300
        return Reply(
            http_status=response.status,
            body=body,
            wait_s=retry_after_s(response.headers.get("Retry-After", ""), self._clock.now_us()),
            error="" if ok else f"answered {response.status}: {_told(body) or response.reason or 'nothing'}",
        )


def _told(body: bytes) -> str:
    """Return the text of the provider's error, if there is one that can be shown in a line."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    text = said.get("error") if isinstance(said, dict) else None
    return "".join(each for each in text if each.isprintable())[:SHOWN] if isinstance(text, str) else ""
