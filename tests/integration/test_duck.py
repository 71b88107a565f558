"""The engine that owns the analytics file: questions beside the writer, ended in time, shut into one directory."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import duckdb
import pytest
from duckdb import DuckDBPyConnection

from ringback.analytics.duck import FILE, DuckEngine
from ringback.analytics.engine import Limits, Standing
from ringback.analytics.tables import SHAPE
from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong
from ringback.settings_analytics import AnalyticsSettings

SETTINGS = AnalyticsSettings(memory_mb=256)
FOREVER = "SELECT count(*) FROM range(100000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
EVENT = """INSERT INTO events
    VALUES (?, 'ringback', 'A', '00000000-0000-0000-0000-000000000001', 1, 'sent', NULL, NULL, ?, 5)"""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[DuckEngine]:
    async with DuckEngine(tmp_path / "analytics", SETTINGS) as opened:
        yield opened


def add_event(offset: int, con: DuckDBPyConnection) -> None:
    con.execute(EVENT, [offset, datetime(2026, 1, 1)])  # noqa: DTZ001 - DuckDB's TIMESTAMP has no zone


async def count(engine: DuckEngine) -> int:
    return int((await engine.ask("SELECT count(*) FROM events")).rows[0][0])


async def test_answers_with_columns_types_and_values(engine: DuckEngine) -> None:
    await engine.write(lambda con: add_event(7, con))
    answer = await engine.ask('SELECT log_offset, message_uuid, "at", flag FROM events WHERE log_offset = ?', [7])
    assert answer.columns == ["log_offset", "message_uuid", "at", "flag"]
    assert answer.types == ["BIGINT", "UUID", "TIMESTAMP", "VARCHAR"]
    assert answer.rows == [(7, UUID(int=1), datetime(2026, 1, 1), None)]  # noqa: DTZ001
    assert not answer.cut


async def test_a_write_is_all_or_nothing(engine: DuckEngine) -> None:
    def half(con: DuckDBPyConnection) -> None:
        add_event(1, con)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await engine.write(half)
    assert await count(engine) == 0


async def test_rows_over_the_limit_are_left_out_and_the_answer_says_so(engine: DuckEngine) -> None:
    answer = await engine.ask("SELECT * FROM range(1000000)", limits=Limits(timeout_s=10, rows=3))
    assert (answer.rows, answer.cut) == ([(0,), (1,), (2,)], True)


async def test_a_question_that_takes_too_long_is_ended_and_the_next_is_answered(engine: DuckEngine) -> None:
    with pytest.raises(QuestionTooLong, match=r"0\.2 s"):
        await engine.ask(FOREVER, limits=Limits(timeout_s=0.2, rows=1))
    assert await count(engine) == 0


async def test_a_question_whose_asker_went_away_is_ended(engine: DuckEngine) -> None:
    asker = asyncio.create_task(engine.ask(FOREVER))
    await asyncio.sleep(0)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert await count(engine) == 0


async def test_a_question_that_needs_too_much_memory_is_ended(engine: DuckEngine) -> None:
    with pytest.raises(QuestionTooLong, match="memory"):
        await engine.ask("SELECT list(range) FROM range(1000000000)", limits=Limits(timeout_s=600, rows=1))
    assert await count(engine) == 0


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM events", "SELECT * FROM nowhere", "SELECT 'a'::INT"])
async def test_what_duckdb_cannot_answer_is_refused_with_its_words(engine: DuckEngine, sql: str) -> None:
    with pytest.raises(QuestionRefused, match="Error"):
        await engine.ask(sql)


async def test_many_questions_while_events_are_appended(engine: DuckEngine) -> None:
    async def append() -> None:
        for offset in range(50):
            await engine.write(lambda con, offset=offset: add_event(offset, con))

    appended = asyncio.create_task(append())
    counts = await asyncio.gather(*(count(engine) for _ in range(100)))
    await appended
    assert all(0 <= seen <= 50 for seen in counts)
    assert await count(engine) == 50


async def test_a_second_owner_is_told_that_the_file_is_held(engine: DuckEngine, tmp_path: Path) -> None:
    with pytest.raises(AnalyticsAway):
        async with DuckEngine(tmp_path / "analytics", AnalyticsSettings(memory_mb=300)):
            pass


async def test_who_does_not_get_the_file_leaves_alone_what_its_owner_is_sending(
    engine: DuckEngine, tmp_path: Path
) -> None:
    parts = engine.export("SELECT 1 AS one", kind="csv")
    sending = list((tmp_path / "analytics" / "exports").glob("*"))
    assert sending == []
    first = await anext(parts)
    sending = list((tmp_path / "analytics" / "exports").glob("*"))
    with pytest.raises(AnalyticsAway):
        async with DuckEngine(tmp_path / "analytics", AnalyticsSettings(memory_mb=300)):
            pass
    assert sending == list((tmp_path / "analytics" / "exports").glob("*")) != []
    assert first == b"one\n1\n"
    await parts.aclose()


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    async with DuckEngine(tmp_path, SETTINGS) as engine:
        await engine.write(lambda con: add_event(1, con))
    async with DuckEngine(tmp_path, SETTINGS) as engine:
        assert await count(engine) == 1
    async with DuckEngine(tmp_path, SETTINGS, read_only=True) as engine:
        assert await count(engine) == 1


async def test_a_file_of_another_shape_is_made_anew(tmp_path: Path) -> None:
    async with DuckEngine(tmp_path, SETTINGS) as engine:
        await engine.write(lambda con: add_event(1, con))
        await engine.write(lambda con: con.execute("UPDATE meta SET value = '0' WHERE name = 'shape'"))
    async with DuckEngine(tmp_path, SETTINGS) as engine:
        assert await count(engine) == 0
        assert (await engine.ask("SELECT value FROM meta")).rows == [(str(SHAPE),)]


async def test_reading_only_needs_a_file_of_this_shape(tmp_path: Path) -> None:
    async with DuckEngine(tmp_path, SETTINGS) as engine:
        await engine.write(lambda con: add_event(1, con))
        await engine.write(lambda con: con.execute("UPDATE meta SET value = '0' WHERE name = 'shape'"))
    with pytest.raises(AnalyticsAway, match="ringback analytics rebuild"):
        async with DuckEngine(tmp_path, SETTINGS, read_only=True):
            pass
    with duckdb.connect(tmp_path / FILE, read_only=True) as con:
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    (tmp_path / FILE).write_bytes(b"something else" * 1_000)
    with pytest.raises(AnalyticsAway, match=r"damaged .* ringback analytics rebuild"):
        async with DuckEngine(tmp_path, SETTINGS, read_only=True):
            pass


async def test_reading_only_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(AnalyticsAway):
        async with DuckEngine(tmp_path, SETTINGS, read_only=True):
            pass
    assert not (tmp_path / FILE).exists()


async def test_says_what_the_projection_noted(engine: DuckEngine) -> None:
    current = Standing(state="current", events=5, behind=0, as_of_us=1, mark=5)
    engine.note_standing(current)
    assert await engine.standing() == current


async def test_nothing_is_answered_before_it_is_open(tmp_path: Path) -> None:
    with pytest.raises(AnalyticsAway):
        await DuckEngine(tmp_path, SETTINGS).ask("SELECT 1")


async def test_parquet_is_written_and_read_inside_the_directory_only(engine: DuckEngine, tmp_path: Path) -> None:
    inside, outside = engine.directory / "day.parquet", tmp_path / "day.parquet"
    await engine.write(lambda con: con.execute(f"COPY events TO '{inside}'"))
    assert (await engine.ask(f"SELECT count(*) FROM '{inside}'")).rows == [(0,)]  # noqa: S608
    with pytest.raises(QuestionRefused, match="Permission"):
        await engine.ask(f"COPY events TO '{outside}'")
    with pytest.raises(QuestionRefused, match="Permission"):
        await engine.ask("SELECT * FROM read_text('/etc/passwd')")


async def test_the_settings_cannot_be_changed(engine: DuckEngine) -> None:
    with pytest.raises(QuestionRefused, match="locked"):
        await engine.ask("SET memory_limit = '100GB'")
