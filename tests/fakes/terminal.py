"""A terminal with a program in it: what the program writes is read, and keys are pressed."""

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Terminal:
    """A program that runs in a terminal of its own."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, master: int) -> None:
        self.process = process
        self._reader = reader
        self._master = master
        self.written = ""
        """All that the program has written, orders to the terminal among it."""
        self._seen = 0
        """Where what was waited for last ends."""

    async def until(self, text: str, *, timeout_s: float = 60) -> str:
        """Wait until the program has written a text, after what was waited for before; returns what came up to it."""
        began = self._seen
        try:
            async with asyncio.timeout(timeout_s):
                while (at := self.written.find(text, began)) < 0:
                    part = await self._reader.read(65_536)
                    assert part, f"{text!r} was never written: {self.written[-3000:]}"
                    self.written += part.decode("utf-8", "replace")
        except TimeoutError:
            raise AssertionError(f"{text!r} was not written in time: {self.written[-3000:]}") from None
        self._seen = at + len(text)
        return self.written[began:at]

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    async def end(self, *, timeout_s: float = 60) -> int:
        """Wait for the program's end, reading what it writes; returns its exit code."""
        async with asyncio.timeout(timeout_s):
            # Reading from a terminal that nobody has open any more fails.
            with contextlib.suppress(OSError):
                while part := await self._reader.read(65_536):
                    self.written += part.decode("utf-8", "replace")
            return await self.process.wait()


@asynccontextmanager
async def terminal(*command: str, columns: int = 120, lines: int = 30, **environment: str) -> AsyncIterator[Terminal]:
    """Run a program in a terminal of this size until the block ends."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        # The keys of signals mean something only in the terminal that a session is controlled by.
        "setsid", "--ctty", *command, stdin=slave, stdout=slave, stderr=slave,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(slave)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(master), "rb", buffering=0)
    )
    try:
        yield Terminal(process, reader, master)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        transport.close()
        os.close(master)
