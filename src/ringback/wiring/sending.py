"""The role ``submit``: carriers and what comes from them."""

import os
import socket

import msgspec

from ringback.carriers.port import Connector, Inbound, InboundAnswer, NotTaken
from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.messaging.fetch import MediaFetcher
from ringback.messaging.fleet import Fleet
from ringback.messaging.inbound import InboundTaker
from ringback.messaging.media_http import MediaHttp
from ringback.messaging.overdue import ReceiptWatch
from ringback.messaging.replies import ReplyExecutor
from ringback.messaging.simulate import InboundSimulator
from ringback.messaging.submit import Submitter
from ringback.model.routes import SIMULATOR, Carrier
from ringback.routing.chooser import Chooser
from ringback.routing.follow import RoutesFollower
from ringback.runtime import Worker
from ringback.wiring.chance import new_id
from ringback.wiring.connectors import open_connector, sync_carriers
from ringback.wiring.core import Core, acceptor_of, inbound_taker_of, receipt_taker_of


async def submitting(core: Core) -> tuple[RoutesFollower, Fleet, InboundTaker]:
    """Make what keeps all carriers at work, with connectors for those there are now. Raises ``ConfigInvalid``."""
    await sync_carriers(core.settings, core.store, core.clock)
    follower = RoutesFollower(core.store, core.wakeups)
    await follower.look()
    chooser = Chooser(follower.now)
    receipts = receipt_taker_of(core)
    inbound = inbound_taker_of(core, acceptor_of(core))

    def opened(carrier: Carrier) -> Connector:
        connector = open_connector(carrier, core.settings, core.clock)
        connector.deliver_receipts_to(receipts.take)
        connector.deliver_inbound_to(inbound.take)
        return connector

    def submitter(connector: Connector) -> Submitter:
        return Submitter(
            store=core.store,
            clock=core.clock,
            new_id=new_id,
            wakeups=core.wakeups,
            settings=core.settings.messaging,
            connector=connector,
            metrics=core.metrics,
            media_path=core.files.path,
            chooser=chooser,
        )

    fleet = Fleet(
        store=core.store,
        clock=core.clock,
        chooser=chooser,
        node=f"{socket.gethostname()[:28]}:{os.getpid()}",
        opened=opened,
        submitter=submitter,
        drain_s=core.settings.drain_s,
    )
    await fleet.prepare()
    follower.tell(fleet.hear)
    return follower, fleet, inbound


def overdue(core: Core) -> Worker:
    return ReceiptWatch(
        store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics
    ).worker()


def fetching(core: Core, http: MediaHttp) -> Worker:
    return MediaFetcher(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        http=http,
        files=core.files,
        room=core.room,
        retention=core.settings.retention,
        metrics=core.metrics,
    ).worker()


def answering(core: Core, fleet: Fleet) -> list[Worker]:
    executor = ReplyExecutor(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        accounts=core.accounts,
        acceptor=acceptor_of(core),
        response_cap_bytes=core.settings.delivery.response_cap_bytes,
        metrics=core.metrics,
    )

    async def bring(inbound: Inbound) -> InboundAnswer:
        phones = simulated(fleet)
        if phones is None:
            return NotTaken("there is no simulated carrier that could bring it")
        return await phones.bring(msgspec.structs.replace(inbound, connector=phones.name))

    simulator = InboundSimulator(
        store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, connector=SIMULATOR, bring=bring
    )
    return [simulator.worker(), executor.worker()]


def simulated(fleet: Fleet) -> SimulatedCarrier | None:
    """Return a simulated carrier, the one of that name if there is one: phones exist only there."""
    found = [each for each in fleet.connectors().values() if isinstance(each, SimulatedCarrier)]
    return next((each for each in found if each.name == SIMULATOR), found[0] if found else None)
