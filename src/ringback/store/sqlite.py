"""The embedded driver: one SQLite file, write-ahead log, every commit synced to disk.

One thread owns the writing connection, so writers queue in order instead of colliding; a few threads own
reading connections, which WAL lets proceed beside it. Other processes may use the same file: a write then
waits for theirs, up to the busy timeout.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from ringback.model.errors import DatabaseUnusable, DataDirUnusable, StoreUnavailable
from ringback.store.port import Transaction

T = TypeVar("T")

FILE_NAME: Final = "ringback.db"
READERS: Final = 3


class SqliteStore:
    """A ``Store`` in one file. Made by :func:`open_store`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """See ``Store.write``."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._transact, work, "IMMEDIATE")

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """See ``Store.read``."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._transact, work, "DEFERRED")

    def _transact(self, work: Callable[[Transaction], T], kind: str) -> T:
        with _named_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA query_only = {int(kind == 'DEFERRED')}")
            connection.exec_driver_sql(f"BEGIN {kind}")
            try:
                result = work(connection)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with contextlib.suppress(sa.exc.DBAPIError):
                    connection.exec_driver_sql("ROLLBACK")
                raise
            return result

    async def close(self) -> None:
        """See ``Store.close``."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()


def open_store(data_dir: Path, *, busy_timeout_s: float) -> SqliteStore:
    """Open the database in ``data_dir``, creating or upgrading it.

    Raises ``DataDirUnusable`` or ``DatabaseUnusable`` with one line that says what to do.
    """
    _prepare(data_dir)
    path = data_dir / FILE_NAME
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=sa.pool.QueuePool,
        # Errors quote statements; what was bound to them is message text and tokens.
        hide_parameters=True,
        pool_size=READERS + 1,
        max_overflow=0,
        connect_args={
            "timeout": busy_timeout_s,
            "check_same_thread": False,
            "cached_statements": 512,
            "isolation_level": None,
        },
    )
    sa.event.listen(engine, "connect", _configure)
    try:
        _upgrade(engine)
    except (sa.exc.DBAPIError, CommandError) as error:
        engine.dispose()
        raise DatabaseUnusable(_explain(path, error)) from error
    path.chmod(0o600)
    return SqliteStore(engine)


def _prepare(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data_dir / ".write-test"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataDirUnusable(
            f"data directory {data_dir} cannot be written ({error.strerror}): "
            "give it to this user, or choose another with --data-dir"
        ) from error


def _configure(connection: sqlite3.Connection, _: Any) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -32768",
        "wal_autocheckpoint = 4000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.connect() as connection:
        # Taken before looking, so that two processes starting together do not both upgrade; and a database
        # that cannot be written fails here, not at the first message.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.exec_driver_sql("ROLLBACK")
            raise


def _explain(path: Path, error: Exception) -> str:
    text = str(getattr(error, "orig", error)).lower()
    if "can't locate revision" in text:
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
