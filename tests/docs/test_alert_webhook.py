"""The check of docs/alerts.md, on webhooks that the callback engine delivers to an endpoint on loopback."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ringback.analytics.alerting import callback_of, resolve, send_test
from ringback.settings_analytics import AlertsSettings
from ringback.store import alerts, callbacks
from ringback.store.port import Transaction
from ringback.wiring.chance import new_id
from tests.conformance.test_alerts import an_alert
from tests.docs.documents import marked
from tests.fakes.endpoint import Recorded, recording_endpoint
from tests.fakes.platform import Running, running, settings_for

REFUSED: dict[str, dict[str, Any]] = {
    "another body": {"body": b'{"event":"resolved"}'},
    "another token": {"auth_token": "another"},
    "another time": {"webhook-timestamp": "1764000000"},
    "another id": {"webhook-id": "00000000-0000-7000-8000-000000000009"},
    "another signature": {"webhook-signature": "v1,AAAA"},
}


async def delivered(ringback: Running, url: str) -> None:
    """Raise an alert, end it, and send a test: three callbacks, each owed in the commit that it tells of."""
    now_us, alert = ringback.platform.clock.now_us(), an_alert()
    settings = AlertsSettings(url=url, account=ringback.account.auth_id)

    def begin(tx: Transaction) -> None:
        alerts.save(tx, alert)
        callbacks.owe(tx, callback_of(settings, alert, "raised", now_us, new_id))

    end = partial(resolve, alert_id=alert.id, by="eve", now_us=now_us, settings=settings, new_id=new_id)
    for work in (begin, end, partial(send_test, settings=settings, now_us=now_us, new_id=new_id)):
        await ringback.platform.store.write(work)
    ringback.platform.wakeups.signal("callbacks")
    await ringback.until_called_back()


def is_genuine(recorded: Recorded, token: str, **changes: Any) -> bool:
    """Ask the example of the page, which takes names of headers in small letters."""
    page: dict[str, Any] = {}
    exec(marked("run: verify an alert").text, page)  # noqa: S102 - it is what the page tells to do
    headers = {name.lower(): value for name, value in recorded.headers}
    headers |= {name: value for name, value in changes.items() if name in headers}
    genuine: bool = page["is_genuine"](headers, changes.get("body", recorded.body), changes.get("auth_token", token))
    return genuine


async def test_the_check_of_the_page_knows_what_ringback_sends(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path)) as ringback:
        await delivered(ringback, f"{endpoint.url}/alerts")
        token = ringback.account.tokens[0]

    told = {json.loads(each.body)["event"]: each for each in endpoint.requests}
    assert sorted(told) == ["raised", "resolved", "test"]
    assert {(each.method, each.target, each.header("content-type")) for each in told.values()} == {
        ("POST", "/alerts", "application/json")
    }
    assert len({each.header("webhook-id") for each in told.values()}) == 3
    assert [is_genuine(each, token) for each in told.values()] == [True, True, True]
    for what, changes in REFUSED.items():
        assert not is_genuine(told["raised"], token, **changes), what


async def test_what_is_sent_has_the_members_that_the_page_shows(tmp_path: Path) -> None:
    shown = json.loads(marked("an alert's webhook").text)
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path)) as ringback:
        await delivered(ringback, endpoint.url)

    for recorded in endpoint.requests:
        body = json.loads(recorded.body)
        assert body.keys() == shown.keys()
        assert body["alert"].keys() == shown["alert"].keys()
        assert body["alert"]["first"].keys() == shown["alert"]["first"].keys()


@pytest.mark.parametrize("name", ["latest", "worst"])
def test_the_page_leaves_out_what_is_the_same(name: str) -> None:
    alert = json.loads(marked("an alert's webhook").text)["alert"]
    assert alert[name].keys() < alert["first"].keys()
