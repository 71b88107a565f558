"""The API over real HTTP: good requests, and every kind of bad one."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.store import messages
from tests.fakes.platform import Running, running, settings_for


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path, server={"max_body_bytes": 100_000})) as platform:
        yield platform


async def test_json_and_form_are_accepted_alike(ringback: Running) -> None:
    fields = {"src": "15005550100", "dst": "+1 (500) 555-0001", "text": "hello"}
    for body in ({"json": fields}, {"data": fields}):
        async with ringback.http.post(ringback.messages_url, headers=ringback.auth, **body) as response:
            answer = await response.json()
            assert response.status == 202
            assert response.headers["content-type"] == "application/json"
            assert answer["message"] == "message(s) queued"
            assert len(answer["message_uuid"]) == 1
            assert len(answer["api_id"]) == 36


async def test_many_destinations_keep_their_order_and_bad_ones_are_named(ringback: Running) -> None:
    status, answer = await ringback.send(dst="15005550001<nonsense<447700900123<15005550001")
    assert status == 202
    assert answer["invalid_number"] == ["nonsense"]
    stored = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, answer["message_uuid"]))
    assert [stored[uuid].dst for uuid in answer["message_uuid"]] == ["15005550001", "447700900123"]


async def test_a_message_lives_to_its_end_and_can_be_read(ringback: Running) -> None:
    _, answer = await ringback.send(dst="15005550030", text="Grüße €")
    uuid = answer["message_uuid"][0]
    await ringback.until_status(uuid, "undelivered")
    async with ringback.http.get(ringback.messages_url + uuid, headers=ringback.auth) as response:
        record = await response.json()
    assert response.status == 200
    assert (record["message_state"], record["error_code"], record["units"]) == ("undelivered", "30", 1)
    assert record["resource_uri"] == f"/v1/Account/{ringback.account.auth_id}/Message/{uuid}/"
    assert "api_id" in record


async def test_lists_are_newest_first_with_pages(ringback: Running) -> None:
    sent = [(await ringback.send(dst="15005550003"))[1]["message_uuid"][0] for _ in range(5)]
    async with ringback.http.get(ringback.messages_url + "?limit=2&offset=1", headers=ringback.auth) as response:
        page = await response.json()
    assert [item["message_uuid"] for item in page["objects"]] == [sent[3], sent[2]]
    assert page["meta"]["total_count"] == 5
    assert page["meta"]["next"].endswith("/Message/?limit=2&offset=3")
    assert page["meta"]["previous"].endswith("?limit=2&offset=0")
    filters = f"?to_number=%2B15005550003&message_time__gte=2020-01-01+00:00&message_state={'queued'}"
    async with ringback.http.get(ringback.messages_url + filters, headers=ringback.auth) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path", ["/v1/account/{id}/message", "//V1//Account/{lower}//Message//", "/v1/Account/{id}/MESSAGE/"]
)
async def test_paths_are_taken_as_clients_write_them(ringback: Running, path: str) -> None:
    auth_id = ringback.account.auth_id
    url = ringback.url + path.format(id=auth_id, lower=auth_id.lower())
    async with ringback.http.get(url, headers=ringback.auth) as response:
        assert response.status == 200


BAD_BODIES = [
    (b"{bad", "application/json", 400, "not valid JSON"),
    (b"[1]", "application/json", 400, "must be a JSON object"),
    (b'"\\ud83d"', "application/json", 400, ""),
    (b"\xff\xfe", "application/json", 400, ""),
    (b"[" * 50_000, "application/json", 400, ""),
    (b"a=%ff", "application/x-www-form-urlencoded", 400, "not a valid form"),
    (b"", "application/json", 400, "src parameter is missing"),
    (b'""', "application/json", 400, "src parameter is missing"),
    (b"x" * 100_001, "application/json", 413, "over the limit of 100000 bytes"),
]


@pytest.mark.parametrize(
    ("body", "kind", "status", "complaint"), BAD_BODIES, ids=[str(i) for i in range(len(BAD_BODIES))]
)
async def test_bad_bodies(ringback: Running, body: bytes, kind: str, status: int, complaint: str) -> None:
    async with ringback.http.post(
        ringback.messages_url, data=body, headers={**ringback.auth, "Content-Type": kind}
    ) as response:
        answer = await response.json()
    assert response.status == status
    assert complaint in answer["error"]
    assert answer["error"]
    assert answer["api_id"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"dst": "19332631167x<"}, "is not a valid phone number"),
        ({"dst": "<".join(str(14150000000 + n) for n in range(1001))}, "at most 1000"),
        ({"text": "a" * 1601}, "1,600"),
        ({"text": "й" * 738}, "737"),
        ({"src": None}, "src parameter is missing"),
        ({"url": "not a url"}, "url parameter"),
    ],
)
async def test_bad_fields_store_nothing(ringback: Running, change: dict[str, Any], complaint: str) -> None:
    status, answer = await ringback.send(**change)
    assert status == 400
    assert complaint in answer["error"]
    assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 0


async def test_text_at_the_limit_and_lone_surrogates_pass(ringback: Running) -> None:
    body = b'{"src": "15005550100", "dst": "15005550001", "text": "broken \\ud83d emoji \\u0000"}'
    headers = {**ringback.auth, "Content-Type": "application/json"}
    async with ringback.http.post(ringback.messages_url, data=body, headers=headers) as response:
        assert response.status in {202, 400}
    assert (await ringback.send(text="a" * 1600))[0] == 202


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Basic bm90aGluZw=="],
)
async def test_no_or_odd_credentials(ringback: Running, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with ringback.http.post(ringback.messages_url, json={}, headers=headers) as response:
        answer = await response.json()
    assert response.status == 401
    assert response.headers["www-authenticate"].startswith("Basic")
    assert answer["error"].startswith("authentication")


async def test_one_account_cannot_reach_another(ringback: Running) -> None:
    other = ringback.messages_url.replace(ringback.account.auth_id, "MA" + "Z" * 18)
    async with ringback.http.get(other, headers=ringback.auth) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "Message/", 405),
        ("PUT", "Message/", 405),
        ("POST", "Message/0198-nope/", 405),
        ("GET", "Message/0198-nope/", 404),
        ("GET", "Message/db3ce55a-7f1d-11e1-8ea7-1231380bc196/", 404),
        ("GET", "Nothing/", 404),
        ("GET", "Message/?limit=99", 400),
    ],
)
async def test_refusals_are_flat_json(ringback: Running, method: str, path: str, status: int) -> None:
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/{path}"
    async with ringback.http.request(method, url, headers=ringback.auth) as response:
        answer = await response.json()
    assert response.status == status
    assert set(answer) == {"api_id", "error"}
    assert isinstance(answer["error"], str)
    assert answer["error"]


async def test_two_hundred_at_once_share_commits_and_lose_nothing(ringback: Running) -> None:
    answers = await asyncio.gather(*(ringback.send(dst="15005550003") for _ in range(200)))
    uuids = {answer["message_uuid"][0] for status, answer in answers if status == 202}
    assert len(uuids) == 200
    assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 200
