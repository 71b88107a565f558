"""An upstream account as a connector, over real sockets: what every answer and every failure makes of a message."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ringback.carriers.plivo.configure import upstream_account
from ringback.carriers.plivo.connector import UpstreamAccount
from ringback.carriers.port import (
    Accepted,
    Awaiting,
    Deferred,
    Outbound,
    OutboundMedia,
    Receipt,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from ringback.dialect.upstream import credentials
from ringback.model.errors import ConfigInvalid, StoreUnavailable
from ringback.model.status import Status
from ringback.runtime import SystemClock
from ringback.settings import load
from ringback.wiring.connectors import of_groups
from tests.data.media import PNG
from tests.fakes.endpoint import Answer, hang, recording_endpoint, reset, status
from tests.fakes.ports import free_port
from tests.fakes.upstream import (
    AUTH_ID,
    TOKEN,
    UUID,
    breaks_off,
    error,
    says,
    settings,
    taken,
    takes_everything,
)

SRC, DST, TEXT = "14155550100", "15005550001", "Hello from a test"
MESSAGES = f"/v1/Account/{AUTH_ID}/Message/"


def connector(url: str, **more: Any) -> UpstreamAccount:
    return upstream_account(settings(url, **more), name="up", public_base_url="", lease_s=60, clock=SystemClock())


def outbound(**more: Any) -> Outbound:
    return Outbound(message_uuid="m", src=SRC, dst=DST, text=TEXT, **more)


@asynccontextmanager
async def at_work(account: UpstreamAccount) -> AsyncIterator[UpstreamAccount]:
    task = asyncio.create_task(account.run())
    try:
        yield account
    finally:
        account.stop()
        await task


async def submitted(url: str, *messages: Outbound, **more: Any) -> list[SubmitOutcome]:
    """Hand messages over, one after the other."""
    account = connector(url, **more)
    try:
        return [await account.submit(message) for message in messages or (outbound(),)]
    finally:
        await account._client.close()


def refused(code: str, detail: str, *, elsewhere: bool = False) -> Rejected:
    return Rejected(error_code=code, detail=detail, elsewhere=elsewhere)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (taken(), Accepted(carrier_refs=(UUID,))),
        (says(202, {"invalid_number": [DST]}), refused("50", "answered 202: the number is invalid")),
        (says(202, {}), Unknown(detail="answered 202 without saying what the message is called")),
        (says(200, "<html>"), Unknown(detail="answered 200 without saying what the message is called")),
        (breaks_off(202), Unknown(detail="answered 202 without saying what the message is called")),
        (error(400, "1 is not a valid phone number"), refused("50", "answered 400: 1 is not a valid phone number")),
        (breaks_off(400), refused("10", "answered 400")),
        (error(401, "no"), Deferred(retry_after_s=5.0, detail="answered 401", reason="down")),
        (error(402, "pay"), refused("900", "answered 402: pay", elsewhere=True)),
        (error(403, "closed"), refused("450", "answered 403: closed", elsewhere=True)),
        (error(404, "not found"), refused("90", "answered 404: not found", elsewhere=True)),
        (status(302, Location="http://127.0.0.1:9/"), refused("90", "answered 302", elsewhere=True)),
        (error(429, "too many requests"), Deferred(retry_after_s=2.0, detail="answered 429")),
        (error(429, "slow", **{"Retry-After": "7"}), Deferred(retry_after_s=7.0, detail="answered 429")),
        (error(500, "server error"), Deferred(retry_after_s=5.0, detail="answered 500")),
        (status(502), Deferred(retry_after_s=5.0, detail="answered 502")),
        (error(503, "", **{"Retry-After": "1"}), Deferred(retry_after_s=1.0, detail="answered 503", reason="down")),
        (breaks_off(503), Deferred(retry_after_s=5.0, detail="answered 503", reason="down")),
        (status(504), Unknown(detail="answered 504: a proxy got no answer in time")),
        (reset, Unknown(detail="the connection broke: Server disconnected")),
    ],
)  # fmt: skip
async def test_every_answer_has_its_outcome(answer: Answer, outcome: SubmitOutcome) -> None:
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(answer)
        assert await submitted(endpoint.url) == [outcome]


async def test_an_answer_that_does_not_come_leaves_it_unknown() -> None:
    release = asyncio.Event()
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(hang(release))
        assert await submitted(endpoint.url, deadline_s=2.0) == [Unknown(detail="no answer within 2 s")]
        release.set()


async def test_without_a_connection_nothing_was_sent() -> None:
    port = free_port()
    async with recording_endpoint() as endpoint:
        for url in (
            f"http://127.0.0.1:{port}",
            "http://no-such-host.invalid",
            endpoint.url.replace("http:", "https:"),
        ):
            (outcome,) = await submitted(url)
            assert isinstance(outcome, Deferred), url
            assert (outcome.reason, outcome.retry_after_s) == ("down", 1.0)
            assert outcome.detail.startswith("no connection: ")
        assert endpoint.requests == []


async def test_requests_say_what_the_contract_has() -> None:
    async with recording_endpoint() as endpoint:
        endpoint.answer_always(takes_everything)
        endpoint.answer_next(taken("a"), taken("b"))
        clock = SystemClock()
        expires_at_us = clock.now_us() + 90_000_000
        await submitted(endpoint.url, outbound(), outbound(expires_at_us=expires_at_us), log="number_only")
        first, second = endpoint.requests
    assert (first.method, first.target) == ("POST", MESSAGES)
    assert first.header("Authorization") == credentials(AUTH_ID, TOKEN)
    assert first.header("Content-Type") == "application/json"
    said = {
        "src": SRC,
        "dst": DST,
        "text": TEXT,
        "type": "sms",
        "url": "https://ringback.example/hooks/carriers/up/sms_status",
        "method": "POST",
        "log": "number_only",
    }
    assert json.loads(first.body) == said
    assert 80 <= json.loads(second.body).pop("message_expiry") <= 90


async def test_connections_are_kept_and_requests_at_once_are_bounded() -> None:
    peers: set[object] = set()
    most = now = 0
    all_are_in = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal most, now
        peers.add(request.transport)
        now += 1
        most = max(most, now)
        await request.read()
        if now == 3:
            all_are_in.set()
        await all_are_in.wait()
        now -= 1
        return await takes_everything(request)

    async with recording_endpoint() as endpoint:
        endpoint.answer_always(answer)
        account = connector(endpoint.url, concurrency=3)
        outcomes = await asyncio.gather(*(account.submit(outbound()) for _ in range(40)))
        await account._client.close()
    assert {type(each) for each in outcomes} == {Accepted}
    assert (len(peers), most) == (3, 3)


async def test_who_finds_no_place_in_time_is_put_off() -> None:
    release = asyncio.Event()
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(hang(release))
        account = connector(endpoint.url, concurrency=1, deadline_s=2.0)
        first, second = await asyncio.gather(account.submit(outbound()), account.submit(outbound()))
        release.set()
        await account._client.close()
    assert isinstance(first, Unknown)
    # Its turn may have come in the last moment, when nobody answered either.
    assert second in (
        Deferred(retry_after_s=1.0, detail="1 requests are in hand already"),
        Unknown(detail="no answer within 2 s"),
    )


# ---- media ----


def medium(directory: Path, media_id: str) -> OutboundMedia:
    path = directory / media_id
    path.write_bytes(PNG)
    return OutboundMedia(
        id=media_id, content_type="image/png", file_name=f"{media_id}.png", size_bytes=len(PNG), path=path
    )


def uploaded(*ids: str | None) -> Answer:
    objects = [{"media_id": each} if each else {"media_id": None, "error_message": "too blurred"} for each in ids]
    return says(201, {"api_id": "a", "objects": objects})


async def test_media_are_uploaded_once_and_named_in_their_order(tmp_path: Path) -> None:
    first, second = medium(tmp_path, "one"), medium(tmp_path, "two")
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(uploaded("theirs-1"), taken("a"), uploaded("theirs-2"), taken("b"))
        found = await submitted(
            endpoint.url, outbound(type="mms", media=(first,)), outbound(type="mms", media=(second, first))
        )
        upload, sent, _, sent_again = endpoint.requests
    assert found == [Accepted(carrier_refs=("a",)), Accepted(carrier_refs=("b",))]
    assert upload.target == f"/v1/Account/{AUTH_ID}/Media/"
    assert PNG in upload.body
    assert b'filename="one.png"' in upload.body
    assert (json.loads(sent.body)["type"], json.loads(sent.body)["media_ids"]) == ("mms", ["theirs-1"])
    assert json.loads(sent_again.body)["media_ids"] == ["theirs-2", "theirs-1"]


async def test_an_upload_that_is_gone_is_made_again(tmp_path: Path) -> None:
    gone = error(400, "media_ids parameter names media that you have not uploaded, or that have expired")
    message = outbound(type="mms", media=(medium(tmp_path, "one"),))
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(uploaded("a"), taken(), gone, uploaded("b"), taken("m"), gone)
        found = await submitted(endpoint.url, message, message, message)
        assert [json.loads(each.body)["media_ids"] for each in endpoint.requests if each.target == MESSAGES] == [
            ["a"], ["a"], ["b"],
        ]  # fmt: skip
    assert [type(each) for each in found] == [Accepted, Deferred, Accepted]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (uploaded(None), refused("10", "media: too blurred")),
        (error(413, "no"), refused("120", "media: answered 413: too large")),
        (error(415, "odd"), refused("10", "media: answered 415: odd")),
        (error(401, "no"), Deferred(retry_after_s=5.0, detail="answered 401", reason="down")),
        (error(429, "slow"), Deferred(retry_after_s=2.0, detail="answered 429")),
        (reset, Deferred(retry_after_s=5.0, detail="media: the connection broke: Server disconnected")),
    ],
)
async def test_without_its_media_a_message_is_not_handed_over(
    tmp_path: Path, answer: Answer, outcome: SubmitOutcome
) -> None:
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(answer)
        assert await submitted(endpoint.url, outbound(type="mms", media=(medium(tmp_path, "one"),))) == [outcome]
        assert len(endpoint.requests) == 1


async def test_a_file_that_is_gone_is_the_messages_end(tmp_path: Path) -> None:
    gone = medium(tmp_path, "one")
    gone.path.unlink()
    (outcome,) = await submitted("http://127.0.0.1:1", outbound(type="mms", media=(gone,)))
    assert outcome == refused("10", "a file of the message cannot be read")


# ---- how the account is ----


async def until(account: UpstreamAccount, state: str) -> None:
    """Wait until an account is in a state; a connector tells nobody of it."""
    async with asyncio.timeout(60):
        while account.snapshot().state != state:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (error(401, "no"), "answered 401: auth_id or auth_token is wrong"),
        (error(404, "no"), "answered 404: base_url or auth_id is wrong"),
        (status(301), "answered 301: base_url is wrong, redirects are not followed"),
        (status(500), "answered 500"),
    ],
)
async def test_an_account_that_cannot_be_used_is_asked_until_it_can(answer: Answer, detail: str) -> None:
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(answer, answer)
        async with at_work(connector(endpoint.url)) as account:
            await until(account, "down")
            assert (account.snapshot().state, account.snapshot().detail) == ("down", detail)
            account.rebind()
            await until(account, "up")
        assert account.snapshot().state == "stopped"
    assert {each.target for each in endpoint.requests} == {f"/v1/Account/{AUTH_ID}/"}


async def test_what_operators_see_holds_no_number_text_or_secret() -> None:
    async with recording_endpoint() as endpoint:
        endpoint.answer_next(says(200, {}), taken(), error(400, f"{DST} is not a valid phone number {TEXT}"), reset)
        async with at_work(connector(endpoint.url)) as account:
            await until(account, "up")
            for _ in range(3):
                await account.submit(outbound())
            seen = account.snapshot()
    assert seen.errors == {"400": 1, "no answer": 1}
    assert (seen.window_used, seen.window_allowed) == (0, 50)
    assert [each.what for each in seen.exchanges][:3] == [
        "GET Account: answered 200",
        "POST Message: answered 202",
        "POST Message: answered 400",
    ]
    shown = repr(seen)
    assert not any(secret in shown for secret in (DST, SRC, TEXT, TOKEN, UUID))


async def test_a_connector_that_is_stopped_finishes_what_it_has() -> None:
    release = asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return await taken()(request)

    async with recording_endpoint() as endpoint:
        endpoint.answer_next(says(200, {}), late)
        account = connector(endpoint.url)
        running = asyncio.create_task(account.run())
        await until(account, "up")
        in_hand = asyncio.create_task(account.submit(outbound()))
        await endpoint.wait_for(2)
        account.stop()
        assert isinstance(await account.submit(outbound()), Deferred)
        assert not running.done()
        release.set()
        assert await in_hand == Accepted(carrier_refs=(UUID,))
        await running


# ---- what became of messages ----


def awaiting(*refs: str) -> list[Awaiting]:
    now_us = SystemClock().now_us()
    return [Awaiting(message_uuid="m", dst=DST, carrier_ref=ref, submitted_at_us=now_us) for ref in refs]


async def test_messages_of_before_a_restart_are_asked_about() -> None:
    records = {
        "gone": error(404, "not found"),
        "under-way": says(200, {"message_state": "sent", "error_code": None}),
        "arrived": says(200, {"message_state": "delivered", "error_code": "000"}),
        "lost": says(200, {"message_state": "failed", "error_code": "450"}),
    }
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        ref = request.path.removeprefix(MESSAGES).strip("/")
        if request.path.startswith(MESSAGES):
            asked.append(ref)
            return await records[ref](request)
        return await says(200, {})(request)

    taken_receipts: list[Receipt] = []
    everything = asyncio.Event()
    refusals = [StoreUnavailable("busy")]

    async def sink(receipt: Receipt) -> None:
        if refusals:
            raise refusals.pop()
        taken_receipts.append(receipt)
        if len(taken_receipts) == 1:
            everything.set()

    async with recording_endpoint() as endpoint:
        endpoint.answer_always(answer)
        account = connector(endpoint.url, poll_per_s=1000.0)
        account.deliver_receipts_to(sink)
        account.resume(awaiting(*records))
        async with at_work(account), asyncio.timeout(60):
            await everything.wait()
            seen = account.snapshot()
    assert asked == list(records)
    assert taken_receipts == [
        Receipt(connector="up", carrier_ref="lost", status=Status.UNDELIVERED, error_code="450", detail="asked: failed")
    ]
    # One is on its way, and one the database did not take: both are asked about again.
    assert "2 messages to ask about" in seen.detail


async def test_nothing_is_asked_where_nothing_shall_be() -> None:
    async with recording_endpoint() as endpoint:
        account = connector(endpoint.url, poll_per_s=0.0)
        account.resume(awaiting("a"))
        async with at_work(account):
            await until(account, "up")
    assert [each.target for each in endpoint.requests] == [f"/v1/Account/{AUTH_ID}/"]


# ---- settings ----


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"auth_id": ""}, "auth_id is missing"),
        ({"auth_id": "MA/../x"}, "auth_id is not letters and digits alone"),
        ({"auth_token": ""}, "auth_token is missing"),
        ({"base_url": "api.plivo.com"}, "base_url must be like https://api.example.com"),
        ({"public_url": ""}, "public_url is missing or no URL: set it, or server.public_base_url"),
        ({"public_url": "https://[broken"}, "public_url is missing or no URL"),
        ({"deadline_s": 20.0}, "deadline_s (20) must be less than a third of messaging.submit_lease_s (60)"),
        ({"ca_file": "/nonexistent.pem"}, "no certificates can be read from /nonexistent.pem"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigInvalid, match=re.escape(complaint)):
        connector("http://127.0.0.1:1", **given)


def test_only_one_group_can_be_the_only_carrier() -> None:
    flags: dict[str, dict[str, object]] = {"smpp": {"host": "smsc"}, "plivo": {"auth_id": AUTH_ID}}
    with pytest.raises(ConfigInvalid, match="both name the only carrier"):
        of_groups(load(file=None, environment={}, flags=flags))
    by_environment = load(file=None, environment={"RINGBACK_PLIVO__AUTH_ID": AUTH_ID}, flags={})
    assert [(each.name, each.kind) for each in of_groups(by_environment)] == [("plivo", "plivo")]
