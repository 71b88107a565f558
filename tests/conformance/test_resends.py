"""Finding callbacks and sending them once more, on every driver."""

from typing import Any

import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import uuid7
from ringback.store import callbacks, resends
from ringback.store.resends import Filter
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, ORIGIN, Engine, ids
from tests.fakes.ids import counting_ids

OTHER = "https://other.example"
SOMEBODY = "MABBBBBBBBBBBBBBBBBB"


async def found(engine: Engine, wanted: Filter, *, limit: int = 1000, before: str | None = None) -> list[str]:
    listed, _ = await engine.store.read(lambda tx: resends.listed(tx, wanted, limit=limit, before=before))
    return [each.id for each in listed]


async def test_a_look_ends_where_it_is_bounded_and_says_where_to_go_on(engine: Engine) -> None:
    owed = list(reversed(await engine.owe(1, 2, 3, 4, 5)))
    wanted = Filter(state="delivered")
    found, before = await engine.store.read(lambda tx: resends.listed(tx, wanted, limit=9, look_at=3))
    assert (found, before) == ([], owed[2])
    rest = await engine.store.read(lambda tx: resends.listed(tx, wanted, limit=9, before=before, look_at=3))
    assert rest == ([], None)


async def test_search_by_everything(engine: Engine, clock: FakeClock) -> None:
    first = await engine.owe(1, 2)
    middle_us = clock.advance(10)
    second = await engine.owe(3, origin=OTHER)
    last_us = clock.advance(10)
    third = await engine.owe(4, account=SOMEBODY)
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
    assert (await engine.store.read(lambda tx: resends.survey(tx, Filter(account_id=ACCOUNT)))).total == 3


async def test_a_resend_is_a_callback_of_its_own(engine: Engine, clock: FakeClock) -> None:
    [original] = await engine.owe(1)
    with pytest.raises(InvalidRequest, match="still being tried"):
        await engine.store.write(lambda tx: resends.resend(tx, [original], new_id=counting_ids(), now_us=1))
    await engine.give_up()
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
    await engine.give_up()
    nowhere = uuid7(1, b"12345678")
    with pytest.raises(NotFound):
        await engine.store.write(
            lambda tx: resends.resend(tx, [original, nowhere], new_id=counting_ids(), now_us=clock.now_us())
        )
    assert await engine.waiting() == 0
    with pytest.raises(NotFound):
        await engine.store.read(lambda tx: resends.find(tx, original, account_id=SOMEBODY))


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


async def stand_in_every_state(engine: Engine, clock: FakeClock) -> dict[str, list[str]]:
    """Let callbacks of two accounts to two endpoints end in every way; gives those of each state, newest first."""
    states: dict[str, list[str]] = {"given_up": [], "delivered": [], "pending": []}
    for number, (state, ended) in enumerate(states.items()):
        for turn in range(3):
            owed = await engine.owe(100 * number + turn)
            clock.advance(1)
            owed += await engine.owe(100 * number + 50 + turn, origin=OTHER, account=SOMEBODY)
            clock.advance(1)
            ended[:0] = reversed(owed)
        if state == "given_up":
            await engine.give_up()
        elif state == "delivered":
            await engine.deliver()
    return states


@pytest.mark.parametrize("state", ["given_up", "delivered", "pending", None])
async def test_a_look_at_the_newest_finds_each_once_however_little_it_looks_at(
    engine: Engine, clock: FakeClock, state: str | None
) -> None:
    states = await stand_in_every_state(engine, clock)
    everything = [id_ for each in reversed(states) if state in (None, each) for id_ in states[each]]
    expected = {
        Filter(state=state): everything,
        Filter(state=state, account_id=ACCOUNT): everything[1::2],
        Filter(state=state, account_id=SOMEBODY, endpoint=OTHER): everything[::2],
        Filter(state=state, endpoint=OTHER, account_id=ACCOUNT): [],
    }
    for wanted, those in expected.items():
        for limit, look_at in ((2, 1), (2, 4), (3, 100)):
            seen: list[str] = []
            before: str | None = None
            for _ in range(20):
                found = await engine.store.read(
                    lambda tx, wanted=wanted, before=before, limit=limit, look_at=look_at: resends.newest(  # type: ignore[misc]
                        tx, wanted, before=before, limit=limit, look_at=look_at
                    )
                )
                seen += found.ids
                if (before := found.end) is None:
                    break
            assert seen == those, (wanted, limit, look_at)
            assert before is None


async def test_a_look_at_the_newest_heeds_times_and_messages(engine: Engine, clock: FakeClock) -> None:
    states = await stand_in_every_state(engine, clock)
    for state, those in states.items():
        times = [(await engine.store.read(lambda tx, id_=id_: resends.find(tx, id_)))[0] for id_ in those]  # type: ignore[misc]
        wanted = Filter(state=state, since_us=times[3].created_at_us, until_us=times[1].created_at_us)
        one = Filter(state=state, message_uuid=times[2].message_uuid)
        for each, expected in ((wanted, those[2:4]), (one, those[2:3])):
            found = await engine.store.read(lambda tx, each=each: resends.newest(tx, each, limit=9))  # type: ignore[misc]
            assert found == resends.Stretch(expected, None), state


async def test_counting_goes_so_far_and_says_so(engine: Engine, clock: FakeClock) -> None:
    states = await stand_in_every_state(engine, clock)

    async def survey(look_at: int, **wanted: Any) -> tuple[int, bool, list[str]]:
        found = await engine.store.read(lambda tx: resends.survey(tx, Filter(**wanted), show=2, look_at=look_at))
        return found.total, found.counted_all, [each.id for each in found.first]

    oldest = states["given_up"][::-1]
    assert await survey(100, state="given_up") == (6, True, oldest[:2])
    assert await survey(6, state="given_up") == (6, True, oldest[:2])
    assert await survey(5, state="given_up") == (5, False, oldest[:2])
    assert await survey(4, state="given_up", account_id=SOMEBODY) == (2, False, [oldest[1], oldest[3]])
    assert await survey(100, ended=True) == (12, True, oldest[:2])
    assert await survey(3, account_id=ACCOUNT, state="delivered") == (0, False, [])


async def test_whoever_comes_second_sends_what_is_left(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(5))
    await engine.give_up()
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
    again = await engine.store.read(lambda tx: resends.listed(tx, Filter(state="pending"), limit=100)[0])
    assert sorted(each.resend_of or "" for each in again) == sorted(["", *owed])
    assert await engine.store.read(callbacks.waiting) == 6


async def test_a_time_before_all_others_is_no_bound(engine: Engine) -> None:
    owed = await engine.owe(1)
    assert await found(engine, Filter(since_us=-1_000_000_000)) == owed
