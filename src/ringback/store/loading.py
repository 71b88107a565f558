"""Very many rows at once, for history that is made or brought in, not for traffic.

A new SQLite file is filled beside the place where it will be, without waiting for the disk and without indexes, which
are made at the end in one sweep each. It is moved into place when all of it is on disk: whoever is killed meanwhile
leaves no half of a database. Any other database is written to as always.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import psycopg
import sqlalchemy as sa

from ringback.store import sqlite
from ringback.store.port import Transaction
from ringback.store.schema import conversions, events, messages

BUILDING: Final = ".building"
"""Directory, in the data directory, of a file that is not complete."""
FILLED: Final = (messages, events, conversions)
"""Tables whose indexes are made at the end."""
CACHE_KIB: Final = 131_072


def append(tx: Transaction, table: sa.Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows as fast as the database takes them."""
    if not rows:
        return
    names = ", ".join(columns)
    if tx.dialect.name == "postgresql":
        driver = cast("psycopg.Connection", tx.connection.dbapi_connection)
        with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    tx.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))  # noqa: S608 - own names


def has_any(tx: Transaction) -> bool:
    """Say whether there is a message."""
    return tx.execute(sa.select(messages.c.uuid).limit(1)).first() is not None


class NewFile:
    """A SQLite database that is being made; :func:`new_file` gives it."""

    def __init__(self, connection: Transaction) -> None:
        self.connection = connection

    def index(self) -> Iterator[str]:
        """Make the indexes, each as the next is asked for; gives the name of each before it is made."""
        for table in FILLED:
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                yield str(index.name)
                index.create(self.connection)


@contextlib.contextmanager
def new_file(data_dir: Path) -> Iterator[NewFile]:
    """Make a database in a data directory that has none, and put it into place when the block ends well.

    Raises ``DataDirUnusable``, ``DatabaseUnusable``.
    """
    place = data_dir / BUILDING
    sqlite.prepare(data_dir)
    shutil.rmtree(place, ignore_errors=True)
    made = sqlite.make_file(place, busy_timeout_s=0)
    engine = sa.create_engine(f"sqlite:///{made}", poolclass=sa.pool.StaticPool)
    try:
        with engine.connect() as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "temp_store = FILE"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.exec_driver_sql(f"PRAGMA cache_size = -{CACHE_KIB}")
            for table in FILLED:
                for index in table.indexes:
                    index.drop(connection)
            yield NewFile(connection)
            connection.commit()
        engine.dispose()
        _to_disk(made)
        made.rename(data_dir / sqlite.FILE_NAME)
        _to_disk(data_dir)
    finally:
        engine.dispose()
        shutil.rmtree(place, ignore_errors=True)


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
