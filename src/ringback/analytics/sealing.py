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

from duckdb import DuckDBPyConnection

from ringback.analytics import day_sums
from ringback.analytics.days import KINDS, Days
from ringback.analytics.definitions import literal
from ringback.analytics.private import close_to_others, make_directory


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
    tables = {"messages": ("closed_messages", "queued_at, message_uuid"), "events": ("events", "origin, log_offset")}
    for kind, (table, order) in tables.items():
        column = "queued_at" if kind == "messages" else '"at"'
        path = days.path(kind, day)
        unfinished = path.with_suffix(".unfinished")
        con.execute(
            f"COPY (SELECT * FROM {table} WHERE {column} >= '{day}' AND {column} < '{day + timedelta(days=1)}' "
            f"ORDER BY {order}) TO {literal(str(unfinished))} (FORMAT parquet, COMPRESSION zstd)"
        )
        close_to_others(unfinished)
        _to_disk(unfinished)
        unfinished.rename(path)
    day_sums.note(con, day, countries)
    con.execute("DELETE FROM sealed_days WHERE day = ?", [day])
    con.execute("INSERT INTO sealed_days VALUES (?)", [day])


def restore(con: DuckDBPyConnection, days: Days) -> int:
    """Put back from sealed days the messages that the store has no longer, with their events; returns how many."""
    restored = 0
    for day in days.sealed():
        messages, events = (literal(str(days.path(kind, day))) for kind in KINDS)
        con.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE gone AS
            SELECT p.* FROM read_parquet({messages}) p WHERE NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.queued_at >= '{day}' AND m.queued_at < '{day + timedelta(days=1)}'
                AND m.message_uuid = p.message_uuid AND m.origin = p.origin
            )
            """
        )
        con.execute("INSERT INTO closed_messages BY NAME SELECT * FROM gone")
        # The events of a message may be spread over days: each file gives those of all that have been put back.
        con.execute("CREATE TEMP TABLE IF NOT EXISTS put_back AS SELECT message_uuid, origin FROM gone LIMIT 0")
        con.execute("INSERT INTO put_back SELECT message_uuid, origin FROM gone")
        con.execute(
            f"INSERT INTO events BY NAME SELECT e.* FROM read_parquet({events}) e "
            "WHERE EXISTS (SELECT 1 FROM put_back g WHERE g.message_uuid = e.message_uuid AND g.origin = e.origin)"
        )
        restored += int(con.execute("SELECT count(*) FROM gone").fetchall()[0][0])
    return restored


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
