"""Ringback as a process: what it refuses to start with, how it ends, and what a kill costs."""

import asyncio
import json
import random
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import pytest
from structlog.testing import capture_logs

from ringback.wiring.platform import open_platform
from tests.fakes.endpoint import RecordingEndpoint, hang, recording_endpoint
from tests.fakes.platform import settings_for
from tests.fakes.ports import held_port
from tests.fakes.process import Served, create_account, run, served

FAST = {"RINGBACK_SIMULATOR__SPEED": "20"}
KILLS = 8
SENDERS = 4


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with held_port() as port:
        ended = run("serve", "--data-dir", str(tmp_path), "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "--port" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("prepare", "complaint"),
    [
        (lambda path: path.write_text("a file"), "cannot be written"),
        (lambda path: (path.mkdir(), (path / "ringback.db").write_bytes(b"no database at all" * 300)), "not a sound"),
        (lambda path: (path.mkdir(), (path / "ringback.db").mkdir()), "cannot be"),
    ],
    ids=["directory is a file", "corrupt", "database is a directory"],
)
def test_an_unusable_data_directory_is_named(tmp_path: Path, prepare: object, complaint: str) -> None:
    path = tmp_path / "data"
    prepare(path)  # type: ignore[operator]
    ended = run("serve", "--data-dir", str(path), "--port", "0")
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert str(path) in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_read_only_filesystem_is_named() -> None:
    # Modes do not bind root, /proc does.
    ended = run("serve", "--data-dir", "/proc/ringback", "--port", "0")
    assert ended.returncode == 2
    assert "/proc/ringback cannot be written" in ended.stderr


def test_a_database_of_a_newer_ringback_is_named(tmp_path: Path) -> None:
    create_account(tmp_path)
    with sqlite3.connect(tmp_path / "ringback.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ended = run("serve", "--data-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    assert "newer Ringback" in ended.stderr


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"RINGBACK_SERVER__PORT": "eighty"}, "server.port"),
        ({"RINGBACK_DELIVERY__LEASE_S": "5"}, "delivery.lease_s"),
        ({"RINGBACK_SERVRE__PORT": "80"}, "servre"),
        ({"RINGBACK_CONFIG": "/nonexistent.toml"}, "cannot read /nonexistent.toml"),
        ({"RINGBACK_SIMULATOR__SCRIPT": "/nonexistent.toml"}, "cannot read /nonexistent.toml"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, environment: dict[str, str], complaint: str) -> None:
    ended = run("serve", "--data-dir", str(tmp_path), **environment)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


async def test_sources_that_verify_nothing_are_named(tmp_path: Path) -> None:
    sources = {
        "deaf": {},
        "lost": {"account": "MAXXXXXXXXXXXXXXXXXX", "tokens": ["t"]},
        "heard": {"tokens": ["t"]},
    }
    with capture_logs() as lines:
        async with open_platform(settings_for(tmp_path, sources=sources)):
            pass
    assert [(line["event"], line["source"]) for line in lines] == [
        ("source_verifies_nothing", "deaf"),
        ("source_names_an_unknown_account", "lost"),
    ]


async def test_a_clock_set_back_between_runs_loses_nothing(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    ahead_us = 10**15 * 3
    async with aiohttp.ClientSession() as http:
        async with served(tmp_path, account, **FAST) as ringback:
            await ringback.send(http, dst="15005550003")
            assert await ringback.terminate() == 0
        with sqlite3.connect(tmp_path / "ringback.db") as connection:
            # What is stored was stored while the clock was years ahead.
            connection.execute("UPDATE events SET at_us = at_us + ?", (ahead_us,))
        connection.close()
        async with served(tmp_path, account, **FAST) as ringback:
            status, _ = await ringback.send(http, dst="15005550003")
            assert status == 202
            assert await ringback.terminate() == 0
    with sqlite3.connect(tmp_path / "ringback.db") as connection:
        times = [at_us for (at_us,) in connection.execute("SELECT at_us FROM events ORDER BY id")]
    connection.close()
    assert times == sorted(times)
    assert len(times) >= 3


def test_standard_output_is_data_only(tmp_path: Path) -> None:
    create_account(tmp_path)
    with sqlite3.connect(tmp_path / "ringback.db") as connection:
        connection.execute(
            "INSERT INTO events (message_uuid, account_id, sequence, status, flag, at_us)"
            " VALUES ('', '', 1, '', '', ?)",
            (9 * 10**15,),
        )
    connection.close()
    made = run("account", "create", "second", "--json", "--data-dir", str(tmp_path))
    assert "behind" in made.stderr
    assert set(json.loads(made.stdout)) == {"auth_id", "auth_token", "name"}


def test_a_login_link_needs_to_know_the_port(tmp_path: Path) -> None:
    ended = run("login-link", "--data-dir", str(tmp_path), "--port", "0")
    assert ended.returncode == 2
    assert "--port" in ended.stderr
    assert run("login-link", "--data-dir", str(tmp_path)).stdout.startswith(
        "http://127.0.0.1:8080/dashboard/login?key="
    )


async def test_the_drain_bound_holds_while_the_database_is_held(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    bound = {"RINGBACK_DRAIN_S": "1", "RINGBACK_STORE__BUSY_TIMEOUT_S": "0.2"}
    release = asyncio.Event()
    async with (
        recording_endpoint() as endpoint,
        served(tmp_path, account, **FAST, **bound) as ringback,
        aiohttp.ClientSession() as http,
    ):
        endpoint.answer_next(hang(release))
        await ringback.send(http, dst="15005550003", url=endpoint.url)
        await endpoint.wait_for(1)
        holder = sqlite3.connect(tmp_path / "ringback.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        release.set()
        assert await ringback.terminate() == 1
        holder.close()
    # What could not be recorded is still owed.
    with sqlite3.connect(tmp_path / "ringback.db") as connection:
        assert connection.execute("SELECT count(*) FROM callback_queue").fetchone()[0] >= 1
        assert connection.execute("SELECT count(*) FROM attempts").fetchone() == (0,)
    connection.close()


def test_help_and_version() -> None:
    assert run("--version").stdout.startswith("ringback 0.")
    for command in ("serve", "demo", "login-link", "account"):
        assert run(command, "--help").returncode == 0


async def test_sigterm_finishes_attempts_in_flight(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    release = asyncio.Event()
    async with recording_endpoint() as endpoint, served(tmp_path, account, **FAST) as ringback:
        endpoint.answer_next(hang(release))
        async with aiohttp.ClientSession() as http:
            status, _ = await ringback.send(http, dst="15005550003", url=endpoint.url)
            assert status == 202
            await endpoint.wait_for(1)
            ending = asyncio.create_task(ringback.terminate())
            release.set()
            assert await ending == 0
    with sqlite3.connect(tmp_path / "ringback.db") as connection:
        outcomes = connection.execute("SELECT outcome FROM attempts").fetchall()
    connection.close()
    assert ("ok",) in outcomes
    assert {outcome for (outcome,) in outcomes} == {"ok"}


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed again and again under load: every accepted message ends, and every status reaches the endpoint."""
    account = create_account(tmp_path)
    environment = {
        **FAST,
        "RINGBACK_DELIVERY__DEADLINE_S": "3",
        "RINGBACK_DELIVERY__LEASE_S": "4",
        "RINGBACK_MESSAGING__SUBMIT_LEASE_S": "4",
        # What a busy machine does not bring to its endpoint within the deadline comes again soon.
        "RINGBACK_DELIVERY__RETRY_DELAYS_S": "1,1,1,1,1",
    }
    dice = random.Random(20261123)
    accepted: set[str] = set()
    timeout = aiohttp.ClientTimeout(total=60)
    async with recording_endpoint() as endpoint, aiohttp.ClientSession(timeout=timeout) as http:

        async def keep_sending(ringback: Served, enough: int, reached: asyncio.Event) -> None:
            while True:
                status, answer = await ringback.send(http, url=endpoint.url)
                if status == 202:
                    accepted.update(answer["message_uuid"])
                if len(accepted) >= enough:
                    reached.set()

        for _ in range(KILLS):
            reached = asyncio.Event()
            enough = len(accepted) + dice.randint(5, 60)
            async with served(tmp_path, account, **environment) as ringback:
                senders = [asyncio.create_task(keep_sending(ringback, enough, reached)) for _ in range(SENDERS)]
                async with asyncio.timeout(60):
                    await reached.wait()
                await ringback.kill()
                for sender in senders:
                    sender.cancel()
                await asyncio.gather(*senders, return_exceptions=True)

        owed = {(uuid, word) for uuid in accepted for word in ("queued", "sent", "delivered")}
        async with served(tmp_path, account, **environment) as ringback:
            while not owed <= set(seen := callbacks_seen(endpoint)):
                await endpoint.wait_for(len(endpoint.requests) + 1)
            assert await ringback.terminate() == 0
    duplicates = sum(count - 1 for count in seen.values())
    with capsys.disabled():
        sys.stderr.write(
            f"\n{KILLS} kills: {len(accepted)} messages accepted, {seen.total()} callbacks, "
            f"{duplicates} duplicates, 0 lost\n"
        )
    assert len(accepted) >= KILLS * 5
    # Twice only what was in flight at a kill, never the whole backlog again.
    assert duplicates < seen.total() / 2


def callbacks_seen(endpoint: RecordingEndpoint) -> Counter[tuple[str, str]]:
    """Count what an endpoint has received by message and status."""
    bodies = (dict(parse_qsl(request.body.decode())) for request in endpoint.requests)
    return Counter((body["MessageUUID"], body["Status"]) for body in bodies)
