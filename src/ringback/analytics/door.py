"""Lets other processes of this machine ask: a Unix socket beside the analytics file, for its owner's user only."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import msgspec

from ringback.analytics.engine import Engine
from ringback.analytics.wire import (
    SOCKET,
    TO_OWNER,
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
    packed_answer,
    read_frame,
    write_frame,
)
from ringback.model.errors import RingbackError

_BACKLOG: Final = 100


@contextlib.asynccontextmanager
async def open_door(engine: Engine, directory: Path) -> AsyncIterator[None]:
    """Answer for the engine on ``analytics.sock`` in the directory, until the end of the ``async with``.

    The caller owns the analytics file, so a socket that is there already is one that nobody listens on.
    """
    connections: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # pragma: no cover - asyncio runs this as a task
            return
        connections.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                await _Connection(engine, reader, writer).serve()
        finally:
            connections.discard(task)
            writer.close()

    with contextlib.closing(_listening(directory)) as listening:
        server = await asyncio.start_unix_server(met, sock=listening)
        try:
            yield
        finally:
            server.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            (directory / SOCKET).unlink(missing_ok=True)


@contextlib.contextmanager
def address(directory: Path) -> Iterator[str]:
    """Give the socket's address, short however long the directory's name is: sockets' names have 107 bytes at most."""
    descriptor = os.open(directory, os.O_DIRECTORY | os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _listening(directory: Path) -> socket.socket:
    (directory / SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(directory) as name:
            listening.bind(name)
        # Nobody can connect before ``listen``, so there is no moment at which others of the machine could.
        (directory / SOCKET).chmod(0o600)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


class _Connection:
    """One process that asks, with as many questions at a time as it likes."""

    def __init__(self, engine: Engine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._asked: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Answer until the other side goes away; what it still waits for is ended then."""
        await self._say(Hello(VERSION))
        try:
            while (frame := await read_frame(self._reader)) is not None:
                try:
                    self._take(TO_OWNER.decode(frame))
                except msgspec.MsgspecError:
                    return
        finally:
            left = list(self._asked.values())
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _take(self, message: ToOwner) -> None:
        match message:
            case Hello():
                pass  # an asker of another version goes away by itself: it has been told ours
            case Stop(number):
                if task := self._asked.get(number):
                    task.cancel()
            case _:
                self._asked[message.number] = asyncio.create_task(self._answer(message))

    async def _answer(self, question: Ask | AskOwn | AskStanding) -> None:
        # Where the asker is gone, so is the connection, whose end is seen by ``serve``.
        with contextlib.suppress(ConnectionError):
            try:
                await self._answer_or_raise(question)
            except RingbackError as e:
                await self._say(Failed(question.number, type(e).__name__, str(e)))
            finally:
                del self._asked[question.number]

    async def _answer_or_raise(self, question: Ask | AskOwn | AskStanding) -> None:
        engine, number = self._engine, question.number
        match question:
            case AskStanding():
                await self._say(Stood(number, await engine.standing()))
            case Ask(_, sql, given, limits, None):
                answer = await engine.ask(sql, given, limits=limits)
                await self._say(Answered(number, packed_answer(answer)))
            case AskOwn(_, sql, account_id, limits, None):
                answer = await engine.own(sql, account_id=account_id, limits=limits)
                await self._say(Answered(number, packed_answer(answer)))
            case Ask(_, sql, given, limits, kind) if kind:
                await self._send(number, engine.export(sql, given, kind=kind, limits=limits))
            case AskOwn(_, sql, account_id, limits, kind) if kind:
                await self._send(number, engine.export_own(sql, account_id=account_id, kind=kind, limits=limits))

    async def _send(self, number: int, exported: AsyncGenerator[bytes, None]) -> None:
        async with contextlib.aclosing(exported) as chunks:
            async for content in chunks:
                await self._say(Chunk(number, content))
        await self._say(Chunk(number, b""))

    async def _say(self, message: ToAsker) -> None:
        async with self._writing:
            await write_frame(self._writer, message)
