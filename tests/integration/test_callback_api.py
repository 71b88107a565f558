"""Callbacks and endpoints over the API and the command line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.endpoint import recording_endpoint, status
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run

FAST = {"retry_delays_s": [0.01], "egress_allow": ["127.0.0.0/8"]}


async def ask(ringback: Running, method: str, path: str, **params: str) -> tuple[int, dict[str, Any]]:
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Callback/{path}"
    async with ringback.http.request(method, url, params=params, headers=ringback.auth) as response:
        return response.status, await response.json()


async def cli(*arguments: str) -> Any:
    ended = await asyncio.to_thread(run, *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


async def test_an_account_finds_looks_into_and_resends_its_callbacks(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        endpoint.answer_next(*[status(404)] * 2)
        _, sent = await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        await endpoint.wait_for(3)
        await ringback.until_called_back()
        code, listed = await ask(ringback, "GET", "", message_uuid=sent["message_uuid"][0])
        assert code == 200
        states = {each["sequence"]: each["state"] for each in listed["objects"]}
        assert sorted(states.values()) in (["delivered", "given_up"], ["delivered", "delivered"])
        _, refused = await ask(ringback, "GET", "", state="given_up")
        target = (refused["objects"] or listed["objects"])[0]["id"]
        code, one = await ask(ringback, "GET", f"{target}/")
        assert code == 200
        assert one["attempts"][0]["number"] == 1
        assert "params" not in one
        before = len(endpoint.requests)
        code, again = await ask(ringback, "POST", f"{target}/Resend/")
        assert code == 202
        await endpoint.wait_for(before + 1)
        await ringback.until_called_back()
        _, copy = await ask(ringback, "GET", f"{again['id']}/")
        assert (copy["resend_of"], copy["state"]) == (target, "delivered")


@pytest.mark.parametrize(
    ("method", "path", "params", "code", "complaint"),
    [
        ("GET", "", {"state": "lost"}, 400, "state parameter"),
        ("GET", "", {"limit": "1000"}, 400, "limit parameter"),
        ("GET", "", {"since": "yesterday"}, 400, "since parameter"),
        ("GET", "", {"colour": "red"}, 400, "colour is no parameter"),
        ("GET", "not-an-id/", {}, 404, "not found"),
        ("POST", "019ab000-0000-7000-8000-000000000000/Resend/", {}, 404, "there is no callback"),
    ],
)
async def test_bad_requests_are_named(
    tmp_path: Path, method: str, path: str, params: dict[str, str], code: int, *, complaint: str
) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        answered, body = await ask(ringback, method, path, **params)
    assert answered == code
    assert complaint in body["error"]


async def test_the_command_line_acts_beside_a_running_server(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        endpoint.answer_next(*[status(404)] * 12)
        for _ in range(3):
            await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        await endpoint.wait_for(12)
        await ringback.until_called_back()
        given_up = await cli("callbacks", "list", "--state", "given_up", *place)
        assert len(given_up) == 6
        [shown] = await cli("callbacks", "show", given_up[0]["id"], *place)
        assert [attempt["http_status"] for attempt in shown["attempts"]] == [404, 404]
        [plan] = await cli("callbacks", "replay", "--dry-run", *place)
        assert plan == {"matching": 6, "resent": 0, "dry_run": True}
        [known] = await cli("endpoints", "list", *place)
        assert known["endpoint"] == endpoint.url
        [paused] = await cli("endpoints", "pause", known["id"], "--reason", "maintenance", *place)
        assert (paused["state"], paused["reason"]) == ("paused", "maintenance")
        [replayed] = await cli("callbacks", "replay", "--rate", "1000", *place)
        assert replayed["resent"] == 6
        assert len(endpoint.requests) == 12, "a paused endpoint gets nothing"
        await cli("endpoints", "resume", known["id"], *place)
        await endpoint.wait_for(18)
        await ringback.until_called_back()
        [again] = await cli("callbacks", "replay", *place)
        assert again["resent"] == 0
        [limits] = await cli("endpoints", "set", known["id"], "--concurrency", "3", "--retry-delays", "1,2", *place)
        assert (limits["concurrency"], limits["retry_delays_s"]) == (3, [1.0, 2.0])
        [cleared] = await cli("endpoints", "set", known["id"], "--concurrency", "0", "--retry-delays", "", *place)
        assert (cleared["concurrency"], cleared["retry_delays_s"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("callbacks", "list", "--state", "lost"), "--state must be one of"),
        (("callbacks", "show", "nowhere"), "there is no callback nowhere"),
        (("endpoints", "pause", "nowhere"), "there is no endpoint nowhere"),
        (("endpoints", "set", "nowhere", "--concurrency", "1"), "there is no endpoint nowhere"),
    ],
)
def test_mistakes_on_the_command_line_are_named(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ended = run(*arguments, "--data-dir", str(tmp_path))
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
