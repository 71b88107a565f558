"""The composition root: settings → opened drivers → behaviours → surfaces.

This package is the only one that names a driver, and decides where time and chance come from. What is
opened here is closed here, in reverse order, by the stack that ``open_platform`` holds.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import get_args

import msgspec

from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.delivery.http import HttpClient
from ringback.messaging.accept import Acceptor
from ringback.messaging.media_http import MediaHttp
from ringback.model.errors import ConfigInvalid
from ringback.receiver.opening import open_sources
from ringback.receiver.rest import RestClient
from ringback.runtime import Supervisor, SystemClock, Worker
from ringback.settings import Role, Settings
from ringback.store.follow import ClockFollower
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.probes import Probes
from ringback.web.server import listen
from ringback.wiring.analytics import projecting
from ringback.wiring.backbone import base_url
from ringback.wiring.calling import delivering, replaying, reporting, retaining
from ringback.wiring.core import acceptor_of, open_core
from ringback.wiring.esme import open_smpp, smpp_serving
from ringback.wiring.sending import answering, fetching, overdue, simulated, submitting
from ringback.wiring.serving import open_tls, probes_of, warn_of_deaf_sources, web_server


class Platform(msgspec.Struct, frozen=True):
    """A Ringback that is ready to run."""

    settings: Settings
    store: Store
    clock: SystemClock
    wakeups: Wakeups
    carrier: SimulatedCarrier | None
    """``None`` without the role ``submit``, or where no carrier is simulated."""
    supervisor: Supervisor
    base_url: str
    """Where it listens: scheme, host and port; empty without the role ``web``."""
    tls_url: str = ""
    """Where it listens for HTTPS; empty without a certificate."""
    smpp_ports: tuple[int, ...] = ()
    """Where customers bind over SMPP: the port in the clear, that for TLS."""


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open everything and connect it. Raises ``StartupError`` with one line that says what to do."""
    if settings.delivery.lease_s <= settings.delivery.deadline_s:
        raise ConfigInvalid(
            f"settings: delivery.lease_s ({settings.delivery.lease_s:g}) must be longer than delivery.deadline_s "
            f"({settings.delivery.deadline_s:g}), or attempts that still run would be made a second time"
        )
    async with AsyncExitStack() as stack:
        server = settings.server
        sock = listen(server.host, server.port, share=server.share_port) if "web" in settings.roles else None
        if sock is not None:
            stack.callback(sock.close)
        tls, tls_sock = open_tls(server) if "web" in settings.roles else (None, None)
        if tls_sock is not None:
            stack.callback(tls_sock.close)
        for_smpp = open_smpp(settings, stack)
        core = await open_core(settings, stack, base_url(server.host, sock.getsockname()[1]) if sock else "")
        # The order of the end: nothing new goes to the carrier, then nothing new comes from it, then callbacks in
        # flight finish while whoever they go to (perhaps this very process) still listens.
        workers: list[Worker] = []
        before_drain: Callable[[], None] = _nothing
        carrier: SimulatedCarrier | None = None
        if "submit" in settings.roles:
            follower, fleet, inbound = await submitting(core)
            carrier = simulated(fleet)
            media_http = await stack.enter_async_context(MediaHttp(settings.delivery))
            workers += [
                *answering(core, fleet),
                inbound.worker(),
                fetching(core, media_http),
                overdue(core),
                fleet,
                follower,
            ]
        if "deliver" in settings.roles:
            http = await stack.enter_async_context(HttpClient(settings.delivery))
            rest = await stack.enter_async_context(RestClient(settings.delivery, core.clock))
            workers += [retaining(core), replaying(core), reporting(core, rest), delivering(core, http)]
        if sock is not None:
            acceptor = acceptor_of(core)
            probes = probes_of(core)
            before_drain = partial(_refuse, acceptor, probes)
            await open_sources(core.store, core.clock, core.settings.sources)
            await warn_of_deaf_sources(core)
            http_server = web_server(core, acceptor, probes, sock)
            workers += [http_server, *smpp_serving(core, acceptor, for_smpp)]
            if tls is not None and tls_sock is not None:
                workers.append(http_server.with_tls(tls_sock, tls))
        workers += await projecting(core)
        if settings.store.url or set(settings.roles) != set(get_args(Role)):
            # Somebody else may work on the same database.
            workers.append(core.store.watch(core.wakeups))
        if settings.store.url:
            workers.append(ClockFollower(core.store, core.clock))
        yield Platform(
            settings=settings,
            store=core.store,
            clock=core.clock,
            wakeups=core.wakeups,
            carrier=carrier,
            supervisor=Supervisor(workers, drain_s=settings.drain_s, before_drain=before_drain),
            base_url=base_url(server.host, sock.getsockname()[1]) if sock else "",
            tls_url=base_url(server.host, tls_sock.getsockname()[1], scheme="https") if tls_sock else "",
            smpp_ports=tuple(smpp_sock.getsockname()[1] for smpp_sock, _ in for_smpp),
        )


def _nothing() -> None:
    """Stand in for what a role without an API need not stop."""


def _refuse(acceptor: Acceptor, probes: Probes) -> None:
    acceptor.stop()
    probes.stop()
