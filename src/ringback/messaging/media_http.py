"""One medium over HTTP: from a customer's URL to a file on disk, through the egress guard."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import aiohttp
import msgspec

from ringback.dialect.media import MAX_FILE_BYTES, Complaint, file_name, judge_type
from ringback.egress import configured_policy, guarded_connector, refusal_of, trusting
from ringback.settings import DeliverySettings
from ringback.store.media import MediaRoom
from ringback.store.media_files import MediaFiles

LOOKUP_THREADS: Final = 64
"""Name servers that do not answer hold a thread each for a while; they must not hold all of them."""
DEADLINE_S: Final = 15.0
MAX_REDIRECTS: Final = 3
CHUNK_BYTES: Final = 65_536
HEAD_BYTES: Final = 12
"""By which common images are told."""


class Fetched(msgspec.Struct, frozen=True):
    """What lies on disk now."""

    content_type: str
    file_name: str
    size_bytes: int


class Unusable(Exception):
    """What the URL gives cannot be sent; asking again gives the same."""

    def __init__(self, text: str, *, is_too_large: bool = False) -> None:
        super().__init__(text)
        self.is_too_large: Final = is_too_large


class Unreachable(Exception):
    """The URL gave nothing this time."""


class MediaHttp:
    """Fetches media. Open for as long as ``async with`` lasts."""

    def __init__(self, settings: DeliverySettings, *, deadline_s: float = DEADLINE_S) -> None:
        self._settings = settings
        self._deadline_s = deadline_s
        self._policy = configured_policy(settings.egress_allow)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUP_THREADS, "lookup"))
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self._policy, tls=trusting(self._settings.ca_file)),
            timeout=aiohttp.ClientTimeout(total=self._deadline_s, connect=self._settings.connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            # Nothing is unpacked: what is small on the wire may be large without its packing.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str, *, name: str, files: MediaFiles, room: MediaRoom, media_id: str) -> Fetched:
        """Bring what the URL gives to disk. Raises ``Unusable``, ``Unreachable``, or what ``MediaFiles`` does.

        ``name`` stands for the URL in texts of errors, as that may hold a secret.
        """
        if self._session is None:
            raise RuntimeError("MediaHttp is used outside its async with")
        try:
            async with self._session.get(url, max_redirects=MAX_REDIRECTS) as response:
                size_bytes = _declared_size(response, name)
                async with room.promised(size_bytes):
                    return await _save(response, name, files, media_id)
        except TimeoutError as error:
            raise Unreachable(f"{name} was not answered in full within {self._deadline_s:g} s") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.TooManyRedirects, ValueError) as error:
            raise Unusable(f"{name} leads nowhere") from error
        except (aiohttp.ClientError, ssl.SSLError, ConnectionError) as error:
            if refusal_of(error):
                raise Unusable(f"{name} leads to an address that is not allowed") from error
            raise Unreachable(f"{name} could not be fetched: {type(error).__name__}") from error


def _declared_size(response: aiohttp.ClientResponse, name: str) -> int:
    if response.status >= 500 or response.status in {408, 425, 429}:
        raise Unreachable(f"{name} was answered with {response.status}")
    if response.status != 200:
        raise Unusable(f"{name} was answered with {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Unusable(f"{name} gives packed content")
    if response.content_length is None or "Content-Type" not in response.headers:
        raise Unusable(f"{name} does not say Content-Type and Content-Length")
    if response.content_length > MAX_FILE_BYTES:
        raise Unusable(f"{name} is larger than 2 MB", is_too_large=True)
    return response.content_length


async def _save(response: aiohttp.ClientResponse, name: str, files: MediaFiles, media_id: str) -> Fetched:
    draft = files.begin()
    try:
        head = await _head(response.content)
        content_type = _judged(response, name, head)
        await draft.write(head)
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            await draft.write(chunk)
        await draft.keep(media_id)
    finally:
        await draft.discard()
    given = file_name(unquote(urlsplit(str(response.url)).path, errors="replace"))
    return Fetched(content_type, given, draft.size_bytes)


async def _head(content: aiohttp.StreamReader) -> bytes:
    try:
        return await content.readexactly(HEAD_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


def _judged(response: aiohttp.ClientResponse, name: str, head: bytes) -> str:
    if not head:
        raise Unusable(f"{name} gives nothing")
    judged = judge_type(response.headers["Content-Type"], head)
    if isinstance(judged, Complaint):
        raise Unusable(f"{name}: {judged.text}")
    return judged
