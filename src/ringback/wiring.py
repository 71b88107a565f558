"""The composition root: settings → opened drivers → behaviours → surfaces.

The only module that names a driver, and the only one that decides where time and chance come from. What is
opened here is closed here, in reverse order, by the stack that ``open_platform`` holds.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import structlog
from starlette.routing import BaseRoute, Route

from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.carriers.simulator.script import BUILT_IN, Script, parse_script
from ringback.delivery.deliver import Deliverer
from ringback.delivery.http import HttpClient
from ringback.messaging.accept import Acceptor
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.submit import Submitter
from ringback.model.errors import ConfigInvalid
from ringback.model.ids import AccountId, auth_id, uuid7
from ringback.receiver.receive import Receiver
from ringback.runtime import Supervisor, SystemClock, Worker
from ringback.settings import Invalid, Settings, read_script
from ringback.store import accounts, messages
from ringback.store.accounts import Account, AccountCache
from ringback.store.port import Store
from ringback.store.sqlite import open_store
from ringback.store.wakeups import Wakeups
from ringback.web.api.auth import Authenticator
from ringback.web.api.messages import MessageApi
from ringback.web.app import build_app
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.routes import dashboard_routes
from ringback.web.hooks.receive import hook_routes
from ringback.web.server import HttpServer, listen

log = structlog.stdlib.get_logger("ringback.wiring")


class Platform(msgspec.Struct, frozen=True):
    """A Ringback that is ready to run."""

    settings: Settings
    store: Store
    clock: SystemClock
    wakeups: Wakeups
    carrier: SimulatedCarrier
    supervisor: Supervisor
    base_url: str
    """Where it listens: scheme, host and port."""


def new_id(now_us: int) -> str:
    """Make a time-ordered uuid."""
    return uuid7(now_us, os.urandom(8))


def new_nonce() -> str:
    """Make a nonce in the shape of Plivo's: 20 decimal digits."""
    return str(10**19 + secrets.randbelow(9 * 10**19))


@asynccontextmanager
async def open_backbone(settings: Settings) -> AsyncIterator[tuple[Store, SystemClock]]:
    """Open what every command needs: the store, and a clock that does not start before its newest event."""
    async with AsyncExitStack() as stack:
        store = open_store(settings.store.data_dir, busy_timeout_s=settings.store.busy_timeout_s)
        stack.push_async_callback(store.close)
        newest_us = await store.read(messages.newest_time_us)
        clock = SystemClock(newest_us)
        behind_s = (newest_us - SystemClock().now_us()) // 1_000_000
        if behind_s > 0:
            log.warning(
                "system_clock_is_behind_the_newest_event",
                behind_s=behind_s,
                consequence="times go on from the newest event; set the system clock, then restart",
            )
        yield store, clock


@asynccontextmanager
async def open_platform(settings: Settings) -> AsyncIterator[Platform]:
    """Open everything and connect it. Raises ``StartupError`` with one line that says what to do."""
    if settings.delivery.lease_s <= settings.delivery.deadline_s:
        raise ConfigInvalid(
            f"settings: delivery.lease_s ({settings.delivery.lease_s:g}) must be longer than delivery.deadline_s "
            f"({settings.delivery.deadline_s:g}), or attempts that still run would be made a second time"
        )
    async with AsyncExitStack() as stack:
        sock = listen(settings.server.host, settings.server.port)
        stack.callback(sock.close)
        store, clock = await stack.enter_async_context(open_backbone(settings))
        http = await stack.enter_async_context(HttpClient(settings.delivery))
        yield await _connect(settings, sock, store, clock, http)


async def _connect(
    settings: Settings, sock: socket.socket, store: Store, clock: SystemClock, http: HttpClient
) -> Platform:
    wakeups = Wakeups()
    known_accounts = AccountCache(store)
    carrier = SimulatedCarrier(
        clock=clock, script=_script(settings), seed=settings.simulator.seed, speed=settings.simulator.speed
    )
    carrier.deliver_receipts_to(ReceiptTaker(store=store, clock=clock, new_id=new_id, wakeups=wakeups).take)
    submitter = Submitter(
        store=store, clock=clock, new_id=new_id, wakeups=wakeups, settings=settings.messaging, connector=carrier
    )
    await submitter.resume()
    acceptor = Acceptor(
        store=store,
        clock=clock,
        new_id=new_id,
        wakeups=wakeups,
        settings=settings.messaging,
        max_waiting=settings.server.max_waiting_requests,
    )
    deliverer = Deliverer(
        store=store,
        clock=clock,
        new_id=new_id,
        new_nonce=new_nonce,
        accounts=known_accounts,
        http=http,
        wakeups=wakeups,
        settings=settings.delivery,
    )
    await _warn_of_deaf_sources(settings, known_accounts, clock)
    stopping = asyncio.Event()
    app = build_app(
        [
            *_api_routes(settings, store, clock, acceptor, known_accounts),
            *_hook_routes(settings, store, clock, wakeups, known_accounts),
            *_dashboard_routes(settings, store, clock, wakeups, stopping),
        ]
    )
    # The order of the end: nothing new goes to the carrier, then nothing new comes from it, then callbacks in
    # flight finish while whoever they go to (perhaps this very process) still listens.
    workers: list[Worker] = [submitter.worker(), carrier, deliverer.worker(), HttpServer(app, sock, stopping=stopping)]
    return Platform(
        settings=settings,
        store=store,
        clock=clock,
        wakeups=wakeups,
        carrier=carrier,
        supervisor=Supervisor(workers, drain_s=settings.drain_s, before_drain=acceptor.stop),
        base_url=base_url(settings.server.host, sock.getsockname()[1]),
    )


def _api_routes(
    settings: Settings, store: Store, clock: SystemClock, acceptor: Acceptor, known_accounts: AccountCache
) -> list[Route]:
    return MessageApi(
        store=store,
        clock=clock,
        acceptor=acceptor,
        authenticator=Authenticator(known_accounts, clock),
        max_body_bytes=settings.server.max_body_bytes,
    ).routes()


def _hook_routes(
    settings: Settings, store: Store, clock: SystemClock, wakeups: Wakeups, known_accounts: AccountCache
) -> list[Route]:
    receiver = Receiver(
        store=store,
        clock=clock,
        new_id=new_id,
        accounts=known_accounts,
        wakeups=wakeups,
        sources=settings.sources,
        public_base_url=settings.server.public_base_url,
        max_waiting=settings.server.max_waiting_requests,
    )
    return hook_routes(receiver, max_body_bytes=settings.server.max_body_bytes)


def _dashboard_routes(
    settings: Settings, store: Store, clock: SystemClock, wakeups: Wakeups, stopping: asyncio.Event
) -> list[BaseRoute]:
    return dashboard_routes(
        DashboardContext(
            store=store,
            clock=clock,
            wakeups=wakeups,
            settings=settings.dashboard,
            secure_cookies=settings.server.public_base_url.lower().startswith("https:"),
            stopping=stopping,
        )
    )


async def _warn_of_deaf_sources(settings: Settings, known_accounts: AccountCache, clock: SystemClock) -> None:
    """Name sources of which no request can be verified, before their provider meets a 403."""
    for name, source in settings.sources.items():
        known = source.account and await known_accounts.get(source.account, clock.now_us())
        if source.account and not known:
            log.warning("source_names_an_unknown_account", source=name, account_id=source.account)
        if not source.tokens and not known:
            log.warning(
                "source_verifies_nothing",
                source=name,
                consequence="every request is refused: give it tokens or account",
            )


def base_url(host: str, port: int) -> str:
    """Return the URL under which a client on this machine reaches the server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"


def _script(settings: Settings) -> Script:
    if settings.simulator.script is None:
        return BUILT_IN
    try:
        return parse_script(read_script(settings.simulator.script))
    except Invalid as error:
        raise ConfigInvalid(str(error)) from error


async def create_account(store: Store, clock: SystemClock, name: str) -> Account:
    """Create a main account with fresh credentials."""
    now_us = clock.now_us()
    account_id: AccountId = auth_id(os.urandom(18))
    token = secrets.token_urlsafe(30)
    await store.write(lambda tx: accounts.create(tx, auth_id=account_id, token=token, name=name, now_us=now_us))
    created = await store.read(lambda tx: accounts.find(tx, account_id, now_us))
    if created is None:
        raise RuntimeError("an account that was committed is not there")
    return created
