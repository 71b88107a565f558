"""The analytics pages in a real browser: swapped in place, driven by keys, drawn from their tables."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Standing
from ringback.settings import DashboardSettings
from ringback.settings_analytics import AnalyticsSettings
from tests.acceptance.browsing import COLOURS, barriers, log_in
from tests.acceptance.test_dashboard_browser import accept, one_message
from tests.data.analytics.week import is_open, traffic
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.analytics import filled, row
from tests.fakes.clock import FakeClock
from tests.integration.test_analytics_frame import Gate, GatedEngine

ROOT = "/dashboard/analytics"
NOW = datetime.fromtimestamp(FakeClock().now_us() / 1_000_000, UTC).replace(tzinfo=None)


@dataclass
class Open:
    """An open page of the analytics, and what is behind it."""

    dashboard: Dashboard
    engine: DuckEngine
    page: Page
    complaints: list[str]

    def stands(self, mark: int, state: str = "current", behind: int = 0) -> None:
        """Let the analytics be somewhere."""
        now_us = self.dashboard.clock.now_us()
        self.engine.note_standing(Standing(state=state, events=5_000, behind=behind, as_of_us=now_us, mark=mark))

    async def see(self, path: str = "") -> None:
        """Open an analytics page."""
        await self.page.goto(self.dashboard.base_url + ROOT + path)


@pytest.fixture
async def opened(tmp_path: Path, browser: Browser) -> AsyncIterator[Open]:
    rows = list(traffic(NOW, days=14, count=4_000))
    async with DuckEngine(tmp_path / "analytics", AnalyticsSettings()) as engine:
        await filled(
            engine, [each for each in rows if not is_open(each)], opened=[each for each in rows if is_open(each)]
        )
        async with serve(tmp_path / "store", clock=FakeClock(), engine=engine, frame_interval_s=0.02) as dashboard:
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            tab = await log_in(await dashboard.login_link(), context)
            found = Open(dashboard, engine, tab.page, tab.complaints)
            found.stands(1)
            yield found
            await context.close()


async def expect_one_chart(page: Page) -> None:
    """Wait until one chart is drawn."""
    await expect(page.locator("figure canvas")).to_have_count(1)


async def expect_address(page: Page, pattern: str) -> None:
    """Wait until the page is at an address, and shows what is there: until then a key is for what was there before."""
    await expect(page).to_have_url(re.compile(pattern))
    await expect(page.locator("#analytics[aria-busy]")).to_have_count(0)


async def test_rows_filter_in_place_and_the_back_button_undoes_it(opened: Open) -> None:
    page = opened.page
    await opened.see("?period=7d")
    await page.evaluate("window.mark = 'the same document'")
    await page.get_by_role("link", name=re.compile("India IN")).click()
    await expect(page).to_have_url(re.compile(r"\?period=7d&country=IN$"))
    await expect(page.get_by_role("link", name="Remove the filter Country IN")).to_be_visible()
    await page.get_by_role("link", name="Latency").click()
    await expect(page.get_by_role("heading", name="Latency")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/latency\?period=7d&country=IN$"))
    await expect(page.get_by_role("link", name="T-Mobile USA")).to_have_count(0)
    await expect(page).to_have_title(re.compile("Latency"))
    await expect_one_chart(page)
    await page.go_back()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("link", name="Remove the filter Country IN")).to_have_count(0)
    await expect(page.get_by_role("link", name=re.compile("United States US"))).to_be_visible()
    assert await page.evaluate("window.mark") == "the same document"
    assert opened.complaints == []


async def test_a_page_is_driven_by_keys_alone(opened: Open) -> None:
    page = opened.page
    await opened.see()
    await page.keyboard.press("]")
    await expect_address(page, r"period=7d")
    await page.keyboard.press("c")
    await expect_address(page, r"compare=previous")
    await page.keyboard.press("/")
    await page.keyboard.type("carrier:405-840")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Remove the filter Carrier 405-840")).to_be_visible()
    await expect(page.locator("#analytics[aria-busy]")).to_have_count(0)
    await page.keyboard.press("Escape")
    await page.keyboard.type("gd")
    await expect(page.get_by_role("heading", name="Delivery")).to_be_visible()
    await expect_address(page, r"/delivery\?")
    await page.keyboard.press("j")
    await expect(page.locator("[data-row]:focus")).to_have_text("India")
    await page.keyboard.press("Enter")
    await expect_address(page, r"country=IN")
    await page.keyboard.press("x")
    await expect_address(page, r"/delivery\?period=7d&compare=previous$")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.type("gm")
    await expect(page.get_by_role("heading", name="Messages")).to_be_visible()
    assert opened.complaints == []


async def test_a_chart_has_a_table_and_a_cursor(opened: Open) -> None:
    page = opened.page
    await opened.see("/latency?period=7d")
    await page.get_by_role("img", name="Chart: Queued to delivered, over time").focus()
    await page.keyboard.press("End")
    # The bucket that has just begun is empty.
    await page.keyboard.press("ArrowLeft")
    said = page.locator("figure [aria-live]")
    await expect(said).to_have_text(re.compile(r"^24 Nov 1\d:00: p50 [\d.]+ s, p90"))
    last = await said.text_content()
    await page.keyboard.press("ArrowLeft")
    await expect(said).not_to_have_text(last or "")
    await page.keyboard.press("t")
    await expect(page.get_by_role("region", name="Queued to delivered, over time, as a table")).to_be_visible()
    await expect(page.locator("figure canvas")).to_be_hidden()
    await opened.see("/delivery?period=7d")
    await expect(page.get_by_role("region", name="Messages over time, as a table")).to_be_visible()
    await page.get_by_role("button", name="Chart").click()
    await expect(page.locator("figure canvas")).to_be_visible()
    assert opened.complaints == []


async def test_dragging_across_a_chart_asks_for_that_time(opened: Open) -> None:
    page = opened.page
    await opened.see("?period=7d")
    box = await page.locator("figure .u-over").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 200, box["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 400, box["y"] + 60, steps=4)
    await page.mouse.up()
    await expect(page).to_have_url(re.compile(r"since=2025-11-1\d[+%].*until=2025-11-2"))
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert opened.complaints == []


async def test_an_open_page_renews_itself_when_something_has_been_taken_in(opened: Open) -> None:
    page = opened.page
    await page.clock.install()
    await opened.see()
    tile = page.locator(".tile", has=page.get_by_role("heading", name="Accepted")).locator(".figure")
    before = await tile.text_content()
    await filled(opened.engine, [row(90_001, queued_at=NOW, src="Fresh")])
    await page.clock.run_for(5_000)
    await expect(tile).to_have_text(before or "")
    opened.stands(2)
    await page.clock.run_for(5_000)
    await expect(tile).not_to_have_text(before or "")
    await page.keyboard.press("Space")
    opened.stands(3, state="rebuilding", behind=5_000)
    await page.clock.run_for(5_000)
    await expect(page.get_by_text("being rebuilt")).to_have_count(0)
    await page.keyboard.press("Space")
    await expect(page.get_by_text("being rebuilt from the event log: 5,000 of 10,000 events are in")).to_be_visible()
    await expect_one_chart(page)
    assert opened.complaints == []


async def test_who_waits_for_figures_sees_where_they_are(tmp_path: Path, browser: Browser) -> None:
    gate = Gate()
    slow = DashboardSettings(frame_after_ms=0)
    async with GatedEngine(tmp_path / "analytics", AnalyticsSettings()) as engine:
        engine.gate = gate
        await filled(engine, [row(1, queued_at=NOW)])
        async with serve(tmp_path / "store", clock=FakeClock(), engine=engine, settings=slow) as dashboard:
            context = await browser.new_context()
            tab = await log_in(await dashboard.login_link(), context)
            await tab.page.goto(dashboard.base_url + ROOT, wait_until="commit")
            waiting = tab.page.get_by_text("Working it out …")
            await expect(waiting).to_be_visible()
            await expect(tab.page.get_by_role("link", name="Delivery")).to_be_visible()
            gate.may.set()
            await expect(tab.page.get_by_role("heading", name="Overview")).to_be_visible()
            await expect(waiting).to_be_hidden()
            assert tab.complaints == []
            await context.close()


async def test_a_page_that_was_cut_off_before_its_figures_gets_them(opened: Open) -> None:
    page = opened.page
    await page.clock.install()
    address = opened.dashboard.base_url + ROOT
    whole = await (await page.request.get(address)).text()
    frame = whole.partition('<div class="head">')[0] + '<p class="waiting" role="status">Working it out …</p>'
    await page.route(address, lambda route: route.fulfill(body=frame, content_type="text/html"), times=1)
    await opened.see()
    await expect(page.get_by_text("Working it out …")).to_be_visible()
    await page.clock.run_for(5_000)
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    await expect(page.get_by_text("Working it out …")).to_have_count(0)


async def test_live_events_wait_while_it_is_paused(opened: Open) -> None:
    page = opened.page
    await accept(opened.dashboard, one_message(opened.dashboard, 1, country="US"))
    await opened.see("/live")
    await expect(page.get_by_text("live", exact=True)).to_be_visible()
    rows = page.locator("[data-rows] tr")
    await expect(rows).to_have_count(1)
    await accept(opened.dashboard, one_message(opened.dashboard, 2, country="US"))
    await expect(rows).to_have_count(2)
    await page.keyboard.press("Space")
    await expect(page.get_by_text("paused", exact=True)).to_be_visible()
    await accept(opened.dashboard, one_message(opened.dashboard, 3, country="US"))
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    await page.keyboard.press("Space")
    await expect(rows).to_have_count(3)
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_pages_fit_and_can_be_read(opened: Open, scheme: str, width: int) -> None:
    page = opened.page
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 900})
    for path in (
        "?period=7d&country=IN&compare=previous",
        "/delivery?period=7d",
        "/errors?period=7d",
        "/heatmap?period=7d",
    ):
        await opened.see(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert await barriers(page, COLOURS) == [], path
    assert opened.complaints == []


async def test_it_works_without_a_script(opened: Open, browser: Browser) -> None:
    state = await opened.page.context.storage_state()
    context = await browser.new_context(java_script_enabled=False, storage_state=state)
    page = await context.new_page()
    await page.goto(f"{opened.dashboard.base_url}{ROOT}?period=7d")
    await expect(page.get_by_role("region", name="Messages over time, as a table")).to_be_visible()
    await page.get_by_label("Value to filter by").fill("IN")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_role("link", name="Remove the filter Country IN")).to_be_visible()
    await context.close()
