"""Sources of a running Ringback: providers, proxies, rotation, raw storage, and what happens when it is too much."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from ringback.receiver import receive
from ringback.settings import DashboardSettings
from ringback.store import received
from ringback.store.sqlite import FILE_NAME
from ringback.web.dashboard.sessions import make_login_link
from tests.fakes.callers import PUBLIC, TOKEN, call, said, signed
from tests.fakes.platform import Running, running, settings_for

SOURCES = {
    "plivo": {"tokens": ["new token", TOKEN], "public_url": PUBLIC},
    "bare": {"tokens": [TOKEN]},
    "strict": {"tokens": [TOKEN], "public_url": PUBLIC, "require_v3": True},
    "twilio": {"provider": "twilio", "tokens": ["t" * 32], "public_url": PUBLIC},
}


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    settings = settings_for(tmp_path, sources=SOURCES, server={"trusted_proxies": ["127.0.0.0/8"]})
    async with running(settings) as platform:
        yield platform


async def newest(ringback: Running) -> received.ReceivedRequest:
    ((request, _),) = await ringback.platform.store.read(lambda tx: received.newest(tx, limit=1))
    return request


@pytest.mark.parametrize("token", [TOKEN, "new token"])
async def test_every_live_token_is_believed(ringback: Running, token: str) -> None:
    target = "/hooks/plivo/sms_status"
    assert await call(ringback.http, ringback.url, target, said("m", "sent"), token=token) == 200


async def test_what_a_trusted_proxy_says_is_what_was_called(ringback: Running) -> None:
    told = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "a.example"), ("X-Forwarded-For", "192.0.2.7")]
    target = "/hooks/bare/sms_status"
    how = {"base": "https://a.example", "headers": told}
    assert await call(ringback.http, ringback.url, target, said("m", "sent"), **how) == 200
    assert (await newest(ringback)).peer == "192.0.2.7"
    assert await call(ringback.http, ringback.url, target, said("m", "sent"), base="https://a.example") == 403


async def test_headers_are_kept_in_order_and_as_often_as_they_came(ringback: Running) -> None:
    body, headers = signed("/hooks/plivo/?b=%20&a", said("m", "sent"))
    lines = [("Host", "x"), ("X-B", "1"), ("X-A", "2"), ("X-B", "3"), *headers, ("Content-Length", str(len(body)))]
    head = "POST /hooks/plivo/?b=%20&a HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
    place = urlsplit(ringback.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()
    kept = await newest(ringback)
    names = [name for name, _ in lines] + ["Connection"]
    assert [name for name, _ in json.loads(kept.headers)] == [name.lower() for name in names]
    assert [value for name, value in json.loads(kept.headers) if name == "x-b"] == ["1", "3"]
    assert (kept.target, kept.body) == ("/hooks/plivo/?b=%20&a", body)


async def test_twilio_comes_to_its_own_source(ringback: Running) -> None:
    params = {"MessageSid": "SM1", "MessageStatus": "delivered", "From": "+1415", "To": "+1416"}
    signature = RequestValidator("t" * 32).compute_signature(PUBLIC + "/hooks/twilio", params)
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    for body, status in ((urlencode(params), 200), (urlencode(params) + "&x=1", 403)):
        async with ringback.http.post(ringback.url + "/hooks/twilio", data=body, headers=headers) as answer:
            assert answer.status == status
    (event,) = await ringback.platform.store.read(lambda tx: received.of_messages(tx, ["SM1"]))
    assert (event.source, event.status) == ("twilio", "delivered")


async def test_v2_alone_is_refused_where_v3_is_required(ringback: Running) -> None:
    target = "/hooks/strict/sms_status"
    body, headers = signed(target, said("m", "sent"))
    for kept, status in ((headers, 200), ([pair for pair in headers if "-V3" not in pair[0]], 403)):
        async with ringback.http.post(ringback.url + target, data=body, headers=kept) as answer:
            assert answer.status == status
    assert (await newest(ringback)).verdict == "v2_only"


async def test_bytes_that_wait_are_bounded_and_the_answer_is_honest(
    ringback: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "MAX_WAITING_BYTES", 10)
    async with ringback.http.post(ringback.url + "/hooks/plivo", data=b"x" * 11) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert await ringback.platform.store.read(lambda tx: received.newest(tx, limit=1)) == []
    monkeypatch.undo()
    assert await call(ringback.http, ringback.url, "/hooks/plivo", said("m", "sent")) == 200


async def test_a_burst_while_the_database_is_held_is_absorbed_or_refused(tmp_path: Path) -> None:
    """What waits is bounded; beyond that 503, and nothing of it is stored. Whatever got 200 is there, once."""
    settings = settings_for(
        tmp_path,
        sources=SOURCES,
        server={"max_waiting_requests": 20},
        store={"data_dir": tmp_path, "busy_timeout_s": 60.0},
    )
    taken: set[str] = set()
    refused: set[str] = set()
    was_refused = asyncio.Event()
    connector = aiohttp.TCPConnector(limit=0)
    async with running(settings) as ringback, aiohttp.ClientSession(connector=connector) as http:

        async def send(name: str) -> None:
            body, headers = signed("/hooks/plivo", said(name, "sent"))
            async with http.post(ringback.url + "/hooks/plivo", data=body, headers=headers) as answer:
                if answer.status == 200:
                    taken.add(name)
                else:
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
                    refused.add(name)
                    was_refused.set()

        with closing(sqlite3.connect(settings.store.data_dir / FILE_NAME, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            sent = [asyncio.create_task(send(f"m{number}")) for number in range(600)]
            async with asyncio.timeout(60):
                await was_refused.wait()
            assert taken == set()
            somebody.execute("ROLLBACK")
        await asyncio.gather(*sent)
        assert len(taken) + len(refused) == len(sent)
        assert len(taken) >= 20
        kept = await ringback.platform.store.read(lambda tx: received.newest(tx, limit=1000))
        assert sorted(event.message_uuid for _, event in kept if event) == sorted(taken)
        assert await call(ringback.http, ringback.url, "/hooks/plivo", said("later", "sent")) == 200


async def test_the_dashboard_says_why(ringback: Running) -> None:
    target = "/hooks/plivo/sms_status"
    assert await call(ringback.http, ringback.url, target, said("m", "sent"), base="http://hooks.example.com") == 403
    request = await newest(ringback)
    store, clock = ringback.platform.store, ringback.platform.clock
    key = urlsplit(await make_login_link(store, clock, DashboardSettings(), ringback.url)).query.removeprefix("key=")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(ringback.url, cookie_jar=jar) as operator:
        async with operator.post("/dashboard/login", data={"key": key}, allow_redirects=False):
            pass
        async with operator.get(f"/dashboard/received/{request.id}") as shown:
            assert f"/dashboard/received/{request.id}/signature" in await shown.text()
        async with operator.get(f"/dashboard/received/{request.id}/signature") as shown:
            page = await shown.text()
        async with operator.get(f"/dashboard/received/{'0' * 8}-0000-7000-8000-{'0' * 12}/signature") as shown:
            assert shown.status == 404
    assert "a proxy has changed the scheme" in page
    assert TOKEN not in page
    assert dict(json.loads(request.headers))["x-plivo-signature-v3"] not in page


async def test_an_account_reads_only_its_own_sources(tmp_path: Path) -> None:
    ours = {"auth_id": "MAAAAAAAAAAAAAAAAAAA", "tokens": ["a"], "public_url": PUBLIC}
    theirs = {"auth_id": "MABBBBBBBBBBBBBBBBBB", "tokens": ["b"], "public_url": PUBLIC}
    async with running(settings_for(tmp_path, sources={"ours": ours, "theirs": theirs})) as ringback:
        for name, token in (("ours", "a"), ("theirs", "b")):
            assert await call(ringback.http, ringback.url, f"/hooks/{name}", said("m", "sent"), token=token) == 200
        auth = {"Authorization": aiohttp.encode_basic_auth("MAAAAAAAAAAAAAAAAAAA", "a")}
        for query, expected in (("", ["ours"]), ("?source=ours", ["ours"]), ("?source=theirs", [])):
            async with ringback.http.get(f"{ringback.url}/events{query}", headers=auth) as answer:
                assert [event["source"] for event in (await answer.json())["events"]] == expected
        async with ringback.http.get(f"{ringback.url}/events?after=x", headers=auth) as answer:
            assert answer.status == 400
