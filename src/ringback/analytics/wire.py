"""What is said between a process that asks and the one that owns the analytics file: msgpack, each with its length."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from ringback.analytics.engine import Answer, Limits, Standing
from ringback.analytics.exports import Kind

SOCKET: Final = "analytics.sock"
VERSION: Final = 1
_LENGTH: Final = struct.Struct(">I")
_LONGEST: Final = 512 * 1024 * 1024
_LARGEST_INT: Final = 2**63


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first of either side."""

    version: int


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A question of Ringback's own."""

    number: int
    sql: str
    given: Sequence[Any]
    limits: Limits
    kind: Kind | None = None
    """As what to export the rows; None: answer."""


class AskOwn(msgspec.Struct, frozen=True, tag="own"):
    """A question of somebody's own."""

    number: int
    sql: str
    account_id: str | None
    limits: Limits
    kind: Kind | None = None


class AskStanding(msgspec.Struct, frozen=True, tag="standing"):
    """How far is the projection?"""

    number: int


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Whoever asked went away."""

    number: int


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """To ``Ask`` and ``AskOwn``."""

    number: int
    answer: Answer


class Stood(msgspec.Struct, frozen=True, tag="stood"):
    """To ``AskStanding``."""

    number: int
    standing: Standing


class Chunk(msgspec.Struct, frozen=True, tag="chunk"):
    """A part of an export; an empty one is its end."""

    number: int
    content: bytes


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Instead of an answer: the name of the error and its text."""

    number: int
    error: str
    text: str


ToOwner = Hello | Ask | AskOwn | AskStanding | Stop
ToAsker = Hello | Answered | Stood | Chunk | Failed


def _whole(value: int) -> int | msgspec.msgpack.Ext:
    return value if -_LARGEST_INT <= value < _LARGEST_INT else msgspec.msgpack.Ext(7, str(value).encode())


_AS_EXT: Final[dict[type, tuple[int, Callable[[Any], str]]]] = {
    datetime: (1, datetime.isoformat),
    date: (2, date.isoformat),
    UUID: (3, str),
    Decimal: (4, str),
    timedelta: (5, lambda value: f"{value // timedelta(microseconds=1)}"),
    time: (6, time.isoformat),
}
_FROM_EXT: Final[dict[int, Callable[[str], Any]]] = {
    1: datetime.fromisoformat,
    2: date.fromisoformat,
    3: UUID,
    4: Decimal,
    5: lambda text: timedelta(microseconds=int(text)),
    6: time.fromisoformat,
    7: int,
}


def packed(value: Any) -> Any:
    """Return the value as msgpack can carry it without losing what it is."""
    kind = type(value)
    if kind is int:
        return _whole(value)
    if kind in _AS_EXT:
        code, said = _AS_EXT[kind]
        return msgspec.msgpack.Ext(code, said(value).encode())
    if kind in {list, tuple}:
        return [packed(each) for each in value]
    if kind is dict:
        return {str(name): packed(each) for name, each in value.items()}
    return value


def packed_answer(answer: Answer) -> Answer:
    """Return the answer with rows as msgpack can carry them."""
    return msgspec.structs.replace(answer, rows=[tuple(map(packed, row)) for row in answer.rows])


def _unpacked(code: int, data: memoryview) -> Any:
    return _FROM_EXT[code](bytes(data).decode())


_ENCODER: Final = msgspec.msgpack.Encoder()
TO_OWNER: Final = msgspec.msgpack.Decoder(ToOwner, ext_hook=_unpacked)
TO_ASKER: Final = msgspec.msgpack.Decoder(ToAsker, ext_hook=_unpacked)


async def write_frame(writer: asyncio.StreamWriter, message: ToOwner | ToAsker) -> None:
    """Send one, and wait while the other side is slow to read. Raises ``OSError`` when it is gone."""
    body = _ENCODER.encode(message)
    writer.write(_LENGTH.pack(len(body)) + body)
    await writer.drain()


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next one's body, or None when the other side has closed or says what cannot be."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length) if length <= _LONGEST else None
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
