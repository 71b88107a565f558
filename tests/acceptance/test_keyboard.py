"""A day's work in the dashboard without a mouse: every step by Tab, Enter and the keys that the help names."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Standing
from ringback.settings_analytics import AnalyticsSettings
from tests.acceptance.browsing import chromium, open_tab
from tests.data.analytics import week
from tests.data.dashboard.seeding import add_day
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.analytics import filled

MOST_STEPS = 60
FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const label = at.getAttribute("aria-label") || at.textContent.trim().replace(/\\s+/g, " ");
  const before = window.focusedBefore;
  window.focusedBefore = at;
  const follows = !before?.isConnected || before.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING;
  return {
    name: at.name || label, follows: Boolean(follows), jumps: at.tabIndex > 0,
    shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 && box.width > 0 && box.height > 0,
  };
}"""


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus; on the way the focus shows, and goes as one reads."""
    reached = []
    for _ in range(MOST_STEPS):
        await page.keyboard.press("Tab")
        found = await page.evaluate(FOCUSED)
        assert found["shown"], f"the focus cannot be seen: {found}"
        assert found["follows"], f"the focus went back: {reached}, {found}"
        assert not found["jumps"], found
        if found["name"] == name:
            return
        reached.append(found["name"])
    raise AssertionError(f"{name} was not reached: {reached}")


async def follow(page: Page, name: str, heading: str) -> None:
    """Go to something by Tab, press Enter, and arrive at the page of this heading."""
    await tab_to(page, name)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=heading, level=1, exact=True)).to_be_visible()
    # Scripts run by then, and listen for keys.
    await page.wait_for_load_state()


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with contextlib.AsyncExitStack() as stack:
        engine = await stack.enter_async_context(DuckEngine(tmp_path / "analytics", AnalyticsSettings()))
        running = await stack.enter_async_context(serve(tmp_path / "store", engine=engine))
        now_us = running.clock.now_us()
        await running.commit(lambda tx: add_day(tx, running.new_id, now_us=now_us, count=30))
        now = datetime.fromtimestamp(now_us / 1_000_000, UTC).replace(tzinfo=None)
        await filled(engine, [each for each in week.traffic(now, days=2, count=200) if not week.is_open(each)])
        engine.note_standing(Standing(state="current", events=600, behind=0, as_of_us=now_us, mark=1))
        yield running


async def test_everything_is_done_without_a_mouse(dashboard: Dashboard) -> None:
    async with chromium() as browser:
        tab = await open_tab(await browser.new_context())
        page = tab.page
        await page.goto(await dashboard.login_link())
        await expect(page.get_by_role("button", name="Open the dashboard")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        await follow(page, "Messages", "Messages")
        first = await page.locator("tbody a").first.inner_text()
        await tab_to(page, first)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
        # The browser's own key: without a window there is nobody who takes it.
        await page.go_back()
        await expect(page.get_by_role("heading", name="Messages", level=1)).to_be_visible()
        await tab_to(page, "status")
        await page.keyboard.type("delivered")
        await tab_to(page, "Filter")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Clear")).to_be_visible()
        assert "status=delivered" in page.url
        await follow(page, "Analytics", "Overview")
        await follow(page, "Delivery", "Delivery")
        await follow(page, "Latency", "Latency")
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await page.goto(f"{dashboard.base_url}/dashboard/messages")
        assert tab.complaints == []
        await tab_to(page, "Log out")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()
