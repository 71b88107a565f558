"""The engine of a Ringback that has no analytics: it is always away."""

from collections.abc import AsyncGenerator, Sequence
from typing import NoReturn

from ringback.analytics.engine import EXPORT_LIMITS, PAGE_LIMITS, Answer, Limits, Standing
from ringback.analytics.exports import Kind
from ringback.model.errors import AnalyticsAway


class NoEngine:
    """Answers nothing; see ``Engine``. Every method raises ``AnalyticsAway``, whatever is asked."""

    async def ask(self, sql: str, given: Sequence[object] = (), *, limits: Limits = PAGE_LIMITS) -> Answer:
        del sql, given, limits
        _away()

    async def standing(self) -> Standing:
        _away()

    async def own(self, sql: str, *, account_id: str | None, limits: Limits) -> Answer:
        del sql, account_id, limits
        _away()

    def export(
        self, sql: str, given: Sequence[object] = (), *, kind: Kind, limits: Limits = EXPORT_LIMITS
    ) -> AsyncGenerator[bytes, None]:
        del sql, given, kind, limits
        return _nothing()

    def export_own(
        self, sql: str, *, account_id: str | None, kind: Kind, limits: Limits
    ) -> AsyncGenerator[bytes, None]:
        del sql, account_id, kind, limits
        return _nothing()


def _away() -> NoReturn:
    raise AnalyticsAway("no process of this Ringback has the role analytics")


async def _nothing() -> AsyncGenerator[bytes, None]:
    parts: tuple[bytes, ...] = ()
    for part in parts:
        yield part
    _away()
