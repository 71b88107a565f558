"""The revisions make what ``store.schema`` says, once, whoever comes first."""

import asyncio
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ringback.model.errors import DatabaseUnusable
from ringback.store import messages
from ringback.store.schema import metadata
from tests.conformance.conftest import Database


def differences(url: str) -> list[object]:
    """What Alembic would change to make the database what the schema says."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            options = {"compare_type": True, "target_metadata": metadata}
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
    finally:
        engine.dispose()


def execute(url: str, statement: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


async def test_revisions_make_what_the_schema_says_and_twice_is_harmless(database: Database) -> None:
    for _ in range(2):
        store = database.open()
        assert await store.read(messages.last_offset) == 0
        await store.close()
        assert differences(database.url) == []


async def test_two_processes_that_start_together(database: Database) -> None:
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", database.command) for _ in range(2)]
    async with asyncio.timeout(120):
        assert [await process.wait() for process in processes] == [0, 0]
    assert differences(database.url) == []


async def test_a_database_of_a_newer_ringback_is_left_alone(prepared: Database) -> None:
    await prepared.open().close()
    execute(prepared.url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseUnusable, match="was written by a newer Ringback: upgrade this one"):
        prepared.open()


async def test_a_revision_that_fails_leaves_nothing(database: Database) -> None:
    execute(database.url, "CREATE TABLE submissions (id INTEGER)")
    with pytest.raises(DatabaseUnusable):
        database.open()
    engine = sa.create_engine(database.url)
    assert sa.inspect(engine).get_table_names() == ["submissions"]
    engine.dispose()
