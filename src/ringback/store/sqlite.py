"""The embedded driver: one SQLite file, write-ahead log, every commit synced to disk.

One thread owns the writing connection, so writers queue in order instead of colliding; a few threads own
reading connections, which WAL lets proceed beside it. Other processes may use the same file: Ringback's take
turns (``store.turn``), and a write waits for anybody else's up to the busy timeout.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from alembic.util import CommandError

from ringback.model.errors import DatabaseUnusable, DataDirUnusable, StoreUnavailable
from ringback.runtime import Clock
from ringback.store import rows
from ringback.store.port import LARGE_BATCH, POLITE_BATCH, Transaction
from ringback.store.rows import RowStream, TextAnswer
from ringback.store.turn import Turn
from ringback.store.upgrade import is_newer, upgrade
from ringback.store.wakeups import Wakeups

T = TypeVar("T")

FILE_NAME: Final = "ringback.db"
TURN_FILE: Final = "ringback.turn"
READERS: Final = 3
STREAMS: Final = 3
WATCH_INTERVAL_S: Final = 0.02
SELDOM_LOOKS: Final = 10


class SqliteStore:
    """A ``Store`` in one file. Made by :func:`open_store`."""

    def __init__(self, path: Path, *, busy_timeout_s: float, shares_process: bool = True) -> None:
        self._path = path
        self._shares_process = shares_process
        self._writing = _engine(path, busy_timeout_s=busy_timeout_s, connections=1)
        self._reading = _engine(path, busy_timeout_s=busy_timeout_s, connections=READERS, query_only=True)
        self._streaming = _engine(path, busy_timeout_s=busy_timeout_s, connections=STREAMS, query_only=True)
        self._turn = Turn(path.with_name(TURN_FILE), timeout_s=busy_timeout_s, is_urgent=shares_process)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """See ``Store.write``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, partial(self._write, work, durable=durable))

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See ``Store.read``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, _transact, self._reading, "BEGIN", work)

    def background_batch(self) -> int:
        """See ``Store.background_batch``."""
        return POLITE_BATCH if self._shares_process or self._turn.is_wanted else LARGE_BATCH

    async def clock_ahead_us(self, clock: Clock) -> int:
        """See ``Store.clock_ahead_us``: whoever has the file is on the same machine."""
        del clock
        return 0

    def _write(self, work: Callable[[Transaction], T], *, durable: bool) -> T:
        with self._turn:
            return _transact(self._writing, "BEGIN IMMEDIATE", work, synchronous="FULL" if durable else "NORMAL")

    def watch(self, wakeups: Wakeups) -> "ChangeWatch":
        """See ``Store.watch``."""
        return ChangeWatch(self._path, wakeups)

    @contextlib.contextmanager
    def stream(self, query: sa.Select[Any]) -> Iterator[RowStream]:
        """See ``Store.stream``."""
        with (
            _named_errors(),
            self._streaming.connect() as connection,
            rows.stream(connection, query, sqlite3.Error) as answer,
        ):
            yield answer

    def text(self, query: sa.Select[Any]) -> TextAnswer:
        """See ``Store.text``."""
        with _named_errors(), self._streaming.connect() as connection:
            return rows.as_text(connection, query)

    async def close(self) -> None:
        """See ``Store.close``."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._writing.dispose()
        self._reading.dispose()
        self._streaming.dispose()
        self._turn.close()


def _transact(engine: sa.Engine, begin: str, work: Callable[[Transaction], T], *, synchronous: str | None = None) -> T:
    with _named_errors(), engine.connect() as connection:
        if synchronous and connection.info.get("synchronous") != synchronous:
            connection.exec_driver_sql(f"PRAGMA synchronous = {synchronous}")
            connection.info["synchronous"] = synchronous
        with rows.in_transaction(connection, begin):
            return work(connection)


class ChangeWatch:
    """Asks the database every 20 ms whether anybody has committed since: SQLite tells nobody by itself.

    While somebody commits all the time, who has seldom anything to do is woken at each tenth look only.
    """

    name = "watch"

    def __init__(self, path: Path, wakeups: Wakeups) -> None:
        self._path = path
        self._wakeups = wakeups
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Signal all topics after each change, until stopped."""
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            known = told_all = looks = 0
            while not self._stopping.is_set():
                # A look into shared memory: nothing that an event loop would have to fear.
                (version,) = connection.execute("PRAGMA data_version").fetchone()
                if looks % SELDOM_LOOKS == 0 and version != told_all:
                    self._wakeups.signal_all()
                    told_all = version
                elif version != known:
                    self._wakeups.signal_all(seldom=False)
                known = version
                looks += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_INTERVAL_S):
                        await self._stopping.wait()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()


def open_store(data_dir: Path, *, busy_timeout_s: float, shares_process: bool = True) -> SqliteStore:
    """Open the database in ``data_dir``, creating or upgrading it.

    ``shares_process`` says that requests are answered in this process too, and wait for its background writes.
    Raises ``DataDirUnusable`` or ``DatabaseUnusable`` with one line that says what to do.
    """
    path = make_file(data_dir, busy_timeout_s=busy_timeout_s)
    return SqliteStore(path, busy_timeout_s=busy_timeout_s, shares_process=shares_process)


def make_file(data_dir: Path, *, busy_timeout_s: float) -> Path:
    """Let there be a database in ``data_dir`` with the tables of today; returns its file. Raises as ``open_store``."""
    prepare(data_dir)
    path = data_dir / FILE_NAME
    engine = _engine(path, busy_timeout_s=busy_timeout_s, connections=1)
    turn = Turn(data_dir / TURN_FILE, timeout_s=busy_timeout_s)
    try:
        # From the first connection to the end of the last: a process that switches a new file to write-ahead
        # logging, and one that closes it, hold the file without anybody else waiting for it.
        with turn:
            try:
                _upgrade(engine)
            finally:
                engine.dispose()
    except (sa.exc.DBAPIError, CommandError) as error:
        raise DatabaseUnusable(_explain(path, error)) from error
    finally:
        turn.close()
    path.chmod(0o600)
    return path


def _engine(path: Path, *, busy_timeout_s: float, connections: int, query_only: bool = False) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.pool.QueuePool,
        # Errors quote statements; what was bound to them is message text and tokens.
        hide_parameters=True,
        pool_size=connections,
        max_overflow=0,
        # Every transaction ends by name; the pool has nothing to roll back.
        pool_reset_on_return=None,
        connect_args={
            "timeout": busy_timeout_s,
            "check_same_thread": False,
            "cached_statements": 512,
            "isolation_level": None,
        },
    )
    sa.event.listen(engine, "connect", partial(_configure, query_only=query_only))
    return engine


def prepare(data_dir: Path) -> None:
    """Let there be a data directory that can be written, for nobody else to read. Raises ``DataDirUnusable``."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data_dir / f".write-test-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataDirUnusable(
            f"data directory {data_dir} cannot be written ({error.strerror}): "
            "give it to this user, or choose another with --data-dir"
        ) from error


def _configure(connection: sqlite3.Connection, _: Any, *, query_only: bool) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -32768",
        "wal_autocheckpoint = 4000",
        f"query_only = {int(query_only)}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _upgrade(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        # Taken before looking, so that two processes starting together do not both upgrade; and a database
        # that cannot be written fails here, not at the first message.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            upgrade(connection)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            raise


def _explain(path: Path, error: Exception) -> str:
    text = str(getattr(error, "orig", error)).lower()
    if is_newer(error):
        return f"{path} was written by a newer Ringback: upgrade this one, or choose another --data-dir"
    if "readonly" in text or "unable to open" in text:
        return f"{path} cannot be written: check its owner and mode, and those of its directory"
    if "locked" in text:
        return f"{path} is held by another process that does not let go: stop it, then start again"
    if "not a database" in text or "malformed" in text or "encrypted" in text:
        return f"{path} is not a sound SQLite database: restore a backup, or move the file away to start empty"
    return f"{path} cannot be opened: {text}"


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    """Turn the driver's failures of circumstance into ``StoreUnavailable``; programming errors stay as they are."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise StoreUnavailable(f"the database did not take the transaction: {error.orig}") from error
    except sa.exc.DatabaseError as error:
        if type(error) is sa.exc.DatabaseError:
            raise StoreUnavailable(f"the database is damaged: {error.orig}") from error
        raise
