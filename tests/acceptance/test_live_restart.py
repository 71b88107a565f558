"""The live list in a real browser, while the server that feeds it is killed, stays away, and comes back."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import expect

from ringback.store import messages
from ringback.store.port import Store
from ringback.store.sqlite import open_store
from tests.acceptance.browsing import chromium, log_in
from tests.fakes.ports import free_port
from tests.fakes.process import create_account, run, served

FAST = {"RINGBACK_SIMULATOR__SPEED": "5"}
SHOWN = """() => Object.fromEntries([...document.querySelectorAll("tbody tr")].map((row) =>
  [row.id.slice(2), row.querySelector(".status").textContent.trim()]))"""
UNTIL_S = 60


async def stand(store: Store, uuids: list[str]) -> dict[str, str]:
    """Return each message's status in the database."""
    found = await store.read(lambda tx: [messages.find(tx, None, uuid) for uuid in uuids])
    return {each.uuid: str(each.status) for each in found if each}


async def until_at_rest(store: Store, uuids: list[str]) -> dict[str, str]:
    async with asyncio.timeout(UNTIL_S):
        # Other processes write, so there is nothing here that could signal.
        while {"queued", "sent"} & set((found := await stand(store, uuids)).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def test_what_changes_while_the_server_is_away_is_shown_when_it_is_back(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    uuids: list[str] = []

    async def send(ringback: Any, http: aiohttp.ClientSession, count: int) -> None:
        for _ in range(count):
            status, body = await ringback.send(http)
            assert status == 202
            uuids.extend(body["message_uuid"])

    async with (
        chromium() as browser,
        aiohttp.ClientSession() as http,
        served(tmp_path, account, "--role", "submit", **FAST),
    ):
        port = str(free_port())
        async with served(tmp_path, account, "--role", "web", "--port", port) as first:
            link = run("login-link", "--data-dir", str(tmp_path), "--url", first.url).stdout.strip()
            tab = await log_in(link, await browser.new_context())
            await tab.page.goto(f"{first.url}/dashboard/messages")
            await expect(tab.page.locator("[data-state]")).to_have_text("live")
            await tab.page.evaluate("window.untouched = true")
            await send(first, http, 1)
            await expect(tab.page.locator("tbody tr")).to_have_count(1)
            await tab.page.evaluate("window.untouched = true")
            # These are on their way when the server dies: the other process goes on with them.
            await send(first, http, 14)
            await first.kill()
        store = open_store(tmp_path, busy_timeout_s=30)
        try:
            await expect(tab.page.locator("[data-state]")).to_have_text("reconnecting")
            await until_at_rest(store, uuids)
            async with served(tmp_path, account, "--role", "web", "--port", port) as second:
                await send(second, http, 15)
                expected = await until_at_rest(store, uuids)
                await expect(tab.page.locator("[data-state]")).to_have_text("live")
                delivered = tab.page.locator("tbody .status", has_text="delivered")
                await expect(delivered).to_have_count(len(uuids), timeout=UNTIL_S * 1000)
                shown = await tab.page.evaluate(SHOWN)
                assert await tab.page.evaluate("window.untouched"), "not by loading the page anew"
        finally:
            await store.close()
    assert shown == expected
    assert set(expected.values()) == {"delivered"}
    assert len(expected) == 30
