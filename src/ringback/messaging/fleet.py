"""All carriers of one process: a connector and a submitting worker for each that is configured.

The table of carriers may change at any time. One that is new or has other settings gets a connector, one that is gone
is drained; what was in hand is finished first. A carrier that cannot be opened has a connector too: it says why, and
puts everything off, so that its messages expire or take another way like those of a link that is down.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from ringback.carriers.port import (
    Awaiting,
    Connector,
    Deferred,
    InboundSink,
    Outbound,
    ReceiptSink,
    Snapshot,
    SubmitOutcome,
)
from ringback.model.errors import ConfigInvalid, StoreUnavailable
from ringback.model.routes import Carrier, RoutingTable
from ringback.routing.chooser import Chooser
from ringback.routing.configured import FRESH_US
from ringback.runtime import Clock, Supervisor, Worker
from ringback.store import routing, submissions
from ringback.store.port import Store, Transaction
from ringback.store.routing import Link

log = structlog.stdlib.get_logger("ringback.messaging.fleet")

TELL_EVERY_S: Final = 1.0
"""How old what the dashboard shows of a link may be."""
TELL_AGAIN_US: Final = 20_000_000
"""A link of which nothing has changed is told of again after this time: its process lives."""
RELEASE_AT_ONCE: Final = 200
UNOPENED_RETRY_S: Final = 5.0


class Unopened:
    """A ``Connector`` of a carrier that cannot be opened."""

    def __init__(self, name: str, why: str, now_us: int) -> None:
        self.name = name
        self.carries = frozenset({"sms", "mms"})
        self._why = why
        self._since_us = now_us
        self._stopping = asyncio.Event()

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Put it off."""
        del message
        return Deferred(retry_after_s=UNOPENED_RETRY_S, detail=self._why, reason="down")

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """There will be none."""

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """There will be none."""

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Ask nobody."""

    def snapshot(self) -> Snapshot:
        """Say why it is not there."""
        return Snapshot(state="down", since_us=self._since_us, detail=self._why)

    def rebind(self) -> None:
        """There is no link."""

    async def run(self) -> None:
        """Wait."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Wait no more."""
        self._stopping.set()


class Submits(Protocol):
    """What the fleet asks of a submitter."""

    def worker(self, capacity: int | None = None) -> Worker:
        """Return the worker that hands messages over."""
        ...

    async def resume(self) -> None:
        """Tell the connector what it has taken before."""
        ...


class Ship(msgspec.Struct, frozen=True):
    """One carrier at work."""

    carrier: Carrier
    connector: Connector
    supervisor: Supervisor


class Fleet:
    """A ``runtime.Worker``. ``opened`` makes a connector, joined to the takers of receipts and inbound messages."""

    name = "carriers"

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        chooser: Chooser,
        node: str,
        opened: Callable[[Carrier], Connector],
        submitter: Callable[[Connector], Submits],
        drain_s: float,
    ) -> None:
        """Take what makes connectors and their submitters; ``opened`` raises ``ConfigInvalid``."""
        self._store = store
        self._clock = clock
        self._chooser = chooser
        self._node = node
        self._opened = opened
        self._submitter = submitter
        self._drain_s = drain_s
        self._ships: dict[str, Ship] = {}
        self._tasks: dict[str, asyncio.Task[bool]] = {}
        self._told: dict[str, tuple[int, str]] = {}
        self._changed = asyncio.Event()
        self._stopping = False

    def connectors(self) -> Mapping[str, Connector]:
        """Return the connectors at work, by carrier."""
        return {name: ship.connector for name, ship in self._ships.items()}

    async def prepare(self) -> None:
        """Make connectors for all carriers, before anything runs. Raises ``ConfigInvalid`` for one of the file."""
        for carrier in self._chooser.table().carriers.values():
            await self._launch(carrier, is_first=True)

    def hear(self, table: RoutingTable) -> None:
        """Take note that the table has changed."""
        del table
        self._changed.set()

    async def run(self) -> None:
        """Keep what is configured at work until stopped; then drain all carriers at once."""
        try:
            for name in self._ships:
                self._start(name)
            while not self._stopping:
                self._changed.clear()
                try:
                    await self._reconcile()
                    await self._tell()
                except StoreUnavailable as error:
                    log.warning("carriers_not_told_of", error=str(error), pause_s=TELL_EVERY_S)
                await self._rest()
            for ship in self._ships.values():
                ship.supervisor.stop()
            await asyncio.gather(*self._tasks.values())
            await self._say_goodbye()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _say_goodbye(self) -> None:
        """Take back what this process has said of its links: they are no more."""
        before_us = self._clock.now_us() - FRESH_US
        try:
            await self._store.write(lambda tx: routing.forget_links(tx, self._node, before_us=before_us), durable=False)
        except StoreUnavailable as error:
            log.warning("carriers_not_told_of", error=str(error), pause_s=0)

    def stop(self) -> None:
        """Hand nothing over any more; ``run`` returns when what is in hand is finished."""
        self._stopping = True
        self._changed.set()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(TELL_EVERY_S):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _reconcile(self) -> None:
        wanted = self._chooser.table().carriers
        for name, ship in list(self._ships.items()):
            after = wanted.get(name)
            if after is None or not ship.carrier.is_same_link(after):
                await self._land(name)
            elif after.rebinds != ship.carrier.rebinds:
                log.info("carrier_rebinds", carrier=name)
                ship.connector.rebind()
                self._ships[name] = msgspec.structs.replace(ship, carrier=after)
        for name in wanted.keys() - self._ships.keys():
            await self._launch(wanted[name])
            self._start(name)

    async def _launch(self, carrier: Carrier, *, is_first: bool = False) -> None:
        try:
            connector = self._opened(carrier)
        except ConfigInvalid as error:
            if is_first and carrier.source == "file":
                raise
            log.warning("carrier_cannot_be_opened", carrier=carrier.name, error=str(error))
            connector = Unopened(carrier.name, str(error), self._clock.now_us())
        submitter = self._submitter(connector)
        await submitter.resume()
        self._chooser.carries[carrier.name] = connector.carries
        workers = [submitter.worker(carrier.capacity), connector]
        self._ships[carrier.name] = Ship(carrier, connector, Supervisor(workers, drain_s=self._drain_s, is_inner=True))

    def _start(self, name: str) -> None:
        self._tasks[name] = asyncio.create_task(self._ships[name].supervisor.run())

    async def _land(self, name: str) -> None:
        ship = self._ships.pop(name)
        ship.supervisor.stop()
        await self._tasks.pop(name)
        self._chooser.carries.pop(name, None)
        self._chooser.note_up(name)
        self._told.pop(name, None)
        log.info("carrier_closed", carrier=name)

    async def _tell(self) -> None:
        """Write down how links are, and let go of what waits for carriers that there are no more."""
        now_us = self._clock.now_us()
        news = []
        for name, ship in self._ships.items():
            snapshot = msgspec.json.encode(ship.connector.snapshot()).decode()
            at_us, before = self._told.get(name, (0, ""))
            if snapshot != before or now_us - at_us > TELL_AGAIN_US:
                news.append(Link(carrier=name, node=self._node, at_us=now_us, snapshot=snapshot))
        known = set(self._chooser.table().carriers)
        orphans = await self._store.read(lambda tx: set(submissions.lanes(tx)) - known)

        def work(tx: Transaction) -> None:
            routing.note_links(tx, news)
            for lane in orphans:
                found = submissions.due(tx, lane=lane, now_us=now_us, limit=RELEASE_AT_ONCE)
                submissions.move(tx, found, lane=submissions.UNROUTED, route=None)
                # A lease of it says nothing any more; what waits for a pause to end is due now.
                submissions.unpark(tx, lane=lane, now_us=now_us, limit=RELEASE_AT_ONCE)

        if news or orphans:
            await self._store.write(work, durable=False)
        for link in news:
            self._told[link.carrier] = (now_us, link.snapshot)
