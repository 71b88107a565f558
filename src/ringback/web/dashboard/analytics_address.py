"""Where somebody is among the analytics pages: the page, the period and the filters, all of it in the address.

Every row of a page links to the same address with one filter more; every chip to the one with one filter less.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import msgspec

ROOT: Final = "/dashboard/analytics"

PAGES: Final = (
    ("", "Overview", "o"),
    ("delivery", "Delivery", "d"),
    ("latency", "Latency", "l"),
    ("funnel", "Funnel", "f"),
    ("errors", "Errors", "e"),
    ("heatmap", "Heat map", "h"),
    ("spend", "Spend", "s"),
    ("endpoints", "Endpoints", "p"),
    ("live", "Live", "v"),
    ("sql", "Ask", "a"),
    ("alerts", "Alerts", "r"),
)
"""Name in the address, name for people, and the key that follows ``g`` to go there."""

PERIODS: Final = ("1h", "24h", "7d", "30d", "90d")
DEFAULT_PERIOD: Final = "24h"

DIMENSIONS: Final = {
    "country": "Country",
    "carrier": "Carrier",
    "sender": "Sender",
    "route": "Route",
    "connector": "Connector",
    "error": "Error",
    "status": "Status",
    "account": "Account",
    "origin": "Source",
    "type": "Type",
    "direction": "Direction",
}
"""What can be filtered by: its name in addresses, and for people."""

_OF_ALL_PAGES: Final = frozenset({"period", "since", "until", "compare", *DIMENSIONS})


class Chip(msgspec.Struct, frozen=True):
    """One filter that is on."""

    name: str
    label: str
    value: str
    without: str
    """The address without it."""


class Address(msgspec.Struct, frozen=True):
    """A page of the analytics, and what it is asked for."""

    page: str
    pairs: tuple[tuple[str, str], ...] = ()
    """As they stand in the query string; a name may occur more than once."""

    def url(self) -> str:
        """Return the address."""
        path = f"{ROOT}/{self.page}" if self.page else ROOT
        return f"{path}?{urlencode(self.pairs)}" if self.pairs else path

    def to(self, page: str) -> "Address":
        """Return another page with the same period and filters."""
        return Address(page, tuple(pair for pair in self.pairs if pair[0] in _OF_ALL_PAGES))

    def part(self, name: str) -> "Address":
        """Return the address of something that belongs to this page, such as its export."""
        return Address(f"{self.page or 'overview'}/{name}", self.pairs)

    def where(self, name: str, value: str) -> "Address":
        """Return the same with one filter more; one that is on already stays as it is."""
        return self if (name, value) in self.pairs else Address(self.page, (*self.pairs, (name, value)))

    def having(self, **parts: str) -> "Address":
        """Return the same with these parts instead of what they were; an empty one is left out."""
        kept = [pair for pair in self.pairs if pair[0] not in parts]
        return Address(self.page, (*kept, *((name, value) for name, value in parts.items() if value)))

    def during(self, period: str) -> "Address":
        """Return the same for a period that ends now."""
        return self.having(period="" if period == DEFAULT_PERIOD else period, since="", until="")

    def unfiltered(self) -> "Address":
        """Return the same period without any filter."""
        return Address(self.page, tuple(pair for pair in self.pairs if pair[0] not in DIMENSIONS))

    def first(self, name: str, default: str = "") -> str:
        """Return the value of a part that occurs once."""
        return next((value for key, value in self.pairs if key == name and value), default)

    def values(self, name: str) -> list[str]:
        """Return all values of a part."""
        return [value for key, value in self.pairs if key == name]

    def chips(self) -> list[Chip]:
        """Return the filters that are on, in the order in which they were put on."""
        return [
            Chip(name, DIMENSIONS[name], value, self._without((name, value)).url())
            for name, value in self.pairs
            if name in DIMENSIONS
        ]

    @property
    def period(self) -> str:
        """The period that ends now, ``""`` where the address gives times of its own."""
        own = self.first("since") or self.first("until")
        return "" if own else self.first("period", DEFAULT_PERIOD)

    @property
    def compares(self) -> bool:
        """Whether the period before is shown beside."""
        return self.first("compare") == "previous"

    def _without(self, gone: tuple[str, str]) -> "Address":
        return Address(self.page, tuple(pair for pair in self.pairs if pair != gone))


def read_address(page: str, pairs: Iterable[tuple[str, str]]) -> Address:
    """Read the address of a request. Empty parts are left out, as forms send them."""
    return Address(page, tuple((name, value.strip()) for name, value in pairs if value.strip()))
