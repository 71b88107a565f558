"""Callbacks and replays on the dashboard: finding, paging, the dry run, beginning, following and cancelling."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import aiohttp
import pytest

from ringback.delivery import replay
from ringback.delivery.replay import Replayer
from ringback.metrics import Metrics
from ringback.store import endpoints, replays, resends
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from ringback.store.wakeups import Wakeups
from ringback.web.dashboard.replays import BAD_RATE, STILL_TRIED
from tests.data.dashboard.seeding import MAIN, SECOND, add_accounts
from tests.data.dashboard.serving import ORIGIN, Dashboard, page, plain, serve
from tests.fakes.engine import Engine

LIST = "/dashboard/callbacks"
REPLAYS = "/dashboard/replays"
OTHER = "https://other.example:8443"


def engine(dashboard: Dashboard) -> Engine:
    return Engine(dashboard.store, dashboard.clock, window=500)


def listed(html: str) -> list[str]:
    """Return the ids of the callbacks that a page lists."""
    return re.findall(r'<tr id="c-([^"]+)"', html)


async def ids(dashboard: Dashboard, wanted: Filter) -> list[str]:
    """Return the ids of callbacks, newest first."""
    found = await dashboard.store.read(lambda tx: resends.listed(tx, wanted, limit=1000)[0])
    return [callback.id for callback in found]


async def given_up(dashboard: Dashboard, count: int = 3) -> list[str]:
    """Let messages have callbacks that are given up; gives their ids, newest first."""
    await dashboard.owe(count=count)
    await engine(dashboard).give_up()
    return await ids(dashboard, Filter(state="given_up"))


async def post(client: aiohttp.ClientSession, path: str, **form: str) -> tuple[int, str]:
    """Send a form; gives the status, and where it leads or what it says."""
    async with client.post(path, data=form, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location") or await answer.text()


async def begin(dashboard: Dashboard, *, rate_per_s: float = 10, account_id: str | None = None) -> Replay:
    return await replay.start(
        dashboard.store,
        Filter(state="given_up", not_resent=True),
        rate_per_s=rate_per_s,
        account_id=account_id,
        new_id=dashboard.new_id,
        now_us=dashboard.clock.now_us(),
    )


def worker(dashboard: Dashboard) -> Replayer:
    return Replayer(
        store=dashboard.store, clock=dashboard.clock, new_id=dashboard.new_id, wakeups=Wakeups(), metrics=Metrics()
    )


async def run_out(dashboard: Dashboard) -> None:
    """Let every replay come to its end."""
    replayer = worker(dashboard)
    while await dashboard.store.read(replays.next_due_at_us) is not None:
        await replayer.step()
        dashboard.clock.advance(1)


# ---- callbacks ----


async def test_every_filter_finds_its_own(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await dashboard.store.write(lambda tx: add_accounts(tx, 1))
    [first] = await dashboard.owe()
    await engine(dashboard).give_up()
    dashboard.clock.advance(60)
    await dashboard.owe(origin=OTHER, account_id=SECOND)
    await engine(dashboard).deliver()
    dashboard.clock.advance(60)
    await dashboard.owe()
    newest, middle, oldest = await ids(dashboard, Filter())
    for query, expected in {
        "": [newest, middle, oldest],
        "state=&account=&endpoint=&message=&since=&until=": [newest, middle, oldest],
        "state=given_up": [oldest],
        "state=delivered": [middle],
        "state=pending": [newest],
        f"account={SECOND}": [middle],
        f"account={MAIN}&state=given_up": [oldest],
        "endpoint=https%3A%2F%2FOne.example%3A443%2Fstatus%3Fa": [newest, oldest],
        f"endpoint={OTHER}&state=given_up": [],
        f"message={first.uuid.upper()}": [oldest],
        "since=2025-11-24+16:00&until=2025-11-24T16:00:30Z": [oldest],
        "since=2025-11-24 16:05": [newest, middle],
    }.items():
        assert listed(await page(operator, f"{LIST}?{query}")) == expected, query
    assert "No callback like this" in await page(operator, f"{LIST}?state=pending&endpoint={OTHER}")
    html = await page(operator, f"{LIST}?account={SECOND}&since=2025-11-24 16:05")
    assert f'<option value="{SECOND}" selected>' in html
    assert 'name="since" value="2025-11-24 16:05"' in html


async def test_a_row_says_how_its_callback_is_doing(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    [sent] = await dashboard.owe()
    [id_] = await ids(dashboard, Filter())
    words = plain(await page(operator, LIST))
    assert (
        "2025-11-24 16:00:00Z pending 0 attempts 2025-11-24 16:00:00Z just now https://one.example 1 " + sent.uuid[-12:]
    ) in words
    await engine(dashboard).give_up()
    html = await page(operator, LIST)
    assert "2025-11-24 16:00:00Z given up 4 attempts ended 2025-11-24 16:12:00Z https://one.example" in plain(html)
    assert f'href="/dashboard/messages/{sent.uuid}#c-{id_}"' in html
    assert f'href="/dashboard/endpoints/{endpoints.key(MAIN, ORIGIN)}"' in html
    assert f'<article class="callback" id="c-{id_}">' in await page(operator, f"/dashboard/messages/{sent.uuid}")


async def test_pages_cover_every_callback_once(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await given_up(dashboard, 70)
    await dashboard.owe(count=50)
    for query, wanted in (("", Filter()), ("?state=given_up", Filter(state="given_up"))):
        address, seen = f"{LIST}{query}", list[str]()
        while address:
            html = await page(operator, address)
            seen += listed(html)
            older = re.search(r'href="([^"]+)" rel="next"', html)
            address = unescape(older[1]) if older else ""
        assert seen == await ids(dashboard, wanted)
    assert "That is all." in html
    # What is no cursor is none.
    assert len(listed(await page(operator, f"{LIST}?before=<b>"))) == 50


async def test_a_look_that_ends_early_says_so_and_goes_on(
    dashboard: Dashboard, operator: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dashboard.owe(origin=OTHER)
    await dashboard.owe(count=30)
    [sought] = await ids(dashboard, Filter(endpoint=OTHER))
    monkeypatch.setattr(resends.newest, "__kwdefaults__", {"before": None, "look_at": 20})
    html = await page(operator, f"{LIST}?endpoint={OTHER}")
    assert listed(html) == []
    assert "Nothing matches among the 10,000 callbacks that were looked at. There are older ones." in plain(html)
    older = re.search(r'href="([^"]+)" rel="next">Look at older ones', html)
    assert older is not None
    assert listed(await page(operator, unescape(older[1]))) == [sought]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=lost", "The state is one of pending, delivered and given up."),
        ("account=me", "The account is given by its auth id"),
        ("message=42", "The message is given by its uuid"),
        ("endpoint=example.com", "The endpoint is a scheme, a host and perhaps a port"),
        ("endpoint=http%3A%2F%2F%5B", "The endpoint is a scheme"),
        ("endpoint=https%3A%2F%2Fa%00b", "The endpoint is a scheme"),
        ("since=yesterday", "The first time is a date and a time in UTC, such as 2026-01-31 12:00."),
        ("until=2026-02-30 12:00", "The last time is a date and a time in UTC"),
        ("since=2026-01-31 12:00&until=2026-01-31 12:00", "The first time must be before the last one."),
    ],
)
@pytest.mark.parametrize("path", [LIST, f"{REPLAYS}/new"])
async def test_what_cannot_be_understood_is_named(
    dashboard: Dashboard, operator: aiohttp.ClientSession, path: str, query: str, said: str
) -> None:
    await dashboard.owe()
    html = await page(operator, f"{path}?{query}", status=400)
    assert said in plain(html)
    assert listed(html) == []


@pytest.mark.parametrize("log", ["true", "false"])
async def test_hidden_numbers_stay_hidden(dashboard: Dashboard, operator: aiohttp.ClientSession, log: str) -> None:
    await dashboard.owe(origin="https://14155550123.example", log=log)
    await engine(dashboard).give_up()
    for path in (LIST, f"{REPLAYS}/new?state=given_up"):
        html = await page(operator, path)
        main = html[html.index("<main") :]
        assert ("14155550123" in main) == (log == "true")
        assert ("141XXXXX123.example" in main) == (log == "false")


async def test_hostile_filters_stay_text(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    evil = "\"'><script>alert(1)</script>\u202e"
    names = ("state", "account", "endpoint", "message", "since", "until", "before", "again", "replay", "did")
    for path in (LIST, REPLAYS, f"{REPLAYS}/new", f"{REPLAYS}/part"):
        async with operator.get(path, params=dict.fromkeys(names, evil)) as answer:
            html = await answer.text()
            assert answer.status in {200, 400}
        assert "<script>alert" not in html, path


async def test_empty_pages_say_what_would_be_there(operator: aiohttp.ClientSession) -> None:
    assert "No callback yet" in await page(operator, LIST)
    assert "No replay yet" in await page(operator, REPLAYS)
    assert "No older replay" in await page(operator, f"{REPLAYS}?before=019ab000-0000-7000-8000-000000000001")


# ---- sending once more ----


async def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    found = await given_up(dashboard, 7)
    html = await page(operator, f"{LIST}?state=given_up&endpoint={ORIGIN}")
    begun_with = html[html.index(f'action="{REPLAYS}/new"') : html.index("Send these once more")]
    assert f'<input type="hidden" name="endpoint" value="{ORIGIN}">' in begun_with
    html = await page(operator, f"{REPLAYS}/new?state=given_up&endpoint={ORIGIN}")
    assert "A dry run: nothing has been sent 7 callbacks given up, to https://one.example, owed before" in plain(html)
    assert listed(html) == found[:1:-1], "the oldest five, oldest first"
    assert "Without those that somebody has sent once more already." in plain(html)
    assert f'href="{REPLAYS}/new?state=given_up&amp;endpoint=https%3A%2F%2Fone.example&amp;again=1"' in html
    assert await ids(dashboard, Filter(state="pending")) == []
    assert await dashboard.store.read(lambda tx: replays.page(tx, limit=9)) == []


async def test_nothing_to_send_and_what_is_still_tried_cannot_be_begun(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    await dashboard.owe()
    html = await page(operator, f"{REPLAYS}/new")
    assert "No callback matches that has ended and that nobody has sent once more." in plain(html)
    assert 'name="rate"' not in html
    assert STILL_TRIED in await page(operator, f"{REPLAYS}/new?state=pending", status=400)
    assert "Send these once more" not in await page(operator, f"{LIST}?state=pending")
    status, said = await post(operator, REPLAYS, state="pending", rate="50")
    assert (status, STILL_TRIED in said) == (400, True)


async def test_more_than_can_be_counted_is_said_so(
    dashboard: Dashboard, operator: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await given_up(dashboard, 7)
    monkeypatch.setattr(resends.survey, "__kwdefaults__", {"show": 0, "look_at": 5})
    words = plain(await page(operator, f"{REPLAYS}/new?state=given_up"))
    assert "at least 5 callbacks" in words
    assert "There were too many to count them all." in words
    await begin(dashboard)
    assert "0 of at least 5" in plain(await page(operator, REPLAYS))


async def test_what_a_dry_run_has_shown_is_begun_followed_and_ends(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    found = await given_up(dashboard, 12)
    html = await page(operator, f"{REPLAYS}/new?state=given_up")
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    dashboard.clock.advance(1)
    await given_up(dashboard, 3)
    listener = dashboard.context.wakeups.listen("replays")
    status, where = await post(operator, REPLAYS, **form, rate="20")
    assert status == 303
    assert await listener.wait(0)
    words = plain(await page(operator, where))
    assert "has begun. " in words
    assert "by the operator running 0 of 12 about 600 ms left 20 a second given up, owed before" in words
    replayer = worker(dashboard)
    await replayer.step()
    html = await page(operator, REPLAYS)
    assert '<progress max="12" value="5"' in html
    assert "5 of 12 about 350 ms left" in plain(html)
    dashboard.clock.advance(60)
    assert "waiting: no process with the role deliver seems to work" in plain(await page(operator, REPLAYS))
    await run_out(dashboard)
    html = await page(operator, REPLAYS)
    assert "by the operator finished 12 of 12 20 a second" in plain(html)
    assert ">Cancel</button>" not in html
    copies = await dashboard.store.read(lambda tx: resends.listed(tx, Filter(state="pending"), limit=99)[0])
    assert sorted(copy.resend_of or "" for copy in copies) == sorted(found), "what came later is not among them"
    assert "pending once more 0 attempts" in plain(await page(operator, f"{LIST}?state=pending"))
    listener.close()


@pytest.mark.parametrize("rate", ["", "fast", "0", "1000.5", "nan", "inf", "-1", "9" * 400])
async def test_a_rate_that_cannot_be_is_named_and_the_dry_run_shown_again(
    dashboard: Dashboard, operator: aiohttp.ClientSession, rate: str
) -> None:
    await given_up(dashboard)
    status, html = await post(operator, REPLAYS, state="given_up", rate=rate)
    assert status == 400
    assert BAD_RATE in plain(html)
    assert "A dry run: nothing has been sent 3 callbacks" in plain(html)
    assert await dashboard.store.read(lambda tx: replays.page(tx, limit=9)) == []


async def test_again_takes_what_was_sent_once_more(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await given_up(dashboard, 2)
    await begin(dashboard)
    await run_out(dashboard)
    await engine(dashboard).give_up()
    assert "No callback matches" in plain(await page(operator, f"{REPLAYS}/new?state=given_up"))
    html = await page(operator, f"{REPLAYS}/new?state=given_up&again=1")
    words = plain(html)
    assert "4 callbacks given up, owed before" in words
    assert "also those sent once more before Those that somebody has sent once more already are among them" in words
    assert 'name="again" value="1"' in html


async def test_a_replay_is_cancelled_where_it_is(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await given_up(dashboard, 12)
    begun = await begin(dashboard, account_id=MAIN)
    await worker(dashboard).step()
    html = await page(operator, REPLAYS)
    assert f"by {MAIN} running" in plain(html)
    assert f'action="{REPLAYS}/{begun.id}"' in html
    status, where = await post(operator, f"{REPLAYS}/{begun.id}")
    assert status == 303
    words = plain(await page(operator, where))
    assert "is cancelled; what it has sent stays sent." in words
    assert "cancelled 2 of 12" in words
    assert (await post(operator, f"{REPLAYS}/{begun.id}"))[0] == 303, "a second time changes nothing"
    for nobody in ("019ab000-0000-7000-8000-000000000001", "nonsense"):
        assert (await post(operator, f"{REPLAYS}/{nobody}"))[0] == 404


async def test_what_has_finished_meanwhile_is_said_so(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    begun = await begin(dashboard)
    await worker(dashboard).step()
    _, where = await post(operator, f"{REPLAYS}/{begun.id}")
    assert "had finished before it could be cancelled." in plain(await page(operator, where))


async def test_the_list_of_replays_has_pages(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    begun = []
    for _ in range(60):
        begun.append((await begin(dashboard)).id)
        dashboard.clock.advance(0.001)
    address, seen = REPLAYS, list[str]()
    while address:
        html = await page(operator, address)
        seen += re.findall(r'<tr id="r-([^"]+)"', html)
        older = re.search(r'href="([^"]+)" rel="next"', html)
        address = unescape(older[1]) if older else ""
    assert seen == begun[::-1]


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
async def test_forms_on_other_sites_change_nothing(
    dashboard: Dashboard, operator: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    await given_up(dashboard)
    begun = await begin(dashboard)
    for path in (REPLAYS, f"{REPLAYS}/{begun.id}"):
        async with operator.post(path, data={"state": "given_up", "rate": "50"}, headers=headers) as answer:
            assert answer.status == 403
    assert await dashboard.store.read(lambda tx: replays.page(tx, limit=9)) == [begun]


async def test_without_a_session_there_is_nothing_to_see_or_do(dashboard: Dashboard) -> None:
    [given, *_] = await given_up(dashboard)
    begun = await begin(dashboard)
    places = [("GET", path) for path in (LIST, REPLAYS, f"{REPLAYS}/part", f"{REPLAYS}/new")]
    async with dashboard.stranger() as client:
        for method, path in [*places, ("POST", REPLAYS), ("POST", f"{REPLAYS}/{begun.id}")]:
            async with client.request(method, path, data={"rate": "50"}, allow_redirects=False) as answer:
                assert (answer.status, await answer.text()) == (303, "")
        async with client.get("/dashboard/live?rows=replays", allow_redirects=False) as answer:
            assert answer.status == 303
        assert given not in await page(client, LIST, status=401)
    assert await dashboard.store.read(lambda tx: replays.page(tx, limit=9)) == [begun]


# ---- the live stream ----


@asynccontextmanager
async def followed(tmp_path: Path) -> AsyncIterator[tuple[Dashboard, aiohttp.ClientSession]]:
    async with serve(tmp_path, frame_interval_s=0.01, heartbeat_s=0.05) as dashboard, dashboard.operator() as client:
        yield dashboard, client


async def changes(answer: aiohttp.ClientResponse, count: int) -> list[str]:
    """Read the ids of so many frames that say that something has changed."""
    found: list[str] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            line = (await answer.content.readline()).decode()
            assert line, "the stream has ended"
            if line.startswith("id: "):
                found.append(line[4:].strip())
    return found


async def test_a_page_of_replays_is_told_of_changes_since_it_was_drawn(tmp_path: Path) -> None:
    async with followed(tmp_path) as (dashboard, client):
        await given_up(dashboard, 12)
        await begin(dashboard)
        html = unescape(await page(client, REPLAYS))
        drawn = re.search(r'data-live="(/dashboard/live\?rows=replays&after=(\d+))"', html)
        assert drawn is not None
        assert 'data-part="/dashboard/replays/part"' in html
        await worker(dashboard).step()
        async with client.get(drawn[1]) as answer:
            [first] = await changes(answer, 1)
            assert first != drawn[2]
            # Nobody says so: another process may be at it.
            dashboard.clock.advance(1)
            await worker(dashboard).step()
            assert await changes(answer, 1) != [first]
        part = await page(client, f"{REPLAYS}/part")
        assert "<html" not in part
        assert "4 of 12" in plain(part)
        async with client.get("/dashboard/live?rows=replays", headers={"Last-Event-ID": drawn[2]}) as answer:
            assert await changes(answer, 1) != [drawn[2]], "who comes back after a break is told, too"


async def test_a_stream_of_replays_ends_with_its_session(tmp_path: Path) -> None:
    async with followed(tmp_path) as (dashboard, client), client.get("/dashboard/live?rows=replays") as answer:
        await changes(answer, 1)
        dashboard.clock.advance(13 * 3600)
        async with asyncio.timeout(60):
            assert "event: over" in (await answer.content.read()).decode()
