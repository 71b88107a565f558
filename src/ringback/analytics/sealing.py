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
    logs = (("events", known.events), ("conversions", known.conversions), ("received", known.received))
    knows = f"KV_METADATA {{{', '.join(f'{name}: {literal(str(offset))}' for name, offset in logs)}}}"
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
    con.execute("CREATE OR REPLACE TEMP TABLE put_back (day DATE, received BIGINT, message_uuid UUID, origin VARCHAR)")
    for day in fitting:
        file, next_day = _read(days, "messages", day), day + timedelta(days=1)
        # Days that were sealed before this was noted are taken for the oldest.
        received = int(knew(con, days.path("messages", day)).get("received", "0"))
        con.execute(_GONE.format(messages=file, day=day, next_day=next_day, received=received))
    _choose_once(con, [_read(days, "events", day) for day in fitting])
    counts = con.execute("SELECT day, count(*) FROM put_back GROUP BY day ORDER BY day").fetchall()
    for day, _ in counts:
        con.execute(_PUT_MESSAGES.format(messages=_read(days, "messages", day), day=day))
    # The events of a message may be spread over days: each file gives those of all that have been put back.
    for day in fitting if counts else ():
        con.execute(_PUT_EVENTS.format(events=_read(days, "events", day)))
    return sum(count for _, count in counts)


def _choose_once(con: DuckDBPyConnection, events: Sequence[str]) -> None:
    """See that no message of a source is put back beside itself.

    It can be another day's by now: when its first requests are pruned, or a late one tells that it was sent earlier. A
    day that it has left may have no other message, and then keeps it in its file. The day that knew most of what was
    received tells best of it; and better than what is left in the store, unless something has come since.
    """
    con.execute(_OLDER)
    con.execute(_TWICE)
    con.execute(_NEWER)
    con.execute(f"DELETE FROM put_back b WHERE {_IS_IN.format(table='newer', of='b')}")
    con.execute(f"DELETE FROM twice t WHERE {_IS_IN.format(table='newer', of='t')}")
    if not con.execute("SELECT 1 FROM twice LIMIT 1").fetchall():
        return
    for table in ("open_messages", "closed_messages"):
        con.execute(f"DELETE FROM {table} m WHERE {_IS_IN.format(table='twice', of='m')}")
    # Events that no day has, as those of a day in which no message was queued, are left as they are.
    for file in events:
        con.execute(_KNOWN.format(events=file))


def knew(con: DuckDBPyConnection, path: Path) -> dict[str, str]:
    """Return how far whoever sealed a day knew the logs when it wrote a file of it."""
    rows = con.execute("SELECT decode(key), decode(value) FROM parquet_kv_metadata(?)", [str(path)]).fetchall()
    return dict(rows)


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
INSERT INTO put_back SELECT DATE '{day}', {received}, p.message_uuid, p.origin FROM {messages} p WHERE NOT EXISTS (
    SELECT 1 FROM messages m WHERE m.queued_at >= '{day}' AND m.queued_at < '{next_day}'
    AND m.message_uuid = p.message_uuid AND m.origin = p.origin
)
"""

_OLDER: Final = """
DELETE FROM put_back b WHERE origin <> 'ringback' AND EXISTS (
    SELECT 1 FROM put_back i WHERE i.message_uuid = b.message_uuid AND i.origin = b.origin
    AND (i.received > b.received OR (i.received = b.received AND i.day < b.day))
)
"""

_TWICE: Final = """
CREATE OR REPLACE TEMP TABLE twice AS
SELECT m.message_uuid, m.origin, b.received
FROM messages m JOIN put_back b ON b.message_uuid = m.message_uuid AND b.origin = m.origin
WHERE m.origin <> 'ringback'
"""

_NEWER: Final = """
CREATE OR REPLACE TEMP TABLE newer AS
SELECT DISTINCT t.message_uuid, t.origin
FROM twice t JOIN events e ON e.message_uuid = t.message_uuid AND e.origin = t.origin
WHERE e.log_offset > t.received
"""

_KNOWN: Final = f"""
DELETE FROM events USING (
    SELECT origin, log_offset FROM {{events}} e WHERE {_IS_IN.format(table="twice", of="e")}
) k WHERE k.origin = events.origin AND k.log_offset = events.log_offset
"""

_PUT_MESSAGES: Final = f"""
INSERT INTO closed_messages BY NAME SELECT p.* FROM {{messages}} p
WHERE {_IS_IN.format(table="(SELECT * FROM put_back WHERE day = '{day}')", of="p")}
"""

_PUT_EVENTS: Final = f"""
INSERT INTO events BY NAME SELECT e.* FROM {{events}} e WHERE {_IS_IN.format(table="put_back", of="e")}
"""
