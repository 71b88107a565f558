"""The HTTP protocol of the server: uvicorn's, with a bound on heads and what the inspector wants of the wire.

Names of headers reach an application in lower case, as HTTP gives case no meaning. Whoever looks at a request as it
came wants them as they were written, and whoever plays a broken server needs the connection itself.
"""

import socket
import struct
from asyncio import Transport
from typing import Any, Final

import msgspec
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.web.connections import Connections

WIRE: Final = "ringback.wire"
"""The extension of a scope in which ``Wire`` is."""

MAX_HEAD_BYTES: Final = 65_536
"""Request line and headers; a connection that sends more before its request has begun gets 431 and is closed."""


def _last_answer(status: bytes, says: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        status,
        len(says),
        says,
    )


_TOO_LARGE: Final = _last_answer(
    b"431 Request Header Fields Too Large", b"request line and headers are over the limit of 65536 bytes\n"
)
_TOO_SLOW: Final = _last_answer(b"408 Request Timeout", b"the request did not come in time\n")
_NO_ROOM: Final = _last_answer(b"503 Service Unavailable", b"too many connections are open, try again in a moment\n")


class Wire(msgspec.Struct, frozen=True):
    """A request's connection."""

    names: list[bytes]
    """Names of the headers as they were written, in the order of the scope's."""
    transport: Transport

    def reset(self) -> None:
        """End the connection with a reset: what was sent before may be lost on its way too."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.transport.close()


def wire_of(scope: Scope) -> Wire:
    """Return the connection of a request that ``WireProtocol`` has read."""
    wire: Wire = scope["extensions"][WIRE]
    return wire


def written_headers(scope: Scope) -> list[tuple[str, str]]:
    """Return the headers in their order, names as they were written; bytes are taken for Latin-1."""
    values: list[tuple[bytes, bytes]] = scope["headers"]
    names = wire_of(scope).names
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, (_, value) in zip(names, values, strict=True)]


class WireProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = connections
        self._head_bytes = 0
        self._in_head = True
        self._names: list[bytes] = []

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """See ``asyncio.Protocol``."""
        super().connection_made(transport)
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._all.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        if self.transport.is_closing():
            # The connection's last answer is on its way; nothing more is read.
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._in_head:
            self._all.waits(self)
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._end_with(_TOO_LARGE)
        elif self._head_bytes:
            self._all.begins(self)

    def give_up(self) -> bool:
        """See ``connections.Connection``: not while an earlier request is answered, or it is we who do not read."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if (answering and self._in_head) or self.flow.read_paused:
            return False
        self._end_with(_TOO_SLOW)
        return True

    def make_room(self) -> None:
        """See ``connections.Connection``."""
        self._end_with(_NO_ROOM)

    def _end_with(self, answer: bytes) -> None:
        self._all.answers(self)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(answer)
        self.transport.close()

    def on_message_begin(self) -> None:
        """See ``httptools``."""
        super().on_message_begin()
        self._in_head = True
        self._names = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """See ``httptools``; what follows a chunked body is passed over, as it belongs to no request yet answered."""
        if self._in_head:
            self._names.append(name)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See ``httptools``."""
        self._in_head = False
        extensions: dict[str, Any] = {WIRE: Wire(self._names, self.transport)}
        self.scope["extensions"] = extensions
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See ``httptools``."""
        self._in_head = True
        self._head_bytes = 0
        self._all.answers(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """See ``uvicorn``."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._all.rests(self)
