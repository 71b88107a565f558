"""Conversion feedback over HTTP: what it answers, what it keeps, what it refuses."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.model.message import Event
from ringback.store import conversions, feed, messages
from ringback.store.conversions import Conversion
from ringback.wiring.backbone import create_account
from tests.fakes.messages import message
from tests.fakes.platform import Running, running, settings_for

GOOD = {"status": "CONVERTED", "timestamp": "2026-01-31T12:00:00Z"}
NOON_US = 1_769_860_800_000_000


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


async def sent(ringback: Running, **fields: Any) -> str:
    _, body = await ringback.send(trackable=True, **fields)
    uuid: str = body["message_uuid"][0]
    await ringback.until_status(uuid, "delivered")
    return uuid


async def say(ringback: Running, uuid: str, body: Any = GOOD, **options: Any) -> tuple[int, dict[str, Any]]:
    path = options.pop("path", "/v1/account/{auth_id}/message/{uuid}/conversion/")
    url = ringback.url + path.format(auth_id=ringback.account.auth_id, uuid=uuid)
    given = options or {"json": body}
    async with ringback.http.post(url, headers=ringback.auth, **given) as response:
        assert response.headers["Content-Type"] == "application/json"
        return response.status, await response.json()


async def kept(ringback: Running, uuid: str) -> tuple[list[Conversion], list[Event]]:
    store = ringback.platform.store
    events = await store.read(lambda tx: messages.timeline(tx, uuid))
    said = await store.read(lambda tx: conversions.history(tx, uuid))
    return said, [event for event in events if event.flag == "conversion"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/account/{auth_id}/message/{uuid}/conversion/",
        "/v1/account/{auth_id}/message/{uuid}/conversion",
        "/v1/Account/{auth_id}/Message/{uuid}/Conversion/",
        "/v1/Account/{auth_id}//Message/{uuid}/CONVERSION",
    ],
)
async def test_it_is_recorded_under_every_spelling_of_its_address(ringback: Running, path: str) -> None:
    uuid = await sent(ringback)
    status, answer = await say(ringback, uuid, path=path)
    api_id = answer.pop("api_id")
    assert (status, len(api_id)) == (200, 36)
    assert answer == {
        "conversion_uuid": f"conv-{uuid}", "message": "successfully recorded.", "message_uuid": uuid,
    }  # fmt: skip
    (said,), (event,) = await kept(ringback, uuid)
    assert (said.status, said.converted_at_us, said.account_id) == ("CONVERTED", NOON_US, ringback.account.auth_id)
    assert (event.status, event.detail) == ("delivered", "CONVERTED at 2026-01-31 12:00:00.000000+00:00")


async def test_the_last_word_stands_and_saying_it_twice_changes_nothing(ringback: Running) -> None:
    uuid = await sent(ringback)
    words = [
        ("NOT_CONVERTED", "2026-01-31T12:00:00Z"),
        ("NOT_CONVERTED", "2026-01-31T13:00:00+01:00"),
        ("CONVERTED_WITH_OTHERS", "2026-01-31T12:00:00.5"),
        ("NOT_CONVERTED", "2026-01-31 12:00"),
    ]
    for status, timestamp in words:
        assert (await say(ringback, uuid, {"status": status, "timestamp": timestamp}))[0] == 200
    said, events = await kept(ringback, uuid)
    assert [(each.status, each.converted_at_us) for each in said] == [
        ("NOT_CONVERTED", NOON_US), ("CONVERTED_WITH_OTHERS", NOON_US + 500_000), ("NOT_CONVERTED", NOON_US),
    ]  # fmt: skip
    # Whoever follows the log by offset learns of each.
    offset = events[0].id - 1
    newest = await feed.complete_to(ringback.platform.store)
    followed = await ringback.platform.store.read(lambda tx: messages.events_after(tx, offset, up_to=newest, limit=9))
    assert [event.id for event in followed] == [event.id for event in events]
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, uuid))
    assert found is not None
    assert (found.status, found.sequence) == ("delivered", 3)


async def test_a_form_does_too(ringback: Running) -> None:
    uuid = await sent(ringback)
    assert (await say(ringback, uuid, data=GOOD))[0] == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "status parameter is missing"),
        ({"status": "", "timestamp": "x"}, "status parameter is missing"),
        ({**GOOD, "status": "converted"}, "status parameter must be one of CONVERTED, NOT_CONVERTED, "),
        ({**GOOD, "status": ["CONVERTED"]}, "status parameter must be one of CONVERTED, NOT_CONVERTED, "),
        ({"status": "CONVERTED"}, "timestamp parameter is missing"),
        *(
            ({**GOOD, "timestamp": text}, "timestamp parameter must be an ISO 8601 time such as 2026-01-31T12:00:00Z")
            for text in ("yesterday", "2026-01-31", "2026-13-01T00:00:00Z", 1769860800, "0001-01-01T00:00:00+23:00")
        ),
        ([], "request body must be a JSON object"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_kept(ringback: Running, body: Any, error: str) -> None:
    uuid = await sent(ringback)
    status, answer = await say(ringback, uuid, body)
    assert status == 400
    assert set(answer) == {"api_id", "error"}
    assert answer["error"].startswith(error)
    assert await kept(ringback, uuid) == ([], [])


async def test_messages_that_take_none(ringback: Running) -> None:
    _, body = await ringback.send()
    plain = body["message_uuid"][0]
    inbound = "019ab000-0000-7000-8000-000000000007"
    theirs = "019ab000-0000-7000-8000-000000000008"
    other = await create_account(ringback.platform.store, ringback.platform.clock, "other")
    rows = [
        message(uuid=inbound, account_id=ringback.account.auth_id, direction="inbound", trackable=True),
        message(uuid=theirs, account_id=other.auth_id, trackable=True),
    ]
    await ringback.platform.store.write(lambda tx: messages.insert(tx, rows))
    for uuid, status, error in (
        (plain, 400, "the message was not sent with trackable=true, so it takes no conversion feedback"),
        (inbound, 400, "the message is inbound; conversion feedback is for messages that were sent"),
        (theirs, 404, "not found"),
        ("019ab000-0000-7000-8000-000000000009", 404, "not found"),
        ("nonsense", 404, "not found"),
    ):
        got, answer = await say(ringback, uuid)
        assert (got, answer["error"]) == (status, error)
        assert set(answer) == {"api_id", "error"}
        assert await kept(ringback, uuid) == ([], [])


async def test_it_wants_credentials(ringback: Running) -> None:
    uuid = await sent(ringback)
    url = f"{ringback.messages_url}{uuid}/Conversion/"
    async with ringback.http.post(url, json=GOOD) as response:
        assert response.status == 401
    async with ringback.http.get(url, headers=ringback.auth) as response:
        assert response.status == 405
    assert await kept(ringback, uuid) == ([], [])
