"""Hints that there is something to do; whoever misses one finds the work at its next look.

Durable work is found by asking the database. A hint only saves the wait until the next look: losing all of
them delays work by at most the poll interval and loses none.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

SELDOM: Final = frozenset(
    {
        "conversions", "inbound_parts", "inbound_requests", "media", "overdue", "replays", "routing", "smpp_parts",
    }
)  # fmt: skip
"""Topics of work that comes now and then, and of whose listeners each looks into the database when it is woken."""


class Wakeups:
    """Hints by topic: in this process, and to others when somebody passes them on."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._pass_on: Callable[[str], None] | None = None

    def forward_to(self, pass_on: Callable[[str], None]) -> None:
        """Call ``pass_on`` with the topic of every :meth:`signal` from now on; it must not raise."""
        self._pass_on = pass_on

    def signal(self, topic: str) -> None:
        """Wake everybody who listens to ``topic``, here and wherever hints are passed on to."""
        self.signal_here(topic)
        if self._pass_on is not None:
            self._pass_on(topic)

    def signal_here(self, topic: str) -> None:
        """Wake those in this process who listen to ``topic``: what came from others is not sent back."""
        for event in self._waiting.get(topic, ()):
            event.set()

    def signal_all(self, *, seldom: bool = True) -> None:
        """Wake everybody in this process, or all but those of ``SELDOM``: something has changed, nobody knows what."""
        for topic in list(self._waiting):
            if seldom or topic not in SELDOM:
                self.signal_here(topic)

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
