"""Inbound messages, their replies and conversions on the dashboard; sending one from there."""

import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from ringback.carriers.port import Inbound, Taken
from ringback.settings import DashboardSettings
from ringback.store import messages, replies
from ringback.web.dashboard import simulate
from ringback.web.dashboard.sessions import make_login_link
from tests.data.dashboard.serving import log_in
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for

PHONE = "14155550199"
FORM = {"from": PHONE, "to": OURS, "text": "Grüße <b>"}


@pytest.fixture
async def ringback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(simulate, "WAIT_S", 60.0)
    async with running(settings_for(tmp_path)) as platform:
        yield platform


@contextlib.asynccontextmanager
async def client(ringback: Running, *, logged_in: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(ringback.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        if logged_in:
            platform = ringback.platform
            link = await make_login_link(platform.store, platform.clock, DashboardSettings(), ringback.url)
            await log_in(http, link)
        yield http


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def bring(ringback: Running, text: str) -> str:
    assert ringback.platform.carrier is not None
    brought = Inbound(connector="simulator", carrier_ref=None, src=PHONE, dst=OURS, text=text)
    answer = await ringback.platform.carrier.bring(brought)
    assert isinstance(answer, Taken)
    return answer.message_uuid


async def test_a_message_sent_from_the_dashboard_arrives(ringback: Running) -> None:
    await own_number(ringback.platform.store, ringback.account.auth_id)
    async with client(ringback) as operator:
        async with operator.get("/dashboard/messages") as answer:
            assert "/dashboard/simulate" in await answer.text()
        async with operator.get("/dashboard/simulate?to=14155550100") as answer:
            assert 'value="14155550100"' in await answer.text()
        async with operator.post("/dashboard/simulate", data=FORM) as answer:
            page = await answer.text()
            assert answer.status == 200
            uuid = answer.url.path.rpartition("/")[2]
    assert "Grüße &lt;b&gt;" in page
    assert "has no message_url" in plain(page)
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, uuid))
    assert found is not None
    assert (found.text, found.status, found.direction) == ("Grüße <b>", "received", "inbound")


async def test_what_is_refused_says_why_and_keeps_what_was_typed(ringback: Running) -> None:
    async with client(ringback) as operator, operator.post("/dashboard/simulate", data=FORM) as answer:
        page = await answer.text()
        assert answer.status == 409
    assert "It was refused: the number belongs to no account." in page
    assert 'value="Grüße &lt;b&gt;"' in page
    assert await ringback.platform.store.read(messages.last_offset) == 0


@pytest.mark.parametrize(
    ("logged_in", "headers"), [(False, {}), (True, {"Sec-Fetch-Site": "cross-site"}), (True, {"Origin": "http://evil"})]
)
async def test_strangers_and_other_sites_send_nothing(
    ringback: Running, *, logged_in: bool, headers: dict[str, str]
) -> None:
    await own_number(ringback.platform.store, ringback.account.auth_id)
    async with (
        client(ringback, logged_in=logged_in) as http,
        http.post("/dashboard/simulate", data=FORM, headers=headers, allow_redirects=False) as answer,
    ):
        assert answer.status in {303, 401, 403}
    assert await ringback.platform.store.read(messages.last_offset) == 0


async def test_replies_are_shown_on_the_page_of_the_message(ringback: Running) -> None:
    async def reply(_: web.Request) -> web.StreamResponse:
        good = f'<Message src="{OURS}" dst="{PHONE}">hi</Message>'
        body = f'<Response>{good}<Message src="{OURS}" dst="abc">x</Message><Play/></Response>'
        return web.Response(text=body, content_type="application/xml")

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<Response>", content_type="text/xml")

    async with recording_endpoint() as endpoint, client(ringback) as operator:
        endpoint.answer_next(reply, broken)
        await own_number(ringback.platform.store, ringback.account.auth_id, message_url=endpoint.url + "/in")
        pages = []
        for _ in range(2):
            uuid = await bring(ringback, "hello")
            await ringback.until(lambda tx, uuid=uuid: replies.of_message(tx, uuid))
            async with operator.get(f"/dashboard/messages/{uuid}") as answer:
                pages.append(await answer.text())
    shown = plain(pages[0])
    (answered,) = await ringback.platform.store.read(
        lambda tx: messages.page(tx, messages.Filter(direction="outbound"), limit=9, offset=0)
    )
    assert f"/dashboard/messages/{answered.uuid}" in pages[0]
    assert "Message refused: abc is not a valid phone number" in shown
    assert "Play ignored: only Message is executed" in shown
    assert "not well-formed XML: no element found in line 1, column 11" in plain(pages[1])


async def test_what_is_not_logged_is_not_shown(ringback: Running) -> None:
    async def reply(_: web.Request) -> web.StreamResponse:
        return web.Response(
            text=f'<Response><Message src="{OURS}" dst="{PHONE}">about the secret</Message></Response>',
            content_type="application/xml",
        )

    async with recording_endpoint() as endpoint, client(ringback) as operator:
        endpoint.answer_next(reply)
        application = {"message_url": endpoint.url + "/in", "log_incoming_messages": False}
        await own_number(ringback.platform.store, ringback.account.auth_id, **application)
        uuid = await bring(ringback, "the secret")
        await ringback.until(lambda tx: replies.of_message(tx, uuid))
        (done,) = await ringback.platform.store.read(lambda tx: replies.of_message(tx, uuid))
        for path in (uuid, done.parts[0].message_uuids[0]):
            async with operator.get(f"/dashboard/messages/{path}") as answer:
                page = await answer.text()
            assert "secret" not in page
            assert PHONE not in page
            assert "141XXXXX199" in page
        async with operator.get("/dashboard/messages") as answer:
            assert PHONE not in await answer.text()


async def test_conversions_are_shown_on_the_page_of_the_message(ringback: Running) -> None:
    _, body = await ringback.send(trackable=True)
    uuid = body["message_uuid"][0]
    await ringback.until_status(uuid, "delivered")
    for status in ("NOT_CONVERTED", "CONVERTED"):
        said = {"status": status, "timestamp": "2026-01-31T12:00:00Z"}
        async with ringback.http.post(f"{ringback.messages_url}{uuid}/Conversion/", json=said, headers=ringback.auth):
            pass
    async with client(ringback) as operator, operator.get(f"/dashboard/messages/{uuid}") as answer:
        shown = plain(await answer.text())
    assert re.search(r"Conversion CONVERTED 2026-01-31 12:00:00.000Z said .* NOT_CONVERTED before 2026", shown)
    assert "conversion CONVERTED at" in shown.replace(" sequence 3", "") or "CONVERTED at 2026-01-31" in shown
