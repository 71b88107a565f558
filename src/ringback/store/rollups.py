"""Counts by hour, kept in the transactions that cause them, so that no page ever scans messages.

The hour is that in which a message was queued: a cohort's parts always add up to what was accepted in it.
"""

from collections import Counter
from collections.abc import Collection
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema import rollups

HOUR_US = 3_600_000_000

Key = tuple[str, int, str, str]
"""Account, hour, measure, bucket."""


INBOUND: Final = "inbound"
"""Measure: inbound messages by status, apart from those that were sent."""


class Summary(msgspec.Struct, frozen=True):
    """Totals over a span of hours."""

    by_status: dict[str, int]
    by_error: dict[str, int]
    delivery_latency: dict[int, int]
    """Messages by bucket (``model.latency``) of the time from queued to delivered."""


def key(account_id: str, queued_at_us: int, measure: str, bucket: str) -> Key:
    """Name the count that a message queued at that time belongs to."""
    return (account_id, queued_at_us // HOUR_US * HOUR_US, measure, bucket)


def add(tx: Transaction, changes: Counter[Key]) -> None:
    """Add to counts; changes may be negative."""
    columns = ("account_id", "hour_at_us", "measure", "bucket")
    rows = [
        dict(zip(columns, names, strict=True)) | {"total": change}
        for names, change in sorted(changes.items())
        if change
    ]
    bulk.add(tx, rollups, rows, total="total")


def summary(tx: Transaction, *, since_us: int, only: Collection[str] | None = None) -> Summary:
    """Sum up the hours from the one that ``since_us`` lies in, of all accounts or ``only`` of some."""
    query = (
        sa.select(rollups.c.measure, rollups.c.bucket, sa.func.sum(rollups.c.total))
        .where(rollups.c.hour_at_us >= since_us // HOUR_US * HOUR_US, rollups.c.measure != INBOUND)
        .group_by(rollups.c.measure, rollups.c.bucket)
    )
    if only is not None:
        query = query.where(rollups.c.account_id.in_(only))
    found: dict[str, dict[str, int]] = {"status": {}, "error": {}, "delivered_in": {}}
    for measure, bucket, total in tx.execute(query):
        if total:
            found[measure][bucket] = int(total)
    return Summary(
        by_status=found["status"],
        by_error=found["error"],
        delivery_latency={int(bucket): total for bucket, total in found["delivered_in"].items()},
    )


def hourly(tx: Transaction, *, since_us: int, only: Collection[str] | None = None) -> list[tuple[int, str, int]]:
    """Return (hour, status, messages) for every hour from ``since_us``, oldest first; ``only`` of some accounts."""
    query = (
        sa.select(rollups.c.hour_at_us, rollups.c.bucket, sa.func.sum(rollups.c.total))
        .where(rollups.c.measure == "status", rollups.c.hour_at_us >= since_us // HOUR_US * HOUR_US)
        .group_by(rollups.c.hour_at_us, rollups.c.bucket)
        .order_by(rollups.c.hour_at_us)
    )
    if only is not None:
        query = query.where(rollups.c.account_id.in_(only))
    return [(hour, status, int(total)) for hour, status, total in tx.execute(query) if total]
