"""The analytics pages: their figures are those of the rows, every row is a filter, and trouble is said clearly."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import pytest

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Standing
from ringback.settings import DashboardSettings
from ringback.settings_analytics import AnalyticsSettings
from ringback.store.logins import Link
from ringback.web.dashboard.sessions import make_login_link
from tests.data.dashboard.seeding import MAIN, SECOND, add_accounts
from tests.data.dashboard.serving import Dashboard, log_in, page, plain, serve
from tests.fakes.analytics import filled, row
from tests.fakes.clock import FakeClock

ROOT = "/dashboard/analytics"
PAGES = ("", "/delivery", "/latency", "/funnel", "/errors", "/heatmap", "/spend", "/endpoints", "/live")
CLOCK = FakeClock()
NOW = datetime.fromtimestamp(CLOCK.now_us() / 1_000_000, UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Served:
    """A dashboard, the engine behind it, and an operator's client."""

    dashboard: Dashboard
    engine: DuckEngine
    client: aiohttp.ClientSession

    async def text(self, path: str, *, status: int = 200) -> str:
        """Return the words of an analytics page."""
        return unescape(plain(await page(self.client, ROOT + path, status=status)))

    def stands(self, **changes: Any) -> None:
        """Let the analytics be somewhere."""
        fields = {"state": "current", "events": 9, "behind": 0, "as_of_us": CLOCK.now_us() - 500_000, "mark": 1}
        self.engine.note_standing(Standing(**(fields | changes)))


def seen(hours: float = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Make a message of so many hours ago."""
    return row(number, queued_at=NOW - timedelta(hours=hours), account_id=MAIN, **changes)


ROWS = (
    [seen(number=n) for n in range(1, 7)]
    + [seen(2, 7, status="undelivered", error_code="30"), seen(3, 8, status="failed", error_code="50", src="Acme")]
    + [
        seen(1, 20 + n, country="IN", carrier="404-20", mcc="404", mnc="20", network="Vi India", route="low-cost")
        for n in range(3)
    ]
    + [seen(26, 30 + n, status="undelivered" if n else "delivered") for n in range(4)]
)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with (
        DuckEngine(tmp_path / "analytics", AnalyticsSettings()) as engine,
        serve(tmp_path / "store", clock=FakeClock(), engine=engine) as dashboard,
    ):
        await dashboard.commit(lambda tx: add_accounts(tx, CLOCK.now_us()))
        async with dashboard.operator() as client:
            found = Served(dashboard, engine, client)
            found.stands()
            yield found


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_there(served: Served, path: str) -> None:
    await filled(served.engine, ROWS)
    html = await page(served.client, ROOT + path)
    assert 'aria-current="page"' in html.partition('class="subnav"')[2].partition("</nav>")[0]
    # Nothing inline: the policy forbids it, and no page needs it.
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", html)


async def test_the_overview_tells_the_figures_and_how_they_have_changed(served: Served) -> None:
    await filled(served.engine, ROWS)
    text = await served.text("")
    assert "Accepted 11 +175.0 %" in text
    assert "81.8 % +56.8 points 9 of 11 that ended" in text
    assert "2.4 s p50" in text
    assert "in the prices' currency" in text
    assert "Vi India 404-20" in text
    assert "filtered as spam 30 1" in text


@pytest.mark.parametrize(
    ("path", "line", "then"),
    [
        ("", "accepted before", "4"),
        ("/delivery", "accepted before", "4"),
        ("/latency", "p95 before", "2400"),
        ("/errors", "failures before", "3"),
    ],
)
async def test_comparing_draws_the_period_before(served: Served, path: str, line: str, then: str) -> None:
    await filled(served.engine, ROWS)
    assert line not in await served.text(path)
    assert line in await served.text(f"{path}?compare=previous")
    # In the file beside it, the four messages of 26 hours ago stand where those of 2 hours ago do.
    export = f"{ROOT}{path or '/overview'}/export?compare=previous&table=over_time&format=csv"
    async with served.client.get(export) as answer:
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [each["before"] for each in rows if each["before"] not in ("", "0")] == [then]


async def test_rows_are_filters_and_lead_to_their_messages(served: Served) -> None:
    await filled(served.engine, ROWS)
    html = unescape(await page(served.client, f"{ROOT}/delivery?by=carrier&sender=15005550100"))
    assert f'href="{ROOT}/delivery?by=carrier&sender=15005550100&carrier=404-20"' in html
    [link] = re.findall(r'href="(/dashboard/messages\?[^"]*carrier=404-20[^"]*)"', html)
    assert "sender=15005550100" in link
    assert "since=" in link
    html_of = await page(served.client, f"{ROOT}/delivery?carrier=404-20")
    narrowed = await served.text("/delivery?carrier=404-20")
    assert "Remove the filter Carrier 404-20" in html_of
    assert "India IN 3" in narrowed
    assert "United States" not in narrowed


@pytest.mark.parametrize("path", ["", "/delivery", "/funnel"])
async def test_messages_without_a_receipt_are_a_click_away(served: Served, path: str) -> None:
    days = 3 * 24
    await filled(served.engine, [], opened=[seen(days, 1, status="sent"), seen(days, 2, status="sent", country="IN")])
    old = await served.dashboard.owe(status="sent", queued_at_us=CLOCK.now_us() - days * 3_600_000_000)
    await served.dashboard.owe(status="sent")
    html = unescape(await page(served.client, f"{ROOT}{path}?period=7d&country=US"))
    links = set(re.findall(r'href="(/dashboard/messages\?[^"]*status=no_dlr[^"]*)"', html))
    assert links
    for link in links:
        assert "country=US" in link
        shown = await page(served.client, link)
        assert re.findall(r'id="m-([^"]+)"', shown) == [each.uuid for each in old]
        assert "selected>no receipt</option>" in shown


@pytest.mark.parametrize(
    ("query", "leads_to"),
    [
        ("add=country&value=IN", "?country=IN"),
        ("country=US&add=country&value=carrier:404-20", "?country=US&carrier=404-20"),
        ("period=7d&add=route&value=", "?period=7d"),
    ],
)
async def test_the_form_adds_a_filter(served: Served, query: str, leads_to: str) -> None:
    async with served.client.get(f"{ROOT}?{query}", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, ROOT + leads_to)


async def test_latency_by_carrier(served: Served) -> None:
    await filled(served.engine, [seen(number=n, queue_ms=n, carrier_ms=10 * n, total_ms=11 * n) for n in range(1, 101)])
    text = await served.text("/latency?measure=carrier_ms")
    assert "Sent to delivered, by carrier" in text
    assert "Example Mobile 310-260 100 500 ms 900 ms 950 ms 990 ms" in text


async def test_the_funnel_counts_conversions_of_trackable_messages(served: Served) -> None:
    told = [seen(number=n, trackable=True, conversion="CONVERTED" if n < 3 else None) for n in range(4)]
    await filled(served.engine, [*told, seen(number=9), seen(number=10, status="failed")])
    text = await served.text("/funnel")
    assert "Queued 6" in text
    assert "Sent 5 83.3 % of 6" in text
    assert "Converted 3 75.0 % of 4 trackable" in text


async def test_errors_are_issues(served: Served) -> None:
    await filled(served.engine, ROWS)
    text = await served.text("/errors")
    assert "filtered as spam 30 Example Mobile 310-260 15005550100 default 1 50.0 %" in text
    assert "2 of 11 messages, 18.2 %" in text
    html = unescape(await page(served.client, f"{ROOT}/errors"))
    assert f'href="{ROOT}/errors?error=30&carrier=310-260&sender=15005550100&route=default"' in html


async def test_the_heat_map_has_168_hours(served: Served) -> None:
    await filled(served.engine, ROWS)
    html = await page(served.client, f"{ROOT}/heatmap?period=7d")
    assert len(re.findall(r"<td class=", html.partition('class="heat"')[2])) == 168
    # FakeClock stands on a Monday, at 16:00.
    assert 'title="Mon 15:00: 9 messages"' in html
    assert 'title="Mon 13:00: 1 messages"' in html


async def test_spend(served: Served) -> None:
    await filled(
        served.engine, [seen(number=1), seen(number=2, cost=1_500_000, country="IN"), seen(number=3, cost=None)]
    )
    text = await served.text("/spend")
    assert "Spend 15.01" in text
    assert "Of 1 messages the cost is not known" in text
    assert "India IN 15.00" in text


async def test_endpoints_and_how_they_answer(served: Served) -> None:
    await served.dashboard.owe(count=3)
    text = await served.text("/endpoints")
    assert "https://one.example Shop works 3 0 0" in text
    assert "https://one.example" not in await served.text(f"/endpoints?account={SECOND}")


async def test_live_shows_events_of_what_the_filters_take(served: Served) -> None:
    await served.dashboard.owe(count=2, country="US")
    await served.dashboard.owe(count=1, country="IN", src="Acme")
    text = await served.text("/live?country=IN")
    assert text.count("queued Acme") == 1
    assert "US" not in text.partition("Happened")[2]


async def test_live_events_come_along_the_stream(served: Served) -> None:
    await served.dashboard.owe(count=2)
    async with served.client.get("/dashboard/live?rows=events&after=0") as answer:
        async for line in answer.content:
            if line.startswith(b"data: "):
                break
    rows = json.loads(line[6:])["rows"]
    assert len(rows) == 2
    assert all(f'id="m-{each["id"]}"' in each["html"] for each in rows)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("?country=india", "Country must be a country's two letters, such as IN"),
        ("/delivery?by=moon", "By must be one of country"),
        ("/delivery?order=moon", "Order must be one of accepted"),
        ("/latency?measure=moon", "Measure must be one of"),
        ("/heatmap?measure=moon", "Measure must be one of"),
        ("?since=yesterday", "Since must be so long ago"),
        ("?moon=full", "Moon is no filter"),
        ("/live?country=india", "Country must be"),
        ("/endpoints?period=long", "Period must be"),
        ("/spend/export?format=xls", "Format must be one of csv, ndjson, parquet"),
    ],
)
async def test_what_cannot_be_understood_is_said(served: Served, path: str, says: str) -> None:
    await filled(served.engine, ROWS)
    assert says in await served.text(path, status=400)


async def test_where_there_is_nothing_it_says_what_to_do(served: Served) -> None:
    assert "ringback demo" in await served.text("")
    await filled(served.engine, ROWS)
    text = await served.text("?country=BR")
    assert "No message of this period is as the filters say" in text
    assert "Clear the filters" in text


async def test_while_rebuilding_it_says_how_far_it_is(served: Served) -> None:
    await filled(served.engine, ROWS)
    served.stands(state="rebuilding", events=400, behind=600, per_s=300_000.0)
    text = await served.text("")
    assert "being rebuilt from the event log: 400 of 1,000 events are in, at 300,000 a second" in text
    assert "40.0 %" in text
    served.stands(state="behind", behind=77)
    assert "The analytics are 77 events behind" in await served.text("/funnel")


async def test_without_analytics_it_says_so(tmp_path: Path) -> None:
    async with serve(tmp_path) as dashboard, dashboard.operator() as client:
        for path in ("", "/delivery", "/latency", "/spend/export"):
            assert "The analytics are away" in plain(await page(client, ROOT + path, status=503))
        # These two need the store only.
        assert "The analytics are away" in plain(await page(client, f"{ROOT}/endpoints"))
        async with client.get(f"{ROOT}/standing") as answer:
            assert await answer.json() == {"mark": "away", "state": "away"}


async def test_the_mark_moves_with_what_is_taken_in(served: Served) -> None:
    async def mark() -> str:
        async with served.client.get(f"{ROOT}/standing") as answer:
            return str((await answer.json())["mark"])

    first = await mark()
    await filled(served.engine, ROWS)
    assert f'data-mark="{first}"' in await page(served.client, ROOT)
    served.stands(mark=2)
    assert await mark() != first


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
async def test_a_table_as_a_file(served: Served, tmp_path: Path, kind: str) -> None:
    await filled(served.engine, [*ROWS, seen(1, 60, country="GB", src="=1+1")])
    address = f"{ROOT}/delivery/export?by=country&table=by_country&format={kind}"
    async with served.client.get(address) as answer:
        assert answer.status == 200
        assert f".{kind}" in answer.headers["Content-Disposition"]
        assert "delivery-by-country-20251123T1615Z-20251124T1615Z" in answer.headers["Content-Disposition"]
        content = await answer.read()
    if kind == "csv":
        found = [(each["country"], each["accepted"]) for each in csv.DictReader(io.StringIO(content.decode()))]
    elif kind == "ndjson":
        found = [(each["country"], str(each["accepted"])) for each in map(json.loads, content.splitlines())]
    else:
        (tmp_path / "it.parquet").write_bytes(content)
        with duckdb.connect() as con:
            rows = con.execute(
                "SELECT country, accepted FROM read_parquet(?)", [str(tmp_path / "it.parquet")]
            ).fetchall()
        found = [(each[0], str(each[1])) for each in rows]
    assert found == [("US", "8"), ("IN", "3"), ("GB", "1")]


async def test_a_spreadsheet_reads_no_formula(served: Served) -> None:
    await filled(served.engine, [seen(src="=HYPERLINK(1)")])
    async with served.client.get(f"{ROOT}/delivery/export?by=sender&table=by_sender&format=csv") as answer:
        assert "'=HYPERLINK(1)" in await answer.text()


@pytest.mark.parametrize("path", ["", "/latency", "/funnel", "/errors", "/spend", "/heatmap"])
async def test_every_table_of_a_page_can_be_exported(served: Served, path: str) -> None:
    await filled(served.engine, [*ROWS, seen(number=70, trackable=True)])
    html = unescape(await page(served.client, ROOT + path))
    links = re.findall(rf'href="({ROOT}[^"]*/export\?[^"]*format=csv)"', html)
    assert links
    for link in links:
        async with served.client.get(link) as answer:
            assert answer.status == 200
            assert (await answer.text()).count("\n") >= 2


@pytest.mark.parametrize("path", ["", "/delivery?by=account", "/latency", "/errors", "/spend", "/live", "/endpoints"])
async def test_people_of_an_account_see_that_account_only(served: Served, path: str) -> None:
    theirs = [row(50 + n, queued_at=NOW - timedelta(hours=1), account_id=SECOND, src="Theirs") for n in range(5)]
    failed = row(60, queued_at=NOW - timedelta(hours=1), account_id=SECOND, src="Theirs", status="failed")
    await filled(served.engine, [*ROWS, *theirs, failed])
    await served.dashboard.owe(account_id=SECOND, src="Theirs", origin="https://theirs.example")
    link = await make_login_link(
        served.dashboard.store,
        served.dashboard.clock,
        DashboardSettings(),
        served.dashboard.base_url,
        Link(account_id=MAIN),
    )
    async with served.dashboard.stranger() as client:
        await log_in(client, link)
        html = await page(client, ROOT + path)
        assert "theirs" not in html.lower()
        assert SECOND not in html
        await page(client, f"{ROOT}?account={SECOND}", status=404)
