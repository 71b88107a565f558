"""Questions while DuckDB works on them in threads, and how they are ended from outside."""

import asyncio
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final, Generic, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong

_INTERRUPT_AGAIN_S: Final = 0.05
"""DuckDB forgets an interrupt that comes just before a query begins, so it is told again until the thread is back."""
_LOOK_AGAIN_S: Final = 0.05
NO_MEMORY: Final = "The question needs more memory than it may take."
_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")
_LOST: Final = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)

T = TypeVar("T")


class Askers:
    """Threads that answer questions, so many at a time; more wait for their turn."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._live: dict[asyncio.Future[Any], _Run[Any]] = {}

    async def do(
        self,
        database: DuckDBPyConnection,
        work: Callable[[DuckDBPyConnection], T],
        *,
        timeout_s: float,
        growth_mb: float = math.inf,
    ) -> T:
        """Do ``work`` with a cursor of its own; the time counts from now, with the wait for a thread.

        The process may grow by ``growth_mb`` meanwhile: DuckDB does not count single large values.

        Raises ``QuestionTooLong`` when it is over, ``QuestionRefused`` when DuckDB cannot do what was asked, and
        ``AnalyticsAway`` when the file cannot be read. When this returns or raises, DuckDB is done with it, but for an
        asker who gives up twice: then it is about to be.
        """
        run = _Run(database, work)
        done = asyncio.get_running_loop().run_in_executor(self._pool, run)
        self._live[done] = run
        done.add_done_callback(self._over)
        try:
            async with asyncio.timeout(timeout_s):
                await _watched(done, growth_mb)
                return await asyncio.shield(done)
        except TimeoutError as e:
            raise QuestionTooLong(f"The question took longer than the {timeout_s:g} s that it may.") from e
        finally:
            run.stop()
            await self._ended(done)

    async def close(self) -> None:
        """End what runs, and the threads."""
        for done, run in list(self._live.items()):
            run.stop()
            await self._ended(done)
        self._pool.shutdown()

    async def _ended(self, done: "asyncio.Future[Any]") -> None:
        while not done.done():
            await asyncio.wait([done], timeout=_INTERRUPT_AGAIN_S)
            if run := self._live.get(done):
                run.stop()

    def _over(self, done: "asyncio.Future[Any]") -> None:
        del self._live[done]
        if not done.cancelled():
            done.exception()  # it is told to the asker, or nobody is there to be told


class _Run(Generic[T]):
    """What is to be done with a cursor of its own, once, in a thread."""

    def __init__(self, database: DuckDBPyConnection, work: Callable[[DuckDBPyConnection], T]) -> None:
        self._database = database
        self._work = work
        self._lock = Lock()
        self._cursor: DuckDBPyConnection | None = None
        self._stopped = False

    def stop(self) -> None:
        """End it, or have it never begin; may be called again and from another thread."""
        with self._lock:
            self._stopped = True
            if self._cursor is not None:
                self._cursor.interrupt()

    def __call__(self) -> T:
        """Do it, in a thread that may wait."""
        try:
            with self._database.cursor() as cursor:
                with self._lock:
                    if self._stopped:
                        raise QuestionTooLong("The question was ended before it began.")
                    self._cursor = cursor
                try:
                    return self._work(cursor)
                finally:
                    with self._lock:
                        self._cursor = None
        except duckdb.Error as e:
            raise _translated(e) from e


async def _watched(done: "asyncio.Future[Any]", growth_mb: float) -> None:
    """Wait until it is done, unless the process grows too large meanwhile."""
    most_mb = resident_mb() + growth_mb
    while growth_mb < math.inf and not done.done():
        await asyncio.wait([done], timeout=_LOOK_AGAIN_S)
        if resident_mb() > most_mb:
            raise QuestionTooLong(NO_MEMORY)


def resident_mb() -> float:
    """Return the memory that this process has, in megabytes."""
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES / 1e6


def _translated(error: duckdb.Error) -> Exception:
    """Say in Ringback's words what the asker can do about DuckDB's error."""
    if isinstance(error, duckdb.InterruptException):
        return QuestionTooLong("The question was ended.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QuestionTooLong(NO_MEMORY)
    if isinstance(error, _LOST):
        return AnalyticsAway(f"The analytics file cannot be read: {first_line(error)}")
    return QuestionRefused(str(error))


def first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
