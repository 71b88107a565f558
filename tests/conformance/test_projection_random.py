"""Whatever happens in whatever order: many small batches, one rebuild and the plain reference agree."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.store import sqlite
from tests.fakes.clock import FakeClock
from tests.fakes.projected import Bench

MESSAGES = 6
Step = tuple[str, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(
            ("accept", "sent", "end", "end", "duplicate", "late", "convert", "wait", "take", "take", "house", "restart")
        ),
        st.integers(min_value=0, max_value=MESSAGES - 1),
    ),
    max_size=40,
)
WAITS_S = (0.5, 5, 70, 3_600, 30 * 3_600, 3 * 86_400)
ENDS = ("delivered", "undelivered", "failed", "delivered", "delivered", "undelivered")
SAID = ("CONVERTED", "NOT_CONVERTED", "CONVERTED_WITH_OTHERS")


class Life:
    """What has happened so far, so that only what may happen next does."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.status: dict[int, str] = {}

    async def step(self, kind: str, number: int) -> None:  # noqa: C901 - a table of cases
        """Let one thing happen, if it may."""
        bench, status = self.bench, self.status.get(number)
        if kind == "wait":
            bench.clock.advance(WAITS_S[number])
        elif kind == "take":
            await bench.projection.catch_up()
        elif kind == "house":
            bench.projection._kept_at_s = float("-inf")
            await bench.projection._keep_house()
        elif kind == "seal":
            await bench.seal_all()
        elif kind == "restart":
            bench.projected()
        elif kind == "accept" and status is None:
            await bench.accept(number, trackable=bool(number % 2), carrier_fees_rate="0.00125" if number > 3 else None)
            self.status[number] = "queued"
        elif status is None:
            return
        elif kind == "sent" and status == "queued":
            await bench.report(number, "sent", connector="c", route="r", mcc="310", mnc="260", network="N")
            self.status[number] = "sent"
        elif kind == "end" and (status == "sent" or (status == "queued" and ENDS[number] == "failed")):
            await bench.report(number, ENDS[number], error_code="000" if ENDS[number] == "delivered" else "300")
            self.status[number] = ENDS[number]
        elif kind in {"duplicate", "late"}:
            await bench.report(number, "sent", flag=kind)
        elif kind == "convert":
            await bench.convert(number, SAID[number % 3])


@asynccontextmanager
async def a_life() -> AsyncIterator[Life]:
    """Give a life that has just begun, on a store and a file of its own."""
    with tempfile.TemporaryDirectory() as directory:
        store = sqlite.open_store(Path(directory), busy_timeout_s=4)
        try:
            bench = Bench(store, FakeClock(), Path(directory) / "analytics")
            async with bench.engine:
                yield Life(bench)
        finally:
            await store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_small_batches_a_rebuild_and_the_reference_agree(happening: list[Step]) -> None:
    asyncio.run(_check(happening))


async def _check(happening: list[Step]) -> None:
    async with a_life() as life:
        bench = life.bench
        for kind, number in happening:
            await life.step(kind, number)
        await bench.check()
        await bench.begin_anew()
        await bench.check()


lives = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "accept",
                "accept",
                "sent",
                "end",
                "end",
                "duplicate",
                "late",
                "convert",
                "wait",
                "wait",
                "take",
                "seal",
                "seal",
            )
        ),
        st.integers(min_value=0, max_value=MESSAGES - 1),
    ),
    min_size=12,
    max_size=60,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives, lives, st.sets(st.integers(min_value=0, max_value=4)))
def test_what_is_made_of_sealed_days_is_what_the_log_says(
    before: list[Step], after: list[Step], lost: set[int]
) -> None:
    asyncio.run(_check_days(before, after, lost))


async def _check_days(before: list[Step], after: list[Step], lost: set[int]) -> None:
    """Lose the file twice, some of the days with it, and each time what was not taken in yet."""
    async with a_life() as life:
        bench = life.bench
        for happening in (before, after):
            for kind, number in happening:
                await life.step(kind, number)
            days = bench.projection._days
            for place, day in enumerate(days.sealed()):
                if place in lost:
                    days.path("messages", day).unlink()
            await bench.begin_anew()
            await bench.check()
