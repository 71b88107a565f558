"""Several carriers in whole processes: configured by file and by command, paused, replaced and followed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.settings import load
from ringback.store import messages, routing
from tests.data.dashboard.serving import Dashboard, serve
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.process import run

TWO = """
[[carriers]]
name = "north"
kind = "simulator"
simulator = { speed = 100 }

[[carriers]]
name = "south"
kind = "simulator"
capacity = 8
simulator = { speed = 100, seed = 2 }

[[routes]]
name = "germany"
carrier = "north"
prefix = "49"

[[routes]]
name = "rest"
carrier = "south"
"""
ALL_IS_WELL = """
[[rule]]
name = "all is well"
prefixes = [""]
endings = [{ result = "delivered" }]
"""
GERMAN = "4915112345678"


def command(directory: Path, *arguments: str, code: int = 0) -> str:
    done = run(*arguments, "--data-dir", str(directory))
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def beside_others(directory: Path) -> dict[str, dict[str, object]]:
    """Return flags for a process whose store commands write to as well: the machine may stop one in the middle."""
    return {"server": {"port": 0}, "store": {"data_dir": directory, "busy_timeout_s": 30.0}}


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    file = tmp_path / "ringback.toml"
    script = tmp_path / "script.toml"
    # Of messages that may fail by chance, a test could wait for ever for the good news.
    script.write_text(ALL_IS_WELL)
    file.write_text(f'[simulator]\nscript = "{script}"\n{TWO}')
    async with running(load(file=file, environment={}, flags=beside_others(tmp_path))) as platform:
        yield platform


async def send(ringback: Running, dst: str) -> str:
    status, answer = await ringback.send(dst=dst)
    assert status == 202
    uuid: str = answer["message_uuid"][0]
    return uuid


async def test_the_file_makes_carriers_and_routes(ringback: Running, tmp_path: Path) -> None:
    german, other = await send(ringback, GERMAN), await send(ringback, "14155550123")
    found = [await ringback.until_status(uuid, "delivered") for uuid in (german, other)]
    assert [(each.connector, each.route) for each in found] == [("north", "germany"), ("south", "rest")]
    listed = await asyncio.to_thread(command, tmp_path, "carriers", "list", "--json")
    assert [json.loads(line)["name"] for line in listed.splitlines()] == ["north", "south"]
    refused = await asyncio.to_thread(command, tmp_path, "routes", "remove", "rest", code=2)
    assert "route rest is in the settings file: change it there, then restart" in refused
    tried = await asyncio.to_thread(command, tmp_path, "routes", "test", "+" + GERMAN)
    assert tried.index("germany") < tried.index("rest")


async def test_a_process_that_has_stopped_has_no_links(tmp_path: Path) -> None:
    async with running(load(file=None, environment={}, flags=beside_others(tmp_path))):
        async with asyncio.timeout(60):
            while not json.loads(await asyncio.to_thread(command, tmp_path, "carriers", "list", "--json"))["links"]:
                pass
    assert json.loads(await asyncio.to_thread(command, tmp_path, "carriers", "list", "--json"))["links"] == []


async def test_another_process_pauses_and_resumes(ringback: Running, tmp_path: Path) -> None:
    await asyncio.to_thread(command, tmp_path, "carriers", "pause", "north", "--reason", "too dear")
    async with asyncio.timeout(60):
        while True:
            # Until the running process has heard of it, they go.
            kept, other = await send(ringback, GERMAN), await send(ringback, "14155550123")
            await ringback.until_status(other, "delivered")
            found = await ringback.platform.store.read(lambda tx, it=kept: messages.find(tx, None, it))  # type: ignore[misc]
            assert found is not None
            if found.status == "queued":
                break
    await asyncio.to_thread(command, tmp_path, "carriers", "resume", "north")
    await ringback.until_status(kept, "delivered")


async def test_commands_make_carriers_while_it_runs(ringback: Running, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"speed": 100, "seed": 3}')
    set_carrier = ("carriers", "set", "east", "--kind", "simulator", "--settings", str(own))
    await asyncio.to_thread(command, tmp_path, *set_carrier)
    await asyncio.to_thread(command, tmp_path, "routes", "set", "berlin", "--carrier", "east", "--prefix", "4930")
    async with asyncio.timeout(60):
        while True:
            message = await ringback.until_status(await send(ringback, "493012345678"), "delivered")
            if message.connector == "east":
                break
    assert message.route == "berlin"
    await asyncio.to_thread(command, tmp_path, "routes", "remove", "berlin")
    await asyncio.to_thread(command, tmp_path, "carriers", "remove", "east")
    async with asyncio.timeout(60):
        while (await ringback.until_status(await send(ringback, "493012345678"), "delivered")).connector != "north":
            pass


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[routes]]\nname = "r"\ncarrier = "nobody"', "route r leads to carrier nobody, which is not there"),
        ('[[carriers]]\nname = "A b"\nkind = "simulator"', "carriers"),
        ('[[carriers]]\nname = "a"\nkind = "simulator"\n' * 2, "two of the carriers are called a"),
        ('[[carriers]]\nname = "a"\nkind = "simulator"\nsimulator = {speed = -1}', "carrier a: "),
    ],
)
async def test_a_wrong_file_ends_the_start(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(text)
    done = await asyncio.to_thread(run, "serve", "--port", "0", "--data-dir", str(tmp_path), "--config", str(file))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


async def test_one_that_cannot_be_opened_says_so_and_keeps_its_messages(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"nonsense": 1, "password": "hunter2"}')
    set_carrier = ("carriers", "set", "bad", "--kind", "simulator", "--settings", str(own))
    await asyncio.to_thread(command, tmp_path, *set_carrier)
    async with running(settings_for(tmp_path)) as ringback:
        uuid = await send(ringback, GERMAN)
        await ringback.until(lambda tx: "nonsense" in "".join(link.snapshot for link in routing.links(tx, since_us=0)))
        shown = await asyncio.to_thread(command, tmp_path, "carriers", "show", "bad")
        assert "hunter2" not in shown
        assert '"state": "down"' in shown
        message = await ringback.platform.store.read(lambda tx: messages.find(tx, None, uuid))
        assert message is not None
        assert message.status == "queued"


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path) as shown:
        yield shown


async def press(client: aiohttp.ClientSession, **form: str) -> str:
    async with client.post("/dashboard/carriers", data=form) as answer:
        assert answer.status == 200, await answer.text()
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", await answer.text()))


async def test_the_page_shows_and_does(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        async with client.get("/dashboard/carriers") as answer:
            html = await answer.text()
        assert answer.status == 200
        assert "No running process has a link to it" in html
        told = await press(client, action="pause", name="simulator", reason="<b>why</b>")
        assert "simulator is paused: its messages wait" in told
        assert "&lt;b&gt;why&lt;/b&gt;" in told
        assert "is resumed" in await press(client, action="resume", name="simulator")
        assert "makes its links anew" in await press(client, action="rebind", name="simulator")
        table = await dashboard.store.read(routing.read)
        assert (table.carriers["simulator"].rebinds, table.version) == (1, 4)
        for form, status in (({"action": "dance"}, 400), ({"action": "pause", "name": "nobody"}, 404)):
            sent: dict[str, Any] = form
            async with client.post("/dashboard/carriers", data=sent) as answer:
                assert answer.status == status
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.post(
            dashboard.base_url + "/dashboard/carriers", data={"action": "pause", "name": "simulator"},
            allow_redirects=False,
        ) as answer,
    ):  # fmt: skip
        assert answer.status in {303, 401, 403}
    assert not (await dashboard.store.read(routing.read)).carriers["simulator"].is_paused
