"""The dashboard's page of numbers: who has which, filters, pages."""

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from ringback.model.application import Application
from ringback.model.inventory import new_number
from ringback.store import applications, numbers
from ringback.store.scope import Scope
from tests.data.dashboard.seeding import MAIN, add_accounts
from tests.data.dashboard.serving import Dashboard, serve

PAGE = "/dashboard/numbers"
APP_ID = "10000000000000001"
SCOPE = Scope(MAIN, None)


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path) as running:
        yield running


@pytest.fixture
async def operator(dashboard: Dashboard) -> AsyncIterator[aiohttp.ClientSession]:
    async with dashboard.operator() as client:
        yield client


async def page(client: aiohttp.ClientSession, query: str = "") -> str:
    async with client.get(PAGE + query) as answer:
        assert answer.status == 200
        return await answer.text()


def listed(html: str) -> dict[str, str]:
    """Return the words of each number's row."""
    found = re.findall(r'<tr id="n-(\d+)">(.*?)</tr>', html, re.DOTALL)
    plain = ((number, re.sub(r"<[^>]+>", " ", row).replace("\N{EN DASH}", "-")) for number, row in found)
    return {number: " ".join(row.split()) for number, row in plain}


async def fill(dashboard: Dashboard, *given: str) -> None:
    await dashboard.store.write(partial(add_accounts, now_us=1))
    stock = [new_number(number, carrier="Ringback", services=["sms"]) for number in given]
    await dashboard.store.write(partial(numbers.add, new=stock))


async def test_an_empty_inventory_tells_what_to_do(operator: aiohttp.ClientSession) -> None:
    assert "ringback numbers add" in await page(operator)
    assert "Show all numbers" in await page(operator, "?held=rented")


async def test_who_has_which_and_the_filters(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await fill(dashboard, "14155550100", "14155550101", "442079460100")
    new = Application(
        app_id=APP_ID, account_id=MAIN, subaccount_id=None, name="support", created_at_us=1, message_url=""
    )
    await dashboard.store.write(partial(applications.create, new=new))
    terms = {"app_id": APP_ID, "alias": "<b>desk</b>"}
    await dashboard.store.write(partial(numbers.rent, scope=SCOPE, number="14155550101", terms=terms, now_us=1))
    html = await page(operator)
    assert "&lt;b&gt;desk&lt;/b&gt;" in html
    assert listed(html) == {
        "14155550100": "14155550100 US local sms for rent - -",
        "14155550101": "14155550101 &lt;b&gt;desk&lt;/b&gt; US local sms Shop support -",
        "442079460100": "442079460100 GB local sms for rent - -",
    }
    for query, expected in (
        (f"?account={MAIN}", ["14155550101"]),
        ("?held=rented", ["14155550101"]),
        ("?held=for+rent&country=us", ["14155550100"]),
        ("?held=nonsense&country=nowhere", ["14155550100", "14155550101", "442079460100"]),
        ("?prefix=%2B44", ["442079460100"]),
        ("?account=unknown", []),
    ):
        assert list(listed(await page(operator, query))) == expected, query


async def test_pages_cover_every_number_once(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    given = [str(14155550000 + at) for at in range(120)]
    await fill(dashboard, *given)
    seen: list[str] = []
    query = "?country=US"
    while query:
        html = await page(operator, query)
        seen += listed(html)
        found = re.search(r'href="/dashboard/numbers(\?[^"]+)" rel="next"', html)
        query = found[1].replace("&amp;", "&") if found else ""
    assert seen == given


async def test_nobody_sees_it_without_a_login(dashboard: Dashboard) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(dashboard.base_url + PAGE, allow_redirects=False) as answer,
    ):
        assert answer.status in {303, 401, 403}
        assert "14155550100" not in await answer.text()
