"""Processes killed at random moments while messages go out over SMPP and receipts come back.

Every message that was answered 202 must have every status delivered: none may be lost between the API and the SMSC, and
no receipt that was acknowledged. A message may be submitted twice, where its process died before it knew the answer.
"""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from ringback.store import postgres, sqlite
from ringback.store.port import Store
from tests.fakes.smsc import scripted_smsc
from tests.integration.crash.test_crash import (
    AT_ONCE,
    KILLS,
    _unfinished,
    account_for,
    at_work,
    check_database,
    server,  # noqa: F401 - a fixture
    stop_sending,
)

KILLS_HERE = max(AT_ONCE, KILLS // 4)
RULES = [{"delay_ms": 20, "receipts": [{"after_ms": 150}]}]


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_nothing_is_lost_between_api_and_smsc(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, str] = {}
    if driver == "postgres":
        running = request.getfixturevalue("server")
        settings = {"RINGBACK_STORE__URL": running.url(running.create_database())}
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=4)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=4)
    dice, kills = random.Random(20261124), 0
    async with scripted_smsc(rule=RULES) as (smsc, port):
        settings |= {
            "RINGBACK_SMPP__HOST": "127.0.0.1",
            "RINGBACK_SMPP__PORT": str(port),
            "RINGBACK_SMPP__SYSTEM_ID": "ringback",
        }
        async with at_work(tmp_path, settings) as (stations, traffic, senders):
            while kills < KILLS_HERE:
                goal = len(traffic.accepted) + dice.randint(3, 25)
                async with asyncio.timeout(60):
                    while len(traffic.accepted) < goal:
                        await traffic.something_arrives(within_s=5)
                await asyncio.gather(*(victim.kill() for victim in dice.sample(stations, AT_ONCE)))
                kills += AT_ONCE
            await stop_sending(senders)
            await traffic.until_complete()
            duplicates = account_for(traffic, stations)
            async with asyncio.timeout(60):
                while await store.read(_unfinished):
                    await traffic.something_arrives(within_s=0.2)
        await check_database(store, traffic)
        taken = smsc.counts["ok"]
    assert smsc.counts["receipts"] <= taken
    told = f"{len(traffic.accepted)} messages accepted, {taken} taken by the SMSC, {duplicates} callbacks"
    with capsys.disabled():
        sys.stderr.write(f"\n{driver} over SMPP: {kills} kills: {told} twice, 0 lost\n")
