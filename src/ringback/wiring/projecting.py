"""The role ``analytics``: what keeps the file up to date."""

from ringback.analytics.projection import Projection
from ringback.runtime import Worker
from ringback.wiring.analytics import days_of, identity_of
from ringback.wiring.core import Core


async def projecting(core: Core) -> list[Worker]:
    """Return what keeps the file up to date, nothing where another process does."""
    if core.analytics_file is None:
        return []
    identity = await identity_of(core.store)
    projection = Projection(
        store=core.store,
        identity=identity,
        file=core.analytics_file,
        clock=core.clock,
        wakeups=core.wakeups,
        settings=core.settings.analytics,
        metrics=core.metrics,
        days=days_of(core.settings, identity),
        begun_anew=core.analytics_file.begun_anew,
    )
    return [projection]
