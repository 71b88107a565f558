"""Every test that asks for ``store`` or ``database`` runs on every driver."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from ringback.store import (
    postgres,
    schema_accounts,  # noqa: F401 - its tables belong to the metadata
    schema_alerts,  # noqa: F401
    schema_bins,  # noqa: F401
    schema_carriers,  # noqa: F401
    schema_limits,  # noqa: F401
    schema_media,  # noqa: F401
    schema_numbers,  # noqa: F401
    schema_parts,  # noqa: F401
    schema_received,  # noqa: F401
    schema_saved_queries,  # noqa: F401
    schema_smpp,  # noqa: F401
    schema_upstream,  # noqa: F401
    sqlite,
)
from ringback.store.port import Store
from ringback.store.schema import metadata
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Engine
from tests.fakes.postgres import PostgresServer, postgres_server

DRIVERS = ("sqlite", "postgres")


class Database(msgspec.Struct, frozen=True):
    """A database of a test's own."""

    driver: str
    open: Callable[[], Store]
    """Opens it with a busy timeout of 30 seconds, creating or upgrading its tables."""
    url: str
    """For SQLAlchemy."""
    command: str
    """Python that opens it, for another process."""


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; a test that stops it starts it again."""
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def template(server: PostgresServer) -> str:
    """The name of a database with all tables, empty."""
    name = server.create_database()
    asyncio.run(postgres.open_store(server.url(name), busy_timeout_s=30).close())
    return name


@pytest.fixture(params=DRIVERS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database without any table."""
    if request.param == "sqlite":
        return _sqlite_database(tmp_path)
    server: PostgresServer = request.getfixturevalue("server")
    return _postgres_database(server.url(server.create_database()))


@pytest.fixture(params=DRIVERS)
def prepared(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database that has its tables already, where that saves time."""
    if request.param == "sqlite":
        return _sqlite_database(tmp_path)
    server: PostgresServer = request.getfixturevalue("server")
    return _postgres_database(server.url(server.create_database(template=request.getfixturevalue("template"))))


@pytest.fixture(params=DRIVERS)
def emptied(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """A database that other tests have used, without their rows: a server takes long to make a new one."""
    if request.param == "sqlite":
        return _sqlite_database(tmp_path)
    server: PostgresServer = request.getfixturevalue("server")
    name: str = request.getfixturevalue("shared")
    server.execute("; ".join(f"DELETE FROM {table.name}" for table in metadata.tables.values()), database=name)  # noqa: S608 - own names
    return _postgres_database(server.url(name))


@pytest.fixture(scope="session")
def shared(server: PostgresServer, template: str) -> str:
    """The name of a database for tests that change nothing but rows."""
    return server.create_database(template=template)


@pytest.fixture
async def store(emptied: Database) -> AsyncIterator[Store]:
    """An open store without any row."""
    opened = emptied.open()
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that a test moves."""
    return FakeClock()


@pytest.fixture
def engine(store: Store, clock: FakeClock) -> Engine:
    """The callback engine, whose endpoints take whatever there is."""
    return Engine(store, clock, window=500)


def _sqlite_database(directory: Path) -> Database:
    return Database(
        driver="sqlite",
        open=lambda: sqlite.open_store(directory, busy_timeout_s=30),
        url=f"sqlite:///{directory / sqlite.FILE_NAME}",
        command=f"from pathlib import Path; from ringback.store.sqlite import open_store; "
        f"open_store(Path({str(directory)!r}), busy_timeout_s=30)",
    )


def _postgres_database(url: str) -> Database:
    return Database(
        driver="postgres",
        open=lambda: postgres.open_store(url, busy_timeout_s=30),
        url=url.replace("postgresql:", "postgresql+psycopg:"),
        command=f"from ringback.store.postgres import open_store; open_store({url!r}, busy_timeout_s=30)",
    )
