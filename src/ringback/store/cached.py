"""A small table that every message needs, kept in memory."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from ringback.store.port import Store, Transaction

T = TypeVar("T")


class Cached(Generic[T]):
    """What ``read`` gives, at most ``ttl_s`` old; while it is read anew, others get what was there before."""

    def __init__(self, store: Store, read: Callable[[Transaction], T], *, ttl_s: float = 2.0) -> None:
        self._store = store
        self._read = read
        self._ttl_us = round(ttl_s * 1_000_000)
        self._known: tuple[T, int] | None = None
        self._reading: asyncio.Task[T] | None = None

    async def get(self, now_us: int) -> T:
        """Return it. Raises ``StoreUnavailable``."""
        if self._known is not None and (self._reading is not None or now_us - self._known[1] < self._ttl_us):
            return self._known[0]
        if self._reading is None:
            self._reading = asyncio.create_task(self._refresh(now_us))
            # If whoever asked has gone away, nobody wants to hear of a failure.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shared by all who ask meanwhile, one of whom may go away.
        return await asyncio.shield(self._reading)

    async def _refresh(self, now_us: int) -> T:
        try:
            found = await self._store.read(self._read)
            self._known = (found, now_us)
            return found
        finally:
            self._reading = None
