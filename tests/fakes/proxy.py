"""A way to a PostgreSQL server that breaks exactly where a test wants it to: at a COMMIT."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

When = Literal["before", "after"]
"""Whether the connection breaks before the server hears of the COMMIT, or after it has carried it out."""

_COMMIT = b"COMMIT\x00"
_CHUNK = 1 << 16


class CommitBreaker:
    """Passes everything on, but for the COMMIT that it is told to break."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._plan: When | None = None
        self._stays_away = False
        self._is_away = False
        self._links: set[_Link] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def break_next(self, when: When, *, and_stay_away: bool = False) -> None:
        """Break at the next COMMIT; if asked to stay away, let nobody in from then on until ``come_back``."""
        with self._lock:
            self._plan, self._stays_away = when, and_stay_away

    def come_back(self) -> None:
        """Let everybody in again."""
        self._is_away = False

    @property
    def has_broken(self) -> bool:
        """Whether the COMMIT that was to break has come."""
        return self._plan is None

    def close(self) -> None:
        """End everything."""
        _end(self._listener)
        for link in list(self._links):
            link.end()

    def due(self, chunk: bytes) -> When | None:
        """Say of what a client sends whether, and when, its connection is to break."""
        with self._lock:
            if _COMMIT not in chunk or self._plan is None:
                return None
            when, self._plan = self._plan, None
            self._is_away = self._stays_away
            return when

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_away:
                    client.close()
                else:
                    self._links.add(_Link(self, client, socket.create_connection(self._server)))


class _Link:
    """One connection, with a thread for each direction."""

    def __init__(self, breaker: CommitBreaker, client: socket.socket, server: socket.socket) -> None:
        self._breaker = breaker
        self._client = client
        self._server = server
        self._is_deaf = False
        for direction in (self._there, self._back):
            threading.Thread(target=direction, daemon=True).start()

    def end(self) -> None:
        """Break it."""
        _end(self._client)
        _end(self._server)

    def _there(self) -> None:
        with suppress(OSError):
            while chunk := self._client.recv(_CHUNK):
                when = self._breaker.due(chunk)
                if when == "before":
                    break
                self._is_deaf = when == "after"
                self._server.sendall(chunk)
        self.end()

    def _back(self) -> None:
        with suppress(OSError):
            while (chunk := self._server.recv(_CHUNK)) and not self._is_deaf:
                self._client.sendall(chunk)
        self.end()


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@contextmanager
def commit_breaker(port: int) -> Iterator[CommitBreaker]:
    """Stand before the server that listens on a port of this machine."""
    breaker = CommitBreaker(port)
    try:
        yield breaker
    finally:
        breaker.close()
