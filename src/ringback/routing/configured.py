"""Carriers and routes as operators name them, from whichever door: checked, and shown with how their links are."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ringback.carriers.port import Snapshot
from ringback.model.errors import InvalidRequest
from ringback.model.routes import Carrier, Route, RoutingTable, Source
from ringback.settings import CarrierSettings, RouteSettings
from ringback.store import routing
from ringback.store.port import Transaction

FRESH_US: Final = 60_000_000
"""What a process has not said again for so long is not shown: it has ended."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What one process says of its link."""

    process: str
    at_us: int
    snapshot: Snapshot


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier with its links and the routes that lead there."""

    carrier: Carrier
    links: list[Said]
    routes: list[Route]

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it, without what is secret."""
        carrier = self.carrier
        return {
            "name": carrier.name,
            "kind": carrier.kind,
            "settings": carrier.shown_settings(),
            "capacity": carrier.capacity,
            "paused": carrier.is_paused,
            "reason": carrier.reason,
            "source": carrier.source,
            "routes": [route.name for route in self.routes],
            "links": [
                {"process": said.process, "at_us": said.at_us, **msgspec.to_builtins(said.snapshot)}
                for said in self.links
            ],
        }


def shown(tx: Transaction, now_us: int) -> list[Shown]:
    """Return all carriers, by name; the simulated one where none is configured."""
    links = routing.links(tx, since_us=now_us - FRESH_US)
    table = routing.read(tx)
    return [
        Shown(
            carrier=carrier,
            links=[
                Said(process=link.node, at_us=link.at_us, snapshot=msgspec.json.decode(link.snapshot, type=Snapshot))
                for link in links
                if link.carrier == carrier.name
            ],
            routes=[route for route in table.routes if route.carrier == carrier.name],
        )
        for carrier in routing.all_carriers(tx) or list(RoutingTable().carriers.values())
    ]


def route_record(route: Route) -> dict[str, Any]:
    """Return a route as JSON has it: the names are those of the settings file."""
    fields: dict[str, Any] = msgspec.to_builtins(route)
    fields["account"], fields["paused"] = fields.pop("account_id"), fields.pop("is_paused")
    return fields


def carrier_of(name: str, given: Mapping[str, Any]) -> Carrier:
    """Make a carrier of ``kind``, ``settings`` and ``capacity``. Raises ``InvalidRequest``."""
    fields = {**given, "name": name}
    settings = fields.pop("settings", None) or {}
    try:
        checked = msgspec.convert(fields, CarrierSettings)
        return Carrier(
            name=checked.name,
            kind=checked.kind,
            settings=msgspec.convert(settings, dict[str, Any]),
            capacity=checked.capacity,
        )
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"carrier {name[:64]}: {error}") from error


def route_of(name: str, given: Mapping[str, Any]) -> Route:
    """Make a route of the fields that the settings file has for one. Raises ``InvalidRequest``."""
    try:
        return configured_route(msgspec.convert({**given, "name": name}, RouteSettings), source="command")
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"route {name[:64]}: {error}") from error


def configured_route(given: RouteSettings, *, source: Source) -> Route:
    """Return a route of the settings file, or one given as if it were there."""
    fields = msgspec.structs.asdict(given)
    return Route(account_id=fields.pop("account"), source=source, **fields)
