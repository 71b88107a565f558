"""Which messages to ask about, and when: those whose last callback may have come while nobody was there to take it.

Pure: the time is given. A message is asked about at once, then after pauses that double, until it has ended or is too
old for anything to come.
"""

import heapq
import itertools
from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.carriers.port import Awaiting

SECOND_US: Final = 1_000_000
FIRST_PAUSE_US: Final = 60 * SECOND_US
MOST_PAUSE_US: Final = 3600 * SECOND_US
MOST_AGE_US: Final = 86_400 * SECOND_US
"""A message that was handed over so long ago is asked about once more, and then no more."""


class Open(msgspec.Struct, frozen=True):
    """A message that has not ended, as far as is known."""

    carrier_ref: str
    submitted_at_us: int
    asked: int = 0


class CatchUp:
    """The messages that are still to be asked about."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, Open]] = []
        self._turns = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, awaiting: Sequence[Awaiting], now_us: int) -> None:
        """Ask about these, in their order."""
        for each in awaiting:
            self._push(now_us, Open(each.carrier_ref, each.submitted_at_us))

    def due_in_s(self, now_us: int) -> float | None:
        """Return in how many seconds the next one is due; ``None`` when there is none."""
        return max(self._waiting[0][0] - now_us, 0) / SECOND_US if self._waiting else None

    def take(self, now_us: int) -> Open | None:
        """Take the next one that is due."""
        if not self._waiting or self._waiting[0][0] > now_us:
            return None
        return heapq.heappop(self._waiting)[2]

    def still_open(self, message: Open, now_us: int) -> None:
        """Ask about it again later, unless it is too old."""
        if now_us - message.submitted_at_us < MOST_AGE_US:
            pause_us = min(FIRST_PAUSE_US * 2 ** min(message.asked, 16), MOST_PAUSE_US)
            self._push(now_us + pause_us, msgspec.structs.replace(message, asked=message.asked + 1))

    def not_answered(self, message: Open, now_us: int, *, pause_s: float) -> None:
        """Ask again what was not answered: that was no turn."""
        self._push(now_us + round(pause_s * SECOND_US), message)

    def _push(self, due_at_us: int, message: Open) -> None:
        heapq.heappush(self._waiting, (due_at_us, next(self._turns), message))
