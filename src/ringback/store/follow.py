"""Going by the database's clock, where several machines share one."""

import asyncio
import contextlib
from typing import Final

import structlog

from ringback.model.errors import StoreUnavailable
from ringback.runtime import SystemClock
from ringback.store.port import Store

log = structlog.stdlib.get_logger("ringback.store")

INTERVAL_S: Final = 30.0


class ClockFollower:
    """A ``Worker`` that keeps this process's clock with the database's: quartz runs away by seconds a day."""

    name = "clock"

    def __init__(self, store: Store, clock: SystemClock, *, interval_s: float = INTERVAL_S) -> None:
        self._store = store
        self._clock = clock
        self._interval_s = interval_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Correct the clock now and then until stopped."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._stopping.wait()
                    return
            # A database that is away says nothing about the time; the next look will do.
            with contextlib.suppress(StoreUnavailable):
                self._clock.correct(await self._store.clock_ahead_us(self._clock))

    def stop(self) -> None:
        """Follow no more."""
        self._stopping.set()
