"""One account of the API over HTTP: a request out, what is known of it back. Never raises for what the other side does.

What counts is whether a request may have arrived. It certainly has not when no connection came about; once there is
one, nothing short of an answer tells.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, Literal

import aiohttp
import msgspec
import yarl

from ringback.dialect.times import retry_after_s

CONNECT_S: Final = 5.0
KEEP_ALIVE_S: Final = 4.0
"""Shorter than servers keep theirs: a request over a connection that is being closed may have arrived or not."""
MAX_ANSWER_BYTES: Final = 65_536

_decode = msgspec.json.Decoder(dict[str, Any]).decode

Method = Literal["GET", "POST"]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    status: int
    content: dict[str, Any] = {}
    """Empty where the body is no JSON object, or did not come in full."""
    retry_after_s: float = 0.0
    """For how long it asks to wait; 0 where it does not."""


class NotSent(msgspec.Struct, frozen=True):
    """There was no connection: nothing went out."""

    detail: str


class Lost(msgspec.Struct, frozen=True):
    """The request, or a part of it, went out, and no answer came."""

    detail: str


Outcome = Reply | NotSent | Lost


class Client:
    """Asks one account's API. Connections are kept alive, and made when they are needed."""

    def __init__(
        self, *, url: str, authorization: str, deadline_s: float, tls: ssl.SSLContext, now_us: Callable[[], int]
    ) -> None:
        """``url`` is the account's, with a slash at its end."""
        self._url = url
        self._authorization = authorization
        self._deadline_s = deadline_s
        self._tls = tls
        self._now_us = now_us
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, method: Method, path: str = "", *, json: object = None, form: aiohttp.FormData | None = None
    ) -> Outcome:
        """Make a request below the account's URL."""
        data = form if json is None else msgspec.json.encode(json)
        headers = {} if json is None else {"Content-Type": "application/json"}
        try:
            async with self._open().request(
                method,
                yarl.URL(self._url + path, encoded=True),
                data=data,
                headers=headers,
                # Credentials go where the operator said, and nowhere else.
                allow_redirects=False,
            ) as response:
                return Reply(
                    status=response.status,
                    content=await _content(response),
                    retry_after_s=retry_after_s(response.headers.get("Retry-After", ""), self._now_us()),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL) as error:
            return NotSent(f"no connection: {_told(error)}")
        except TimeoutError:
            return Lost(f"no answer within {self._deadline_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            return Lost(f"the connection broke: {_told(error)}")

    async def close(self) -> None:
        """Close all connections; the next request makes new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # How many there are at once is bounded by whoever asks.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ssl=self._tls),
                timeout=aiohttp.ClientTimeout(
                    total=self._deadline_s, connect=min(CONNECT_S, self._deadline_s / 2), ceil_threshold=60
                ),
                headers={"Authorization": self._authorization, "Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


async def _content(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read the body as far as it comes and makes sense: what the status says holds without it."""
    body = b""
    try:
        while len(body) < MAX_ANSWER_BYTES and (part := await response.content.read(MAX_ANSWER_BYTES - len(body))):
            body += part
        return _decode(body)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError, asyncio.IncompleteReadError):
        return {}


def _told(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
