"""Inbound messages through a whole platform: from the simulated carrier to the application and what it answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from aiohttp import web
from plivo.utils import validate_v3_signature

from ringback.carriers.port import Inbound, InboundAnswer, NotTaken, Taken
from ringback.store import callbacks, inbound, messages, optouts, replies, resends, rollups
from ringback.store.callbacks import MESSAGE
from tests.fakes.endpoint import Answer, Recorded, RecordingEndpoint, recording_endpoint, status
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for

PHONE = "14155550199"


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as running_endpoint:
        yield running_endpoint


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path, delivery={"retry_delays_s": [0.05]})) as platform:
        yield platform


def xml(body: str, content_type: str = "application/xml") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, content_type=content_type)

    return answer


async def bring(ringback: Running, text: str = "hello", **fields: Any) -> InboundAnswer:
    """Have the carrier offer a message from a phone."""
    carrier = ringback.platform.carrier
    assert carrier is not None
    given = {"connector": "simulator", "carrier_ref": None, "src": PHONE, "dst": OURS, "text": text, **fields}
    return await carrier.bring(Inbound(**given))


async def taken(ringback: Running, text: str = "hello", **fields: Any) -> str:
    answer = await bring(ringback, text, **fields)
    assert isinstance(answer, Taken), answer
    return answer.message_uuid


async def own(ringback: Running, endpoint: RecordingEndpoint, **application: Any) -> None:
    given = {"message_url": f"{endpoint.url}/in", **application}
    await own_number(ringback.platform.store, ringback.account.auth_id, **given)


async def until_replied(ringback: Running, uuid: str, count: int = 1) -> list[replies.Reply]:
    def look(tx: Any) -> Any:
        found = replies.of_message(tx, uuid)
        return found if len(found) == count else None

    found: list[replies.Reply] = await ringback.until(look)
    return found


async def sent(ringback: Running) -> list[messages.Message]:
    """The messages that went the other way, oldest first."""
    wanted = messages.Filter(direction="outbound")
    found = await ringback.platform.store.read(lambda tx: messages.page(tx, wanted, limit=99, offset=0))
    return found[::-1]


def form(request: Recorded) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


async def get(ringback: Running, path: str) -> dict[str, Any]:
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/{path}"
    async with ringback.http.get(url, headers=ringback.auth) as response:
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
        return answer


async def test_an_application_has_a_retry_plan_of_its_own(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint, retry_delays="[7.0,8.5]")
    uuid = await taken(ringback)
    [(callback, _)] = await ringback.platform.store.read(lambda tx: callbacks.of_message(tx, uuid))
    assert callback.retry_delays == "[7.0,8.5]"


async def test_a_message_reaches_its_application_signed_and_is_delivered(
    ringback: Running, endpoint: RecordingEndpoint
) -> None:
    await own(ringback, endpoint, powerpack_uuid=None)
    uuid = await taken(ringback, "Grüße + €")
    (request,) = await endpoint.wait_for(1)
    params = form(request)
    assert (request.method, request.target) == ("POST", "/in")
    assert params == {
        "MessageUUID": uuid, "From": PHONE, "To": OURS, "Text": "Grüße + €", "Type": "sms", "Units": "1",
        "TotalRate": "0.00000", "TotalAmount": "0.00000", "MessageIntent": "", "PowerpackUUID": "",
    }  # fmt: skip
    token = ringback.account.tokens[0]
    nonce, signature = request.header("X-Plivo-Signature-V3-Nonce"), request.header("X-Plivo-Signature-V3")
    assert validate_v3_signature("POST", f"{endpoint.url}/in", nonce, token, signature, params)
    await ringback.until_status(uuid, "delivered")
    record = await get(ringback, f"Message/{uuid}/")
    assert (record["message_direction"], record["message_state"]) == ("inbound", "delivered")
    assert (record["from_number"], record["to_number"], record["message_type"]) == (PHONE, OURS, "sms")
    assert (record["units"], record["error_code"]) == (1, None)
    events = await ringback.platform.store.read(lambda tx: messages.timeline(tx, uuid))
    assert [(event.status, event.flag, event.sequence) for event in events] == [
        ("received", "", 1), ("delivered", "", 2),
    ]  # fmt: skip
    # One callback brings the message; nobody is called when it is delivered.
    assert len(await ringback.platform.store.read(lambda tx: callbacks.owed_for(tx, [uuid]))) == 1
    summary = await ringback.platform.store.read(lambda tx: rollups.summary(tx, since_us=0))
    assert summary.by_status == {}


async def test_by_get_it_comes_in_the_query(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint, message_url=f"{endpoint.url}/in?tenant=4", message_method="GET")
    await taken(ringback, "a&b")
    (request,) = await endpoint.wait_for(1)
    query = parse_qs(urlsplit(request.target).query, keep_blank_values=True)
    assert (query["tenant"], query["Text"]) == (["4"], ["a&b"])
    nonce, signature = request.header("X-Plivo-Signature-V3-Nonce"), request.header("X-Plivo-Signature-V3")
    assert validate_v3_signature("GET", endpoint.url + request.target, nonce, ringback.account.tokens[0], signature)


async def test_media_are_counted_and_named(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    await taken(ringback, "look", type="mms", media_urls=("https://a.example/1", "https://a.example/2"))
    (request,) = await endpoint.wait_for(1)
    params = form(request)
    assert (params["Type"], params["Text"], params["Body"], params["Units"]) == ("mms", "look", "look", "1")
    assert (params["MediaCount"], params["Media0"], params["Media1"]) == (
        "2", "https://a.example/1", "https://a.example/2",
    )  # fmt: skip


async def test_without_a_message_url_it_stays_received(ringback: Running) -> None:
    await own_number(ringback.platform.store, ringback.account.auth_id)
    uuid = await taken(ringback)
    record = await get(ringback, f"Message/{uuid}/")
    assert record["message_state"] == "received"
    assert await ringback.platform.store.read(lambda tx: callbacks.owed_for(tx, [uuid])) == []


async def test_an_application_that_does_not_answer_leaves_it_undelivered(
    ringback: Running, endpoint: RecordingEndpoint
) -> None:
    await own(ringback, endpoint)
    endpoint.answer_next(status(500), status(500))
    uuid = await taken(ringback)
    await ringback.until_status(uuid, "undelivered")
    (owed,) = await ringback.platform.store.read(lambda tx: callbacks.owed_for(tx, [uuid]))
    assert (owed.state, owed.kind) == ("given_up", MESSAGE)
    # Sent once more it arrives, which does not take the status back, but its reply is heeded.
    endpoint.answer_next(xml(f'<Response><Message src="{OURS}" dst="{PHONE}">late</Message></Response>'))
    now_us = ringback.platform.clock.now_us()
    from_id = lambda at_us: f"{at_us:032x}"  # noqa: E731
    await ringback.platform.store.write(lambda tx: resends.resend(tx, [owed.id], new_id=from_id, now_us=now_us))
    ringback.platform.wakeups.signal("callbacks")
    (reply,) = await until_replied(ringback, uuid)
    assert reply.state == "executed"
    events = await ringback.platform.store.read(lambda tx: messages.timeline(tx, uuid))
    assert [(event.status, event.flag) for event in events] == [
        ("received", ""), ("undelivered", ""), ("delivered", "late"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dst": "14155550111"}, "the number belongs to no account"),
        ({"dst": "!"}, "the number belongs to no account"),
        ({"src": ""}, "the sender is neither a number nor a name of up to 11 letters and digits"),
        ({"type": "fax"}, "type fax is not taken; sms and mms are"),
        ({"media_urls": ("x",) * 11}, "it has 11 media; at most 10 are taken"),
    ],
)
async def test_what_nobody_takes_is_refused_with_its_reason(
    ringback: Running, endpoint: RecordingEndpoint, fields: dict[str, Any], reason: str
) -> None:
    await own(ringback, endpoint)
    assert await bring(ringback, "secret", **fields) == NotTaken(reason)
    assert await ringback.platform.store.read(messages.last_offset) == 0
    async with ringback.http.get(f"{ringback.url}/metrics") as response:
        assert 'ringback_inbound_messages_total{result="refused"} 1.0' in await response.text()


async def test_one_that_is_offered_twice_is_one(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    first = await taken(ringback, carrier_ref="7")
    assert await taken(ringback, carrier_ref="7") == first
    assert await taken(ringback, carrier_ref="8") != first
    assert len(await endpoint.wait_for(2)) == 2


async def test_what_is_not_to_be_logged_is_hidden_but_from_the_application(
    ringback: Running, endpoint: RecordingEndpoint
) -> None:
    await own(ringback, endpoint, log_incoming_messages=False)
    endpoint.answer_next(xml(f'<Response><Message src="{OURS}" dst="{PHONE}">secret too</Message></Response>'))
    uuid = await taken(ringback, "secret")
    (request,) = await endpoint.wait_for(1)
    assert (form(request)["Text"], form(request)["From"]) == ("secret", PHONE)
    record = await get(ringback, f"Message/{uuid}/")
    assert (record["from_number"], record["to_number"], record["log"]) == ("141XXXXX199", OURS, "false")
    message = await ringback.until_status(uuid, "delivered")
    assert message.text is None
    (answer,) = await sent(ringback)
    assert (answer.text, answer.log) == (None, "false")


# ---- XML replies ----


async def test_a_reply_is_sent_as_if_by_the_api(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    endpoint.answer_next(
        xml(
            f'<?xml version="1.0"?><Response>'
            f'<Message src="{OURS}" dst="{PHONE}&lt;15005550001&lt;x" type="sms" '
            f'callbackUrl="{endpoint.url}/status" callbackMethod="GET">first &amp; foremost</Message>'
            f'<Message src="{OURS}" dst="15005550003">second</Message></Response>'
        )
    )
    uuid = await taken(ringback)
    (reply,) = await until_replied(ringback, uuid)
    await ringback.until_status(uuid, "delivered")
    first, second = reply.parts
    stored = {message.uuid: message for message in await sent(ringback)}
    assert len(stored) == 3
    answered = [stored[uuid] for uuid in (*first.message_uuids, *second.message_uuids)]
    assert [(message.src, message.dst, message.text) for message in answered] == [
        (OURS, PHONE, "first & foremost"), (OURS, "15005550001", "first & foremost"), (OURS, "15005550003", "second"),
    ]  # fmt: skip
    assert first.invalid == ("x",)
    assert (answered[0].callback_url, answered[0].callback_method) == (f"{endpoint.url}/status", "GET")
    assert answered[2].callback_url is None
    await ringback.until_status(answered[1].uuid, "delivered")
    (_, *told) = await endpoint.wait_for(4)
    assert all(request.method == "GET" and request.target.startswith("/status?") for request in told)


async def test_what_cannot_be_sent_is_shown(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    endpoint.answer_next(
        xml(
            f'<Response><Speak>hi</Speak><Message src="{OURS}" dst="abc">x</Message><Message dst="{PHONE}">x</Message>'
            f'<Message src="{OURS}" dst="{PHONE}" type="mms">x</Message></Response>',
            "text/xml",
        )
    )
    uuid = await taken(ringback)
    (reply,) = await until_replied(ringback, uuid)
    assert (reply.state, [(part.element, part.state, part.detail) for part in reply.parts]) == (
        "refused",
        [
            ("Speak", "ignored", "only Message is executed, with a capital M"),
            ("Message", "refused", "abc is not a valid phone number"),
            ("Message", "refused", "src parameter is missing"),
            ("Message", "refused", "type mms is not offered in a reply; use sms"),
        ],
    )
    assert await sent(ringback) == []
    shown = await get(ringback, f"Callback/{reply.callback_id}/")
    assert shown["kind"] == "message"
    assert shown["reply"]["state"] == "refused"
    assert shown["reply"]["parts"][1] == {
        "element": "Message", "state": "refused", "detail": "abc is not a valid phone number",
        "message_uuids": [], "invalid_number": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("<Response><Message></Response>", "not well-formed XML: mismatched tag in line 1, column 22"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response/>', "a document type is not allowed in a reply"),
        ("<Play/>", "the root element is Play; it must be Response"),
        ("<Response>" + "<Message>" * 3000, "only the first 16384 bytes of an answer are read"),
    ],
)
async def test_a_malformed_reply_is_recorded_and_the_message_is_delivered(
    ringback: Running, endpoint: RecordingEndpoint, body: str, detail: str
) -> None:
    await own(ringback, endpoint)
    endpoint.answer_next(xml(body))
    uuid = await taken(ringback)
    (reply,) = await until_replied(ringback, uuid)
    assert reply.state == "malformed"
    assert detail in (reply.detail or "")
    await ringback.until_status(uuid, "delivered")
    assert await sent(ringback) == []


@pytest.mark.parametrize("answer", [xml("<Response><Message/>", "text/plain"), xml(""), xml("<Response/>")])
async def test_an_answer_that_asks_for_nothing_leaves_nothing(
    ringback: Running, endpoint: RecordingEndpoint, answer: Answer
) -> None:
    await own(ringback, endpoint)
    endpoint.answer_next(answer)
    uuid = await taken(ringback)
    await ringback.until_status(uuid, "delivered")
    assert await ringback.platform.store.read(lambda tx: replies.of_message(tx, uuid)) == []


async def test_a_callback_sent_once_more_does_not_answer_twice(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    answer = xml(f'<Response><Message src="{OURS}" dst="{PHONE}">once</Message></Response>')
    endpoint.answer_next(answer, answer)
    uuid = await taken(ringback)
    (first,) = await until_replied(ringback, uuid)
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Callback/{first.callback_id}/Resend/"
    async with ringback.http.post(url, headers=ringback.auth) as response:
        assert response.status == 202
    _, second = await until_replied(ringback, uuid, 2)
    assert (first.state, second.state, second.parts) == ("executed", "repeated", ())
    assert len(await sent(ringback)) == 1


# ---- keywords ----


async def test_stop_ends_messages_and_start_lets_them_go_again(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    store = ringback.platform.store
    phone = "15005550001"
    for text in (" Stop\n", "UNSUBSCRIBE"):
        await taken(ringback, text, src=phone)
    assert [form(request)["MessageIntent"] for request in await endpoint.wait_for(2)] == ["optout", "optout"]
    (confirmation,) = await sent(ringback)
    assert (confirmation.src, confirmation.dst) == (OURS, phone)
    assert (confirmation.text or "").startswith("You have opted out")
    await ringback.until_status(confirmation.uuid, "delivered")
    _, body = await ringback.send(src=OURS, dst=f"{phone}<15005550003")
    failed = await ringback.until_status(body["message_uuid"][0], "failed")
    assert failed.error_code == "200"
    await ringback.until_status(body["message_uuid"][1], "sent")
    # Another number of ours is another matter.
    _, body = await ringback.send(src="15005550100", dst=phone)
    await ringback.until_status(body["message_uuid"][0], "delivered")
    await taken(ringback, "help", src=phone)
    await taken(ringback, "start", src=phone)
    await taken(ringback, "yes", src=phone)
    _, body = await ringback.send(src=OURS, dst=phone)
    await ringback.until_status(body["message_uuid"][0], "delivered")
    answers = [message for message in await sent(ringback) if message.src == OURS and "Reply" in (message.text or "")]
    assert [(message.text or "")[:9] for message in answers] == ["You have ", "Reply STO", "You will "]
    said = await store.read(lambda tx: optouts.history(tx, OURS, phone))
    assert [(each.intent, each.said_by, each.confirmation_uuid is not None) for each in said] == [
        ("optout", "recipient", True), ("optout", "recipient", False), ("help", "recipient", True),
        ("optin", "recipient", True), ("optin", "recipient", False),
    ]  # fmt: skip
    for message in answers:
        await ringback.until_status(message.uuid, "delivered")


async def test_an_account_has_texts_of_its_own_or_none(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    changes = {"optout": "Bye.", "help": ""}
    await ringback.platform.store.write(lambda tx: optouts.set_texts(tx, ringback.account.auth_id, changes))
    await taken(ringback, "STOP")
    await taken(ringback, "HELP")
    assert [message.text for message in await sent(ringback)] == ["Bye."]


async def test_a_name_cannot_be_answered_and_its_word_stands(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await own(ringback, endpoint)
    await taken(ringback, "stop", src="ACME")
    assert await sent(ringback) == []
    assert len(await ringback.platform.store.read(lambda tx: optouts.page(tx, number=OURS))) == 1


# ---- requests to the simulated carrier ----


async def test_a_request_is_answered_with_its_message_or_the_reason(
    ringback: Running, endpoint: RecordingEndpoint
) -> None:
    await own(ringback, endpoint)
    store, now_us = ringback.platform.store, ringback.platform.clock.now_us()

    def ask(tx: Any) -> None:
        for request_id, dst in (("a", OURS), ("b", "14155550111")):
            inbound.request(
                tx,
                inbound.Request(
                    id=request_id, src=PHONE, dst=dst, type="sms", text="hi", media_urls=(), requested_at_us=now_us
                ),
            )

    await store.write(ask)
    ringback.platform.wakeups.signal("inbound_requests")

    def look(tx: Any) -> Any:
        found = [inbound.find_request(tx, request_id) for request_id in ("a", "b")]
        return found if all(each and each.is_answered for each in found) else None

    came, refused = await ringback.until(look)
    assert (came.refusal, came.text, refused.text) == (None, None, None)
    assert refused.refusal == "the number belongs to no account"
    message = await ringback.until_status(came.message_uuid, "delivered")
    assert message.carrier_ref == "mo:a"
    assert json.loads((await store.read(lambda tx: callbacks.owed_for(tx, [message.uuid])))[0].params)[3] == [
        "Text", "hi",
    ]  # fmt: skip
