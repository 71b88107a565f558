"""Anything killed at any time on the whole way, from the HTTP request over SMPP to the final callback.

Victims are the processes of Ringback, the SMSC's process, every connection to it at once, the customer's endpoint, and
PostgreSQL. SMSC and endpoint write down what they take before they say so, and so the ledger at the end is theirs: each
message that was answered 202 has had its final callback, and each receipt that was acknowledged is in the database.
What came twice was in flight at a kill. ``make crash KILLS=1000`` does it for longer.
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import sqlalchemy as sa

from ringback.store import postgres, sqlite
from ringback.store.port import Store
from tests.fakes.cutter import Cutter, cutter
from tests.fakes.journal import Journal, journalling
from tests.fakes.ports import free_port
from tests.fakes.postgres import PostgresServer
from tests.fakes.process import create_account, served
from tests.integration.crash.test_crash import (
    AT_ONCE,
    BUSY_S,
    CREW,
    KILLS,
    LEASE_S,
    PATIENCE_S,
    SENDERS,
    SETTINGS,
    Station,
    Traffic,
    _patiently,
    answered_too_late,
    duplicates,
    server,  # noqa: F401 - a fixture
    stop_sending,
)

KILLS_HERE: Final = max(AT_ONCE, KILLS // 5)
RESPONSE_S: Final = 10.0
SUBMIT_LEASE_S: Final = 15.0
"""A busy machine stops a process for seconds, which is to end neither a link nor a lease."""
LOOK_S: Final = 0.05
ALL: Final = "all in one"
ALL_IN_ONE: Final = ((),)
OURS: Final = {
    **SETTINGS,
    "RINGBACK_MESSAGING__SUBMIT_LEASE_S": str(SUBMIT_LEASE_S),
    "RINGBACK_SMPP__RESPONSE_S": str(RESPONSE_S),
    "RINGBACK_SMPP__HOST": "127.0.0.1",
    "RINGBACK_SMPP__SYSTEM_ID": "ringback",
    # An endpoint that is away for a second is no reason to leave it alone for half a minute.
    "RINGBACK_DELIVERY__RETRY_DELAYS_S": ",".join(["0.5"] * 60),
    "RINGBACK_DELIVERY__PARK_AFTER_FAILURES": "100000",
}


class Ledger(Traffic):
    """What was accepted, and what SMSC and endpoint have written down."""

    def __init__(self, station: Station, url: str, directory: Path) -> None:
        super().__init__(station, url)
        self.taken_at_s: dict[str, list[float]] = defaultdict(list)
        """When the SMSC took each text."""
        self.submitted: set[str] = set()
        self.acknowledged: set[str] = set()
        """Names of messages whose receipts were answered OK."""
        self._journals = [Journal(directory / name) for name in ("smsc", "endpoint")]
        self._numbers = 0

    def fields(self) -> dict[str, object]:
        """Give each message a text of its own, by which it is known at the SMSC."""
        self._numbers += 1
        return {"text": f"message {self._numbers}"}

    async def something_arrives(self, *, within_s: float) -> None:
        """Read what is new in the journals."""
        await asyncio.sleep(min(LOOK_S, within_s))
        for journal in self._journals:
            for line in journal.news():
                if line.what == "callback":
                    self.arrived_at_s[line.message, line.name].append(line.at_s)
                elif line.what == "submission":
                    self.taken_at_s[line.message].append(line.at_s)
                    self.submitted.add(line.name)
                else:
                    self.acknowledged.add(line.name)


class Way:
    """All that a message meets, at work."""

    def __init__(self, victims: list[tuple[str, Station | Cutter]], ledger: Ledger) -> None:
        self.victims = victims
        """What may be killed, each with what it is."""
        self.ledger = ledger
        self.senders: list[asyncio.Task[None]] = []
        self.database_killed_at_s: list[float] = []

    def kills_of(self, *kinds: str) -> list[float]:
        """Say when any of these was killed, or the database."""
        of_them = (at_s for kind, victim in self.victims if kind in kinds for at_s in victim.killed_at_s)
        return sorted([*of_them, *self.database_killed_at_s])


@asynccontextmanager
async def whole_way(
    directory: Path, settings: Mapping[str, str], crew: tuple[tuple[str, ...], ...]
) -> AsyncIterator[Way]:
    """Run Ringback between an SMSC and an endpoint that write journals, under load."""
    smsc_port, endpoint_port = free_port(), free_port()
    async with cutter(smsc_port) as links, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        given = {**OURS, "RINGBACK_SMPP__PORT": str(links.port), **settings}
        account = create_account(directory, **given)
        stations = [
            (flags[-1] if flags else ALL, Station(partial(served, directory, account, *flags, **given)))
            for flags in crew
        ]
        stations += [
            (kind, Station(partial(journalling, kind, port, directory / kind)))
            for kind, port in (("smsc", smsc_port), ("endpoint", endpoint_port))
        ]
        ledger = Ledger(stations[0][1], f"http://127.0.0.1:{endpoint_port}", directory)
        way = Way([*stations, ("links", links)], ledger)
        running = [asyncio.create_task(station.keep_running()) for _, station in stations]
        try:
            await asyncio.gather(*(station.up.wait() for _, station in stations))
            way.senders = [asyncio.create_task(way.ledger.send(http)) for _ in range(SENDERS)]
            yield way
        finally:
            for task in (*way.senders, *running):
                task.cancel()
            ended = await asyncio.gather(*way.senders, *running, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []


def _known(tx: sa.Connection) -> set[str]:
    """Return the carrier's names of messages that the database has a receipt for, or holds one of."""
    statement = (
        "SELECT carrier_ref FROM messages WHERE status = 'delivered' UNION SELECT carrier_ref FROM early_receipts"
    )
    return set(tx.execute(sa.text(statement)).scalars())


async def kill_all_the_way(way: Way, database: PostgresServer | None) -> int:
    """Kill until there were enough kills, of the database's server too where there is one; gives how many."""
    dice, kills, ledger = random.Random(20261129), 0, way.ledger
    while kills < KILLS_HERE:
        goal = len(ledger.accepted) + dice.randint(3, 20)
        async with asyncio.timeout(PATIENCE_S):
            while len(ledger.accepted) < goal:
                await ledger.something_arrives(within_s=1)
        victims = dice.sample(way.victims, min(AT_ONCE, KILLS_HERE - kills))
        await asyncio.gather(*(victim.kill() for _, victim in victims))
        kills += len(victims)
        if database is not None and kills >= KILLS_HERE // 2:
            way.database_killed_at_s.append(time.monotonic())
            await asyncio.to_thread(database.kill)
            await ledger.something_arrives(within_s=1)
            await asyncio.to_thread(database.start)
            way.database_killed_at_s.append(time.monotonic())
            kills, database = kills + 1, None
    return kills


@pytest.mark.parametrize(
    ("driver", "crew"),
    [("sqlite", CREW), ("sqlite", ALL_IN_ONE), ("postgres", CREW)],
    ids=["sqlite, roles apart", "sqlite, all in one", "postgres, roles apart"],
)
async def test_nothing_is_lost_from_request_to_final_callback(
    tmp_path: Path,
    driver: str,
    crew: tuple[tuple[str, ...], ...],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings: dict[str, str] = {}
    database: PostgresServer | None = None
    if driver == "postgres":
        database = request.getfixturevalue("server")
        settings = {
            "RINGBACK_STORE__URL": database.url(database.create_database()),
            "RINGBACK_STORE__BUSY_TIMEOUT_S": "2",
        }
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    begun_s = time.monotonic()
    async with whole_way(tmp_path, settings, crew) as way:
        ledger = way.ledger
        kills = await kill_all_the_way(way, database)
        await stop_sending(way.senders)
        await ledger.until_complete()
        async with asyncio.timeout(PATIENCE_S):
            while await _patiently(store) or ledger.submitted - ledger.acknowledged:
                await ledger.something_arrives(within_s=0.5)
        known, too_late = await store.read(_known), await store.read(answered_too_late)
    await store.close()
    assert ledger.missing() == set()
    assert ledger.acknowledged - known == set(), "receipts that were acknowledged, and are nowhere"
    called = duplicates(ledger.arrived_at_s, way.kills_of(ALL, "deliver", "endpoint"), LEASE_S, too_late)
    submitted = duplicates(ledger.taken_at_s, way.kills_of(ALL, "submit", "smsc", "links"), SUBMIT_LEASE_S)
    told = (
        f"{driver}, {len(crew)} processes: {kills} kills in {time.monotonic() - begun_s:.0f} s: "
        f"{len(ledger.accepted)} messages accepted, {len(ledger.submitted)} submissions, {submitted} of them again, "
        f"{len(ledger.acknowledged)} receipts acknowledged, {called} callbacks twice, "
        f"{ledger.refused} sends answered 503, 0 messages and 0 receipts lost"
    )
    with capsys.disabled():
        sys.stderr.write(f"\n{told}\n")
