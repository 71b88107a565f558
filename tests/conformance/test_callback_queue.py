"""The callback queue on every driver: order, leases, fences, circuits, and that nothing is ever lost."""

import asyncio
import itertools
import random
import threading
from collections import Counter, defaultdict

import pytest

from ringback.delivery.operate import pause, resume
from ringback.model.circuit import FIRST_COOLDOWN_US, CircuitState, Finding, Party
from ringback.store import callbacks, endpoints
from ringback.store.callbacks import Wanted
from ringback.store.endpoints import Lane
from ringback.store.port import Store, Transaction
from tests.conformance.conftest import Database
from tests.fakes.clock import FakeClock
from tests.fakes.engine import LEASE_S, ORIGIN, PARK_AFTER, Engine, by_origin, ids, new_callback
from tests.fakes.messages import message_uuid

OTHER = "https://other.example"
BOUND_S = 60


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(store: Store, clock: FakeClock) -> Engine:
    return Engine(store, clock)


# ---- order, leases, fences ----


async def test_claiming_and_owing_never_wait_for_each_other(prepared: Database, clock: FakeClock) -> None:
    """The later callback's writer holds the earlier one when it wants the endpoint; the claim has it the other way."""
    store = prepared.open()
    engine = Engine(store, clock)
    await engine.owe(1)
    added, has_endpoint = threading.Event(), threading.Event()
    begun: Counter[str] = Counter()

    def owe(tx: Transaction) -> None:
        begun["owe"] += 1
        callbacks.add(tx, [later := new_callback(1, sequence=2, now_us=clock.now_us())])
        added.set()
        if prepared.driver != "sqlite":
            assert has_endpoint.wait(BOUND_S)
        callbacks.wake(tx, [later])

    def claim(tx: Transaction) -> None:
        begun["claim"] += 1
        now_us = clock.now_us()
        [(_, endpoint)] = endpoints.ready(tx, {Lane.NEW: 1}, now_us=now_us)
        has_endpoint.set()
        wanted = [Wanted(endpoint.id, is_retry=False, count=1)]
        [leased] = callbacks.lease(tx, wanted, now_us=now_us, lease_until_us=now_us + LEASE_S, lease_token="token")
        assert [each.sequence for each in leased.callbacks] == [1]

    owing = asyncio.create_task(store.write(owe))
    assert await asyncio.to_thread(added.wait, BOUND_S)
    await store.write(claim)
    await owing
    # Nobody had to give way and begin anew.
    assert begun == {"owe": 1, "claim": 1}
    await store.close()


async def test_what_is_due_is_leased_once(engine: Engine) -> None:
    owed = await engine.owe(1, 2, 3)
    assert sorted(ids(await engine.claim())) == sorted(owed)
    assert await engine.claim() == []


async def test_a_claim_looks_into_its_lanes_only(engine: Engine) -> None:
    [known] = await engine.owe(1)
    await engine.end(await engine.claim())
    [new] = await engine.owe(2, origin=OTHER)
    [proven] = await engine.owe(3)
    assert ids(await engine.claim(lanes=(Lane.RETRY, Lane.DOUBTFUL))) == []
    assert ids(await engine.claim(lanes=(Lane.FIRST,))) == [proven]
    assert ids(await engine.claim(lanes=(Lane.NEW, Lane.FIRST))) == [new]
    assert known not in {new, proven}


async def test_those_due_longest_come_first(engine: Engine, clock: FakeClock) -> None:
    owed = []
    for number in range(3):
        owed += await engine.owe(number)
        clock.advance(1)
    assert ids(await engine.claim(limit=2)) == owed[:2]
    assert ids(await engine.claim()) == owed[2:]


async def test_a_later_status_waits_for_the_earlier_ones_first_attempt(engine: Engine) -> None:
    queued, sent, delivered = [(await engine.owe(1, sequence=sequence))[0] for sequence in (1, 2, 3)]
    first = await engine.claim()
    assert ids(first) == [queued]
    await engine.end(first, Finding.DOWN)
    # It failed; the next one goes on all the same.
    second = await engine.claim()
    assert ids(second) == [sent]
    await engine.end(second)
    assert ids(await engine.claim()) == [delivered]


async def test_a_retry_comes_when_it_is_due_and_not_before(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(1)
    for wait_s in (60, 120, 240):
        await engine.end(await engine.claim(), Finding.ANSWERS)
        clock.advance(wait_s - 0.001)
        assert await engine.claim() == []
        clock.advance(0.001)
    last = await engine.claim()
    assert [each.callback.attempts_made for each in last] == [3]
    await engine.end(last, Finding.ANSWERS)
    assert await engine.states() == {owed[0]: "given_up"}
    assert await engine.waiting() == 0


async def test_a_delivered_callback_leaves_the_queue(engine: Engine) -> None:
    owed = await engine.owe(1, 2)
    await engine.end(await engine.claim())
    assert await engine.states() == dict.fromkeys(owed, "delivered")
    assert await engine.waiting() == 0


async def test_a_lease_that_runs_out_is_taken_by_somebody_else(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(1)
    lost = await engine.claim()
    clock.advance(LEASE_S - 0.001)
    assert await engine.claim() == []
    clock.advance(0.001)
    heir = Engine(engine.store, clock)
    taken = await heir.claim()
    assert ids(taken) == owed
    # Whoever lost the lease changes nothing any more, whatever it says.
    await engine.end(lost, Finding.DOWN)
    assert (await engine.states())[owed[0]] == "pending"
    assert (await engine.endpoint()).circuit.failures == 0
    await heir.end(taken)
    assert (await engine.states())[owed[0]] == "delivered"
    await engine.end(lost, Finding.DOWN)
    assert (await engine.states())[owed[0]] == "delivered"
    made = await engine.store.read(lambda tx: callbacks.of_message(tx, taken[0].callback.message_uuid))
    assert [len(attempts) for _, attempts in made] == [1]


async def test_a_lost_lease_recorded_together_with_the_one_that_holds_changes_nothing(
    engine: Engine, clock: FakeClock
) -> None:
    owed = await engine.owe(1)
    lost = await engine.claim()
    clock.advance(LEASE_S)
    taken = await Engine(engine.store, clock).claim()
    engine.places.start(taken[0].endpoint, taken[0].lane, clock.now_us())
    await engine.end([*lost, *taken])
    made = await engine.store.read(lambda tx: callbacks.of_message(tx, taken[0].callback.message_uuid))
    assert [(callback.id, len(attempts)) for callback, attempts in made] == [(owed[0], 1)]


async def test_workers_at_once_share_the_work(prepared: Database, clock: FakeClock) -> None:
    stores = [prepared.open() for _ in range(3)]
    workers = [Engine(store, clock, window=500) for store in stores]
    owed = []
    for at in range(6):
        owed += await workers[0].owe(*range(at * 50, at * 50 + 50), origin=f"https://e{at}.example")
    taken: list[str] = []
    while await stores[0].read(callbacks.waiting):
        at_once = await asyncio.gather(*(worker.claim(limit=20) for worker in workers))
        taken += [callback_id for claimed in at_once for callback_id in ids(claimed)]
        await asyncio.gather(*(worker.end(claimed) for worker, claimed in zip(workers, at_once, strict=True)))
        clock.advance(0.01)
    assert Counter(taken) == Counter(owed), "each exactly once"
    for store in stores:
        await store.close()


# ---- fairness ----


async def test_one_endpoint_with_much_does_not_hold_up_another(engine: Engine) -> None:
    await engine.owe(*range(500))
    await engine.owe(1000, origin=OTHER)
    assert by_origin(await engine.claim(limit=8))[OTHER] == 1


async def test_accounts_take_turns(engine: Engine) -> None:
    for number in range(20):
        await engine.owe(*range(number * 10, number * 10 + 10), origin=f"https://e{number}.example")
    await engine.owe(*range(1000, 1010), origin=OTHER, account="MABBBBBBBBBBBBBBBBBB")
    assert by_origin(await engine.claim(limit=8))[OTHER] == 4


async def test_a_full_window_is_looked_at_when_an_attempt_has_ended(engine: Engine) -> None:
    await engine.owe(*range(10))
    first = await engine.claim()
    assert len(first) == 4
    assert (await engine.endpoint()).is_full
    await engine.owe(*range(20, 30))
    assert await engine.claim() == []
    await engine.end(first)
    assert len(await engine.claim()) == 8


async def test_a_window_whose_holder_died_is_looked_at_when_its_leases_end(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(*range(10))
    assert len(await engine.claim()) == 4
    clock.advance(LEASE_S)
    heir = Engine(engine.store, clock)
    assert len(await heir.claim()) == 4


# ---- circuits ----


async def park(engine: Engine) -> None:
    """Let an endpoint fail until it is parked."""
    await engine.owe(*range(PARK_AFTER))
    await engine.end(await engine.claim(), Finding.DOWN)
    assert (await engine.endpoint()).circuit.state is CircuitState.OPEN


async def test_a_parked_endpoint_gets_one_probe(engine: Engine, clock: FakeClock) -> None:
    await park(engine)
    await engine.owe(*range(10, 20))
    await engine.owe(100, origin=OTHER)
    other = await engine.claim()
    assert set(by_origin(other)) == {OTHER}
    await engine.end(other)
    clock.advance(FIRST_COOLDOWN_US / 1e6 - 0.001)
    assert await engine.claim() == []
    clock.advance(0.001)
    probe = await engine.claim()
    assert len(probe) == 1
    assert await engine.claim() == []
    await engine.owe(50)
    assert await engine.claim() == [], "new callbacks wait for what becomes of the probe"
    await engine.end(probe, Finding.DOWN)
    clock.advance(FIRST_COOLDOWN_US / 1e6)
    assert await engine.claim() == [], "parked for twice as long now"
    clock.advance(FIRST_COOLDOWN_US / 1e6)
    assert len(await engine.claim()) == 1


async def test_a_good_probe_lets_the_backlog_go_in_a_growing_window(engine: Engine, clock: FakeClock) -> None:
    engine.keep_parked = True
    await park(engine)
    await engine.owe(*range(10, 60))
    clock.advance(FIRST_COOLDOWN_US / 1e6)
    sizes = []
    while claimed := await engine.claim():
        sizes.append(len(claimed))
        await engine.end(claimed)
    assert sizes[0] == 1
    assert sizes[1] <= 4
    assert sum(sizes) == 50, "first attempts; the three that failed are due later"
    assert max(sizes[:4]) < max(sizes)


async def test_attempts_that_fell_due_while_parked_count_as_made(engine: Engine, clock: FakeClock) -> None:
    await park(engine)
    await engine.owe(10)
    # Parked from 0 to 90 s: probes fail at 30 and are good at 90.
    clock.advance(30)
    await engine.end(await engine.claim(), Finding.DOWN)
    await engine.owe(11)
    clock.advance(1)
    late = await engine.owe(12)
    clock.advance(59)
    probe = await engine.claim()
    await engine.end(probe)
    assert (await engine.endpoint()).circuit.state is CircuitState.CLOSED
    seen = {}
    for _ in range(5):
        for each in (claimed := await engine.claim()):
            seen[each.callback.id] = each.callback.attempts_made
        await engine.end(claimed)
    clock.advance(600)
    for _ in range(8):
        for each in (claimed := await engine.claim()):
            seen[each.callback.id] = each.callback.attempts_made
        await engine.end(claimed)
    assert seen[late[0]] == 1, "the attempt that was due at once fell into the parking, the next one did not"
    assert set((await engine.states()).values()) == {"delivered"}


async def test_with_kept_attempts_nothing_is_used_up(engine: Engine, clock: FakeClock) -> None:
    engine.keep_parked = True
    await park(engine)
    owed = await engine.owe(*range(10, 15))
    clock.advance(30)
    for _ in range(6):
        await engine.end(await engine.claim(), Finding.DOWN)
        clock.advance(600)
    made = {}
    while claimed := await engine.claim():
        made |= {each.callback.id: each.callback.attempts_made for each in claimed}
        await engine.end(claimed)
    assert [made[each] for each in owed if made[each] > 1] == []
    assert set((await engine.states()).values()) == {"delivered"}


async def test_a_parked_backlog_whose_attempts_are_used_up_is_given_up(engine: Engine, clock: FakeClock) -> None:
    await park(engine)
    owed = await engine.owe(*range(10, 400))
    clock.advance(30)
    probed: set[str] = set()
    for _ in range(3):
        while claimed := await engine.claim():
            probed |= {each.callback.message_uuid for each in claimed}
            await engine.end(claimed, Finding.DOWN)
        clock.advance(600)
    states = await engine.states()
    assert [states[each] for each in owed].count("given_up") >= 380
    # Which of those that were owed at once are probes is nobody's promise.
    [spared, *_] = [uuid for uuid in map(message_uuid, range(10, 400)) if uuid not in probed]
    made = await engine.store.read(lambda tx: callbacks.of_message(tx, spared))
    assert [attempt.outcome for _, attempts in made for attempt in attempts] == ["parked"]


async def test_retry_after_parks_the_endpoint(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(1, 2)
    claimed = await engine.claim()
    await engine.end(claimed[:1], Finding.DOWN, retry_after_s=100)
    await engine.end(claimed[1:], Finding.DOWN)
    await engine.owe(3)
    clock.advance(99)
    assert await engine.claim() == []
    clock.advance(1)
    assert len(await engine.claim()) == 1


async def test_gone_disables_and_what_is_owed_meanwhile_is_kept(engine: Engine, clock: FakeClock) -> None:
    await engine.owe(1)
    await engine.end(await engine.claim(), Finding.GONE)
    assert (await engine.endpoint()).circuit.state is CircuitState.DISABLED
    owed = await engine.owe(*range(2, 6))
    clock.advance(100_000)
    assert await engine.claim() == []
    endpoint_id = endpoints.key("MAAAAAAAAAAAAAAAAAAA", ORIGIN)
    await engine.store.write(lambda tx: resume(tx, endpoint_id, by=Party.OPERATOR, now_us=clock.now_us()))
    delivered: list[str] = []
    while claimed := await engine.claim():
        delivered += ids(claimed)
        await engine.end(claimed)
    assert set(owed) <= set(delivered)


async def test_a_paused_endpoint_is_left_alone(engine: Engine, clock: FakeClock) -> None:
    owed = await engine.owe(*range(4))
    flying = await engine.claim()
    endpoint_id = endpoints.key("MAAAAAAAAAAAAAAAAAAA", ORIGIN)
    await engine.store.write(
        lambda tx: pause(tx, endpoint_id, by=Party.OPERATOR, reason="maintenance", now_us=clock.now_us())
    )
    await engine.end(flying, Finding.DOWN)
    await engine.owe(10)
    clock.advance(3600)
    assert await engine.claim() == []
    await engine.store.write(lambda tx: resume(tx, endpoint_id, by=Party.OPERATOR, now_us=clock.now_us()))
    back = await engine.claim()
    assert back
    assert all(each.callback.attempts_made == 1 for each in back if each.callback.id in owed), "nothing was used up"


# ---- nothing is ever lost ----


class Storm:
    """Workers that die, endpoints whose health changes, time that passes."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store = store
        self.chance = chance
        self.clock = FakeClock()
        self.origins = [f"https://s{number}.example" for number in range(3)]
        self.health = dict.fromkeys(self.origins, Finding.UP)
        self.keep_parked = chance.random() < 0.5
        self.workers = [self.hire(), self.hire()]
        self.numbers = itertools.count()
        self.growing: dict[int, int] = {}
        self.owed: list[str] = []
        self.started: dict[str, list[int]] = defaultdict(list)

    def hire(self) -> Engine:
        return Engine(self.store, self.clock, window=8, keep_parked=self.keep_parked)

    async def owe_some(self) -> None:
        self.growing |= dict.fromkeys(itertools.islice(self.numbers, self.chance.randint(0, 3)), 1)
        for number in [each for each in self.growing if self.chance.random() < 0.5]:
            sequence = self.growing.pop(number)
            self.owed += await self.workers[0].owe(number, sequence=sequence, origin=self.origins[number % 3])
            if sequence < 3:
                self.growing[number] = sequence + 1

    async def work(self, at: int, *, dying: bool = False) -> None:
        for each in await self.workers[at].claim(limit=self.chance.randint(1, 20)):
            self.started[each.callback.message_uuid].append(each.callback.sequence)
            if not dying:
                await self.workers[at].end([each], self.health[each.callback.endpoint])
        if dying:
            self.workers[at] = self.hire()

    async def rage(self) -> None:
        for _ in range(30):
            await self.owe_some()
            self.health[self.chance.choice(self.origins)] = self.chance.choice(
                [Finding.UP, Finding.DOWN, Finding.ANSWERS]
            )
            await self.work(self.chance.randrange(2), dying=self.chance.random() < 0.15)
            self.clock.advance(self.chance.choice([0.01, 1, 29, 61, 130]))

    async def calm(self) -> None:
        self.health = dict.fromkeys(self.origins, Finding.UP)
        for _ in range(300):
            await self.work(0)
            self.clock.advance(31)
            if not await self.store.read(callbacks.waiting):
                return


@pytest.mark.parametrize("seed", range(12))
async def test_every_callback_ends_and_order_holds(store: Store, seed: int) -> None:
    storm = Storm(store, random.Random(seed))
    await storm.rage()
    await storm.calm()
    assert await store.read(callbacks.waiting) == 0, "something waits for ever"
    ended = {
        callback.id: callback.state
        for callback in await store.read(lambda tx: callbacks.owed_for(tx, sorted(storm.started)))
    }
    assert {ended[each] for each in storm.owed if each in ended} <= {"delivered", "given_up"}
    if not storm.keep_parked:
        # An attempt that was skipped lets the next status go as a failed one does.
        return
    assert set(storm.owed) <= set(ended), "every callback is tried"
    for sequences in storm.started.values():
        firsts = [sequence for at, sequence in enumerate(sequences) if sequence not in sequences[:at]]
        assert firsts == sorted(firsts), "a later status overtook an earlier one's first attempt"
