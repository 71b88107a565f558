"""By whose clock a process goes."""

import asyncio
import time

import pytest

from ringback.runtime import SystemClock
from ringback.settings import Settings, StoreSettings
from ringback.store.follow import ClockFollower
from ringback.store.port import Store
from ringback.wiring.backbone import open_backbone
from tests.conformance.conftest import Database
from tests.fakes.postgres import PostgresServer

HOUR_US = 3_600_000_000
CLOSE_US = 60_000_000
"""A question may wait for its answer for seconds, while the clocks are an hour apart."""
BOUND_S = 60


@pytest.mark.parametrize("off_us", [HOUR_US, -HOUR_US])
async def test_a_database_with_a_clock_of_its_own_says_what_it_shows(prepared: Database, off_us: int) -> None:
    store = prepared.open()
    ahead_us = await store.clock_ahead_us(SystemClock(ahead_us=off_us))
    if prepared.driver == "sqlite":
        assert ahead_us == 0
    else:
        assert ahead_us == pytest.approx(-off_us, abs=CLOSE_US)
    await store.close()


@pytest.mark.parametrize("off_s", [3600, -3600])
async def test_machines_whose_clocks_differ_go_by_the_servers(
    server: PostgresServer, template: str, monkeypatch: pytest.MonkeyPatch, off_s: int
) -> None:
    url = server.url(server.create_database(template=template))
    true_us = time.time_ns() // 1000
    wrong_ns = time.time_ns() + off_s * 10**9
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: wrong_ns)
        async with open_backbone(Settings(store=StoreSettings(url=url))) as (_, clock):
            # A claim of this process takes nothing early, and no lease that another one holds.
            assert abs(clock.now_us() - true_us) < BOUND_S * 1_000_000


async def test_a_clock_that_runs_away_is_brought_back(server: PostgresServer, prepared: Database) -> None:
    if prepared.driver == "sqlite":
        pytest.skip("a file has no clock")
    store: Store = prepared.open()
    clock = SystemClock(ahead_us=-HOUR_US)
    follower = ClockFollower(store, clock, interval_s=0.001)
    running = asyncio.create_task(follower.run())
    async with asyncio.timeout(BOUND_S):
        # Each look takes a round trip, in which the follower has its turn.
        while abs(await store.clock_ahead_us(clock)) > CLOSE_US:
            pass
    follower.stop()
    await running
    await store.close()
