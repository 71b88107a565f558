"""The examples in the documents, run as they stand against a Ringback of its own process."""

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.docs.documents import marked
from tests.fakes.ports import free_port
from tests.fakes.process import COMMAND, Served, create_account, served

DELIVERED_AT_ONCE = "15005550001"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Served]:
    """A Ringback with a receiver source for its own account, as the demo has."""
    account = create_account(tmp_path)
    async with served(tmp_path, account, RINGBACK_SOURCES__DEMO__ACCOUNT=account["auth_id"]) as running:
        yield running


def credentials(ringback: Served) -> dict[str, str]:
    """What the examples expect in their environment."""
    account = ringback.account
    return {
        "PATH": os.environ["PATH"],
        "PLIVO_AUTH_ID": account["auth_id"],
        "PLIVO_AUTH_TOKEN": account["auth_token"],
        "AUTH_ID": account["auth_id"],
        "AUTH_TOKEN": account["auth_token"],
        "RINGBACK_URL": ringback.url,
    }


async def output_of(*command: str, env: dict[str, str]) -> str:
    """Run a command to its successful end, and give what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def until(condition: Callable[[], Any], *, bound_s: float = 60) -> Any:
    """Look again and again until something is there; fail after ``bound_s``."""
    async with asyncio.timeout(bound_s):
        while not (found := condition()):  # noqa: ASYNC110 - another process sets no event to wait for
            await asyncio.sleep(0.02)
    return found


def rows(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Read from a database that another process writes; nothing while there is none."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            return []


async def test_the_sdk_example_of_the_readme_sends_and_is_called_back(ringback: Served, tmp_path: Path) -> None:
    example = marked("run: sdk").text
    assert "http://127.0.0.1:8080" in example
    code = example.replace("http://127.0.0.1:8080", ringback.url)
    uuid = (await output_of(sys.executable, "-c", code, env=credentials(ringback))).strip()
    query = "SELECT status FROM received_events WHERE message_uuid = ? AND flag = '' ORDER BY sequence"
    await until(lambda: len(rows(tmp_path / "ringback.db", query, uuid)) == 3)
    assert rows(tmp_path / "ringback.db", query, uuid) == [("queued",), ("sent",), ("delivered",)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_curl_examples_are_answered_as_shown(ringback: Served) -> None:
    env = credentials(ringback)
    sent = json.loads(await output_of("sh", "-c", marked("run: send").text, env=env))
    assert sent["message"] == "message(s) queued"
    assert len(sent["message_uuid"]) == 2
    assert sent["invalid_number"] == ["12"]

    env["MESSAGE_UUID"] = sent["message_uuid"][0]
    got = json.loads(await output_of("sh", "-c", marked("run: get").text, env=env))
    assert got["message_uuid"] == sent["message_uuid"][0]
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    (shown,) = (
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "resource_uri" in text
    )
    assert list(got) == list(shown)

    listed = json.loads(await output_of("sh", "-c", marked("run: list").text, env=env))
    assert listed["meta"]["limit"] == 5
    assert isinstance(listed["objects"], list)

    uploaded = json.loads(await output_of("sh", "-c", marked("run: upload").text, env=env))
    assert [(each["status"], each["file_name"]) for each in uploaded["objects"]] == [("success", "ada.vcf")]
    made = json.loads(await output_of("sh", "-c", marked("run: application").text, env=env))
    assert (made["message"], len(made["app_id"])) == ("created", 17)

    planned = json.loads(await output_of("sh", "-c", marked("run: replay").text, env=env))
    assert (planned["dry_run"], planned["total"], planned["first"]) == (True, 0, [])


async def test_the_endpoint_example_believes_and_stores_what_ringback_sends(ringback: Served, tmp_path: Path) -> None:
    example = marked("run: endpoint").text
    port = free_port()
    assert example.count("9000") == 2
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example.replace("9000", str(port)),
        env=credentials(ringback), cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        await until(lambda: _listens(port))
        async with aiohttp.ClientSession() as http:
            _, answer = await ringback.send(http, dst=DELIVERED_AT_ONCE, url=f"{url}/status?app=7")
            forged = {"MessageUUID": "forged", "Status": "delivered", "Sequence": "3"}
            async with http.post(url, data=forged) as response:
                assert response.status == 403
        query = "SELECT status, sequence, error FROM statuses WHERE message = ? ORDER BY sequence"
        database = tmp_path / "statuses.db"
        uuid = answer["message_uuid"][0]
        await until(lambda: len(rows(database, query, uuid)) == 3)
        assert rows(database, query, uuid) == [("queued", 1, None), ("sent", 2, None), ("delivered", 3, "000")]
        assert rows(database, query, "forged") == []
    finally:
        process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_the_backup_example_copies_a_database_in_use(ringback: Served, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http:
        _, answer = await ringback.send(http, dst=DELIVERED_AT_ONCE)
    copy = tmp_path / "copy.db"
    code = marked("run: backup").text.replace(".ringback/ringback.db", str(tmp_path / "ringback.db"))
    await output_of(sys.executable, "-c", code.replace("backup.db", str(copy)), env=credentials(ringback))
    assert rows(copy, "SELECT uuid FROM messages") == [(answer["message_uuid"][0],)]


async def test_the_command_of_the_readme_is_the_one_that_is_installed() -> None:
    shown = await output_of(*COMMAND, "demo", "--help", env={"PATH": os.environ["PATH"], "NO_COLOR": "1"})
    assert {"--messages", "--exit", "--json"} <= set(re.findall(r"--\w+", shown))
