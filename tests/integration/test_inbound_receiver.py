"""Our own callbacks for inbound messages, received by our own receiver: both halves agree."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from ringback.carriers.port import Inbound, Taken
from ringback.settings import DashboardSettings
from ringback.store import received
from ringback.web.dashboard.sessions import make_login_link
from ringback.wiring.backbone import create_account, open_backbone
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with open_backbone(settings_for(tmp_path)) as (store, clock):
        account = await create_account(store, clock, "test")
    settings = settings_for(tmp_path, sources={"own": {"account": account.auth_id}})
    async with running(settings, account=account) as platform:
        yield platform


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_the_receiver_verifies_and_keeps_them(ringback: Running, method: str) -> None:
    url = f"{ringback.url}/hooks/own/sms_inbound?tenant=4"
    store, carrier = ringback.platform.store, ringback.platform.carrier
    assert carrier is not None
    await own_number(store, ringback.account.auth_id, message_url=url, message_method=method)
    brought = Inbound(
        connector="simulator", carrier_ref=None, src="14155550199", dst=OURS, text="Grüße & +1 ü=ß", type="mms",
        media_urls=("https://media.example/a?b=c&d",),
    )  # fmt: skip
    answer = await carrier.bring(brought)
    assert isinstance(answer, Taken)
    await ringback.until_status(answer.message_uuid, "delivered")
    (event,) = await store.read(lambda tx: received.of_messages(tx, [answer.message_uuid]))
    assert (event.status, event.from_number, event.to_number, event.units) == ("received", "14155550199", OURS, 1)
    request = await store.read(lambda tx: received.request(tx, event.request_id))
    assert request is not None
    assert (request.verdict, request.method) == ("v3", method)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_what_is_not_logged_is_not_shown_as_received_either(ringback: Running, method: str) -> None:
    store, carrier = ringback.platform.store, ringback.platform.carrier
    assert carrier is not None
    application = {"message_url": f"{ringback.url}/hooks/own/sms_inbound", "log_incoming_messages": False}
    await own_number(store, ringback.account.auth_id, message_method=method, **application)
    brought = Inbound(connector="simulator", carrier_ref=None, src="14155550199", dst=OURS, text="secret")
    answer = await carrier.bring(brought)
    assert isinstance(answer, Taken)
    await ringback.until_status(answer.message_uuid, "delivered")
    (event,) = await store.read(lambda tx: received.of_messages(tx, [answer.message_uuid]))
    link = await make_login_link(store, ringback.platform.clock, DashboardSettings(), ringback.url)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(ringback.url, cookie_jar=jar) as operator:
        key = urlsplit(link).query.removeprefix("key=")
        async with operator.post("/dashboard/login", data={"key": key}, allow_redirects=False):
            pass
        for path in ("received", f"received/{event.request_id}", f"messages/{answer.message_uuid}"):
            async with operator.get(f"/dashboard/{path}") as shown:
                page = await shown.text()
                assert shown.status == 200
            assert "secret" not in page
            assert "14155550199" not in page
            assert "141XXXXX199" in page


async def test_what_brings_no_message_is_refused(ringback: Running) -> None:
    _, body = await ringback.send(url=f"{ringback.url}/hooks/own/sms_inbound", callback_retry_delays_s="none")
    await ringback.until_called_back()
    assert await ringback.platform.store.read(lambda tx: received.of_messages(tx, body["message_uuid"])) == []
    requests = await ringback.platform.store.read(lambda tx: received.newest(tx, limit=9))
    assert {(request.verdict, request.accepted) for request, _ in requests} == {("malformed", False)}
