"""Finding callbacks and sending them once more, on every driver."""

import pytest

from ringback.model.circuit import Finding
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import uuid7
from ringback.store import callbacks, resends
from ringback.store.port import Store
from ringback.store.resends import Filter
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, ORIGIN, Engine, ids
from tests.fakes.ids import counting_ids

OTHER = "https://other.example"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(store: Store, clock: FakeClock) -> Engine:
    return Engine(store, clock, window=500)


async def give_up(engine: Engine, clock: FakeClock) -> None:
    """Let everything that is owed fail to the end."""
    while await engine.waiting():
        while claimed := await engine.claim():
            await engine.end(claimed, Finding.ANSWERS)
        clock.advance(240)


async def found(engine: Engine, wanted: Filter, *, limit: int = 1000, before: str | None = None) -> list[str]:
    return [
        each.id for each in await engine.store.read(lambda tx: resends.search(tx, wanted, limit=limit, before=before))
    ]


async def test_search_by_everything(engine: Engine, clock: FakeClock) -> None:
    first = await engine.owe(1, 2)
    middle_us = clock.advance(10)
    second = await engine.owe(3, origin=OTHER)
    last_us = clock.advance(10)
    third = await engine.owe(4, account="MABBBBBBBBBBBBBBBBBB")
    everything = [*third, *second, *reversed(first)]
    assert await found(engine, Filter()) == everything
    assert await found(engine, Filter(account_id=ACCOUNT)) == everything[1:]
    assert await found(engine, Filter(endpoint=OTHER)) == second
    assert await found(engine, Filter(message_uuid="019ab000-0000-7000-8000-000000000002")) == first[1:]
    assert await found(engine, Filter(since_us=middle_us)) == [*third, *second]
    assert await found(engine, Filter(until_us=middle_us)) == [*reversed(first)]
    assert await found(engine, Filter(since_us=middle_us, until_us=last_us)) == second
    assert await found(engine, Filter(state="pending")) == everything
    assert await found(engine, Filter(state="given_up")) == []
    assert await found(engine, Filter(), limit=2) == everything[:2]
    assert await found(engine, Filter(), before=everything[1]) == everything[2:]
    assert await engine.store.read(lambda tx: resends.count(tx, Filter(account_id=ACCOUNT))) == 3


async def test_a_resend_is_a_callback_of_its_own(engine: Engine, clock: FakeClock) -> None:
    [original] = await engine.owe(1)
    with pytest.raises(InvalidRequest, match="still being tried"):
        await engine.store.write(lambda tx: resends.resend(tx, [original], new_id=counting_ids(), now_us=1))
    await give_up(engine, clock)
    now_us = clock.now_us()
    [again] = await engine.store.write(lambda tx: resends.resend(tx, [original], new_id=counting_ids(), now_us=now_us))
    claimed = await engine.claim()
    assert ids(claimed) == [again]
    assert claimed[0].callback.attempts_made == 0
    await engine.end(claimed)
    copy, made = await engine.store.read(lambda tx: resends.find(tx, again))
    old, tried = await engine.store.read(lambda tx: resends.find(tx, original))
    assert (copy.state, copy.resend_of, len(made)) == ("delivered", original, 1)
    assert (old.state, len(tried)) == ("given_up", 4), "the old one stays as it was"
    assert (copy.params, copy.url, copy.sequence) == (old.params, old.url, old.sequence)


async def test_what_is_not_there_is_named_and_nothing_is_sent(engine: Engine, clock: FakeClock) -> None:
    [original] = await engine.owe(1)
    await give_up(engine, clock)
    nowhere = uuid7(1, b"12345678")
    with pytest.raises(NotFound):
        await engine.store.write(
            lambda tx: resends.resend(tx, [original, nowhere], new_id=counting_ids(), now_us=clock.now_us())
        )
    assert await engine.waiting() == 0
    with pytest.raises(NotFound):
        await engine.store.read(lambda tx: resends.find(tx, original, account_id="MABBBBBBBBBBBBBBBBBB"))


async def test_a_replay_sends_each_once_however_often_it_is_broken_off(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(10))
    spared = await engine.owe(*range(20, 23), origin=OTHER)
    await give_up(engine, clock)
    wanted, new_id = Filter(endpoint=ORIGIN, state="given_up"), counting_ids()
    sizes = []
    for _ in range(6):
        now_us = clock.advance(1)
        sizes.append(
            await engine.store.write(
                lambda tx, now_us=now_us: resends.resend_next(  # type: ignore[misc]
                    tx, wanted, limit=4, new_id=new_id, now_us=now_us
                )
            )
        )
    assert sizes == [4, 4, 2, 0, 0, 0]
    again = await engine.store.read(lambda tx: resends.search(tx, Filter(state="pending"), limit=100))
    assert sorted(each.resend_of or "" for each in again) == sorted(owed)
    assert not {each.resend_of for each in again} & set(spared)
    assert await engine.store.read(callbacks.waiting) == 10
