"""The composition root: settings → opened drivers → behaviours → surfaces.

The only module that names a driver, and the only one that decides where time and chance come from. What is
opened here is closed here, in reverse order, by the stack that ``open_platform`` holds.
"""

import asyncio
import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final, get_args

import msgspec
import structlog
from starlette.routing import BaseRoute

from ringback.carriers.port import Connector, Inbound, InboundAnswer, NotTaken
from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.connectors import open_connector, sync_carriers
from ringback.delivery.deliver import Deliverer
from ringback.delivery.http import HttpClient
from ringback.delivery.replay import Replayer
from ringback.dialect.media import MediaUrls
from ringback.inspector.capture import Inspector
from ringback.inspector.keep import BinKeeper
from ringback.messaging.accept import Acceptor
from ringback.messaging.fetch import MediaFetcher
from ringback.messaging.fleet import Fleet
from ringback.messaging.inbound import InboundTaker
from ringback.messaging.media_http import MediaHttp
from ringback.messaging.overdue import ReceiptWatch
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.replies import ReplyExecutor
from ringback.messaging.senders import Senders
from ringback.messaging.simulate import InboundSimulator
from ringback.messaging.submit import Submitter
from ringback.metrics import Metrics
from ringback.model.errors import ConfigInvalid
from ringback.model.ids import AccountId, auth_id, uuid7
from ringback.model.pricing import Tariff
from ringback.model.routes import SIMULATOR, Carrier
from ringback.receiver.explained import Explainer
from ringback.receiver.opening import open_sources
from ringback.receiver.proxies import Proxies
from ringback.receiver.receive import Receiver
from ringback.retention import Retention
from ringback.routing.chooser import Chooser
from ringback.routing.follow import RoutesFollower
from ringback.runtime import Supervisor, SystemClock, Worker
from ringback.settings import Role, ServerSettings, Settings
from ringback.store import accounts, keys, messages, numbers, postgres, prices, sqlite
from ringback.store.accounts import Account, AccountCache
from ringback.store.cached import Cached
from ringback.store.callers import Reach
from ringback.store.follow import ClockFollower
from ringback.store.limits import LimitsCache
from ringback.store.measured import MeasuredStore
from ringback.store.media import MediaRoom
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.routes import ApiParts, Chance, api_routes
from ringback.web.app import build_app
from ringback.web.bin import BinDoor, bin_routes
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.routes import dashboard_routes
from ringback.web.hooks.receive import hook_routes
from ringback.web.peers import Peers
from ringback.web.probes import Probes
from ringback.web.server import HttpServer, listen, tls_context

log = structlog.stdlib.get_logger("ringback.wiring")


CLOCK_OFF_US: Final = 1_000_000
"""A machine whose clock is further off is named in the log."""


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


class _Core(msgspec.Struct, frozen=True):
    """What every role is given."""

    settings: Settings
    store: Store
    clock: SystemClock
    wakeups: Wakeups
    accounts: AccountCache
    metrics: Metrics
    files: MediaFiles
    room: MediaRoom
    media_urls: MediaUrls
    limits: LimitsCache
    tariff: Cached[Tariff]


def new_id(now_us: int) -> str:
    """Make a time-ordered uuid."""
    return uuid7(now_us, os.urandom(8))


def new_nonce() -> str:
    """Make a nonce in the shape of Plivo's: 20 decimal digits."""
    return str(10**19 + secrets.randbelow(9 * 10**19))


def new_app_id() -> str:
    """Make an id for an application: 17 decimal digits."""
    return str(10**16 + secrets.randbelow(9 * 10**16))


@asynccontextmanager
async def open_backbone(settings: Settings) -> AsyncIterator[tuple[Store, SystemClock]]:
    """Open what every command needs: the store, and a clock that does not start before its newest event."""
    async with AsyncExitStack() as stack:
        store = _open_store(settings)
        stack.push_async_callback(store.close)
        newest_us = await store.read(messages.newest_time_us)
        ahead_us = await store.clock_ahead_us(SystemClock())
        if abs(ahead_us) > CLOCK_OFF_US:
            log.warning(
                "machine_clock_is_off", behind_s=ahead_us // 1_000_000, consequence="times go by the database's clock"
            )
        clock = SystemClock(newest_us, ahead_us=ahead_us)
        behind_s = (newest_us - SystemClock(ahead_us=ahead_us).now_us()) // 1_000_000
        if behind_s > 0:
            log.warning(
                "system_clock_is_behind_the_newest_event",
                behind_s=behind_s,
                consequence="times go on from the newest event; set the system clock, then restart",
            )
        yield store, clock


def _open_store(settings: Settings) -> Store:
    if settings.store.url:
        return postgres.open_store(settings.store.url, busy_timeout_s=settings.store.busy_timeout_s)
    return sqlite.open_store(settings.store.data_dir, busy_timeout_s=settings.store.busy_timeout_s)


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
        tls, tls_sock = _tls(server) if "web" in settings.roles else (None, None)
        if tls_sock is not None:
            stack.callback(tls_sock.close)
        core = await _open_core(settings, stack, base_url(server.host, sock.getsockname()[1]) if sock else "")
        # The order of the end: nothing new goes to the carrier, then nothing new comes from it, then callbacks in
        # flight finish while whoever they go to (perhaps this very process) still listens.
        workers: list[Worker] = []
        before_drain: Callable[[], None] = _nothing
        carrier: SimulatedCarrier | None = None
        if "submit" in settings.roles:
            follower, fleet, inbound = await _submitting(core)
            carrier = _simulated(fleet)
            media_http = await stack.enter_async_context(MediaHttp(settings.delivery))
            workers += [
                *_answering(core, fleet),
                inbound.worker(),
                _fetching(core, media_http),
                _overdue(core),
                fleet,
                follower,
            ]
        if "deliver" in settings.roles:
            http = await stack.enter_async_context(HttpClient(settings.delivery))
            workers += [_retaining(core), _replaying(core), _delivering(core, http)]
        if sock is not None:
            acceptor = _acceptor(core)
            probes = _probes(core)
            before_drain = partial(_refuse, acceptor, probes)
            await open_sources(core.store, core.clock, core.settings.sources)
            await _warn_of_deaf_sources(core)
            http_server = _web(core, acceptor, probes, sock)
            workers.append(http_server)
            if tls is not None and tls_sock is not None:
                workers.append(http_server.with_tls(tls_sock, tls))
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
        )


def _tls(server: ServerSettings) -> tuple[ssl.SSLContext | None, socket.socket | None]:
    """Open what HTTPS needs, if it is asked for. Raises ``StartupError``."""
    if server.tls_certificate is None and server.tls_key is None:
        return None, None
    if server.tls_certificate is None or server.tls_key is None:
        raise ConfigInvalid(
            "settings: server.tls_certificate and server.tls_key go together: set both, or neither for no HTTPS"
        )
    context = tls_context(server.tls_certificate, server.tls_key)
    return context, listen(server.host, server.tls_port, share=server.share_port, choose="server.tls_port")


async def _open_core(settings: Settings, stack: AsyncExitStack, listening_at: str) -> _Core:
    opened, clock = await stack.enter_async_context(open_backbone(settings))
    metrics = Metrics()
    store = MeasuredStore(opened, metrics)
    files = MediaFiles(settings.store.media_dir or settings.store.data_dir / "media")
    stack.callback(files.close)
    files.prepare()
    return _Core(
        settings,
        store,
        clock,
        Wakeups(),
        AccountCache(store),
        metrics,
        files,
        MediaRoom(store, clock, max_bytes=settings.store.max_media_mb * 1_000_000),
        await _media_urls(settings, store, listening_at),
        LimitsCache(store, settings.limits),
        _tariff(settings, store),
    )


def _nothing() -> None:
    """Stand in for what a role without an API need not stop."""


def _refuse(acceptor: Acceptor, probes: Probes) -> None:
    acceptor.stop()
    probes.stop()


async def _submitting(core: _Core) -> tuple[RoutesFollower, Fleet, InboundTaker]:
    """Make what keeps all carriers at work, with connectors for those there are now. Raises ``ConfigInvalid``."""
    await sync_carriers(core.settings, core.store, core.clock)
    follower = RoutesFollower(core.store, core.wakeups)
    await follower.look()
    chooser = Chooser(follower.now)
    receipts = ReceiptTaker(
        store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics
    )
    inbound = _inbound_taker(core)

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


def _overdue(core: _Core) -> Worker:
    return ReceiptWatch(
        store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics
    ).worker()


def _fetching(core: _Core, http: MediaHttp) -> Worker:
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


async def _media_urls(settings: Settings, store: Store, listening_at: str) -> MediaUrls:
    key = await store.write(lambda tx: keys.ensure(tx, "media urls", secrets.token_hex(32)))
    return MediaUrls(
        bytes.fromhex(key),
        base_url=settings.server.public_base_url or listening_at,
        lifetime_s=settings.server.media_url_hours * 3600,
    )


def _inbound_taker(core: _Core) -> InboundTaker:
    return InboundTaker(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        settings=core.settings.messaging,
        find_owner=numbers.owner,
        acceptor=_acceptor(core),
        metrics=core.metrics,
    )


def _answering(core: _Core, fleet: Fleet) -> list[Worker]:
    executor = ReplyExecutor(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        accounts=core.accounts,
        acceptor=_acceptor(core),
        response_cap_bytes=core.settings.delivery.response_cap_bytes,
        metrics=core.metrics,
    )

    async def bring(inbound: Inbound) -> InboundAnswer:
        simulated = _simulated(fleet)
        if simulated is None:
            return NotTaken("there is no simulated carrier that could bring it")
        return await simulated.bring(msgspec.structs.replace(inbound, connector=simulated.name))

    simulator = InboundSimulator(
        store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, connector=SIMULATOR, bring=bring
    )
    return [simulator.worker(), executor.worker()]


def _simulated(fleet: Fleet) -> SimulatedCarrier | None:
    """Return a simulated carrier, the one of that name if there is one: phones exist only there."""
    found = [each for each in fleet.connectors().values() if isinstance(each, SimulatedCarrier)]
    return next((each for each in found if each.name == SIMULATOR), found[0] if found else None)


def _delivering(core: _Core, http: HttpClient) -> Worker:
    return Deliverer(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        new_nonce=new_nonce,
        accounts=core.accounts,
        http=http,
        wakeups=core.wakeups,
        settings=core.settings.delivery,
        metrics=core.metrics,
    ).worker()


def _retaining(core: _Core) -> Worker:
    return Retention(
        store=core.store,
        clock=core.clock,
        settings=core.settings.retention,
        metrics=core.metrics,
        files=core.files,
    )


def _replaying(core: _Core) -> Worker:
    return Replayer(store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics)


def _acceptor(core: _Core) -> Acceptor:
    return Acceptor(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        settings=core.settings.messaging,
        tariff=core.tariff,
        reach=Reach(core.store),
        max_waiting=core.settings.server.max_waiting_requests,
        metrics=core.metrics,
        retention=core.settings.retention,
        senders=Senders(core.store, requires_owned=core.settings.messaging.require_owned_src),
        limits=core.limits,
    )


def _tariff(settings: Settings, store: Store) -> Cached[Tariff]:
    outbound = settings.messaging
    rates = {
        "default_rate": outbound.default_rate,
        "mms_rate": outbound.mms_rate,
        "inbound_rate": outbound.inbound_rate,
    }
    return Cached(store, lambda tx: Tariff(prices.read(tx), **rates))


def _probes(core: _Core) -> Probes:
    return Probes(
        store=core.store,
        clock=core.clock,
        metrics=core.metrics,
        shows_metrics=core.settings.server.metrics,
        # A database server looks after a disk of its own.
        disk=None if core.settings.store.url else core.settings.store.data_dir,
        min_free_mb=core.settings.store.min_free_mb,
    )


def _web(core: _Core, acceptor: Acceptor, probes: Probes, sock: socket.socket) -> HttpServer:
    stopping = asyncio.Event()
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
        ),
        bins=core.settings.bins,
        delivery=core.settings.delivery,
    )
    app = build_app(
        [
            *_api(core, acceptor, stopping),
            *hook_routes(receiver, max_body_bytes=core.settings.server.max_body_bytes, proxies=proxies),
            *bin_routes(_bin_door(core, stopping)),
            *dashboard_routes(dashboard),
            *probes.routes(),
        ],
        core.metrics,
    )
    return HttpServer(app, sock, stopping=stopping)


def _bin_door(core: _Core, stopping: asyncio.Event) -> BinDoor:
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


def _api(core: _Core, acceptor: Acceptor, stopping: asyncio.Event) -> list[BaseRoute]:
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
            room=core.room,
            media_urls=core.media_urls,
            chance=chance,
            keeper=bin_keeper(core.store, core.clock, core.wakeups, core.settings),
            stopping=stopping,
        )
    )


async def _warn_of_deaf_sources(core: _Core) -> None:
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


def base_url(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the URL under which a client on this machine reaches the server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{reachable}:{port}"


def new_token() -> str:
    """Make an auth token."""
    return secrets.token_urlsafe(30)


def new_code() -> str:
    """Make a code that somebody can type: 6 decimal digits."""
    return f"{secrets.randbelow(10**6):06d}"


async def create_account(store: Store, clock: SystemClock, name: str) -> Account:
    """Create a main account with fresh credentials."""
    now_us = clock.now_us()
    account_id: AccountId = auth_id(os.urandom(18))
    token = new_token()
    await store.write(lambda tx: accounts.create(tx, auth_id=account_id, token=token, name=name, now_us=now_us))
    created = await store.read(lambda tx: accounts.find(tx, account_id, now_us))
    if created is None:
        raise RuntimeError("an account that was committed is not there")
    return created


async def rotate_token(store: Store, clock: SystemClock, auth_id: str, *, overlap_s: int) -> tuple[str, int]:
    """Give an account a new token; the ones before expire after ``overlap_s``. Raises ``NotFound``.

    Returns the token, and when the others end.
    """
    now_us, token = clock.now_us(), new_token()
    old_until_us = now_us + overlap_s * 1_000_000
    await store.write(lambda tx: accounts.rotate_token(tx, auth_id, token, now_us=now_us, old_until_us=old_until_us))
    return token, old_until_us
