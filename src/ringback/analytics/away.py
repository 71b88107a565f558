"""The engine of a Ringback that has no analytics: it is always away."""

from collections.abc import Sequence

from ringback.analytics.engine import PAGE_LIMITS, Answer, Limits, Standing
from ringback.model.errors import AnalyticsAway

_REASON = "no process of this Ringback has the role analytics"


class NoEngine:
    """Answers nothing; see ``Engine``."""

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        """Raise ``AnalyticsAway``, whatever is asked."""
        del sql, given, limits
        raise AnalyticsAway(_REASON)

    async def standing(self) -> Standing:
        """Raise ``AnalyticsAway``."""
        raise AnalyticsAway(_REASON)
