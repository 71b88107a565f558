"""How endpoints are doing, on every driver: the order of the list, bounded counts, the newest callbacks."""

import msgspec
import pytest

from ringback.delivery.operate import pause
from ringback.model.circuit import CircuitState, Finding, Party
from ringback.store import bulk, endpoints, standing
from ringback.store.port import Store, Transaction
from ringback.store.schema import messages
from ringback.store.standing import Place
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, ORIGIN, Engine
from tests.fakes.messages import message


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(store: Store, clock: FakeClock) -> Engine:
    return Engine(store, clock)


async def test_trouble_comes_first_then_what_has_most_waiting(engine: Engine, store: Store) -> None:
    await engine.owe(1, origin="https://few.example")
    await engine.owe(*range(10, 15), origin="https://many.example")
    await engine.owe(*range(20, 22), origin="https://paused.example")
    idle = {(ACCOUNT, f"https://idle{number}.example"): 1 for number in range(3)}
    await store.write(lambda tx: endpoints.wake(tx, idle))
    id_ = endpoints.key(ACCOUNT, "https://paused.example")
    await store.write(lambda tx: pause(tx, id_, by=Party.OPERATOR, reason="x", now_us=1))
    after: Place | None = None
    seen: list[tuple[str, int]] = []
    while True:
        found = await store.read(lambda tx, after=after: standing.page(tx, since_us=0, limit=2, after=after))
        seen += [(row.endpoint.origin, row.waiting) for row in found.rows]
        if (after := found.next) is None:
            break
    assert seen[:3] == [("https://paused.example", 2), ("https://many.example", 5), ("https://few.example", 1)]
    assert sorted(seen[3:]) == sorted((origin, 0) for _, origin in idle)


async def test_those_of_one_rank_are_in_order_on_a_page(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        await engine.owe(*range(number * 10, number * 11), origin=f"https://{number}.example")
    monkeypatch.setattr(standing, "RANK_UP_TO", 2)
    found = await store.read(lambda tx: standing.page(tx, since_us=0, limit=9))
    assert [row.waiting for row in found.rows] == [5, 4, 3, 2, 1]
    first = await store.read(lambda tx: standing.page(tx, since_us=0, limit=2))
    rest = await store.read(lambda tx: standing.page(tx, since_us=0, limit=9, after=first.next))
    assert sorted(row.waiting for row in [*first.rows, *rest.rows]) == [1, 2, 3, 4, 5]


async def test_counts_stop_at_their_limit(
    engine: Engine, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.owe(*range(4))
    for _ in range(4):
        await engine.end(await engine.claim(), Finding.ANSWERS)
        clock.advance(240)
    clock.advance(-100)
    planned_us = clock.now_us()
    await engine.owe(*range(10, 17))
    clock.advance(50)
    # A lease changes nothing about what was planned.
    assert await engine.claim()

    def read(tx: Transaction) -> standing.Standings:
        return standing.page(tx, since_us=0, limit=9)

    found = await store.read(read)
    assert [(row.waiting, row.given_up, row.first_due_at_us) for row in found.rows] == [(7, 4, planned_us)]
    assert found.all_given_up
    monkeypatch.setattr(standing, "COUNT_UP_TO", 5)
    monkeypatch.setattr(standing, "GIVEN_UP_UP_TO", 3)
    found = await store.read(read)
    assert [(row.waiting, row.given_up, found.all_given_up) for row in found.rows] == [(5, 3, False)]
    later_us = clock.now_us() + 1
    later = await store.read(lambda tx: standing.page(tx, since_us=later_us, limit=9))
    assert [row.given_up for row in later.rows] == [0]


async def test_the_newest_callbacks_are_those_of_the_endpoint(
    engine: Engine, store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owed = []
    for number in (1, 2, 3):
        owed += await engine.owe(number)
        await engine.owe(number + 50, origin="https://other.example")
        await engine.owe(number + 90, account="MABBBBBBBBBBBBBBBBBB")
        clock.advance(1)
    await engine.end([each for each in await engine.claim() if each.callback.id == owed[1]], Finding.ANSWERS)

    def sent(tx: Transaction) -> list[standing.Sent]:
        found, _ = standing.of_endpoint(tx, endpoints.key(ACCOUNT, ORIGIN), since_us=0)
        assert found is not None
        return standing.newest(tx, found.endpoint, limit=50)

    # Without their messages they are found in the queue.
    assert [each.id for each in await store.read(sent)] == owed[::-1]
    new = [
        message(uuid=f"019ab000-0000-7000-8000-{number:012d}", account_id=ACCOUNT, queued_at_us=number)
        for number in (1, 2, 3, 51)
    ]
    await store.write(lambda tx: bulk.insert(tx, messages, [msgspec.structs.asdict(each) for each in new]))
    found = await store.read(sent)
    assert [(each.id, each.attempts, each.state) for each in found] == [
        (owed[2], 0, "pending"),
        (owed[1], 1, "pending"),
        (owed[0], 0, "pending"),
    ]
    assert found[1].next_at_us == clock.now_us() + 60_000_000
    monkeypatch.setattr(standing, "MESSAGES_SEARCHED", 1)
    assert {each.id for each in await store.read(sent)} == set(owed)


async def test_an_unknown_endpoint_is_none(store: Store) -> None:
    assert await store.read(lambda tx: standing.of_endpoint(tx, "0" * 32, since_us=0)) == (None, True)


async def test_the_troubled_are_found_by_state(store: Store) -> None:
    origins = [f"https://{number}.example" for number in range(6)]
    await store.write(lambda tx: endpoints.wake(tx, {(ACCOUNT, origin): 1 for origin in origins}))
    ids = {origin: endpoints.key(ACCOUNT, origin) for origin in origins}
    for origin in origins[:3]:
        await store.write(lambda tx, id_=ids[origin]: pause(tx, id_, by=Party.OPERATOR, reason="x", now_us=1))
    found = await store.read(lambda tx: endpoints.troubled(tx, limit=9))
    assert {each.origin for each in found} == set(origins[:3])
    assert {each.circuit.state for each in found} == {CircuitState.PAUSED}
    assert len(await store.read(lambda tx: endpoints.troubled(tx, limit=2))) == 2
