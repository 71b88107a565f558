"""What the file says of itself: of which store it is made, and how far. Written in the transactions that go further."""

from typing import Final

import msgspec
from duckdb import DuckDBPyConnection

from ringback.analytics.tables import DDL, SHAPE

_TABLES: Final = (
    "meta", "events", "sealed_days", "summed_days", "day_sums", "event_sums", "open_messages", "closed_messages",
)  # fmt: skip


class Offsets(msgspec.Struct, frozen=True, kw_only=True):
    """How far each log has been taken in, by its own numbers."""

    events: int = 0
    settled: int = 0
    """Events up to here have been looked at once more, after their callbacks and conversions had time to come."""
    conversions: int = 0
    received: int = 0


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Of what the file is made."""

    store: str | None
    """The identity of the database; ``None`` of a new file."""
    rebuilding: str | None
    """Why it is being made anew; ``None`` once that is done."""


def read(con: DuckDBPyConnection) -> tuple[Origin, Offsets]:
    """Return what the file says."""
    said = dict(con.execute("SELECT name, value FROM meta").fetchall())
    origin = Origin(store=said.get("store"), rebuilding=said.get("rebuilding"))
    return origin, Offsets(**{name: int(said.get(name, 0)) for name in Offsets.__struct_fields__})


def note(con: DuckDBPyConnection, **values: int | str) -> None:
    """Store offsets, or ``store`` and ``rebuilding``."""
    for name, value in values.items():
        con.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [name, str(value)])


def rebuilt(con: DuckDBPyConnection) -> None:
    """Note that the file is whole."""
    con.execute("DELETE FROM meta WHERE name = 'rebuilding'")


def begin_anew(con: DuckDBPyConnection, *, store: str, why: str) -> None:
    """Empty the file and note whose it is from now on."""
    con.execute("DROP VIEW IF EXISTS messages")
    for table in _TABLES:
        con.execute(f"DROP TABLE IF EXISTS {table}")
    con.execute(DDL)
    note(con, shape=SHAPE, store=store, rebuilding=why)
