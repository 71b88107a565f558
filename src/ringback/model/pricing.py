"""What messages and numbers cost by country: a table, and the CSV file that it comes from.

The table holds what the operator has laid down; where it says nothing, a default rate applies, and no carrier fee.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from typing import Final

import msgspec

from ringback.model.countries import NAMES
from ringback.model.errors import InvalidRequest

_AMOUNT: Final = re.compile(r"\d{1,6}(?:\.(\d{1,5}))?", re.ASCII)
_NETWORKS: Final = re.compile(r"\d{3}-\d{2,3}(?: \d{3}-\d{2,3})*", re.ASCII)

AMOUNTS: Final = (
    "sms_outbound", "sms_inbound", "mms_outbound", "mms_inbound", "sms_carrier_fee", "mms_carrier_fee",
    "local_rent", "tollfree_rent", "mobile_rent",
)  # fmt: skip
COLUMNS: Final = ("country", "network_group", "networks", *AMOUNTS)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a country's prices, or those of a group of its networks. ``None`` where it says nothing."""

    country: str
    network_group: str = ""
    networks: str = ""
    """MCC and MNC of each, as ``310-260``, with spaces between."""
    sms_outbound: str | None = None
    sms_inbound: str | None = None
    mms_outbound: str | None = None
    mms_inbound: str | None = None
    sms_carrier_fee: str | None = None
    mms_carrier_fee: str | None = None
    local_rent: str | None = None
    tollfree_rent: str | None = None
    mobile_rent: str | None = None


class Tariff:
    """All prices, ready to be asked."""

    def __init__(
        self, prices: Iterable[Price], *, default_rate: str, mms_rate: str | None = None, inbound_rate: str = "0"
    ) -> None:
        """Take rates for what ``prices`` leave open; ``mms_rate`` is ``default_rate`` where it is not given."""
        self._default_rate = five_decimals(default_rate)
        self._mms_rate = five_decimals(mms_rate or default_rate)
        self._inbound_rate = five_decimals(inbound_rate)
        self._countries: dict[str, Price] = {}
        self._groups: dict[str, list[Price]] = defaultdict(list)
        for price in prices:
            if price.network_group:
                self._groups[price.country].append(price)
            else:
                self._countries[price.country] = price

    def outbound(self, country: str, kind: str = "sms") -> tuple[str, str | None]:
        """Return what a unit to a country costs, and what carriers add to it: of kind ``sms`` or ``mms``."""
        price = self.country(country)
        if kind == "mms":
            return price.mms_outbound or self._mms_rate, price.mms_carrier_fee
        return price.sms_outbound or self._default_rate, price.sms_carrier_fee

    def inbound(self, country: str, kind: str = "sms") -> str:
        """Return what a unit costs that comes to a number of a country."""
        price = self.country(country)
        return (price.mms_inbound if kind == "mms" else price.sms_inbound) or self._inbound_rate

    def country(self, country: str) -> Price:
        """Return a country's line, an empty one if there is none."""
        return self._countries.get(country) or Price(country=country)

    def groups(self, country: str) -> list[Price]:
        """Return the lines of groups of networks of a country, by name."""
        return sorted(self._groups.get(country, ()), key=lambda price: price.network_group)


def five_decimals(amount: str) -> str:
    """Write a rate as it is on the wire: ``0.5`` is ``0.50000``."""
    whole, _, fraction = amount.partition(".")
    return f"{int(whole)}.{fraction.ljust(5, '0')}"


def read_csv(text: str) -> list[Price]:
    """Read a table. Raises ``InvalidRequest`` that names line and column of the first thing that is wrong."""
    reader = csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        return list(_prices(reader))
    except csv.Error as error:
        raise InvalidRequest(f"line {reader.line_num}: this is no CSV: {error}") from error


def _prices(reader: Iterator[list[str]]) -> Iterator[Price]:
    header = [name.strip().lower() for name in next(reader, [])]
    for number, name in enumerate(header, 1):
        if name not in COLUMNS or header.index(name) != number - 1:
            raise InvalidRequest(f"line 1, column {number}: {name!r} is no column here, or there twice; write {_NAMES}")
    if "country" not in header:
        raise InvalidRequest(f"line 1: the column country is missing; the first line names the columns: {_NAMES}")
    seen: dict[tuple[str, str], int] = {}
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InvalidRequest(f"line {line}: there are {len(cells)} columns, the first line names {len(header)}")
        price = _price({name: cell.strip() for name, cell in zip(header, cells, strict=True)}, line)
        before = seen.setdefault((price.country, price.network_group), line)
        if before != line:
            raise InvalidRequest(f"line {line}, column country: the same is priced in line {before} already")
        yield price


_NAMES: Final = ", ".join(COLUMNS)


def _price(given: Mapping[str, str], line: int) -> Price:
    country = given["country"].upper()
    if country not in NAMES and country != "ZZ":
        raise InvalidRequest(f"line {line}, column country: {country!r} is no ISO 3166 code of two letters")
    group, networks = given.get("network_group", ""), given.get("networks", "")
    if networks and _NETWORKS.fullmatch(networks) is None:
        raise InvalidRequest(f"line {line}, column networks: write MCC and MNC as 310-260, with spaces between")
    if networks and not group:
        raise InvalidRequest(f"line {line}, column network_group: networks need the name of their group")
    amounts = {name: _amount(given[name], line, name) for name in AMOUNTS if given.get(name)}
    return Price(country=country, network_group=group, networks=networks, **amounts)


def _amount(text: str, line: int, column: str) -> str:
    if _AMOUNT.fullmatch(text) is None:
        raise InvalidRequest(
            f"line {line}, column {column}: {text!r} is no price: write digits and up to 5 decimals, like 0.0065"
        )
    return five_decimals(text)
