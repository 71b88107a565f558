"""The receiver while its processes are killed: what was answered 200 is there, once; a second copy says that it is one.

Senders behave as providers do: a callback that was not answered 200 is sent again until it is.
"""

import asyncio
import random
import sys
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from ringback.store import postgres, received_log, sqlite
from ringback.store.port import Store, Transaction
from tests.fakes.callers import PUBLIC, TOKEN, call, said
from tests.fakes.process import create_account, served
from tests.integration.crash.test_crash import BUSY_S, KILLS, PATIENCE_S, Station, server  # noqa: F401 - a fixture

TARGET: Final = "/hooks/prov/sms_status"
WEB: Final = 2
SENDERS: Final = 16
KILLS_HERE: Final = max(WEB, KILLS // 10)
"""Fewer than elsewhere: a kill costs a start, and nothing is in hand longer than a commit takes."""
SETTINGS: Final = {"RINGBACK_SOURCES__PROV__TOKENS": TOKEN, "RINGBACK_SOURCES__PROV__PUBLIC_URL": PUBLIC}


class Provider:
    """Sends callbacks to all of the stations, and knows what they have answered."""

    def __init__(self, stations: list[Station]) -> None:
        self._stations = stations
        self._numbers = count()
        self._news = asyncio.Event()
        self.tries: Counter[str] = Counter()
        self.acknowledged: set[str] = set()

    async def send(self, http: aiohttp.ClientSession) -> None:
        """Send one callback after the other, each until it is taken."""
        while True:
            name = f"m-{next(self._numbers)}"
            while name not in self.acknowledged:
                await self._try(http, name)

    async def _try(self, http: aiohttp.ClientSession, name: str) -> None:
        # The next try goes to the next process.
        station = self._stations[(self.tries[name] + int(name[2:])) % WEB]
        await station.up.wait()
        assert station.now is not None
        self.tries[name] += 1
        try:
            status = await call(http, station.now.url, TARGET, said(name, "sent", 1))
        except (aiohttp.ClientError, TimeoutError):
            return
        assert status in {200, 503}
        if status == 200:
            self.acknowledged.add(name)
            self._news.set()

    async def until_acknowledged(self, wanted: int) -> None:
        """Wait until so many callbacks were answered 200."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acknowledged) < wanted:
                self._news.clear()
                await self._news.wait()


def _kept(tx: Transaction) -> list[tuple[str, str]]:
    """Return the message and the flag of everything that is there."""
    found, position, has_more = [], 0, True
    while has_more:
        page = received_log.page(tx, after=position, sources=None, limit=10_000)
        for each in page.events:
            name = each.request.body.decode().partition("MessageUUID=")[2].partition("&")[0]
            found.append((name, each.flag))
        position, has_more = page.position, page.has_more
    return found


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_killed_receivers_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = dict(SETTINGS)
    if driver == "postgres":
        running = request.getfixturevalue("server")
        settings["RINGBACK_STORE__URL"] = running.url(running.create_database())
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    account = create_account(tmp_path, **settings)
    stations = [Station(partial(served, tmp_path, account, "--role", "web", **settings)) for _ in range(WEB)]
    provider, dice, kills = Provider(stations), random.Random(20261129), 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        running_stations = [asyncio.create_task(station.keep_running()) for station in stations]
        senders = [asyncio.create_task(provider.send(http)) for _ in range(SENDERS)]
        while kills < KILLS_HERE:
            await provider.until_acknowledged(len(provider.acknowledged) + dice.randint(50, 400))
            # Both at once, or one while the other goes on.
            victims = dice.sample(stations, dice.randint(1, WEB))
            await asyncio.gather(*(victim.kill() for victim in victims))
            kills += len(victims)
        for task in (*senders, *running_stations):
            task.cancel()
        ended = await asyncio.gather(*senders, *running_stations, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
    kept = await store.read(_kept)
    await store.close()
    first, copies = Counter(name for name, flag in kept if not flag), Counter(name for name, _ in kept)
    assert provider.acknowledged - set(first) == set(), "answered 200, and not there"
    assert set(first.values()) == {1}
    assert {flag for _, flag in kept} <= {"", "duplicate"}
    assert [name for name, times in copies.items() if times > provider.tries[name]] == []
    told = f"{kills} kills of receivers: {len(provider.acknowledged)} callbacks acknowledged"
    with capsys.disabled():
        sys.stderr.write(f"\n{driver}: {told}, {len(kept) - len(first)} flagged as duplicates, 0 lost\n")
