"""The dashboard in a real browser: what pages do by themselves, and what they do without JavaScript."""

from playwright.async_api import Browser, expect

from ringback.delivery.replay import Replayer
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.store import captures
from ringback.store.captures import Answered, Planned
from ringback.store.port import Transaction
from ringback.store.wakeups import Wakeups
from tests.acceptance.browsing import log_in
from tests.data.dashboard.everything import capture, fill_bin
from tests.data.dashboard.serving import Dashboard
from tests.fakes.engine import Engine
from tests.fakes.messages import message, message_uuid


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


async def test_the_list_updates_itself(dashboard: Dashboard, browser: Browser) -> None:
    first = one_message(dashboard, 1)
    await accept(dashboard, first)
    tab = await log_in(await dashboard.login_link(), await browser.new_context())
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
    page = (await log_in(await dashboard.login_link(), await browser.new_context())).page
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
    tab = await log_in(await dashboard.login_link(), await browser.new_context())
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
    page = (await log_in(await dashboard.login_link(), await browser.new_context())).page
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
    tab = await log_in(await dashboard.login_link(), await browser.new_context())
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
    page = (await log_in(await dashboard.login_link(), context)).page
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
    page = (await log_in(await dashboard.login_link(), await browser.new_context())).page
    await page.goto(f"{dashboard.base_url}/dashboard/messages?status=queued")
    await expect(page.get_by_role("status")).to_have_text("live")
    reached = []
    for _ in range(23):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "((element) => element.name || element.ariaLabel || element.textContent)(document.activeElement)"
                ".trim().replace(/\\s+/g, ' ')"
            )
        )
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached == [
        "Skip to content",
        "Ringback",
        "Overview",
        "Analytics",
        "Messages",
        "Callbacks",
        "Replays",
        "Endpoints",
        "Carriers",
        "Numbers",
        "Received",
        "Bins",
        "operator",
        "Colours: as the system. Change to: light.",
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
    tab = await log_in(await dashboard.login_link(), await browser.new_context())
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
