"""A store that counts and times the transactions of another one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Select

from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.runtime import Clock, Worker
from ringback.store.port import Store, Transaction
from ringback.store.rows import RowStream, TextAnswer
from ringback.store.wakeups import Wakeups

T = TypeVar("T")


class MeasuredStore:
    """A ``Store`` before another one."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._transactions = metrics.transactions
        self._seconds = metrics.transaction_seconds

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """See ``Store.write``."""
        return await self._measured("write", self._store.write(work, durable=durable))

    def background_batch(self) -> int:
        """See ``Store.background_batch``."""
        return self._store.background_batch()

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See ``Store.read``."""
        return await self._measured("read", self._store.read(work))

    async def _measured(self, kind: str, transaction: Awaitable[T]) -> T:
        started_s = time.perf_counter()
        result = "rolled_back"
        try:
            value = await transaction
            result = "ok"
        except StoreUnavailable:
            result = "unavailable"
            raise
        except asyncio.CancelledError:
            # Whoever waited does no more; the thread goes on to the end.
            result = "abandoned"
            raise
        finally:
            self._seconds[kind].observe(time.perf_counter() - started_s)
            self._transactions.add(kind, result)
        return value

    async def clock_ahead_us(self, clock: Clock) -> int:
        """See ``Store.clock_ahead_us``."""
        return await self._store.clock_ahead_us(clock)

    def watch(self, wakeups: Wakeups) -> Worker:
        """See ``Store.watch``."""
        return self._store.watch(wakeups)

    def stream(self, query: Select[Any]) -> AbstractContextManager[RowStream]:
        """See ``Store.stream``."""
        return self._store.stream(query)

    def text(self, query: Select[Any]) -> TextAnswer:
        """See ``Store.text``."""
        return self._store.text(query)

    async def close(self) -> None:
        """See ``Store.close``."""
        await self._store.close()
