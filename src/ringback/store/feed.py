"""How far the event log is complete, for whoever reads on in it from an offset.

SQLite commits events in the order of their ids. On PostgreSQL a transaction draws ids and commits later, perhaps after
another one that has drawn higher ones: whoever had gone on from the highest visible id would never see the others. So
every transaction that writes holds, from its beginning to its end, a shared advisory lock whose number is the last id
drawn before: its own are higher. Where no such lock is lower, nothing can be added any more.

The locks have to be looked at before the state that is read: a transaction that ends in between would be seen by
neither. Hence the two steps, each with a transaction of its own.
"""

from typing import Final

from ringback.store import messages
from ringback.store.port import Store, Transaction

_KIND: Final = 0x5247
"""The upper 16 of a lock's 64 bits, which tell it from other locks."""
_ID_BITS: Final = 48
_DRAWN: Final = "last_value - (NOT is_called)::int"

LEAVE_WORD: Final = f"pg_advisory_xact_lock_shared({_KIND << _ID_BITS} + {_DRAWN}) FROM events_id_seq"
"""What a writing transaction selects as it begins."""

_LAST_DRAWN: Final = f"SELECT {_DRAWN} FROM events_id_seq"  # noqa: S608 - own numbers
_LOWEST_WORD: Final = (
    f"SELECT min(((classid::bigint << 32) | objid::bigint) - {_KIND << _ID_BITS}) FROM pg_locks "  # noqa: S608
    f"WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = {_KIND} "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def complete_to(store: Store) -> int:
    """Return an offset up to which every read that begins later finds all events that there will ever be."""
    return await store.read(_complete_to)


def _complete_to(tx: Transaction) -> int:
    if tx.dialect.name != "postgresql":
        return messages.last_offset(tx)
    # In this order: who draws ids after the first look leaves a word no lower than what it gave.
    drawn = last_drawn(tx)
    lowest = lowest_word(tx)
    return drawn if lowest is None else min(drawn, lowest)


def last_drawn(tx: Transaction) -> int:
    """Return the last id that anybody has drawn on PostgreSQL, committed or not."""
    return int(tx.exec_driver_sql(_LAST_DRAWN).scalar_one())


def lowest_word(tx: Transaction) -> int | None:
    """Return the lowest word of those who write on PostgreSQL now; ``None`` when nobody does."""
    lowest: int | None = tx.exec_driver_sql(_LOWEST_WORD).scalar_one()
    return lowest
