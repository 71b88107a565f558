"""A client's own deadline for its statements.

PostgreSQL ends statements that take too long, and TCP ends connections that do not answer. A server that is frozen does
neither: its machine acknowledges every packet and nobody works on it. So somebody here has to look at the clock.
"""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import psycopg

LOOKS_PER_DEADLINE: Final = 20
SHORTEST_LOOK_S: Final = 0.05


class Deadlines:
    """Cuts connections off whose statement takes longer than ``longest_s``; whoever waits for one gets its error."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._due_s: dict[psycopg.Connection, float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="store-deadlines", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def hold(self, connection: psycopg.Connection) -> Iterator[None]:
        """Watch a connection while the block runs; ``renew`` says that it has come a step further."""
        self.renew(connection)
        try:
            yield
        finally:
            self._due_s.pop(connection, None)

    def renew(self, connection: psycopg.Connection) -> None:
        """Give the next statement its time."""
        self._due_s[connection] = time.monotonic() + self._longest_s

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        look_s = max(self._longest_s / LOOKS_PER_DEADLINE, SHORTEST_LOOK_S)
        while not self._closed.wait(look_s):
            now_s = time.monotonic()
            # A copy in one step: other threads come and go meanwhile.
            for connection, due_s in list(self._due_s.items()):
                if due_s < now_s and self._due_s.pop(connection, None) is not None:
                    cut(connection)


@contextlib.contextmanager
def cut_after(longest_s: float, connection: psycopg.AsyncConnection) -> Iterator[None]:
    """Cut a connection off if the block, in an event loop, takes longer than ``longest_s``."""
    later = asyncio.get_running_loop().call_later(longest_s, cut, connection)
    try:
        yield
    finally:
        later.cancel()


def cut(connection: psycopg.Connection | psycopg.AsyncConnection) -> None:
    """End a connection under whoever waits on it, and then finds it closed."""
    # A duplicate, as closing the socket object must not close libpq's descriptor.
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate,
    ):
        duplicate.shutdown(socket.SHUT_RDWR)
