"""One question while DuckDB works on it in a thread, and how it is ended from outside."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from threading import Lock
from typing import Final, Generic, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong

_INTERRUPT_AGAIN_S: Final = 0.05
"""DuckDB forgets an interrupt that comes just before a query begins, so it is told again until the thread is back."""
_LOST: Final = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)

T = TypeVar("T")


class Run(Generic[T]):
    """What is to be done with a cursor of its own, once."""

    def __init__(self, database: DuckDBPyConnection, work: Callable[[DuckDBPyConnection], T]) -> None:
        self._database = database
        self._work = work
        self._lock = Lock()
        self._cursor: DuckDBPyConnection | None = None
        self._stopped = False

    async def by(self, pool: Executor, timeout_s: float) -> T:
        """Do it in a thread of the pool; the time counts from now, with the wait for a thread.

        Raises ``QuestionTooLong`` when it is over, ``QuestionRefused`` when DuckDB cannot do what was asked, and
        ``AnalyticsAway`` when the file cannot be read. When this returns or raises, DuckDB is done with it.
        """
        done = asyncio.get_running_loop().run_in_executor(pool, self._run)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(done)
        except TimeoutError as e:
            raise QuestionTooLong(f"The question took longer than the {timeout_s:g} s that it may.") from e
        finally:
            # A task of its own, so that an asker who gives up for the second time leaves nothing behind either.
            await asyncio.shield(asyncio.create_task(self._end(done)))

    async def _end(self, done: "asyncio.Future[T]") -> None:
        while not done.done():
            self._interrupt()
            await asyncio.wait([done], timeout=_INTERRUPT_AGAIN_S)
        if not done.cancelled():
            done.exception()  # it has been told, or nobody is there to be told

    def _interrupt(self) -> None:
        with self._lock:
            self._stopped = True
            if self._cursor is not None:
                self._cursor.interrupt()

    def _run(self) -> T:
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


def _translated(error: duckdb.Error) -> Exception:
    """Say in Ringback's words what the asker can do about DuckDB's error."""
    if isinstance(error, duckdb.InterruptException):
        return QuestionTooLong("The question was ended.")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QuestionTooLong("The question needs more memory than it may take.")
    if isinstance(error, _LOST):
        return AnalyticsAway(f"The analytics file cannot be read: {first_line(error)}")
    return QuestionRefused(str(error))


def first_line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
