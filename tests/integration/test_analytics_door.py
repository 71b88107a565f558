"""The analytics asked from another process: the same answers and errors over the socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from ringback.analytics.door import open_door
from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import PAGE_LIMITS, Limits, Standing
from ringback.analytics.remote import RemoteEngine
from ringback.analytics.wire import SOCKET, Hello, write_frame
from ringback.model.errors import AnalyticsAway, QuestionRefused, QuestionTooLong
from ringback.settings_analytics import AnalyticsSettings

SETTINGS = AnalyticsSettings(memory_mb=256)
FOREVER = "SELECT count(*) FROM range(100000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
EVERY_TYPE = """
SELECT 1::TINYINT, 2::HUGEINT * 10::HUGEINT ** 20, 1.5::DOUBLE, 1.50::DECIMAL(9, 2), true, 'é', NULL, DATE '2026-01-02',
    TIME '03:04:05', TIMESTAMP '2026-01-02 03:04:05.000006', INTERVAL 90 SECOND, uuid, [1, 2], {'a': DATE '2026-01-02'},
    'x'::BLOB
FROM (SELECT '00000000-0000-0000-0000-000000000001'::UUID AS uuid)
"""


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[DuckEngine]:
    async with DuckEngine(tmp_path, SETTINGS) as engine, open_door(engine, tmp_path):
        yield engine


@pytest.fixture
async def remote(owner: DuckEngine, tmp_path: Path) -> AsyncIterator[RemoteEngine]:
    async with RemoteEngine(tmp_path) as engine:
        yield engine


async def test_gives_what_the_owner_gives(owner: DuckEngine, remote: RemoteEngine) -> None:
    here, there = await owner.ask(EVERY_TYPE), await remote.ask(EVERY_TYPE)
    assert there.columns == here.columns
    assert there.types == here.types
    assert there.rows == here.rows


@pytest.mark.parametrize(
    "value",
    [7, 2**80, 0.5, "é", None, True, UUID(int=3), Decimal("1.25"), b"x", date(2026, 1, 2), time(3, 4, 5),
     datetime.fromisoformat("2026-01-02T03:04:05.000006"), timedelta(seconds=90), [1, 2]],
)  # fmt: skip
async def test_what_is_given_arrives_as_what_it_is(remote: RemoteEngine, value: object) -> None:
    assert (await remote.ask("SELECT ?", [value])).rows == [(value,)]


async def test_the_socket_is_for_the_owner_only(owner: DuckEngine, tmp_path: Path) -> None:
    assert (tmp_path / SOCKET).stat().st_mode & 0o777 == 0o600


async def test_errors_come_as_they_are(remote: RemoteEngine) -> None:
    with pytest.raises(QuestionRefused, match="nowhere"):
        await remote.ask("SELECT * FROM nowhere")
    with pytest.raises(QuestionTooLong):
        await remote.ask(FOREVER, limits=Limits(timeout_s=0.1, rows=1))
    with pytest.raises(QuestionRefused, match="getenv"):
        await remote.own("SELECT getenv('HOME')", account_id=None, limits=PAGE_LIMITS)


async def test_standing(owner: DuckEngine, remote: RemoteEngine) -> None:
    current = Standing(state="current", events=5, behind=0, as_of_us=1, mark=5)
    owner.note_standing(current)
    assert await remote.standing() == current


async def test_many_questions_at_once_each_get_their_own_answer(remote: RemoteEngine) -> None:
    answers = await asyncio.gather(*(remote.ask("SELECT ?", [n]) for n in range(100)))
    assert [answer.rows for answer in answers] == [[(n,)] for n in range(100)]


async def test_a_long_question_holds_no_short_one_up(remote: RemoteEngine) -> None:
    long = asyncio.create_task(remote.ask(FOREVER, limits=Limits(timeout_s=600, rows=1)))
    assert (await remote.ask("SELECT 1")).rows == [(1,)]
    assert not long.done()
    long.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await long


async def test_questions_of_an_asker_that_went_away_are_ended(owner: DuckEngine, tmp_path: Path) -> None:
    async with RemoteEngine(tmp_path) as remote:
        asked = [asyncio.create_task(remote.ask(FOREVER, limits=Limits(timeout_s=600, rows=1))) for _ in range(8)]
        await remote.standing()
    with pytest.raises(AnalyticsAway):
        await asked[0]
    assert {type(e) for e in await asyncio.gather(*asked, return_exceptions=True)} == {AnalyticsAway}
    # Eight would have taken every thread for ten minutes.
    assert (await owner.ask("SELECT 1", limits=Limits(timeout_s=60, rows=1))).rows == [(1,)]


async def test_an_export_arrives_whole_and_leaves_no_file(remote: RemoteEngine, tmp_path: Path) -> None:
    chunks = [chunk async for chunk in remote.export("SELECT range AS n FROM range(500000)", kind="csv")]
    lines = b"".join(chunks).splitlines()
    assert (lines[0], lines[-1], len(lines)) == (b"n", b"499999", 500_001)
    assert not list((tmp_path / "exports").iterdir())


async def test_an_export_that_is_not_read_holds_nobody_up_and_leaves_no_file(
    remote: RemoteEngine, tmp_path: Path
) -> None:
    export = remote.export("SELECT range AS n FROM range(5000000)", kind="csv")
    assert await anext(export)
    assert (await remote.ask("SELECT 1")).rows == [(1,)]
    await export.aclose()
    await _until(lambda: not list((tmp_path / "exports").iterdir()))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - files have no event
            await asyncio.sleep(0.01)


async def test_an_export_that_is_refused_says_so_at_its_first_step(remote: RemoteEngine) -> None:
    with pytest.raises(QuestionRefused):
        await anext(remote.export_own("SELECT * FROM 'x.csv'", account_id=None, kind="csv", limits=PAGE_LIMITS))


async def test_nobody_there(tmp_path: Path) -> None:
    async with RemoteEngine(tmp_path / "none") as remote:
        with pytest.raises(AnalyticsAway, match="No Ringback process"):
            await remote.standing()


async def test_it_finds_the_owner_again(tmp_path: Path) -> None:
    async with RemoteEngine(tmp_path) as remote:
        async with DuckEngine(tmp_path, SETTINGS) as engine, open_door(engine, tmp_path):
            assert (await remote.ask("SELECT 1")).rows == [(1,)]
        with pytest.raises(AnalyticsAway):
            await remote.ask("SELECT 1")
        async with DuckEngine(tmp_path, SETTINGS) as engine, open_door(engine, tmp_path):
            assert (await remote.ask("SELECT 2")).rows == [(2,)]


async def test_another_version_is_told_apart(tmp_path: Path) -> None:
    async def future(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await write_frame(writer, Hello(version=99))
        writer.close()

    async with await asyncio.start_unix_server(future, tmp_path / SOCKET), RemoteEngine(tmp_path) as remote:
        with pytest.raises(AnalyticsAway, match="version"):
            await remote.standing()
