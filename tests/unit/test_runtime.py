import asyncio
import time
from collections.abc import Sequence

import pytest

from ringback.runtime import MOST_BACK_US, BacklogFullError, Batcher, Supervisor, SystemClock, WorkLoop, persist

BOUND_S = 60


class AwayError(Exception):
    """A failure that has nothing to do with the items."""


class Recorder:
    """Writes batches when allowed, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.poison: set[int] = set()
        self.away = False

    async def write(self, items: list[int]) -> Sequence[int]:
        await self.gate.wait()
        self.batches.append(list(items))
        if self.away:
            raise AwayError
        if self.poison & set(items):
            raise ValueError("poison")
        return [item * 10 for item in items]


async def test_callers_that_arrive_during_a_write_share_the_next() -> None:
    recorder = Recorder()
    batcher: Batcher[int, int] = Batcher(recorder.write)
    recorder.gate.clear()
    first = asyncio.create_task(batcher.submit(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    crowd = [asyncio.create_task(batcher.submit(number)) for number in range(1, 50)]
    await asyncio.sleep(0)
    recorder.gate.set()
    assert await asyncio.gather(first, *crowd) == [number * 10 for number in range(50)]
    assert recorder.batches == [[0], list(range(1, 50))]


async def test_weight_bounds_a_batch_but_never_starves_a_heavy_item() -> None:
    recorder = Recorder()
    batcher: Batcher[int, int] = Batcher(recorder.write, max_weight=10, weight=lambda item: item)
    assert await asyncio.gather(*(batcher.submit(weight) for weight in (4, 6, 25, 5))) == [40, 60, 250, 50]
    assert recorder.batches == [[4, 6], [25], [5]]


async def test_a_bad_item_fails_only_its_own_caller() -> None:
    recorder = Recorder()
    recorder.poison = {2}
    batcher: Batcher[int, int] = Batcher(recorder.write, shared_errors=(AwayError,))
    results = await asyncio.gather(*(batcher.submit(number) for number in range(4)), return_exceptions=True)
    assert [result for result in results if not isinstance(result, Exception)] == [0, 10, 30]
    assert isinstance(results[2], ValueError)


async def test_a_shared_error_reaches_everybody_without_single_writes() -> None:
    recorder = Recorder()
    recorder.away = True
    batcher: Batcher[int, int] = Batcher(recorder.write, shared_errors=(AwayError,))
    results = await asyncio.gather(*(batcher.submit(number) for number in range(3)), return_exceptions=True)
    assert all(isinstance(result, AwayError) for result in results)
    assert recorder.batches == [[0, 1, 2]]
    recorder.away = False
    assert await batcher.submit(7) == 70


async def test_a_full_backlog_is_refused_at_once() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher: Batcher[int, int] = Batcher(recorder.write, max_waiting=2)
    waiting = [asyncio.create_task(batcher.submit(number)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BacklogFullError):
        await batcher.submit(3)
    recorder.gate.set()
    assert await asyncio.gather(*waiting) == [0, 10]


async def test_a_cancelled_caller_does_not_disturb_the_others() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    batcher: Batcher[int, int] = Batcher(recorder.write)
    leaving, staying = (asyncio.create_task(batcher.submit(number)) for number in (1, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    recorder.gate.set()
    assert await staying == 20
    assert leaving.cancelled() or leaving.cancelling()


async def test_persist_tries_again_only_for_the_named_error() -> None:
    failures: list[Exception] = [AwayError(), AwayError()]

    async def write() -> str:
        if failures:
            raise failures.pop()
        return "written"

    assert await persist(write, retry_on=AwayError, pause_s=0) == "written"
    failures = [ValueError("defect")]
    with pytest.raises(ValueError, match="defect"):
        await persist(write, retry_on=AwayError, pause_s=0)


class Hint:
    """A hint that tests give by hand; tells when it is waited for."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.waited_for = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        assert timeout_s <= 1.0
        self.waited_for.set()
        await self.event.wait()
        self.event.clear()
        return True

    def wake(self) -> None:
        self.event.set()


async def test_work_loop_claims_in_batches_and_finishes_what_it_has() -> None:
    jobs = list(range(10))
    asked: list[int] = []
    done: list[int] = []
    release = asyncio.Event()

    async def claim(limit: int) -> tuple[list[int], float | None]:
        asked.append(limit)
        taken, jobs[:] = jobs[:limit], jobs[limit:]
        return taken, None

    async def work(job: int) -> None:
        await release.wait()
        done.append(job)

    hint = Hint()
    loop: WorkLoop[int] = WorkLoop("test", claim=claim, work=work, hint=hint, capacity=4, retry_on=KeyError)
    running = asyncio.create_task(loop.run())
    await hint.waited_for.wait()
    assert asked == [4]
    loop.stop()
    release.set()
    await running
    assert done == [0, 1, 2, 3]
    assert jobs == [4, 5, 6, 7, 8, 9]


async def test_work_loop_survives_a_job_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    jobs = [0, 1, 2]

    async def claim(limit: int) -> tuple[list[int], float | None]:
        taken, jobs[:] = jobs[:limit], jobs[limit:]
        return taken, None

    async def work(job: int) -> None:
        if job == 1:
            raise ValueError("defect")
        done.append(job)
        if job == 2:
            loop.stop()

    loop: WorkLoop[int] = WorkLoop("test", claim=claim, work=work, hint=Hint(), capacity=8, retry_on=KeyError)
    await loop.run()
    assert done == [0, 2]


async def test_the_drain_bound_holds_for_jobs_that_never_end() -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def claim(limit: int) -> tuple[list[int], float | None]:
        return ([1] if not started.is_set() else []), None

    async def work(job: int) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cut off")

    loop: WorkLoop[int] = WorkLoop("stuck", claim=claim, work=work, hint=Hint(), capacity=4, retry_on=KeyError)
    supervisor = Supervisor([loop], drain_s=0.01)
    running = asyncio.create_task(supervisor.run())
    await started.wait()
    supervisor.stop()
    async with asyncio.timeout(BOUND_S):
        assert not await running
    assert ended == ["cut off"]


async def test_a_claim_that_fails_as_expected_is_made_again() -> None:
    answers: list[list[int] | KeyError] = [KeyError("away"), [7]]
    done: list[int] = []

    async def claim(limit: int) -> tuple[list[int], float | None]:
        answer = answers.pop(0)
        if isinstance(answer, KeyError):
            hint.wake()
            raise answer
        return answer, None

    async def work(job: int) -> None:
        done.append(job)
        loop.stop()

    hint = Hint()
    loop: WorkLoop[int] = WorkLoop("test", claim=claim, work=work, hint=hint, capacity=4, retry_on=KeyError)
    await loop.run()
    assert done == [7]


class Step:
    """A worker that notes when it stops."""

    def __init__(self, name: str, order: list[str]) -> None:
        self.name = name
        self._order = order
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        await self._stopped.wait()
        self._order.append(self.name)

    def stop(self) -> None:
        self._stopped.set()


async def test_supervisor_stops_workers_one_after_the_other() -> None:
    order: list[str] = []
    supervisor = Supervisor(
        [Step("first", order), Step("second", order)], drain_s=BOUND_S, before_drain=lambda: order.append("gate")
    )
    supervisor.stop()
    assert await supervisor.run()
    assert order == ["gate", "first", "second"]


async def test_supervisor_says_when_the_bound_was_reached() -> None:
    class Stuck(Step):
        def stop(self) -> None:
            """Never ends."""

    supervisor = Supervisor([Stuck("stuck", [])], drain_s=0.01)
    supervisor.stop()
    assert not await supervisor.run()


async def test_supervisor_starts_a_failed_worker_again() -> None:
    class Flaky(Step):
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            if self.runs == 1:
                raise RuntimeError("defect")
            supervisor.stop()

    flaky = Flaky("flaky", [])
    supervisor = Supervisor([flaky], drain_s=BOUND_S)
    assert await supervisor.run()
    assert flaky.runs == 2


def test_a_clock_follows_another_and_never_steps_back() -> None:
    clock = SystemClock(ahead_us=3_600_000_000)
    begun_us = clock.now_us()
    assert begun_us - SystemClock().now_us() == pytest.approx(3_600_000_000, abs=1_000_000)
    clock.correct(7_000_000)
    later_us = clock.now_us()
    assert later_us - begun_us >= 7_000_000
    # An hour back: a little now, the rest with the next corrections, and never before what was given.
    clock.correct(-3_600_000_000)
    assert 0 <= clock.now_us() - later_us < 1_000_000
    for _ in range(3):
        clock.correct(-MOST_BACK_US)
    assert clock.now_us() >= later_us


def test_clock_starts_no_earlier_than_its_floor_and_never_steps_back() -> None:
    far_us = 32_503_680_000_000_000
    clock = SystemClock(floor_us=far_us)
    readings = [clock.now_us() for _ in range(1000)]
    assert readings[0] >= far_us
    assert readings == sorted(readings)


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_step_of_the_system_clock_is_not_seen(monkeypatch: pytest.MonkeyPatch, step_s: int) -> None:
    clock = SystemClock()
    before_us = clock.now_us()
    stepped_ns = time.time_ns() + step_s * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: stepped_ns)
    assert 0 <= clock.now_us() - before_us < 60_000_000
