"""The page of questions in SQL: what it answers, shows of errors, keeps, and gives as files."""

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from ringback.analytics.duck import DuckEngine
from ringback.analytics.schema import EXAMPLES
from ringback.settings_analytics import AnalyticsSettings
from ringback.web.dashboard.analytics_ask import PATH, SHORT
from tests.data.dashboard.serving import page, plain, serve
from tests.fakes.analytics import filled, row

SETTINGS = AnalyticsSettings(memory_mb=256)
LONG = "-- " + "x" * SHORT


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """An operator of a dashboard with two messages in its analytics."""
    async with DuckEngine(tmp_path / "analytics", SETTINGS) as engine:
        await filled(engine, messages=[row(1), row(2, status="failed", src="<b>")])
        async with serve(tmp_path, engine=engine, analytics=SETTINGS) as dashboard, dashboard.operator() as client:
            yield client


async def act(client: aiohttp.ClientSession, sql: str, action: str, name: str = "") -> tuple[int, str, str]:
    """Press a button of the form; gives status, body, and where it leads."""
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', await page(client, PATH))
    assert token
    data = {"csrf": token[1], "q": sql, "action": action, "name": name}
    async with client.post(PATH, data=data, allow_redirects=False) as answer:
        return answer.status, await answer.text(errors="replace"), answer.headers.get("Location", "")


def asking(sql: str) -> str:
    return f"{PATH}?q={quote(sql)}"


async def test_shows_tables_examples_and_an_editor_without_scripts(operator: aiohttp.ClientSession) -> None:
    words = html.unescape(plain(await page(operator, PATH)))
    for word in ("Question in SQL", "total_ms", "queued to delivered", *(name for name, _ in EXAMPLES)):
        assert word in words


@pytest.mark.parametrize("sql", [sql for _, sql in EXAMPLES])
async def test_every_example_has_an_answer(operator: aiohttp.ClientSession, sql: str) -> None:
    assert "took" in plain(await page(operator, asking(sql)))


async def test_a_question_in_the_address_is_answered(operator: aiohttp.ClientSession) -> None:
    body = await page(operator, asking("SELECT status, count(*) AS n, NULL FROM messages GROUP BY status ORDER BY 1"))
    words = plain(body)
    assert "2 rows, took" in words
    assert "delivered 1 NULL failed 1 NULL" in words


async def test_values_are_text_and_no_markup(operator: aiohttp.ClientSession) -> None:
    body = await page(operator, asking("SELECT src FROM messages WHERE status = 'failed'"))
    assert "&lt;b&gt;" in body
    assert "<b>" not in body


async def test_rows_over_the_limit_are_cut_and_it_says_so(operator: aiohttp.ClientSession) -> None:
    words = plain(await page(operator, asking("SELECT range FROM range(20000)")))
    assert "10,000 rows, cut at 10,000; the first 1,000 are shown, a file has all, took" in words.replace("\u202f", ",")


async def test_an_error_shows_where_it_is(operator: aiohttp.ClientSession) -> None:
    body = await page(operator, asking("SELECT nothing\nFROM messages"), status=400)
    assert "Referenced column" in body
    assert re.search(r"<pre>LINE 1: SELECT nothing\n +\^+</pre>", body)


async def test_what_is_refused_shows_where_it_is(operator: aiohttp.ClientSession) -> None:
    body = await page(operator, asking("SELECT 1,\n  getenv('HOME')"), status=400)
    assert "The function getenv is not possible here." in body
    assert re.search(r"<pre>LINE 2:   getenv\(&#39;HOME&#39;\)\n          \^</pre>", body)


async def test_a_short_question_goes_into_the_address(operator: aiohttp.ClientSession) -> None:
    status, _, location = await act(operator, "SELECT 'ä'", "run")
    assert (status, location) == (303, f"{PATH}?q=SELECT+%27%C3%A4%27")
    assert "ä" in await page(operator, location)


async def test_a_long_question_is_answered_to_the_form(operator: aiohttp.ClientSession) -> None:
    status, body, _ = await act(operator, f"SELECT 42\n{LONG}", "run")
    assert status == 200
    assert "1 row, took" in plain(body)


@pytest.mark.parametrize(
    ("kind", "begins"), [("csv", "status,n\n"), ("ndjson", '{"status":"delivered","n":1}\n'), ("parquet", "PAR1")]
)
async def test_rows_as_a_file(operator: aiohttp.ClientSession, kind: str, begins: str) -> None:
    status, body, _ = await act(operator, "SELECT status, count(*) AS n FROM messages GROUP BY 1 ORDER BY 1;", kind)
    assert status == 200
    assert body.startswith(begins)


async def test_a_file_of_what_is_refused_is_the_page(operator: aiohttp.ClientSession) -> None:
    status, body, _ = await act(operator, "SELECT * FROM 'x.csv'", "csv")
    assert status == 400
    assert "There is no table &#34;x.csv&#34;" in body


async def test_a_question_is_saved_opened_and_deleted(operator: aiohttp.ClientSession) -> None:
    status, _, location = await act(operator, "SELECT 40 + 2 AS answer", "save", "the <answer>")
    assert status == 303
    body = await page(operator, location)
    assert "SELECT 40 + 2 AS answer" in body
    assert "1 row, took" in plain(body)
    assert "the &lt;answer&gt;" in body
    assert (await act(operator, "", "delete", "the <answer>"))[0] == 303
    assert "None yet" in plain(await page(operator, PATH))
    await page(operator, location, status=404)


async def test_the_audit_log_tells_of_saved_questions_by_name(operator: aiohttp.ClientSession) -> None:
    await act(operator, "SELECT 'one'", "save", "ours")
    await act(operator, "SELECT 'two'", "save", "ours")
    await act(operator, "", "delete", "ours")
    await act(operator, "", "delete", "not there")
    await act(operator, "SELECT 3", "save", "")
    told = plain(await page(operator, "/dashboard/audit?action=query"))
    assert re.findall(r"query (?:create|change|delete) \w+", told) == [
        "query delete ours", "query change ours", "query create ours",
    ]  # fmt: skip
    assert "SELECT" not in told


async def test_a_question_without_a_name_is_not_saved(operator: aiohttp.ClientSession) -> None:
    status, body, _ = await act(operator, "SELECT 1", "save")
    assert status == 400
    assert "Not saved: the name of a query has" in plain(body)


async def test_the_plan_of_a_question(operator: aiohttp.ClientSession) -> None:
    assert '<pre class="plan"' in await page(operator, asking("EXPLAIN SELECT count(*) FROM messages"))


async def test_analytics_that_are_away_say_so(tmp_path: Path) -> None:
    async with serve(tmp_path) as dashboard, dashboard.operator() as client:
        assert "The analytics are away" in plain(await page(client, asking("SELECT 1"), status=503))
