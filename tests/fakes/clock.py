"""A clock that moves only when a test moves it."""


class FakeClock:
    """Implements ``runtime.Clock``."""

    def __init__(self, now_us: int = 1_764_000_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Give the time last set."""
        return self._now_us

    def advance(self, seconds: float) -> int:
        """Move on, and give the new time."""
        self._now_us += round(seconds * 1_000_000)
        return self._now_us
