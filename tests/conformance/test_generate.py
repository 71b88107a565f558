"""``ringback generate``: what it leaves in a database of either kind."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.store import loading, rollups, sqlite
from tests.conformance.conftest import Database
from tests.fakes.process import run

HISTORY = ("--messages", "1500", "--days", "2", "--seed", "3", "--until", "2026-01-31T12:34:56")


def generate(database: Database, directory: Path, *flags: str) -> Any:
    """Run the command; gives what it printed as JSON, or the line on standard error."""
    given = {"RINGBACK_STORE__DATA_DIR": str(directory)}
    if database.driver == "postgres":
        given["RINGBACK_STORE__URL"] = database.url.replace("+psycopg", "")
    ended = run("generate", *HISTORY, "--json", *flags, **given)
    return json.loads(ended.stdout) if ended.returncode == 0 else ended.stderr


def rows(database: Database, query: str) -> list[Any]:
    """Ask the database."""
    engine = sa.create_engine(database.url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        return list(connection.execute(sa.text(query)).all())


async def test_it_is_a_whole_database(prepared: Database, tmp_path: Path) -> None:
    made = generate(prepared, tmp_path)
    assert made["messages"] == 1500
    for table in ("messages", "events", "conversions"):
        assert rows(prepared, f"SELECT count(*) FROM {table}") == [(made[table],)]  # noqa: S608 - own names
    store = prepared.open()
    counted = await store.read(lambda tx: rollups.summary(tx, since_us=0))
    await store.close()
    by_status = "SELECT status, count(*) FROM messages WHERE direction = 'outbound' GROUP BY status"
    assert counted.by_status == dict(map(tuple, rows(prepared, by_status)))
    times = [row.at_us for row in rows(prepared, "SELECT at_us FROM events ORDER BY id")]
    assert times == sorted(times)
    accounts = {row.auth_id for row in rows(prepared, "SELECT auth_id FROM accounts")}
    assert accounts == set(made["accounts"])
    assert {row.account_id for row in rows(prepared, "SELECT DISTINCT account_id FROM messages")} <= accounts
    inspector = sa.inspect(sa.create_engine(prepared.url, poolclass=sa.pool.NullPool))
    for table in loading.FILLED:
        there = {index["name"] for index in inspector.get_indexes(table.name)}
        assert {str(index.name) for index in table.indexes} <= there


def test_it_does_not_add_to_messages_unless_told(prepared: Database, tmp_path: Path) -> None:
    generate(prepared, tmp_path)
    assert "the database has messages: add to them with --add" in generate(prepared, tmp_path)
    assert "this history is in the database already" in generate(prepared, tmp_path, "--add")
    assert rows(prepared, "SELECT count(*) FROM messages") == [(1500,)]
    assert generate(prepared, tmp_path, "--add", "--seed", "4")["messages"] == 1500
    assert rows(prepared, "SELECT count(*) FROM messages") == [(3000,)]


def test_a_new_data_directory_is_for_nobody_else(tmp_path: Path) -> None:
    with loading.new_file(tmp_path / "new"):
        pass
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / sqlite.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_history_does_not_end_in_the_future(tmp_path: Path) -> None:
    ended = run("generate", "--until", "2999-01-01", "--data-dir", str(tmp_path))
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "--until is in the future" in ended.stderr


@pytest.mark.parametrize("left", ["", "half a database"])
def test_a_run_that_ended_half_way_leaves_no_database(tmp_path: Path, left: str) -> None:
    building = tmp_path / loading.BUILDING
    building.mkdir()
    (building / sqlite.FILE_NAME).write_text(left)

    class StoppedError(Exception):
        pass

    with pytest.raises(StoppedError), loading.new_file(tmp_path):
        raise StoppedError
    assert list(tmp_path.iterdir()) == []
    with loading.new_file(tmp_path) as file:
        assert not loading.has_any(file.connection)
        for _ in file.index():
            pass
    assert [path.name for path in tmp_path.iterdir()] == [sqlite.FILE_NAME]
