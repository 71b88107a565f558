"""How often something happened lately. Pure: the time is given."""

from typing import Final

SECOND_US: Final = 1_000_000


class Lately:
    """Counts what happens, and says how often it did in the last whole seconds."""

    SECONDS: Final = 5

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, now_us: int) -> None:
        """Count one."""
        second = now_us // SECOND_US
        if second not in self._counts:
            self._counts = {each: count for each, count in self._counts.items() if each >= second - self.SECONDS}
        self._counts[second] = self._counts.get(second, 0) + 1

    def per_s(self, now_us: int) -> float:
        """Return how many there were a second; the second that has begun does not count."""
        now = now_us // SECOND_US
        return sum(count for second, count in self._counts.items() if now - self.SECONDS <= second < now) / self.SECONDS
