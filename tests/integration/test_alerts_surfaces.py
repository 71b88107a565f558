"""Alerts as people and programs meet them: the page, the banner, the operator's API, the metric."""

from pathlib import Path

import aiohttp

from ringback.model.alerts import State
from ringback.store import alerts
from ringback.web.operator import make_token
from tests.conformance.test_alerts import NOW_US, an_alert
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
