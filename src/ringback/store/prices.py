"""The table of prices, which an operator loads as a whole."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from ringback.model.pricing import Price
from ringback.store import bulk
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_accounts import prices


def replace(tx: Transaction, new: Sequence[Price]) -> None:
    """Put a table in the place of the one before."""
    one_at_a_time(tx, "prices")
    tx.execute(prices.delete())
    bulk.insert(tx, prices, [msgspec.structs.asdict(price) for price in new])


def read(tx: Transaction) -> list[Price]:
    """Return the table by country."""
    rows = tx.execute(sa.select(prices).order_by(prices.c.country, prices.c.network_group))
    return [Price(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name
