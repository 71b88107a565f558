"""``ringback sql``: one question from flag, file, store or standard input; tables, JSON and files; who answers."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ringback.analytics.door import open_door
from ringback.analytics.duck import DuckEngine
from ringback.cli.app import app
from ringback.model.errors import (
    AnalyticsAway,
    ConfigInvalid,
    NotFound,
    QuestionRefused,
    QuestionTooLong,
    RingbackError,
)
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import saved_queries
from ringback.store.saved_queries import SavedQuery
from ringback.store.sqlite import open_store
from tests.fakes.analytics import filled, row

SETTINGS = AnalyticsSettings(memory_mb=256)
COUNT = "SELECT status, count(*) AS n FROM messages GROUP BY status ORDER BY status"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with an analytics file of two messages, and nobody who has it open."""

    async def make() -> None:
        async with DuckEngine(tmp_path / "analytics", SETTINGS) as engine:
            await filled(engine, messages=[row(1), row(2, status="failed")])

    asyncio.run(make())
    return tmp_path


def run(data: Path, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["sql", *arguments, "--data-dir", str(data)], input=typed)


def refused(result: Result, kind: type[RingbackError]) -> str:
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_a_table_for_people_and_notes_beside_it(data: Path) -> None:
    result = run(data, COUNT)
    assert result.exit_code == 0
    assert "delivered" in result.stdout
    assert "took" not in result.stdout
    assert "no Ringback runs here: this is the file as it was left at 2" in result.stderr
    assert "2 rows, took" in result.stderr


def test_json_is_one_object(data: Path) -> None:
    answer = json.loads(run(data, COUNT, "--json").stdout)
    assert answer.pop("took_ms") > 0
    assert answer == {
        "columns": ["status", "n"],
        "types": ["VARCHAR", "BIGINT"],
        "rows": [["delivered", 1], ["failed", 1]],
        "cut": False,
    }


def test_every_kind_of_value_is_json(data: Path) -> None:
    sql = "SELECT 1.5::DECIMAL(3, 1), now(), {'a': [DATE '2026-01-02', NULL]}, true, INTERVAL 1 DAY"
    assert json.loads(run(data, sql, "--json").stdout)["rows"][0][2] == {"a": ["2026-01-02", None]}


@pytest.mark.parametrize(
    ("flag", "lines"),
    [
        ("--csv", ["status,n", "delivered,1", "failed,1"]),
        ("--ndjson", ['{"status":"delivered","n":1}', '{"status":"failed","n":1}']),
    ],
)
def test_rows_for_programs(data: Path, flag: str, lines: list[str]) -> None:
    assert run(data, COUNT, flag).stdout.splitlines() == lines


def test_no_cell_of_csv_is_a_formula(data: Path) -> None:
    sql = """SELECT '=1' AS "=name", '+1' AS name, '-1' AS name, '@a' AS a, chr(9) || 'b' AS tab, chr(13) AS cr,
        '=c'::BLOB AS blob, '=d'::ENUM('=d') AS enum, 'f=' AS f, NULL::VARCHAR AS no"""
    lines = run(data, sql, "--csv").stdout
    assert lines == ("'=name,name,name_1,a,tab,cr,blob,enum,f,no\n'=1,'+1,'-1,'@a,'\tb,\"'\r\",'=c,'=d,f=,\n")


def test_numbers_and_times_of_csv_are_as_they_are(data: Path) -> None:
    sql = "SELECT -1 AS a, -1.5::DECIMAL(3, 1) AS b, -2.5::DOUBLE AS c, INTERVAL '-1 day' AS d, ['=1'] AS e"
    assert run(data, sql, "--csv").stdout == "a,b,c,d,e\n-1,-1.5,-2.5,-1 day,['=1']\n"


def test_other_formats_have_texts_as_they_are(data: Path) -> None:
    assert run(data, "SELECT '=1' AS a", "--ndjson").stdout == '{"a":"=1"}\n'


def test_a_parquet_file(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    assert run(data, COUNT, "--parquet", str(target)).stdout == ""
    assert target.read_bytes().startswith(b"PAR1")


def test_from_a_file(data: Path, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text(f"-- how many\n{COUNT};\n")
    assert run(data, "--file", str(tmp_path / "q.sql"), "--csv").stdout.startswith("status,n\n")


def test_from_standard_input(data: Path) -> None:
    assert run(data, "--csv", typed=f"{COUNT}\n").stdout.startswith("status,n\n")


def test_a_saved_question(data: Path) -> None:
    async def save() -> None:
        store = open_store(data, busy_timeout_s=30)
        query = SavedQuery(account_id=None, name="by status", sql=COUNT, saved_by="ann", saved_at_us=1)
        await store.write(lambda tx: saved_queries.save(tx, query))
        await store.close()

    asyncio.run(save())
    assert run(data, "--saved", "by status", "--csv").stdout.startswith("status,n\n")
    refused(run(data, "--saved", "none"), NotFound)


def test_rows_over_the_limit_are_cut(data: Path) -> None:
    result = run(data, "SELECT * FROM range(10)", "--limit", "3")
    assert "3 rows, cut at 3, took" in result.stderr


def test_limits_are_never_over_the_settings(data: Path) -> None:
    assert "cut at 10000" in run(data, "SELECT * FROM range(20000)", "--limit", "1000000").stderr
    endless = "SELECT count(*) FROM range(1000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"
    refused(run(data, endless, "--timeout", "0.2"), QuestionTooLong)


def test_what_is_refused_says_where(data: Path) -> None:
    assert "LINE 1: SELECT getenv('HOME')\n               ^" in refused(
        run(data, "SELECT getenv('HOME')"), QuestionRefused
    )


@pytest.mark.parametrize(
    "arguments", [("SELECT 1", "--saved", "x"), ("SELECT 1", "--json", "--csv"), ("--file", "/nowhere/q.sql")]
)
def test_flags_that_do_not_fit(data: Path, arguments: tuple[str, ...]) -> None:
    refused(run(data, *arguments), ConfigInvalid)


def test_without_analytics_it_says_what_to_do(tmp_path: Path) -> None:
    assert "ringback serve" in refused(run(tmp_path, "SELECT 1"), AnalyticsAway)


async def test_the_process_that_has_the_file_answers(data: Path) -> None:
    directory = data / "analytics"
    async with DuckEngine(directory, SETTINGS) as engine, open_door(engine, directory):
        result = await asyncio.to_thread(run, data, COUNT, "--csv")
        shown = await asyncio.to_thread(run, data, COUNT)
    assert result.stdout.splitlines() == ["status,n", "delivered,1", "failed,1"]
    assert "no Ringback runs" not in shown.stderr
