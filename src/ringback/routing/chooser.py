"""The choice of a route with what this process knows beside the table: what carriers can take, and which are away."""

from collections.abc import Callable, Sequence
from typing import Final

from ringback.model.routes import Route, RoutingTable
from ringback.routing.choose import Facts, Try, candidates, next_route


class Chooser:
    """Shared by the lanes of one process. Times are UTC microseconds."""

    def __init__(self, table: Callable[[], RoutingTable]) -> None:
        self.table: Final = table
        self.carries: Final[dict[str, frozenset[str]]] = {}
        """What each carrier's connector can take."""
        self._down_until_us: dict[str, int] = {}
        self._throttled_until_us: dict[str, int] = {}

    def note_down(self, carrier: str, until_us: int) -> None:
        """Take note that a carrier's link is down: nothing is to be handed to it before ``until_us``."""
        self._down_until_us[carrier] = until_us

    def note_throttled(self, carrier: str, until_us: int) -> None:
        """Take note that a carrier wants less: what has another way takes that before ``until_us``."""
        self._throttled_until_us[carrier] = until_us

    def note_up(self, carrier: str) -> None:
        """Take note that a carrier answers."""
        self._down_until_us.pop(carrier, None)

    def down_until_us(self, carrier: str, now_us: int) -> int | None:
        """Return until when nothing is to be handed to a carrier; ``None`` when it is not down."""
        until_us = self._down_until_us.get(carrier, 0)
        return until_us if until_us > now_us else None

    def choose(self, facts: Facts, tried: Sequence[Try], now_us: int, *, but: str | None = None) -> Route | None:
        """Return the route to take now, ``None`` without one left; carrier ``but`` counts as away."""
        return next_route(candidates(self.table(), facts, self.carries), tried, self._away(now_us, but))

    def elsewhere(self, facts: Facts, tried: Sequence[Try], now_us: int, *, but: str) -> Route | None:
        """Return a route that can be taken at once by another carrier than ``but``, if there is one."""
        found = self.choose(facts, tried, now_us, but=but)
        return found if found is not None and found.carrier not in self._away(now_us, but) else None

    def _away(self, now_us: int, but: str | None) -> set[str]:
        if not self._down_until_us and not self._throttled_until_us:
            return set() if but is None else {but}
        known = (*self._down_until_us.items(), *self._throttled_until_us.items())
        away = {carrier for carrier, until_us in known if until_us > now_us}
        return away | {but} if but is not None else away
