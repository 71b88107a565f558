"""What the figures mean, in one place. ``docs/analytics.md`` says the same in words; a test holds both to a reference.

A message belongs to the moment at which it was queued, whatever happens to it later: a rate is that of a cohort. It is
counted in exactly one class: delivered, undelivered, failed, no_dlr, pending, or received.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from ringback.dialect.codes import NONE

HOUR_US: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

CLASSES: Final = ("delivered", "undelivered", "failed", "no_dlr", "pending", "received")
"""Every message is counted in one of them."""
STATUSES: Final = ("queued", "sent", *CLASSES)
"""What a filter may name: the classes, and the two statuses that are no class of their own."""
MEASURES: Final = ("queue_ms", "carrier_ms", "total_ms", "lag_ms")
"""Latencies: queued to sent, sent to delivered, queued to delivered, and from an event to our hearing of it."""
PERCENTS: Final = (50, 90, 95, 99)

DIMENSIONS: Final[dict[str, str]] = {
    "country": "country",
    "carrier": "carrier",
    "sender": "src",
    "route": "route",
    "connector": "connector",
    "error": "error_code",
    "account": "account_id",
    "origin": "origin",
    "type": '"type"',
}
"""By what messages may be grouped, and the column of it."""

HAS_FAILED: Final = "status IN ('undelivered', 'failed')"
HAS_ERROR: Final = f"((error_code IS NOT NULL AND error_code <> '{NONE}') OR {HAS_FAILED})"
"""Messages that a list of errors is about."""

STEPS_S: Final = (60, 300, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800)
MOST_BUCKETS: Final = 120
_MONDAY_US: Final = 4 * 86_400_000_000
"""The first Monday of 1970: weeks begin on Mondays, and all shorter buckets where UTC's hours and days do."""
SETTLING_US: Final = 900_000_000
"""Younger buckets are settling; and older ones of which more than one message in ten is pending."""
SETTLING_ONE_IN: Final = 10


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What depends on the settings and on the time."""

    stale_before_us: int
    """A message that was sent before this and has no receipt by now counts as one without receipt."""
    sent_is_delivered: tuple[str, ...] = ()
    """Countries where a message counts as delivered as soon as it is sent."""


def rules_at(now_us: int, *, no_receipt_hours: int, sent_is_delivered: Sequence[str] = ()) -> Rules:
    """Return the rules that hold at a time; the time to the minute, so that answers can be kept meanwhile."""
    minute_us = now_us - now_us % 60_000_000
    return Rules(stale_before_us=minute_us - no_receipt_hours * HOUR_US, sent_is_delivered=in_order(sent_is_delivered))


def in_order(countries: Sequence[str]) -> tuple[str, ...]:
    """Return countries of the settings as ``Rules`` has them."""
    return tuple(sorted(country.upper() for country in countries))


def literal(text: str) -> str:
    """Write a text as SQL does."""
    return "'" + text.replace("'", "''") + "'"


def instant(at_us: int) -> str:
    """Write a time as SQL does: of a constant, DuckDB knows which parts of the table it need not read."""
    at = _EPOCH + timedelta(microseconds=at_us)
    return f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S.%f}'"


def _assumed(rules: Rules) -> str:
    if not rules.sent_is_delivered:
        return "false"
    countries = ", ".join(literal(country) for country in rules.sent_is_delivered)
    return f"(status = 'sent' AND coalesce(country IN ({countries}), false))"


def _without_receipt(rules: Rules) -> str:
    stale = f"(status = 'sent' AND coalesce(sent_at, queued_at) < {instant(rules.stale_before_us)})"
    return f"({stale} AND NOT {_assumed(rules)})" if rules.sent_is_delivered else stale


def is_of(status: str, rules: Rules) -> str:
    """Return the condition that a message counts as one of ``STATUSES``."""
    if status == "delivered":
        return f"(status = 'delivered' OR {_assumed(rules)})"
    if status == "no_dlr":
        return _without_receipt(rules)
    if status == "pending":
        waiting = f"(status = 'sent' AND NOT {_assumed(rules)} AND NOT {_without_receipt(rules)})"
        return f"(status = 'queued' OR {waiting})"
    return f"status = {literal(status)}"


def status_counts(rules: Rules) -> str:
    """Return the columns of ``figures.Statuses``."""
    assumed = f"count(*) FILTER ({_assumed(rules)})" if rules.sent_is_delivered else "0"
    return f"""count(*) AS accepted,
        count(*) FILTER (status = 'sent') AS waiting,
        count(*) FILTER (status = 'delivered') AS receipts,
        count(*) FILTER (status = 'undelivered') AS undelivered,
        count(*) FILTER (status = 'failed') AS failed,
        count(*) FILTER (status = 'received') AS received,
        {assumed} AS assumed,
        count(*) FILTER ({_without_receipt(rules)}) AS no_dlr"""


SUMS: Final = """count(*) FILTER (trackable OR conversion IS NOT NULL) AS trackable,
        count(*) FILTER (conversion = 'CONVERTED') AS converted,
        count(*) FILTER (conversion = 'CONVERTED_WITH_OTHERS') AS converted_elsewhere,
        coalesce(sum(units), 0)::BIGINT AS units,
        coalesce(sum("cost"), 0)::BIGINT AS spent,
        count(*) FILTER ("cost" IS NULL) AS unpriced,
        sum(flagged)::BIGINT AS flagged"""
"""The columns of ``figures.Sums``."""
NOT_CONVERTED: Final = "count(*) FILTER (conversion = 'NOT_CONVERTED') AS not_converted"


def percentiles(measure: str, percents: Sequence[int] = PERCENTS) -> str:
    """Return a list of exact percentiles: of ``n`` values in order, number ``n * percent / 100``, rounded up."""
    fractions = ", ".join(str(percent / 100) for percent in percents)
    return f"quantile_disc({measure}, [{fractions}])"


def rate(part: int, whole: int) -> float | None:
    """Return a rate from 0 to 1, ``None`` of nothing."""
    return part / whole if whole else None


def each(amount: int, count: int) -> int | None:
    """Return what one costs, rounded half up to a whole unit of money; ``None`` of none."""
    return (2 * amount + count) // (2 * count) if count else None


def step_us(span_us: int) -> int:
    """Return how long a bucket is, so that there are few enough of them in a span."""
    for step in STEPS_S:
        if span_us <= step * 1_000_000 * MOST_BUCKETS:
            return step * 1_000_000
    return STEPS_S[-1] * 1_000_000


def bucket_start(at_us: int, step: int) -> int:
    """Return when the bucket of a time begins."""
    return (at_us - _MONDAY_US) // step * step + _MONDAY_US


def bucket_number(column: str, step: int) -> str:
    """Return the SQL of when the bucket of a time begins."""
    return f"((epoch_us({column}) - {_MONDAY_US}) // {step} * {step} + {_MONDAY_US})"


def is_settling(end_us: int, *, accepted: int, pending: int, now_us: int) -> bool:
    """Say whether figures of a bucket may still move much: it is young, or much of it is pending."""
    return now_us - end_us < SETTLING_US or pending * SETTLING_ONE_IN > accepted
