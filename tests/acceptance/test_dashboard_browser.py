"""The dashboard in a real browser: both schemes, wide and narrow, with and without JavaScript."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from ringback.carriers.port import Exchange, Snapshot
from ringback.delivery.replay import Replayer
from ringback.dialect.callbacks import FORM
from ringback.inspector import script
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.circuit import Circuit, CircuitState
from ringback.model.inventory import new_number
from ringback.model.message import Message
from ringback.model.routes import Carrier, Route
from ringback.model.status import Status
from ringback.store import bins, captures, endpoints, numbers, received, replays, routing
from ringback.store.bins import Bin
from ringback.store.captures import Answered, NewCapture, Planned
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from ringback.store.wakeups import Wakeups
from tests.data.dashboard.seeding import MAIN, add_day
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.engine import Engine
from tests.fakes.messages import message, message_uuid

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

# Walks every text and gives those whose contrast with the nearest painted background is below 4.5.
FAINT_TEXTS = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length || element.closest("svg")) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([walker.currentNode.textContent.trim(), element.className, contrast]);
  }
  return faint;
}"""


@dataclass
class Tab:
    """A page, and what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


async def log_in(dashboard: Dashboard, context: BrowserContext) -> Tab:
    """Open a page that has logged in by pressing the button of a link."""
    page = await context.new_page()
    tab = Tab(page)
    page.on("console", lambda entry: tab.complaints.append(entry.text) if entry.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    await page.goto(await dashboard.login_link())
    await page.get_by_role("button", name="Open the dashboard").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return tab


def one_message(dashboard: Dashboard, number: int, **fields: object) -> Message:
    at_us = dashboard.clock.now_us() + number
    return message(**{"uuid": message_uuid(number), "queued_at_us": at_us, "updated_at_us": at_us, **fields})


async def accept(dashboard: Dashboard, *new: Message) -> None:
    def work(tx: Transaction) -> None:
        progress = Progress(dashboard.new_id)
        for item in new:
            progress.accept(item)
        progress.write(tx)

    await dashboard.commit(work)


async def change(dashboard: Dashboard, standing: Message, status: Status) -> None:
    def work(tx: Transaction) -> None:
        progress = Progress(dashboard.new_id)
        progress.change(standing, Change(status=status, at_us=standing.queued_at_us + 1_000_000))
        progress.write(tx)

    await dashboard.commit(work)


def trouble(tx: Transaction) -> list[Endpoint]:
    """Let an endpoint be in each state; gives them."""
    found = endpoints.page(tx, limit=len(CircuitState))
    states = [
        Circuit(state=state, reason="some reason that takes a line or two to be told in full", probe_at_us=1)
        for state in CircuitState
    ]
    endpoints.save(
        tx, [msgspec.structs.replace(each, circuit=state) for each, state in zip(found, states, strict=True)]
    )
    endpoints.configure(tx, found[-1].id, concurrency=8, rate_per_minute=600, retry_delays="[60,600]", keep_parked=True)
    return found


def replay_in_every_state(tx: Transaction, now_us: int) -> None:
    """Let replays run, wait for somebody, and have ended; of one nobody knows how much it takes."""
    down = Filter(state="given_up", endpoint="https://a-host-of-a-very-long-name.that-never-seems.to-end.example:8443")
    runs = Replay(
        id=message_uuid(1), account_id=None, wanted=down, rate_per_s=12.5, total=1200, done=500, state="running",
        after_id="", created_at_us=now_us, updated_at_us=now_us, due_at_us=now_us,
    )  # fmt: skip
    others: list[dict[str, Any]] = [
        {"due_at_us": now_us - 60_000_000, "account_id": MAIN},
        {"total": 100_000, "counted_all": False, "done": 70_000, "wanted": Filter(ended=True, until_us=now_us)},
        {"state": "finished", "done": 1200, "due_at_us": None, "rate_per_s": 1000},
        {"state": "cancelled", "due_at_us": None, "wanted": Filter(account_id=MAIN, not_resent=True, since_us=now_us)},
    ]
    for number, fields in enumerate([{}, *others]):
        replays.add(tx, msgspec.structs.replace(runs, **{"id": message_uuid(number), **fields}))


def stock(tx: Transaction, message: Message) -> None:
    """Let there be numbers, and one that all there is can be said of."""
    new = [new_number(number, carrier="Ringback") for number in ("14155550100", "14155550101")]
    owned = {"account_id": message.account_id, "alias": "the desk in the hall " * 6, "app_id": "10000000000000001"}
    numbers.add(tx, [msgspec.structs.replace(new[0], powerpack_uuid=message.uuid, **owned), new[1]])


def capture(now_us: int, **changes: Any) -> NewCapture:
    """Make a request that a bin has captured."""
    fields: dict[str, Any] = {
        "bin": "shop", "received_at_us": now_us, "method": "POST", "path": "/bin/shop/" + "a-long-path" * 20,
        "query": "x=%20" * 30, "headers": json.dumps(
            [["Content-Type", FORM], ["X-Long", "value" * 60], ["X-Plivo-Signature-V3", "YWJj"], ["Host", "h.example"]]
        ),
        "body": b"MessageUUID=m&Status=sent&From=1&To=%2B2", "cut": "", "peer": "2001:db8:ffff:ffff:ffff:ffff::1",
        "group_key": "k",
    }  # fmt: skip
    return NewCapture(**fields | changes)


def fill_bin(tx: Transaction, now_us: int) -> None:
    """Let there be a bin with all that one can hold."""
    shop = Bin(
        id=message_uuid(1), name="shop", account_id=None, created_at_us=now_us, max_captures=100, max_bytes=10**6,
        retention_s=3600, password_hash=None, script=script.encode(script.read("callback:500x2,hang:20,reset,200")),
        script_from=0,
    )  # fmt: skip
    bins.create(tx, shop, most=10)
    new = [
        capture(now_us),
        capture(now_us + 61_000_000, body=b"\x00\xff" * 300, cut="too_large"),
        capture(now_us + 300_000_000),
        capture(now_us + 301_000_000, group_key="other", body=b'{"a": [1, 2]}'),
    ]
    captures.store(tx, new, lambda _, position, __, ___: Planned("answer", 500 if position < 2 else 200))
    ended = [Answered(bin_id=shop.id, number=at, duration_us=at * 10**6, outcome="answered") for at in (1, 2, 3)]
    captures.note_answered(tx, ended)


def link_carriers(tx: Transaction, now_us: int) -> None:
    """A carrier over SMPP with a troubled link, and routes that lead there."""
    settings = {"host": "smsc.a-host-of-a-very-long-name.example", "system_id": "ringback", "password": "secret"}
    routing.put_carrier(tx, Carrier(name="north", kind="smpp", settings=settings), now_us=now_us)
    routing.put_route(tx, Route(name="germany", carrier="north", prefix="49", sender="Shop*"), now_us=now_us)
    said = ("submit_sm #7, 70 bytes, esm_class 0x00, data_coding 0x00", "submit_sm_resp ESME_RTHROTTLED #7, 16 bytes")
    snapshot = Snapshot(
        state="down",
        since_us=now_us,
        detail="north-1 down: no connection within 10 s",
        window_allowed=25,
        errors={"ESME_RTHROTTLED": 1_200, "ESME_RX_T_APPN": 3, "vendor 0x0000045a": 1},
        exchanges=tuple(Exchange(at_us=now_us, direction="out", what=each) for each in said),
    )
    told = msgspec.json.encode(snapshot).decode()
    routing.note_links(tx, [routing.Link(carrier="north", node="a-machine:12345", at_us=now_us, snapshot=told)])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_every_page_is_sound(dashboard: Dashboard, browser: Browser, scheme: str, width: int) -> None:
    now_us = dashboard.clock.now_us()
    sent = await dashboard.commit(lambda tx: add_day(tx, dashboard.new_id, now_us=now_us, count=120))
    newest = await dashboard.store.read(lambda tx: received.newest(tx, limit=100))
    long_url = "https://a-host-of-a-very-long-name.that-never-seems.to-end.example:8443/a%20b"
    doubted = one_message(dashboard, 1, callback_url=long_url)
    await accept(dashboard, doubted)
    known = await dashboard.store.write(trouble)
    await dashboard.store.write(lambda tx: replay_in_every_state(tx, now_us))
    await dashboard.store.write(lambda tx: stock(tx, doubted))
    await dashboard.store.write(lambda tx: fill_bin(tx, now_us))
    await dashboard.store.write(lambda tx: link_carriers(tx, now_us))
    retried = next(item for item in sent if "down.example" in (item.callback_url or ""))
    paths = [
        "/dashboard",
        "/dashboard?span=1h",
        "/dashboard?span=7d",
        "/dashboard/messages",
        "/dashboard/messages?status=undelivered",
        "/dashboard/messages?number=1",
        f"/dashboard/messages/{sent[-1].uuid}",
        f"/dashboard/messages/{retried.uuid}",
        "/dashboard/endpoints",
        *(f"/dashboard/endpoints/{each.id}" for each in known),
        f"/dashboard/messages/{doubted.uuid}",
        "/dashboard/callbacks",
        "/dashboard/callbacks?state=given_up&endpoint=https://down.example.org",
        "/dashboard/replays",
        "/dashboard/replays/new?endpoint=https://down.example.org",
        "/dashboard/carriers",
        "/dashboard/numbers",
        "/dashboard/numbers?held=rented",
        "/dashboard/bins",
        "/dashboard/bins/shop",
        "/dashboard/bins/shop/schema",
        "/dashboard/bins/shop/3?signature",
        "/dashboard/bins/shop/2?view=hex",
        "/dashboard/bins/shop/compare?left=1&right=2",
        "/dashboard/received",
        f"/dashboard/received/{next(request.id for request, said in newest if said)}",
        f"/dashboard/received/{next(request.id for request, said in newest if not said)}",
    ]
    context = await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844})
    tab = await log_in(dashboard, context)
    for path in paths:
        await tab.page.goto(dashboard.base_url + path)
        await tab.page.evaluate("document.querySelectorAll('details').forEach((element) => (element.open = true))")
        wider = await tab.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, path
        assert await tab.page.evaluate(FAINT_TEXTS) == [], path
        assert tab.complaints == [], path
    await context.close()


async def test_the_list_updates_itself(dashboard: Dashboard, browser: Browser) -> None:
    first = one_message(dashboard, 1)
    await accept(dashboard, first)
    tab = await log_in(dashboard, await browser.new_context())
    page = tab.page
    await page.goto(f"{dashboard.base_url}/dashboard/messages")
    await expect(page.get_by_role("status")).to_have_text("live")
    await page.evaluate("window.untouched = true")
    await change(dashboard, first, Status.SENT)
    await expect(page.locator(f"#m-{first.uuid} .status")).to_have_text("sent")
    evil = "<img src=x onerror=alert(1)>"
    await accept(dashboard, one_message(dashboard, 2, src=evil))
    await expect(page.locator("tbody tr").first.locator(".c-from")).to_have_text(evil)
    await expect(page.locator("tbody tr")).to_have_count(2)
    assert await page.evaluate("window.untouched")
    assert tab.complaints == []


async def test_new_rows_wait_while_one_reads(dashboard: Dashboard, browser: Browser) -> None:
    await accept(dashboard, *(one_message(dashboard, number) for number in range(60)))
    page = (await log_in(dashboard, await browser.new_context())).page
    await page.goto(f"{dashboard.base_url}/dashboard/messages")
    await expect(page.get_by_role("status")).to_have_text("live")
    await page.evaluate("window.scrollTo(0, 900)")
    await accept(dashboard, one_message(dashboard, 100), one_message(dashboard, 101))
    pill = page.get_by_role("button", name="2 new")
    await expect(pill).to_be_visible()
    await expect(page.locator("tbody tr").first).to_have_id(f"m-{message_uuid(59)}")
    await pill.click()
    await expect(page.locator("tbody tr").first).to_have_id(f"m-{message_uuid(101)}")
    await expect(pill).to_be_hidden()
    await page.get_by_role("button", name="Pause").click()
    await accept(dashboard, one_message(dashboard, 102))
    await expect(page.get_by_role("button", name="1 new")).to_be_visible()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator("tbody tr").first).to_have_id(f"m-{message_uuid(102)}")


async def test_the_overview_updates_itself(dashboard: Dashboard, browser: Browser) -> None:
    tab = await log_in(dashboard, await browser.new_context())
    page = tab.page
    await expect(page.get_by_role("status")).to_have_text("live")
    await expect(page.get_by_role("heading", name="No message yet")).to_be_visible()
    await page.evaluate("window.untouched = true")
    await accept(dashboard, one_message(dashboard, 1), one_message(dashboard, 2))
    await expect(page.locator(".figure").first).to_have_text("2")
    await page.get_by_text("The same as a table").click()
    await page.locator("#legend-queued").focus()
    await accept(dashboard, one_message(dashboard, 3))
    await expect(page.locator(".figure").first).to_have_text("3")
    await expect(page.get_by_role("columnheader", name="Hour (UTC)")).to_be_visible()
    await expect(page.locator("#legend-queued")).to_be_focused()
    assert await page.evaluate("window.untouched")
    assert tab.complaints == []


async def test_an_empty_list_fills_and_a_lost_session_shows(dashboard: Dashboard, browser: Browser) -> None:
    page = (await log_in(dashboard, await browser.new_context())).page
    await page.goto(f"{dashboard.base_url}/dashboard/messages")
    await expect(page.get_by_role("status")).to_have_text("live")
    await accept(dashboard, one_message(dashboard, 1))
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.get_by_role("status")).to_have_text("live")
    dashboard.clock.advance(13 * 3600)
    await accept(dashboard, one_message(dashboard, 2))
    await expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()


async def test_replays_are_followed_and_cancelled_without_a_reload(dashboard: Dashboard, browser: Browser) -> None:
    engine = Engine(dashboard.store, dashboard.clock, window=500)
    await engine.owe(*range(1, 31))
    await engine.give_up()
    tab = await log_in(dashboard, await browser.new_context())
    page = tab.page
    await page.goto(f"{dashboard.base_url}/dashboard/callbacks?state=given_up")
    await page.get_by_role("button", name="Send these once more").click()
    await expect(page.locator("tbody tr")).to_have_count(5)
    await page.get_by_label("Callbacks a second").fill("40")
    await page.get_by_role("button", name="Send once more").click()
    await expect(page.locator(".done")).to_contain_text("has begun")
    await expect(page.locator("[data-state]")).to_have_text("live")
    await page.evaluate("window.untouched = true")
    new_id = dashboard.new_id
    replayer = Replayer(
        store=dashboard.store, clock=dashboard.clock, new_id=new_id, wakeups=Wakeups(), metrics=Metrics()
    )
    await replayer.step()
    await expect(page.locator(".c-progress")).to_contain_text("10 of 30")
    assert await page.evaluate("window.untouched")
    await page.get_by_role("button", name="Cancel the replay").click()
    await expect(page.locator(".done")).to_contain_text("is cancelled")
    await expect(page.locator(".c-state")).to_have_text("cancelled")
    assert tab.complaints == []


async def test_everything_works_without_javascript(dashboard: Dashboard, browser: Browser) -> None:
    await accept(dashboard, *(one_message(dashboard, number) for number in range(60)))
    await accept(dashboard, one_message(dashboard, 60, dst="447911123456"))
    context = await browser.new_context(java_script_enabled=False)
    page = (await log_in(dashboard, context)).page
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    await page.get_by_role("link", name="7 d").click()
    await expect(page.locator(".figure").first).to_have_text("61")
    await page.get_by_text("The same as a table").click()
    await expect(page.get_by_role("columnheader", name="Hour (UTC)")).to_be_visible()
    await page.get_by_role("link", name="Messages", exact=True).click()
    await expect(page.locator("tbody tr")).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator("tbody tr")).to_have_count(11)
    await page.get_by_label("Number").fill("+44 7911 123456")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    assert "number=%2B44+7911+123456" in page.url
    await page.locator("tbody a").click()
    await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    await page.get_by_text("Parameters").click()
    await expect(page.get_by_role("rowheader", name="MessageUUID", exact=True)).to_be_visible()
    await page.locator(".callback a").first.click()
    await page.get_by_text("Pause", exact=True).click()
    await page.get_by_label("Reason").fill("they move")
    await page.get_by_role("button", name="Pause it").click()
    await expect(page.get_by_role("status")).to_contain_text("is paused")
    await page.get_by_role("link", name="Messages", exact=True).click()
    await expect(page.get_by_label("Endpoints in trouble")).to_contain_text("paused")
    await page.get_by_role("link", name="Endpoints", exact=True).click()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("status")).to_contain_text("is resumed")
    await Engine(dashboard.store, dashboard.clock, window=500).give_up()
    await page.get_by_role("link", name="Callbacks", exact=True).click()
    await page.get_by_label("State").select_option("given up")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator("tbody tr")).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator("tbody tr")).to_have_count(11)
    await page.get_by_role("button", name="Send these once more").click()
    await page.get_by_role("link", name="Take them too").click()
    await page.get_by_role("button", name="Send once more").click()
    await expect(page.locator(".done")).to_contain_text("has begun")
    await page.get_by_role("button", name="Cancel the replay").click()
    await expect(page.locator(".done")).to_contain_text("is cancelled")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()


async def test_the_keyboard_reaches_everything_in_reading_order(dashboard: Dashboard, browser: Browser) -> None:
    await accept(dashboard, one_message(dashboard, 1))
    page = (await log_in(dashboard, await browser.new_context())).page
    await page.goto(f"{dashboard.base_url}/dashboard/messages?status=queued")
    await expect(page.get_by_role("status")).to_have_text("live")
    reached = []
    for _ in range(20):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "(document.activeElement.name || document.activeElement.textContent).trim().replace(/\\s+/g, ' ')"
            )
        )
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached == [
        "Skip to content",
        "Ringback",
        "Overview",
        "Messages",
        "Callbacks",
        "Replays",
        "Endpoints",
        "Carriers",
        "Numbers",
        "Received",
        "Bins",
        "Log out",
        "Pause",
        "Send an inbound message",
        "status",
        "account",
        "number",
        "error",
        "Filter",
        "Clear",
    ]
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


async def test_a_capture_shows_up_on_the_open_page_of_its_bin(dashboard: Dashboard, browser: Browser) -> None:
    now_us = dashboard.clock.now_us()
    await dashboard.store.write(lambda tx: fill_bin(tx, now_us))
    tab = await log_in(dashboard, await browser.new_context())
    await tab.page.goto(dashboard.base_url + "/dashboard/bins/shop")
    await expect(tab.page.locator("[data-state=live]")).to_be_visible()
    await expect(tab.page.locator("tr[id^=n-]")).to_have_count(4)
    new = [capture(now_us, body=b"needle")]
    await dashboard.store.write(lambda tx: captures.store(tx, new, lambda *_: Planned("answer", 200)))
    dashboard.context.wakeups.signal("captures")
    await expect(tab.page.locator("tr#n-5")).to_be_visible()
    await expect(tab.page.locator("[data-held]")).to_contain_text("5 in ")
    await tab.page.get_by_role("button", name="Pause").click()
    await dashboard.store.write(lambda tx: captures.clear(tx, "shop", limit=1))
    dashboard.context.wakeups.signal("captures")
    answered = Answered(bin_id=message_uuid(1), number=5, duration_us=7_000, outcome="answered")
    await dashboard.store.write(lambda tx: captures.note_answered(tx, [answered]))
    await expect(tab.page.locator("tr#n-1")).to_be_visible()
    await tab.page.get_by_role("button", name="Resume").click()
    await expect(tab.page.locator("tr#n-1")).to_be_hidden()
    await expect(tab.page.locator("tr#n-5")).to_contain_text("7.0 ms")
    await tab.page.get_by_label("Contains").fill("needle")
    await tab.page.get_by_role("button", name="Search").click()
    await expect(tab.page.locator("tr[id^=n-]")).to_have_count(1)
    await tab.page.get_by_role("link", name="5", exact=True).click()
    await expect(tab.page.get_by_role("heading", name="Capture 5")).to_be_visible()
    await tab.page.get_by_role("link", name="Compare with attempt 2").click()
    await expect(tab.page.get_by_role("heading", name="Captures 2 and 5")).to_be_visible()
    await tab.page.goto(dashboard.base_url + "/dashboard/bins/shop")
    await expect(tab.page.locator("[data-state=live]")).to_be_visible()
    await dashboard.store.write(lambda tx: captures.clear(tx, "shop", limit=100))
    dashboard.context.wakeups.signal("captures")
    await expect(tab.page.get_by_role("heading", name="Nothing captured yet")).to_be_visible()
    await dashboard.store.write(lambda tx: captures.store(tx, new, lambda *_: Planned("answer", 200)))
    dashboard.context.wakeups.signal("captures")
    await expect(tab.page.locator("tr#n-6")).to_be_visible()
    await expect(tab.page.get_by_role("heading", name="Nothing captured yet")).to_be_hidden()
    assert tab.complaints == []
