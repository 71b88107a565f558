"""From carriers as configured to connectors: the one place that knows which kind is which driver.

A new kind is one more entry in ``MAKERS``.
"""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ringback.carriers.port import Connector
from ringback.carriers.simulator.connector import SimulatedCarrier
from ringback.carriers.simulator.script import BUILT_IN, Script, parse_script
from ringback.carriers.smpp.configure import smpp_carrier, with_quirks
from ringback.model.errors import ConfigInvalid
from ringback.model.routes import Carrier, CarrierKind
from ringback.routing.configured import configured_route
from ringback.runtime import Clock, SystemClock
from ringback.settings import Invalid, Settings, SimulatorSettings, SmppSettings, read_script
from ringback.store import routing
from ringback.store.port import Store

OfKind = TypeVar("OfKind", SimulatorSettings, SmppSettings)
SMPP: Final = "smpp"
"""The carrier, where none is configured but the group ``smpp`` names a host."""
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
    if not carriers and settings.smpp.host:
        carriers = [Carrier(name=SMPP, kind="smpp", source="file")]
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


def _not_there(carrier: Carrier, _: Settings, __: Clock) -> Connector:
    raise ConfigInvalid(
        f"carrier {carrier.name} is of kind {carrier.kind}, which this Ringback does not have yet: "
        "use kind simulator or smpp, or a later version"
    )


MAKERS: Final[dict[CarrierKind, Maker]] = {"simulator": _simulator, "smpp": _smpp, "plivo": _not_there}
