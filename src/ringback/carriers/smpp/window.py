"""How much may be on its way at a time, and how fast: learned from what the peer says. Pure: the time is given."""

from typing import Final

LEAST: Final = 1.0
NEARLY: Final = 90
CONGESTED: Final = 100
"""Of ``congestion_state`` (SMPP 5.0, 4.8.4.18): from 90 on a peer is nearly congested, at 100 it is."""
FIRST_HOLD_S: Final = 0.5
MOST_HOLD_S: Final = 30.0
SECOND_US: Final = 1_000_000


class Window:
    """Requests that may await their answer, between 1 and ``most``.

    A peer that throttles halves it and is left alone for a while, longer each time in a row; every answer lets it grow
    by a little, so that some ``allowed`` answers make it one wider.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._hold_s = 0.0
        self._halve_from_us = 0
        self.held_until_us = 0
        """Nothing goes before then."""

    @property
    def allowed(self) -> int:
        """How many there may be."""
        return int(self._allowed)

    def answered(self, now_us: int = 0, congestion: int | None = None) -> None:
        """Take note that the peer took one, and how busy it says that it is, 0 to 100.

        Nearly congested, the window shrinks as slowly as it grows otherwise; congested, it is halved, once in the time
        that the first hold takes.
        """
        self._hold_s = 0.0
        if congestion is None or congestion < NEARLY:
            self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        elif congestion < CONGESTED:
            self._allowed = max(LEAST, self._allowed - 1 / self._allowed)
        elif now_us >= self._halve_from_us:
            self._halve_from_us = now_us + round(FIRST_HOLD_S * SECOND_US)
            self._allowed = max(LEAST, self._allowed / 2)

    def throttled(self, now_us: int) -> None:
        """Take note that the peer wants less. Answers to what went before the hold began make it no longer."""
        if now_us < self.held_until_us:
            return
        self._allowed = max(LEAST, self._allowed / 2)
        self._hold_s = min(MOST_HOLD_S, self._hold_s * 2 or FIRST_HOLD_S)
        self.held_until_us = now_us + round(self._hold_s * SECOND_US)


class Pace:
    """Spreads requests evenly over each second; ``per_s`` 0 is no limit."""

    def __init__(self, per_s: float) -> None:
        self._step_us = SECOND_US / per_s if per_s else 0.0
        self._next_us = 0.0

    def wait_us(self, now_us: int) -> int:
        """Take the next turn; returns how long it is until then."""
        if not self._step_us:
            return 0
        at_us = max(self._next_us, float(now_us))
        self._next_us = at_us + self._step_us
        return round(at_us - now_us)
