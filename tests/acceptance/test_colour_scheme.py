"""Light, dark, or as the system says: chosen by a button, kept by the browser, and there before anything is drawn."""

import os
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, expect

from tests.acceptance.browsing import WCAG, barriers, log_in
from tests.data.dashboard.serving import Dashboard

LIGHT: Final = "rgb(250, 250, 249)"
DARK: Final = "rgb(16, 17, 20)"
SHOTS: Final = os.environ.get("RINGBACK_SHOTS")


async def expect_background(page: Page, colour: str) -> None:
    await expect(page.locator("body")).to_have_css("background-color", colour)


async def test_the_button_goes_from_the_system_to_light_to_dark_and_back(
    dashboard: Dashboard, browser: Browser
) -> None:
    tab = await log_in(await dashboard.login_link(), await browser.new_context(color_scheme="dark"))
    page = tab.page
    await page.goto(f"{dashboard.base_url}/dashboard/messages?status=failed")
    await expect_background(page, DARK)
    for now, then, colour in (
        ("as the system", "light", LIGHT),
        ("light", "dark", DARK),
        ("dark", "as the system", DARK),
    ):
        await page.get_by_role("button", name=f"Colours: {now}. Change to: {then}.").click()
        await expect(page.get_by_role("button", name=f"Colours: {then}.")).to_be_visible()
        assert page.url.endswith("/dashboard/messages?status=failed")
        await expect_background(page, colour)
        if SHOTS:
            await page.screenshot(path=Path(SHOTS) / f"scheme-{then.replace(' ', '-')}.png")
        for width in (1280, 390):
            await page.set_viewport_size({"width": width, "height": 844})
            assert await barriers(page, WCAG) == []
    assert tab.complaints == []


async def test_dark_is_dark_on_a_light_system_and_for_who_logs_in_again(dashboard: Dashboard, browser: Browser) -> None:
    tab = await log_in(await dashboard.login_link(), await browser.new_context(color_scheme="light"))
    for chosen in ("light", "dark"):
        await tab.page.locator(".scheme button").click()
        await expect(tab.page.get_by_role("button", name=f"Colours: {chosen}.")).to_be_visible()
    await expect_background(tab.page, DARK)
    await tab.page.get_by_role("button", name="Log out").click()
    await tab.page.get_by_role("heading", name="not logged in").wait_for()
    await expect_background(tab.page, DARK)
