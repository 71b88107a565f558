"""Ringback above Ringback: an application, a platform whose carrier is an account of another platform, and that one."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import msgspec
import plivo
import plivo.rest.client
import pytest
import sqlalchemy as sa
from aiohttp import web

from ringback.model.message import Message
from ringback.settings import DashboardSettings
from ringback.store import inbound, messages, received, routing
from ringback.store.inbound import Request
from ringback.web.dashboard.sessions import make_login_link
from ringback.wiring.chance import new_id
from tests.data.media import PNG
from tests.fakes.callers import call, said
from tests.fakes.endpoint import recording_endpoint, status
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run
from tests.fakes.upstream import account_of, nowhere, one_above_the_other
from tests.fakes.upstream import settings as settings_of_account

SAME = (10, 20, 30, 40, 50, 60, 70, 80, 90)
UNANSWERED = "15005550009"
ENDINGS = {
    "15005550001": ("delivered", "000"),
    "15005550002": ("delivered", "000"),
    "15005550003": ("sent", None),
    "15005550004": ("undelivered", "90"),
    "15005550005": ("delivered", "000"),
    "15005550006": ("delivered", "000"),
    "15005550007": ("delivered", "000"),
    "15005550008": ("delivered", "000"),
    UNANSWERED: ("undelivered", "420"),
    **{f"150055500{code}": ("undelivered", str(code)) for code in SAME},
    "15005550091": ("undelivered", "100"),
    "15005550092": ("undelivered", "110"),
    "15005550093": ("undelivered", "1000"),
}
"""The simulated carrier's magic numbers (docs/simulator.md), as they look one platform further down. What failed there
was taken before, so here it is undelivered."""


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    async with one_above_the_other(tmp_path) as both:
        yield both


def _send(client: plivo.RestClient, dst: str, url: str) -> str:
    fields = {"src": OURS, "dst": dst, "text": "Hello", "url": url}
    if dst == UNANSWERED:
        # Long enough that it has left before, however busy the machine is.
        fields["message_expiry"] = 12
    return str(client.messages.create(**fields).message_uuid[0])


async def names(ours: Running, uuid: str) -> tuple[str, str]:
    """What a message is called here, and upstream."""
    message = await ours.platform.store.read(lambda tx: messages.find(tx, None, uuid))
    assert message is not None
    assert message.carrier_ref
    return uuid, message.carrier_ref


async def test_the_official_sdk_meets_every_ending(
    pair: tuple[Running, Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, upstream = pair
    for name in ("PLIVO_API_BASE_URI", "API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1"):
        monkeypatch.setattr(plivo.rest.client, name, f"{ours.url}/v1/Account")
    async with recording_endpoint() as application:

        def send() -> dict[str, str]:
            with plivo.RestClient(ours.account.auth_id, ours.account.tokens[0], timeout=60) as client:
                return {dst: _send(client, dst, application.url) for dst in ENDINGS}

        uuids = await asyncio.to_thread(send)
        for dst, (ending, code) in ENDINGS.items():
            message = await ours.until_status(uuids[dst], ending)
            assert (message.error_code, message.connector, message.route) == (code, "plivo", "default"), dst
        await upstream.until_called_back()
        await ours.until_called_back()
        told = [dict(parse_qsl(request.body.decode())) for request in application.requests]
    for dst, (ending, code) in ENDINGS.items():
        about = [each for each in told if each["MessageUUID"] == uuids[dst]]
        expected = ["queued", "sent"] if ending == "sent" else ["queued", "sent", ending]
        assert [each["Status"] for each in about] == expected, dst
        assert about[-1].get("ErrorCode") == code, dst
    # Both names lead to the message: here, and upstream.
    uuid, theirs = await names(ours, uuids["15005550030"])
    there = await upstream.platform.store.read(lambda tx: messages.find(tx, None, theirs))
    assert there is not None
    assert (there.status, there.error_code, there.dst) == ("undelivered", "30", "15005550030")
    # Everything that came is kept under the carrier's name, verified and in order.
    kept = await ours.platform.store.read(lambda tx: received.of_messages(tx, [theirs]))
    assert [(each.source, each.status, each.flag) for each in kept] == [
        ("carriers/plivo", word, "") for word in ("queued", "sent", "undelivered")
    ]
    history = await ours.platform.store.read(lambda tx: messages.timeline(tx, uuid))
    counted = [(each.status, each.detail) for each in history if not each.flag]
    assert [status for status, _ in counted] == ["queued", "sent", "undelivered"]
    assert counted[-1] == ("undelivered", "called back: undelivered")
    # The callback that it is sent may overtake the answer that names it, and then it tells of nothing that is known.
    flagged = {(each.status, each.flag, each.detail) for each in history if each.flag}
    assert flagged <= {("sent", "intermediate", "called back: sent")}


async def test_a_message_with_media_goes_through(pair: tuple[Running, Running]) -> None:
    ours, upstream = pair
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="dot.png", content_type="image/png")
    url = f"{ours.url}/v1/Account/{ours.account.auth_id}/Media/"
    async with ours.http.post(url, data=form, headers=ours.auth) as response:
        media_id = (await response.json())["objects"][0]["media_id"]
    _, answer = await ours.send(type="mms", media_ids=[media_id], text="Look")
    uuid = answer["message_uuid"][0]
    await ours.until_status(uuid, "delivered")
    _, theirs = await names(ours, uuid)
    async with upstream.http.get(f"{upstream.messages_url}{theirs}/Media/", headers=upstream.auth) as response:
        (medium,) = (await response.json())["objects"]
    async with upstream.http.get(medium["media_url"]) as response:
        assert await response.read() == PNG


@pytest.mark.parametrize("type_", ["sms", "mms"])
async def test_a_phone_reaches_the_application_through_both(pair: tuple[Running, Running], type_: str) -> None:
    ours, upstream = pair
    url = f"{ours.url}/hooks/carriers/plivo/sms_inbound"
    media = ("https://media.example/1.png",) if type_ == "mms" else ()
    reply = f'<Response><Message src="{OURS}" dst="15005550001">Hi</Message></Response>'

    async def answer(_: Any) -> web.StreamResponse:
        return web.Response(text=reply, content_type="application/xml")

    async with recording_endpoint() as application:
        application.answer_next(answer)
        await own_number(upstream.platform.store, upstream.account.auth_id, message_url=url)
        await own_number(ours.platform.store, ours.account.auth_id, message_url=application.url)
        now_us = upstream.platform.clock.now_us()
        phone = Request(
            id=new_id(now_us), src="15005550001", dst=OURS, type=type_, text="Hello", media_urls=media,
            requested_at_us=now_us,
        )  # fmt: skip
        await upstream.platform.store.write(lambda tx: inbound.request(tx, phone))
        (request,) = await application.wait_for(1)
        told = dict(parse_qsl(request.body.decode()))
        assert (told["From"], told["To"], told["Text"], told["Type"]) == ("15005550001", OURS, "Hello", type_)
        assert told.get("Media0") == (media[0] if media else None)
        arrived = await ours.until_status(told["MessageUUID"], "delivered")
        assert (arrived.connector, arrived.direction) == ("plivo", "inbound")
        # The application's answer goes back up, and the platform above knows that the message was taken.
        went_out = messages.Filter(status="delivered", direction="outbound")
        replied = await ours.until(lambda tx: messages.page(tx, went_out, limit=1, offset=0))
        assert (replied[0].src, replied[0].dst) == (OURS, "15005550001")
        assert arrived.carrier_ref is not None
        await upstream.until_status(arrived.carrier_ref.removeprefix("mo:"), "delivered")


async def test_what_a_log_hides_is_hidden_in_what_came_back(pair: tuple[Running, Running]) -> None:
    ours, upstream = pair
    _, answer = await ours.send(dst="15005550030", log="false", text="thistextisfoundnowhereelse")
    uuid = answer["message_uuid"][0]
    await ours.until_status(uuid, "undelivered")
    _, theirs = await names(ours, uuid)
    hook = f"{ours.url}/hooks/carriers/plivo/sms_inbound"
    await own_number(upstream.platform.store, upstream.account.auth_id, message_url=hook)
    await own_number(ours.platform.store, ours.account.auth_id, log_incoming_messages=False)
    now_us = upstream.platform.clock.now_us()
    phone = Request(
        id=new_id(now_us), src="15005550077", dst=OURS, type="sms", text="thisoneneither", media_urls=(),
        requested_at_us=now_us,
    )  # fmt: skip
    await upstream.platform.store.write(lambda tx: inbound.request(tx, phone))
    came = messages.Filter(direction="inbound")
    ((arrived,),) = [await ours.until(lambda tx: messages.page(tx, came, limit=1, offset=0))]
    kept = await ours.platform.store.read(lambda tx: received.newest(tx, limit=10))
    assert {said.message_uuid for _, said in kept if said} == {theirs, arrived.carrier_ref.removeprefix("mo:")}
    paths = ["received", f"messages/{uuid}", f"messages/{arrived.uuid}"]
    paths += [f"received/{request.id}{page}" for request, _ in kept for page in ("", "/signature")]
    for path in paths:
        shown = await _page(ours, path)
        assert not any(
            hidden in shown for hidden in ("15005550030", "15005550077", "thistextisfoundnowhereelse", "thisoneneither")
        ), path
    request = await _page(ours, f"received/{kept[-1][0].id}")
    assert f"/dashboard/messages/{uuid}" in request


async def test_a_callback_counts_once_and_only_when_it_is_signed(tmp_path: Path) -> None:
    target = "/hooks/carriers/plivo/sms_status"
    # Nothing comes from upstream by itself: it is told to call somebody who does not listen.
    base = nowhere()
    async with one_above_the_other(tmp_path, below={"public_url": base}) as (ours, _):
        token = ours.platform.settings.plivo.auth_token
        _, answer = await ours.send()
        uuid = answer["message_uuid"][0]
        await ours.until_status(uuid, "sent")
        _, theirs = await names(ours, uuid)
        forged = await call(ours.http, ours.url, target, said(theirs, "undelivered"), token="wrong", base=base)
        assert forged == 403
        ((refused, _),) = await ours.platform.store.read(lambda tx: received.newest(tx, limit=1))
        why = await _page(ours, f"received/{refused.id}/signature")
        assert "carriers/plivo" in why
        assert "No source of this name" not in why
        assert token not in why
        assert (await ours.until_status(uuid, "sent")).error_code is None
        for word in ("sent", "delivered", "delivered"):
            assert await call(ours.http, ours.url, target, said(theirs, word), token=token, base=base) == 200
        late = await call(ours.http, ours.url, target, said(theirs, "undelivered"), token=token, base=base)
        assert late == 200
        history = await ours.platform.store.read(lambda tx: messages.timeline(tx, uuid))
        kept = await ours.platform.store.read(lambda tx: received.totals_by_source(tx)["carriers/plivo"])
        assert await call(ours.http, ours.url, target, [("MessageUUID", "x")], token=token, base=base) == 400
        nobody = await call(ours.http, ours.url, target.replace("plivo", "other"), said(theirs, "sent"), token=token)
        assert nobody == 404
    assert [(each.status, each.flag) for each in history] == [
        ("queued", ""), ("sent", ""), ("sent", "intermediate"), ("delivered", ""), ("delivered", "duplicate"),
        ("undelivered", "late"),
    ]  # fmt: skip
    assert history[2].detail == "called back: sent"
    assert (kept.requests, kept.rejected, kept.unique, kept.duplicate) == (5, 1, 3, 1)


async def test_what_was_missed_is_asked_for_after_a_restart(tmp_path: Path) -> None:
    # The platform above tries once, and finds nobody.
    async with running(settings_for(tmp_path / "upstream", delivery={"retry_delays_s": []})) as upstream:
        plivo_settings = account_of(upstream, nowhere(), poll_per_s=50.0)
        settings = settings_for(tmp_path / "ours", plivo=plivo_settings)
        endings = {"15005550001": None, "15005550030": "30", "15005550004": "90", "15005550003": None}
        async with running(settings) as ours:
            uuids = [(await ours.send(dst=dst))[1]["message_uuid"][0] for dst in endings]
            for uuid in uuids:
                await ours.until_status(uuid, "sent")
                _, theirs = await names(ours, uuid)
                await upstream.until(lambda tx, it=theirs: _has_ended(messages.find(tx, None, it)))
            await upstream.until_called_back()
        async with running(settings, account=ours.account) as again:
            await again.until_status(uuids[0], "delivered")
            assert (await again.until_status(uuids[1], "undelivered")).error_code == "30"
            assert (await again.until_status(uuids[2], "undelivered")).error_code == "90"
            assert (await again.until_status(uuids[3], "sent")).final_at_us is None


def _has_ended(message: Message | None) -> bool:
    return message is not None and (message.final_at_us is not None or message.dst == "15005550003")


async def test_a_carrier_is_made_by_command_and_its_secrets_are_not_shown(tmp_path: Path) -> None:
    directory, base = tmp_path / "ours", nowhere()
    async with running(settings_for(tmp_path / "upstream")) as upstream:
        server = {"port": urlsplit(base).port, "public_base_url": base}
        async with running(settings_for(directory, server=server)) as ours:
            file = tmp_path / "upstream.json"
            given = {"auth_id": upstream.account.auth_id, "auth_token": upstream.account.tokens[0]}
            file.write_text(json.dumps({**given, "base_url": upstream.url}))

            def command(*arguments: str) -> str:
                done = run("carriers", *arguments, "--data-dir", str(directory))
                assert done.returncode == 0, done.stderr
                return done.stdout

            await asyncio.to_thread(command, "set", "upstream", "--kind", "plivo", "--settings", str(file))
            await ours.until(lambda tx: _is_up(tx, "upstream"))
            shown = json.loads(await asyncio.to_thread(command, "show", "upstream"))
            assert shown["settings"] == {"auth_id": given["auth_id"], "auth_token": "set", "base_url": upstream.url}
            assert [link["state"] for link in shown["links"]] == ["up"]
            _, answer = await ours.send()
            message = await ours.until_status(answer["message_uuid"][0], "delivered")
            assert message.connector == "upstream"
            assert message.carrier_ref is not None
            page = await _page(ours, f"messages/{message.uuid}")
            assert message.carrier_ref in page
            assert page.count("carriers/upstream") == 3
            assert given["auth_token"] not in page + json.dumps(shown)
            # With settings that cannot be read nobody can tell a right signature: it is to be sent again.
            file.write_text('{"auth_id": 7}')
            await asyncio.to_thread(command, "set", "upstream", "--kind", "plivo", "--settings", str(file))
            await ours.until(lambda tx: not _is_up(tx, "upstream"))
            hook = f"{ours.url}/hooks/carriers/upstream/sms_status"
            async with ours.http.post(hook, data=urlencode(said("m", "sent"))) as response:
                assert response.status == 503


def _is_up(tx: sa.Connection, carrier: str) -> bool:
    return any(
        link.carrier == carrier and json.loads(link.snapshot)["state"] == "up" for link in routing.links(tx, since_us=0)
    )


async def _page(ours: Running, path: str) -> str:
    store, clock = ours.platform.store, ours.platform.clock
    key = urlsplit(await make_login_link(store, clock, DashboardSettings(), ours.url)).query.removeprefix("key=")
    async with aiohttp.ClientSession(ours.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as operator:
        async with operator.post("/dashboard/login", data={"key": key}, allow_redirects=False):
            pass
        async with operator.get(f"/dashboard/{path}") as response:
            assert response.status == 200
            return await response.text()


async def test_no_upstream_and_no_answer_hold_messages_back(tmp_path: Path) -> None:
    async with recording_endpoint() as account:
        account.answer_next(*[status(503)] * 100)
        plivo_settings = msgspec.structs.asdict(settings_of_account(account.url))
        async with running(settings_for(tmp_path, plivo=plivo_settings)) as ours:
            _, answer = await ours.send()
            await account.wait_for(3)
            message = await ours.platform.store.read(lambda tx: messages.find(tx, None, answer["message_uuid"][0]))
    assert message is not None
    assert message.status == "queued"
