"""The world that made-up history happens in: who sends what to where, and how well which networks take it.

Everything follows from a seed. Few have much and many have little: shares of accounts, senders, countries and networks
fall as 1 / rank.
"""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Final

import msgspec
import phonenumbers

from ringback.carriers.simulator.networks import NETWORKS, Network
from ringback.dialect import codes
from ringback.model import ids
from ringback.model.ids import AccountId

ACCOUNTS: Final = 8
SENDERS: Final = 2_000
COUNTRIES: Final = (
    "IN", "US", "ID", "BR", "PH", "GB", "NG", "DE", "MX", "FR", "TR", "ES", "IT", "PL", "VN", "TH", "ZA", "CO", "AR",
    "EG", "NL", "AE", "KE", "CA", "SE", "PT", "BE", "CL", "AU", "JP", "KR", "CZ", "AT", "CH", "DK", "NO", "FI", "IE",
    "IL", "SG",
)  # fmt: skip
"""Most messages first."""
NETWORKS_EACH: Final = 6
CONNECTORS: Final = 6
ROUTES: Final = 24
ROUTES_EACH: Final = 3
"""So many of the routes lead to one country."""
OTP_SHARE: Final = 0.45
"""Of messages that are one-time passwords, each expecting a conversion."""
ERROR_CODES: Final = [code for code in codes.MEANINGS if code not in {codes.NONE, "1000"}]
_OURS: Final = frozenset({"40", "50", "90", "200", "420", "450", "451", "900"})
"""Codes of messages that were never handed over: failed, not undelivered."""
FAILED_CODES: Final = [code for code in ERROR_CODES if code in _OURS]
UNDELIVERED_CODES: Final = [code for code in ERROR_CODES if code not in _OURS]


class Sender(msgspec.Struct, frozen=True):
    """Whose messages look alike."""

    src: str
    account_id: AccountId
    sends_passwords: bool


class Carrier(msgspec.Struct, frozen=True):
    """A network of a country and how it behaves."""

    country: str
    prefix: str
    """Country code and the digits that its numbers begin with."""
    network: Network
    rate: str
    undelivered: float
    """Share of what it takes and does not deliver."""
    conversion: float
    """Share of one-time passwords that are entered, of those delivered."""
    log_median: float
    """Natural logarithm of the seconds from sent to delivered, at the median."""


class Route(msgspec.Struct, frozen=True):
    """A way, and how well it does."""

    name: str
    connector: str
    slower: float
    """Added to the logarithm of a carrier's median."""
    tells_twice: bool
    """Its carrier sends an intermediate receipt, which says once more that a message was sent."""


class World(msgspec.Struct, frozen=True):
    """What is drawn from, with cumulated weights for ``random.choices``."""

    accounts: Sequence[AccountId]
    senders: Sequence[Sender]
    sender_weights: Sequence[float]
    carriers: Sequence[Carrier]
    carrier_weights: Sequence[float]
    routes: dict[str, tuple[Route, ...]]
    """By country, the one most used first."""


def world(seed: int) -> World:
    """Make the world of a seed."""
    rng = Random(f"world {seed}")  # noqa: S311 - must be the same each time
    accounts = [ids.auth_id(rng.randbytes(18)) for _ in range(ACCOUNTS)]
    carriers = [carrier for country in COUNTRIES for carrier in _carriers(rng, country)]
    routes = _routes(rng)
    return World(
        accounts=accounts,
        senders=[_sender(rng, number, accounts) for number in range(SENDERS)],
        sender_weights=_falling(SENDERS),
        carriers=carriers,
        carrier_weights=list(
            accumulate(1 / (rank + 1) / (place + 1) for rank in range(len(COUNTRIES)) for place in range(NETWORKS_EACH))
        ),
        routes={country: tuple(rng.sample(routes, ROUTES_EACH)) for country in COUNTRIES},
    )


def _falling(count: int) -> list[float]:
    return list(accumulate(1 / (rank + 1) for rank in range(count)))


def _sender(rng: Random, number: int, accounts: Sequence[AccountId]) -> Sender:
    # Every third is a name, as most countries allow; the others are numbers that nobody has.
    src = f"BRAND{number:04}" if number % 3 == 0 else f"1500555{number:04}"
    [account] = rng.choices(accounts, cum_weights=_falling(len(accounts)))
    return Sender(src, account, rng.random() < OTP_SHARE)


def _carriers(rng: Random, country: str) -> list[Carrier]:
    known = NETWORKS[country]
    # A country has fewer large networks than are wanted here: small ones, with codes that nobody has, follow.
    more = tuple(
        Network(known[0].mcc, f"9{9 - n}", f"{country} Mobile {n + 1}") for n in range(NETWORKS_EACH - len(known))
    )
    rate = f"{rng.uniform(0.004, 0.09):.5f}"
    prefix = str(phonenumbers.country_code_for_region(country))
    return [
        Carrier(
            country=country,
            prefix=prefix,
            network=network,
            rate=rate,
            undelivered=rng.uniform(0.01, 0.12),
            conversion=rng.uniform(0.6, 0.95),
            log_median=rng.uniform(0.3, 2.5),
        )
        for network in (*known, *more)
    ]


def _routes(rng: Random) -> list[Route]:
    return [
        Route(
            name=f"route-{number + 1:02}",
            connector=f"carrier-{number % CONNECTORS + 1}",
            slower=rng.uniform(-0.3, 0.6),
            tells_twice=number % 3 != 0,
        )
        for number in range(ROUTES)
    ]
