"""``ringback receive``: one command beside a provider's account, and everything that can be had from it."""

import asyncio
import base64
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import pytest
from plivo.utils import validate_v3_signature
from standardwebhooks.webhooks import Webhook

from ringback.dialect.standard_webhooks import secret_of
from tests.fakes.callers import PUBLIC, TOKEN, call, said
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint
from tests.fakes.process import Served, run, served

AUTH_ID = "MAXXXXXXXXXXXXXXXXXX"
FLAGS = ("--source", "plivo", "--auth-id", AUTH_ID, "--token-env", "OURS", "--public-url", PUBLIC)
SECRETS = {"OURS": TOKEN, "OLD": "the-token-before"}
STATUS = "/hooks/plivo/sms_status"
KILLS = 10


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as found:
        yield found


def receiving(data_dir: Path, *flags: str):  # type: ignore[no-untyped-def] # noqa: ANN201 - as served gives it
    return served(data_dir, {}, *FLAGS, *flags, command="receive", **SECRETS)


def listed(data_dir: Path) -> list[dict[str, object]]:
    shown = run("receive", "--data-dir", str(data_dir), "list", "--json")
    assert shown.returncode == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


async def test_verified_stored_handed_on_and_fetched(
    tmp_path: Path, endpoint: RecordingEndpoint, http: aiohttp.ClientSession
) -> None:
    url = endpoint.url + "/mine?tenant=4"
    async with receiving(tmp_path, "--forward-to", url, "--token-env", "OLD") as server:
        assert await call(http, server.url, STATUS, said("m-1", "sent", 2)) == 200
        assert await call(http, server.url, STATUS, said("m-1", "sent", 2), token=SECRETS["OLD"]) == 200
        assert await call(http, server.url, "/hooks/plivo/", said("m-1", "delivered", 3, Text="ü+")) == 200
        assert await call(http, server.url, STATUS, said("m-1", "failed"), token="unknown") == 403
        got = await endpoint.wait_for(2)
        auth = aiohttp.encode_basic_auth(AUTH_ID, TOKEN)
        async with http.get(server.url + "/events?after=0&limit=2", headers={"Authorization": auth}) as answer:
            first = await answer.json()
        async with http.get(f"{server.url}/events?after={first['after']}", headers={"Authorization": auth}) as answer:
            second = await answer.json()
        async with http.get(server.url + "/events") as answer:
            assert answer.status == 401
        assert await server.terminate() == 0
    # The very code that verifies the provider's own requests verifies what was handed on.
    for request in got:
        params = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        nonce, signature = request.header("X-Plivo-Signature-V3-Nonce"), request.header("X-Plivo-Signature-V3")
        assert validate_v3_signature("POST", url, nonce, TOKEN, signature, params)
    assert [dict(parse_qsl(request.body.decode()))["Status"] for request in got] == ["sent", "delivered"]
    assert len(endpoint.requests) == 2
    assert [(event["status"], event["flag"]) for event in first["events"]] == [("sent", ""), ("sent", "duplicate")]
    assert first["has_more"] is True
    (last,) = second["events"]
    assert (last["status"], last["rank"], last["sequence"], ["Text", "ü+"] in last["raw"]) == ("delivered", 4, 3, True)
    assert second["has_more"] is False
    tailed = run("tail", "--after", "0", "--no-follow", "--status", "delivered", "--data-dir", str(tmp_path))
    assert [json.loads(line) for line in tailed.stdout.splitlines()] == [last]
    assert {item["verdict"] for item in listed(tmp_path)} == {"v3", "mismatch"}
    report = run("receive", "--data-dir", str(tmp_path), "report", "--json")
    (source,) = json.loads(report.stdout)["sources"]
    assert (source["duplicates"], source["refused"], source["sequence_gaps"]) == (1, {"mismatch": 1}, 1)


async def test_json_is_handed_on_as_standard_webhooks(
    tmp_path: Path, endpoint: RecordingEndpoint, http: aiohttp.ClientSession
) -> None:
    async with receiving(tmp_path, "--forward-to", endpoint.url + "/mine", "--forward-format", "json") as server:
        assert await call(http, server.url, STATUS, said("m-1", "undelivered", 3, ErrorCode="30")) == 200
        (request,) = await endpoint.wait_for(1)
        assert await server.terminate() == 0
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    event = Webhook(secret_of(TOKEN)).verify(request.body, {name: request.header(name) for name in names})
    assert event == json.loads(request.body)
    assert (event["status"], event["why"], event["message_id"]) == ("undelivered", "spam_filtered", "m-1")
    assert ["ErrorCode", "30"] in event["raw"]


async def test_a_stream_goes_on_where_it_was_cut_off(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    auth = {"Authorization": aiohttp.encode_basic_auth(AUTH_ID, TOKEN)}

    async def read(server: Served, count: int, **headers: str) -> list[tuple[str, dict[str, object]]]:
        events, frame = [], {}
        async with (
            asyncio.timeout(60),
            http.get(server.url + "/events/stream?after=0", headers={**auth, **headers}) as s,
        ):
            assert s.headers["content-type"].startswith("text/event-stream")
            while len(events) < count:
                line = (await s.content.readline()).decode().rstrip("\n")
                name, _, value = line.partition(": ")
                frame[name] = value
                if not line and "data" in frame:
                    events.append((frame["id"], json.loads(frame["data"])))
                    frame = {}
        return events

    async with receiving(tmp_path) as server:
        await call(http, server.url, STATUS, said("m-1", "queued", 1))
        waiting = asyncio.create_task(read(server, 2))
        await call(http, server.url, STATUS, said("m-1", "sent", 2))
        seen = await waiting
        assert await server.terminate() == 0
    async with receiving(tmp_path) as server:
        await call(http, server.url, STATUS, said("m-1", "delivered", 3))
        (more,) = await read(server, 1, **{"Last-Event-ID": seen[-1][0]})
        assert await server.terminate() == 0
    assert [event["status"] for _, event in [*seen, more]] == ["queued", "sent", "delivered"]


async def test_what_was_refused_is_explained(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with receiving(tmp_path) as server:
        base = PUBLIC.replace("https", "http")
        assert await call(http, server.url, STATUS, said("m-1", "sent"), base=base) == 403
        assert await server.terminate() == 0
    (item,) = listed(tmp_path)
    flags = ("receive", "--data-dir", str(tmp_path), *FLAGS)
    told = run(*flags, "explain", str(item["id"]), **SECRETS)
    assert told.returncode == 0, told.stderr
    assert "cause: The provider called http://hooks.example.com/hooks/plivo/sms_status" in told.stdout
    assert "a proxy has changed the scheme" in told.stdout
    assert TOKEN not in told.stdout
    as_json = json.loads(run(*flags, "explain", str(item["id"]), "--json", **SECRETS).stdout)
    assert (as_json["proven"], as_json["nearest"]["fits"]) == (True, "token 1")
    gone = run("receive", "--data-dir", str(tmp_path), "explain", str(item["id"]))
    assert "the source plivo is not configured here" in gone.stderr


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--source", "plivo", "--token-env", "NOWHERE"), "the environment variable NOWHERE"),
        (("--source", "plivo"), "a source needs a token to verify by"),
        ((), "say whose callbacks to receive"),
        (("--source", "plivo", "--token-env", "OURS", "--forward-to", "http://x/"), "needs an account whose tokens"),
        (("--source", "plivo", "--token-env", "OURS", "--trusted-proxy", "nobody"), "is no network"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, flags: tuple[str, ...], complaint: str) -> None:
    ended = run("receive", "--data-dir", str(tmp_path), "--port", "0", *flags, **SECRETS)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert TOKEN not in ended.stderr


async def test_kill_9_loses_nothing_that_was_answered_200(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    """Killed again and again under load, whatever was answered 200 is there, byte for byte, and is read once."""
    chance = random.Random(20)
    answered: set[str] = set()
    number = iter(range(1_000_000))
    aims: list[tuple[int, asyncio.Event]] = []

    async def send(server: Served) -> None:
        while True:
            message = f"m-{next(number)}"
            try:
                if await call(http, server.url, STATUS, said(message, "sent", 2)) == 200:
                    answered.add(message)
                    aim, reached = aims[-1]
                    if len(answered) >= aim:
                        reached.set()
            except aiohttp.ClientError:
                return

    for _ in range(KILLS):
        async with receiving(tmp_path) as server:
            aims.append((len(answered) + chance.randrange(20, 300), asyncio.Event()))
            senders = [asyncio.create_task(send(server)) for _ in range(8)]
            await aims[-1][1].wait()
            await server.kill()
            await asyncio.gather(*senders)
    async with receiving(tmp_path) as server:
        assert await server.terminate() == 0
    with sqlite3.connect(tmp_path / "ringback.db") as database:
        kept = dict(database.execute("SELECT message_uuid, request_id FROM received_events"))
        logged = [row[0] for row in database.execute("SELECT request_id FROM received_log ORDER BY position")]
        bodies = dict(database.execute("SELECT id, body FROM received_requests"))
    assert answered <= kept.keys()
    assert sorted(logged) == sorted(kept.values())
    assert all(dict(parse_qsl(bodies[id_].decode()))["MessageUUID"] == message for message, id_ in kept.items())
    assert len(answered) > KILLS * 20


def test_the_secret_for_standard_webhooks_is_the_token() -> None:
    assert base64.b64decode(secret_of(TOKEN).removeprefix("whsec_")) == TOKEN.encode()


async def test_flags_may_stand_after_a_subcommand_and_gaps_are_named(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with receiving(tmp_path) as server:
        assert await call(http, server.url, STATUS, said("m-1", "sent", 2)) == 200
        assert await call(http, server.url, STATUS, said("m-1", "sent", 2)) == 200
        assert await call(http, server.url, STATUS, said("m-2", "delivered", 3)) == 200
        assert await server.terminate() == 0
    config = tmp_path / "ringback.toml"
    config.write_text(f'[store]\ndata_dir = "{tmp_path}"\n')
    here = ("--config", str(config))
    rows = run("receive", "list", *here)
    assert rows.returncode == 0, rows.stderr
    (totals,) = [line.split() for line in rows.stdout.splitlines() if line.split()[1:3] == ["plivo", "│"]]
    assert [cell for cell in totals if cell.isdigit()] == ["3", "0", "2", "1", "0", "0", "0"]
    report = run("receive", "report", "--json", "--data-dir", str(tmp_path))
    assert json.loads(report.stdout)["sources"][0]["messages"] == 2
    found = json.loads(run("receive", "gaps", "--older", "0s", "--json", *here).stdout)
    assert [(each["status"], each["messages"]) for each in found["stalled"]] == [("sent", 1)]
    assert [each["message_uuid"] for each in found["oldest"]] == ["m-1"]
    assert "m-1: sent" in run("receive", "gaps", "--older", "0s", *here).stdout
    refused = run("receive", "gaps", "--older", "long", *here)
    assert "--older must be so long ago" in refused.stderr
