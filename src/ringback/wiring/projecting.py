"""What keeps the analytics file up to date, in the process that has it."""

from ringback.analytics.duck import DuckEngine
from ringback.analytics.projection import Projection
from ringback.analytics.received import Sources
from ringback.metrics import Metrics
from ringback.receiver.times import time_of
from ringback.runtime import Clock
from ringback.settings import Settings
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.wiring.analytics import days_of, identity_of


async def projection_for(
    settings: Settings, file: DuckEngine, *, store: Store, clock: Clock, wakeups: Wakeups, metrics: Metrics
) -> Projection:
    """Return what fills a file from a store."""
    identity = await identity_of(store)
    return Projection(
        store=store,
        identity=identity,
        file=file,
        clock=clock,
        wakeups=wakeups,
        settings=settings.analytics,
        metrics=metrics,
        days=days_of(settings, identity),
        sources=Sources(
            {name: source.account or source.auth_id for name, source in settings.sources.items()},
            time_of(settings.sources),
        ),
        begun_anew=file.begun_anew,
    )
