"""Asks the process that owns the analytics file, over its socket: the same ``Engine``, from beside it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from ringback.analytics.door import address
from ringback.analytics.engine import EXPORT_LIMITS, PAGE_LIMITS, Answer, Limits, Standing
from ringback.analytics.exports import Kind
from ringback.analytics.wire import (
    TO_ASKER,
    VERSION,
    Answered,
    Ask,
    AskOwn,
    AskStanding,
    Chunk,
    Failed,
    Hello,
    Stood,
    Stop,
    ToAsker,
    ToOwner,
    packed,
    read_frame,
    write_frame,
)
from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong, RingbackError

NOBODY: Final = "No Ringback process with the analytics role runs on this data directory."
_LOST: Final = "The process that owns the analytics has gone away."
_ERRORS: Final[dict[str, type[RingbackError]]] = {
    error.__name__: error for error in (AnalyticsAway, QuestionRefused, QuestionTooLong)
}
_CHUNKS_AHEAD: Final = 8
_ONLY: Final = 1
"""Number of a connection's only question."""


class RemoteEngine:
    """An async context manager. It connects when it is asked, and again after the owner was away."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._link: _Link | None = None
        self._connecting = asyncio.Lock()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        if self._link is not None:
            await self._link.close()

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """See ``Engine.ask``."""
        link = await self._linked()
        return await link.answer(Ask(link.number(), sql, packed(list(given)), limits))

    async def own(self, sql: str, *, account_id: str | None, limits: Limits) -> Answer:
        """See ``Engine.own``."""
        link = await self._linked()
        return await link.answer(AskOwn(link.number(), sql, account_id, limits))

    async def standing(self) -> Standing:
        """See ``Engine.standing``."""
        link = await self._linked()
        return await link.standing()

    async def export(
        self, sql: str, given: Sequence[object] = (), *, kind: Kind, limits: Limits = EXPORT_LIMITS
    ) -> AsyncGenerator[bytes, None]:
        """See ``Engine.export``."""
        question = Ask(_ONLY, sql, packed(list(given)), limits, kind)
        async with contextlib.aclosing(_exported(self._directory, question)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def export_own(
        self, sql: str, *, account_id: str | None, kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        """See ``Engine.export_own``."""
        question = AskOwn(_ONLY, sql, account_id, limits, kind)
        async with contextlib.aclosing(_exported(self._directory, question)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _linked(self) -> "_Link":
        async with self._connecting:
            if self._is_closed:
                raise AnalyticsAway(_LOST)
            if self._link is None or self._link.is_lost:
                self._link = await _connect(self._directory)
            return self._link


async def _exported(directory: Path, question: Ask | AskOwn) -> AsyncGenerator[bytes, None]:
    """Export over a connection of its own: who reads it slowly holds nobody else up."""
    link = await _connect(directory)
    try:
        async with contextlib.aclosing(link.told(question)) as told:
            async for message in told:
                if not isinstance(message, Chunk) or not message.content:
                    return
                yield message.content
    finally:
        await link.close()


async def _connect(directory: Path) -> "_Link":
    try:
        with address(directory) as name:
            reader, writer = await asyncio.open_unix_connection(name)
    except OSError as e:
        raise AnalyticsAway(NOBODY) from e
    frame = await read_frame(reader)
    hello = TO_ASKER.decode(frame) if frame is not None else None
    if not isinstance(hello, Hello) or hello.version != VERSION:
        writer.close()
        raise AnalyticsAway("The process that owns the analytics runs another version of Ringback: restart it.")
    await write_frame(writer, Hello(VERSION))
    return _Link(reader, writer)


class _Link:
    """One connection, with many questions on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Queue[ToAsker]] = {}
        self.is_lost = False
        self._task = asyncio.create_task(self._listen())

    def number(self) -> int:
        """Return one that no other question of this connection has."""
        return next(self._numbers)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def answer(self, question: Ask | AskOwn) -> Answer:
        match await self._one(question):
            case Answered(_, answer):
                return msgspec.structs.replace(answer, rows=[tuple(row) for row in answer.rows])
            case _:
                raise AnalyticsAway(_LOST)

    async def standing(self) -> Standing:
        match await self._one(AskStanding(self.number())):
            case Stood(_, standing):
                return standing
            case _:
                raise AnalyticsAway(_LOST)

    async def _one(self, question: Ask | AskOwn | AskStanding) -> ToAsker:
        async with contextlib.aclosing(self.told(question)) as told:
            return await anext(told)

    async def told(self, question: Ask | AskOwn | AskStanding) -> AsyncGenerator[ToAsker, None]:
        """Ask, and give what is told of it, without end; the owner is told when nobody listens any more."""
        queue: asyncio.Queue[ToAsker] = asyncio.Queue(_CHUNKS_AHEAD)
        self._waiting[question.number] = queue
        is_over = False
        try:
            await self._say(question)
            while True:
                message = await queue.get()
                is_over = not isinstance(message, Chunk) or not message.content
                if isinstance(message, Failed):
                    raise _ERRORS.get(message.error, AnalyticsAway)(message.text)
                yield message
        finally:
            del self._waiting[question.number]
            if not is_over:
                with contextlib.suppress(AnalyticsAway):
                    await self._say(Stop(question.number))

    async def _say(self, message: ToOwner) -> None:
        if self.is_lost:
            raise AnalyticsAway(_LOST)
        try:
            await write_frame(self._writer, message)
        except OSError as e:
            raise AnalyticsAway(_LOST) from e

    async def _listen(self) -> None:
        try:
            while (frame := await read_frame(self._reader)) is not None:
                message: Any = TO_ASKER.decode(frame)
                if queue := self._waiting.get(message.number):
                    await queue.put(message)
        finally:
            self.is_lost = True
            for number, queue in self._waiting.items():
                if queue.full():
                    queue.get_nowait()  # part of an export, which fails as a whole
                queue.put_nowait(Failed(number, AnalyticsAway.__name__, _LOST))
            self._writer.close()
