"""What customers say about whether their messages served their purpose. The last word on a message stands."""

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import conversions


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's word on a message."""

    message_uuid: str
    account_id: str
    status: str
    """``CONVERTED``, ``NOT_CONVERTED`` or ``CONVERTED_WITH_OTHERS``."""
    converted_at_us: int
    recorded_at_us: int


def add(tx: Transaction, conversion: Conversion) -> bool:
    """Record a word, unless it is what the last one said; returns whether it was recorded.

    The caller holds the message's row, so that two words on one message come one after the other.
    """
    said = history(tx, conversion.message_uuid)
    if said and (said[-1].status, said[-1].converted_at_us) == (conversion.status, conversion.converted_at_us):
        return False
    tx.execute(conversions.insert().values(msgspec.structs.asdict(conversion)))
    return True


def history(tx: Transaction, message_uuid: str) -> list[Conversion]:
    """Return everything that was said about a message, oldest first; the last stands."""
    query = (
        sa.select(*(conversions.c[name] for name in Conversion.__struct_fields__))
        .where(conversions.c.message_uuid == message_uuid)
        .order_by(conversions.c.id)
    )
    return [Conversion(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
