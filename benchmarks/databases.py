"""Databases to measure on: a file, or a PostgreSQL that is started here."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from ringback.store import postgres, sqlite
from ringback.store.port import Store, Transaction
from tests.fakes.postgres import postgres_server

T = TypeVar("T")
BUSY_TIMEOUT_S: Final = 10.0


class Database(msgspec.Struct, frozen=True):
    """A database of one run."""

    environment: dict[str, str]
    """Settings with which Ringback uses it."""
    open: Callable[[], Store]

    def use(self, work: Callable[[Transaction], T]) -> T:
        """Run one transaction, as Ringback does."""

        async def write() -> T:
            store = self.open()
            try:
                return await store.write(work)
            finally:
                await store.close()

        return asyncio.run(write())

    def rows(self, statement: str, **values: object) -> list[Any]:
        """Run a query."""
        return self.use(lambda tx: list(tx.execute(sa.text(statement), values).all()))

    def ask(self, statement: str) -> Any:
        """Run a query of one value."""
        return self.use(lambda tx: tx.execute(sa.text(statement)).scalar_one())


@contextmanager
def sqlite_database(place: Path) -> Iterator[Database]:
    """Make a file in the directory of the run."""
    data = place / "data"
    yield Database(
        {"RINGBACK_STORE__DATA_DIR": str(data)}, lambda: sqlite.open_store(data, busy_timeout_s=BUSY_TIMEOUT_S)
    )


@contextmanager
def postgres_database(place: Path) -> Iterator[Database]:
    """Start a PostgreSQL with settings of the tests, and make a database in it."""
    with postgres_server() as server:
        url = server.url(server.create_database())
        yield Database(
            {"RINGBACK_STORE__URL": url, "RINGBACK_STORE__DATA_DIR": str(place / "data")},
            lambda: postgres.open_store(url, busy_timeout_s=BUSY_TIMEOUT_S),
        )


DATABASES: Final = {"sqlite": sqlite_database, "postgres": postgres_database}
