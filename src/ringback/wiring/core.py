"""What every role is given."""

import secrets
from contextlib import AsyncExitStack

import msgspec

from ringback.analytics.engine import Engine
from ringback.dialect.media import MediaUrls
from ringback.messaging.accept import Acceptor
from ringback.messaging.inbound import InboundTaker
from ringback.messaging.meter import RequestMeter
from ringback.messaging.receipts import ReceiptTaker
from ringback.messaging.senders import Senders
from ringback.metrics import Metrics
from ringback.model.pricing import Tariff
from ringback.runtime import SystemClock
from ringback.settings import Settings
from ringback.store import keys, numbers, prices
from ringback.store.accounts import AccountCache
from ringback.store.cached import Cached
from ringback.store.callers import Reach
from ringback.store.limits import LimitsCache
from ringback.store.measured import MeasuredStore
from ringback.store.media import MediaRoom
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.wiring.analytics import open_engine
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id


class Core(msgspec.Struct, frozen=True):
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
    meter: RequestMeter
    """Of requests by whichever door."""
    engine: Engine
    """Answers questions about deliveries."""


async def open_core(settings: Settings, stack: AsyncExitStack, listening_at: str) -> Core:
    opened, clock = await stack.enter_async_context(open_backbone(settings))
    metrics = Metrics()
    store = MeasuredStore(opened, metrics)
    files = MediaFiles(settings.store.media_dir or settings.store.data_dir / "media")
    stack.callback(files.close)
    files.prepare()
    engine = await open_engine(settings, stack)
    return Core(
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
        RequestMeter(),
        engine,
    )


async def _media_urls(settings: Settings, store: Store, listening_at: str) -> MediaUrls:
    key = await store.write(lambda tx: keys.ensure(tx, "media urls", secrets.token_hex(32)))
    return MediaUrls(
        bytes.fromhex(key),
        base_url=settings.server.public_base_url or listening_at,
        lifetime_s=settings.server.media_url_hours * 3600,
    )


def _tariff(settings: Settings, store: Store) -> Cached[Tariff]:
    outbound = settings.messaging
    rates = {
        "default_rate": outbound.default_rate,
        "mms_rate": outbound.mms_rate,
        "inbound_rate": outbound.inbound_rate,
    }
    return Cached(store, lambda tx: Tariff(prices.read(tx), **rates))


def acceptor_of(core: Core) -> Acceptor:
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


def receipt_taker_of(core: Core) -> ReceiptTaker:
    return ReceiptTaker(store=core.store, clock=core.clock, new_id=new_id, wakeups=core.wakeups, metrics=core.metrics)


def inbound_taker_of(core: Core, acceptor: Acceptor) -> InboundTaker:
    return InboundTaker(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        settings=core.settings.messaging,
        find_owner=numbers.owner,
        acceptor=acceptor,
        metrics=core.metrics,
    )
