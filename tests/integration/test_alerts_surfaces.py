"""Alerts as people and programs meet them: the page, the banner, the operator's API, the metric."""

from pathlib import Path

import aiohttp
import pytest

from ringback.model.alerts import Alert, State
from ringback.store import alerts
from ringback.store.logins import Link
from ringback.store.rollups import HOUR_US
from ringback.web.dashboard import csrf
from ringback.web.dashboard.alerts import DONE, MUTES
from ringback.web.operator import make_token
from tests.conformance.test_alerts import NOW_US, an_alert
from tests.data.dashboard.seeding import MAIN, add_accounts
from tests.data.dashboard.serving import Dashboard, page, plain
from tests.fakes.platform import running, settings_for
from tests.integration.test_operator_api import Operator

LIST = "/dashboard/analytics/alerts"


async def test_the_page_and_the_banner(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    words = plain(await page(operator, LIST))
    assert "Nothing is wrong." in words
    alert, over = an_alert(1), an_alert(2, state=State.RESOLVED, resolved_at_us=NOW_US, resolved_by="itself")
    for each in (alert, over):
        await dashboard.store.write(lambda tx, each=each: alerts.save(tx, each))

    words = plain(await page(operator, LIST))
    assert "delivery drop" in words
    assert "95.0 % → 60.0 %" in words
    assert "less than 1 in a billion" in words
    assert "Alerts: IN delivery drop" in plain(await page(operator, "/dashboard/endpoints"))

    one = plain(await page(operator, f"{LIST}/{alert.id}"))
    assert "IN: fewer messages are delivered" in one
    assert "400 of 1,000, compared with 4,000 before" in one


async def test_an_alert_that_is_not_there(operator: aiohttp.ClientSession) -> None:
    async with operator.get(f"{LIST}/nothing") as answer:
        assert answer.status == 404
        assert "There is no such alert." in plain(await answer.text())


async def stand(dashboard: Dashboard) -> Alert:
    """Store an open alert."""
    alert = an_alert(raised_at_us=dashboard.clock.now_us())
    await dashboard.store.write(lambda tx: alerts.save(tx, alert))
    return alert


async def now_of(dashboard: Dashboard, alert: Alert) -> Alert:
    """Read it as it is now."""
    found = await dashboard.store.read(lambda tx: alerts.find(tx, alert.id))
    assert found is not None
    return found


async def press(client: aiohttp.ClientSession, alert: Alert, action: str, **form: str) -> str:
    """Press a button of an alert's page; give the words of the page that follows."""
    async with client.post(f"{LIST}/{alert.id}", data={"action": action, **form}) as answer:
        assert (answer.status, answer.url.path) == (200, f"{LIST}/{alert.id}")
        return plain(await answer.text())


async def test_the_buttons_of_an_alert(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    alert, now_us = await stand(dashboard), dashboard.clock.now_us()
    banner = "Alerts: IN delivery drop"
    assert banner in plain(await page(operator, "/dashboard/endpoints"))

    assert "Noted that you see to it" in await press(operator, alert, "acknowledge", note=" asked the carrier ")
    seen = await now_of(dashboard, alert)
    assert (seen.acknowledged_at_us, seen.acknowledged_by, seen.note) == (now_us, "operator", "asked the carrier")
    assert banner not in plain(await page(operator, "/dashboard/endpoints"))

    words = await press(operator, alert, "mute", hours="168")
    assert "Muted: nothing is sent of it" in words
    assert "Mute no longer" in words
    assert (await now_of(dashboard, alert)).muted_until_us == now_us + 168 * HOUR_US
    assert "No longer muted." in await press(operator, alert, "unmute")
    assert (await now_of(dashboard, alert)).muted_until_us is None

    words = await press(operator, alert, "resolve")
    assert "Ended." in words
    over = await now_of(dashboard, alert)
    assert (over.state, over.resolved_by, over.resolved_at_us) == (State.RESOLVED, "operator", now_us)
    # What is over has no buttons that end it or see to it.
    assert "I see to it" not in words
    assert "End it" not in words
    history = await dashboard.store.read(lambda tx: alerts.notes(tx, alert.id))
    assert [(note.what, note.by, note.at_us) for note in history] == [
        (what, "operator", now_us) for what in ("acknowledged", "muted", "unmuted", "resolved")
    ]


@pytest.mark.parametrize("hours", sorted(MUTES, key=int))
async def test_an_alert_is_muted_for_as_long_as_is_offered(
    dashboard: Dashboard, operator: aiohttp.ClientSession, hours: str
) -> None:
    alert = await stand(dashboard)
    assert f'<option value="{hours}"' in await page(operator, f"{LIST}/{alert.id}")
    await press(operator, alert, "mute", hours=hours)
    assert (await now_of(dashboard, alert)).muted_until_us == dashboard.clock.now_us() + int(hours) * HOUR_US


@pytest.mark.parametrize("token", ["", "0" * 64, "of another session"])
@pytest.mark.parametrize("action", sorted(DONE))
async def test_no_button_of_an_alert_works_without_its_token(
    dashboard: Dashboard, operator: aiohttp.ClientSession, action: str, token: str
) -> None:
    alert = await stand(dashboard)
    given = csrf.token_of("another") if token.startswith("of") else token
    del operator.headers[csrf.HEADER]
    form = {"action": action, "hours": "24", csrf.FIELD: given}
    async with operator.post(f"{LIST}/{alert.id}", data=form, allow_redirects=False) as answer:
        assert answer.status == 403
        assert "reload it" in await answer.text()
    assert await now_of(dashboard, alert) == alert
    assert await dashboard.store.read(lambda tx: alerts.notes(tx, alert.id)) == []


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "The request did not say what to do."),
        ({"action": "forget"}, "The request did not say what to do."),
        ({"action": "mute", "hours": "5"}, "The request did not say for how long."),
        ({"action": "mute", "hours": "soon"}, "The request did not say for how long."),
        ({"action": "mute"}, "The request did not say for how long."),
    ],
)
async def test_a_form_that_says_nothing_changes_nothing(
    dashboard: Dashboard, operator: aiohttp.ClientSession, form: dict[str, str], words: str
) -> None:
    alert = await stand(dashboard)
    async with operator.post(f"{LIST}/{alert.id}", data=form) as answer:
        assert answer.status == 400
        assert words in plain(await answer.text())
    assert await now_of(dashboard, alert) == alert


async def test_a_button_of_an_alert_that_is_not_there(operator: aiohttp.ClientSession) -> None:
    async with operator.post(f"{LIST}/nothing", data={"action": "acknowledge"}) as answer:
        assert answer.status == 404


async def test_alerts_are_the_operators(dashboard: Dashboard) -> None:
    alert = await stand(dashboard)
    await dashboard.store.write(lambda tx: add_accounts(tx, 1))
    async with dashboard.somebody(Link(account_id=MAIN)) as client:
        assert "There is no such alert." in plain(await page(client, LIST, status=404))
        async with client.post(f"{LIST}/{alert.id}", data={"action": "resolve"}) as answer:
            assert answer.status == 404
    assert await now_of(dashboard, alert) == alert


async def test_the_operators_api_and_the_metric(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        store = ringback.platform.store
        operator = Operator(ringback, await make_token(store))
        alert = an_alert()
        await store.write(lambda tx: alerts.save(tx, alert))

        status, listed = await operator.call("GET", "Alert/?state=open")
        assert (status, [each["alert_id"] for each in listed["objects"]]) == (200, [alert.id])
        status, refused = await operator.call("GET", "Alert/?kind=nothing")
        assert (status, "kind parameter must be one of" in refused["error"]) == (400, True)
        path = f"Alert/{alert.id}/"
        _, seen_to = await operator.call("POST", path + "Acknowledge/", {"note": "mine"})
        assert (seen_to["acknowledged_by"], seen_to["note"]) == ("operator", "mine")
        _, muted = await operator.call("POST", path + "Mute/", {"hours": 2})
        assert muted["muted_until"] is not None
        _, unmuted = await operator.call("POST", path + "Unmute/")
        assert unmuted["muted_until"] is None
        async with ringback.http.get(f"{ringback.url}/metrics") as answer:
            assert 'ringback_alerts_firing{kind="delivery_drop"} 1.0' in await answer.text()
        _, over = await operator.call("POST", path + "Resolve/", {})
        assert (over["state"], over["resolved_by"]) == ("resolved", "operator")
        _, one = await operator.call("GET", path)
        assert [each["what"] for each in one["history"]] == ["acknowledged", "muted", "unmuted", "resolved"]
        status, refused = await operator.call("POST", "Alert/Test/")
        assert (status, refused["error"]) == (400, "nothing was sent: set alerts.url and alerts.account")
        assert (await operator.call("GET", "Alert/00000000-0000-7000-8000-000000000009/"))[0] == 404
