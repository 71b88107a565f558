"""How many messages have gone to a country within an hour, for accounts under a threshold."""

from collections.abc import Mapping
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema_limits import country_counts

Key = tuple[int, str, str]
"""The beginning of an hour, account and country."""

HOUR_US: Final = 3_600_000_000


class Counted(msgspec.Struct, frozen=True):
    """What a count has come to."""

    total: int
    """Those just added included."""
    alerted: bool


def hour_of(at_us: int) -> int:
    """Return the beginning of the hour."""
    return at_us - at_us % HOUR_US


def add(tx: Transaction, added: Mapping[Key, int]) -> dict[Key, Counted]:
    """Add to counts. Who has added holds them until its commit: of two, one sees what the other has added."""
    counted = {}
    for key in sorted(added):
        hour_at_us, account_id, country = key
        row = tx.execute(
            _ADD,
            {"hour_at_us": hour_at_us, "account_id": account_id, "country": country, "added": added[key]},
        ).one()
        counted[key] = Counted(row.total, bool(row.alerted))
    return counted


_ADD: Final = sa.text(
    "INSERT INTO country_counts (hour_at_us, account_id, country, total, alerted) "
    "VALUES (:hour_at_us, :account_id, :country, :added, false) "
    "ON CONFLICT (hour_at_us, account_id, country) DO UPDATE SET total = country_counts.total + excluded.total "
    "RETURNING total, alerted"
)


def note_alert(tx: Transaction, key: Key) -> None:
    """Keep that the breach of a count has been told."""
    counts = country_counts.c
    tx.execute(
        country_counts.update()
        .where(counts.hour_at_us == key[0], counts.account_id == key[1], counts.country == key[2])
        .values(alerted=True)
    )


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` counts of hours that began before ``before_us``; returns how many."""
    counts = country_counts.c
    query = (
        sa.select(counts.hour_at_us, counts.account_id, counts.country)
        .where(counts.hour_at_us < before_us)
        .order_by(counts.hour_at_us, counts.account_id, counts.country)
        .limit(limit)
    )
    old = [(row.hour_at_us, row.account_id, row.country) for row in tx.execute(query)]
    if old:
        key = sa.tuple_(counts.hour_at_us, counts.account_id, counts.country)
        tx.execute(country_counts.delete().where(key.in_(old)))
    return len(old)
