"""Answers that are kept: how long, for whom, and what of failures."""

import asyncio
from typing import Any

import pytest

from ringback.analytics.kept import MOST, Kept
from tests.fakes.clock import FakeClock

SECOND_US = 1_000_000


class Source:
    """Gives 1, 2, 3 and so on, once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = asyncio.Event()
        self.may.set()

    async def find(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may.wait()
        return number


async def get(kept: Kept, source: Source, version: int = 1, **how: Any) -> Any:
    return await kept.get("key", source.find, **{"version": version, "for_us": 5 * SECOND_US, **how})


async def test_an_answer_is_kept_until_it_is_old_or_of_another_version() -> None:
    clock, source = FakeClock(), Source()
    kept = Kept(clock)
    assert [await get(kept, source), await get(kept, source)] == [1, 1]
    assert await get(kept, source, version=2) == 2
    clock.advance(5)
    assert await get(kept, source, version=2) == 3


async def test_who_asks_at_the_same_time_shares_one_question() -> None:
    source = Source()
    kept = Kept(FakeClock())
    source.may.clear()
    first, second = (asyncio.create_task(get(kept, source)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.may.set()
    assert await second == 1


async def test_a_failure_is_not_kept() -> None:
    kept = Kept(FakeClock())

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await kept.get("key", fail, version=1, for_us=SECOND_US)
    assert await get(kept, Source()) == 1


async def test_an_old_answer_is_given_while_the_next_one_is_found() -> None:
    clock, source = FakeClock(), Source()
    kept = Kept(clock)
    assert await get(kept, source, meanwhile_us=60 * SECOND_US) == 1
    clock.advance(30)
    assert await get(kept, source, version=2, meanwhile_us=60 * SECOND_US) == 1
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await get(kept, source, version=2, meanwhile_us=60 * SECOND_US) == 2
    clock.advance(61)
    assert await get(kept, source, version=2, meanwhile_us=60 * SECOND_US) == 3


async def test_old_answers_make_room() -> None:
    kept = Kept(FakeClock())
    for number in range(2 * MOST):
        await kept.get(number, Source().find, version=1, for_us=SECOND_US)
    assert len(kept._entries) <= MOST
