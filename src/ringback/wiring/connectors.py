"""From carriers as configured to connectors: the one place that knows which kind is which driver.

A new kind is one more entry in ``MAKERS``.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ringback.carriers.plivo.configure import upstream_account
from ringback.carriers.port import Connector
from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.carriers.simulator.script import BUILT_IN, Script, parse_script
from ringback.carriers.smpp.configure import smpp_carrier, with_quirks
from ringback.model.errors import ConfigInvalid
from ringback.model.routes import Carrier, CarrierKind
from ringback.routing.configured import configured_route
from ringback.runtime import Clock, SystemClock
from ringback.settings import (
    Invalid,
    PlivoSettings,
    Settings,
    SimulatorSettings,
    SmppSettings,
    SourceSettings,
    read_script,
)
from ringback.store import routing
from ringback.store.port import Store

OfKind = TypeVar("OfKind", SimulatorSettings, SmppSettings, PlivoSettings)
SMPP: Final = "smpp"
"""The carrier, where none is configured but the group ``smpp`` names a host."""
PLIVO: Final = "plivo"
"""The carrier, where none is configured but the group of that name names an account."""
Maker = Callable[[Carrier, Settings, Clock], Connector]
"""Makes a connector; raises ``ConfigInvalid``."""


def open_connector(carrier: Carrier, settings: Settings, clock: Clock) -> Connector:
    """Make the connector of a carrier. Raises ``ConfigInvalid``."""
    return MAKERS[carrier.kind](carrier, settings, clock)


async def sync_carriers(settings: Settings, store: Store, clock: SystemClock) -> None:
    """Store the carriers and routes of the settings. Raises ``ConfigInvalid``."""
    carriers = [
        Carrier(
            name=each.name, kind=each.kind, settings=getattr(each, each.kind), capacity=each.capacity, source="file"
        )
        for each in settings.carriers
    ]
    if not carriers:
        carriers = of_groups(settings)
    routes = [configured_route(each, source="file") for each in settings.routes]
    _refuse_twice("carriers", [each.name for each in carriers])
    _refuse_twice("routes", [each.name for each in routes])
    known = {each.name for each in carriers}
    now_us = clock.now_us()
    if carriers or routes:
        commanded = {each.name for each in await store.read(routing.all_carriers) if each.source == "command"}
        for route in routes:
            if route.carrier not in known | commanded:
                raise ConfigInvalid(
                    f"settings: route {route.name} leads to carrier {route.carrier}, which is not there"
                )
    await store.write(lambda tx: routing.sync_file(tx, carriers, routes, now_us=now_us))


def of_groups(settings: Settings) -> list[Carrier]:
    """Return the carrier that the group of a kind stands for, where the settings list none."""
    found = [
        *([Carrier(name=SMPP, kind="smpp", source="file")] if settings.smpp.host else ()),
        *([Carrier(name=PLIVO, kind="plivo", source="file")] if settings.plivo.auth_id else ()),
    ]
    if len(found) > 1:
        raise ConfigInvalid(
            "settings: smpp.host and plivo.auth_id both name the only carrier: list them as [[carriers]], with "
            "[[routes]] to them"
        )
    return found


def _refuse_twice(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigInvalid(f"settings: two of the {what} are called {name}: give each a name of its own")


def _simulator(carrier: Carrier, settings: Settings, clock: Clock) -> Connector:
    own = _own(carrier, settings.simulator)
    return SimulatedCarrier(
        clock=clock, script=simulator_script(own), seed=own.seed, speed=own.speed, name=carrier.name
    )


def _smpp(carrier: Carrier, settings: Settings, clock: Clock) -> Connector:
    own = _converted(carrier, with_quirks(settings.smpp, carrier.settings, name=carrier.name), SmppSettings)
    return smpp_carrier(own, name=carrier.name, clock=clock, chance=secrets.SystemRandom().random)


def _own(carrier: Carrier, common: OfKind) -> OfKind:
    """Return what applies to a carrier: its own settings, and for the rest those of the kind's group."""
    return _converted(carrier, msgspec.structs.asdict(common) | carrier.settings, type(common))


def _converted(carrier: Carrier, given: dict[str, Any], kind: type[OfKind]) -> OfKind:
    try:
        return msgspec.convert(given, kind, strict=False, dec_hook=lambda _, value: Path(value))
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"carrier {carrier.name}: {error}") from error


def simulator_script(own: SimulatorSettings) -> Script:
    """Return the script of a simulated carrier. Raises ``ConfigInvalid``."""
    if own.script is None:
        return BUILT_IN
    try:
        return parse_script(read_script(own.script.expanduser()))
    except Invalid as error:
        raise ConfigInvalid(str(error)) from error


def _plivo(carrier: Carrier, settings: Settings, clock: Clock) -> Connector:
    return upstream_account(
        _own(carrier, settings.plivo),
        name=carrier.name,
        public_base_url=settings.server.public_base_url,
        lease_s=settings.messaging.submit_lease_s,
        clock=clock,
    )


def source_of(carrier: Carrier, settings: Settings) -> SourceSettings | None:
    """Return whose callbacks a carrier sends; ``None`` for one that sends none. Raises ``ConfigInvalid``."""
    if carrier.kind != "plivo":
        return None
    own = _own(carrier, settings.plivo)
    return SourceSettings(
        auth_id=own.auth_id,
        tokens=tuple(token for token in (own.auth_token, *own.more_tokens) if token),
        require_v3=own.require_v3,
        public_url=own.public_url,
    )


MAKERS: Final[dict[CarrierKind, Maker]] = {"simulator": _simulator, "smpp": _smpp, "plivo": _plivo}
