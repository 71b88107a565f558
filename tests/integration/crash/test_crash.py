"""Processes killed at random moments under load: nothing that was acknowledged is lost.

A web process, a submitting one and two delivering ones share a database. While messages are sent, they are killed
with SIGKILL, several at a time, and started again. An endpoint records what arrives. In the end every message that
was answered 202 must have had every status delivered, and whatever arrived twice must have been in flight when its
process was killed, or was answered too late, which is recorded. ``make crash KILLS=1000`` does it for longer.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web

from ringback.model.errors import StoreUnavailable
from ringback.store import postgres, sqlite
from ringback.store.port import Store
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.postgres import PostgresServer, postgres_server
from tests.fakes.process import Served, create_account, served

KILLS = int(os.environ.get("KILLS", "100"))
AT_ONCE = 3
SENDERS = 3
DEADLINE_S = 4.0
LEASE_S = 8.0
"""Longer than a deadline by more than a busy machine stops a process for: what lives is to keep its leases."""
BUSY_S = 30
"""A statement of the test itself may wait for so long."""
CREW = (("--role", "web"), ("--role", "submit"), ("--role", "deliver"), ("--role", "deliver"))
STATUSES = ("queued", "sent", "delivered")
PATIENCE_S = 480
"""A try that a busy machine lets run into its deadline is made again after 60, 120 and 240 s: that is not lost."""
SETTINGS = {
    "RINGBACK_SIMULATOR__SPEED": "20",
    "RINGBACK_DELIVERY__DEADLINE_S": str(DEADLINE_S),
    "RINGBACK_DELIVERY__LEASE_S": str(LEASE_S),
    "RINGBACK_MESSAGING__SUBMIT_LEASE_S": "1",
}


T = TypeVar("T", bound="Traffic")
T_Key = TypeVar("T_Key")


class Station:
    """One process of the crew: kept running, and killed when told."""

    def __init__(self, start: Callable[[], AbstractAsyncContextManager[Served]]) -> None:
        self._start = start
        self._kill = asyncio.Event()
        self.up = asyncio.Event()
        self.now: Served | None = None
        self.killed_at_s: list[float] = []

    async def keep_running(self) -> None:
        """Start it again after every kill, until cancelled; then let it end in order."""
        while True:
            async with self._start() as self.now:
                self.up.set()
                try:
                    await self._kill.wait()
                except asyncio.CancelledError:
                    await self.now.terminate()
                    raise
                self.up.clear()
                self._kill.clear()
                self.killed_at_s.append(time.monotonic())
                await self.now.kill()

    async def kill(self) -> None:
        """Kill it, if it runs, and wait until it runs again."""
        await self.up.wait()
        self._kill.set()
        self.up.clear()
        await self.up.wait()


class Traffic:
    """Messages sent and what arrived of them."""

    def __init__(self, station: Station, url: str) -> None:
        self._station = station
        self.url = url
        self.accepted: set[str] = set()
        self.refused = 0
        self.arrived_at_s: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._news = asyncio.Event()

    def fields(self) -> dict[str, object]:
        """Say what the next message has besides."""
        return {}

    async def send(self, http: aiohttp.ClientSession) -> None:
        """Send one message after the other, whatever becomes of the server."""
        while True:
            await self._station.up.wait()
            try:
                assert self._station.now is not None
                status, answer = await self._station.now.send(http, url=self.url, **self.fields())
            except (aiohttp.ClientError, TimeoutError):
                continue
            if status == 202:
                self.accepted.update(answer["message_uuid"])
            else:
                assert status == 503, answer
                self.refused += 1

    async def arrive(self, request: web.Request) -> web.StreamResponse:
        """Note a callback."""
        said = dict(parse_qsl((await request.read()).decode()))
        self.arrived_at_s[said["MessageUUID"], said["Status"]].append(time.monotonic())
        self._news.set()
        return web.Response()

    def missing(self) -> set[tuple[str, str]]:
        """Say what of the accepted messages has not arrived."""
        return {(uuid, word) for uuid in self.accepted for word in STATUSES} - set(self.arrived_at_s)

    async def until_complete(self) -> None:
        """Wait until everything has arrived; fails with what is missing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.missing():
                    await self.something_arrives(within_s=5)
        assert self.missing() == set(), f"{len(self.arrived_at_s)} callbacks arrived"

    async def something_arrives(self, *, within_s: float) -> None:
        """Wait for the next callback, for so long at most."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()


@asynccontextmanager
async def at_work(
    tmp_path: Path,
    settings: dict[str, str],
    kind: type[T] = Traffic,  # type: ignore[assignment]
    web_flags: tuple[str, ...] = (),
) -> AsyncIterator[tuple[list[Station], T, list[asyncio.Task[None]]]]:
    """Run the crew under load; gives the senders' tasks too, so that sending can end first."""
    account = create_account(tmp_path, **settings)
    crew = [(*flags, *(web_flags if "web" in flags else ())) for flags in CREW]
    stations = [Station(partial(served, tmp_path, account, *flags, **(SETTINGS | settings))) for flags in crew]
    async with (
        recording_endpoint() as endpoint,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
    ):
        traffic = kind(stations[0], endpoint.url)
        endpoint.answer_always(traffic.arrive)
        running = [asyncio.create_task(station.keep_running()) for station in stations]
        await asyncio.gather(*(station.up.wait() for station in stations))
        senders = [asyncio.create_task(traffic.send(http)) for _ in range(SENDERS)]
        try:
            yield stations, traffic, senders
        finally:
            for task in (*senders, *running):
                task.cancel()
            ended = await asyncio.gather(*senders, *running, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []


async def stop_sending(senders: list[asyncio.Task[None]]) -> None:
    """End the load; answers on their way count."""
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)


async def account_for(traffic: Traffic, stations: list[Station], store: Store) -> int:
    """Check that each duplicate was in flight at a kill, or was answered too late; returns how many there are."""
    kills = sorted(at_s for station in stations if station is not stations[0] for at_s in station.killed_at_s)
    return duplicates(traffic.arrived_at_s, kills, LEASE_S, await store.read(answered_too_late))


def duplicates(
    times: Mapping[T_Key, list[float]], kills: list[float], lease_s: float, too_late: Mapping[T_Key, int] | None = None
) -> int:
    """Check that whatever came twice was in flight at a kill, or was answered too late; returns how often that was."""
    found = 0
    for key, at_s in times.items():
        unexplained = 0
        for earlier, later in itertools.pairwise(at_s):
            found += 1
            # A lease runs out before anybody tries again, and began when its holder still lived.
            unexplained += not any(earlier - lease_s <= kill <= later for kill in kills)
        assert unexplained <= (too_late or {}).get(key, 0), f"{key} came twice without a kill"
    return found


def answered_too_late(tx: sa.Connection) -> Counter[tuple[str, str]]:
    """Count tries that ran into their deadline, by what they were to bring: each may have brought it."""
    rows = tx.execute(
        sa.text(
            "SELECT callbacks.message_uuid, callbacks.params FROM attempts "
            "JOIN callbacks ON callbacks.id = attempts.callback_id WHERE attempts.outcome = 'timeout'"
        )
    )
    return Counter((row.message_uuid, dict(json.loads(row.params))["Status"]) for row in rows)


async def check_database(store: Store, traffic: Traffic) -> None:
    """See that the database tells the same story as the endpoint."""

    def look(tx: sa.Connection) -> tuple[int, int, int, int, int]:
        def ask(statement: str) -> int:
            return int(tx.execute(sa.text(statement)).scalar_one())

        return (
            ask("SELECT count(*) FROM callbacks WHERE state <> 'delivered'"),
            ask("SELECT count(*) FROM callback_queue"),
            ask("SELECT count(*) FROM messages WHERE status <> 'delivered'"),
            ask(
                "SELECT count(*) FROM (SELECT 1 FROM attempts WHERE outcome = 'ok' "
                "GROUP BY callback_id HAVING count(*) > 1) AS twice"
            ),
            ask("SELECT count(*) FROM attempts WHERE outcome NOT IN ('ok', 'timeout')"),
        )

    undelivered, queued, unfinished, recorded_twice, failed = await store.read(look)
    await store.close()
    assert (queued, undelivered, unfinished) == (0, 0, 0)
    # Whatever was answered twice was recorded once: the first try died with its process. On a busy machine a try may
    # run into its deadline, which is recorded and tried again.
    assert (recorded_twice, failed) == (0, 0)


def _unfinished(tx: sa.Connection) -> int:
    queued = "SELECT count(*) FROM callback_queue"
    undelivered = "SELECT count(*) FROM messages WHERE status <> 'delivered'"
    return sum(int(tx.execute(sa.text(statement)).scalar_one()) for statement in (queued, undelivered))


async def until_finished(traffic: Traffic, store: Store) -> None:
    """Wait until what was stored and not acknowledged has ended too, and what has arrived is recorded."""
    async with asyncio.timeout(PATIENCE_S):
        while await store.read(_unfinished):
            await traffic.something_arrives(within_s=0.2)


async def kill_again_and_again(tmp_path: Path, settings: dict[str, str], store: Store, seed: int) -> str:
    """Kill until there were enough kills; gives the counts."""
    dice = random.Random(seed)
    kills = 0
    async with at_work(tmp_path, settings) as (stations, traffic, senders):
        while kills < KILLS:
            goal = len(traffic.accepted) + dice.randint(3, 25)
            async with asyncio.timeout(PATIENCE_S):
                while len(traffic.accepted) < goal:
                    await traffic.something_arrives(within_s=5)
            victims = dice.sample(stations, AT_ONCE)
            await asyncio.gather(*(victim.kill() for victim in victims))
            kills += AT_ONCE
        await stop_sending(senders)
        await traffic.until_complete()
        await until_finished(traffic, store)
        twice = await account_for(traffic, stations, store)
        callbacks = sum(map(len, traffic.arrived_at_s.values()))
        accepted = len(traffic.accepted)
    await check_database(store, traffic)
    return f"{kills} kills: {accepted} messages accepted, {callbacks} callbacks, {twice} duplicates, 0 lost"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_killed_processes_lose_nothing(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, str] = {}
    if driver == "postgres":
        running: PostgresServer = request.getfixturevalue("server")
        url = running.url(running.create_database())
        settings = {"RINGBACK_STORE__URL": url}
        store: Store = postgres.open_store(url, busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    told = await kill_again_and_again(tmp_path, settings, store, seed=20261123)
    with capsys.disabled():
        sys.stderr.write(f"\n{driver}: {told}\n")


async def test_a_database_server_that_dies_under_load_loses_nothing(
    tmp_path: Path, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url(server.create_database())
    settings = {"RINGBACK_STORE__URL": url, "RINGBACK_STORE__BUSY_TIMEOUT_S": "2"}
    store = postgres.open_store(url, busy_timeout_s=BUSY_S)
    async with at_work(tmp_path, settings) as (stations, traffic, senders):
        for kill in (True, False, True):
            goal = len(traffic.accepted) + 40
            async with asyncio.timeout(PATIENCE_S):
                while len(traffic.accepted) < goal:
                    await traffic.something_arrives(within_s=5)
            await asyncio.to_thread(server.kill if kill else server.stop)
            await traffic.something_arrives(within_s=1)
            await asyncio.to_thread(server.start)
        await stop_sending(senders)
        await traffic.until_complete()
        assert [station.now.process.returncode for station in stations if station.now] == [None] * len(CREW)
        async with asyncio.timeout(PATIENCE_S):
            while await _patiently(store):
                await traffic.something_arrives(within_s=0.5)
        refused = traffic.refused
    twice = sum(len(times) - 1 for times in traffic.arrived_at_s.values())
    with capsys.disabled():
        sys.stderr.write(
            f"\npostgres killed or restarted 3 times: {len(traffic.accepted)} messages accepted, {refused} sends "
            f"answered 503, {twice} callbacks twice, 0 lost\n"
        )
    await store.close()


async def _patiently(store: Store) -> int:
    with contextlib.suppress(StoreUnavailable):
        return await store.read(_unfinished)
    return 1


async def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files may not grow any more, as on a full disk: sends get 503, and go on when there is room again."""
    store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    async with at_work(tmp_path, {}) as (stations, traffic, senders):
        async with asyncio.timeout(PATIENCE_S):
            while len(traffic.accepted) < 50:
                await traffic.something_arrives(within_s=5)
        running = [station.now.process.pid for station in stations if station.now]
        for pid in running:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        async with asyncio.timeout(PATIENCE_S):
            while traffic.refused < 5:
                await traffic.something_arrives(within_s=0.1)
        full_at = len(traffic.accepted)
        for pid in running:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        async with asyncio.timeout(PATIENCE_S):
            while len(traffic.accepted) < full_at + 50:
                await traffic.something_arrives(within_s=5)
        await stop_sending(senders)
        await traffic.until_complete()
        async with asyncio.timeout(PATIENCE_S):
            while await store.read(_unfinished):
                await traffic.something_arrives(within_s=0.5)
        refused = traffic.refused
    with capsys.disabled():
        sys.stderr.write(f"\ndisk full: {len(traffic.accepted)} accepted, {refused} sends answered 503, 0 lost\n")
    await store.close()
