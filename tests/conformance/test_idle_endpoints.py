"""Endpoints that nobody uses any more go; none goes that a callback is owed to, whoever adds one at that moment."""

import asyncio
import threading
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.delivery import operate
from ringback.model.circuit import Finding, Party
from ringback.store import callbacks, endpoints, pruning
from ringback.store.port import Store, Transaction
from ringback.store.pruning import PrunedEndpoints
from ringback.store.schema import endpoints as table
from tests.fakes.aged import DAY_US
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, LEASE_S, ORIGIN, Engine, ids, new_callback

ID = endpoints.key(ACCOUNT, ORIGIN)
OTHER = "https://other.example"
DAYS = 180
LONG_S = 10 * DAYS * 86_400
BOUND_S = 60


@pytest.fixture
def engine(store: Store) -> Engine:
    return Engine(store, FakeClock())


async def prune(engine: Engine, *, after: str = "", limit: int = 100) -> PrunedEndpoints:
    before_us = engine.clock.now_us() - DAYS * DAY_US
    work = partial(pruning.prune_endpoints, before_us=before_us, after=after, limit=limit)
    return await engine.store.write(work)


async def left(engine: Engine) -> list[str]:
    return [each.origin for each in await engine.store.read(lambda tx: endpoints.page(tx, limit=100))]


async def use(engine: Engine, origin: str = ORIGIN, number: int = 1, finding: Finding = Finding.UP) -> None:
    """Have a callback made, and the queue found to be empty."""
    await engine.owe(number, origin=origin)
    await engine.end(await engine.claim(), finding)
    engine.clock.advance(LEASE_S)
    assert await engine.claim() == []


async def test_an_endpoint_goes_when_it_has_not_been_used_for_long(engine: Engine) -> None:
    await use(engine)
    engine.clock.advance(DAYS * 86_400 - LEASE_S)
    await use(engine, "https://young.example", number=2)
    assert await prune(engine) == PrunedEndpoints(endpoints=0, next_id=None)
    engine.clock.advance(1)
    assert await prune(engine) == PrunedEndpoints(endpoints=1, next_id=None)
    assert await left(engine) == ["https://young.example"]
    # Once it is owed a callback again it is there again.
    owed = await engine.owe(3)
    assert ids(await engine.claim()) == owed


LIMITS: dict[str, Any] = {"concurrency": 1, "rate_per_minute": 1, "retry_delays": "[]", "keep_parked": False}


@pytest.mark.parametrize("limit", LIMITS)
async def test_one_with_limits_of_its_own_stays(engine: Engine, limit: str) -> None:
    await use(engine)
    await engine.store.write(lambda tx: endpoints.configure(tx, ID, **{limit: LIMITS[limit]}))
    engine.clock.advance(LONG_S)
    assert (await prune(engine)).endpoints == 0
    await engine.store.write(lambda tx: endpoints.configure(tx, ID, **{limit: None}))
    assert (await prune(engine)).endpoints == 1


async def test_one_that_somebody_paused_stays(engine: Engine) -> None:
    await use(engine)
    await engine.store.write(lambda tx: operate.pause(tx, ID, by=Party.OPERATOR, reason="x", now_us=1))
    engine.clock.advance(LONG_S)
    assert (await prune(engine)).endpoints == 0


async def test_one_that_said_that_it_is_gone_stays(engine: Engine) -> None:
    await use(engine, finding=Finding.GONE)
    engine.clock.advance(LONG_S)
    assert (await prune(engine)).endpoints == 0


@pytest.mark.parametrize("state", ["never looked at", "leased", "to be tried again"])
async def test_one_that_is_owed_something_stays(engine: Engine, state: str) -> None:
    [owed] = await engine.owe(1)
    if state != "never looked at":
        claimed = await engine.claim()
        if state == "to be tried again":
            await engine.end(claimed, Finding.ANSWERS)
    engine.clock.advance(LONG_S)
    assert (await prune(engine)).endpoints == 0
    assert ids(await engine.claim()) == [owed]


async def test_the_queue_has_the_last_word(engine: Engine) -> None:
    await use(engine)
    await engine.owe(2)
    # As if the endpoint's own row did not tell of it.
    await engine.store.write(lambda tx: tx.execute(sa.update(table).values(first_ready_at_us=None)).close())
    engine.clock.advance(LONG_S)
    assert (await prune(engine)).endpoints == 0


async def test_batches_go_on_behind_what_stays(engine: Engine) -> None:
    for number in range(7):
        await use(engine, f"https://e{number}.example", number)
    engine.clock.advance(LONG_S)
    [first, *_] = await engine.store.read(lambda tx: endpoints.page(tx, limit=100))
    await engine.store.write(lambda tx: endpoints.configure(tx, first.id, concurrency=1))
    sizes: list[int] = []
    after: str | None = ""
    while after is not None:
        pruned = await prune(engine, after=after, limit=3)
        sizes.append(pruned.endpoints)
        after = pruned.next_id
    assert sizes == [2, 3, 1]
    assert await left(engine) == [first.origin]


class Meeting:
    """One transaction that lets callbacks become owed, and one that prunes their endpoints, at the same time."""

    def __init__(self, engine: Engine, origins: list[str]) -> None:
        self.engine = engine
        self.arrived, self.go_on = threading.Event(), threading.Event()
        now_us = engine.clock.now_us()
        self.new = [
            new_callback(500 + number, sequence=1, now_us=now_us, origin=origin)
            for number, origin in enumerate(origins)
        ]

    def wait_for_the_other(self, tx: Transaction) -> None:
        self.arrived.set()
        if tx.dialect.name != "sqlite":
            # There, whoever comes second waits for the first to be done.
            assert self.go_on.wait(BOUND_S)

    def owe(self, tx: Transaction, *, meet_before_waking: bool) -> None:
        callbacks.add(tx, self.new)
        if meet_before_waking:
            self.wait_for_the_other(tx)
        callbacks.wake(tx, self.new)
        if not meet_before_waking:
            self.wait_for_the_other(tx)

    async def ends_well(self) -> None:
        assert sorted(ids(await self.engine.claim())) == sorted(callback.id for callback in self.new)


@pytest.fixture(params=[1, 2], ids=["one endpoint", "two endpoints"])
async def meeting(request: pytest.FixtureRequest, engine: Engine) -> Meeting:
    origins = [ORIGIN, OTHER][: request.param]
    for number, origin in enumerate(origins):
        await use(engine, origin, number)
    engine.clock.advance(LONG_S)
    return Meeting(engine, origins)


@pytest.mark.parametrize("meet_before_waking", [True, False])
async def test_a_callback_that_is_being_added_is_found(meeting: Meeting, *, meet_before_waking: bool) -> None:
    owing = asyncio.create_task(meeting.engine.store.write(partial(meeting.owe, meet_before_waking=meet_before_waking)))
    assert await asyncio.to_thread(meeting.arrived.wait, BOUND_S)
    pruned = await prune(meeting.engine)
    assert pruned.endpoints == 0 or meet_before_waking
    meeting.go_on.set()
    await owing
    await meeting.ends_well()


async def test_a_callback_that_meets_a_removal_is_found(meeting: Meeting) -> None:
    before_us = meeting.engine.clock.now_us() - DAYS * DAY_US

    def remove(tx: Transaction) -> int:
        pruned = pruning.prune_endpoints(tx, before_us=before_us, after="", limit=100)
        meeting.wait_for_the_other(tx)
        return pruned.endpoints

    def owe(tx: Transaction) -> None:
        callbacks.add(tx, meeting.new)
        meeting.go_on.set()
        callbacks.wake(tx, meeting.new)

    removing = asyncio.create_task(meeting.engine.store.write(remove))
    assert await asyncio.to_thread(meeting.arrived.wait, BOUND_S)
    await meeting.engine.store.write(owe)
    assert await removing == len(meeting.new)
    await meeting.ends_well()
