"""Days that are settled, as Parquet beside the file: for exports, backups and other tools, and for a rebuild after the
store has let go of what is old.

A day has one file of the messages that were queued in it and one of the events that happened in it. It is written
under another name and then renamed, so whoever reads finds a whole one. When a day is corrected later it is sealed
again. The files of a database are in a directory of their own: another one's are never mixed in.
"""

import os
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import structlog
from duckdb import DuckDBPyConnection

from ringback.analytics import day_sums, offsets
from ringback.analytics.days import KINDS, Days
from ringback.analytics.definitions import literal
from ringback.analytics.private import close_to_others, make_directory

_TABLES: Final = {
    "messages": ("closed_messages", "queued_at, message_uuid"),
    "events": ("events", "origin, log_offset"),
}
"""Of what a day has a file each: the table, and in which order its rows are written."""

log = structlog.stdlib.get_logger("ringback.analytics")


def to_seal(con: DuckDBPyConnection, settled: datetime, countries: Sequence[str] = ()) -> list[date]:
    """Return days that ended before ``settled``, have no open message, and are not sealed as they are now.

    Nor are those that were summed up while sent counted as delivered in other countries.
    """
    rows = con.execute(
        f"""
        SELECT DISTINCT CAST(queued_at AS DATE) AS day FROM closed_messages WHERE queued_at < ?
        EXCEPT SELECT day FROM sealed_days WHERE day IN ({day_sums.summed_with(countries)})
        EXCEPT SELECT CAST(queued_at AS DATE) FROM open_messages
        ORDER BY day
        """,
        [settled.replace(hour=0, minute=0, second=0, microsecond=0)],
    ).fetchall()
    return [row[0] for row in rows]


def seal(con: DuckDBPyConnection, days: Days, day: date, countries: Sequence[str] = ()) -> None:
    """Write a day's files and sum it up; the transaction notes that both are there.

    ``countries`` are those where a message counts as delivered when it is sent.
    """
    make_directory(days.directory)
    # How far it knows the logs, for a file that is made anew of it.
    _, known = offsets.read(con)
    knows = f"KV_METADATA {{events: '{known.events}', conversions: '{known.conversions}'}}"
    for kind, (table, order) in _TABLES.items():
        column = "queued_at" if kind == "messages" else '"at"'
        path = days.path(kind, day)
        unfinished = path.with_suffix(".unfinished")
        con.execute(
            f"COPY (SELECT * FROM {table} WHERE {column} >= '{day}' AND {column} < '{day + timedelta(days=1)}' "
            f"ORDER BY {order}) TO {literal(str(unfinished))} (FORMAT parquet, COMPRESSION zstd, {knows})"
        )
        close_to_others(unfinished)
        _to_disk(unfinished)
        unfinished.rename(path)
    day_sums.note(con, day, countries)
    con.execute("DELETE FROM sealed_days WHERE day = ?", [day])
    con.execute("INSERT INTO sealed_days VALUES (?)", [day])


def restore(con: DuckDBPyConnection, days: Days, readable: Sequence[date]) -> int:
    """Put back from sealed days the messages that the store has no longer, with their events; returns how many."""
    fitting = [day for day in readable if fits(con, days, day)]
    con.execute("CREATE OR REPLACE TEMP TABLE put_back (day DATE, message_uuid UUID, origin VARCHAR)")
    for day in fitting:
        con.execute(_GONE.format(messages=_read(days, "messages", day), day=day, next_day=day + timedelta(days=1)))
    _choose_once(con, [_read(days, "events", day) for day in fitting])
    of_day: dict[date, int] = dict(con.execute("SELECT day, count(*) FROM put_back GROUP BY day").fetchall())
    for day in of_day:
        con.execute(_PUT_MESSAGES.format(messages=_read(days, "messages", day), day=day))
    # The events of a message may be spread over days: each file gives those of all that have been put back.
    for day in fitting if of_day else ():
        con.execute(_PUT_EVENTS.format(events=_read(days, "events", day)))
    return sum(of_day.values())


def _choose_once(con: DuckDBPyConnection, events: Sequence[str]) -> None:
    """See that no message of a source is put back beside itself.

    One whose first requests the store has let go of is another day's by what is left of them. The sealed one knows
    more, unless something has come since.
    """
    con.execute(_TWICE)
    if not con.execute("SELECT 1 FROM twice LIMIT 1").fetchall():
        return
    con.execute("CREATE OR REPLACE TEMP TABLE known (message_uuid UUID, origin VARCHAR, log_offset BIGINT)")
    for file in events:
        con.execute(_KNOWN.format(events=file))
    con.execute(_NEWER)
    con.execute(f"DELETE FROM put_back b WHERE {_IS_IN.format(table='newer', of='b')}")
    con.execute(f"DELETE FROM twice t WHERE {_IS_IN.format(table='newer', of='t')}")
    for table in ("open_messages", "closed_messages", "events"):
        con.execute(f"DELETE FROM {table} m WHERE {_IS_IN.format(table='twice', of='m')}")


def fits(con: DuckDBPyConnection, days: Days, day: date) -> bool:
    """Say whether a day has the columns that the tables have; the log names one that was sealed with others."""
    for kind, (table, _) in _TABLES.items():
        described = "SELECT column_name, column_type FROM (DESCRIBE {})"
        there = con.execute(described.format(f"FROM read_parquet({literal(str(days.path(kind, day)))})")).fetchall()
        if there != con.execute(described.format(table)).fetchall():
            log.warning("analytics_day_does_not_fit", day=str(day))
            return False
    return True


def readable(con: DuckDBPyConnection, days: Days) -> list[date]:
    """Read all sealed days, and return those that can be read; the log names the others.

    Not to be done within a transaction, which an error would end.
    """
    found = []
    for day in days.sealed():
        try:
            for path in (literal(str(days.path(kind, day))) for kind in KINDS):
                con.execute(f"SELECT bit_xor(hash(row)) FROM read_parquet({path}) row").fetchall()
            found.append(day)
        except duckdb.Error as error:
            log.warning("analytics_day_cannot_be_read", day=str(day), error=str(error).partition("\n")[0])
    return found


def _read(days: Days, kind: str, day: date) -> str:
    return f"read_parquet({literal(str(days.path(kind, day)))})"


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_IS_IN: Final = "EXISTS (SELECT 1 FROM {table} i WHERE i.message_uuid = {of}.message_uuid AND i.origin = {of}.origin)"

_GONE: Final = """
INSERT INTO put_back SELECT DATE '{day}', p.message_uuid, p.origin FROM {messages} p WHERE NOT EXISTS (
    SELECT 1 FROM messages m WHERE m.queued_at >= '{day}' AND m.queued_at < '{next_day}'
    AND m.message_uuid = p.message_uuid AND m.origin = p.origin
)
"""

_TWICE: Final = f"""
CREATE OR REPLACE TEMP TABLE twice AS
SELECT message_uuid, origin FROM messages m WHERE origin <> 'ringback' AND {_IS_IN.format(table="put_back", of="m")}
"""

_KNOWN: Final = f"""
INSERT INTO known SELECT message_uuid, origin, log_offset FROM {{events}} e
WHERE {_IS_IN.format(table="twice", of="e")}
"""

_NEWER: Final = f"""
CREATE OR REPLACE TEMP TABLE newer AS
SELECT DISTINCT message_uuid, origin FROM events e WHERE {_IS_IN.format(table="twice", of="e")}
AND NOT EXISTS (SELECT 1 FROM known k WHERE k.log_offset = e.log_offset AND k.origin = e.origin)
"""

_PUT_MESSAGES: Final = f"""
INSERT INTO closed_messages BY NAME SELECT p.* FROM {{messages}} p
WHERE {_IS_IN.format(table="(SELECT * FROM put_back WHERE day = '{day}')", of="p")}
"""

_PUT_EVENTS: Final = f"""
INSERT INTO events BY NAME SELECT e.* FROM {{events}} e WHERE {_IS_IN.format(table="put_back", of="e")}
"""
