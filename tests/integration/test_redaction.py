"""``log`` on a message: what its sender does not want to be seen is seen nowhere but in its callbacks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from typer.testing import CliRunner

from ringback.cli.app import app
from ringback.store import submissions
from ringback.web.dashboard.sessions import make_login_link
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for

NUMBER = "14155550143"
MASKED = "141XXXXX143"
TEXT = "thistextisfoundnowhereelse"

SHOWN = {
    # What may be seen of the number, and of the text.
    "true": (True, True),
    "false": (False, False),
    "content_only": (False, True),
    "number_only": (True, False),
}


async def echo(request: web.Request) -> web.StreamResponse:
    """Answer with what came, in body and headers, and refuse it: that is what operators look into."""
    form = (await request.read()).decode()
    return web.Response(status=500, text=form + "\n" + NUMBER, headers={"X-About": NUMBER})


@pytest.mark.parametrize("mode", SHOWN)
async def test_everything_that_shows_messages_keeps_to_the_log(
    mode: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(tmp_path, delivery={"retry_delays_s": [0.05]}, log={"level": "debug"})
    async with recording_endpoint() as endpoint, running(settings) as ringback:
        endpoint.answer_next(*[echo] * 6)
        # The script's number that is rejected, with a detail of the carrier's, and one that is delivered.
        status, answer = await ringback.send(
            dst=NUMBER, text=TEXT, log=mode, url=f"{endpoint.url}/status?about={NUMBER}"
        )
        assert status == 202
        [uuid] = answer["message_uuid"]
        await ringback.until(lambda tx: submissions.waiting(tx) == 0)
        await ringback.until_called_back()
        seen = {
            "api": await api(ringback, uuid),
            "dashboard": await pages(ringback, uuid),
            "live": await live(ringback),
            "command line": await asyncio.to_thread(command_line, tmp_path, uuid),
        }
        sent = [request.body.decode() for request in endpoint.requests]
    seen["logs"] = "".join(capfd.readouterr())
    assert all(f"To={NUMBER}" in body for body in sent)
    number, text = SHOWN[mode]
    assert [name for name, shown in seen.items() if NUMBER in shown and not number] == []
    assert [name for name, shown in seen.items() if TEXT in shown and not text] == []
    assert (MASKED in seen["api"]) is not number
    assert (NUMBER in seen["dashboard"]) is number
    assert (TEXT in seen["dashboard"]) is text
    # Neither is ever for logs.
    assert NUMBER not in seen["logs"]
    assert TEXT not in seen["logs"]


async def api(ringback: Running, uuid: str) -> str:
    """All that the account can read about a message."""
    base = f"{ringback.url}/v1/Account/{ringback.account.auth_id}"
    paths = [f"/Message/{uuid}/", "/Message/", f"/Message/?to_number={NUMBER}", "/Callback/", "/Endpoint/"]
    async with ringback.http.get(f"{base}/Callback/", headers=ringback.auth) as response:
        owed = await response.json()
    paths += [f"/Callback/{each['id']}/" for each in owed["objects"]]
    assert len(paths) > 6
    said = []
    for path in paths:
        async with ringback.http.get(base + path, headers=ringback.auth) as response:
            assert response.status == 200
            shown = await response.text()
            # What the caller itself has asked for comes back in the links of a list.
            said.append(shown if "to_number=" not in path else shown.partition('"objects"')[2])
    async with ringback.http.post(
        f"{base}/Callback/Replay/", json={"dry_run": True}, headers=ringback.auth
    ) as response:
        said.append(await response.text())
    return "\n".join(said)


@asynccontextmanager
async def operator(ringback: Running) -> AsyncIterator[aiohttp.ClientSession]:
    platform = ringback.platform
    link = await make_login_link(platform.store, platform.clock, platform.settings.dashboard, ringback.url)
    [key] = parse_qs(urlsplit(link).query)["key"]
    async with aiohttp.ClientSession(ringback.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.post("/dashboard/login", data={"key": key}, allow_redirects=False) as answer:
            assert answer.status == 303
        yield client


async def pages(ringback: Running, uuid: str) -> str:
    """Every page that there is, and those that they link to."""
    found: dict[str, str] = {}
    async with operator(ringback) as client:
        todo = [
            "/dashboard",
            "/dashboard/overview",
            "/dashboard/messages",
            "/dashboard/endpoints",
            "/dashboard/received",
        ]
        todo.append(f"/dashboard/messages/{uuid}")
        async with client.get("/dashboard/endpoints") as answer:
            listed = await answer.text()
        todo += {part.partition('"')[0] for part in listed.split('href="')[1:] if "/dashboard/endpoints/" in part[:30]}
        for path in todo:
            async with client.get(path) as answer:
                assert answer.status == 200, path
                found[path] = await answer.text()
        # Looked for by a number that is hidden, it is not there.
        async with client.get(f"/dashboard/messages?number={NUMBER}") as answer:
            shown = await answer.text()
        found["search"] = uuid if uuid in shown else ""
    assert any("/dashboard/endpoints/" in path for path in found)
    return "\n".join(found.values())


async def live(ringback: Running) -> str:
    """The first that the live page is sent."""
    async with operator(ringback) as client, client.get("/dashboard/live") as answer:
        assert answer.status == 200
        return (await answer.content.readuntil(b"\n\n")).decode()


def command_line(data_dir: Path, uuid: str) -> str:
    """What the commands print that have to do with callbacks, as text and as JSON."""
    where = ["--data-dir", str(data_dir)]
    said = []
    listed = CliRunner().invoke(app, ["callbacks", "list", "--message", uuid, "--json", *where])
    ids = [part.partition('"')[0] for part in listed.stdout.split('"id": "')[1:]]
    assert ids
    commands = [["callbacks", "list"], ["endpoints", "list"], *(["callbacks", "show", id_] for id_ in ids)]
    for command in commands:
        for form in ([], ["--json"]):
            result = CliRunner().invoke(app, [*command, *form, *where], env={"COLUMNS": "400"})
            assert result.exit_code == 0, result.output
            said.append(result.output)
    return listed.output + "".join(said)
