"""Limits, countries and answers that come later, over real HTTP."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from plivo.utils.signature_v3 import validate_v3_signature

from ringback.model.status import Status
from ringback.store import callbacks, limits, messages, resends
from ringback.store.resends import Filter
from ringback.store.schema import metadata
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint, status
from tests.fakes.platform import Running, running, settings_for

BERLIN, MOSCOW = "4915112345678", "79161234567"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as running_endpoint:
        yield running_endpoint


async def configure(ringback: Running, account_id: str = "", **changes: Any) -> None:
    id_ = account_id or ringback.account.auth_id
    await ringback.platform.store.write(lambda tx: limits.configure(tx, id_, changes))


UNASKED = {"accounts", "alert_looks", "auth_tokens", "carrier_links"}
"""Tables into which a platform writes whether it is asked or not."""


async def rows(ringback: Running) -> dict[str, int]:
    """How many rows each table has that a request could have written to."""
    kept = {name: table for name, table in metadata.tables.items() if name not in UNASKED}
    query = sa.select(*(sa.select(sa.func.count()).select_from(each).scalar_subquery() for each in kept.values()))
    found = await ringback.platform.store.read(lambda tx: tx.execute(query).one())
    return dict(zip(kept, found, strict=True))


# ---- requests ----


async def get(ringback: Running, path: str = "") -> tuple[int, dict[str, str], dict[str, Any]]:
    async with ringback.http.get(ringback.messages_url + path, headers=ringback.auth) as response:
        return response.status, dict(response.headers), await response.json()


async def test_too_many_requests_are_refused_and_say_when_to_come_back(ringback: Running) -> None:
    await configure(ringback, requests_per_5_s=3)
    ringback.stop_clock()
    before = await rows(ringback)
    answers = [await get(ringback) for _ in range(4)]
    assert [answer[0] for answer in answers] == [200, 200, 200, 429]
    _, headers, body = answers[-1]
    assert 1 <= int(headers["Retry-After"]) <= 6
    assert headers["Content-Type"] == "application/json"
    assert set(body) == {"api_id", "error"}
    assert body["error"] == "too many requests"
    assert (await ringback.send())[0] == 429
    assert await rows(ringback) == before


async def test_lists_have_a_limit_of_their_own(ringback: Running) -> None:
    await configure(ringback, lists_per_minute=1)
    assert [(await get(ringback))[0] for _ in range(2)] == [200, 429]
    assert (await get(ringback, "db3ce55a-7f1d-11e1-8ea7-1231380bc196/"))[0] == 404
    assert (await ringback.send())[0] == 202


async def test_others_are_not_limited_by_somebodys_wrong_password(ringback: Running) -> None:
    await configure(ringback, requests_per_5_s=1)
    wrong = {"Authorization": "Basic " + "QTpC"}
    for _ in range(3):
        async with ringback.http.get(ringback.messages_url, headers=wrong) as response:
            assert response.status == 401
    assert (await get(ringback))[0] == 200


async def test_the_settings_limit_accounts_without_limits_of_their_own(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, limits={"requests_per_5_s": 1})) as ringback:
        ringback.stop_clock()
        assert [(await get(ringback))[0] for _ in range(2)] == [200, 429]
    async with running(settings_for(tmp_path / "other", limits={"requests_per_5_s": 1})) as ringback:
        await configure(ringback, requests_per_5_s=0)
        assert [(await get(ringback))[0] for _ in range(3)] == [200, 200, 200]


# ---- countries ----


@pytest.mark.parametrize(
    ("whose", "changes"),
    [
        ("", {"countries_blocked": "RU,KP"}),
        ("", {"countries_allowed": "DE,US"}),
        (limits.ALL, {"countries_blocked": "RU"}),
        (limits.ALL, {"countries_allowed": "DE"}),
    ],
)
async def test_a_blocked_country_is_refused_with_the_whole_request(
    ringback: Running, whose: str, changes: dict[str, str]
) -> None:
    await configure(ringback, whose, **changes)
    before = await rows(ringback)
    for dst in (MOSCOW, f"{BERLIN}<{MOSCOW}"):
        code, answer = await ringback.send(dst=dst)
        assert code == 403
        assert set(answer) == {"api_id", "error"}
        assert answer["error"] == "messages to RU are blocked for this account; nothing was sent"
    assert await rows(ringback) == before
    assert (await ringback.send(dst=BERLIN))[0] == 202


async def test_an_account_cannot_open_what_the_installation_has_closed(ringback: Running) -> None:
    await configure(ringback, limits.ALL, countries_blocked="RU")
    await configure(ringback, countries_allowed="RU")
    assert (await ringback.send(dst=MOSCOW))[0] == 403


async def test_above_the_threshold_messages_fail_and_the_account_is_told_once(
    ringback: Running, endpoint: RecordingEndpoint
) -> None:
    await configure(ringback, thresholds='{"DE":2,"*":100}', alert_url=f"{endpoint.url}/fraud")
    # With another hour the counting would begin anew.
    ringback.stop_clock()
    uuids = []
    for dst in (BERLIN, BERLIN, MOSCOW, BERLIN, BERLIN):
        uuids += (await ringback.send(dst=dst))[1]["message_uuid"]

    def settled(tx: Any) -> Any:
        found = messages.by_uuid(tx, uuids)
        return found if all(message.status != Status.QUEUED for message in found.values()) else None

    found = await ringback.until(settled)
    refused = [uuid for uuid in uuids if found[uuid].error_code == "451"]
    assert len(refused) == 2
    assert {found[uuid].status for uuid in refused} == {"failed"}
    await ringback.until_called_back()
    [alert] = endpoint.requests
    assert alert.header("Content-Type") == "application/json"
    body = json.loads(alert.body)
    assert body.pop("message").startswith("more than 2 messages to DE within the hour")
    assert body == {
        "auth_id": ringback.account.auth_id,
        "destination_country": "DE",
        "block": True,
        "alert_type": "sms_threshold_breach",
    }


# ---- answers that come later ----


def signed(ringback: Running, url: str, request: Any) -> bool:
    return validate_v3_signature(
        request.method,
        url,
        request.header("X-Plivo-Signature-V3-Nonce"),
        ringback.account.tokens[0],
        request.header("X-Plivo-Signature-V3"),
        {},
    )


async def test_the_answer_of_a_send_comes_later(ringback: Running, endpoint: RecordingEndpoint) -> None:
    code, said = await ringback.send(callback_url=f"{endpoint.url}/later")
    assert code == 202
    assert said == {"api_id": said["api_id"], "message": "async api spawned"}
    [request] = await endpoint.wait_for(1)
    answer = json.loads(request.body)
    assert answer["api_id"] == said["api_id"]
    assert answer["message"] == "message(s) queued"
    [uuid] = answer["message_uuid"]
    assert (await get(ringback, uuid))[0] == 200
    assert (request.method, request.target) == ("POST", "/later")
    assert signed(ringback, f"{endpoint.url}/later", request)


async def test_forms_queries_and_errors_too(ringback: Running, endpoint: RecordingEndpoint) -> None:
    form = {"src": "15005550100", "dst": "zzz", "text": "hi", "callback_url": endpoint.url + "/e"}
    async with ringback.http.post(ringback.messages_url, data=form, headers=ringback.auth) as response:
        assert (await response.json())["message"] == "async api spawned"
    [request] = await endpoint.wait_for(1)
    assert json.loads(request.body)["error"] == "zzz is not a valid phone number"
    path = f"?limit=1&callback_method=GET&callback_url={endpoint.url}/list"
    code, _, said = await get(ringback, path)
    assert (code, said["message"]) == (202, "async api spawned")
    request = (await endpoint.wait_for(2))[1]
    assert request.method == "GET"
    assert request.target.startswith(f"/list?api_id={said['api_id']}&meta=%7B%22limit%22%3A1")


async def test_the_other_resources_do_it_as_well(ringback: Running, endpoint: RecordingEndpoint) -> None:
    base = f"{ringback.url}/v1/Account/{ringback.account.auth_id}"
    async with ringback.http.get(f"{base}/Endpoint/?callback_url={endpoint.url}/", headers=ringback.auth) as response:
        assert (await response.json())["message"] == "async api spawned"
    body = {"dry_run": True, "callback_url": endpoint.url + "/"}
    async with ringback.http.post(f"{base}/Callback/Replay/", json=body, headers=ringback.auth) as response:
        assert (await response.json())["message"] == "async api spawned"
    # They may come in any order.
    both = [json.loads(request.body) for request in await endpoint.wait_for(2)]
    (listed,) = [each for each in both if "objects" in each]
    (replay,) = [each for each in both if each is not listed]
    assert replay["total"] == 0


async def test_a_failed_delivery_is_tried_again(tmp_path: Path, endpoint: RecordingEndpoint) -> None:
    endpoint.answer_next(status(500))
    async with running(settings_for(tmp_path, delivery={"retry_delays_s": [0.1]})) as ringback:
        await ringback.send(callback_url=endpoint.url + "/")
        first, second = await endpoint.wait_for(2)
    assert first.body == second.body


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"callback_url": "ftp://example.com/"}, "callback_url parameter ftp://example.com/ is not a valid http or"),
        ({"callback_url": 5}, "callback_url parameter 5 is not a valid"),
        ({"callback_url": "http://example.com/", "callback_method": "PUT"}, "callback_method parameter must be one of"),
    ],
)
async def test_a_bad_callback_url_is_refused_at_once(ringback: Running, change: dict[str, Any], error: str) -> None:
    before = await rows(ringback)
    code, answer = await ringback.send(**change)
    assert code == 400
    assert answer["error"].startswith(error)
    assert await rows(ringback) == before


@pytest.mark.parametrize("absent", [None, ""])
async def test_an_absent_callback_url_changes_nothing(ringback: Running, absent: str | None) -> None:
    code, answer = await ringback.send(callback_url=absent)
    assert (code, answer["message"]) == (202, "message(s) queued")


async def test_wrong_credentials_are_told_at_once(ringback: Running, endpoint: RecordingEndpoint) -> None:
    url = f"{ringback.messages_url}?callback_url={endpoint.url}/"
    async with ringback.http.get(url, headers={"Authorization": "Basic QTpC"}) as response:
        assert response.status == 401


async def test_such_a_callback_can_be_found_and_sent_once_more(ringback: Running, endpoint: RecordingEndpoint) -> None:
    await ringback.send(callback_url=endpoint.url + "/")
    await endpoint.wait_for(1)
    await ringback.until_called_back()
    wanted = Filter(endpoint=endpoint.url)
    [kept], _ = await ringback.platform.store.read(lambda tx: resends.listed(tx, wanted, limit=9))
    assert (kept.kind, kept.state) == ("async", "delivered")
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Callback/{kept.id}/"
    async with ringback.http.get(url, headers=ringback.auth) as response:
        shown = await response.json()
    assert (shown["kind"], shown["message_uuid"], len(shown["attempts"])) == ("async", None, 1)
    async with ringback.http.post(url + "resend/", headers=ringback.auth) as response:
        assert response.status == 202
    first, second = await endpoint.wait_for(2)
    assert first.body == second.body


async def test_requests_in_hand_are_let_go_of_after_errors_too(ringback: Running) -> None:
    await configure(ringback, concurrent_requests=1)
    for _ in range(3):
        assert (await ringback.send(dst="zzz"))[0] == 400
        assert (await get(ringback))[0] == 200
    assert await ringback.platform.store.read(callbacks.waiting) == 0


# ---- messages per second ----


async def test_messages_of_a_limited_account_wait_their_turn(ringback: Running) -> None:
    await configure(ringback, messages_per_s=0.01)
    _, answer = await ringback.send(dst=f"15005550001<15005550003<{BERLIN}")
    first, second, third = answer["message_uuid"]
    await ringback.until(lambda tx: (message := messages.find(tx, None, first)) and message.status != "queued")
    due = await waiting(ringback)
    assert set(due) == {second, third}
    assert due[third][0] - due[second][0] == 100_000_000


async def test_a_message_whose_turn_comes_too_late_is_due_at_its_expiry(ringback: Running) -> None:
    await configure(ringback, source_messages_per_s=0.01)
    await ringback.send()
    _, answer = await ringback.send(message_expiry=60)
    _, other = await ringback.send(src="15005550101", message_expiry=60)
    await ringback.until_status(other["message_uuid"][0], "delivered")
    [uuid] = answer["message_uuid"]
    due_at_us, expires_at_us = (await waiting(ringback))[uuid]
    assert due_at_us == expires_at_us


async def waiting(ringback: Running) -> dict[str, tuple[int, int]]:
    """When submissions are due, and when they expire."""
    table = metadata.tables["submissions"]
    found = await ringback.platform.store.read(lambda tx: tx.execute(sa.select(table)).all())
    return {row.message_uuid: (row.due_at_us, row.expires_at_us) for row in found}
