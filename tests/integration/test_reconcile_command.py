"""``ringback reconcile`` with another Ringback as the provider: callbacks are dropped, and just these are filled in."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import plivo
import plivo.rest.client
import pytest
from aiohttp import web

from ringback.receiver.rest import MAX_BYTES, RestClient
from ringback.receiver.sources.upstream import upstream_of
from ringback.settings import DashboardSettings, DeliverySettings, SourceSettings
from ringback.store import conversions_out, messages, received, received_log, reconciliations
from ringback.store.conversions_out import NewConversion
from ringback.store.reconciliations import Run
from ringback.web.dashboard.sessions import make_login_link
from tests.fakes.clock import FakeClock
from tests.fakes.endpoint import RecordingEndpoint, hang, recording_endpoint, reset, status
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import ALLOWED, COMMAND, run

TOTAL = 500
AT_ONCE = 100
BASE_URLS = (
    "PLIVO_API_BASE_URI", "API_VOICE_BASE_URI", "API_VOICE_BASE_URI_FALLBACK_1", "API_VOICE_BASE_URI_FALLBACK_2"
)  # fmt: skip
SCRIPT = """
[[rule]]
name = "a receipt for every message"
prefixes = ["1415555"]
endings = [{ result = "delivered", weight = 80 }, { result = "undelivered", code = "30", weight = 20 }]
"""
OTHERS = "CONVERTED_WITH_OTHERS"
HOOK = "/hooks/plivo/sms_status"


class Lossy:
    """Stands between the provider and the receiver, and loses one callback in ten without a word."""

    def __init__(self) -> None:
        self.dropped: set[tuple[str, str]] = set()
        self.passed: set[tuple[str, str]] = set()
        self.url = ""
        self.receiver = ""
        self._http = aiohttp.ClientSession()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        said = dict(parse_qsl(body.decode()))
        what = said["MessageUUID"], said["Status"]
        if zlib.crc32("".join(what).encode()) % 10 == 0:
            self.dropped.add(what)
            return web.Response()
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in {"host", "content-length"}
        }
        async with self._http.post(self.receiver + request.path_qs, data=body, headers=headers) as answer:
            assert answer.status == 200
        self.passed.add(what)
        return web.Response()

    async def close(self) -> None:
        await self._http.close()


class Scene:
    """A provider that has sent 500 messages, a receiver that has missed some callbacks, and where it lives."""

    def __init__(self, provider: Running, receiver: Running, lossy: Lossy, data_dir: Path, way: dict[str, Any]) -> None:
        self.provider = provider
        self.receiver = receiver
        self.lossy = lossy
        self.data_dir = data_dir
        self._way = way

    def environment(self) -> dict[str, str]:
        named = {f"RINGBACK_SOURCES__PLIVO__{name.upper()}": value for name, value in self._way.items()}
        return {
            **ALLOWED,
            **{name: value if isinstance(value, str) else ",".join(value) for name, value in named.items()},
        }

    async def reconcile(self, *flags: str) -> dict[str, Any]:
        there = ("--source", "plivo", "--data-dir", str(self.data_dir), "--until", "0s", "--json")
        done = await asyncio.to_thread(run, "reconcile", *there, *flags, **self.environment())
        assert done.returncode == 0, done.stderr
        shown: dict[str, Any] = json.loads(done.stdout)
        return shown

    async def filled(self) -> set[tuple[str, str]]:
        def look(tx: Any) -> list[tuple[str, str]]:
            page = received_log.page(tx, after=0, sources=None, limit=10_000)
            events = [received.of_request(tx, each.request.id) for each in page.events if each.flag == "reconciled"]
            return [(each.message_uuid, each.status) for each in events if each is not None]

        found = await self.receiver.platform.store.read(look)
        assert len(found) == len(set(found))
        return set(found)

    def lost(self, ends: dict[str, str]) -> set[tuple[str, str]]:
        """Say what has to be filled in: the end of each message whose last callback was lost."""
        return {(uuid, end) for uuid, end in ends.items() if (uuid, end) in self.lossy.dropped}


def send(account: Any, url: str) -> list[str]:
    """Send the messages with the official SDK."""
    uuids: list[str] = []
    with plivo.RestClient(account.auth_id, account.tokens[0], timeout=60) as client:
        for first in range(0, TOTAL, AT_ONCE):
            to = "<".join(f"+1415555{number:04}" for number in range(first, first + AT_ONCE))
            sent = client.messages.create(src="+15005550777", dst=to, text="hello", url=url)
            uuids += sent.message_uuid
    return uuids


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    lossy = Lossy()
    async with recording_endpoint() as between:
        between.answer_always(lossy.answer)
        script = tmp_path / "carrier.toml"
        script.write_text(SCRIPT)
        carrier = {"speed": 100.0, "script": script}
        delivery = {"retry_delays_s": [1.0] * 5}
        async with running(settings_for(tmp_path / "provider", simulator=carrier, delivery=delivery)) as provider:
            known = provider.account
            way = {"auth_id": known.auth_id, "tokens": [known.tokens[0]], "api_url": provider.url}
            way["public_url"] = between.url
            settings = settings_for(tmp_path / "ours", sources={"plivo": way})
            async with running(settings, account=known) as receiver:
                lossy.url, lossy.receiver = between.url, receiver.url
                for name in BASE_URLS:
                    monkeypatch.setattr(plivo.rest.client, name, f"{provider.url}/v1/Account")
                yield Scene(provider, receiver, lossy, tmp_path / "ours", way)
    await lossy.close()


async def sent_and_called_back(scene: Scene) -> dict[str, str]:
    """Send everything, wait until nothing more comes, and return how each message ended."""
    uuids = await asyncio.to_thread(send, scene.provider.account, scene.lossy.url + HOOK)

    def ended(tx: Any) -> Any:
        states = states_of(tx, uuids)
        return states if all(state not in {"queued", "sent"} for state in states.values()) else None

    await scene.provider.until(ended, timeout_s=180)
    await scene.provider.until_called_back()
    ends: dict[str, str] = await scene.provider.platform.store.read(lambda tx: states_of(tx, uuids))
    assert len(ends) == TOTAL
    return ends


def states_of(tx: Any, uuids: list[str]) -> dict[str, str]:
    return {uuid: str(message.status) for uuid, message in messages.by_uuid(tx, uuids).items()}


async def test_exactly_what_was_dropped_is_filled_in_and_twice_is_once(scene: Scene) -> None:
    ends = await sent_and_called_back(scene)
    lost = scene.lost(ends)
    assert 20 < len(lost) < 100
    dry = await scene.reconcile("--rate", "100000", "--dry-run")
    assert (dry["looked_at"], dry["missing"] + dry["behind"], dry["filled"]) == (TOTAL, len(lost), 0)
    shown = await scene.reconcile("--rate", "100000")
    assert (shown["looked_at"], shown["filled"], shown["asked"]) == (TOTAL, len(lost), TOTAL // 20)
    assert {(each["message_uuid"], each["theirs"]) for each in shown["findings"]} == lost
    assert await scene.filled() == lost
    again = await scene.reconcile("--rate", "100000")
    assert (again["same"], again["filled"], again["findings"]) == (TOTAL, 0, [])
    # What programs are given, and what the pages show.
    url = f"{scene.receiver.url}/events?limit=1000&after=0"
    auth = {
        "Authorization": aiohttp.encode_basic_auth(scene.provider.account.auth_id, scene.provider.account.tokens[0])
    }
    got: list[dict[str, Any]] = []
    more = True
    while more:
        async with scene.receiver.http.get(url, headers=auth) as answer:
            page = await answer.json()
        got, more = got + page["events"], page["has_more"]
        url = f"{scene.receiver.url}/events?limit=1000&after={page['after']}"
    assert {(each["message_id"], each["their_status"]) for each in got if each["flag"] == "reconciled"} == lost
    await shown_on_pages(scene, next(each for each in reversed(got) if each["flag"] == "reconciled"))


async def shown_on_pages(scene: Scene, event: dict[str, Any]) -> None:
    """Look at the pages about an event that was filled in, once a conversion of its message was reported too."""
    receiver = scene.receiver
    store, clock = receiver.platform.store, receiver.platform.clock
    said = [NewConversion(source="plivo", message_uuid=event["message_id"], value=OTHERS, converted_at_us=1)]
    await store.write(lambda tx: conversions_out.add(tx, said, now_us=clock.now_us()))
    key = urlsplit(await make_login_link(store, clock, DashboardSettings(), receiver.url)).query.removeprefix("key=")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(receiver.url, cookie_jar=jar) as operator:
        async with operator.post("/dashboard/login", data={"key": key}, allow_redirects=False):
            pass
        pages = []
        for path in ("", f"/{event['id']}", f"/{event['id']}/signature"):
            async with operator.get("/dashboard/received" + path) as shown:
                assert shown.status == 200
                pages.append(await shown.text())
    listed, one, signature = pages
    assert "Reconciled" in listed
    assert "converted with others" in listed
    assert "filled in by ringback reconcile" in one
    assert "message_updated_time" in one
    assert "converted with others" in one
    assert "so nothing is signed" in signature


async def test_a_kill_in_the_middle_costs_nothing(scene: Scene) -> None:
    ends = await sent_and_called_back(scene)
    kills = 3
    for number in range(kills):
        flags = ["--resume"] if number else ["--since", "1h"]
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "reconcile", "--source", "plivo", "--data-dir", str(scene.data_dir), "--until", "0s",
            "--rate", "120", *flags, env={"PATH": "/usr/bin:/bin", **scene.environment()},
            stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

        def is_far(tx: Any, least: int = 100 * (number + 1)) -> Run | None:
            found = reconciliations.unfinished(tx, "plivo")
            return found if found and found.place.offset >= least else None

        await scene.receiver.until(is_far)
        process.kill()
        await process.wait()
    shown = await scene.reconcile("--resume", "--rate", "100000")
    lost = scene.lost(ends)
    assert (shown["looked_at"], shown["filled"]) == (TOTAL, len(lost))
    assert await scene.filled() == lost
    assert shown["asked"] == TOTAL // 20
    refused = await asyncio.to_thread(
        run, "reconcile", "--source", "plivo", "--data-dir", str(scene.data_dir), "--resume", **scene.environment()
    )
    assert refused.returncode == 2
    assert "no reconciliation of plivo was cut off" in refused.stderr


# ---- what a provider may answer ----


@pytest.fixture
async def provider() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as found:
        yield found


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(302, Location="http://127.0.0.1/"), "answered 302: Found"),
        (status(429, **{"Retry-After": "7"}), "answered 429"),
        (reset, "disconnected"),
        (lambda _: _long(), f"longer than {MAX_BYTES} bytes"),
        (lambda _: _json({"error": "too\nmany " + "x" * 400}), "answered 400: toomany xxx"),
        (lambda _: _json({"error": {"error": "x"}}), "answered 400: Bad Request"),
    ],
)
async def test_what_is_no_answer_is_told_in_a_line(provider: RecordingEndpoint, answer: Any, error: str) -> None:
    provider.answer_next(answer, answer)
    reply = await ask(provider.url)
    assert error.lower() in reply.error.lower()
    assert len(reply.error) < 500
    assert reply.wait_s == (7 if "429" in error else 0)


async def test_a_provider_that_hangs_is_given_up_after_the_deadline(provider: RecordingEndpoint) -> None:
    release = asyncio.Event()
    provider.answer_next(hang(release))
    reply = await ask(provider.url, deadline_s=0.3)
    release.set()
    assert (reply.http_status, reply.error) == (None, "no full answer within 0.3 s")


async def test_addresses_inside_need_to_be_allowed(provider: RecordingEndpoint) -> None:
    reply = await ask(provider.url, egress_allow=())
    assert "delivery.egress_allow says where requests may go" in reply.error
    assert provider.requests == []


async def ask(url: str, **more: Any) -> Any:
    settings = DeliverySettings(**{"egress_allow": ("127.0.0.0/8",), **more})
    source = SourceSettings(auth_id="MA", tokens=("t",), api_url=url)
    async with RestClient(settings, FakeClock()) as rest:
        return await rest.ask(upstream_of("a", source), "GET", "/v1/x")


async def _long() -> web.Response:
    return web.Response(body=b"x" * (MAX_BYTES + 1))


async def _json(content: Any) -> web.Response:
    return web.json_response(content, status=400)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--source", "x"), "--source must be one of plivo"),
        (("--source", "plivo", "--since", "soon"), "--since must be so long ago"),
        (("--source", "plivo", "--since", "1h", "--until", "2h"), "no time between"),
        (("--source", "plivo", "--resume"), "leave --resume out"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, flags: tuple[str, ...], complaint: str) -> None:
    named = {"RINGBACK_SOURCES__PLIVO__AUTH_ID": "MA", "RINGBACK_SOURCES__PLIVO__TOKENS": "t"}
    done = run("reconcile", *flags, "--data-dir", str(tmp_path), **named)
    assert done.returncode == 2
    assert complaint in done.stderr
