"""The simulated carrier at work, on a clock that moves only when a test moves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from typing import Any

import pytest

from ringback.carriers.port import Accepted, Awaiting, Connector, Deferred, Outbound, Receipt, Rejected, SubmitOutcome
from ringback.carriers.simulator import connector
from ringback.carriers.simulator.connector import CONCURRENCY, LEAST_FREE, SimulatedCarrier
from ringback.carriers.simulator.fate import carrier_ref
from ringback.carriers.simulator.rules import (
    Accept,
    Delivered,
    Ending,
    Fixed,
    LaterDelivered,
    LaterUndelivered,
    LogNormal,
    NoAnswer,
    NoReceipt,
    Reject,
    Rule,
    Throttle,
    Undelivered,
)
from ringback.carriers.simulator.schedule import Schedule
from ringback.carriers.simulator.script import BUILT_IN, Script, script_of
from ringback.model.errors import StoreUnavailable
from ringback.model.status import Status
from tests.fakes.clock import FakeClock

NOTHING = Fixed(seconds=0)
SOON_S = 0.01
TURNS = 40


class VirtualTime(FakeClock):
    """A clock with a ``sleep`` that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved on so far."""
        self.sleeps += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (self.now_us() + round(seconds * 1_000_000), self.sleeps, future))
        await future

    async def pass_by(self, seconds: float) -> None:
        """Move on in steps, waking each sleeper at its time and letting everybody do what there is to do."""
        end_us = self.now_us() + round(seconds * 1_000_000)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_us:
            due_us, _, future = heappop(self._sleepers)
            self.advance(max(0, due_us - self.now_us()) / 1_000_000)
            if not future.done():
                future.set_result(None)
            await settle()
        self.advance((end_us - self.now_us()) / 1_000_000)


async def settle() -> None:
    """Let every task go on until it waits for something."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Sink:
    """Takes receipts, with their times; refuses while away; holds them while the gate is closed."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._start_us = time.now_us()
        self.taken: list[tuple[float, Receipt]] = []
        self.refused = 0
        self.poison: set[str] = set()
        self.away = False
        self.in_hand = 0
        self.most_in_hand = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, receipt: Receipt) -> None:
        self.in_hand += 1
        self.most_in_hand = max(self.in_hand, self.most_in_hand)
        try:
            await self.gate.wait()
        finally:
            self.in_hand -= 1
        if self.away:
            self.refused += 1
            raise StoreUnavailable("away")
        if receipt.carrier_ref in self.poison:
            raise KeyError(receipt.carrier_ref)
        self.taken.append(((self._time.now_us() - self._start_us) / 1_000_000, receipt))

    def times(self) -> list[float]:
        return [round(at_s, 2) for at_s, _ in self.taken]

    def said(self) -> list[str]:
        return [f"{receipt.status} {receipt.error_code}" for _, receipt in self.taken]


class Setup:
    """A carrier with one rule for everybody, its time and its sink."""

    def __init__(self, script: Script, speed: float = 1) -> None:
        self.time = VirtualTime()
        self.sink = Sink(self.time)
        self.carrier = SimulatedCarrier(clock=self.time, script=script, seed=1, speed=speed, sleep=self.time.sleep)
        self.carrier.deliver_receipts_to(self.sink.take)

    async def submit(self, number: int = 0, dst: str = "4915112345678") -> SubmitOutcome:
        """Submit, and let as much time pass as the answer takes."""
        task = asyncio.create_task(self.carrier.submit(outbound(number, dst)))
        while not task.done():
            await self.time.pass_by(SOON_S)
        return task.result()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.carrier.run())
        await settle()
        yield
        self.carrier.stop()
        await settle()
        assert task.done()
        task.result()


def outbound(number: int, dst: str = "4915112345678") -> Outbound:
    return Outbound(message_uuid=f"message {number}", src="15005550100", dst=dst, text="hello")


def one_rule(*endings: Ending, **fields: Any) -> Script:
    fields = {"answer_delay": NOTHING, "receipt_delay": Fixed(seconds=1), **fields}
    return script_of([Rule(name="test", prefixes=("",), endings=endings or (Delivered(),), **fields)])


def test_it_is_a_connector() -> None:
    carrier: Connector = Setup(BUILT_IN).carrier
    assert carrier.name == "simulator"


async def test_a_message_is_accepted_and_delivered_in_its_time() -> None:
    setup = Setup(one_rule(answer_delay=Fixed(seconds=0.05)))
    async with setup.running():
        outcome = await setup.submit()
        assert isinstance(outcome, Accepted)
        assert (outcome.carrier_refs, outcome.mcc) == ((carrier_ref(1, "message 0"),), "262")
        assert setup.carrier.pending() == 1
        await setup.time.pass_by(0.9)
        assert setup.sink.taken == []
        await setup.time.pass_by(0.2)
        assert setup.sink.times() == [1.05]
        (_, receipt) = setup.sink.taken[0]
        assert receipt == Receipt(
            connector="simulator",
            carrier_ref=outcome.carrier_refs[0],
            status=Status.DELIVERED,
            error_code="000",
            detail="stat:DELIVRD err:000",
        )
        assert setup.carrier.pending() == 0


@pytest.mark.parametrize(
    ("ending", "said", "times"),
    [
        (Undelivered(code="30"), ["undelivered 30"], [1]),
        (NoReceipt(), [], []),
        (Delivered(later=(LaterDelivered(after_s=2, times=2),)), ["delivered 000"] * 3, [1, 3, 5]),
        (
            Delivered(later=(LaterUndelivered(after_s=2, code="80"),)),
            ["delivered 000", "undelivered 80"],
            [1, 3],
        ),
    ],
)
async def test_endings(ending: Ending, said: list[str], times: list[float]) -> None:
    setup = Setup(one_rule(ending))
    async with setup.running():
        await setup.submit()
        await setup.time.pass_by(60)
    assert setup.sink.said() == said
    assert setup.sink.times() == pytest.approx(times, abs=SOON_S)


async def test_an_early_receipt_is_taken_before_the_answer() -> None:
    setup = Setup(one_rule(Delivered(early=True, later=(LaterDelivered(after_s=1),))))
    setup.sink.gate.clear()
    async with setup.running():
        answer = asyncio.create_task(setup.carrier.submit(outbound(0)))
        await setup.time.pass_by(5)
        assert not answer.done()
        assert setup.sink.in_hand == 1
        setup.sink.gate.set()
        await settle()
        assert isinstance(answer.result(), Accepted)
        await setup.time.pass_by(1)
    assert setup.sink.said() == ["delivered 000", "delivered 000"]


async def test_an_early_receipt_that_is_not_taken_comes_again_and_does_not_hold_up_the_answer() -> None:
    setup = Setup(one_rule(Delivered(early=True)))
    setup.sink.away = True
    async with setup.running():
        assert isinstance(await setup.submit(), Accepted)
        assert setup.sink.taken == []
        setup.sink.away = False
        await setup.time.pass_by(connector.OFFER_AGAIN_S + SOON_S)
        assert setup.sink.said() == ["delivered 000"]


async def test_a_rejected_message_gets_no_receipt() -> None:
    setup = Setup(one_rule(answers=(Reject(code="50"),)))
    async with setup.running():
        assert await setup.submit() == Rejected(error_code="50", detail="rejected: invalid destination number")
        assert setup.carrier.pending() == 0


async def test_throttled_messages_are_counted_one_by_one() -> None:
    setup = Setup(one_rule(answers=(Throttle(times=2, retry_after_s=3),)))
    for number in (0, 1):
        throttled = Deferred(retry_after_s=3, detail="throttled")
        assert [await setup.submit(number) for _ in range(2)] == [throttled, throttled]
        assert isinstance(await setup.submit(number), Accepted)


async def test_the_count_of_throttled_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "REMEMBERED_DEFERRALS", 2)
    setup = Setup(one_rule(answers=(Throttle(times=1),)))
    assert [type(await setup.submit(number)) for number in (0, 1, 2)] == [Deferred] * 3
    assert [type(await setup.submit(number)) for number in (1, 2, 0)] == [Accepted, Accepted, Deferred]


async def test_without_an_answer_a_submission_is_put_off_after_the_timeout() -> None:
    setup = Setup(one_rule(answers=(NoAnswer(timeout_s=10, retry_after_s=4),)), speed=2)
    answer = asyncio.create_task(setup.carrier.submit(outbound(0)))
    await setup.time.pass_by(4.9)
    assert not answer.done()
    await setup.time.pass_by(0.2)
    await settle()
    assert answer.result() == Deferred(retry_after_s=2, detail="no answer within 5 s")
    assert setup.carrier.pending() == 0


async def test_speed_divides_answer_and_receipt_delays() -> None:
    setup = Setup(one_rule(answer_delay=Fixed(seconds=10), receipt_delay=Fixed(seconds=100)), speed=100)
    async with setup.running():
        await setup.submit()
        await setup.time.pass_by(2)
    assert setup.sink.times() == pytest.approx([1.1], abs=SOON_S)


async def test_one_timer_serves_all_pending_receipts() -> None:
    setup = Setup(one_rule(receipt_delay=Fixed(seconds=5)))
    async with setup.running():
        for number in range(20_000):
            await setup.carrier.submit(outbound(number))
        await settle()
        assert setup.carrier.pending() == 20_000
        assert setup.time.sleeps <= 2
        assert len(asyncio.all_tasks()) <= 3


async def test_a_receipt_that_is_due_sooner_wakes_the_loop() -> None:
    slow = Rule(name="slow", prefixes=("49",), answer_delay=NOTHING, receipt_delay=Fixed(seconds=100))
    quick = Rule(name="quick", prefixes=("33",), answer_delay=NOTHING, receipt_delay=Fixed(seconds=1))
    setup = Setup(script_of([slow, quick]))
    async with setup.running():
        await setup.submit(0, "491511234567")
        await setup.time.pass_by(10)
        await setup.submit(1, "33612345678")
        await setup.time.pass_by(1.1)
        assert setup.sink.times() == pytest.approx([11], abs=2 * SOON_S)


async def test_no_more_than_a_bounded_number_is_offered_at_once() -> None:
    setup = Setup(one_rule())
    async with setup.running():
        setup.sink.gate.clear()
        for number in range(3 * CONCURRENCY):
            await setup.carrier.submit(outbound(number))
        await setup.time.pass_by(1.1)
        assert setup.sink.in_hand == CONCURRENCY
        assert setup.carrier.pending() == 3 * CONCURRENCY
        setup.sink.gate.set()
        await setup.time.pass_by(1)
        assert len(setup.sink.taken) == 3 * CONCURRENCY
        assert setup.sink.most_in_hand == CONCURRENCY
        assert LEAST_FREE < CONCURRENCY


async def test_while_the_taker_is_away_all_wait_and_order_is_kept() -> None:
    setup = Setup(one_rule(Delivered(later=(LaterUndelivered(after_s=0.5, code="80"),))))
    setup.sink.away = True
    async with setup.running():
        await setup.submit()
        await setup.time.pass_by(9.5)
        # At 1 s the first is offered alone, at 2 to 9 s both are: a pause serves all, not each.
        assert setup.sink.refused == 1 + 8 * 2
        setup.sink.away = False
        await setup.time.pass_by(1.1)
    assert setup.sink.said() == ["delivered 000", "undelivered 80"]


async def test_one_receipt_that_fails_does_not_hold_up_the_others() -> None:
    setup = Setup(one_rule())
    bad = carrier_ref(1, "message 0")
    setup.sink.poison = {bad}
    async with setup.running():
        for number in range(3):
            await setup.submit(number)
        await setup.time.pass_by(1.5)
        assert len(setup.sink.taken) == 2
        assert setup.carrier.pending() == 1
        setup.sink.poison = set()
        await setup.time.pass_by(1)
        assert setup.sink.taken[-1][1].carrier_ref == bad


async def test_a_failed_receipt_comes_again_while_another_is_still_in_hand() -> None:
    setup = Setup(one_rule())
    hanging = asyncio.Event()
    taken: list[str] = []

    async def take(receipt: Receipt) -> None:
        if receipt.carrier_ref == carrier_ref(1, "message 0"):
            await hanging.wait()
        elif not taken:
            taken.append("refused")
            raise ValueError("refused")
        taken.append(receipt.carrier_ref)

    setup.carrier.deliver_receipts_to(take)
    async with setup.running():
        await setup.submit(0)
        await setup.submit(1)
        await setup.time.pass_by(3)
        assert taken == ["refused", carrier_ref(1, "message 1")]
        hanging.set()


async def test_stopping_finishes_what_is_in_hand_and_offers_nothing_new() -> None:
    setup = Setup(one_rule())
    run = asyncio.create_task(setup.carrier.run())
    await setup.submit(0)
    setup.sink.gate.clear()
    await setup.time.pass_by(0.5)
    await setup.submit(1)
    await setup.time.pass_by(0.6)
    assert setup.sink.in_hand == 1
    setup.carrier.stop()
    await setup.time.pass_by(5)
    assert not run.done()
    assert isinstance(await setup.submit(2), Deferred)
    setup.sink.gate.set()
    await settle()
    assert run.done()
    assert [receipt.carrier_ref for _, receipt in setup.sink.taken] == [carrier_ref(1, "message 0")]
    assert setup.carrier.pending() == 1


async def test_stopping_before_running_ends_the_run_at_once() -> None:
    setup = Setup(one_rule())
    setup.carrier.stop()
    await setup.carrier.run()


async def test_cancelling_gives_up_what_is_in_hand() -> None:
    setup = Setup(one_rule())
    run = asyncio.create_task(setup.carrier.run())
    setup.sink.gate.clear()
    await setup.submit()
    await setup.time.pass_by(1.1)
    assert setup.sink.in_hand == 1
    run.cancel()
    await settle()
    assert run.cancelled()
    assert setup.sink.in_hand == 0


async def test_receipts_wait_for_a_sink() -> None:
    time = VirtualTime()
    carrier = SimulatedCarrier(clock=time, script=one_rule(), seed=1, speed=1, sleep=time.sleep)
    run = asyncio.create_task(carrier.run())
    await carrier.submit(outbound(0))
    await time.pass_by(1.5)
    assert carrier.pending() == 1
    sink = Sink(time)
    carrier.deliver_receipts_to(sink.take)
    await time.pass_by(1)
    assert len(sink.taken) == 1
    carrier.stop()
    await run


def awaiting(number: int, submitted_at_us: int, dst: str = "4915112345678") -> Awaiting:
    uuid = f"message {number}"
    return Awaiting(message_uuid=uuid, dst=dst, carrier_ref=carrier_ref(1, uuid), submitted_at_us=submitted_at_us)


async def test_a_restart_changes_no_ending_and_no_time() -> None:
    script = one_rule(
        Delivered(weight=5),
        Undelivered(weight=3, code="80"),
        NoReceipt(weight=2),
        receipt_delay=LogNormal(median_s=10, sigma=0.5, max_s=60),
    )
    straight, restarted = Setup(script), Setup(script)
    start_us = straight.time.now_us()
    async with straight.running():
        for number in range(100):
            await straight.carrier.submit(outbound(number))
        await straight.time.pass_by(70)

    restarted.carrier.resume([awaiting(number, start_us) for number in reversed(range(100))])
    async with restarted.running():
        await restarted.time.pass_by(70)
    assert 60 < len(straight.sink.taken) < 95
    assert {receipt for _, receipt in restarted.sink.taken} == {receipt for _, receipt in straight.sink.taken}
    assert restarted.sink.times() == pytest.approx(straight.sink.times(), abs=2 * SOON_S)


async def test_after_a_restart_overdue_receipts_come_soon_but_not_at_once() -> None:
    setup = Setup(one_rule())
    long_ago_us = setup.time.now_us() - 3_600_000_000
    setup.carrier.resume([awaiting(number, long_ago_us) for number in range(200)])
    async with setup.running():
        await setup.time.pass_by(connector.RESUME_SPREAD_S / 2)
        assert 70 < len(setup.sink.taken) < 130
        await setup.time.pass_by(connector.RESUME_SPREAD_S / 2 + SOON_S)
        assert len(setup.sink.taken) == 200


async def test_after_a_restart_overdue_contradictions_keep_their_order() -> None:
    setup = Setup(one_rule(Delivered(later=(LaterUndelivered(after_s=3, code="80"),))))
    setup.carrier.resume([awaiting(0, setup.time.now_us() - 3_600_000_000)])
    async with setup.running():
        await setup.time.pass_by(6)
    assert setup.sink.said() == ["delivered 000", "undelivered 80"]
    first_s, second_s = setup.sink.times()
    assert second_s - first_s == pytest.approx(3, abs=SOON_S)


async def test_numbers_of_unlisted_countries_have_no_network() -> None:
    setup = Setup(one_rule(answers=(Accept(),)))
    outcome = await setup.submit(0, "88212345678")
    assert outcome == Accepted(carrier_refs=(carrier_ref(1, "message 0"),))


async def test_the_built_in_script_settles_within_seconds() -> None:
    setup = Setup(BUILT_IN)
    async with setup.running():
        answers = [
            asyncio.create_task(setup.carrier.submit(outbound(number, f"4915112{number:04d}"))) for number in range(500)
        ]
        await setup.time.pass_by(6.1)
        await settle()
        assert all(isinstance(answer.result(), Accepted) for answer in answers)
        assert setup.carrier.pending() == 0
    assert len(setup.sink.taken) == pytest.approx(490, abs=15)


def receipt(ref: str) -> Receipt:
    return Receipt(connector="simulator", carrier_ref=ref, status=Status.DELIVERED, error_code="000", detail="")


@pytest.mark.parametrize(
    ("now_us", "limit", "taken", "next_due_at_us"),
    [
        (9, 10, [], 10),
        (10, 10, ["a", "c"], 20),
        (10, 1, ["a"], 10),
        (99, 10, ["a", "c", "b"], None),
        (99, 0, [], 10),
    ],
)
def test_the_schedule_gives_what_is_due(now_us: int, limit: int, taken: list[str], next_due_at_us: int | None) -> None:
    schedule = Schedule()
    first = [schedule.add(due_us, receipt(ref)) for due_us, ref in ((20, "b"), (10, "a"), (10, "c"))]
    assert first == [True, True, False]
    assert [each.carrier_ref for _, each in schedule.due(now_us, limit)] == taken
    assert schedule.next_due_at_us() == next_due_at_us
    assert len(schedule) == 3 - len(taken)
