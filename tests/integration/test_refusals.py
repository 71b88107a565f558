"""What the Message resource refuses with the request (contract sections 1.5 and 2.2): status, shape, nothing stored."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.store import limits
from ringback.store.schema import metadata
from tests.fakes.platform import Running, running, settings_for

NOT_STORED_INTO = {"accounts", "alert_looks", "auth_tokens", "account_limits", "carrier_links"}
"""What the test itself has put there, and what a platform writes unasked."""


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    settings = settings_for(tmp_path, server={"max_body_bytes": 20_000}, limits={"concurrent_requests": 100})
    async with running(settings) as platform:
        await platform.platform.store.write(
            lambda tx: limits.configure(tx, platform.account.auth_id, {"countries_blocked": "RU"})
        )
        yield platform


async def rows(ringback: Running) -> int:
    tables = [table for name, table in metadata.tables.items() if name not in NOT_STORED_INTO]
    counts = (sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in tables)
    return sum(await ringback.platform.store.read(lambda tx: tx.execute(sa.select(*counts)).one()))


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    # missing or unparseable dst, missing text, missing src
    ({"dst": None}, 400, "dst parameter is missing"),
    ({"dst": ""}, 400, "dst parameter is missing"),
    ({"dst": []}, 400, "dst parameter is missing"),
    ({"dst": {"a": 1}}, 400, "dst parameter must be a string of numbers joined with <"),
    ({"dst": [True]}, 400, "dst parameter must be a string of numbers joined with <"),
    ({"text": None}, 400, "text parameter is missing"),
    ({"text": ""}, 400, "text parameter is missing"),
    ({"text": 5}, 400, "text parameter must be a string"),
    ({"src": None}, 400, "src parameter is missing"),
    ({"src": ""}, 400, "src parameter is missing"),
    # src or dst of a shape that no number has
    ({"src": "!?"}, 400, "!? is not a valid phone number"),
    ({"src": "a name that is too long"}, 400, "a name that is too long is not a valid phone number"),
    ({"src": "1" * 15}, 400, "111111111111111 is not a valid phone number"),
    ({"dst": "19332631167x"}, 400, "19332631167x is not a valid phone number"),
    ({"dst": "12<zzz"}, 400, "12 is not a valid phone number"),
    ({"dst": "15005550100"}, 400, "src and dst must not be the same number"),
    ({"dst": "<".join(str(14150000000 + at) for at in range(1001))}, 400, "dst has 1001 destinations"),
    # text that is too long
    ({"text": "a" * 1601}, 400, "text is 1,601 characters long"),
    ({"text": "\u0439" * 738}, 400, "text is 738 characters long"),
    # everything else that is out of range
    ({"type": "fax"}, 400, "type fax is not offered here"),
    ({"method": "PUT"}, 400, "method parameter must be one of POST, GET"),
    ({"log": "some"}, 400, "log parameter must be one of true, false, content_only, number_only"),
    ({"trackable": "perhaps"}, 400, "trackable parameter must be true or false"),
    ({"message_expiry": 4}, 400, "message_expiry must be a whole number of seconds from 5 to 10800"),
    ({"message_expiry": 10801}, 400, "message_expiry must be a whole number of seconds from 5 to 10800"),
    ({"message_expiry": "soon"}, 400, "message_expiry must be a whole number of seconds from 5 to 10800"),
    ({"url": "ftp://example.com"}, 400, "url parameter ftp://example.com is not a valid http or https URL"),
    ({"url": "http://example.com/\u00fc"}, 400, "url parameter must be a URL of ASCII characters"),
    ({"url": "http://example.com/" + "a" * 2048}, 400, "url parameter is longer than 2048 characters"),
    ({"callback_url": "nowhere"}, 400, "callback_url parameter nowhere is not a valid http or https URL"),
    # a country that is blocked, also as one of several
    ({"dst": "79161234567"}, 403, "messages to RU are blocked for this account; nothing was sent"),
    ({"dst": "15005550001<79161234567"}, 403, "messages to RU are blocked for this account; nothing was sent"),
    # too large
    ({"text": "a" * 20_001}, 413, "request body is over the limit of 20000 bytes"),
]


@pytest.mark.parametrize("as_form", [False, True], ids=["json", "form"])
async def test_sends(ringback: Running, as_form: bool) -> None:  # noqa: FBT001 - a parameter of the table
    before = await rows(ringback)
    for change, status, error in REFUSED:
        fields = {"src": "15005550100", "dst": "15005550001", "text": "hello", **change}
        if as_form and not all(value is None or isinstance(value, str) for value in fields.values()):
            continue
        if as_form:
            body: dict[str, Any] = {"data": {name: value for name, value in fields.items() if value is not None}}
        else:
            body = {"json": fields}
        async with ringback.http.post(ringback.messages_url, headers=ringback.auth, **body) as response:
            await check(response, status, error)
    assert await rows(ringback) == before


async def check(response: Any, status: int, error: str) -> None:
    answer = await response.json()
    assert (response.status, response.headers["Content-Type"]) == (status, "application/json"), answer
    assert set(answer) == {"api_id", "error"}
    assert len(answer["api_id"]) == 36
    assert isinstance(answer["error"], str)
    assert answer["error"].startswith(error), answer["error"]


OTHERS: list[tuple[str, str, int, str]] = [
    ("GET", "?limit=21", 400, "limit must be a whole number from 1 to 20"),
    ("GET", "?offset=-1", 400, "offset must be a whole number from 0 to 1000000"),
    ("GET", "?message_state=gone", 400, "message_state parameter must be one of queued, sent"),
    ("GET", "?message_time=now", 400, "message_time must be a UTC time like"),
    ("GET", "?error_code=x", 400, "error_code must be an error code such as 420 or 000"),
    ("GET", "?destination_country_iso2=USA", 400, "destination_country_iso2 must be two letters such as US"),
    ("GET", "?from=%2B", 400, "from is not a valid phone number"),
    ("GET", "?subaccount=x", 400, "subaccount must be an auth id"),
    ("GET", "db3ce55a-7f1d-11e1-8ea7-1231380bc196/", 404, "not found"),
    ("GET", "not-a-uuid/", 404, "not found"),
    ("PUT", "", 405, "method not allowed"),
    ("DELETE", "", 405, "method not allowed"),
    ("POST", "db3ce55a-7f1d-11e1-8ea7-1231380bc196/", 405, "method not allowed"),
    ("DELETE", "db3ce55a-7f1d-11e1-8ea7-1231380bc196/", 405, "method not allowed"),
]


@pytest.mark.parametrize(("method", "path", "status", "error"), OTHERS)
async def test_other_requests(ringback: Running, method: str, path: str, status: int, error: str) -> None:
    before = await rows(ringback)
    async with ringback.http.request(method, ringback.messages_url + path, headers=ringback.auth) as response:
        await check(response, status, error)
    assert await rows(ringback) == before


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({}, "authentication credentials were not provided"),
        ({"Authorization": "Basic QTpC"}, "authentication failed: auth id or auth token is wrong"),
    ],
)
async def test_strangers(ringback: Running, header: dict[str, str], error: str) -> None:
    before = await rows(ringback)
    body = {"src": "15005550100", "dst": "15005550001", "text": "hello"}
    for method in ("GET", "POST"):
        async with ringback.http.request(method, ringback.messages_url, json=body, headers=header) as response:
            await check(response, 401, error)
    other = ringback.messages_url.replace(ringback.account.auth_id, "MA" + "Z" * 18)
    async with ringback.http.post(other, json=body, headers=ringback.auth) as response:
        await check(response, 401, "authentication failed: these credentials are not of the account in the path")
    assert await rows(ringback) == before


async def test_too_many(ringback: Running) -> None:
    before = await rows(ringback)
    changes = {"concurrent_requests": 1, "requests_per_5_s": 1}
    id_ = ringback.account.auth_id
    await ringback.platform.store.write(lambda tx: limits.configure(tx, id_, changes))
    ringback.stop_clock()
    status, _ = await ringback.send(dst="zzz")
    assert status == 400
    body = {"src": "15005550100", "dst": "15005550001", "text": "hello"}
    async with ringback.http.post(ringback.messages_url, json=body, headers=ringback.auth) as response:
        await check(response, 429, "too many requests")
        assert int(response.headers["Retry-After"]) >= 1
    assert await rows(ringback) == before
