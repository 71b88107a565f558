"""The loop over real sockets: callbacks out to a recording endpoint, callbacks in to the receiver."""

import asyncio
import itertools
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from aiohttp import web
from plivo.utils import validate_signature, validate_v3_signature

from ringback.dialect.signatures import callback_headers
from ringback.store import accounts, callbacks, messages, received
from tests.fakes.endpoint import Recorded, hang, recording_endpoint, reset, status
from tests.fakes.platform import running, settings_for

TOKEN = "receiver-token"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def verified(request: Recorded, base: str, token: str) -> bool:
    """Ask the official SDK, for both versions and both kinds of header."""
    url = base + request.target
    bare = url.partition("?")[0]
    params = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    return all(
        validate_signature(
            bare, request.header("X-Plivo-Signature-V2-Nonce"), request.header(f"X-Plivo-Signature-{kind}V2"), token
        )
        and validate_v3_signature(
            request.method,
            url,
            request.header("X-Plivo-Signature-V3-Nonce"),
            token,
            request.header(f"X-Plivo-Signature-{kind}V3"),
            params,
        )
        for kind in ("", "Ma-")
    )


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_every_status_is_one_signed_request(tmp_path: Path, method: str) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path)) as ringback:
        await ringback.send(dst="15005550030", url=f"{endpoint.url}/status?tenant=7", method=method)
        requests = await endpoint.wait_for(3)
        await ringback.until_called_back()
        assert len(endpoint.requests) == 3
        bodies = []
        for request in requests:
            assert request.method == method
            assert verified(request, endpoint.url, ringback.account.tokens[0])
            text = urlsplit(request.target).query if method == "GET" else request.body.decode()
            bodies.append(dict(parse_qsl(text, keep_blank_values=True)))
        assert [body["Status"] for body in bodies] == ["queued", "sent", "undelivered"]
        assert [body["Sequence"] for body in bodies] == ["1", "2", "3"]
        assert bodies[-1]["ErrorCode"] == "30"
        assert all("tenant=7" in request.target for request in requests)


async def test_failed_attempts_are_retried_by_the_plan_and_kept(tmp_path: Path) -> None:
    fast = {"retry_delays_s": [0.05, 0.1, 0.2], "deadline_s": 5.0}
    release = asyncio.Event()
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=fast)) as ringback:
        endpoint.answer_next(status(500), status(302, Location="/elsewhere"), hang(release), status(204))
        _, answer = await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        await endpoint.wait_for(5)
        release.set()
        await ringback.until_called_back()
        uuid = answer["message_uuid"][0]
        made = await ringback.platform.store.read(lambda tx: callbacks.of_message(tx, uuid))
        first, second = (attempts for _, attempts in made)
        outcomes = sorted((item.outcome, item.http_status) for item in (*first, *second) if item.outcome != "ok")
        assert outcomes == [("http_status", 302), ("http_status", 500), ("timeout", None)]
        for attempts in (first, second):
            for earlier, later in itertools.pairwise(attempts):
                planned_s = fast["retry_delays_s"][earlier.number - 1]  # type: ignore[index]
                assert later.planned_at_us - earlier.started_at_us >= planned_s * 1_000_000
                assert later.started_at_us >= later.planned_at_us


@pytest.mark.parametrize("kind", ["refused", "reset", "unknown_host", "not_tls"])
async def test_an_endpoint_that_cannot_be_reached_is_given_up_after_four(tmp_path: Path, kind: str) -> None:
    fast = {"retry_delays_s": [0.01, 0.01, 0.01]}
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=fast)) as ringback:
        endpoint.answer_next(*[reset] * 8)
        url = {
            "refused": "http://127.0.0.1:1/s",
            "reset": endpoint.url,
            "unknown_host": "http://nowhere.invalid/s",
            "not_tls": endpoint.url.replace("http:", "https:"),
        }[kind]
        _, answer = await ringback.send(dst="15005550003", url=url)
        await ringback.until_status(answer["message_uuid"][0], "sent")
        await ringback.until_called_back()
        made = await ringback.platform.store.read(lambda tx: callbacks.of_message(tx, answer["message_uuid"][0]))
        assert [(callback.state, len(attempts)) for callback, attempts in made] == [("given_up", 4)] * 2
        outcomes = {attempt.outcome for _, attempts in made for attempt in attempts}
        assert outcomes == {{"refused": "connect", "reset": "broken", "unknown_host": "dns", "not_tls": "tls"}[kind]}
        assert all(attempt.error for _, attempts in made for attempt in attempts)


async def test_a_huge_answer_is_read_up_to_the_cap(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path)) as ringback:

        async def huge(_: Any) -> Any:
            return web.Response(body=b"x" * 5_000_000)

        endpoint.answer_next(huge)
        _, answer = await ringback.send(dst="15005550003", url=endpoint.url)
        await endpoint.wait_for(2)
        await ringback.until_called_back()
        made = await ringback.platform.store.read(lambda tx: callbacks.of_message(tx, answer["message_uuid"][0]))
        assert max(len(attempt.response_body) for _, attempts in made for attempt in attempts) == 16_384


def signed(method: str, url: str, params: list[tuple[str, str]], token: str = TOKEN) -> dict[str, str]:
    """Headers as Ringback or Plivo would send them."""
    return dict(
        callback_headers(
            method, url, params, nonce_v2="1" * 20, nonce_v3="2" * 20, tokens=(token,), main_tokens=(token,)
        )
    )


def status_params(sequence: int, word: str) -> list[tuple[str, str]]:
    return [("MessageUUID", "m-1"), ("From", "1"), ("To", "2"), ("Status", word), ("Sequence", str(sequence))]


async def test_the_receiver_believes_only_what_is_signed_and_keeps_everything(tmp_path: Path) -> None:
    sources = {"prov": {"tokens": ["old-token", TOKEN]}}
    async with running(settings_for(tmp_path, sources=sources)) as ringback:
        url = f"{ringback.url}/hooks/prov/sms_status"

        async def post(params: list[tuple[str, str]], headers: dict[str, str], to: str = url) -> int:
            async with ringback.http.post(to, data=urlencode(params), headers={**headers, **FORM}) as response:
                return response.status

        async def get(params: list[tuple[str, str]], token: str) -> int:
            headers = signed("GET", url, params, token)
            async with ringback.http.get(f"{url}?{urlencode(params)}", headers=headers) as response:
                return response.status

        queued, sent, done = status_params(1, "queued"), status_params(2, "sent"), status_params(3, "delivered")
        v2_only = {k: v for k, v in signed("POST", url, queued).items() if "V2" in k}
        assert await post(queued, signed("POST", url, queued)) == 200
        assert await post(queued, signed("POST", url, queued)) == 200
        assert await get(done, "old-token") == 200
        assert await post(sent, v2_only) == 200
        assert await post(done, signed("POST", url, sent)) == 403
        assert await post(done, {}) == 403
        assert await get(done, "wrong") == 403
        assert await post([("Status", "sent")], signed("POST", url, [("Status", "sent")])) == 400
        assert await post(sent, signed("POST", f"{url}/", sent), f"{url}/") == 200
        assert await post(queued, {}, f"{ringback.url}/hooks/unknown/sms_status") == 404

        kept = await ringback.platform.store.read(lambda tx: received.newest(tx, limit=20))
        verdicts = [(request.verdict, said.flag if said else None) for request, said in reversed(kept)]
        assert verdicts == [
            ("v3", ""),
            ("v3", "duplicate"),
            ("v3", ""),
            ("v2", "out_of_order"),
            ("mismatch", None),
            ("no_signature", None),
            ("mismatch", None),
            ("malformed", None),
            ("v3", "duplicate"),
        ]
        first = kept[-1][0]
        assert first.body == urlencode(queued).encode()
        assert ["content-type", FORM["Content-Type"]] in msgspec.json.decode(first.headers)


async def test_changed_parameters_do_not_pass_under_a_v2_that_still_fits(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, sources={"prov": {"tokens": [TOKEN]}})) as ringback:
        url = f"{ringback.url}/hooks/prov/sms_status"
        headers = signed("POST", url, status_params(2, "undelivered")) | FORM
        async with ringback.http.post(url, data=urlencode(status_params(2, "delivered")), headers=headers) as response:
            assert response.status == 403
        # A repeated parameter that some SDK would not have signed.
        query = [*status_params(2, "sent"), ("Status", "delivered")]
        headers = signed("GET", url, status_params(2, "sent"))
        async with ringback.http.get(f"{url}?{urlencode(query)}", headers=headers) as response:
            assert response.status == 403


async def test_a_source_may_refuse_v2_alone(tmp_path: Path) -> None:
    sources = {"prov": {"tokens": [TOKEN], "require_v3": True}}
    async with running(settings_for(tmp_path, sources=sources)) as ringback:
        url = f"{ringback.url}/hooks/prov/sms_status"
        params = status_params(1, "sent")
        headers = {k: v for k, v in signed("POST", url, params).items() if "V2" in k} | FORM
        async with ringback.http.post(url, data=urlencode(params), headers=headers) as response:
            assert response.status == 403


async def test_behind_a_proxy_the_configured_public_url_is_what_was_signed(tmp_path: Path) -> None:
    sources = {"prov": {"tokens": [TOKEN], "public_url": "https://sms.example.com"}}
    async with running(settings_for(tmp_path, sources=sources)) as ringback:
        params = status_params(1, "sent")
        headers = signed("POST", "https://sms.example.com/hooks/prov/sms_status", params) | FORM
        url = f"{ringback.url}/hooks/prov/sms_status"
        async with ringback.http.post(url, data=urlencode(params), headers=headers) as response:
            assert response.status == 200


async def test_its_own_callbacks_come_back_verified(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, sources={"self": {}})
    async with running(settings) as first:
        account = first.account
    settings = settings_for(tmp_path, sources={"self": {"account": account.auth_id}})
    async with running(settings, account=account) as ringback:
        for method in ("POST", "GET"):
            await ringback.send(dst="15005550001", url=f"{ringback.url}/hooks/self/sms_status", method=method)
        await ringback.until(lambda tx: received.totals_by_source(tx).get("self", received.NOTHING).unique == 6)
        totals = (await ringback.platform.store.read(received.totals_by_source))["self"]
        assert (totals.rejected, totals.duplicate, totals.out_of_order) == (0, 0, 0)


async def test_what_a_restart_finds_is_carried_on(tmp_path: Path) -> None:
    """Stopped with messages at the carrier: the next process gets their receipts and makes their callbacks."""
    # The first process is to end long before the half minute after which this number's receipt comes.
    slow = settings_for(tmp_path, simulator={"speed": 1.0})
    async with recording_endpoint() as endpoint:
        async with running(slow) as ringback:
            account = ringback.account
            _, answer = await ringback.send(dst="15005550002", url=endpoint.url)
            await ringback.until_status(answer["message_uuid"][0], "sent")
        async with running(settings_for(tmp_path), account=account) as ringback:
            await ringback.until_status(answer["message_uuid"][0], "delivered")
            await endpoint.wait_for(3)
            await ringback.until_called_back()
            events = await ringback.platform.store.read(lambda tx: messages.timeline(tx, answer["message_uuid"][0]))
            assert [event.status for event in events if not event.flag] == ["queued", "sent", "delivered"]
            assert await ringback.platform.store.read(lambda tx: len(accounts.list_all(tx, 2**60))) == 1
