"""Hints that there is something to do; whoever misses one finds the work at its next look.

Durable work is found by asking the database. A hint only saves the wait until the next look: losing all of
them delays work by at most the poll interval and loses none.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence


class Wakeups:
    """In-process hints by topic."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def signal(self, topic: str) -> None:
        """Wake everybody who listens to ``topic``."""
        for event in self._waiting[topic]:
            event.set()

    def signal_all(self) -> None:
        """Wake everybody: something has changed, and nobody knows what."""
        for topic in list(self._waiting):
            self.signal(topic)

    def listen(self, *topics: str) -> "Listener":
        """Begin to hear signals of any of ``topics``; one that comes between two waits is not missed."""
        event = asyncio.Event()
        heard = [self._waiting[topic] for topic in topics]
        for waiting in heard:
            waiting.add(event)
        return Listener(event, heard)


class Listener:
    """One listener's memory of whether it was signalled since it last waited."""

    def __init__(self, event: asyncio.Event, heard: Sequence[set[asyncio.Event]]) -> None:
        self._event = event
        self._heard = heard

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a signal, at most ``timeout_s``. Returns whether one came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(timeout_s, 0)):
                await self._event.wait()
        signalled = self._event.is_set()
        self._event.clear()
        return signalled

    def wake(self) -> None:
        """Wake this listener only."""
        self._event.set()

    def close(self) -> None:
        """Hear no more."""
        for waiting in self._heard:
            waiting.discard(self._event)
