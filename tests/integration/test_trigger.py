"""``ringback trigger``: whole lives against a URL, verified by the official SDK, retried by the real plan."""

import asyncio
import json
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from plivo.utils import validate_v3_signature

from ringback.cli.lives import KINDS, Wish, lives
from ringback.delivery.http import HttpClient
from ringback.delivery.trigger import Trigger
from ringback.model.errors import InvalidRequest
from ringback.model.ids import AccountId
from ringback.model.retry import RetryPlan
from ringback.runtime import SystemClock
from ringback.settings import DeliverySettings
from ringback.store.accounts import Account
from ringback.wiring.chance import new_nonce
from tests.fakes.endpoint import Recorded, RecordingEndpoint, recording_endpoint, status
from tests.fakes.process import COMMAND, run

TOKEN = "the-token"
ACCOUNT = Account(AccountId("MATRIGGER00000000000"), "t", True, None, (TOKEN,), (TOKEN,))
LOCAL = DeliverySettings(egress_allow=("127.0.0.0/8",), deadline_s=60, connect_timeout_s=60)


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as found:
        yield found


def wish(kind: str = "delivered", **changes: object) -> Wish:
    fields: dict[str, object] = {
        "kind": kind, "count": 20, "seed": 7, "url": "http://127.0.0.1:9/status?tenant=4", "method": "POST",
        "auth_id": ACCOUNT.auth_id, "rate": 1_000.0, "speed": 100.0,
    }  # fmt: skip
    return Wish(**fields | changes)  # type: ignore[arg-type]


async def triggered(asked: Wish) -> Trigger:
    async with HttpClient(LOCAL) as http:
        plan = RetryPlan((0.05, 0.1))
        engine = Trigger(http=http, account=ACCOUNT, clock=SystemClock(), new_nonce=new_nonce, plan=plan)
        await engine.run(lives(asked))
    return engine


def params(request: Recorded) -> dict[str, str]:
    text = request.body.decode() if request.method == "POST" else urlsplit(request.target).query
    return dict(parse_qsl(text, keep_blank_values=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_lives(kind: str) -> None:
    assert list(lives(wish(kind))) == list(lives(wish(kind)))
    assert list(lives(wish(kind))) != list(lives(wish(kind, seed=8)))


@pytest.mark.parametrize(
    ("kind", "statuses", "code"),
    [
        ("queued", ["queued"], None),
        ("sent", ["queued", "sent"], None),
        ("delivered", ["queued", "sent", "delivered"], "000"),
        ("undelivered", ["queued", "sent", "undelivered"], "30"),
        ("failed", ["queued", "failed"], "90"),
        ("mms", ["queued", "sent", "delivered"], "000"),
    ],
)
def test_lives_end_as_asked(kind: str, statuses: list[str], code: str | None) -> None:
    for life in lives(wish(kind)):
        said = [dict(json.loads(owed.callback.params)) for owed in life.owed]
        assert [each["Status"] for each in said] == statuses
        assert [each["Sequence"] for each in said] == ["1", "2", "3"][: len(said)]
        assert said[-1].get("ErrorCode") == code
        assert said[-1]["Type"] == ("mms" if kind == "mms" else "sms")
        assert ("MCC" in said[-1]) == (kind not in {"queued", "failed"})
        dues = [owed.due_s for owed in life.owed]
        assert dues == sorted(dues)
        assert dues[0] == life.begins_s


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (0.1, 5, 40), (1, 200, 200)])
def test_a_share_ends_with_the_error(share: float, least: int, most: int) -> None:
    ended = [life.ends_as for life in lives(wish(count=200, error="30", error_share=share))]
    assert least <= ended.count("undelivered") <= most


def test_inbound_messages_bring_text_and_media() -> None:
    said = [dict(json.loads(life.owed[0].callback.params)) for life in lives(wish("inbound-mms"))]
    assert all(each["Media0"].startswith("https://media.example.com/") for each in said)
    assert {each["MessageIntent"] for each in said if each["Text"] == "STOP"} <= {"optout"}
    assert {each["To"] for each in said} == {"15005550100"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "read"}, "there is no life that ends as 'read'"),
        ({"error": "000"}, "--error must be a code"),
        ({"error": "x"}, "--error must be a code"),
        ({"kind": "sent", "error": "30"}, "those that end as sent have no code"),
    ],
)
def test_wishes_that_cannot_be(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        next(lives(wish(**changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_signed_and_in_order(endpoint: RecordingEndpoint, method: str) -> None:
    url = endpoint.url + "/status?tenant=4"
    engine = await triggered(wish(url=url, method=method))
    assert (engine.tally.messages, engine.tally.answered_2xx, engine.tally.given_up) == (20, 60, 0)
    order: dict[str, list[str]] = defaultdict(list)
    for request in endpoint.requests:
        said = params(request)
        order[said["MessageUUID"]].append(said["Status"])
        signed = validate_v3_signature(
            method,
            url if method == "POST" else endpoint.url + request.target,
            request.header("X-Plivo-Signature-V3-Nonce"),
            TOKEN,
            request.header("X-Plivo-Signature-V3"),
            said if method == "POST" else {},
        )
        assert signed
    assert set(map(tuple, order.values())) == {("queued", "sent", "delivered")}
    assert len(order) == 20


async def test_a_failed_attempt_is_made_again_beside_what_follows(endpoint: RecordingEndpoint) -> None:
    refusals, last_is_there = [status(500), status(503)], asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        """Refuse the first of the three twice, the second time once the last one has come."""
        said = dict(parse_qsl((await request.read()).decode()))["Status"]
        if said == "delivered":
            last_is_there.set()
        if said != "queued" or not refusals:
            return await status(200)(request)
        if len(refusals) == 1:
            await last_is_there.wait()
        return await refusals.pop(0)(request)

    endpoint.answer_next(*[answer] * 5)
    engine = await triggered(wish(url=endpoint.url, count=1))
    tally = engine.tally
    assert (tally.callbacks, tally.attempts, tally.answered_2xx, tally.retried, tally.given_up) == (3, 5, 3, 1, 0)
    assert dict(tally.failures) == {"500": 1, "503": 1}
    said = [params(request)["Status"] for request in endpoint.requests]
    assert (said[0], said[-1]) == ("queued", "queued")
    assert [each for each in said if each != "queued"] == ["sent", "delivered"]
    assert said.count("queued") == 3


async def test_the_command_counts_what_was_given_up(endpoint: RecordingEndpoint) -> None:
    endpoint.answer_next(*[status(500)] * 3)
    flags = ("--url", endpoint.url, "--token-env", "T", "--retry-delays", "0.1,0.1", "--json")
    done = await asyncio.to_thread(run, "trigger", "queued", *flags, T=TOKEN)
    assert done.returncode == 1
    figures = json.loads(done.stdout)
    assert (figures["given_up"], figures["attempts"], figures["failed_attempts"]) == (1, 3, {"500": 3})
    assert figures["latency_ms"]["p50"] > 0
    assert TOKEN not in done.stdout + done.stderr


async def test_ctrl_c_tells_what_has_happened(endpoint: RecordingEndpoint) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "trigger", "queued", "--url", endpoint.url, "--token-env", "T", "--count", "1000", "--rate", "20",
        env={"PATH": "/usr/bin:/bin", "T": TOKEN}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await endpoint.wait_for(3)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert process.returncode == 130
    assert "stopped before the end" in out.decode()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--url", "localhost", "--token-env", "T"), "--url must begin with http:// or https://"),
        (("--url", "http://x", "--token-env", "T", "--method", "PUT"), "--method must be POST or GET"),
        (("--url", "http://x", "--token-env", "T", "--auth-id", "me"), "--auth-id must be MA or SA"),
        (("--url", "http://x"), "callbacks are signed: --token-env VARIABLE"),
        (("--url", "http://x", "--token-env", "T", "--retry-delays", "x"), "--retry-delays must be a list"),
    ],
)
def test_flags_that_cannot_be(flags: tuple[str, ...], complaint: str) -> None:
    done = run("trigger", "queued", *flags, T=TOKEN)
    assert done.returncode == 2
    assert complaint in done.stderr
