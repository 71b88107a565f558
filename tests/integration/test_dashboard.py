"""The dashboard over HTTP: who gets in, what each page says, and what it never shows."""

import json
import re
from pathlib import Path

import aiohttp
import pytest

from ringback.messaging.progress import Change, Progress
from ringback.model.errors import StoreUnavailable
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.store import callbacks, received, schema
from ringback.store.callbacks import Attempt, Outcome
from ringback.store.port import Transaction
from ringback.web.dashboard.pages import HEADERS
from tests.data.dashboard.seeding import add_accounts, add_day, arrival, rejection
from tests.data.dashboard.serving import Dashboard, page, plain, serve
from tests.fakes.callbacks import take_due
from tests.fakes.messages import message, message_uuid

HOUR_S = 3600
PAGES = ("/dashboard", "/dashboard/messages", "/dashboard/received", "/dashboard/overview", "/dashboard/nowhere")


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def send(dashboard: Dashboard, *changes: Change, **fields: object) -> Message:
    """Store a message queued now, and what happened to it."""
    number = len(dashboard.sent)
    now_us = dashboard.clock.now_us()
    new = message(**{"uuid": message_uuid(number), "queued_at_us": now_us, "updated_at_us": now_us, **fields})
    dashboard.sent.append(new.uuid)

    def work(tx: Transaction) -> Message:
        progress = Progress(dashboard.new_id)
        progress.accept(new)
        standing = new
        for change in changes:
            standing = progress.change(standing, change)
        progress.write(tx)
        return standing

    return await dashboard.commit(work)


def changes(dashboard: Dashboard, *statuses: str, code: str = "000", step_s: float = 2) -> list[Change]:
    """Make one change after the other, ``step_s`` apart."""
    now_us = dashboard.clock.now_us()
    return [
        Change(
            status=Status(status),
            at_us=now_us + round(number * step_s * 1_000_000),
            error_code=None if status == "sent" else code,
        )
        for number, status in enumerate(statuses, start=1)
    ]


async def attempt(dashboard: Dashboard, *, at_us: int, **fields: object) -> None:
    """Make one attempt of everything that is due, with one answer for all."""

    def work(tx: Transaction) -> None:
        due = take_due(tx, now_us=at_us, lease_until_us=at_us + 1)
        callbacks.record(
            tx,
            [
                Outcome(
                    callback=callback,
                    attempt=Attempt(
                        **{
                            "callback_id": callback.id,
                            "number": callback.attempts_made + 1,
                            "planned_at_us": callback.planned_at_us,
                            "started_at_us": at_us,
                            "duration_us": 85_000,
                            "outcome": "http_status",
                            "http_status": 503,
                            "request_headers": '[["User-Agent", "Ringback"], ["Authorization", "Basic c2VjcmV0"]]',
                            "response_headers": '[["Server", "nginx"]]',
                            "response_body": b"not now",
                            "error": "answered 503",
                            **fields,
                        }
                    ),
                    attempts_made=callback.attempts_made + 1,
                    state="pending",
                    next_due_at_us=at_us + 60_000_000,
                    recorded_at_us=at_us,
                )
                for callback in due
            ],
        )

    await dashboard.store.write(work)


# ---- getting in ----


async def test_a_login_link_opens_one_session(dashboard: Dashboard) -> None:
    link = await dashboard.login_link()
    key = link.partition("key=")[2]
    async with dashboard.stranger() as client:
        for _ in range(2):
            assert "Open the dashboard" in await page(client, link)
        async with client.post("/dashboard/login", data={"key": key}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
            cookie = answer.headers["Set-Cookie"]
        assert "Overview" in await page(client, "/dashboard")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "samesite=strict", "path=/dashboard", "max-age=43200"}
    async with (
        dashboard.stranger() as client,
        client.post("/dashboard/login", data={"key": key}, allow_redirects=False) as answer,
    ):
        assert answer.status == 401
        assert "Set-Cookie" not in answer.headers
        assert "ringback login-link" in await answer.text()


async def test_an_expired_or_wrong_link_opens_nothing(dashboard: Dashboard) -> None:
    key = (await dashboard.login_link()).partition("key=")[2]
    dashboard.clock.advance(HOUR_S)
    async with dashboard.stranger() as client:
        for tried in (key, "wrong", "", "k" * 10_000):
            async with client.post("/dashboard/login", data={"key": tried}, allow_redirects=False) as answer:
                assert answer.status == 401
        await page(client, "/dashboard", status=401)


async def test_neither_secret_is_stored(dashboard: Dashboard, tmp_path: Path) -> None:
    key = (await dashboard.login_link()).partition("key=")[2]
    async with dashboard.operator() as client:
        session = next(iter(client.cookie_jar)).value
    stored = everything_in(tmp_path)
    assert key.encode() not in stored
    assert session.encode() not in stored


@pytest.mark.parametrize("path", [*PAGES, "/dashboard/live", f"/dashboard/messages/{message_uuid(0)}"])
async def test_without_a_session_there_is_no_data(dashboard: Dashboard, path: str) -> None:
    await send(dashboard)
    async with dashboard.stranger() as client:
        client.cookie_jar.update_cookies({"ringback_session": "guessed"})
        async with client.get(path, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"].startswith("/dashboard/login?next=")
            assert await answer.text() == ""
        text = await page(client, path, status=401)
        assert "14155550123" not in text
        assert f'href="{path}"' in text


@pytest.mark.parametrize(
    "target", ["https://evil.example/dashboard", "//evil.example/dashboard", "/v1/x", "javascript:1"]
)
async def test_the_way_on_stays_in_the_dashboard(dashboard: Dashboard, target: str) -> None:
    async with dashboard.stranger() as client, client.get("/dashboard/login", params={"next": target}) as answer:
        assert answer.status == 401
        assert target not in await answer.text()


async def test_a_session_ends_by_logout_and_by_time(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        session = next(iter(client.cookie_jar)).value
        async with client.post("/dashboard/logout", allow_redirects=False) as answer:
            assert answer.status == 303
        client.cookie_jar.update_cookies({"ringback_session": session})
        await page(client, "/dashboard", status=401)
    async with dashboard.operator() as client:
        for _ in range(4):
            dashboard.clock.advance(3 * HOUR_S - 1)
            await page(client, "/dashboard")
        dashboard.clock.advance(4)
        await page(client, "/dashboard", status=401)


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
async def test_posts_from_other_sites_change_nothing(dashboard: Dashboard, headers: dict[str, str]) -> None:
    key = (await dashboard.login_link()).partition("key=")[2]
    async with dashboard.operator() as client:
        async with client.post("/dashboard/login", data={"key": key}, headers=headers) as answer:
            assert answer.status == 403
        async with client.post("/dashboard/logout", headers=headers) as answer:
            assert answer.status == 403
        await page(client, "/dashboard")
        ours = {"Origin": dashboard.base_url}
        async with client.post("/dashboard/login", data={"key": key}, headers=ours, allow_redirects=False) as answer:
            assert answer.status == 303


@pytest.mark.parametrize("secure", [True, False])
async def test_the_cookie_is_secure_when_the_public_address_is(tmp_path: Path, *, secure: bool) -> None:
    async with serve(tmp_path, secure_cookies=secure) as dashboard, dashboard.stranger() as client:
        form = {"key": (await dashboard.login_link()).partition("key=")[2]}
        # What the client says about the proxy decides nothing.
        headers = {"X-Forwarded-Proto": "http" if secure else "https"}
        async with client.post("/dashboard/login", data=form, headers=headers, allow_redirects=False) as answer:
            assert ("secure" in answer.headers["Set-Cookie"].lower()) is secure


# ---- every page ----


async def test_every_answer_carries_the_headers(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    sent = await send(dashboard)
    paths = [*PAGES, "/dashboard/login", f"/dashboard/messages/{sent.uuid}", "/dashboard/received/none"]
    for path in paths:
        async with operator.get(path) as answer:
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
            text = await answer.text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text), path
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), path
        assert not re.search(r'(src|href)="(https?:)?//', text), path


async def test_static_files_are_kept_for_ever_by_version(operator: aiohttp.ClientSession) -> None:
    text = await page(operator, "/dashboard")
    addresses = set(re.findall(r'"(/dashboard/static/[^"]+)"', text))
    assert {address.partition("?")[0].rpartition("/")[2] for address in addresses} == {
        "dark.css",
        "icon.svg",
        "live.js",
        "ringback.css",
    }
    for address in addresses:
        async with operator.get(address) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with operator.get(address.partition("?")[0] + "?v=old") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
    await page(operator, "/dashboard/static/none.css", status=404)


async def test_a_database_that_is_away_is_said_so(
    dashboard: Dashboard, operator: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(dashboard.store, "read", away)
    monkeypatch.setattr(dashboard.store, "write", away)
    for path in ("/dashboard", "/dashboard/messages"):
        assert "Reload this page" in await page(operator, path, status=503)
    async with operator.post("/dashboard/login", data={"key": "k"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


async def test_a_whole_day_of_traffic_can_be_read(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    now_us = dashboard.clock.now_us()
    sent = await dashboard.commit(lambda tx: add_day(tx, dashboard.new_id, now_us=now_us, count=60))
    for path in ("/dashboard?span=1h", "/dashboard?span=7d", "/dashboard?span=x", "/dashboard/messages"):
        await page(operator, path)
    for item in sent:
        assert item.uuid in await page(operator, f"/dashboard/messages/{item.uuid}")


# ---- overview ----


async def test_the_overview_says_how_things_are(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    for _ in range(4):
        await send(dashboard, *changes(dashboard, "sent", "delivered"))
    await send(dashboard, *changes(dashboard, "sent", "undelivered", code="80"))
    await send(dashboard, *changes(dashboard, "failed", code="420"))
    await send(dashboard, *changes(dashboard, "sent"))
    await send(dashboard, callback_url=None)
    words = plain(await page(operator, "/dashboard"))
    assert "Accepted 8" in words
    assert "Delivery rate 66.7 % 4 delivered of 6 that ended (delivered, undelivered or failed)" in words
    assert re.search(
        r"Time to deliver (3\.9|4\.0|4\.1) s p50 (3\.9|4\.0|4\.1) s p95 from queued to delivered, ±2.5 %", words
    )
    assert "Callbacks out 19 waiting 0 given up" in words
    assert "delivered 4 50.0 % sent 1 12.5 % queued 1 12.5 % undelivered 1 12.5 % failed 1 12.5 %" in words
    assert "80 destination temporarily unavailable 1 50.0 %" in words
    assert "420 expired in the queue 1 50.0 %" in words
    assert ": 8 accepted, 4 delivered, 1 failed, 1 queued, 1 sent, 1 undelivered" in words
    assert re.search(
        r"Hour \(UTC\) delivered sent queued undelivered failed accepted [-0-9]+ \d\d:00Z 4 1 1 1 1 8", words
    )
    part = await page(operator, "/dashboard/overview")
    assert "<html" not in part
    assert plain(part) in words


async def test_the_span_chooses_the_hours(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await send(dashboard)
    dashboard.clock.advance(3 * HOUR_S)
    await send(dashboard)
    assert "Accepted 1 " in plain(await page(operator, "/dashboard?span=1h"))
    assert "Accepted 2 " in plain(await page(operator, "/dashboard?span=24h"))
    dashboard.clock.advance(30 * HOUR_S)
    async with dashboard.operator() as later:
        words = plain(await page(later, "/dashboard"))
        assert "Accepted 0 " in words
        assert "Look at 7 days" in words
        assert "Accepted 2 " in plain(await page(later, "/dashboard?span=7d"))


async def test_given_up_callbacks_and_sources_are_counted(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    now_us = dashboard.clock.now_us()
    await dashboard.commit(lambda tx: add_day(tx, dashboard.new_id, now_us=now_us, count=80))
    expected = await dashboard.store.read(
        lambda tx: (received.totals_by_source(tx)["main"], callbacks.given_up(tx, since_us=0), callbacks.waiting(tx))
    )
    totals, given_up, waiting = expected
    words = plain(await page(operator, "/dashboard"))
    assert given_up > 0
    assert f"{waiting} waiting {given_up} given up" in words
    assert f"main {totals.requests} 1 {totals.unique} {totals.duplicate} {totals.out_of_order}" in words


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/dashboard", "curl -u"),
        ("/dashboard/messages", "curl -u"),
        ("/dashboard/received", "[sources.main]"),
        ("/dashboard/messages?status=sent", "Show all messages"),
    ],
)
async def test_empty_pages_tell_what_to_do(operator: aiohttp.ClientSession, path: str, advice: str) -> None:
    assert advice in await page(operator, path)


# ---- messages ----


async def test_the_list_filters(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    await dashboard.store.write(lambda tx: add_accounts(tx, 1))
    one = await send(dashboard, *changes(dashboard, "sent", "undelivered", code="50"), src="Acme", dst="447911123456")
    two = await send(dashboard, account_id="MAMJK3NTGYOTQ2ZWU1NJ")

    async def listed(query: str) -> list[str]:
        return re.findall(r'<tr id="m-([^"]+)"', await page(operator, f"/dashboard/messages{query}"))

    assert await listed("") == [two.uuid, one.uuid]
    assert await listed("?status=&account=&number=&error=") == [two.uuid, one.uuid]
    assert await listed("?status=undelivered") == [one.uuid]
    assert await listed("?status=nonsense") == [two.uuid, one.uuid]
    assert await listed("?account=MAMJK3NTGYOTQ2ZWU1NJ") == [two.uuid]
    assert await listed("?number=%2B44+7911-123456") == [one.uuid]
    assert await listed("?number=Acme") == [one.uuid]
    assert await listed("?error=50&status=undelivered") == [one.uuid]
    assert await listed("?error=30") == []
    words = plain(await page(operator, "/dashboard/messages?status=undelivered"))
    assert "Acme 447911123456 undelivered 1 50 invalid destination number 4.0 s" in words


async def test_pages_cover_every_message_once(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    now_us = dashboard.clock.now_us()

    def work(tx: Transaction) -> None:
        progress = Progress(dashboard.new_id)
        for number in range(120):
            # Many of one instant: the cursor must not lose those that share its time.
            at_us = now_us + number // 40
            progress.accept(message(uuid=message_uuid(number), queued_at_us=at_us, updated_at_us=at_us))
        progress.write(tx)

    await dashboard.commit(work)
    address, seen = "/dashboard/messages?status=queued", []
    while address:
        text = await page(operator, address)
        seen += re.findall(r'<tr id="m-([^"]+)"', text)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        address = older[1].replace("&amp;", "&") if older else ""
    assert seen == [message_uuid(number) for number in range(119, -1, -1)]


@pytest.mark.parametrize(
    ("log", "number_shown", "text_shown"),
    [("true", True, True), ("false", False, False), ("content_only", False, True), ("number_only", True, False)],
)
async def test_log_decides_what_is_shown(
    dashboard: Dashboard, operator: aiohttp.ClientSession, log: str, *, number_shown: bool, text_shown: bool
) -> None:
    sent = await send(
        dashboard,
        *changes(dashboard, "sent", "delivered"),
        Change(status=Status.DELIVERED, at_us=dashboard.clock.now_us(), detail="dst:14155550123"),
        log=log,
        text="the secret word" if text_shown else None,
        callback_url="https://example.com/cb?to=14155550123",
    )
    await attempt(dashboard, at_us=dashboard.clock.now_us(), response_body=b"got 14155550123")
    request, said = arrival(
        dashboard.new_id,
        dashboard.clock.now_us(),
        {
            "MessageUUID": sent.uuid,
            "From": sent.src,
            "To": sent.dst,
            "Status": "delivered",
            "Sequence": "3",
            "Units": "1",
        },
    )
    refused = rejection(dashboard.new_id, dashboard.clock.now_us(), body=request.body)
    await dashboard.store.write(lambda tx: received.store(tx, [request, refused], [said]))
    detail = await page(operator, f"/dashboard/messages/{sent.uuid}")
    assert ("the secret word" in detail) == text_shown
    for text in (
        detail,
        await page(operator, "/dashboard/messages"),
        await page(operator, "/dashboard/received"),
        await page(operator, f"/dashboard/received/{request.id}"),
        await page(operator, f"/dashboard/received/{refused.id}"),
    ):
        assert ("14155550123" in text) == number_shown
        assert ("141XXXXX123" in text) != number_shown
    found = await page(operator, "/dashboard/messages?number=14155550123")
    assert (sent.uuid in found) == number_shown
    assert sent.uuid in await page(operator, "/dashboard/messages?number=15005550100")


async def test_the_detail_page_shows_what_happened(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    now_us = dashboard.clock.now_us()
    sent = await send(
        dashboard,
        *changes(dashboard, "sent", "undelivered", "undelivered", "sent", code="30"),
        callback_url="https://name:hunter2@example.com/cb",
    )
    await attempt(dashboard, at_us=now_us + 7_000)
    words = plain(await page(operator, f"/dashboard/messages/{sent.uuid}"))
    assert "undelivered sequence 3 +2.0 s 30 filtered as spam" in words
    assert "undelivered duplicate changed nothing +2.0 s 30 filtered as spam" in words
    assert "sent late changed nothing" in words
    assert "POST https://name:(not shown)@example.com/cb" in words
    assert "hunter2" not in words
    assert "c2VjcmV0" not in words
    assert "next attempt planned for 2025-11-24 16:01:00.007Z" in words
    assert "held until an earlier callback of this message has had its first attempt" in words
    assert "Attempt 1 HTTP 503 85 ms" in words
    assert "Planned 2025-11-24 16:00:00.000Z Started 2025-11-24 16:00:00.007Z 7.0 ms late" in words
    assert "Server nginx Response body not now" in words
    assert "MessageUUID" in words
    assert "No source of this Ringback has received a callback about this message." in words
    await page(operator, f"/dashboard/messages/{message_uuid(999)}", status=404)
    await page(operator, "/dashboard/messages/nonsense", status=404)


# ---- received ----


async def test_received_requests_are_shown_with_their_verdicts(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    sent = await send(dashboard, *changes(dashboard, "sent", "delivered"))
    now_us = dashboard.clock.now_us()

    def params(status: str, sequence: str) -> dict[str, str]:
        numbers = {"From": sent.src, "To": sent.dst, "Units": "1"}
        return {"MessageUUID": sent.uuid, "Status": status, "Sequence": sequence, **numbers}

    said = [params("delivered", "3"), params("delivered", "3"), params("sent", "2")]
    came = [arrival(dashboard.new_id, now_us + number, given) for number, given in enumerate(said)]
    refused = rejection(dashboard.new_id, now_us + 9)
    await dashboard.store.write(
        lambda tx: received.store(tx, [*(request for request, _ in came), refused], [event for _, event in came])
    )
    text = await page(operator, "/dashboard/received")
    words = plain(text)
    assert "main rejected carries no signature from 192.0.2.66" in words
    assert "v3 duplicate delivered" in words
    assert "v3 out of order sent" in words
    assert text.count('class="rejected"') == 1
    raw = plain(await page(operator, f"/dashboard/received/{refused.id}"))
    assert "Verdict no signature carries no signature" in raw
    assert "MessageUUID=1&amp;Status=delivered&amp;From=1&amp;To=2" in raw
    assert "POST /hooks/main/status" in raw
    back = plain(await page(operator, f"/dashboard/messages/{sent.uuid}"))
    assert "main delivered 3 v3 yes" in back
    assert "main delivered 3 v3 duplicate" in back
    assert "main sent 2 v3 out of order" in back
    await page(operator, "/dashboard/received/nonsense", status=404)
    await page(operator, f"/dashboard/received/{message_uuid(999)}", status=404)


async def test_hostile_content_stays_text(dashboard: Dashboard, operator: aiohttp.ClientSession) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    now_us = dashboard.clock.now_us()
    sent = await send(
        dashboard,
        Change(status=Status.SENT, at_us=now_us, connector=evil, carrier_ref=evil, network=evil),
        Change(status=Status.UNDELIVERED, at_us=now_us, error_code=evil[:8], detail=evil + "\x1b[31m\u202e"),
        text=evil,
        src=evil,
        callback_url="https://example.com/" + evil,
        requester_ip=evil[:45],
    )
    pairs = json.dumps([[evil, evil]])
    body = b"</pre>" + evil.encode() + b"\x00\xff\r\n"
    await attempt(
        dashboard, at_us=now_us, response_body=body, response_headers=pairs, request_headers=pairs, error=evil
    )
    request, said = arrival(
        dashboard.new_id,
        now_us,
        {"MessageUUID": evil[:64], "From": evil, "To": evil, "Status": evil, "Sequence": "1", "Units": "1"},
    )
    refused = rejection(
        dashboard.new_id,
        now_us,
        source=evil,
        method=evil[:8],
        target="/hooks/" + evil,
        headers=pairs,
        body=body,
        verdict=evil[:16],
    )
    await dashboard.store.write(lambda tx: received.store(tx, [request, refused], [said]))
    paths = (
        "/dashboard",
        "/dashboard/messages",
        "/dashboard/received",
        f"/dashboard/messages/{sent.uuid}",
        f"/dashboard/received/{request.id}",
        f"/dashboard/received/{refused.id}",
    )
    for path in paths:
        text = await page(operator, path)
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text), path
    detail = await page(operator, f"/dashboard/messages/{sent.uuid}")
    assert "\u241b[31m\u27e8U+202E\u27e9" in detail
    assert "\u2400\\xff\u240d" in detail
    queries = {"status": evil, "account": evil, "number": evil, "error": evil, "before": evil}
    async with operator.get("/dashboard/messages", params=queries) as answer:
        assert "<script>alert" not in await answer.text()


async def test_a_callback_that_has_ended_can_be_sent_once_more(
    dashboard: Dashboard, operator: aiohttp.ClientSession
) -> None:
    uuid = (await send(dashboard)).uuid
    where = f"/dashboard/messages/{uuid}"
    [owed] = await dashboard.store.read(lambda tx: callbacks.owed_for(tx, [uuid]))
    form = {"callback": owed.id}
    assert "Send once more" not in await page(operator, where), "it is still being tried"
    async with operator.post(where, data=form, allow_redirects=False) as answer:
        assert answer.status == 404
    await attempt(dashboard, at_us=dashboard.clock.now_us(), outcome="ok", http_status=200, error=None)
    await dashboard.store.write(lambda tx: tx.execute(schema.callbacks.update().values(state="delivered")))
    assert "Send once more" in await page(operator, where)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    async with operator.post(where, data=form, headers=foreign, allow_redirects=False) as answer:
        assert answer.status == 403
    async with operator.post(where, data=form, allow_redirects=False) as answer:
        assert answer.status == 303
    copies = await dashboard.store.read(lambda tx: callbacks.owed_for(tx, [uuid]))
    assert sorted(copy.resend_of or "" for copy in copies) == ["", owed.id]
    assert "Sent once more by hand" in await page(operator, where)
