"""Transactions that must not overlap.

SQLite runs one writing transaction at a time. PostgreSQL runs many, and none sees what the others have not committed:
of two that each look for the other's rows and find none, both go wrong. Those name what they are about here.
"""

from ringback.store.port import Transaction

_CLASS = 0x52494E47
"""Tells these advisory locks from anybody else's in the same database."""


def one_at_a_time(tx: Transaction, *names: str) -> None:
    """Wait until no other transaction that has named any of ``names`` is open; hold them until this one ends."""
    if tx.dialect.name == "postgresql" and names:
        tx.exec_driver_sql(_LOCK, (_CLASS, list(names)))


# In one order for everybody: two that name the same things never wait for each other.
_LOCK = (
    "SELECT pg_advisory_xact_lock(%s, name) "
    "FROM (SELECT DISTINCT hashtext(given) AS name FROM unnest(%s::text[]) AS given ORDER BY name) AS names"
)
