"""The role ``web``: API, receiver, bins, dashboard."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import structlog
from starlette.routing import BaseRoute

from ringback.analytics.questions import Questions
from ringback.inspector.capture import Inspector
from ringback.inspector.keep import BinKeeper
from ringback.messaging.accept import Acceptor
from ringback.model.errors import ConfigInvalid
from ringback.model.ids import auth_id
from ringback.receiver.explained import Explainer
from ringback.receiver.proxies import Proxies
from ringback.receiver.receive import Receiver
from ringback.runtime import SystemClock
from ringback.settings import ServerSettings, Settings
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.routes import ApiParts, Chance, api_routes
from ringback.web.app import build_app
from ringback.web.bin import BinDoor, bin_routes
from ringback.web.connections import Connections, room_for
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.routes import dashboard_routes
from ringback.web.hooks.carriers import CarrierHooks
from ringback.web.hooks.receive import hook_routes
from ringback.web.peers import Peers
from ringback.web.probes import Probes
from ringback.web.server import HttpServer, listen, tls_context
from ringback.wiring.callers import CallingCarriers
from ringback.wiring.chance import new_app_id, new_code, new_id, new_token
from ringback.wiring.core import Core, inbound_taker_of, receipt_taker_of

log = structlog.stdlib.get_logger("ringback.wiring")


def open_tls(server: ServerSettings) -> tuple[ssl.SSLContext | None, socket.socket | None]:
    """Open what HTTPS needs, if it is asked for. Raises ``StartupError``."""
    if server.tls_certificate is None and server.tls_key is None:
        return None, None
    if server.tls_certificate is None or server.tls_key is None:
        raise ConfigInvalid(
            "settings: server.tls_certificate and server.tls_key go together: set both, or neither for no HTTPS"
        )
    context = tls_context(server.tls_certificate, server.tls_key)
    return context, listen(server.host, server.tls_port, share=server.share_port, choose="server.tls_port")


def probes_of(core: Core) -> Probes:
    return Probes(
        store=core.store,
        clock=core.clock,
        metrics=core.metrics,
        shows_metrics=core.settings.server.metrics,
        disks=_disks(core.settings),
        min_free_mb=core.settings.store.min_free_mb,
    )


def _disks(settings: Settings) -> dict[str, Path]:
    """Say what this process keeps, and where. A database server looks after a disk of its own."""
    data = settings.store.data_dir
    database = {} if settings.store.url else {"database": data}
    media, analytics = settings.store.media_dir or data / "media", settings.analytics.dir or data / "analytics"
    return database | {"media": _standing(media), "analytics": _standing(analytics)}


def _standing(directory: Path) -> Path:
    """Return the directory, or the one in which it will be made."""
    return next((each for each in (directory, *directory.parents) if each.exists()), directory)


def web_server(core: Core, acceptor: Acceptor, probes: Probes, sock: socket.socket) -> HttpServer:
    stopping = asyncio.Event()
    callers = CallingCarriers(core.store, core.clock, core.settings)
    proxies = Proxies(core.settings.server.trusted_proxies)
    receiver = Receiver(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        accounts=core.accounts,
        wakeups=core.wakeups,
        sources=core.settings.sources,
        public_base_url=core.settings.server.public_base_url,
        max_waiting=core.settings.server.max_waiting_requests,
        metrics=core.metrics,
    )
    questions = Questions(core.engine, core.settings.analytics, core.clock)
    dashboard = DashboardContext(
        store=core.store,
        clock=core.clock,
        wakeups=core.wakeups,
        settings=core.settings.dashboard,
        new_id=new_id,
        secure_cookies=core.settings.server.public_base_url.lower().startswith("https:"),
        stopping=stopping,
        media_urls=core.media_urls,
        explainer=Explainer(
            store=core.store,
            clock=core.clock,
            sources=core.settings.sources,
            public_base_url=core.settings.server.public_base_url,
            proxies=proxies,
            carriers=callers.source,
        ),
        bins=core.settings.bins,
        delivery=core.settings.delivery,
        alerts=core.settings.alerts,
        engine=core.engine,
        analytics=core.settings.analytics,
        questions=questions,
        peers=Peers(core.settings.server.trusted_proxies),
        sources=core.settings.sources,
    )
    app = build_app(
        [
            *_api(core, acceptor, stopping, questions),
            *hook_routes(receiver, max_body_bytes=core.settings.server.max_body_bytes, proxies=proxies),
            *_carrier_hooks(core, acceptor, receiver, callers, proxies).routes(),
            *bin_routes(_bin_door(core, stopping)),
            *dashboard_routes(dashboard),
            *probes.routes(),
        ],
        core.metrics,
    )
    server = core.settings.server
    connections = Connections(most=room_for(server.max_connections), patience_s=server.request_timeout_s)
    return HttpServer(app, sock, stopping=stopping, connections=connections)


def _carrier_hooks(
    core: Core, acceptor: Acceptor, receiver: Receiver, callers: CallingCarriers, proxies: Proxies
) -> CarrierHooks:
    return CarrierHooks(
        receiver=receiver,
        find=callers.source,
        receipts=receipt_taker_of(core).take,
        inbound=inbound_taker_of(core, acceptor).take,
        proxies=proxies,
        max_body_bytes=core.settings.server.max_body_bytes,
    )


def _bin_door(core: Core, stopping: asyncio.Event) -> BinDoor:
    settings = core.settings
    inspector = Inspector(
        store=core.store,
        clock=core.clock,
        wakeups=core.wakeups,
        settings=settings.bins,
        max_waiting=settings.server.max_waiting_requests,
    )
    peers = Peers(settings.server.trusted_proxies)
    return BinDoor(inspector, settings=settings.bins, clock=core.clock, peers=peers, stopping=stopping)


def bin_keeper(store: Store, clock: SystemClock, wakeups: Wakeups, settings: Settings) -> BinKeeper:
    """Return what makes and removes bins."""
    return BinKeeper(
        store=store,
        clock=clock,
        new_id=new_id,
        new_salt=lambda: os.urandom(16),
        wakeups=wakeups,
        settings=settings.bins,
    )


def _api(core: Core, acceptor: Acceptor, stopping: asyncio.Event, questions: Questions) -> list[BaseRoute]:
    chance = Chance(
        new_id=new_id,
        new_app_id=new_app_id,
        new_code=new_code,
        new_subaccount=lambda: (auth_id(os.urandom(18), kind="SA"), new_token()),
    )
    return api_routes(
        ApiParts(
            settings=core.settings,
            store=core.store,
            clock=core.clock,
            wakeups=core.wakeups,
            accounts=core.accounts,
            acceptor=acceptor,
            tariff=core.tariff,
            files=core.files,
            limits=core.limits,
            meter=core.meter,
            room=core.room,
            media_urls=core.media_urls,
            chance=chance,
            keeper=bin_keeper(core.store, core.clock, core.wakeups, core.settings),
            stopping=stopping,
            engine=core.engine,
            questions=questions,
        )
    )


async def warn_of_deaf_sources(core: Core) -> None:
    """Name sources of which no request can be verified, before their provider meets a 403."""
    for name, source in core.settings.sources.items():
        known = source.account and await core.accounts.get(source.account, core.clock.now_us())
        if source.account and not known:
            log.warning("source_names_an_unknown_account", source=name, account_id=source.account)
        if not source.tokens and not known:
            log.warning(
                "source_verifies_nothing",
                source=name,
                consequence="every request is refused: give it tokens or account",
            )
