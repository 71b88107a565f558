"""Files of a multipart form, read as they arrive: never a whole request in memory, no name used as a path.

The parser is the one that Starlette uses. What it tells is turned into events, and each piece of the request is dealt
with before the next one is read, so a client that sends faster than the disk writes has to wait.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from ringback.model.errors import InvalidRequest, TooLarge

MAX_PARTS: Final = 100


class Begin(msgspec.Struct, frozen=True):
    """A part begins."""

    field: str
    file_name: str
    content_type: str


class Data(msgspec.Struct, frozen=True):
    """Some more of its content."""

    data: bytes


class End(msgspec.Struct, frozen=True):
    """It is complete."""


Event = Begin | Data | End


async def parts(request: Request, max_bytes: int) -> AsyncGenerator[Event, None]:
    """Yield what a multipart body consists of. Raises ``InvalidRequest`` and ``TooLarge``.

    A body that ends before its last boundary is an error, whatever came before.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 256:
        raise InvalidRequest("send the files as multipart/form-data, each in a field named file")
    collected = _Collected()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collected.begin,
                "on_part_data": collected.data,
                "on_part_end": collected.end,
                "on_header_field": collected.header_field,
                "on_header_value": collected.header_value,
                "on_header_end": collected.header_end,
                "on_headers_finished": collected.headers_finished,
                "on_end": collected.finish,
            },
        )
        async for piece in _pieces(request, max_bytes):
            parser.write(piece)
            for event in collected.take():
                yield event
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest("request body is not valid multipart/form-data") from error
    if not collected.is_finished:
        raise InvalidRequest("request body ends before its last boundary: send it again, whole")


async def _pieces(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise TooLarge(f"request body is over the limit of {max_bytes} bytes")
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


class _Collected:
    """Takes the parser's calls, and hands them on as events."""

    def __init__(self) -> None:
        self.is_finished = False
        self._events: list[Event] = []
        self._headers: dict[bytes, bytes] = {}
        self._field = b""
        self._value = b""
        self._parts = 0

    def take(self) -> list[Event]:
        """Give what has come since the last time."""
        events, self._events = self._events, []
        return events

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"request body has more than {MAX_PARTS} parts")
        self._headers = {}

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._events.append(
            Begin(
                _text(options.get(b"name", b"")),
                _text(options.get(b"filename", b"")),
                _text(self._headers.get(b"content-type", b"")),
            )
        )

    def data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(Data(bytes(data[start:end])))

    def end(self) -> None:
        self._events.append(End())

    def finish(self) -> None:
        self.is_finished = True


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
