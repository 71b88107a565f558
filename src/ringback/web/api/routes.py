"""Every resource of the API, put together from what all of them share."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from ringback.analytics.engine import Engine
from ringback.analytics.questions import Questions
from ringback.dialect.media import MediaUrls
from ringback.inspector.keep import BinKeeper
from ringback.messaging.accept import Acceptor
from ringback.messaging.meter import RequestMeter
from ringback.model.ids import AccountId, NewId
from ringback.model.pricing import Tariff
from ringback.runtime import Clock
from ringback.settings import Settings
from ringback.store.accounts import AccountCache
from ringback.store.cached import Cached
from ringback.store.limits import LimitsCache
from ringback.store.media import MediaRoom
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.accounts import AccountApi
from ringback.web.api.alerts import AlertsApi
from ringback.web.api.analytics import AnalyticsApi
from ringback.web.api.applications import ApplicationApi
from ringback.web.api.auth import Authenticator
from ringback.web.api.bins import BinApi
from ringback.web.api.callbacks import CallbackApi
from ringback.web.api.caller_ids import CallerIdApi
from ringback.web.api.conversions import ConversionApi
from ringback.web.api.conversions_out import ConversionOutApi
from ringback.web.api.endpoints import EndpointApi
from ringback.web.api.events import EventApi
from ringback.web.api.gate import Gate
from ringback.web.api.media import MediaApi
from ringback.web.api.message_media import MessageMediaApi
from ringback.web.api.messages import MessageApi
from ringback.web.api.numbers import NumberApi
from ringback.web.api.operator import OperatorApi
from ringback.web.api.powerpacks import NumberPoolApi, PowerpackApi
from ringback.web.api.pricing import PricingApi
from ringback.web.api.replays import ReplayApi
from ringback.web.api.sql import SqlApi
from ringback.web.api.subaccounts import SubaccountApi
from ringback.web.media import MediaServer
from ringback.web.peers import Peers


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """Where the resources have names and secrets from that nobody can guess."""

    new_id: NewId
    new_app_id: Callable[[], str]
    new_code: Callable[[], str]
    new_subaccount: Callable[[], tuple[AccountId, str]]
    """An auth id and a token."""


class ApiParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the resources work with."""

    settings: Settings
    store: Store
    clock: Clock
    wakeups: Wakeups
    accounts: AccountCache
    acceptor: Acceptor
    tariff: Cached[Tariff]
    limits: LimitsCache
    meter: RequestMeter
    files: MediaFiles
    room: MediaRoom
    media_urls: MediaUrls
    chance: Chance
    keeper: BinKeeper
    stopping: asyncio.Event
    """Set when the server stops: nobody waits for anything then."""
    engine: Engine
    """Answers questions about deliveries."""
    questions: Questions
    """What it is asked; answers are kept for the dashboard too."""


def api_routes(parts: ApiParts) -> list[BaseRoute]:
    """Return the routes of all resources."""
    reading: dict[str, Any] = {
        "store": parts.store,
        "clock": parts.clock,
        "authenticator": Authenticator(parts.accounts, parts.clock),
    }
    writing: dict[str, Any] = {**reading, "max_body_bytes": parts.settings.server.max_body_bytes}
    gate = Gate(new_id=parts.chance.new_id, wakeups=parts.wakeups, limits=parts.limits, meter=parts.meter, **writing)
    analytics = AnalyticsApi(questions=parts.questions, engine=parts.engine, **reading)
    server = MediaServer(store=parts.store, clock=parts.clock, files=parts.files, urls=parts.media_urls)
    resources = [
        *_sending(parts, writing),
        *_callbacks(parts, reading, writing),
        *_media(parts, reading),
        *_numbers(parts, writing),
        *_accounts(parts, writing),
        *analytics.routes(),
    ]
    operator = OperatorApi(
        store=parts.store,
        clock=parts.clock,
        wakeups=parts.wakeups,
        max_body_bytes=parts.settings.server.max_body_bytes,
        peers=Peers(parts.settings.server.trusted_proxies),
    )
    # Links to media carry a signature instead of credentials, the operator is no account: nobody stands before those.
    return [
        *gate.before(resources),
        *operator.routes(),
        *analytics.operator_routes(),
        *_alerts(parts).routes(),
        *server.routes(),
        *_bins(parts, writing),
        *_events(parts, reading, writing),
        *SqlApi(engine=parts.engine, settings=parts.settings, store=parts.store).routes(),
    ]


def _alerts(parts: ApiParts) -> AlertsApi:
    return AlertsApi(
        store=parts.store,
        clock=parts.clock,
        new_id=parts.chance.new_id,
        wakeups=parts.wakeups,
        settings=parts.settings.alerts,
        max_body_bytes=parts.settings.server.max_body_bytes,
    )


def _bins(parts: ApiParts, writing: dict[str, Any]) -> list[BaseRoute]:
    settings = parts.settings
    base_url = settings.server.public_base_url.rstrip("/")
    api = BinApi(
        keeper=parts.keeper, max_waits=settings.bins.max_held, base_url=base_url, stopping=parts.stopping, **writing
    )
    return list(api.routes())


def _events(parts: ApiParts, reading: dict[str, Any], writing: dict[str, Any]) -> list[BaseRoute]:
    received: dict[str, Any] = {"sources": parts.settings.sources, "wakeups": parts.wakeups}
    return [
        *EventApi(stopping=parts.stopping, **received, **reading).routes(),
        *ConversionOutApi(**received, **writing).routes(),
    ]


def _sending(parts: ApiParts, writing: dict[str, Any]) -> list[BaseRoute]:
    peers = Peers(parts.settings.server.trusted_proxies)
    changing: dict[str, Any] = {**writing, "new_id": parts.chance.new_id, "wakeups": parts.wakeups}
    return [
        *MessageApi(
            acceptor=parts.acceptor, peers=peers, listed_days=parts.settings.retention.messages_days, **writing
        ).routes(),
        *ConversionApi(**changing).routes(),
    ]


def _callbacks(parts: ApiParts, reading: dict[str, Any], writing: dict[str, Any]) -> list[BaseRoute]:
    changing: dict[str, Any] = {"new_id": parts.chance.new_id, "wakeups": parts.wakeups}
    concurrency = parts.settings.delivery.endpoint_concurrency
    return [
        # First: `Callback/Replay/` would be taken for a callback of that id.
        *ReplayApi(**writing, **changing).routes(),
        *CallbackApi(**reading, **changing).routes(),
        *EndpointApi(wakeups=parts.wakeups, max_concurrency=concurrency, **writing).routes(),
    ]


def _media(parts: ApiParts, reading: dict[str, Any]) -> list[BaseRoute]:
    uploads = MediaApi(
        new_id=parts.chance.new_id,
        files=parts.files,
        room=parts.room,
        urls=parts.media_urls,
        retention=parts.settings.retention,
        **reading,
    )
    return [*uploads.routes(), *MessageMediaApi(urls=parts.media_urls, **reading).routes()]


def _numbers(parts: ApiParts, writing: dict[str, Any]) -> list[BaseRoute]:
    return [
        *ApplicationApi(new_app_id=parts.chance.new_app_id, **writing).routes(),
        *NumberApi(**writing).routes(),
        *PowerpackApi(new_id=parts.chance.new_id, **writing).routes(),
        *NumberPoolApi(**writing).routes(),
    ]


def _accounts(parts: ApiParts, writing: dict[str, Any]) -> list[BaseRoute]:
    caller_ids = CallerIdApi(
        new_id=parts.chance.new_id,
        new_code=parts.chance.new_code,
        acceptor=parts.acceptor,
        sender=parts.settings.messaging.verification_sender,
        peers=Peers(parts.settings.server.trusted_proxies),
        **writing,
    )
    pricing = PricingApi(clock=parts.clock, tariff=parts.tariff, authenticator=writing["authenticator"])
    subaccounts = SubaccountApi(accounts=parts.accounts, new_credentials=parts.chance.new_subaccount, **writing)
    return [*AccountApi(**writing).routes(), *subaccounts.routes(), *caller_ids.routes(), *pricing.routes()]
