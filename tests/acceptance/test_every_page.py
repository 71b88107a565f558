"""Every page of the dashboard, filled, light and dark, on a telephone and on a desk: sound, and barring nobody.

The pages are found from the routes: one that nobody has entered in ``PAGES`` fails the first test. With
``RINGBACK_SHOTS=directory`` in the environment a picture of each page is put there, to be looked at.
"""

import json
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page
from starlette.routing import Route

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Standing
from ringback.messaging.progress import Progress
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import alerts, received
from ringback.store.port import Transaction
from ringback.web.dashboard.routes import dashboard_routes
from tests.acceptance.browsing import COLOURS, WCAG, barriers, chromium, log_in
from tests.conformance.test_alerts import an_alert
from tests.data.analytics import week
from tests.data.dashboard import everything
from tests.data.dashboard.seeding import add_day
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.analytics import events_of, filled
from tests.fakes.messages import message, message_uuid

Scheme = Literal["light", "dark"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYTICS_PAGES: Final = ("overview", "delivery", "latency", "funnel", "errors", "heatmap", "spend", "endpoints")

PAGES: Final = {
    "/dashboard": ("", "?span=1h", "?span=7d"),
    "/dashboard/analytics": ("", "?period=30d&country=IN&compare=previous", "?since=2001-01-01&until=2001-01-02"),
    "/dashboard/analytics/delivery": ("", "?by=carrier", "?by=error"),
    "/dashboard/analytics/latency": ("",),
    "/dashboard/analytics/funnel": ("",),
    "/dashboard/analytics/errors": ("",),
    "/dashboard/analytics/heatmap": ("?period=30d",),
    "/dashboard/analytics/spend": ("",),
    "/dashboard/analytics/live": ("",),
    "/dashboard/analytics/endpoints": ("",),
    "/dashboard/analytics/sql": ("", "?q=SELECT+country,+count(*)+AS+n+FROM+messages+GROUP+BY+1", "?q=SELEC"),
    "/dashboard/analytics/alerts": ("",),
    "/dashboard/analytics/alerts/{id}": ("{alert}",),
    "/dashboard/me": ("",),
    "/dashboard/audit": ("",),
    "/dashboard/users": ("",),
    "/dashboard/messages": ("", "?status=undelivered", "?number=1"),
    "/dashboard/messages/{uuid}": ("{newest}", "{retried}", "{doubted}"),
    "/dashboard/callbacks": ("", "?state=given_up&endpoint=https://down.example.org"),
    "/dashboard/replays": ("",),
    "/dashboard/replays/new": ("?endpoint=https://down.example.org",),
    "/dashboard/endpoints": ("",),
    "/dashboard/endpoints/{id}": ("{endpoint_0}", "{endpoint_1}", "{endpoint_2}", "{endpoint_3}", "{endpoint_4}"),
    "/dashboard/carriers": ("",),
    "/dashboard/numbers": ("", "?held=rented"),
    "/dashboard/received": ("",),
    "/dashboard/received/{id}": ("{accepted}", "{rejected}"),
    "/dashboard/received/{id}/signature": ("{accepted}", "{rejected}"),
    "/dashboard/simulate": ("",),
    "/dashboard/bins": ("",),
    "/dashboard/bins/{bin}": ("shop",),
    "/dashboard/bins/{bin}/schema": ("shop",),
    "/dashboard/bins/{bin}/compare": ("shop?left=1&right=2",),
    "/dashboard/bins/{bin}/{number}": ("shop/3?signature", "shop/2?view=hex"),
    "/dashboard/{rest:path}": ("no-such-page",),
    "/dashboard/login": ("?key=a-link-that-works-once",),
}
"""The pages by their route: what stands for its parameters, with the query. ``{name}`` is something of ``seeded``."""

PARTS: Final = {
    "/dashboard/": "the overview once more",
    "/dashboard/overview": "a part of the overview",
    **{f"/dashboard/analytics/{name}/export": "a file" for name in ANALYTICS_PAGES},
    "/dashboard/analytics/standing": "what an open page asks",
    "/dashboard/replays/part": "a part of the replays",
    "/dashboard/bins/{bin}/part": "a part of a bin",
    "/dashboard/bins/{bin}/export": "a file",
    "/dashboard/bins/{bin}/{number}/body": "a file",
    "/dashboard/bins/{bin}/{number}/image": "an image of a page",
    "/dashboard/live": "the stream that pages listen to",
    "/dashboard/static/{name:path}": "styles and scripts",
}
"""What is no page by itself, and what it is."""

ARE_REFUSALS: Final = {"/dashboard/no-such-page", "/dashboard/analytics/sql?q=SELEC"}
"""Pages whose status is not 200."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dashboard(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dashboard]:
    directory = tmp_path_factory.mktemp("pages")
    async with (
        DuckEngine(directory / "analytics", AnalyticsSettings()) as engine,
        serve(directory / "store", engine=engine) as running,
    ):
        await _traffic(engine, running.clock.now_us())
        yield running


async def _traffic(engine: DuckEngine, now_us: int) -> None:
    """Fill the analytics with a month of messages."""
    now = datetime.fromtimestamp(now_us / 1_000_000, UTC).replace(tzinfo=None)
    made = list(week.traffic(now, days=30, count=3_000))
    events = [event for place, each in enumerate(made) for event in events_of(each, offset=3 * place + 1)]
    ended = [each for each in made if not week.is_open(each)]
    await filled(engine, ended, events, opened=[each for each in made if week.is_open(each)])
    engine.note_standing(Standing(state="current", events=len(events), behind=0, as_of_us=now_us, mark=1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeded(dashboard: Dashboard) -> dict[str, str]:
    """Fill every page; gives the names of things that have pages of their own."""
    now_us = dashboard.clock.now_us()
    sent = await dashboard.commit(lambda tx: add_day(tx, dashboard.new_id, now_us=now_us, count=120))
    newest = await dashboard.store.read(lambda tx: received.newest(tx, limit=100))
    long_url = "https://a-host-of-a-very-long-name.that-never-seems.to-end.example:8443/a%20b"
    doubted = message(uuid=message_uuid(1), queued_at_us=now_us, updated_at_us=now_us, callback_url=long_url)

    alert = an_alert(raised_at_us=now_us - 3_600_000_000, seen_at_us=now_us)

    def rest(tx: Transaction) -> list[str]:
        progress = Progress(dashboard.new_id)
        progress.accept(doubted)
        progress.write(tx)
        known = everything.trouble(tx)
        everything.replay_in_every_state(tx, now_us)
        everything.stock(tx, doubted)
        everything.fill_bin(tx, now_us)
        everything.link_carriers(tx, now_us)
        alerts.save(tx, alert)
        return [endpoint.id for endpoint in known]

    known = await dashboard.commit(rest)
    return {
        "newest": sent[-1].uuid,
        "retried": next(item.uuid for item in sent if "down.example" in (item.callback_url or "")),
        "doubted": doubted.uuid,
        "alert": alert.id,
        "accepted": next(request.id for request, said in newest if said),
        "rejected": next(request.id for request, said in newest if not said),
        **{f"endpoint_{number}": each for number, each in enumerate(known)},
    }


def paths(seeded: dict[str, str]) -> list[tuple[str, str]]:
    """Return each page's route and a whole path of it."""
    return [(route, _path(route, part.format_map(seeded))) for route, parts in PAGES.items() for part in parts]


def _path(route: str, part: str) -> str:
    given, _, query = part.partition("?")
    values = iter(given.split("/"))
    return re.sub(r"\{\w+(:\w+)?\}", lambda _: next(values), route) + (f"?{query}" if query else "")


async def test_every_route_is_a_page_that_is_looked_at_or_none(dashboard: Dashboard) -> None:
    routes = [route for route in dashboard_routes(dashboard.context) if isinstance(route, Route)]
    found = {route.path for route in routes if "GET" in (route.methods or ())}
    assert found == PAGES.keys() | PARTS.keys(), "enter a new page in PAGES, with what fills it"


@pytest.mark.parametrize(("width", "schemes"), [(390, ("light", "dark")), (1280, ("dark", "light"))])
async def test_every_page_is_sound(
    dashboard: Dashboard, seeded: dict[str, str], browser: Browser, width: int, schemes: tuple[Scheme, Scheme]
) -> None:
    """Each page is loaded in the first scheme and changed to the second while it is open."""
    context = await browser.new_context(viewport={"width": width, "height": 844})
    tab = await log_in(await dashboard.login_link(), context)
    wrong: dict[str, list[str]] = {}
    for _, path in paths(seeded):
        tab.complaints.clear()
        await tab.page.emulate_media(color_scheme=schemes[0])
        answer = await tab.page.goto(dashboard.base_url + path)
        assert answer is not None
        assert answer.ok != (path in ARE_REFUSALS), path
        if path in ARE_REFUSALS:
            # The browser itself writes a line about the status.
            tab.complaints = [said for said in tab.complaints if str(answer.status) not in said]
        await _picture(tab.page, f"{width}-{schemes[0]}{path}")
        # What is folded away counts too; menus would lie upon what is below them.
        await tab.page.evaluate(
            "document.querySelectorAll('details:not(.custom, .exports)').forEach((element) => (element.open = true))"
        )
        found = [*await _overflow(tab.page), *await barriers(tab.page, WCAG)]
        await tab.page.emulate_media(color_scheme=schemes[1])
        found += [*await barriers(tab.page, COLOURS), *tab.complaints]
        await _picture(tab.page, f"{width}-{schemes[1]}{path}")
        wrong |= {path: found} if found else {}
    await context.close()
    assert wrong == {}, json.dumps(wrong, indent=1)


async def _overflow(page: Page) -> list[str]:
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{wider} pixels too wide"] if wider > 0 else []


async def _picture(page: Page, name: str) -> None:
    if directory := os.environ.get("RINGBACK_SHOTS"):
        plain = re.sub(r"[^\w.=-]+", "_", name)[:100]
        await page.screenshot(path=Path(directory) / f"{plain}.png", full_page=True)
