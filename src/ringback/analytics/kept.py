"""Answers that are kept for some seconds, and asked for once when several want the same at a time.

An answer is given again while nothing new has come in, for a time that the asker names. One that took long to find is
given again even when something has, for ``DEAR`` times as long as that took: three months do not look different for
a second's messages, and a page that is renewed by itself must not keep the machine busy with them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

from ringback.runtime import Clock

MOST: Final = 500
CHEAP_US: Final = 150_000
"""An answer that took less is found anew as soon as there is anything new."""
DEAR: Final = 30
LONGEST_US: Final = 60_000_000


class Kept:
    """Answers by key. What failed is not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[Hashable, _Answer] = {}

    async def get(
        self, key: Hashable, find: Callable[[], Awaitable[Any]], *, for_us: int, mark: Hashable = None
    ) -> Any:
        """Return the answer that is kept, else find one. Raises what ``find`` raises.

        ``mark`` is another one as soon as the answer may be.
        """
        now_us = self._clock.now_us()
        known = self._answers.get(key)
        if known is None or not known.is_good(now_us, mark):
            self._forget(now_us)
            known = self._answers[key] = _Answer(self._clock, find, mark=mark, until_us=now_us + for_us)
        # Shielded: who goes away does not take the answer from those who wait beside.
        return await asyncio.shield(known.task)

    def _forget(self, now_us: int) -> None:
        if len(self._answers) < MOST:
            return
        good = {key: known for key, known in self._answers.items() if known.is_good(now_us, known.mark)}
        self._answers = dict(list(good.items())[-MOST // 2 :])


class _Answer:
    """One answer, while it is looked for and from then on."""

    def __init__(self, clock: Clock, find: Callable[[], Awaitable[Any]], *, mark: Hashable, until_us: int) -> None:
        self.mark = mark
        self._clock = clock
        self._begun_us = clock.now_us()
        self._until_us = until_us
        self._dear_until_us = 0
        self.task = asyncio.ensure_future(_run(find))
        self.task.add_done_callback(self._found)

    def is_good(self, now_us: int, mark: Hashable) -> bool:
        """Say whether it may be given now, to somebody who knows that things are at ``mark``."""
        if self.task.done() and _has_failed(self.task):
            return False
        return (mark == self.mark and now_us < self._until_us) or now_us < self._dear_until_us

    def _found(self, task: asyncio.Task[Any]) -> None:
        now_us = self._clock.now_us()
        took_us = now_us - self._begun_us
        if not _has_failed(task) and took_us > CHEAP_US:
            self._dear_until_us = now_us + min(took_us * DEAR, LONGEST_US)


async def _run(find: Callable[[], Awaitable[Any]]) -> Any:
    return await find()


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None
