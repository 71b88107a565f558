"""Connections of callbacks: dialled where the egress policy allows, and kept for the next callback to the same place.

aiohttp's session costs three times what a request of a callback needs: redirects, cookies, proxies, streams. What is
left here is a parser that is somebody else's (llhttp, by httptools), a protocol around it, and a pool. Names are
resolved and sockets opened as for everything that customers name (``egress``).
"""

import asyncio
import ipaddress
import socket
import ssl
from collections import defaultdict, deque
from typing import Final, NamedTuple

import httptools
import msgspec
from aiohappyeyeballs import AddrInfoType as AddrInfo
from aiohappyeyeballs import start_connection
from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from ringback.egress import AddressRefused, EgressPolicy, PolicyResolver, guarded_socket

KEEP_S: Final = 15.0
"""A connection that nobody has used for so long is closed."""
FRESH_S: Final = 1.0
"""One that was used within this time has hardly been closed by the other side for being idle."""
NAMES_S: Final = 30.0
"""For so long what a name resolved to is remembered."""
SECOND_ADDRESS_AFTER_S: Final = 0.25
"""RFC 8305, 5: the delay before the next address is tried beside the one before."""
MAX_HEAD_BYTES: Final = 65_536
MAX_LINE_BYTES: Final = 16_384


class Place(NamedTuple):
    """Where a connection leads."""

    is_tls: bool
    host: str
    port: int


class Reply(msgspec.Struct):
    """An answer, as far as it is read."""

    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes


class NameUnknown(Exception):
    """The name of a host could not be resolved; the text says why."""


class Broken(Exception):
    """The connection ended, or said something that is not HTTP, before there was a whole answer."""


class Stale(Broken):
    """A kept connection turned out to have been closed: nothing of an answer came over it."""


class Line(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body_cap: int) -> None:
        """At most ``body_cap`` bytes of a body are read; what follows is left, and the connection with it."""
        self._loop = loop
        self._body_cap = body_cap
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.used_at_s = 0.0
        self.was_idle_s = 0.0
        self.is_reusable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = transport  # type: ignore[assignment]
        self.is_reusable = True

    def ask(self, request: bytes, *, until_s: float) -> asyncio.Future[Reply]:
        """Send a request; the answer is the result, or ``Broken``, or from ``until_s`` on ``TimeoutError``."""
        transport = self._transport
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        if transport is None or transport.is_closing():
            waiter.set_exception(Stale("the connection was closed"))
            return waiter
        self._waiter = waiter
        self.is_reusable = False
        self._begin()
        self._deadline = self._loop.call_at(until_s, self._fail, TimeoutError())
        transport.write(request)
        return waiter

    def close(self) -> None:
        """End the connection; who waits for an answer gets none."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        # Whoever answers is no worse for writing it carelessly, and nobody else reads what we read.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._reason = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._body_bytes = self._head_bytes = 0
        self._is_head_done = self._has_come = False

    # ---- what the other side says ----

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self._waiter is None or self._parser is None:
            # Nobody has asked for it: whose answer it would be taken for is not to be found out.
            self.close()
            return
        self._has_come = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._waiter is not None:
                self._fail(Broken(f"the answer is not HTTP: {error}"))
            self.close()
            return
        except httptools.HttpParserUpgrade:
            self._fail(Broken("the answer changes the protocol, which nobody asked for"))
            return
        if not self._is_head_done and self._waiter is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._fail(Broken(f"the head of the answer is over {MAX_HEAD_BYTES} bytes"))

    def eof_received(self) -> bool:
        """See ``asyncio.Protocol``."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self.is_reusable = False
        self._transport = None
        if self._waiter is None:
            return
        if self._is_head_done and exc is None and not self._is_framed():
            # Such a body ends with the connection (RFC 9112, 6.3).
            self._finish(reusable=False)
        elif self._has_come:
            self._fail(Broken("the connection ended before the whole answer was there"))
        else:
            self._fail(Stale(f"the connection ended without an answer{f': {exc}' if exc else ''}"))

    def on_message_begin(self) -> None:
        """See ``httptools``."""
        if self._waiter is None:
            # A second answer to one request.
            self.close()

    def on_status(self, reason: bytes) -> None:
        """See ``httptools``."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """See ``httptools``."""
        if self._waiter is None:
            return
        if len(value) > MAX_LINE_BYTES or len(name) > MAX_LINE_BYTES:
            self._fail(Broken(f"a header of the answer is over {MAX_LINE_BYTES} bytes"))
        self._headers.append((_text(name), _text(value)))

    def on_headers_complete(self) -> None:
        """See ``httptools``."""
        self._is_head_done = True

    def on_body(self, body: bytes) -> None:
        """See ``httptools``."""
        if self._waiter is None:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes >= self._body_cap:
            self._finish(reusable=False)

    def on_message_complete(self) -> None:
        """See ``httptools``."""
        parser = self._parser
        if self._waiter is None or parser is None:
            return
        if parser.get_status_code() < 200:
            # An interim answer (RFC 9110, 15.2); the real one follows.
            self._headers, self._reason, self._is_head_done = [], b"", False
            return
        self._finish(reusable=parser.should_keep_alive())

    # ---- the end of a request ----

    def _is_framed(self) -> bool:
        return any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in self._headers)

    def _finish(self, *, reusable: bool) -> None:
        waiter, parser = self._answered(), self._parser
        if waiter is None or parser is None:
            return
        self.is_reusable = reusable and self._transport is not None
        if not waiter.done():
            waiter.set_result(
                Reply(
                    parser.get_status_code(), _text(self._reason), self._headers, b"".join(self._body)[: self._body_cap]
                )
            )
        if not self.is_reusable:
            self.close()

    def _answered(self) -> asyncio.Future[Reply] | None:
        if self._deadline is not None:
            self._deadline.cancel()
        waiter, self._waiter = self._waiter, None
        return waiter

    def _fail(self, error: Exception) -> None:
        waiter = self._answered()
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.close()


class Pool:
    """Connections by place."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        tls: ssl.SSLContext,
        connect_timeout_s: float,
        body_cap: int,
        resolver: AbstractResolver | None = None,
        keep_s: float = KEEP_S,
        fresh_s: float = FRESH_S,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._body_cap = body_cap
        self._resolver = PolicyResolver(policy, resolver or ThreadedResolver())
        self._new_socket = guarded_socket(policy)
        self._keep_s = keep_s
        self._fresh_s = fresh_s
        self._idle: defaultdict[Place, deque[Line]] = defaultdict(deque)
        self._names: dict[tuple[str, int], tuple[float, list[ResolveResult]]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def ask(self, place: Place, request: bytes, *, deadline_s: float) -> Reply:
        """Send a request over a connection to a place, and return its answer.

        Raises ``AddressRefused``, ``NameUnknown``, ``ssl.SSLError`` or ``OSError`` where there is no connection,
        ``Broken`` or ``TimeoutError``. A request that went over a kept connection which the other side had closed for
        being idle, without a byte of an answer, goes once more over a new one.
        """
        until_s = self._loop.time() + deadline_s
        line = self._kept(place) or await self._dial(place, until_s)
        try:
            return await self._ask(place, line, request, until_s)
        except Stale:
            if line.was_idle_s < self._fresh_s:
                raise
        return await self._ask(place, await self._dial(place, until_s), request, until_s)

    async def _ask(self, place: Place, line: Line, request: bytes, until_s: float) -> Reply:
        try:
            reply = await line.ask(request, until_s=until_s)
        except BaseException:
            line.close()
            raise
        if line.is_reusable:
            line.used_at_s = self._loop.time()
            self._idle[place].append(line)
            if self._sweep is None:
                self._sweep = self._loop.call_later(self._keep_s, self._close_idle)
        return reply

    async def close(self) -> None:
        """Close what is kept, and the resolver."""
        if self._sweep is not None:
            self._sweep.cancel()
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()
        await self._resolver.close()

    def _kept(self, place: Place) -> Line | None:
        lines = self._idle.get(place)
        while lines:
            # The one used last: the others get old and go.
            line = lines.pop()
            line.was_idle_s = self._loop.time() - line.used_at_s
            if line.is_reusable and line.was_idle_s < self._keep_s:
                return line
            line.close()
        return None

    def _close_idle(self) -> None:
        self._sweep = None
        until_s = self._loop.time() - self._keep_s
        for place, lines in list(self._idle.items()):
            while lines and (lines[0].used_at_s <= until_s or not lines[0].is_reusable):
                lines.popleft().close()
            if not lines:
                del self._idle[place]
        if self._idle:
            self._sweep = self._loop.call_later(self._keep_s, self._close_idle)

    async def _dial(self, place: Place, until_s: float) -> Line:
        async with asyncio.timeout_at(min(until_s, self._loop.time() + self._connect_timeout_s)):
            found = await self._resolve(place.host, place.port)
            sock = await start_connection(
                [_address(each["host"], place.port) for each in found],
                happy_eyeballs_delay=SECOND_ADDRESS_AFTER_S,
                interleave=1,
                loop=self._loop,
                socket_factory=self._new_socket,
            )
            try:
                _, line = await self._loop.create_connection(
                    lambda: Line(self._loop, self._body_cap),
                    sock=sock,
                    ssl=self._tls if place.is_tls else None,
                    server_hostname=place.host if place.is_tls else None,
                )
            except BaseException:
                sock.close()
                raise
            return line

    async def _resolve(self, host: str, port: int) -> list[ResolveResult]:
        if address := _literal(host, port):
            return [address]
        known = self._names.get((host, port))
        now_s = self._loop.time()
        if known is not None and now_s - known[0] < NAMES_S:
            return known[1]
        try:
            found = await self._resolver.resolve(host, port, socket.AF_UNSPEC)
        except AddressRefused:
            raise
        except OSError as error:
            raise NameUnknown(f"{host}: {error.strerror or error}") from error
        if len(self._names) > 10_000:
            # Names come from customers.
            self._names.clear()
        self._names[host, port] = (now_s, found)
        return found


def _literal(host: str, port: int) -> ResolveResult | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return ResolveResult(
        hostname=host, host=host, port=port, family=socket.AF_UNSPEC, proto=0, flags=socket.AI_NUMERICHOST
    )


def _address(host: str, port: int) -> AddrInfo:
    plain, _, zone = host.partition("%")
    if ":" not in plain:
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (plain, port)
    scope = 0 if not zone else int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port, 0, scope)


def _text(data: bytes) -> str:
    """Make what came over the wire plain text."""
    return data.decode("utf-8", "replace")
