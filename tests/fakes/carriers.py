"""Several scripted carriers over one store, with the lanes, routes and receipts that belong to them."""

import asyncio
from typing import Any

from ringback.carriers.port import SubmitOutcome
from ringback.dialect import send
from ringback.messaging.overdue import ReceiptWatch
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.submit import Submitter, Turn
from ringback.metrics import Metrics
from ringback.model.ids import AccountId
from ringback.model.message import Message
from ringback.model.routes import Carrier, Route, RoutingTable
from ringback.model.status import Status
from ringback.routing.chooser import Chooser
from ringback.settings import MessagingSettings
from ringback.store import messages, submissions
from ringback.store.accounts import Account
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from tests.fakes.acceptor import acceptor
from tests.fakes.clock import FakeClock
from tests.fakes.connector import ScriptedConnector, receipt
from tests.fakes.ids import counting_ids

ACCOUNT = Account(AccountId("MAAAAAAAAAAAAAAAAAAA"), "tests", True, None, ("token",), ("token",))
URL = "http://127.0.0.1:9/status"


def table(*routes: Route, paused: tuple[str, ...] = ()) -> RoutingTable:
    """Make a table of these routes, with the carriers that they name."""
    names = {route.carrier for route in routes}
    carriers = {name: Carrier(name=name, kind="simulator", is_paused=name in paused) for name in names}
    return RoutingTable(version=1, carriers=carriers, routes=routes)


class Carriers:
    """The messaging package between scripted carriers and a store."""

    def __init__(self, store: Store, clock: FakeClock, routes: RoutingTable) -> None:
        self.store, self.clock, self.table = store, clock, routes
        self.metrics = Metrics()
        self.chooser = Chooser(lambda: self.table)
        self.connectors = {name: ScriptedConnector(name) for name in routes.carriers}
        shared: dict[str, Any] = {
            "store": store,
            "clock": clock,
            "new_id": counting_ids(),
            "wakeups": Wakeups(),
            "metrics": self.metrics,
        }
        outbound = MessagingSettings()
        self.acceptor = acceptor(**shared, settings=outbound)
        self.submitters = {
            name: Submitter(**shared, settings=outbound, connector=connector, chooser=self.chooser)
            for name, connector in self.connectors.items()
        }
        self.take = ReceiptTaker(**shared).take
        self.watch = ReceiptWatch(**shared)

    async def accept(self, **fields: Any) -> list[str]:
        """Accept a request."""
        request = send.parse({"src": "15005550100", "dst": "14155550123", "text": "hi", "url": URL, **fields})
        return await self.acceptor.accept(ACCOUNT, request, requester_ip="203.0.113.7")

    async def claim(self, carrier: str) -> list[Turn]:
        """Lease what is due in a lane."""
        claimed, _ = await self.submitters[carrier].claim(100)
        return list(claimed)

    async def turn(self, carrier: str, *outcomes: SubmitOutcome) -> list[str]:
        """Let a lane hand over what is due; its carrier answers as told, then accepts. Returns what it got."""
        connector = self.connectors[carrier]
        connector.outcomes.extend(outcomes)
        before = len(connector.submitted)
        await asyncio.gather(*map(self.submitters[carrier].submit, await self.claim(carrier)))
        return [each.message_uuid for each in connector.submitted[before:]]

    async def report(self, connector: str, ref: str, status: str = "delivered", code: str = "000") -> None:
        """Bring a receipt."""
        await self.take(receipt(ref, Status(status), code, connector=connector))

    async def message(self, uuid: str) -> Message:
        """Return a message as it stands."""
        return (await self.store.read(lambda tx: messages.by_uuid(tx, [uuid])))[uuid]

    async def history(self, uuid: str) -> list[str]:
        """Return a message's events: the status, and the flag where there is one."""
        events = await self.store.read(lambda tx: messages.timeline(tx, uuid))
        return [f"{event.status} {event.flag}".strip() for event in events]

    async def details(self, uuid: str) -> list[str]:
        """Return what a message's events say beside."""
        events = await self.store.read(lambda tx: messages.timeline(tx, uuid))
        return [event.detail or "" for event in events]

    async def waiting(self) -> int:
        """Return how many submissions are not finished."""
        return await self.store.read(submissions.waiting)
