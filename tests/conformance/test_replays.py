"""Replays on every driver: each callback once, at the rate asked for, whoever does the work."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from ringback.delivery import replay
from ringback.delivery.replay import Replayer, next_batch, send
from ringback.metrics import Metrics
from ringback.model.errors import InvalidRequest, NotFound, StoreUnavailable
from ringback.store import replays, resends
from ringback.store.backlog import backlog
from ringback.store.port import Store, Transaction
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from ringback.store.wakeups import Wakeups
from tests.fakes.clock import FakeClock
from tests.fakes.engine import ACCOUNT, ORIGIN, Engine
from tests.fakes.ids import counting_ids

OTHER = "https://other.example"
SOMEBODY = "MABBBBBBBBBBBBBBBBBB"
FIXED = Filter(not_resent=True)
new_id = counting_ids()


def worker(engine: Engine) -> Replayer:
    return Replayer(store=engine.store, clock=engine.clock, new_id=new_id, wakeups=Wakeups(), metrics=Metrics())


async def start(
    engine: Engine, wanted: Filter = FIXED, *, rate_per_s: float = 40, account_id: str | None = None
) -> Replay:
    return await replay.start(
        engine.store,
        wanted,
        rate_per_s=rate_per_s,
        account_id=account_id,
        new_id=new_id,
        now_us=engine.clock.now_us(),
    )


async def find(engine: Engine, begun: Replay) -> Replay:
    return await engine.store.read(lambda tx: replays.find(tx, begun.id))


async def run_out(engine: Engine, replayer: Replayer, begun: Replay, *, steps: int = 100) -> Replay:
    """Step until it has ended, moving the clock on as the worker would wait."""
    for _ in range(steps):
        if (pause_s := await replayer.step()) > 0:
            engine.clock.advance(pause_s)
        if (now := await find(engine, begun)).state != "running":
            return now
    raise AssertionError("it does not end")


async def copies(engine: Engine) -> list[str]:
    """Say which callbacks have been sent once more, as often as they have been."""
    found = await engine.store.read(lambda tx: resends.listed(tx, Filter(), limit=1000)[0])
    return sorted(each.resend_of for each in found if each.resend_of is not None)


async def test_a_worker_that_goes_on_where_another_stopped_sends_each_once(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(1, 31))
    await engine.owe(*range(50, 53), origin=OTHER)
    await engine.give_up()
    begun = await start(engine, Filter(endpoint=ORIGIN))
    assert (begun.total, begun.state, begun.done) == (30, "running", 0)
    first = worker(engine)
    assert await first.step() == 0
    assert (await find(engine, begun)).done == 10, "a quarter of a second's worth"
    # The first is gone with all that it knew.
    ended = await run_out(engine, worker(engine), begun)
    assert (ended.state, ended.done, ended.due_at_us) == ("finished", 30, None)
    assert await copies(engine) == sorted(owed)


async def test_of_two_that_are_at_it_one_sends_a_batch(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(1, 21))
    await engine.give_up()
    begun = await start(engine)
    now_us = clock.now_us()
    seen = await asyncio.gather(*[engine.store.read(lambda tx: next_batch(tx, now_us)) for _ in range(2)])
    assert seen[0] == seen[1]
    sent = await asyncio.gather(
        *[
            engine.store.write(lambda tx, batch=batch: send(tx, batch, new_id=new_id, now_us=now_us))  # type: ignore[misc]
            for batch in seen
        ]
    )
    assert [each is None for each in sent].count(True) == 1
    assert (await find(engine, begun)).done == 10
    ended = await run_out(engine, worker(engine), begun)
    assert (ended.done, await copies(engine)) == (20, sorted(owed))


async def test_it_keeps_to_its_rate(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(*range(1, 101))
    await engine.give_up()
    begun = await start(engine, rate_per_s=20)
    replayer, begun_us = worker(engine), clock.now_us()
    ended = await run_out(engine, replayer, begun)
    assert ended.done == 100
    assert clock.now_us() - begun_us == pytest.approx(5_000_000, abs=300_000)


async def test_what_was_missed_while_nobody_worked_is_not_sent_all_at_once(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(*range(1, 101))
    await engine.give_up()
    begun = await start(engine, rate_per_s=20)
    clock.advance(3600)
    replayer = worker(engine)
    while await replayer.step() <= 0:
        pass
    assert (await find(engine, begun)).done <= 15


@pytest.mark.parametrize("again", [False, True])
async def test_neither_its_copies_nor_what_comes_later_are_taken(
    engine: Engine, clock: FakeClock, *, again: bool
) -> None:
    owed = await engine.owe(*range(1, 21))
    await engine.give_up()
    begun = await start(engine, Filter(not_resent=not again))
    replayer = worker(engine)
    await replayer.step()
    await engine.deliver()
    clock.advance(1)
    await engine.owe(70, 71)
    await engine.deliver()
    ended = await run_out(engine, replayer, begun)
    assert (ended.done, await copies(engine)) == (20, sorted(owed))


async def test_a_worker_whose_clock_is_behind_does_not_meet_its_copies(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(1, 21))
    await engine.give_up()
    begun = await start(engine, Filter())
    behind_us = clock.now_us() - 60_000_000
    for _ in range(5):
        batch = await engine.store.read(lambda tx: next_batch(tx, clock.advance(1)))
        if batch is None:
            break
        await engine.store.write(
            lambda tx, batch=batch: send(tx, batch, new_id=new_id, now_us=behind_us)  # type: ignore[misc]
        )
        await engine.deliver()
    assert (await find(engine, begun)).state == "finished"
    assert await copies(engine) == sorted(owed)


async def test_again_takes_what_was_sent_once_more_before(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(1, 2)
    await engine.give_up()
    totals = []
    for wanted in (FIXED, FIXED, Filter()):
        clock.advance(1)
        begun = await start(engine, wanted)
        ended = await run_out(engine, worker(engine), begun)
        await engine.deliver()
        totals.append((begun.total, ended.done))
    assert totals == [(2, 2), (0, 0), (4, 4)]


async def test_two_replays_of_the_same_send_each_once(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(1, 31))
    await engine.give_up()
    first = await start(engine)
    clock.advance(0.001)
    second = await replay.start(
        engine.store, FIXED, rate_per_s=40, account_id=None, new_id=new_id, now_us=clock.now_us()
    )
    replayer = worker(engine)
    ended = [await run_out(engine, replayer, each) for each in (first, second)]
    assert sum(each.done for each in ended) == 30
    assert await copies(engine) == sorted(owed)


async def test_cancelling_ends_it_where_it_is(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(*range(1, 31))
    await engine.give_up()
    begun = await start(engine, account_id=ACCOUNT)
    replayer = worker(engine)
    await replayer.step()
    batch = await engine.store.read(lambda tx: next_batch(tx, clock.advance(1)))
    assert batch is not None

    async def cancel(account_id: str | None = None) -> Replay:
        now_us = clock.now_us()
        return await engine.store.write(lambda tx: replay.cancel(tx, begun.id, now_us=now_us, account_id=account_id))

    with pytest.raises(NotFound):
        await cancel(SOMEBODY)
    cancelled = await cancel(ACCOUNT)
    assert (cancelled.state, cancelled.done, cancelled.due_at_us) == ("cancelled", 10, None)
    assert (await cancel()).state == "cancelled", "a second time changes nothing"
    now_us = clock.now_us()
    assert await engine.store.write(lambda tx: send(tx, batch, new_id=new_id, now_us=now_us)) is None
    assert await replayer.step() > 0
    assert len(await copies(engine)) == 10


async def test_what_has_ended_cannot_be_cancelled(engine: Engine) -> None:
    begun = await start(engine)
    await run_out(engine, worker(engine), begun)
    with pytest.raises(InvalidRequest, match="has ended already"):
        await engine.store.write(lambda tx: replay.cancel(tx, begun.id, now_us=1))
    with pytest.raises(NotFound, match="there is no replay nowhere"):
        await engine.store.read(lambda tx: replays.find(tx, "nowhere"))


async def test_a_dry_run_counts_and_shows_the_first(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(1, 9))

    async def dry_run() -> tuple[int, bool, list[str]]:
        seen = await engine.store.read(lambda tx: replay.dry_run(tx, FIXED, now_us=clock.now_us()))
        assert seen.wanted == replay.scope(FIXED, clock.now_us())
        return seen.total, seen.counted_all, [callback.id for callback in seen.first]

    assert await dry_run() == (0, True, [])
    await engine.give_up()
    assert await dry_run() == (8, True, owed[:5])
    assert await copies(engine) == []


async def test_an_account_has_so_many_at_a_time_and_sees_its_own(engine: Engine, clock: FakeClock) -> None:
    async def begin(account_id: str | None) -> str:
        clock.advance(0.001)
        begun = await replay.start(
            engine.store, FIXED, rate_per_s=1, account_id=account_id, new_id=new_id, now_us=clock.now_us()
        )
        return begun.id

    own = [await begin(ACCOUNT) for _ in range(replay.MOST_RUNNING)]
    with pytest.raises(InvalidRequest, match="5 replays are running already"):
        await begin(ACCOUNT)
    others = await begin(None)

    async def listed(account_id: str | None, before: str | None = None) -> list[str]:
        found = await engine.store.read(lambda tx: replays.page(tx, account_id=account_id, limit=3, before=before))
        return [each.id for each in found]

    assert await listed(ACCOUNT) == own[:1:-1]
    assert await listed(ACCOUNT, own[2]) == own[1::-1]
    assert (await listed(None))[0] == others
    with pytest.raises(NotFound):
        await engine.store.read(lambda tx: replays.find(tx, others, account_id=ACCOUNT))


async def test_who_begins_several_at_once_has_no_more_of_them(engine: Engine) -> None:
    begun = await asyncio.gather(
        *(start(engine, account_id=each) for each in 8 * (ACCOUNT,) + 2 * (SOMEBODY,)), return_exceptions=True
    )
    refused = [str(each) for each in begun if isinstance(each, InvalidRequest)]
    assert len(refused) == 3, begun
    counts = [await engine.store.read(lambda tx, id_=id_: replays.running(tx, id_)) for id_ in (ACCOUNT, SOMEBODY)]  # type: ignore[misc]
    assert counts == [replay.MOST_RUNNING, 2]


async def test_one_that_nobody_does_is_noticed(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(*range(1, 5))
    await engine.give_up()
    begun = await start(engine, rate_per_s=0.1)
    replayer = worker(engine)
    assert not replay.is_unattended(begun, clock.now_us())
    assert replay.is_unattended(begun, clock.advance(5.1))
    await replayer.step()
    waiting = await find(engine, begun)
    assert not replay.is_unattended(waiting, clock.advance(9)), "its next one is not due"
    ended = await run_out(engine, replayer, begun)
    assert not replay.is_unattended(ended, clock.advance(3600))


async def test_running_ones_are_counted_for_metrics(engine: Engine, clock: FakeClock) -> None:
    for _ in range(2):
        begun = await start(engine)
        clock.advance(0.001)
    assert (await engine.store.read(lambda tx: backlog(tx, clock.now_us()))).replays == 2
    await engine.store.write(lambda tx: replay.cancel(tx, begun.id, now_us=1))
    assert (await engine.store.read(lambda tx: backlog(tx, clock.now_us()))).replays == 1


async def test_an_impossible_rate_is_refused(engine: Engine) -> None:
    for rate_per_s in (0, 0.01, 1001, float("inf"), float("nan")):
        with pytest.raises(InvalidRequest, match="rate_per_s parameter must be a number from"):
            await start(engine, rate_per_s=rate_per_s)


class Failing:
    """A store whose first read fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failed = asyncio.Event()
        self.write = store.write

    async def read(self, work: Callable[[Transaction], Any]) -> Any:
        if not self.failed.is_set():
            self.failed.set()
            raise StoreUnavailable("gone")
        return await self._store.read(work)


async def test_it_works_by_itself_goes_on_after_a_failure_and_stops(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(1, 2, 3)
    await engine.give_up()
    begun = await start(engine)
    wakeups = Wakeups()
    failing = Failing(engine.store)
    metrics = Metrics()
    replayer = Replayer(store=failing, clock=clock, new_id=new_id, wakeups=wakeups, metrics=metrics)  # type: ignore[arg-type]
    made = wakeups.listen("callbacks")
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(replayer.run())
        async with asyncio.timeout(60):
            await failing.failed.wait()
            wakeups.signal("replays")
            assert await made.wait(60)
            while (await find(engine, begun)).state != "finished":
                await made.wait(0.01)
            replayer.stop()
            await task
    assert lines[0]["event"] == "claim_failed_trying_again"
    assert b"ringback_replayed_callbacks_total 3.0" in metrics.render()
    finished = [line for line in lines if line["event"] == "replay_finished"]
    assert [(line["replay_id"], line["done"]) for line in finished] == [(begun.id, 3)]
