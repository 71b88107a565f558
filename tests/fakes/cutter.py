"""A way to a server whose connections all break when told to, with a reset, whatever is on its way."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_NO_LINGER = struct.pack("ii", 1, 0)


class Cutter:
    """Stands before the port of a server, which need not be there yet."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.killed_at_s: list[float] = []
        self._server_port = port
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def kill(self) -> None:
        """Break every connection that there is."""
        self.killed_at_s.append(time.monotonic())
        for writer in list(self._open):
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._open -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def cutter(port: int) -> AsyncIterator[Cutter]:
    """Run one."""
    one = Cutter(port)
    server = await asyncio.start_server(one._pass_on, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await one.kill()
