"""Answers that are kept for some seconds, and asked for once when several want the same at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

from ringback.runtime import Clock

MOST: Final = 500


class Kept:
    """Answers by key. What failed is not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[Hashable, tuple[int, asyncio.Task[Any]]] = {}

    async def get(self, key: Hashable, find: Callable[[], Awaitable[Any]], *, for_us: int) -> Any:
        """Return the answer that is kept, else find one. Raises what ``find`` raises."""
        now_us = self._clock.now_us()
        known = self._answers.get(key)
        if known is None or known[0] <= now_us or _has_failed(known[1]):
            self._forget(now_us)
            known = (now_us + for_us, asyncio.ensure_future(_run(find)))
            known[1].add_done_callback(_has_failed)
            self._answers[key] = known
        # Shielded: who goes away does not take the answer from those who wait beside.
        return await asyncio.shield(known[1])

    def _forget(self, now_us: int) -> None:
        if len(self._answers) < MOST:
            return
        fresh = {key: known for key, known in self._answers.items() if known[0] > now_us}
        self._answers = dict(list(fresh.items())[-MOST // 2 :])


async def _run(find: Callable[[], Awaitable[Any]]) -> Any:
    return await find()


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
