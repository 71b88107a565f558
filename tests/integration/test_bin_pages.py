"""Bins on the dashboard: pages over a running platform, and what their buttons do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.dialect.signatures import callback_headers
from ringback.store import bins
from ringback.web.dashboard.present import duration
from ringback.web.dashboard.sessions import make_login_link
from tests.data.dashboard.serving import log_in, page, plain
from tests.data.media import PNG
from tests.fakes.bins import captured, keeper, make_bin, until_ended
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    """A platform whose ladder is short."""
    async with running(settings_for(tmp_path)) as started:
        yield started


@pytest.fixture
async def operator(ringback: Running) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has logged in."""
    platform = ringback.platform
    link = await make_login_link(platform.store, platform.clock, platform.settings.dashboard, ringback.url)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(ringback.url, cookie_jar=jar) as client:
        await log_in(client, link)
        yield client


async def put(ringback: Running, body: bytes, path: str = "t", **headers: str) -> None:
    async with ringback.http.post(f"{ringback.url}/bin/{path}", data=body, headers=headers) as answer:
        await answer.read()


async def test_a_bin_is_made_changed_emptied_and_removed(ringback: Running, operator: aiohttp.ClientSession) -> None:
    assert "No bin yet" in await page(operator, "/dashboard/bins")
    async with operator.post("/dashboard/bins", data={"name": "T", "script": "500x2,200"}) as answer:
        html = await answer.text()
        assert answer.url.path == "/dashboard/bins/t"
    assert "500 x2, then 200" in plain(html)
    assert f"{ringback.url}/bin/t" in html
    await put(ringback, b"a")
    change = {"script": "410", "captures": "7", "megabytes": "3", "retention_hours": "1"}
    async with operator.post("/dashboard/bins/t", data=change) as answer:
        assert "Answers 410" in plain(await answer.text())
    found = await ringback.platform.store.read(lambda tx: bins.find(tx, "t"))
    assert found is not None
    assert (found.max_captures, found.max_bytes, found.retention_s) == (7, 3_000_000, 3_600)
    async with operator.post("/dashboard/bins/t", data={"script": "9"}) as answer:
        assert (answer.status, "is no step" in await answer.text()) == (400, True)
    async with operator.post("/dashboard/bins/t", data={"action": "clear"}) as answer:
        assert "Nothing captured yet" in await answer.text()
    async with operator.post("/dashboard/bins/t", data={"action": "delete"}) as answer:
        assert answer.url.path == "/dashboard/bins"
    await page(operator, "/dashboard/bins/t", status=404)
    async with operator.post("/dashboard/bins", data={"name": "a b"}) as answer:
        assert (answer.status, "name must be" in await answer.text()) == (400, True)


async def test_other_sites_and_strangers_change_and_see_nothing(
    ringback: Running, operator: aiohttp.ClientSession
) -> None:
    await make_bin(ringback)
    for path in ("/dashboard/bins", "/dashboard/bins/t", "/dashboard/bins/t/1"):
        async with operator.post(path, data={}, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 403
    for path in ("", "/t", "/t/part", "/t/1", "/t/1/body", "/t/1/image", "/t/export?format=har", "/t/compare"):
        async with ringback.http.get(f"{ringback.url}/dashboard/bins{path}", allow_redirects=False) as answer:
            assert answer.status == 303


async def test_hostile_captures_are_shown_as_text(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    await put(ringback, HOSTILE.encode(), "t/<script>", **{"Content-Type": "text/html<script>", "X": "<script>"})
    for path in ("/t", "/t/part", "/t/1", "/t/1?view=hex", "/t/compare?left=1&right=1", "/t?q=%3Cscript%3E"):
        html = await page(operator, f"/dashboard/bins{path}")
        assert "<script>alert" not in html
        assert "<script></" not in html
        assert "\u202e" not in html
        assert "\x1b" not in html
    async with operator.get("/dashboard/bins/t/1/body") as answer:
        assert await answer.read() == HOSTILE.encode()
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    await page(operator, "/dashboard/bins/t/1/image", status=404)


async def test_views_of_bodies(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    await put(ringback, b"To=%2B1415&Text=a+b", **FORM)
    await put(ringback, b'{"b": [1, {"c": null}], "a": "\xc3\xbc"}')
    await put(ringback, PNG, **{"Content-Type": "text/html"})
    await put(ringback, b"\x00\x01hello\xff")
    await put(ringback, b"")
    form = plain(await page(operator, "/dashboard/bins/t/1"))
    assert "To +1415 Text a b" in form
    assert "form text hex" in form
    assert "&#34;c&#34;: null" in await page(operator, "/dashboard/bins/t/2")
    assert '<img class="captured" src="/dashboard/bins/t/3/image"' in await page(operator, "/dashboard/bins/t/3")
    async with operator.get("/dashboard/bins/t/3/image") as answer:
        assert (answer.content_type, await answer.read()) == ("image/png", PNG)
    assert "00000000 00 01 68 65 6c 6c 6f ff ..hello." in plain(await page(operator, "/dashboard/bins/t/4"))
    assert "Body 0 bytes" in plain(await page(operator, "/dashboard/bins/t/5"))


async def test_search_and_pages(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    for number in range(60):
        await put(ringback, b"needle" if number == 3 else b"hay", f"t/{number}")
    html = await page(operator, "/dashboard/bins/t")
    assert html.count('<tr id="n-') == 50
    assert 'href="/dashboard/bins/t?before=11"' in html
    assert (await page(operator, "/dashboard/bins/t?before=11")).count('<tr id="n-') == 10
    found = await page(operator, "/dashboard/bins/t?q=needle")
    assert (found.count('<tr id="n-'), 'id="n-4"' in found) == (1, True)
    assert "Nothing has that in it" in await page(operator, "/dashboard/bins/t?q=other")


async def test_attempts_are_shown_with_their_pauses_against_the_ladder(
    ringback: Running, operator: aiohttp.ClientSession
) -> None:
    await make_bin(ringback, script="500x2,200")
    body = b"MessageUUID=m&Status=sent&From=1&To=2"
    for number in range(3):
        await put(ringback, body + b"&Nonce=%d" % number, **FORM)
    attempts = await until_ended(ringback, count=3)
    words = plain(await page(operator, "/dashboard/bins/t/3"))
    assert "Attempts at the same" in words
    for (before, after), planned_s in zip(pairwise(attempts), (60, 120), strict=True):
        pause_us = after.received_at_us - before.received_at_us - (before.duration_us or 0)
        assert f"{duration(planned_s * 1_000_000 - pause_us)} early" in words
    compared = await page(operator, "/dashboard/bins/t/compare?left=1&right=3")
    assert compared.count('class="differs"') == 1
    assert "Nonce field, differs 0 2" in plain(compared)
    for query in ("", "?left=1", "?left=1&right=9", "?left=x&right=1"):
        await page(operator, f"/dashboard/bins/t/compare{query}", status=404)


async def test_a_capture_is_sent_on_as_it_came_or_edited(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    await put(ringback, b"line\nother\xff", "t/x%2Fy?q=%20", **{"X-Case": "Kept", "Content-Type": "a/b"})
    async with recording_endpoint() as endpoint:
        form = {"method": "put", "url": f"{endpoint.url}/a%2Fb?c=%20", "headers": "X-Case: Kept\r\nContent-Type: a/b"}
        async with operator.post("/dashboard/bins/t/1", data=form) as answer:
            assert "Answered 200" in plain(await answer.text())
        edited = {**form, "which": "edited", "body": "new\r\ntext"}
        async with operator.post("/dashboard/bins/t/1", data=edited) as answer:
            assert answer.status == 200
        first, second = endpoint.requests
        assert (first.method, first.target, first.body) == ("PUT", "/a%2Fb?c=%20", b"line\nother\xff")
        assert ("X-Case", "Kept") in first.headers
        assert second.body == b"new\ntext"
    for change, says in (
        ({"url": "file:///etc/passwd"}, "url must begin"), ({"method": "a b"}, "method must be"),
        ({"headers": "a"}, "is none"), ({"headers": "a: b\x0bc"}, "is none"),
    ):  # fmt: skip
        async with operator.post("/dashboard/bins/t/1", data={**form, **change}) as answer:
            assert (answer.status, says in await answer.text()) == (400, True), change
    async with operator.post("/dashboard/bins/t/1", data={**form, "url": "http://10.0.0.1/"}) as answer:
        assert "delivery.egress_allow says where" in await answer.text()


async def test_what_is_held_is_exported(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    await put(ringback, b"a")
    await put(ringback, b"b")
    async with operator.get("/dashboard/bins/t/export?format=har&number=2") as answer:
        entries = json.loads(await answer.text())["log"]["entries"]
        assert [entry["request"]["postData"]["text"] for entry in entries] == ["b"]
        assert answer.headers["Content-Disposition"].startswith("attachment")
    await page(operator, "/dashboard/bins/t/export?format=xml", status=404)


async def test_the_stream_brings_what_changes(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback, captures=3)
    await put(ringback, b"a=1")
    async with operator.get("/dashboard/live?rows=captures&bin=t&q=a%3D") as stream, asyncio.timeout(60):
        first = await frame(stream, lambda found: found["shown"] == [1])
        assert first["held"] == f"1 in {(await captured(ringback))[0].size} bytes"
        await put(ringback, b"b=1")
        await put(ringback, b"a=2<script>")
        found = await frame(stream, lambda found: 3 in found["shown"])
        assert found["shown"] == [3, 1]
        assert 'id="n-3" data-number="3"' in next(row["html"] for row in found["rows"] if row["id"] == 3)
        # The bin holds three: each further one pushes the oldest out, and its row goes.
        await put(ringback, b"a=3")
        assert (await frame(stream, lambda found: 4 in found["shown"]))["shown"] == [4, 3]
        await keeper(ringback).clear("t")
        assert (await frame(stream, lambda found: not found["shown"]))["held"] == "0 in 0 bytes"
        await put(ringback, b"a=4")
        assert (await frame(stream, lambda found: found["shown"]))["shown"] == [5]


async def frame(stream: aiohttp.ClientResponse, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Read frames until one is as wanted."""
    async for line in stream.content:
        if line.startswith(b"data: "):
            found: dict[str, Any] = json.loads(line[6:])
            if wanted(found):
                return found
    raise AssertionError("the stream has ended")


async def press(operator: aiohttp.ClientSession, path: str, **fields: str) -> None:
    async with operator.post(path, data=fields) as answer:
        assert answer.status == 200


def login(name: str, password: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(name, password)}


async def test_passwords_are_set_changed_and_taken_away(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await press(operator, "/dashboard/bins", name="t", password="first one")
    for change, password in (
        ({}, "first one"), ({"captures": "7", "password": ""}, "first one"), ({"password": "another"}, "another"),
    ):  # fmt: skip
        if change:
            await press(operator, "/dashboard/bins/t", **change)
        async with ringback.http.get(f"{ringback.url}/v1/bins/t", headers=login("t", password)) as answer:
            assert answer.status == 200, change
    assert "Its password lets others read it" in await page(operator, "/dashboard/bins/t")
    await press(operator, "/dashboard/bins/t", action="no password")
    async with ringback.http.get(f"{ringback.url}/v1/bins/t", headers=login("t", "another")) as answer:
        assert answer.status == 401
    assert "password_hash" not in await page(operator, "/dashboard/bins/t")


async def test_what_requests_have_in_common(ringback: Running, operator: aiohttp.ClientSession) -> None:
    await make_bin(ringback)
    assert "Nothing to infer from" in await page(operator, "/dashboard/bins/t/schema")
    for number in range(3):
        await put(
            ringback,
            json.dumps({"id": number, "<b>": "secret-4711471147114711"}).encode(),
            **{"Content-Type": "application/json"},
        )
    html = await page(operator, "/dashboard/bins/t/schema")
    assert "&lt;b&gt;" in html
    # Long enough that no token of the page has it by chance.
    assert "4711471147114711" not in html
    async with operator.get("/dashboard/bins/t/schema?format=json") as answer:
        schema = await answer.json(content_type="application/schema+json")
    assert schema["json"]["properties"]["id"] == {"type": "integer"}
    assert schema["json"]["required"] == ["id", "<b>"]
    async with operator.get("/dashboard/bins/nowhere/schema") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(("is_ours", "cause"), [(True, "The signature v3 fits"), (False, "No token that is known")])
async def test_signatures_are_explained(
    ringback: Running, operator: aiohttp.ClientSession, *, is_ours: bool, cause: str
) -> None:
    await make_bin(ringback)
    token = ringback.account.tokens[0] if is_ours else "a-token-of-nobody"
    url = f"{ringback.url}/bin/t?x=1"
    headers = callback_headers(
        "POST", url, [("A", "1")], nonce_v2="1", nonce_v3="2", tokens=(token,), main_tokens=(token,)
    )
    async with ringback.http.post(url, data={"A": "1"}, headers=headers):
        pass
    html = await page(operator, "/dashboard/bins/t/1")
    assert ('<b class="good">v3</b>' in html) is is_ours
    assert 'href="?signature#signature"' in html
    html = await page(operator, "/dashboard/bins/t/1?signature")
    assert cause in html
    assert token not in html
    assert "account " + ringback.account.auth_id in html
