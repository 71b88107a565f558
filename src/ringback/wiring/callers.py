"""Carriers that call back, as sources: whoever is configured now, in the file or by command."""

from ringback.model.errors import ConfigInvalid, TryLater
from ringback.model.routes import Carrier
from ringback.routing.follow import INTERVAL_S
from ringback.runtime import Clock
from ringback.settings import Settings, SourceSettings
from ringback.store import routing
from ringback.store.cached import Cached
from ringback.store.port import Store, Transaction
from ringback.wiring.connectors import source_of


class CallingCarriers:
    """Finds carriers by name; a change holds as soon as it does for whoever hands messages over."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._carriers = Cached(store, _by_name, ttl_s=INTERVAL_S)

    async def source(self, carrier: str) -> SourceSettings | None:
        """Return whose callbacks it sends; ``None`` where it sends none. Raises ``TryLater``."""
        known = await self._carriers.get(self._clock.now_us())
        try:
            return source_of(known[carrier], self._settings) if carrier in known else None
        except ConfigInvalid as error:
            raise TryLater(str(error)) from error


def _by_name(tx: Transaction) -> dict[str, Carrier]:
    return {carrier.name: carrier for carrier in routing.all_carriers(tx)}
