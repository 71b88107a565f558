"""How many connections a server has open, and which of them end when there are too many.

Whoever opens connections and sends nothing, or a little at a time, costs a descriptor and some memory each. So a
connection is closed on which a request does not go on; and when there are as many as there may be, a new one pushes out
the one that has kept the server waiting for longest. Requests that are being answered are never pushed out.
"""

import asyncio
import resource
from typing import Final, Protocol

SWEEP_S: Final = 1.0
RESERVED: Final = 1_600
"""Descriptors that are not for connections coming in: callbacks out, databases, files."""


class Connection(Protocol):
    """What can be told to end."""

    def give_up(self) -> bool:
        """End, as the request does not come; returns whether it does."""
        ...

    def make_room(self) -> None:
        """End, as there are too many."""
        ...


class Connections:
    """All connections of a server, by what they wait for."""

    def __init__(self, *, most: int, patience_s: float) -> None:
        self._most = most
        self._patience_s = patience_s
        self._open = 0
        # Both in the order in which they began to wait.
        self._waiting: dict[Connection, float] = {}
        self._idle: dict[Connection, None] = {}
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open

    def opened(self, connection: Connection) -> None:
        """Take in a new one; where there is no room, another one goes."""
        self._open += 1
        self.waits(connection)
        if self._open > self._most:
            # The new one itself, if all the others are being answered.
            next(iter(self._idle if len(self._waiting) == 1 and self._idle else self._waiting)).make_room()

    def waits(self, connection: Connection) -> None:
        """Note that a request has begun to come, or has gone on."""
        loop = asyncio.get_running_loop()
        self._idle.pop(connection, None)
        self._waiting.pop(connection, None)
        self._waiting[connection] = loop.time()
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_S, self._look)

    def begins(self, connection: Connection) -> None:
        """Note that the head of a request is not whole yet: it is waited for since its first byte."""
        if connection not in self._waiting:
            self.waits(connection)

    def answers(self, connection: Connection) -> None:
        """Note that a request is there."""
        self._waiting.pop(connection, None)
        self._idle.pop(connection, None)

    def rests(self, connection: Connection) -> None:
        """Note that a request is answered, and the next one may come."""
        if connection not in self._waiting:
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Forget one."""
        self._open -= 1
        self.answers(connection)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for connection, since in list(self._waiting.items()):
            if loop.time() - since < self._patience_s:
                break
            if not connection.give_up():
                self.waits(connection)
        self._sweep = loop.call_later(SWEEP_S, self._look) if self._waiting else None


def room_for(wanted: int) -> int:
    """Let this process have as many descriptors as it may, and return how many connections there can be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(hard - RESERVED, hard // 4, 1))
