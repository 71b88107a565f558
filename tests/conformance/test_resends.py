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


async def test_a_look_reads_so_many_and_says_where_to_go_on(engine: Engine, clock: FakeClock) -> None:
    spared = await engine.owe(*range(1, 8), origin=OTHER)
    clock.advance(1)
    owed = await engine.owe(*range(11, 15))
    everything = [*spared, *owed]

    async def look(after: str, limit: int = 3) -> resends.Stretch:
        wanted = Filter(endpoint=ORIGIN, account_id=ACCOUNT)
        return await engine.store.read(lambda tx: resends.stretch(tx, wanted, after=after, limit=limit, look_at=5))

    assert await look("") == resends.Stretch([], everything[4])
    assert await look(everything[4]) == resends.Stretch(owed[:3], owed[2])
    assert await look(owed[2]) == resends.Stretch(owed[3:], None)
    assert await look(everything[4], limit=2) == resends.Stretch(owed[:2], owed[1])
    assert await look(owed[3]) == resends.Stretch([], None)


async def test_whoever_comes_second_sends_what_is_left(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(5))
    await give_up(engine, clock)
    still_tried = await engine.owe(7)
    wanted, new_id, now_us = Filter(not_resent=True), counting_ids(), clock.now_us()

    async def send(ids: list[str]) -> int:
        return len(
            await engine.store.write(
                lambda tx: resends.resend_those_left(tx, wanted, ids, new_id=new_id, now_us=now_us)
            )
        )

    assert await send(owed[:3]) == 3
    assert await send([*owed, *still_tried]) == 2
    assert await send(owed) == 0
    again = await engine.store.read(lambda tx: resends.search(tx, Filter(state="pending"), limit=100))
    assert sorted(each.resend_of or "" for each in again) == sorted(["", *owed])
    assert await engine.store.read(callbacks.waiting) == 6


async def test_a_time_before_all_others_is_no_bound(engine: Engine) -> None:
    owed = await engine.owe(1)
    assert await found(engine, Filter(since_us=-1_000_000_000)) == owed
