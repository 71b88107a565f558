"""Two carriers of which one dies, and processes that are killed meanwhile: everything accepted is delivered."""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import pytest

from ringback.store import messages, sqlite
from ringback.store.messages import Filter
from tests.fakes.process import run
from tests.integration.crash.test_crash import (
    BUSY_S,
    PATIENCE_S,
    SETTINGS,
    account_for,
    at_work,
    check_database,
    stop_sending,
    until_finished,
)

KILLS = int(os.environ.get("KILLS", "30"))
DEAD = """
[[rule]]
name = "dead"
prefixes = [""]
answers = [{ kind = "throttle", times = 1000, retry_after_s = 5 }]

[[rule.endings]]
result = "delivered"
weight = 1
"""


def command(directory: Path, *arguments: str) -> None:
    done = run(*arguments, "--data-dir", str(directory), **SETTINGS)
    assert done.returncode == 0, done.stderr


def set_first(directory: Path, **own: object) -> None:
    """Give the first carrier these settings, in the database, so that every process hears of it."""
    file = directory / "first.json"
    file.write_text(json.dumps(own))
    command(directory, "carriers", "set", "first", "--kind", "simulator", "--settings", str(file))


async def test_one_of_two_carriers_dies_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "dead.toml"
    script.write_text(DEAD)
    store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    set_first(tmp_path, speed=20)
    command(tmp_path, "carriers", "set", "second", "--kind", "simulator")
    command(tmp_path, "routes", "set", "cheap", "--carrier", "first")
    command(tmp_path, "routes", "set", "dear", "--carrier", "second", "--priority", "1")
    dice = random.Random(20261124)
    kills = 0
    async with at_work(tmp_path, {}) as (stations, traffic, senders):
        submitting = stations[1]
        while kills < KILLS:
            goal = len(traffic.accepted) + dice.randint(3, 25)
            async with asyncio.timeout(PATIENCE_S):
                while len(traffic.accepted) < goal:
                    await traffic.something_arrives(within_s=5)
            if KILLS // 3 <= kills < KILLS // 3 + 2:
                await asyncio.to_thread(set_first, tmp_path, speed=20, script=str(script))
            await asyncio.gather(submitting.kill(), dice.choice(stations[2:]).kill())
            kills += 2
        await stop_sending(senders)
        await traffic.until_complete()
        await until_finished(traffic, store)
        duplicates = await account_for(traffic, stations, store)
        by_carrier = {
            route: await store.read(lambda tx, it=route: sum(m.route == it for m in _all(tx)))  # type: ignore[misc]
            for route in ("cheap", "dear")
        }
    await check_database(store, traffic)
    assert min(by_carrier.values()) > 0, by_carrier
    with capsys.disabled():
        told = f"{kills} kills: {len(traffic.accepted)} messages, {by_carrier}, {duplicates} callbacks twice, 0 lost"
        sys.stderr.write(f"\n{told}\n")


def _all(tx: messages.Transaction) -> list[messages.Message]:
    return messages.page(tx, Filter(), limit=100_000, offset=0)
