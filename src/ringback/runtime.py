"""How things run: the clock, group commit, supervised workers, and a clean end.

**Batcher.** Durable writes cost an fsync each, and an fsync costs about as much as the rows of nine accepted
messages. The batcher lets concurrent callers share one: while a batch is being written, the callers that arrive wait
together and become the next batch. Nothing is delayed on purpose, so a lone caller pays one write, and a
crowd pays one write for all.

**Supervisor.** Workers run until told to stop. One that fails is logged and started again with a growing
pause. On SIGTERM or SIGINT workers are stopped one after the other in the order given, each finishing
what it has in hand, all within one stated bound.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

import structlog

Item = TypeVar("Item")
Result = TypeVar("Result")

log = structlog.stdlib.get_logger("ringback.runtime")


SWITCH_INTERVAL_S: Final = 0.0002


def favour_writers() -> None:
    """Let the thread that writes take the interpreter back quickly.

    It lets go of the interpreter at every statement, with a transaction open. By default it then waits up to 5 ms
    for a busy event loop, and everybody else who wants to write waits with it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)


YOUNG_OBJECTS: Final = 10_000


def settle() -> None:
    """Leave what is there after the start out of every later collection of garbage, and look for it less often.

    That is some hundred thousand objects which stay until the end: looking through them took 100 ms at a time,
    and requests waited meanwhile. By default Python also looks at each 700 objects more, which hundreds of requests
    in hand are at all times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


class Clock(Protocol):
    """Where the outermost loops read the time."""

    def now_us(self) -> int:
        """UTC time in microseconds since 1970; never less than what it gave before."""
        ...


MOST_BACK_US: Final = 50_000
"""The most by which a clock is put back at a time."""


class SystemClock:
    """UTC time that does not step while the process lives.

    The system clock is read once; from then on time advances with CLOCK_BOOTTIME, which neither NTP steps
    nor an operator's ``date -s`` move. So no retry becomes early or late because the wall clock jumped,
    and no duration is negative. ``floor_us`` keeps it from starting before the newest stored event, should
    the wall clock have been set back while the process was down. ``ahead_us`` is how much another clock, by which
    several machines go, is ahead of this machine's.
    """

    def __init__(self, floor_us: int = 0, *, ahead_us: int = 0) -> None:
        self._ahead_us = ahead_us
        self._last_us = 0
        self.set_floor(floor_us)

    def set_floor(self, floor_us: int) -> None:
        """Anchor the clock anew, at the system's time or at ``floor_us``, whichever is later."""
        self._anchor_us = max(time.time_ns() // 1000 + self._ahead_us, floor_us)
        self._boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def now_us(self) -> int:
        """Anchor plus the time since."""
        now_us = self._anchor_us + (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self._boot_ns) // 1000
        self._last_us = max(self._last_us, now_us)
        return self._last_us

    def correct(self, ahead_us: int) -> None:
        """Follow a clock that is ahead by so much: at once, but where it is behind only a little at a time.

        What was given before stands: while this clock goes back it stands still, for no longer than that little.
        """
        self._anchor_us += max(ahead_us, -MOST_BACK_US)


class BacklogFullError(Exception):
    """More callers wait for a batcher than it may hold; the boundary says "try later"."""


class Batcher(Generic[Item, Result]):
    """Coalesces concurrent callers of :meth:`submit` into calls of ``write`` with many items.

    ``write`` gets a list of items and gives one result per item, in order. When it fails for a batch and
    the error is not one of ``shared_errors`` (those that have nothing to do with the items, such as a
    database that is away), each item is written alone, so that one bad item fails only its own caller.
    ``weight`` says how much of ``max_weight`` an item takes; that may be asked for anew before each write.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        max_weight: int | Callable[[], int] = 512,
        max_waiting: int = 20_000,
        weight: Callable[[Item], int] = lambda _: 1,
        shared_errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self._write = write
        self._max_weight = max_weight
        self._max_waiting = max_waiting
        self._weight = weight
        self._shared_errors = shared_errors
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Write ``item`` with whatever else is waiting and return its result.

        Raises what ``write`` raised for it, or ``BacklogFullError``. A caller that is cancelled stops
        waiting; its item may be written all the same.
        """
        if len(self._waiting) >= self._max_waiting:
            raise BacklogFullError
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        return await future

    async def _write_all(self) -> None:
        # One turn of the loop lets every caller that is ready now join the first batch.
        await asyncio.sleep(0)
        while self._waiting:
            batch = self._take()
            try:
                await self._write_batch(batch)
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(asyncio.CancelledError())
                self._writer = None
                if not isinstance(error, asyncio.CancelledError):
                    raise
                return
        self._writer = None

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch = [self._waiting.popleft()]
        most = self._max_weight if isinstance(self._max_weight, int) else self._max_weight()
        room = most - self._weight(batch[0][0])
        while self._waiting and self._weight(self._waiting[0][0]) <= room:
            entry = self._waiting.popleft()
            room -= self._weight(entry[0])
            batch.append(entry)
        return batch

    async def _write_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except self._shared_errors as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - boundary: the error belongs to the callers, who get it
            if len(batch) == 1:
                _fail(batch, error)
                return
            for entry in batch:
                await self._write_batch([entry])
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


async def persist(
    write: Callable[[], Awaitable[Result]], *, retry_on: type[Exception], pause_s: float = 0.25
) -> Result:
    """Write until it works: for facts that happened outside and cannot be made to unhappen.

    Ends with the result, with an error other than ``retry_on``, or when cancelled (the drain bound).
    """
    while True:
        try:
            return await write()
        except retry_on as error:
            log.warning("write_failed_trying_again", error=str(error), pause_s=pause_s)
        await asyncio.sleep(pause_s)


class Worker(Protocol):
    """Something that runs for as long as the process does."""

    name: str

    async def run(self) -> None:
        """Work until stopped, and return when everything in hand is finished."""
        ...

    def stop(self) -> None:
        """Take no new work."""
        ...


class Hint(Protocol):
    """Something that may say that there is work."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait for a hint, at most so long."""
        ...

    def wake(self) -> None:
        """End the wait now."""
        ...


POLL_S: Final = 1.0
"""The longest a work loop goes without looking; hints only make it look sooner."""


class WorkLoop(Generic[Item]):
    """A worker that claims jobs and does many at once.

    ``claim(limit)`` takes up to so many jobs that are due and says in how many seconds the next one is
    (``None`` when there is none). One that fails with ``retry_on`` is made again after a pause. ``work`` does
    one job; it deals with its own failures. A claim is made when at least a quarter of ``capacity`` is free, so
    that a busy loop claims in batches and not one by one.

    A loop that is cancelled cuts its jobs off: what they did is not recorded, and is done again by whoever
    holds the work next.
    """

    def __init__(
        self,
        name: str,
        *,
        claim: Callable[[int], Awaitable[tuple[Sequence[Item], float | None]]],
        work: Callable[[Item], Awaitable[None]],
        hint: Hint,
        capacity: int,
        retry_on: type[Exception],
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_stop`` lets jobs in hand come to their end sooner, where they may wait for somebody else."""
        self.name = name
        self._claim = claim
        self._work = work
        self._hint = hint
        self._capacity = capacity
        self._retry_on = retry_on
        self._on_stop = on_stop
        self._least_free = max(1, capacity // 4)
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def run(self) -> None:
        """Claim and work until stopped; then finish what is in hand."""
        try:
            while not self._stopping:
                await self._fill()
            await self._finish()
        except asyncio.CancelledError:
            for task in self._running:
                task.cancel()
            await self._finish()
            raise

    async def _fill(self) -> None:
        free = self._capacity - len(self._running)
        if free < self._least_free:
            await self._hint.wait(POLL_S)
            return
        try:
            jobs, next_due_s = await self._claim(free)
        except self._retry_on as error:
            log.warning("claim_failed_trying_again", loop=self.name, error=str(error), pause_s=POLL_S)
            jobs, next_due_s = (), None
        for job in jobs:
            self._start(job)
        if len(jobs) < free and not self._stopping:
            await self._hint.wait(POLL_S if next_due_s is None else min(max(next_due_s, 0), POLL_S))

    async def _finish(self) -> None:
        if self._running:
            await asyncio.wait(self._running)

    def stop(self) -> None:
        """Claim no more."""
        self._stopping = True
        self._on_stop()
        self._hint.wake()

    def _start(self, job: Item) -> None:
        task = asyncio.create_task(self._do(job))
        self._running.add(task)
        task.add_done_callback(self._finished)

    async def _do(self, job: Item) -> None:
        try:
            await self._work(job)
        except Exception:
            # Boundary: a defect met with one job must not end the loop; the job's lease runs out and it is
            # taken again.
            log.exception("job_failed", loop=self.name)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._capacity - len(self._running) == self._least_free:
            self._hint.wake()


RESTART_PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
HEALTHY_AFTER_S: Final = 60.0
"""A worker that ran for so long is not in a row of failures any more."""


class Supervisor:
    """Runs workers, restarts those that fail, and stops them in order."""

    def __init__(
        self,
        workers: Sequence[Worker],
        *,
        drain_s: float,
        before_drain: Callable[[], None] = lambda: None,
        is_inner: bool = False,
    ) -> None:
        """``is_inner``: it is a worker's of another one, which says when draining begins and ends."""
        self._workers = workers
        self._drain_s = drain_s
        self._before_drain = before_drain
        self._is_inner = is_inner
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin the orderly end; a second call changes nothing."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """Let SIGTERM and SIGINT begin the orderly end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def run(self) -> bool:
        """Run until stopped. Returns whether everything in hand was finished within ``drain_s``."""
        tasks = {worker.name: asyncio.create_task(self._keep_running(worker)) for worker in self._workers}
        try:
            await self._stopping.wait()
            if not self._is_inner:
                log.info("draining", bound_s=self._drain_s)
            self._before_drain()
            return await self._drain(tasks)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _drain(self, tasks: dict[str, asyncio.Task[None]]) -> bool:
        try:
            async with asyncio.timeout(self._drain_s):
                for worker in self._workers:
                    worker.stop()
                    await asyncio.wait([tasks[worker.name]])
        except TimeoutError:
            unfinished = [name for name, task in tasks.items() if not task.done()]
            log.warning("drain_bound_reached", unfinished=unfinished, bound_s=self._drain_s)
            return False
        if not self._is_inner:
            log.info("drained")
        return True

    async def _keep_running(self, worker: Worker) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                await worker.run()
            except Exception:
                # Boundary: a defect in one worker must not end the others.
                log.exception("worker_failed", worker=worker.name)
            if self._stopping.is_set():
                return
            if loop.time() - started_s > HEALTHY_AFTER_S:
                failures = 0
            pause_s = RESTART_PAUSES_S[min(failures, len(RESTART_PAUSES_S) - 1)]
            failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return


def configure_logging(level: str) -> None:
    """Send log lines to standard error: JSON, or columns when a person is looking at a terminal."""
    person = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    # Local variables hold tokens and texts, which a traceback must not show.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if person else [structlog.processors.format_exc_info]),
            console if person else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=_StderrLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


class _StderrLoggerFactory:
    """Print loggers on standard error that carry a name, as ``add_logger_name`` wants."""

    def __call__(self, *args: object) -> "_StderrLogger":
        return _StderrLogger(str(args[0]) if args else "ringback")


class _StderrLogger(structlog.PrintLogger):
    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name
