"""Answers that are kept: while nothing is new, and longer when they were dear."""

import asyncio

import pytest

from ringback.analytics.kept import CHEAP_US, DEAR, LONGEST_US, Kept
from tests.fakes.clock import FakeClock

FOR_US = 5_000_000


class Finder:
    """Finds another answer each time, in a time that a test says."""

    def __init__(self, clock: FakeClock) -> None:
        self.asked = 0
        self.takes_us = 0
        self._clock = clock

    async def __call__(self) -> int:
        self.asked += 1
        self._clock.advance(self.takes_us / 1_000_000)
        return self.asked


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the finder moves."""
    return FakeClock()


async def test_an_answer_is_kept_while_nothing_is_new(clock: FakeClock) -> None:
    kept, find = Kept(clock), Finder(clock)
    assert await kept.get("a", find, for_us=FOR_US, mark=1) == 1
    assert await kept.get("a", find, for_us=FOR_US, mark=1) == 1
    assert await kept.get("b", find, for_us=FOR_US, mark=1) == 2
    assert await kept.get("a", find, for_us=FOR_US, mark=2) == 3
    clock.advance(FOR_US / 1_000_000)
    assert await kept.get("a", find, for_us=FOR_US, mark=2) == 4


async def test_a_dear_answer_is_kept_though_there_is_something_new(clock: FakeClock) -> None:
    kept, find = Kept(clock), Finder(clock)
    find.takes_us = 2 * CHEAP_US
    assert await kept.get("a", find, for_us=FOR_US, mark=1) == 1
    clock.advance(find.takes_us * DEAR / 1_000_000 - 1)
    assert await kept.get("a", find, for_us=FOR_US, mark=2) == 1
    clock.advance(1)
    assert await kept.get("a", find, for_us=FOR_US, mark=2) == 2


async def test_no_answer_is_kept_for_ever(clock: FakeClock) -> None:
    kept, find = Kept(clock), Finder(clock)
    find.takes_us = LONGEST_US
    assert await kept.get("a", find, for_us=FOR_US, mark=1) == 1
    clock.advance(LONGEST_US / 1_000_000)
    assert await kept.get("a", find, for_us=FOR_US, mark=2) == 2


async def test_several_who_want_the_same_ask_once_and_failures_are_not_kept(clock: FakeClock) -> None:
    kept, find = Kept(clock), Finder(clock)
    assert await asyncio.gather(*(kept.get("a", find, for_us=FOR_US) for _ in range(3))) == [1, 1, 1]

    async def fail() -> int:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            await kept.get("b", fail, for_us=FOR_US)
    assert await kept.get("b", find, for_us=FOR_US) == 2
