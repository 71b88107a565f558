"""The engine of a Ringback that has no analytics: it is always away."""

from collections.abc import AsyncGenerator, Sequence

from ringback.analytics.engine import EXPORT_LIMITS, PAGE_LIMITS, Answer, Limits, Standing
from ringback.analytics.exports import Kind
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

    async def own(self, sql: str, *, account_id: str | None, limits: Limits) -> Answer:
        """Raise ``AnalyticsAway``, whatever is asked."""
        del sql, account_id, limits
        raise AnalyticsAway(_REASON)

    def export(
        self, sql: str, given: Sequence[object] = (), *, kind: Kind, limits: Limits = EXPORT_LIMITS
    ) -> AsyncGenerator[bytes, None]:
        """Raise ``AnalyticsAway`` at its first step."""
        del sql, given, kind, limits
        return _nothing()

    def export_own(
        self, sql: str, *, account_id: str | None, kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        """Raise ``AnalyticsAway`` at its first step."""
        del sql, account_id, kind, limits
        return _nothing()


async def _nothing() -> AsyncGenerator[bytes, None]:
    for reason in (_REASON,):
        raise AnalyticsAway(reason)
    yield b""
