"""Callbacks and endpoints over the API and the command line."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.delivery import replay
from ringback.store import callbacks, replays, sqlite
from ringback.store.port import Transaction
from ringback.wiring.backbone import create_account as account_in
from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint, status
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import COMMAND, run, served

FAST = {"retry_delays_s": [0.01], "egress_allow": ["127.0.0.0/8"]}


async def ask(ringback: Running, method: str, path: str, **params: str) -> tuple[int, dict[str, Any]]:
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Callback/{path}"
    async with ringback.http.request(method, url, params=params, headers=ringback.auth) as response:
        return response.status, await response.json()


async def act(ringback: Running, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Ask for something under the account with a JSON body."""
    url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/{path}"
    async with ringback.http.request(method, url, json=body, headers=ringback.auth) as response:
        return response.status, await response.json()


async def fail(ringback: Running, endpoint: RecordingEndpoint, messages: int) -> None:
    """Let so many messages have two callbacks each that are given up."""
    endpoint.answer_next(*[status(404)] * (4 * messages))
    for _ in range(messages):
        await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
    await endpoint.wait_for(4 * messages)
    await ringback.until_called_back()


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
        ("GET", "", {"limit": "9" * 5000}, 400, "limit parameter"),
        ("GET", "Replay/", {"colour": "red"}, 400, "colour is no parameter here; there are before, limit"),
        ("GET", "Replay/not-an-id/", {}, 404, "not found"),
        ("DELETE", "Replay/019ab000-0000-7000-8000-000000000000/", {}, 404, "there is no replay"),
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
        assert (plan["dry_run"], plan["total"], plan["total_at_least"], len(plan["first"])) == (True, 6, 6, 5)
        [known] = await cli("endpoints", "list", *place)
        assert known["endpoint"] == endpoint.url
        [paused] = await cli("endpoints", "pause", known["id"], "--reason", "maintenance", *place)
        assert (paused["state"], paused["reason"]) == ("paused", "maintenance")
        [replayed] = await cli("callbacks", "replay", "--rate", "1000", *place)
        assert (replayed["state"], replayed["done"], replayed["total"]) == ("finished", 6, 6)
        assert len(endpoint.requests) == 12, "a paused endpoint gets nothing"
        await cli("endpoints", "resume", known["id"], *place)
        await endpoint.wait_for(18)
        await ringback.until_called_back()
        [again] = await cli("callbacks", "replay", *place)
        assert (again["state"], again["done"]) == ("finished", 0)
        assert [each["id"] for each in await cli("callbacks", "replays", *place)] == [again["id"], replayed["id"]]
        [limits] = await cli("endpoints", "set", known["id"], "--concurrency", "3", "--retry-delays", "1,2", *place)
        assert (limits["concurrency"], limits["retry_delays_s"]) == (3, [1.0, 2.0])
        assert await cli("endpoints", "show", known["id"], *place) == [limits]
        [cleared] = await cli("endpoints", "set", known["id"], "--concurrency", "0", "--retry-delays", "", *place)
        assert (cleared["concurrency"], cleared["retry_delays_s"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("callbacks", "list", "--state", "lost"), "--state must be one of"),
        (("callbacks", "show", "nowhere"), "there is no callback nowhere"),
        (("callbacks", "replay", "--state", "pending"), "--state must be one of delivered, given_up, any"),
        (("callbacks", "cancel", "nowhere"), "there is no replay nowhere"),
        (("endpoints", "show", "nowhere"), "there is no endpoint nowhere"),
        (("endpoints", "pause", "nowhere"), "there is no endpoint nowhere"),
        (("endpoints", "set", "nowhere", "--concurrency", "1"), "there is no endpoint nowhere"),
        (
            ("endpoints", "set", "nowhere", "--retry-delays", "soon"),
            "--retry-delays must be a list of up to 20 numbers",
        ),
        (("account", "set", "nowhere", "--retry-delays", "0"), "--retry-delays must be a list of up to 20 numbers"),
        (("account", "set", "nowhere", "--retry-delays", "1"), "there is no account NOWHERE"),
    ],
)
def test_mistakes_on_the_command_line_are_named(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ended = run(*arguments, "--data-dir", str(tmp_path))
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


async def test_an_account_replays_what_was_given_up(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await fail(ringback, endpoint, 3)
        code, plan = await act(ringback, "POST", "Callback/Replay/", {"endpoint": endpoint.url, "dry_run": True})
        assert (code, plan["total"], len(plan["first"])) == (200, 6, 5)
        code, begun = await act(ringback, "POST", "Callback/replay", {"endpoint": endpoint.url, "rate_per_s": 200})
        assert (code, begun["total"], begun["rate_per_s"]) == (202, 6, 200)
        await endpoint.wait_for(12 + 6)
        await ringback.until_called_back()
        await ringback.until(lambda tx: replays.find(tx, begun["id"]).state == "finished")
        code, ended = await act(ringback, "GET", f"Callback/Replay/{begun['id'].upper()}/")
        assert (code, ended["state"], ended["done"], ended["filter"]["state"]) == (200, "finished", 6, "given_up")
        bodies = sorted(request.body for request in endpoint.requests)
        assert bodies == sorted(3 * sorted({request.body for request in endpoint.requests})), "two tries, one replay"
        code, refused = await act(ringback, "DELETE", f"Callback/Replay/{begun['id']}/")
        assert (code, refused["error"]) == (400, f"replay {begun['id']} has ended already")
        code, listed = await act(ringback, "GET", "Callback/Replay/")
        assert ([each["id"] for each in listed["objects"]], listed["next"]) == ([begun["id"]], None)


async def test_a_replay_can_be_cancelled_by_whose_it_is(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await fail(ringback, endpoint, 6)
        _, begun = await act(ringback, "POST", "Callback/Replay/", {"rate_per_s": 0.1})
        path = f"Callback/Replay/{begun['id']}/"
        stranger = await account_in(ringback.platform.store, ringback.platform.clock, "stranger")
        for method in ("GET", "DELETE"):
            code, refused = await act(msgspec.structs.replace(ringback, account=stranger), method, path)
            assert (code, refused["error"]) == (404, f"there is no replay {begun['id']}")
        await endpoint.wait_for(24 + 1)
        code, ended = await act(ringback, "DELETE", path)
        assert (code, ended["state"]) == (200, "cancelled")
        await ringback.until_called_back()
        # One every ten seconds, however long it took to get here.
        assert 1 <= ended["done"] == len(endpoint.requests) - 24 < 12
        [shown] = await cli("callbacks", "replays", "--data-dir", str(tmp_path), "--json")
        assert (shown["id"], shown["state"], shown["account_id"]) == (
            begun["id"],
            "cancelled",
            ringback.account.auth_id,
        )


async def test_the_command_line_leaves_a_replay_to_the_server(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await fail(ringback, endpoint, 6)
        [begun] = await cli("callbacks", "replay", "--rate", "0.1", "--detach", *place)
        assert (begun["state"], begun["total"], begun["account_id"]) == ("running", 12, None)
        await endpoint.wait_for(24 + 1)
        # An operator's replay is nobody else's to see.
        code, _ = await act(ringback, "GET", f"Callback/Replay/{begun['id']}/")
        assert code == 404
        [ended] = await cli("callbacks", "cancel", begun["id"], *place)
        assert ended["state"] == "cancelled"
        await ringback.until_called_back()
        # One every ten seconds, however long the command took.
        assert 1 <= ended["done"] == len(endpoint.requests) - 24 < 12


async def test_ctrl_c_leaves_the_replay_and_says_how_to_cancel_it(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await fail(ringback, endpoint, 6)
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "callbacks", "replay", "--rate", "0.1", "--data-dir", str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await endpoint.wait_for(24 + 1)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            said, complained = await process.communicate()
        [running_on] = await ringback.platform.store.read(lambda tx: replays.page(tx, limit=5))
        assert (process.returncode, said, running_on.state) == (130, b"", "running")
        assert complained.decode().strip().endswith(f"to end it: ringback callbacks cancel {running_on.id}")


def test_ctrl_c_says_so_of_a_replay_that_has_only_just_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = replay.start

    async def interrupted(*given: Any, **more: Any) -> None:
        await begin(*given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "start", interrupted)
    place = ["--data-dir", str(tmp_path)]
    ended = CliRunner().invoke(app, ["callbacks", "replay", *place])
    [begun] = CliRunner().invoke(app, ["callbacks", "replays", "--json", *place]).stdout.splitlines()
    assert ended.exit_code == 130
    assert f"to end it: ringback callbacks cancel {json.loads(begun)['id']}\n" in ended.stderr


async def test_where_there_were_too_many_to_count_it_says_so(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        _, begun = await act(ringback, "POST", "Callback/Replay/", {})
        assert (begun["total"], begun["total_at_least"]) == (0, 0)
        store = ringback.platform.store
        known = await store.read(lambda tx: replays.find(tx, begun["id"]))
        many = msgspec.structs.replace(known, total=100_000, counted_all=False, state="cancelled", due_at_us=None)
        await store.write(lambda tx: replays.save(tx, many))
        _, shown = await act(ringback, "GET", f"Callback/Replay/{begun['id']}/")
        assert (shown["total"], shown["total_at_least"]) == (None, 100_000)
        place = ("--data-dir", str(tmp_path))
        [listed] = await cli("callbacks", "replays", "--json", *place)
        assert (listed["total"], listed["total_at_least"], "counted_all" in listed) == (None, 100_000, False)
        printed = await asyncio.to_thread(run, "callbacks", "cancel", begun["id"], *place)
        assert printed.stdout.endswith("cancelled: 0 of at least 100000 callbacks sent once more\n")


async def test_the_command_line_says_that_nobody_does_its_replay_and_follows_whoever_comes(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint:
        async with running(settings_for(tmp_path, delivery=FAST)) as ringback:
            await fail(ringback, endpoint, 1)
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "callbacks", "replay", "--data-dir", str(tmp_path),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        async with asyncio.timeout(60):
            warned = (await process.stderr.readline()).decode()
        assert warned.startswith("nothing happens: no process with the role deliver seems to work on this database;")
        assert warned.endswith("such as ringback serve --role deliver\n")
        async with running(settings_for(tmp_path, delivery=FAST)), asyncio.timeout(60):
            said, complained = await process.communicate()
    assert (process.returncode, complained) == (0, b""), "it is said once"
    assert said.decode().endswith(" finished: 2 of 2 callbacks sent once more\n")


async def test_an_account_acts_on_its_endpoints(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        await endpoint.wait_for(2)
        await ringback.until_called_back()
        code, listed = await act(ringback, "GET", "Endpoint/")
        [known] = listed["objects"]
        assert (code, known["endpoint"], known["state"], known["concurrency"]) == (200, endpoint.url, "closed", None)
        path = f"Endpoint/{known['id']}/"
        limits = {"concurrency": 3, "rate_per_minute": 600, "retry_delays_s": [1, 2.5], "keep_parked": True}
        code, limited = await act(ringback, "POST", path, limits)
        assert (code, {name: limited[name] for name in limits}) == (200, limits)
        code, fewer = await act(ringback, "POST", path, {"keep_parked": None, "retry_delays_s": None})
        cleared = {"keep_parked": None, "retry_delays_s": None}
        assert {name: fewer[name] for name in limits} == limits | cleared
        code, unchanged = await act(ringback, "POST", path, {})
        assert {name: unchanged[name] for name in limits} == limits | cleared
        code, paused = await act(ringback, "POST", path + "Pause/", {"reason": "moving house"})
        assert (code, paused["state"], paused["reason"]) == (200, "paused", "moving house")
        await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        _, one = await act(ringback, "GET", path.upper().rstrip("/"))
        assert (one["state"], len(endpoint.requests)) == ("paused", 2)
        code, resumed = await act(ringback, "POST", path + "Resume/")
        assert (code, resumed["state"], resumed["reason"]) == (200, "closed", None)
        await endpoint.wait_for(4)
        await ringback.until_called_back()
        stranger = await account_in(ringback.platform.store, ringback.platform.clock, "stranger")
        for method, action in (("GET", ""), ("POST", ""), ("POST", "Pause/"), ("POST", "Resume/")):
            code, refused = await act(msgspec.structs.replace(ringback, account=stranger), method, path + action)
            assert (code, refused["error"]) == (404, f"there is no endpoint {known['id']}")
        _, none = await act(ringback, "GET", "Endpoint/?state=open")
        assert none["objects"] == []


async def test_an_account_does_not_resume_what_the_operator_paused(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=FAST)) as ringback:
        await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        await ringback.until_called_back()
        [known] = await cli("endpoints", "list", *place)
        path = f"Endpoint/{known['id']}/"
        _, own = await act(ringback, "POST", path + "Pause/", {"reason": "moving house"})
        assert (own["state"], own["paused_by"]) == ("paused", "account")
        [taken] = await cli("endpoints", "pause", known["id"], "--reason", "unpaid", *place)
        assert (taken["reason"], taken["paused_by"]) == ("unpaid", "operator")
        code, still = await act(ringback, "POST", path + "Pause/", {"reason": "mine"})
        assert (code, still["reason"], still["paused_by"]) == (200, "unpaid", "operator")
        code, refused = await act(ringback, "POST", path + "Resume/")
        assert (code, refused["error"]) == (403, "the operator paused this endpoint: unpaid")
        [resumed] = await cli("endpoints", "resume", known["id"], *place)
        assert (resumed["state"], resumed["paused_by"]) == ("closed", None)
        # What it paused itself, anybody may resume.
        await act(ringback, "POST", path + "Pause/")
        code, going = await act(ringback, "POST", path + "Resume/")
        assert (code, going["state"]) == (200, "closed")


async def test_what_a_name_resolves_to_inside_is_not_told_to_accounts(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    closed = {"retry_delays_s": [0.01], "egress_allow": []}
    async with running(settings_for(tmp_path, delivery=closed)) as ringback:
        _, sent = await ringback.send(dst="15005550003", url="http://localhost:9/s")
        # Before that another callback may still come, of which there is no attempt yet.
        await ringback.until_status(sent["message_uuid"][0], "sent")
        await ringback.until_called_back()
        _, listed = await ask(ringback, "GET", "", message_uuid=sent["message_uuid"][0])
        _, one = await ask(ringback, "GET", f"{listed['objects'][0]['id']}/")
        told = {(attempt["outcome"], attempt["error"].count("an internal address")) for attempt in one["attempts"]}
        assert {outcome for outcome, _ in told} == {"blocked"}
        assert all(count for _, count in told)
        assert not [each for each in one["attempts"] if "127.0.0.1" in each["error"] or "::1" in each["error"]]
        # The operator sees what to allow.
        [shown] = await cli("callbacks", "show", one["id"], *place)
        assert "127.0.0.1 (loopback)" in shown["attempts"][0]["error"]


async def attempts_made(ringback: Running, **fields: Any) -> list[int]:
    """Send a message that has two callbacks; how many attempts each got until it was given up."""
    code, sent = await ringback.send(dst="15005550003", **fields)
    assert code == 202
    await ringback.until_status(sent["message_uuid"][0], "sent")
    await ringback.until_called_back()
    made = await ringback.platform.store.read(lambda tx: callbacks.of_message(tx, sent["message_uuid"][0]))
    return [len(attempts) for _, attempts in made]


async def test_the_most_specific_retry_plan_holds(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    usual = {"retry_delays_s": [0.01] * 4}
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path, delivery=usual)) as ringback:
        endpoint.answer_next(*[status(404)] * 100)
        url = f"{endpoint.url}/s"
        auth_id = ringback.account.auth_id
        [account] = await cli("account", "set", auth_id, "--retry-delays", "0.01,0.01,0.01", *place)
        assert (account["auth_id"], account["retry_delays_s"]) == (auth_id, [0.01] * 3)
        assert await cli("account", "list", *place) == [[account]]
        assert await attempts_made(ringback, url=url) == [4, 4]
        _, listed = await act(ringback, "GET", "Endpoint/")
        path = f"Endpoint/{listed['objects'][0]['id']}/"
        await act(ringback, "POST", path, {"retry_delays_s": [0.01, 0.01]})
        assert await attempts_made(ringback, url=url) == [3, 3]
        assert await attempts_made(ringback, url=url, callback_retry_delays_s=[0.01]) == [2, 2]
        assert await attempts_made(ringback, url=url, callback_retry_delays_s=[]) == [1, 1]
        _, newest = await ask(ringback, "GET", "", limit="1")
        [last] = newest["objects"]
        assert last["retry_delays_s"] == []
        _, again = await ask(ringback, "POST", f"{last['id']}/Resend/")
        await ringback.until_called_back()
        _, copy = await ask(ringback, "GET", f"{again['id']}/")
        assert (copy["state"], len(copy["attempts"]), copy["retry_delays_s"]) == ("given_up", 1, [])
        [shown] = await cli("callbacks", "show", again["id"], *place)
        assert shown["retry_delays_s"] == []
        _, none = await act(ringback, "POST", path, {"retry_delays_s": []})
        assert none["retry_delays_s"] == []
        assert await attempts_made(ringback, url=url) == [1, 1]
        await cli("endpoints", "set", listed["objects"][0]["id"], "--retry-delays", "", *place)
        assert await attempts_made(ringback, url=url) == [4, 4]
        [account] = await cli("account", "set", auth_id, "--retry-delays", "", *place)
        assert account["retry_delays_s"] is None


async def test_a_form_brings_a_retry_plan_as_text(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        for text, stored in (("1,2.5", [1, 2.5]), ("none", []), ("", None)):
            form = {
                "src": "15005550100", "dst": "15005550003", "text": "x", "url": "http://127.0.0.1:1/s",
                "callback_retry_delays_s": text,
            }  # fmt: skip
            async with ringback.http.post(ringback.messages_url, data=form, headers=ringback.auth) as response:
                [uuid] = (await response.json())["message_uuid"]
            _, listed = await ask(ringback, "GET", "", message_uuid=uuid)
            assert listed["objects"][-1]["retry_delays_s"] == stored
        code, refused = await ringback.send(callback_retry_delays_s=[60, 0])
        complaint = "callback_retry_delays_s parameter must be a list of up to 20 numbers of seconds, each above 0"
        assert (code, refused["error"][: len(complaint)]) == (400, complaint)


async def wait_until(data_dir: Path, condition: Callable[[Transaction], object]) -> None:
    """Look at another process's database until something is true there."""
    store = sqlite.open_store(data_dir, busy_timeout_s=30)
    try:
        async with asyncio.timeout(60):
            while True:
                if await store.read(condition):
                    return
                await asyncio.sleep(0.05)
    finally:
        await store.close()


async def test_a_server_that_is_killed_goes_on_with_its_replay(tmp_path: Path) -> None:
    place = ("--data-dir", str(tmp_path), "--json")
    fast = {
        # What was in flight when it was killed is made again when its lease has run out; what a busy machine does not
        # bring to its endpoint within the deadline, soon.
        "RINGBACK_DELIVERY__DEADLINE_S": "1",
        "RINGBACK_DELIVERY__LEASE_S": "1.5",
        "RINGBACK_DELIVERY__RETRY_DELAYS_S": "0.5,0.5,0.5,0.5,0.5",
    }
    async with recording_endpoint() as endpoint:
        async with running(settings_for(tmp_path, delivery=FAST)) as ringback:
            await fail(ringback, endpoint, 10)
        account = {"auth_id": ringback.account.auth_id, "auth_token": ringback.account.tokens[0]}
        async with served(tmp_path, account, **fast) as server:
            # Slow enough that it lasts longer than the command that begins it, on a busy machine too.
            [begun] = await cli("callbacks", "replay", "--rate", "2", "--detach", *place)
            assert begun["total"] == 20
            await endpoint.wait_for(40 + 3)
            await server.kill()
        [broken_off] = await cli("callbacks", "replays", *place)
        assert (broken_off["state"], 0 < broken_off["done"] < 20) == ("running", True)
        async with served(tmp_path, account, **fast) as server:
            await wait_until(tmp_path, lambda tx: replays.find(tx, begun["id"]).state == "finished")
            await wait_until(tmp_path, lambda tx: callbacks.waiting(tx) == 0)
            assert await server.terminate() == 0
        found = await cli("callbacks", "list", "--limit", "100", *place)
        assert sorted(each["resend_of"] for each in found if each["resend_of"]) == sorted(
            each["id"] for each in found if not each["resend_of"]
        )
        assert {each["state"] for each in found if each["resend_of"]} == {"delivered"}


NO_ENDPOINT = f"Endpoint/{'0' * 32}/"


WRONG: tuple[tuple[str, object, str], ...] = (
    ("Callback/Replay/", {"colour": "red"}, "colour is no parameter here"),
    ("Callback/Replay/", {"state": "pending"}, "state parameter must be one of delivered, given_up, any"),
    ("Callback/Replay/", {"state": ["any"]}, "state parameter must be one of"),
    ("Callback/Replay/", {"endpoint": 1}, "endpoint parameter must be a string"),
    ("Callback/Replay/", {"since": 5}, "since parameter must be a UTC time"),
    ("Callback/Replay/", {"again": "yes"}, "again parameter must be true or false"),
    ("Callback/Replay/", {"dry_run": 1}, "dry_run parameter must be true or false"),
    ("Callback/Replay/", {"rate_per_s": "fast"}, "rate_per_s parameter must be a number"),
    ("Callback/Replay/", {"rate_per_s": 10**400}, "rate_per_s parameter must be a number"),
    ("Callback/Replay/", {"rate_per_s": 1001}, "rate_per_s parameter must be a number from 0.1 to 1000"),
    ("Callback/Replay/", [], "request body must be a JSON object"),
    (NO_ENDPOINT, {"lane": "first"}, "lane is no parameter here; there are concurrency, keep_parked"),
    (NO_ENDPOINT, {"concurrency": 0}, "concurrency parameter must be a whole number from 1 to 128"),
    (NO_ENDPOINT, {"concurrency": 129}, "concurrency parameter must be a whole number from 1 to 128"),
    (NO_ENDPOINT, {"concurrency": True}, "concurrency parameter must be a whole number"),
    (NO_ENDPOINT, {"rate_per_minute": 1.5}, "rate_per_minute parameter must be a whole number"),
    (NO_ENDPOINT, {"retry_delays_s": "60,120"}, "retry_delays_s parameter must be a list of up to 20 numbers"),
    (NO_ENDPOINT, {"retry_delays_s": [1] * 21}, "retry_delays_s parameter must be a list"),
    (NO_ENDPOINT, {"retry_delays_s": [60, 0]}, "retry_delays_s parameter must be a list"),
    (NO_ENDPOINT, {"keep_parked": "no"}, "keep_parked parameter must be true or false"),
    (NO_ENDPOINT + "Pause/", {"reason": "a\nb"}, "reason parameter must be at most 200 printable characters"),
    (NO_ENDPOINT + "Resume/", {"reason": "x"}, "reason is no parameter here; there are none"),
)


async def test_fields_that_are_wrong_are_named(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        for path, body, complaint in WRONG:
            code, answer = await act(ringback, "POST", path, body)
            assert (code, answer["error"][: len(complaint)]) == (400, complaint), body
            assert answer["api_id"]
        for path in ("Endpoint/nowhere/", NO_ENDPOINT, NO_ENDPOINT + "Pause/"):
            code, _ = await act(ringback, "POST", path, {})
            assert code == 404, path
