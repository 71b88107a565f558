"""Which routes a message may take, and in which order: a pure choice from what is configured.

``candidates`` says what fits and in which order; ``next_route`` what to do now, given what has been tried and which
carriers are known to be away. A choice that learns replaces ``candidates``: from the same facts to routes in order.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from ringback.model.routes import Route, RoutingTable

_DRAW_BITS: Final = 53


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice goes by."""

    message_uuid: str
    account_id: str
    src: str
    dst: str
    """Digits, country code first."""
    type: str = "sms"
    mcc: str | None = None
    """The network of the destination, where somebody knows it."""
    mnc: str | None = None


class Try(msgspec.Struct, frozen=True):
    """A route that did not take a message."""

    route: str
    why: Literal["rejected", "deferred"]
    """``deferred``: it may take it later."""


def candidates(table: RoutingTable, facts: Facts, carries: Mapping[str, Collection[str]]) -> list[Route]:
    """Return the routes that fit, the best first.

    ``carries`` says which types of messages a carrier can take; of one that is not in it nothing is known, and it is
    taken to carry everything. What says more about the message goes first: the longer prefix, then the network, the
    account, the sender, the type. Then the lower priority; then the weighted draw, which is the message's own.
    """
    fitting = [route for route in table.routes if _fits(route, table, facts, carries)]
    if len(fitting) < 2:
        return fitting
    return sorted(fitting, key=lambda route: (*_vagueness(route), route.priority, *_draw(route, facts.message_uuid)))


def next_route(ordered: Sequence[Route], tried: Iterable[Try], away: Collection[str]) -> Route | None:
    """Return the route to take now: the first that was not tried, of carriers that are not ``away`` if there is one.

    ``None`` when all were tried.
    """
    gone = {each.route for each in tried}
    left = [route for route in ordered if route.name not in gone]
    return next((route for route in left if route.carrier not in away), left[0] if left else None)


def _fits(route: Route, table: RoutingTable, facts: Facts, carries: Mapping[str, Collection[str]]) -> bool:
    return (
        not route.is_paused
        and route.carrier in table.carriers
        and facts.dst.startswith(route.prefix)
        and route.mcc in (None, facts.mcc)
        and route.mnc in (None, facts.mnc)
        and route.account_id in (None, facts.account_id)
        and route.type in (None, facts.type)
        and (not route.sender or fnmatchcase(facts.src, route.sender))
        and facts.type in carries.get(route.carrier, (facts.type,))
    )


def _vagueness(route: Route) -> tuple[int, int, bool, bool, bool]:
    network = (route.mcc is not None) + (route.mnc is not None)
    return -len(route.prefix), -network, route.account_id is None, not route.sender, route.type is None


def _draw(route: Route, message_uuid: str) -> tuple[float, str]:
    if route.weight == 0:
        return math.inf, route.name
    digest = blake2b(f"{message_uuid} {route.name}".encode(), digest_size=8, person=b"route draw").digest()
    share = ((int.from_bytes(digest) >> (64 - _DRAW_BITS)) + 0.5) / 2**_DRAW_BITS
    # The first of several independent exponential waits is each one's with the share of its rate: its weight.
    return -math.log(share) / route.weight, route.name
