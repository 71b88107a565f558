"""Carriers and routes as they are now: read again when their version in the database has moved on."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ringback.model.errors import StoreUnavailable
from ringback.model.routes import RoutingTable
from ringback.store import routing
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.routing")

INTERVAL_S: Final = 0.5
"""Every process goes by a change after this time at most."""
TOPIC: Final = "routing"


class RoutesFollower:
    """Holds the table; a ``Worker`` that keeps it up to date."""

    name = "routes"

    def __init__(self, store: Store, wakeups: Wakeups, *, interval_s: float = INTERVAL_S) -> None:
        self._store = store
        self._hint = wakeups.listen(TOPIC)
        self._interval_s = interval_s
        self._table = RoutingTable()
        self._told: list[Callable[[RoutingTable], None]] = []
        self._stopping = False

    def now(self) -> RoutingTable:
        """Return the table as last read."""
        return self._table

    def tell(self, hear: Callable[[RoutingTable], None]) -> None:
        """Call ``hear`` with each new table from now on."""
        self._told.append(hear)

    async def look(self) -> None:
        """Read the table if it has changed. Raises ``StoreUnavailable``."""
        if await self._store.read(routing.version) == self._table.version:
            return
        self._table = await self._store.read(routing.read)
        log.info(
            "routes_read",
            version=self._table.version,
            carriers=len(self._table.carriers),
            routes=len(self._table.routes),
        )
        for hear in self._told:
            hear(self._table)

    async def run(self) -> None:
        """Look now and then until stopped."""
        while not self._stopping:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("routes_not_read", error=str(error), consequence="the ones known go on")
            await self._hint.wait(self._interval_s)
        await asyncio.sleep(0)

    def stop(self) -> None:
        """Follow no more."""
        self._stopping = True
        self._hint.wake()
