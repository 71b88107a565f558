"""What questions give. Rates are from 0 to 1 and ``None`` where there is nothing to divide by, latencies milliseconds,
times microseconds UTC, money hundred-thousandths of the currency's unit.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.analytics.definitions import each, rate


class Statuses(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by class, and rates of them. Every accepted message is in exactly one class."""

    accepted: int
    """All of them."""
    delivered: int
    undelivered: int
    failed: int
    no_dlr: int
    """Sent too long ago for a receipt still to come."""
    pending: int
    """Queued, or sent lately: there may be more to come."""
    received: int
    """Inbound messages that nobody has taken yet."""
    sent: int
    """Handed over to a carrier, whatever has become of them since."""
    assumed: int
    """How many of the delivered ones have no receipt, but are of a country where none is given."""
    delivery_rate: float | None
    dlr_rate: float | None
    strict_rate: float | None
    no_dlr_rate: float | None


class Sums(Statuses, frozen=True, kw_only=True):
    """The same, with conversions and money."""

    trackable: int
    """Messages of which a conversion is expected or was told."""
    converted: int
    converted_elsewhere: int
    """Their purpose was served by another message."""
    conversion_rate: float | None
    units: int
    cost: int
    unpriced: int
    """Messages whose cost is not known."""
    flagged: int
    """Events that changed nothing: duplicates, late ones, out of order."""


class Totals(Sums, frozen=True, kw_only=True):
    """The same, with how long the delivered ones took."""

    total_p50_ms: int | None
    total_p95_ms: int | None


class Group(Totals, frozen=True, kw_only=True):
    """The figures of one country, carrier and so on."""

    key: str | None
    """As a filter has it; ``None`` for messages that have none."""
    name: str | None
    """What people call it, if that is something else."""
    share: float
    """Of all accepted messages of the question."""


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by something."""

    by: str
    groups: tuple[Group, ...]
    left_out: int
    """How many more groups there are."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A period and the one before."""

    now: Totals
    before: Totals
    before_since_us: int
    before_until_us: int


class Bucket(Statuses, frozen=True, kw_only=True):
    """Messages that were queued in a stretch of time."""

    start_us: int
    settling: bool
    """Whether the figures may still move much."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Messages over time, without gaps, oldest first."""

    step_us: int
    buckets: tuple[Bucket, ...]


class VolumeBucket(msgspec.Struct, frozen=True, kw_only=True):
    """Events that happened in a stretch of time."""

    start_us: int
    events: int
    by_status: dict[str, int]
    """Those that changed a message."""
    flagged: int
    """Those that changed nothing."""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Events over time, without gaps, oldest first."""

    step_us: int
    buckets: tuple[VolumeBucket, ...]


class Cell(Statuses, frozen=True, kw_only=True):
    """Messages that were queued in an hour of the week, UTC."""

    weekday: int
    """0 is Monday."""
    hour: int


class Heatmap(msgspec.Struct, frozen=True, kw_only=True):
    """All 168 hours of the week, from Monday 00:00 UTC."""

    cells: tuple[Cell, ...]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a latency is spread: exact percentiles of ``count`` messages that have one."""

    count: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None


class LatencyGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of one carrier and so on, or of all messages."""

    key: str | None
    name: str | None
    accepted: int
    queue_ms: Spread
    carrier_ms: Spread
    total_ms: Spread
    lag_ms: Spread


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies by something; one group, of all, when ``by`` is ``None``."""

    by: str | None
    groups: tuple[LatencyGroup, ...]
    left_out: int


class LatencyBucket(msgspec.Struct, frozen=True, kw_only=True):
    """A latency of the messages that were queued in a stretch of time."""

    start_us: int
    spread: Spread
    settling: bool


class LatencySeries(msgspec.Struct, frozen=True, kw_only=True):
    """A latency over time, without gaps, oldest first."""

    measure: str
    step_us: int
    buckets: tuple[LatencyBucket, ...]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the funnel."""

    name: str
    count: int
    of: int
    """How many could have come so far: those of the stage before; for conversions the trackable ones."""
    rate: float | None


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """From accepted to converted."""

    stages: tuple[Stage, ...]


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """Failures that have error, carrier, sender and route in common."""

    error: str | None
    meaning: str | None
    carrier: str | None
    carrier_name: str | None
    sender: str | None
    route: str | None
    count: int
    undelivered: int
    failed: int
    share: float
    """Of all failures of the question."""
    first_us: int
    last_us: int


class Issues(msgspec.Struct, frozen=True, kw_only=True):
    """Failures as issues, the largest first."""

    failures: int
    issues: tuple[Issue, ...]
    left_out: int


class SpendGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Money of one country and so on."""

    key: str | None
    name: str | None
    accepted: int
    delivered: int
    converted: int
    units: int
    cost: int
    unpriced: int
    share: float | None
    """Of all cost of the question."""
    cost_per_message: int | None
    """Of those whose cost is known."""
    cost_per_delivered: int | None
    cost_per_conversion: int | None


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """Money by something, the dearest first."""

    by: str
    total: SpendGroup
    groups: tuple[SpendGroup, ...]
    left_out: int


class ConversionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions of one sender and so on."""

    key: str | None
    name: str | None
    accepted: int
    trackable: int
    converted: int
    converted_elsewhere: int
    not_converted: int
    untold: int
    """Trackable ones of which nothing was told."""
    conversion_rate: float | None


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions by something, of groups that have trackable messages."""

    by: str
    total: ConversionGroup
    groups: tuple[ConversionGroup, ...]
    left_out: int


Counted = Mapping[str, Any]
"""A row with the columns of ``definitions.status_counts`` or of ``definitions.SUMS``, by name."""


def statuses(counted: Counted) -> dict[str, Any]:
    """Make the fields of ``Statuses``."""
    accepted, undelivered, failed, received = (
        counted[name] for name in ("accepted", "undelivered", "failed", "received")
    )
    delivered = counted["receipts"] + counted["assumed"]
    sent = counted["receipts"] + undelivered + counted["waiting"]
    ended = delivered + undelivered + failed
    return {
        "accepted": accepted,
        "delivered": delivered,
        "undelivered": undelivered,
        "failed": failed,
        "no_dlr": counted["no_dlr"],
        "pending": accepted - ended - received - counted["no_dlr"],
        "received": received,
        "sent": sent,
        "assumed": counted["assumed"],
        "delivery_rate": rate(delivered, ended),
        "dlr_rate": rate(counted["receipts"] + undelivered, sent),
        "strict_rate": rate(counted["receipts"], accepted),
        "no_dlr_rate": rate(counted["no_dlr"], sent),
    }


def sums(counted: Counted) -> dict[str, Any]:
    """Make the fields of ``Sums``."""
    return {
        **statuses(counted),
        "trackable": counted["trackable"],
        "converted": counted["converted"],
        "converted_elsewhere": counted["converted_elsewhere"],
        "conversion_rate": rate(counted["converted"], counted["trackable"]),
        "units": counted["units"],
        "cost": counted["spent"],
        "unpriced": counted["unpriced"],
        "flagged": counted["flagged"] or 0,
    }


def spend_group(counted: Counted, *, key: str | None, name: str | None, of: int) -> SpendGroup:
    """Make a group of ``Spend``; ``of`` is all cost of the question."""
    figures = sums(counted)
    cost, delivered, converted = figures["cost"], figures["delivered"], figures["converted"]
    return SpendGroup(
        key=key,
        name=name,
        accepted=figures["accepted"],
        delivered=delivered,
        converted=converted,
        units=figures["units"],
        cost=cost,
        unpriced=figures["unpriced"],
        share=rate(cost, of),
        cost_per_message=each(cost, figures["accepted"] - figures["unpriced"]),
        cost_per_delivered=each(cost, delivered),
        cost_per_conversion=each(cost, converted),
    )


def conversion_group(counted: Counted, *, key: str | None, name: str | None) -> ConversionGroup:
    """Make a group of ``Conversion``."""
    told = counted["converted"] + counted["converted_elsewhere"] + counted["not_converted"]
    return ConversionGroup(
        key=key,
        name=name,
        accepted=counted["accepted"],
        trackable=counted["trackable"],
        converted=counted["converted"],
        converted_elsewhere=counted["converted_elsewhere"],
        not_converted=counted["not_converted"],
        untold=counted["trackable"] - told,
        conversion_rate=rate(counted["converted"], counted["trackable"]),
    )


def spread(count: int, values: list[int] | None) -> Spread:
    """Make a spread of a count and its four percentiles."""
    p50, p90, p95, p99 = values or (None, None, None, None)
    return Spread(count=count, p50=p50, p90=p90, p95=p95, p99=p99)
