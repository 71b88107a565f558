"""A new token beside the old one: both authenticate and both sign until the old one ends."""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import aiohttp
from click.testing import Result
from plivo.utils import validate_signature, validate_v3_signature
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.dialect.signatures import callback_headers
from ringback.model.errors import NotFound
from ringback.store import accounts
from ringback.wiring.backbone import create_account, open_backbone, rotate_token
from tests.fakes.endpoint import Recorded, recording_endpoint
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def answer_to(ringback: Running, token: str) -> int:
    auth = {"Authorization": aiohttp.encode_basic_auth(ringback.account.auth_id, token)}
    async with ringback.http.get(ringback.messages_url, headers=auth) as response:
        return response.status


async def hook(ringback: Running, token: str, word: str) -> int:
    url = f"{ringback.url}/hooks/own/sms_status"
    params = [("MessageUUID", "m-1"), ("From", "1"), ("To", "2"), ("Status", word)]
    headers = callback_headers(
        "POST", url, params, nonce_v2="1" * 20, nonce_v3="2" * 20, tokens=(token,), main_tokens=(token,)
    )
    async with ringback.http.post(url, data=urlencode(params), headers={**dict(headers), **FORM}) as response:
        return response.status


def v3_is_valid(request: Recorded, base: str, token: str, kind: str) -> bool:
    """Ask the official SDK."""
    valid: bool = validate_v3_signature(
        request.method,
        base + request.target,
        request.header("X-Plivo-Signature-V3-Nonce"),
        token,
        request.header(f"X-Plivo-Signature-{kind}V3"),
        dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
    )
    return valid


def v2_is_valid(request: Recorded, base: str, token: str, signature: str) -> bool:
    """Ask the official SDK, with the header's value or a part of it."""
    valid: bool = validate_signature(
        base + request.target, request.header("X-Plivo-Signature-V2-Nonce"), signature, token
    )
    return valid


async def test_both_tokens_serve_while_they_overlap(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with open_backbone(settings) as (store, clock):
        account = await create_account(store, clock, "test")
        (old,) = account.tokens
        new, old_until_us = await rotate_token(store, clock, account.auth_id, overlap_s=3600)
        found = await store.read(lambda tx: accounts.find(tx, account.auth_id, clock.now_us()))
        assert found
        assert found.tokens == (new, old)
        after = await store.read(lambda tx: accounts.find(tx, account.auth_id, old_until_us))
        assert after
        assert after.tokens == (new,)
    settings = settings_for(tmp_path, sources={"own": {"account": account.auth_id}})
    async with recording_endpoint() as endpoint, running(settings, account=account) as ringback:
        assert [await answer_to(ringback, token) for token in (old, new, "neither")] == [200, 200, 401]
        statuses = [
            await hook(ringback, token, word) for token, word in ((old, "sent"), (new, "delivered"), ("x", "y"))
        ]
        assert statuses == [200, 200, 403]
        await ringback.send(dst="15005550003", url=f"{endpoint.url}/s")
        for request in await endpoint.wait_for(2):
            for kind in ("", "Ma-"):
                assert v3_is_valid(request, endpoint.url, old, kind)
                assert v3_is_valid(request, endpoint.url, new, kind)
                assert not v3_is_valid(request, endpoint.url, "neither", kind)
                whole = request.header(f"X-Plivo-Signature-{kind}V2")
                by_new, by_old = whole.split(",")
                assert v2_is_valid(request, endpoint.url, new, by_new)
                assert v2_is_valid(request, endpoint.url, old, by_old)
                # The SDK takes the header of V2 as a whole: docs/callbacks.md says so.
                assert not v2_is_valid(request, endpoint.url, new, whole)
        await ringback.until_called_back()


async def test_without_overlap_the_old_one_ends_at_once(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with open_backbone(settings) as (store, clock):
        account = await create_account(store, clock, "test")
        first, _ = await rotate_token(store, clock, account.auth_id, overlap_s=3600)
        second, _ = await rotate_token(store, clock, account.auth_id, overlap_s=0)
    settings = settings_for(tmp_path, sources={"own": {"account": account.auth_id}})
    async with running(settings, account=account) as ringback:
        tokens = (account.tokens[0], first, second)
        assert [await answer_to(ringback, token) for token in tokens] == [401, 401, 200]
        assert [await hook(ringback, token, token) for token in tokens] == [403, 403, 200]


async def test_a_running_ringback_takes_note(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        (old,) = ringback.account.tokens
        assert await answer_to(ringback, old) == 200
        platform = ringback.platform
        new, _ = await rotate_token(platform.store, platform.clock, ringback.account.auth_id, overlap_s=0)
        async with asyncio.timeout(60):
            while await answer_to(ringback, new) != 200:  # noqa: ASYNC110 - a cache that grows old sets no event
                await asyncio.sleep(0.1)
        assert await answer_to(ringback, old) == 401


def command(*arguments: str) -> Result:
    """Run a command in this process: starting another takes a second."""
    return CliRunner().invoke(app, ["account", *arguments])


def test_the_commands(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path))
    account = json.loads(command("create", "test", "--json", *where).stdout)
    rotated = json.loads(command("rotate-token", account["auth_id"].lower(), "--json", *where).stdout)
    assert (rotated["auth_id"], len(rotated["auth_token"])) == (account["auth_id"], 40)
    assert rotated["auth_token"] != account["auth_token"]
    assert rotated["old_tokens_valid_until"].endswith("+00:00")
    plain = command("rotate-token", account["auth_id"], "--overlap-hours", "0", *where)
    assert plain.stdout.startswith(f"auth id     {account['auth_id']}\nauth token  ")
    assert plain.stderr.startswith("the tokens before it are valid until ")
    assert command("rotate-token", account["auth_id"], "--overlap-hours", "49", *where).exit_code == 2
    for word, enabled in (("disable", False), ("enable", True)):
        assert command(word, account["auth_id"], *where).exit_code == 0
        (listed,) = json.loads(command("list", "--json", *where).stdout)
        assert listed["enabled"] is enabled
    for word in ("rotate-token", "disable", "enable"):
        assert isinstance(command(word, "MA" + "X" * 18, *where).exception, NotFound)


def test_an_account_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    unknown = run("account", "rotate-token", "MA" + "X" * 18, "--data-dir", str(tmp_path))
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "ringback: there is no account MAXXXXXXXXXXXXXXXXXX: ringback account list shows them\n" in unknown.stderr
