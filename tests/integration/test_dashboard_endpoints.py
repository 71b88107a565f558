"""Endpoints on the dashboard: their states in words, what the buttons do, and the warning on every page."""

import re
from typing import Any

import aiohttp
import msgspec
import pytest

from ringback.delivery.operate import pause
from ringback.model.circuit import Circuit, CircuitState, Party
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction
from ringback.web.dashboard.endpoints import REASON
from tests.data.dashboard.seeding import MAIN, add_accounts
from tests.data.dashboard.serving import ORIGIN, Dashboard, page, plain

SECOND_US = 1_000_000
LIST = "/dashboard/endpoints"


def rows(html: str) -> dict[str, str]:
    """Return the words of each endpoint's row, by its id, in the order of the list."""
    return {
        found[1]: plain(found[2]).removesuffix(" …")
        for found in re.finditer(r'<tr id="e-([0-9a-f]{32})">(.*?)</tr>', html, re.DOTALL)
    }


async def stand(dashboard: Dashboard, origin: str = ORIGIN, **circuit: Any) -> str:
    """Let an endpoint's circuit be as given; gives its id."""
    id_ = endpoints.key(MAIN, origin)

    def work(tx: Transaction) -> None:
        endpoints.wake(tx, {(MAIN, origin): dashboard.clock.now_us()})
        found = endpoints.by_id(tx, [id_])[id_]
        endpoints.save(tx, [msgspec.structs.replace(found, circuit=Circuit(**circuit))])

    await dashboard.store.write(work)
    return id_


async def stored(dashboard: Dashboard, id_: str) -> Endpoint:
    return (await dashboard.store.read(lambda tx: endpoints.by_id(tx, [id_])))[id_]


# ---- the list ----


async def test_an_empty_list_says_what_an_endpoint_is(operator: aiohttp.ClientSession) -> None:
    words = plain(await page(operator, LIST))
    assert "No endpoint yet" in words
    assert "Endpoints in trouble" not in words


async def test_states_are_told_in_words_and_trouble_comes_first(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    now_us = dashboard.clock.now_us()
    await dashboard.store.write(lambda tx: add_accounts(tx, 1))
    await dashboard.owe(origin="https://works.example", count=3)
    await dashboard.owe(origin="https://busy.example", count=5)
    in_30_s = now_us + 30 * SECOND_US
    states = {
        "https://parked.example": {"state": CircuitState.OPEN, "reason": "10 failed", "probe_at_us": in_30_s},
        "https://due.example": {"state": CircuitState.OPEN, "reason": "asked to wait", "probe_at_us": now_us - 1},
        "https://later.example": {"state": CircuitState.OPEN, "probe_at_us": now_us + 86_400 * SECOND_US},
        "https://probing.example": {"state": CircuitState.HALF_OPEN, "reason": "10 failed"},
        "https://paused.example": {"state": CircuitState.PAUSED, "reason": "they move"},
        "https://gone.example": {"state": CircuitState.DISABLED, "reason": "answered 410 Gone"},
    }
    ids = {origin: await stand(dashboard, origin, **circuit) for origin, circuit in states.items()}
    await dashboard.owe(origin="https://gone.example", count=2)
    found = rows(await page(operator, LIST))
    assert found[ids["https://parked.example"]] == (
        "https://parked.example Shop parked until 16:00:30Z 10 failed 0 \N{EN DASH} 0 Resume Pause Pause it"
    )
    assert " parked, its probe is due asked to wait " in found[ids["https://due.example"]]
    assert " parked until 2025-11-25 16:00:00Z 0 " in found[ids["https://later.example"]]
    assert " probing 10 failed " in found[ids["https://probing.example"]]
    assert found[ids["https://paused.example"]] == "https://paused.example Shop paused they move 0 \N{EN DASH} 0 Resume"
    assert found[ids["https://gone.example"]] == (
        "https://gone.example Shop disabled answered 410 Gone 2 just now 0 Resume"
    )
    working = [endpoints.key(MAIN, f"https://{name}.example") for name in ("busy", "works")]
    assert [found[id_] for id_ in working] == [
        "https://busy.example Shop works 5 just now 0 Pause Pause it",
        "https://works.example Shop works 3 just now 0 Pause Pause it",
    ]
    # Among those in trouble the one with something waiting is first.
    assert next(iter(found)) == ids["https://gone.example"]
    assert set(list(found)[:6]) == set(ids.values())
    assert list(found)[6:] == working


async def test_limits_are_told_in_words(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    id_ = await stand(dashboard)
    limits: dict[str, Any] = {"concurrency": 8, "rate_per_minute": 1200, "retry_delays": "[60,90.5]"}
    await dashboard.store.write(lambda tx: endpoints.configure(tx, id_, **limits, keep_parked=True))
    said = "8 at a time, 1,200 a minute, retries after 60 s, 90.5 s, attempts missed while parked are made later"
    assert said in rows(await page(operator, LIST))[id_]
    await dashboard.store.write(lambda tx: endpoints.configure(tx, id_, retry_delays="[]", keep_parked=False))
    words = plain(await page(operator, f"{LIST}/{id_}"))
    assert "8 at a time 1,200 a minute no retries attempts missed while parked count as made" in words


async def test_pages_cover_every_endpoint_once(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    owed = {(MAIN, f"https://h{number}.example"): 1 for number in range(120)}
    await dashboard.store.write(lambda tx: endpoints.wake(tx, owed))
    for number in range(3):
        await dashboard.owe(origin=f"https://h{number}.example", count=number + 1)
        await stand(dashboard, f"https://h{number + 10}.example", state=CircuitState.PAUSED, reason="x")
    address, seen = LIST, list[str]()
    while address:
        html = await page(operator, address)
        seen += rows(html)
        later = re.search(r'href="([^"]+)" rel="next"', html)
        address = later[1].replace("&amp;", "&") if later else ""
    ids = [endpoints.key(*each) for each in owed]
    assert sorted(seen) == sorted(ids)
    assert set(seen[:3]) == set(ids[10:13])
    assert seen[3:6] == [ids[2], ids[1], ids[0]]
    assert "No more endpoints" in await page(operator, f"{LIST}?after=1-0-{'f' * 32}")
    # What is no cursor is none.
    assert list(rows(await page(operator, f"{LIST}?after=1-0-<b>"))) == seen[:50]


# ---- one endpoint ----


async def test_one_endpoint_shows_its_facts_and_callbacks(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    now_us = dashboard.clock.now_us()
    first = (await dashboard.owe())[0]
    await dashboard.owe(origin="https://other.example")
    id_ = await stand(
        dashboard,
        state=CircuitState.OPEN,
        reason="10 attempts in a row found it down",
        failures=12,
        probe_at_us=now_us + 30 * SECOND_US,
        parked_at_us=now_us - 90 * SECOND_US,
        reopened_at_us=now_us - 7_200 * SECOND_US,
    )
    html = await page(operator, f"{LIST}/{id_}")
    words = plain(html)
    assert "https://one.example parked until 16:00:30Z" in words
    assert "Reason 10 attempts in a row found it down" in words
    assert "Failures in a row 12" in words
    assert "Held back since 2025-11-24 15:58:30.000Z 1 m 30 s ago" in words
    assert "Next probe 2025-11-24 16:00:30.000Z in 30 s" in words
    assert "Reopened 2025-11-24 14:00:00.000Z 2 h 00 m ago" in words
    assert "Waiting 1 first due just now" in words
    assert "It has none of its own: the settings apply." in words
    assert f"2025-11-24 16:00:00Z pending 0 attempts 2025-11-24 16:00:00Z just now 1 {first.uuid[-12:]}" in words
    assert set(re.findall(r"/dashboard/messages/([0-9a-f-]{36})", html)) == {first.uuid}
    for nonsense in ("nonsense", "0" * 32, "%00" * 32):
        await page(operator, f"{LIST}/{nonsense}", status=404)


# ---- buttons ----


async def press(client: aiohttp.ClientSession, id_: str, **form: str) -> str:
    """Press a button, and give the page that follows."""
    async with client.post(f"{LIST}/{id_}", data=form, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return await page(client, answer.headers["Location"])


async def test_pausing_and_resuming_change_the_store_and_are_confirmed(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    await dashboard.owe()
    id_ = endpoints.key(MAIN, ORIGIN)
    listener = dashboard.context.wakeups.listen("callbacks")
    shown = await press(operator, id_, action="pause", reason="  they\tmove \x00\u202e servers ")
    assert "https://one.example is paused: its callbacks are kept until it is resumed." in plain(shown)
    paused = await stored(dashboard, id_)
    assert (paused.circuit.state, paused.circuit.reason) == (CircuitState.PAUSED, "they move servers")
    assert (paused.first_ready_at_us, paused.retry_ready_at_us) == (None, None)
    assert await listener.wait(0)
    dashboard.clock.advance(5)
    shown = await press(operator, id_, action="resume")
    assert "https://one.example is resumed: what was held back is due now" in plain(shown)
    resumed = await stored(dashboard, id_)
    assert (resumed.circuit.state, resumed.first_ready_at_us) == (CircuitState.CLOSED, dashboard.clock.now_us())
    listener.close()


async def test_the_operator_takes_over_what_an_account_paused(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    id_ = await stand(dashboard)
    await dashboard.store.write(lambda tx: pause(tx, id_, by=Party.ACCOUNT, reason="moving house", now_us=1))
    html = await page(operator, f"{LIST}/{id_}")
    assert "Reason moving house paused by the account" in plain(html)
    assert 'value="pause"' in html
    await press(operator, id_, action="pause", reason="unpaid")
    html = await page(operator, f"{LIST}/{id_}")
    assert "Reason unpaid paused by the operator" in plain(html)
    assert 'value="pause"' not in html
    assert (await stored(dashboard, id_)).circuit.paused_by is Party.OPERATOR
    await press(operator, id_, action="resume")
    assert (await stored(dashboard, id_)).circuit.paused_by is None


async def test_a_button_of_the_list_leads_back_to_its_page(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    id_ = await stand(dashboard)
    after = f"0-0-{'0' * 32}"
    form = {"action": "pause", "back": "list", "after": after}
    async with operator.post(f"{LIST}/{id_}", data=form, allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"{LIST}?after={after}&did=pause&endpoint={id_}"
    shown = plain(await page(operator, f"{LIST}?after={after}&did=pause&endpoint={id_}"))
    assert "https://one.example is paused" in shown
    assert f"paused {REASON}" in shown
    form["after"] = "https://evil.example"
    async with operator.post(f"{LIST}/{id_}", data=form, allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"{LIST}?did=pause&endpoint={id_}"


@pytest.mark.parametrize(
    ("state", "did", "said"),
    [
        (CircuitState.CLOSED, "pause", "was paused, and somebody has resumed it since."),
        (CircuitState.DISABLED, "pause", "resumed by somebody, and has answered 410 since."),
        (CircuitState.OPEN, "resume", "was resumed, and is parked again."),
        (CircuitState.PAUSED, "", ""),
    ],
)
async def test_confirmations_follow_the_store_and_not_the_address(
    dashboard: Dashboard, operator: aiohttp.ClientSession, state: CircuitState, did: str, said: str
) -> None:
    id_ = await stand(dashboard, state=state, reason="x")
    html = await page(operator, f"{LIST}/{id_}?did={did}")
    assert said in plain(html)
    assert ('class="done"' in html) == bool(said)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
async def test_buttons_on_other_sites_change_nothing(
    dashboard: Dashboard, operator: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    id_ = await stand(dashboard)
    async with operator.post(f"{LIST}/{id_}", data={"action": "pause"}, headers=headers) as answer:
        assert answer.status == 403
        assert ORIGIN not in await answer.text()
    assert (await stored(dashboard, id_)).circuit.state is CircuitState.CLOSED


async def test_without_a_session_buttons_and_pages_lead_to_the_login(dashboard: Dashboard) -> None:
    id_ = await stand(dashboard, state=CircuitState.PAUSED, reason="x")
    async with dashboard.stranger() as client:
        for method, path in (("GET", LIST), ("GET", f"{LIST}/{id_}"), ("POST", f"{LIST}/{id_}")):
            async with client.request(method, path, data={"action": "resume"}, allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["Location"] == f"/dashboard/login?next={path}"
        assert ORIGIN not in await page(client, LIST, status=401)
    assert (await stored(dashboard, id_)).circuit.state is CircuitState.PAUSED


async def test_a_request_that_asks_for_nothing_does_nothing(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    id_ = await stand(dashboard)
    for form in ({"action": "delete"}, {}, {"action": "pause", "reason": "x" * 5_000}):
        async with operator.post(f"{LIST}/{id_}", data=form) as answer:
            assert answer.status == 400
    for nobody in ("0" * 32, "nonsense"):
        async with operator.post(f"{LIST}/{nobody}", data={"action": "pause"}) as answer:
            assert answer.status == 404
    assert (await stored(dashboard, id_)).circuit.state is CircuitState.CLOSED


# ---- other pages ----


async def test_every_page_warns_of_endpoints_in_trouble(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    sent = (await dashboard.owe())[0]
    paths = ["/dashboard", "/dashboard/messages", f"/dashboard/messages/{sent.uuid}", "/dashboard/received",
             "/dashboard/nowhere", LIST, f"{LIST}/{endpoints.key(MAIN, ORIGIN)}"]  # fmt: skip
    for path in paths:
        assert "Endpoints in trouble" not in await page(operator, path, status=404 if "nowhere" in path else 200)
    await stand(dashboard, "https://gone.example", state=CircuitState.DISABLED, reason="x")
    for path in paths:
        words = plain(await page(operator, path, status=404 if "nowhere" in path else 200))
        assert "Endpoints in trouble: https://gone.example disabled. All endpoints" in words, path
    for number in range(3):
        await stand(dashboard, f"https://p{number}.example", state=CircuitState.PAUSED, reason="x")
    html = await page(operator, "/dashboard")
    assert len(re.findall(r'<a href="/dashboard/endpoints/[0-9a-f]{32}">', html)) == 3
    assert "disabled, https://p" in plain(html)
    assert "and more" in plain(html)
    async with dashboard.stranger() as client:
        assert "gone.example" not in await page(client, "/dashboard/login", status=401)


async def test_a_message_leads_to_its_endpoint_and_warns_of_its_signature(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    sound = (await dashboard.owe())[0]
    html = await page(operator, f"/dashboard/messages/{sound.uuid}")
    assert f'<a href="/dashboard/endpoints/{endpoints.key(MAIN, ORIGIN)}">https://one.example</a>' in html
    assert "do not all verify" not in html
    doubted = (await dashboard.owe(callback_url="https://one.example:8443/a%20b?c=d"))[0]
    words = plain(await page(operator, f"/dashboard/messages/{doubted.uuid}"))
    assert (
        "SDKs do not all verify this callback the same way. The URL names a port, which the Ruby, Java and .NET SDKs "
        "drop; use the default port, unwritten. The path has % or +, which the Go, Java and .NET SDKs decode; use a "
        "path without them. endpoint https://one.example:8443" in words
    )


async def test_hostile_origins_and_reasons_stay_text(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    evil = "https://<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"
    sent = (await dashboard.owe(origin=evil))[0]
    # The markup has a slash, where the origin ends.
    id_ = (await dashboard.store.read(lambda tx: endpoints.page(tx, limit=10)))[0].id
    await dashboard.store.write(lambda tx: pause(tx, id_, by=Party.OPERATOR, reason=evil, now_us=1))
    for path in (
        LIST,
        f"{LIST}?did=pause&endpoint={id_}",
        f"{LIST}/{id_}?did=pause",
        f"/dashboard/messages/{sent.uuid}",
        "/dashboard",
    ):
        html = await page(operator, path)
        assert "&lt;script&gt;" in html, path
        assert "<script>alert" not in html, path
        assert "<img src=x" not in html, path
        assert "\u202e" not in html, path
