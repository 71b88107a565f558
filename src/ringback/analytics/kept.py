"""Answers that are kept for some seconds, and asked for once when several want the same at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

import msgspec

from ringback.runtime import Clock

MOST: Final = 500


class _Entry(msgspec.Struct, frozen=True):
    version: Hashable
    asked_at_us: int
    answer: asyncio.Task[Any]

    @property
    def is_good(self) -> bool:
        return self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None


class Kept:
    """Answers by key. What failed is not kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}
        self._renewed: dict[Hashable, _Entry] = {}

    async def get(
        self,
        key: Hashable,
        find: Callable[[], Awaitable[Any]],
        *,
        version: Hashable,
        for_us: int,
        meanwhile_us: int = 0,
    ) -> Any:
        """Return the answer of this version that is at most ``for_us`` old, else find one. Raises what ``find`` raises.

        An answer of any version that is at most ``meanwhile_us`` old is returned while the next one is found.
        """
        now_us = self._clock.now_us()
        renewed = self._renewed.get(key)
        if renewed is not None and renewed.answer.done():
            del self._renewed[key]
            if renewed.is_good:
                self._entries[key] = renewed
        known = self._entries.get(key)
        if known is not None and (known.is_good or not known.answer.done()):
            age_us = now_us - known.asked_at_us
            if known.version == version and age_us < for_us:
                return await asyncio.shield(known.answer)
            if known.is_good and age_us < meanwhile_us:
                if key not in self._renewed:
                    self._renewed[key] = _begun(find, version, now_us)
                return known.answer.result()
        self._forget(now_us - max(for_us, meanwhile_us))
        begun = self._entries[key] = _begun(find, version, now_us)
        # Shielded: who goes away does not take the answer from those who wait beside.
        return await asyncio.shield(begun.answer)

    def _forget(self, before_us: int) -> None:
        if len(self._entries) >= MOST:
            young = [(key, entry) for key, entry in self._entries.items() if entry.asked_at_us > before_us]
            self._entries = dict(young[-MOST // 2 :])


def _begun(find: Callable[[], Awaitable[Any]], version: Hashable, now_us: int) -> _Entry:
    answer = asyncio.ensure_future(_run(find))
    # Nobody may be there any more to hear of a failure.
    answer.add_done_callback(lambda done: done.cancelled() or done.exception())
    return _Entry(version, now_us, answer)


async def _run(find: Callable[[], Awaitable[Any]]) -> Any:
    return await find()
