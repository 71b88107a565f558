"""Carriers and routes as operators configure them, and the whole of them at one moment."""

from typing import Annotated, Any, Final, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""Lower case, so that nobody has to know how somebody else wrote it."""
CarrierKind = Literal["simulator", "smpp", "plivo"]
OnUnknown = Literal["resubmit", "wait"]
Source = Literal["file", "command"]

DEFAULT: Final = "default"
"""The route, where there is one carrier and none is configured."""
SIMULATOR: Final = "simulator"
"""The carrier, where none is configured."""

_SECRET_WORDS: Final = ("password", "token", "secret", "key")


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """Who terminates messages, and how we reach them."""

    name: str
    kind: CarrierKind
    settings: dict[str, Any] = {}
    """What its kind wants; may hold passwords."""
    capacity: int | None = None
    """Submissions in flight at once, in each process; ``None`` where the setting applies."""
    is_paused: bool = False
    """Nothing is handed over; its messages wait until they expire."""
    reason: str | None = None
    rebinds: int = 0
    source: Source = "command"

    def shown_settings(self) -> dict[str, Any]:
        """Return the settings for people, without what is secret."""
        shown: dict[str, Any] = _without_secrets(self.settings)
        return shown

    def is_same_link(self, other: "Carrier") -> bool:
        """Whether a connector made for the one does for the other."""
        return (self.kind, self.settings, self.capacity) == (other.kind, other.settings, other.capacity)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A way to some destinations through a carrier. What is empty or ``None`` takes all."""

    name: str
    carrier: str
    prefix: str = ""
    """Digits with which the destination begins."""
    mcc: str | None = None
    mnc: str | None = None
    sender: str = ""
    """As in a shell: ``*`` stands for anything, ``?`` for one character."""
    account_id: str | None = None
    type: Literal["sms", "mms"] | None = None
    priority: int = 0
    """Of routes that say as much about a message, the lowest goes first."""
    weight: int = 1
    """Of routes with one priority, the share of messages that try it first; 0: only when the others did not."""
    on_unknown: OnUnknown = "resubmit"
    receipt_timeout_s: int = 0
    """When a message without a receipt gets a note saying so; 0 never."""
    failover_codes: tuple[str, ...] = ("20", "90")
    """With one of these a rejection is not the last word: the next route is tried."""
    is_paused: bool = False
    """It is not chosen; what waits for its carrier already stays."""
    source: Source = "command"


_SIMULATED: Final = Carrier(name=SIMULATOR, kind="simulator", source="file")


class RoutingTable(msgspec.Struct, frozen=True, kw_only=True):
    """All carriers and routes at one moment."""

    version: int = 0
    carriers: dict[str, Carrier] = msgspec.field(default_factory=lambda: {SIMULATOR: _SIMULATED})
    routes: tuple[Route, ...] = (Route(name=DEFAULT, carrier=SIMULATOR),)

    def route(self, name: str | None) -> Route | None:
        """Return the route of a name."""
        return next((route for route in self.routes if route.name == name), None)


def table_of(version: int, carriers: list[Carrier], routes: list[Route]) -> RoutingTable:
    """Make a table of what is configured: the simulator where nothing is, and all to one carrier without routes."""
    if not carriers:
        return RoutingTable(version=version)
    if not routes and len(carriers) == 1:
        routes = [Route(name=DEFAULT, carrier=carriers[0].name)]
    return RoutingTable(version=version, carriers={each.name: each for each in carriers}, routes=tuple(routes))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: ("set" if inner else "not set")
            if any(word in str(name).lower() for word in _SECRET_WORDS)
            else _without_secrets(inner)
            for name, inner in value.items()
        }
    return [_without_secrets(each) for each in value] if isinstance(value, list | tuple) else value
