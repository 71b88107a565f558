"""Hints between processes over PostgreSQL's LISTEN and NOTIFY.

Two connections of its own: one listens, one tells. A notification says which topic there is something to do for,
and nothing else. Whoever misses one finds the work at its next look, so nothing here is repeated or remembered
beyond the next successful send.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg
import structlog

from ringback.store.deadline import cut, cut_after
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.store")

CHANNEL: Final = "ringback"
TELL_INTERVAL_S: Final = 0.02
"""The least time between two notifications of one topic."""
RECONNECT_PAUSE_S: Final = 1.0
LONGEST_S: Final = 21.0
"""How long an answer is waited for; then nobody is there."""
NOTICED_WITHIN_S: Final = 0.2
"""How long whoever waits on a connection takes at most to find it cut off."""

_TELL: Final = "SELECT pg_notify(%s, topic) FROM unnest(%s::text[]) AS topic"

Connect = Callable[[], Awaitable[psycopg.AsyncConnection]]
"""Opens a connection that commits every statement by itself. Raises ``psycopg.Error`` or ``OSError``."""


class Notifications:
    """A ``Worker`` that passes hints on to other processes, and theirs to ``wakeups``."""

    name = "notify"

    def __init__(
        self,
        connect: Connect,
        wakeups: Wakeups,
        *,
        longest_s: float = LONGEST_S,
        reconnect_pause_s: float = RECONNECT_PAUSE_S,
    ) -> None:
        self._connect = connect
        self._wakeups = wakeups
        self._longest_s = longest_s
        self._reconnect_pause_s = reconnect_pause_s
        self._untold: set[str] = set()
        self._something_to_tell = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Listen and tell until stopped; connects again, after a pause, whenever the connection is lost."""
        self._wakeups.forward_to(self._remember)
        while not self._stopping.is_set():
            try:
                async with await self._connect() as listening, await self._connect() as telling:
                    await self._converse(listening, telling)
            except (psycopg.Error, OSError) as error:
                log.warning(
                    "hints_from_other_processes_interrupted",
                    error=" ".join(str(error).split()),
                    pause_s=self._reconnect_pause_s,
                )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._reconnect_pause_s):
                        await self._stopping.wait()

    def stop(self) -> None:
        """Listen and tell no more."""
        self._stopping.set()

    def _remember(self, topic: str) -> None:
        self._untold.add(topic)
        self._something_to_tell.set()

    async def _converse(self, listening: psycopg.AsyncConnection, telling: psycopg.AsyncConnection) -> None:
        by_connection = {
            listening: asyncio.create_task(self._listen(listening, own_pid=telling.info.backend_pid)),
            telling: asyncio.create_task(self._tell(telling)),
        }
        tasks = [*by_connection.values(), asyncio.create_task(self._stopping.wait())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end_statements(by_connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()

    async def _listen(self, connection: psycopg.AsyncConnection, *, own_pid: int) -> None:
        with cut_after(self._longest_s, connection):
            await connection.execute(f"LISTEN {CHANNEL}")
        # Whatever was told while nobody listened here.
        self._wakeups.signal_all()
        async for notification in connection.notifies():
            if notification.pid != own_pid:
                self._wakeups.signal_here(notification.payload)

    async def _tell(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            if not self._untold:
                await self._something_to_tell.wait()
            self._something_to_tell.clear()
            topics, self._untold = self._untold, set()
            try:
                with cut_after(self._longest_s, connection):
                    await connection.execute(_TELL, (CHANNEL, sorted(topics)))
            except BaseException:
                self._untold |= topics
                raise
            # Many changes in a row make one hint: each one wakes every listening process.
            await asyncio.sleep(TELL_INTERVAL_S)


async def _end_statements(tasks: dict[psycopg.AsyncConnection, asyncio.Task[None]]) -> None:
    """End statements under way: who cancels them waits for the server's word, which a frozen one never gives."""
    busy = {connection: task for connection, task in tasks.items() if _is_busy(connection)}
    for connection in busy:
        cut(connection)
    if busy:
        await asyncio.wait(busy.values(), timeout=NOTICED_WITHIN_S)


def _is_busy(connection: psycopg.AsyncConnection) -> bool:
    return connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE
