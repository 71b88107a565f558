"""The analytics file in the process that owns it: one thread writes, some read, and no question holds the others up.

DuckDB lets one process open a file for writing, and no other even to read it. So whoever is in another process
asks this one (``door.py``). Each question has a cursor of its own, which sees the file as it was when it began, and
a thread of its own while it runs, because DuckDB leaves Python's lock alone meanwhile. A question that takes too long,
or whose asker went away, is interrupted; DuckDB looks for that between chunks of 2,048 rows.

The whole database may touch files in its own directory only, and loads nothing: a question that got past the checks
of ``ask.py`` finds nothing outside it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from ringback.analytics import exports, staging
from ringback.analytics.ask import asked_rows, let_through
from ringback.analytics.definitions import literal
from ringback.analytics.engine import EXPORT_LIMITS, PAGE_LIMITS, Answer, FileIsHeld, Limits, Standing
from ringback.analytics.exports import Kind, as_cells, copying, file_for, first_rows, sent
from ringback.analytics.private import close_to_others, make_directory
from ringback.analytics.running import Askers, first_line
from ringback.analytics.tables import DDL, SHAPE
from ringback.model.errors import AnalyticsAway, QuestionRefused
from ringback.settings_analytics import AnalyticsSettings

FILE: Final = "analytics.duckdb"
_SPILL: Final = "tmp"
_STAGERS: Final = 2
_ASKERS: Final = 4
"""Questions that run at the same time; more than that wait for their turn."""
_SPILLED: Final = "8GiB"
"""The most that is put on disk because it does not fit into memory."""
_CHECKPOINT_AT: Final = "64MiB"
"""What is written is put into its place when there is so much of it: each time costs, and so does a crash before."""
_MADE_ANEW: Final = "run ringback serve, or ringback analytics rebuild, which makes it anew"
_OWN_ASKERS: Final = 2
"""The same for questions of somebody's own, which may take long, and for exports."""
_NOT_YET: Final = Standing(state="rebuilding", events=0, behind=0, as_of_us=0, mark=0)

T = TypeVar("T")


class DuckEngine:
    """Owns the file at ``directory``; an async context manager, to be opened after any fork.

    With ``read_only`` the file must exist, and is only looked at: for a command while no Ringback runs.
    """

    def __init__(self, directory: Path, settings: AnalyticsSettings, *, read_only: bool = False) -> None:
        self._directory = directory
        self._settings = settings
        self._read_only = read_only
        self._standing = _NOT_YET
        self.begun_anew: str | None = None
        """Why the file that was there was of no use: ``another_shape`` or ``damaged``."""
        self._database: DuckDBPyConnection | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="analytics-writer")
        self._stagers = ThreadPoolExecutor(_STAGERS, thread_name_prefix="analytics-stager")
        self._askers = Askers(_ASKERS, "analytics-asker")
        self._own_askers = Askers(_OWN_ASKERS, "analytics-own")

    @property
    def directory(self) -> Path:
        """Where the file is; DuckDB may read and write in it and nowhere else."""
        return self._directory

    async def __aenter__(self) -> Self:
        """Open the file, or make it. Raises ``AnalyticsAway`` if another process has it, and ``DataDirUnusable``."""
        loop = asyncio.get_running_loop()
        try:
            self._database = await loop.run_in_executor(self._writer, self._open)
        except BaseException:
            # Who waits for the file tries often: no thread is left behind.
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; what is being written is finished, and what is being asked is ended."""
        database, self._database = self._database, None
        await self._askers.close()
        await self._own_askers.close()
        await asyncio.to_thread(self._stagers.shutdown)
        if database is not None:
            await asyncio.get_running_loop().run_in_executor(self._writer, database.close)
        self._writer.shutdown()

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """Answer one question of Ringback's own; see ``Engine.ask``."""
        return await self.read(lambda cursor: _answer(cursor, sql, given, limits.rows), timeout_s=limits.timeout_s)

    async def read(self, work: Callable[[DuckDBPyConnection], T], *, timeout_s: float) -> T:
        """Do ``work`` with a cursor of its own in a thread; the time counts from now, with the wait for a thread.

        Raises ``QuestionTooLong`` when it is over, ``QuestionRefused`` when DuckDB cannot do what was asked, and
        ``AnalyticsAway`` when the file is not open.
        """
        return await self._askers.do(self._opened(), work, timeout_s=timeout_s)

    async def own(self, sql: str, *, account_id: str | None, limits: Limits) -> Answer:
        """See ``Engine.own``; what the settings allow is never exceeded."""
        limits = self._allowed(limits)
        if account_id is not None:
            raise QuestionRefused("Only the operator can ask questions in SQL.")
        return await self._own_askers.do(
            self._opened(),
            lambda cursor: _answer(cursor, let_through(cursor, sql).sql, (), limits.rows),
            timeout_s=limits.timeout_s,
            growth_mb=self._settings.memory_mb,
        )

    async def export(
        self, sql: str, given: Sequence[object] = (), *, kind: Kind, limits: Limits = EXPORT_LIMITS
    ) -> AsyncGenerator[bytes, None]:
        """See ``Engine.export``."""
        async for chunk in self._exported(lambda _: first_rows(sql, limits.rows), given, kind, limits):
            yield chunk

    async def export_own(
        self, sql: str, *, account_id: str | None, kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        """See ``Engine.export_own``."""
        limits = self._allowed(limits)
        if account_id is not None:
            raise QuestionRefused("Only the operator can ask questions in SQL.")
        async for chunk in self._exported(
            lambda cursor: asked_rows(let_through(cursor, sql), limits.rows), (), kind, limits
        ):
            yield chunk

    async def _exported(
        self, sql: Callable[[DuckDBPyConnection], str], given: Sequence[object], kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        path = file_for(self._directory, kind)
        try:
            await self._own_askers.do(
                self._opened(),
                lambda cursor: _copy(cursor, sql(cursor), given, path, kind),
                timeout_s=limits.timeout_s,
                growth_mb=self._settings.memory_mb,
            )
            async with contextlib.aclosing(sent(path)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            path.unlink(missing_ok=True)

    def _allowed(self, limits: Limits) -> Limits:
        return Limits(
            timeout_s=min(limits.timeout_s, self._settings.query_timeout_s),
            rows=min(limits.rows, self._settings.query_rows),
        )

    async def write(self, work: Callable[[DuckDBPyConnection], T], *, transaction: bool = True) -> T:
        """Do ``work`` in the one thread that writes, one after the other.

        All of it is in one transaction, which an error rolls back; without ``transaction`` it begins and commits
        what it likes. DuckDB's errors come as they are.
        """
        database = self._opened()
        done = asyncio.get_running_loop().run_in_executor(self._writer, _written, database, work, transaction)
        # It is not left half way: what has been handed to DuckDB is waited for even when the asker goes away.
        return await asyncio.shield(done)

    async def stage(self, work: Callable[[DuckDBPyConnection], T]) -> T:
        """Do ``work`` in a thread beside the one that writes: it may change ``staging``, a database in memory, only."""
        done = asyncio.get_running_loop().run_in_executor(self._stagers, _written, self._opened(), work, False)
        return await asyncio.shield(done)

    def note_standing(self, standing: Standing) -> None:
        """Remember how far the projection is, which is what ``standing`` says from now on."""
        self._standing = standing

    async def standing(self) -> Standing:
        self._opened()
        return self._standing

    def _opened(self) -> DuckDBPyConnection:
        if self._database is None:
            raise AnalyticsAway("The analytics file is not open.")
        return self._database

    def _open(self) -> DuckDBPyConnection:
        path = self._directory / FILE
        if self._read_only:
            return self._connect_to_look(path)
        make_directory(self._directory)
        make_directory(self._directory / _SPILL)
        database, self.begun_anew = self._connect_or_not(path)
        if database is None:
            # Nothing in it is the only copy.
            remove(self._directory)
            database = self._connect(path)
            database.execute(DDL)
        # What an earlier version of Ringback, or a tool, has left for all to read too.
        close_to_others(self._directory)
        # Not before the file is this process's: who has it may be sending just now.
        exports.remove_left(self._directory)
        staging.remove_left(self._directory)
        database.execute("INSERT OR IGNORE INTO meta VALUES ('shape', ?)", [str(SHAPE)])
        database.execute("ATTACH ':memory:' AS staging")
        return database

    def _connect_to_look(self, path: Path) -> DuckDBPyConnection:
        """Open the file as it is. Raises ``AnalyticsAway`` also if it is of no use."""
        try:
            database = self._connect(path)
        except AnalyticsAway as error:
            if is_damage(error):
                raise AnalyticsAway(f"the analytics file is damaged ({error.__cause__}): {_MADE_ANEW}") from error
            raise
        if _shape(database) == str(SHAPE):
            return database
        database.close()
        raise AnalyticsAway(f"another version of Ringback has written the analytics file: {_MADE_ANEW}")

    def _connect_or_not(self, path: Path) -> tuple[DuckDBPyConnection | None, str | None]:
        """Open the file; or say why what is there is of no use."""
        try:
            database = self._connect(path)
            if _shape(database) in {None, str(SHAPE)}:
                database.execute(DDL)
                return database, None
        except (AnalyticsAway, duckdb.Error) as error:
            if not is_damage(error):
                raise
            return None, "damaged"
        database.close()
        return None, "another_shape"

    def _connect(self, path: Path) -> DuckDBPyConnection:
        settings = self._settings
        try:
            database = duckdb.connect(
                path,
                read_only=self._read_only,
                config={
                    "threads": settings.threads,
                    "memory_limit": f"{settings.memory_mb}MiB",
                    "max_temp_directory_size": _SPILLED,
                    "temp_directory": str(self._directory / _SPILL),
                    "checkpoint_threshold": _CHECKPOINT_AT,
                    "autoload_known_extensions": "false",
                    "autoinstall_known_extensions": "false",
                    "allow_community_extensions": "false",
                    "python_enable_replacements": "false",
                },
            )
            _shut_in(database, self._directory)
        except (duckdb.IOException, duckdb.ConnectionException, duckdb.InvalidInputException) as e:
            # Another process's lock; or the locked settings of whoever has the file in this one.
            kind = FileIsHeld if "lock" in str(e) else AnalyticsAway
            raise kind(f"The analytics file cannot be opened: {first_line(e)}") from e
        return database


_DAMAGE: Final = (
    "not a valid DuckDB database", "enough bytes", "Corrupt database", "checksum", "deserialize", "version number",
)  # fmt: skip
"""What DuckDB says of a file that is cut off, overwritten, or of another storage version."""


def is_damage(error: Exception) -> bool:
    """Say whether a file that gave this error is of no use any more."""
    return any(words in str(error) for words in _DAMAGE)


def remove(directory: Path) -> None:
    """Delete the file, which nobody may have open; it is made again from the log."""
    for name in (FILE, f"{FILE}.wal"):
        (directory / name).unlink(missing_ok=True)


def _shut_in(database: DuckDBPyConnection, directory: Path) -> None:
    """Let the database touch files in the directory only, for all cursors and until it is closed."""
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    database.execute(f"SET allowed_directories = [{literal(f'{directory.resolve()}/')}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def _shape(database: DuckDBPyConnection) -> str | None:
    """Return the number of the tables' shape, or None of a new file."""
    if not database.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'meta'").fetchall():
        return None
    rows = database.execute("SELECT value FROM meta WHERE name = 'shape'").fetchall()
    return str(rows[0][0]) if rows else "none"


def _written(database: DuckDBPyConnection, work: Callable[[DuckDBPyConnection], T], transaction: bool) -> T:  # noqa: FBT001 - by run_in_executor, which takes no keywords
    with database.cursor() as cursor:
        if not transaction:
            return work(cursor)
        cursor.begin()
        try:
            result = work(cursor)
        except BaseException:
            cursor.rollback()
            raise
        cursor.commit()
        return result


def _copy(cursor: DuckDBPyConnection, sql: str, given: Sequence[object], path: Path, kind: Kind) -> None:
    if kind == "csv":
        described = cursor.execute(first_rows(sql, 0), list(given)).description or []
        sql = as_cells(sql, [(column[0], str(column[1])) for column in described])
    cursor.execute(copying(sql, path, kind), list(given)).fetchall()


def _answer(cursor: DuckDBPyConnection, sql: str, given: Sequence[object], rows: int) -> Answer:
    began = time.perf_counter()
    cursor.execute(sql, list(given))
    described = cursor.description or []
    found = cursor.fetchmany(rows + 1)
    return Answer(
        columns=[column[0] for column in described],
        types=[str(column[1]) for column in described],
        rows=found[:rows],
        cut=len(found) > rows,
        took_ms=(time.perf_counter() - began) * 1000,
    )
