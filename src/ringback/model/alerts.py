"""Alerts: what can be wrong with deliveries, of which messages, and what is known of it. Pure.

A *finding* is what one look at the figures says; an *alert* is what people are told, from the first finding until it is
over. Times are UTC microseconds, shares lie between 0 and 1.
"""

from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """What is wrong."""

    DELIVERY_DROP = "delivery_drop"
    ERROR_SPIKE = "error_spike"
    NO_RECEIPT_SPIKE = "no_receipt_spike"
    LATENCY_RISE = "latency_rise"
    CONVERSION_DROP = "conversion_drop"
    PUMPING = "pumping"
    VOLUME_DROP = "volume_drop"
    TEST = "test"
    """None: it was sent to try the address out."""


MEANINGS: Final = {
    Kind.DELIVERY_DROP: "fewer messages are delivered",
    Kind.ERROR_SPIKE: "one error code is more frequent",
    Kind.NO_RECEIPT_SPIKE: "more messages are sent and have no receipt",
    Kind.LATENCY_RISE: "messages take longer to be delivered",
    Kind.CONVERSION_DROP: "fewer messages convert",
    Kind.PUMPING: "many messages to few ranges of numbers, which do not convert",
    Kind.VOLUME_DROP: "hardly any messages where there is always traffic",
    Kind.TEST: "a test: nothing is wrong",
}

EXPLAINED_BY: Final = {
    Kind.VOLUME_DROP: frozenset({Kind.VOLUME_DROP}),
    Kind.DELIVERY_DROP: frozenset({Kind.DELIVERY_DROP, Kind.ERROR_SPIKE}),
    Kind.ERROR_SPIKE: frozenset({Kind.ERROR_SPIKE, Kind.DELIVERY_DROP}),
    Kind.NO_RECEIPT_SPIKE: frozenset({Kind.NO_RECEIPT_SPIKE, Kind.LATENCY_RISE}),
    Kind.LATENCY_RISE: frozenset({Kind.LATENCY_RISE, Kind.NO_RECEIPT_SPIKE}),
    Kind.PUMPING: frozenset({Kind.PUMPING}),
    Kind.CONVERSION_DROP: frozenset(
        {Kind.CONVERSION_DROP, Kind.PUMPING, Kind.DELIVERY_DROP, Kind.NO_RECEIPT_SPIKE, Kind.LATENCY_RISE}
    ),
}
"""Kinds of which one alert is enough, where they are of the same messages: what has another cause besides is told."""

WORSE_TO_BETTER: Final = tuple(EXPLAINED_BY)
"""In this order one explains another."""


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which messages: those that have all of what is given. Without anything: all messages."""

    country: str | None = None
    """Always given where ``carrier`` is."""
    carrier: str | None = None
    sender: str | None = None

    def contains(self, other: "Scope") -> bool:
        """Say whether all messages of ``other`` are of this scope."""
        return all(mine in (None, its) for mine, its in self._pairs(other))

    def meet(self, other: "Scope") -> "Scope | None":
        """Return the scope of the messages that are of both, ``None`` where there can be none."""
        if any(None not in pair and pair[0] != pair[1] for pair in self._pairs(other)):
            return None
        return Scope(
            country=self.country or other.country,
            carrier=self.carrier or other.carrier,
            sender=self.sender or other.sender,
        )

    def breadth(self) -> int:
        """Return how narrow it is: 0 for all messages, more for fewer."""
        return sum(value is not None for value in (self.country, self.carrier, self.sender))

    def words(self) -> str:
        """Write it for people: ``IN, carrier 404-20, sender ACME``."""
        parts = [self.country or ""]
        parts += [f"carrier {self.carrier}"] if self.carrier else []
        parts += [f"sender {self.sender}"] if self.sender else []
        return ", ".join(part for part in parts if part) or "all messages"

    def _pairs(self, other: "Scope") -> tuple[tuple[str | None, str | None], ...]:
        return ((self.country, other.country), (self.carrier, other.carrier), (self.sender, other.sender))


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The figures of a finding."""

    measure: str
    """What ``before`` and ``now`` are: ``delivery_rate``, ``error_share``, ``no_receipt_share``, ``p95_ms``,
    ``conversion_rate`` or ``messages``."""
    before: float
    now: float
    n_before: int
    """Messages behind ``before``, of all windows together."""
    n_now: int
    bad_now: int
    """Of these: failed, without receipt, too slow, not converted; for volume, how many are missing."""
    log10_p: float
    """Decimal logarithm of the chance of such a difference, or a larger one, where nothing has changed."""
    compared_with: str
    """``weeks``: the same hour of the week, median of up to four; ``days``: the same hour of the last seven days;
    ``day``: the same hour of the day before; ``elsewhere``: what was sent elsewhere, where nothing was sent before."""
    since_us: int
    until_us: int
    """The window of ``now``."""
    error_code: str | None = None
    """The most frequent error, where one stands out."""
    prefixes: tuple[str, ...] = ()
    """Ranges of numbers, without the last four digits."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look says."""

    kind: Kind
    scope: Scope
    evidence: Evidence


class State(StrEnum):
    """Where an alert is."""

    OPEN = "open"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it stands."""

    id: str
    kind: Kind
    scope: Scope
    state: State
    raised_at_us: int
    first: Evidence
    """As it was raised."""
    latest: Evidence
    worst: Evidence
    seen_at_us: int
    """Of the last look that found it."""
    clear_looks: int = 0
    """Looks in a row that did not."""
    resolved_at_us: int | None = None
    resolved_by: str | None = None
    """``itself``, ``merged``, or who did it."""
    acknowledged_at_us: int | None = None
    acknowledged_by: str | None = None
    muted_until_us: int | None = None
    note: str = ""

    def is_muted(self, now_us: int) -> bool:
        """Say whether nothing is sent of it now."""
        return self.muted_until_us is not None and self.muted_until_us > now_us

    def is_quiet(self, now_us: int, quiet_us: int) -> bool:
        """Say whether it keeps the same from being raised once more, though it is not open."""
        return self.is_muted(now_us) or (self.resolved_at_us is not None and self.resolved_at_us + quiet_us > now_us)


def chance_in_words(log10_p: float) -> str:
    """Write a chance for people: ``about 1 in 20,000``."""
    if log10_p > -1:
        return "more than 1 in 10"
    if log10_p < -9:
        return "less than 1 in a billion"
    digits = 10**-log10_p
    size = 10 ** (len(str(int(digits))) - 1)
    return f"about 1 in {int(digits // size * size):,}"
