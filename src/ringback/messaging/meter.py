"""How many requests an account makes: sliding windows, in the memory of this process.

A window is counted in parts of a fiftieth, and a part counts until all of it has left the window. So no window of that
length ever has more than the limit, and what an account takes in memory does not depend on the limit.
"""

from collections import deque
from typing import Final

from ringback.model.errors import TooManyRequests
from ringback.store.limits import Limit, Limits

PARTS: Final = 50
MOST_KEYS: Final = 10_000
"""Accounts that a window remembers; those that have made no request for as long as it is are forgotten first."""

REFUSED: Final = "too many requests"


class SlidingWindow:
    """Counts by key over the last ``length_us``."""

    def __init__(self, length_us: int) -> None:
        self._part_us = length_us // PARTS
        self._counts: dict[str, _Count] = {}

    def take(self, key: str, limit: int, now_us: int) -> int:
        """Count one more and return 0; where there are ``limit`` already, the microseconds until there are fewer."""
        part = now_us // self._part_us
        count = self._counts.get(key)
        if count is None:
            self._make_room(part)
            count = self._counts[key] = _Count()
        count.forget(part - PARTS)
        if count.total >= limit:
            if not count.parts:
                return self._part_us * (PARTS + 1)
            return (count.parts[0][0] + PARTS + 1) * self._part_us - now_us
        count.add(part)
        return 0

    def _make_room(self, part: int) -> None:
        if len(self._counts) < MOST_KEYS:
            return
        for key, count in list(self._counts.items()):
            count.forget(part - PARTS)
            if not count.parts:
                del self._counts[key]
        while len(self._counts) >= MOST_KEYS:
            del self._counts[next(iter(self._counts))]


class _Count:
    """One key's count by parts of the window."""

    __slots__ = ("parts", "total")

    def __init__(self) -> None:
        self.parts: deque[list[int]] = deque()
        self.total = 0

    def add(self, part: int) -> None:
        if self.parts and self.parts[-1][0] == part:
            self.parts[-1][1] += 1
        else:
            self.parts.append([part, 1])
        self.total += 1

    def forget(self, before: int) -> None:
        """Let go of parts before ``before``."""
        while self.parts and self.parts[0][0] < before:
            self.total -= self.parts.popleft()[1]


class RequestMeter:
    """Keeps accounts to their limits of requests."""

    def __init__(self) -> None:
        self._requests = SlidingWindow(5_000_000)
        self._lists = SlidingWindow(60_000_000)
        self._in_hand: dict[str, int] = {}

    def begin(self, limits: Limits, *, is_list: bool, now_us: int) -> str | None:
        """Take a request in hand; returns what ``end`` is to be given. Raises ``TooManyRequests``."""
        if limit := limits.requests_per_5_s:
            _keep_to(limit, self._requests, now_us)
        if is_list and (limit := limits.lists_per_minute):
            _keep_to(limit, self._lists, now_us)
        if not (limit := limits.concurrent_requests):
            return None
        in_hand = self._in_hand.get(limit.owner, 0)
        if in_hand >= limit.value:
            raise TooManyRequests(REFUSED, retry_after_s=1)
        self._in_hand[limit.owner] = in_hand + 1
        return limit.owner

    def end(self, owner: str | None) -> None:
        """Let go of a request."""
        if owner is None:
            return
        left = self._in_hand[owner] - 1
        if left:
            self._in_hand[owner] = left
        else:
            del self._in_hand[owner]


def _keep_to(limit: Limit, window: SlidingWindow, now_us: int) -> None:
    if wait_us := window.take(limit.owner, int(limit.value), now_us):
        raise TooManyRequests(REFUSED, retry_after_s=-(-wait_us // 1_000_000))
