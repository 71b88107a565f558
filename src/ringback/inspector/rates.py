"""How many requests may come: token buckets, by address and by bin, in the memory of each process."""

from collections import OrderedDict
from typing import Final

MOST_KEYS: Final = 20_000
"""Buckets that are remembered; beyond it the one that was asked longest ago is forgotten, which is full again."""
BURST_S: Final = 2.0
"""A bucket holds what its rate gives in this time, and at least one."""


class Rates:
    """Buckets of one kind."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._most = max(1.0, per_s * BURST_S)
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_us(self, key: str, now_us: int) -> int:
        """Take one from a bucket. Returns 0, or in how many microseconds there will be one."""
        if not self._per_s:
            return 0
        left, at_us = self._buckets.pop(key, (self._most, now_us))
        left = min(self._most, left + max(0, now_us - at_us) / 1_000_000 * self._per_s)
        short = 1.0 - left
        self._buckets[key] = (left if short > 0 else left - 1.0, now_us)
        if len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        return max(1, round(short / self._per_s * 1_000_000)) if short > 0 else 0


class Room:
    """Bytes of bodies that may be in memory at once, over all requests."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0

    def take(self, size: int) -> bool:
        """Take room for ``size`` bytes; returns whether there is."""
        if self._used + size > self._most:
            return False
        self._used += size
        return True

    def give_back(self, size: int) -> None:
        """Give room back."""
        self._used -= size
