"""What staged events and messages (``staging``) do to the tables of the file. Everything runs in one transaction.

A message is in ``open_messages`` while more is expected of it. That table is small and its rows are replaced. When a
message has ended and some time has passed it goes to ``closed_messages``, which only grows: no index has to follow,
and the rows of a day lie together. What still changes a closed message is rare, and is found by the time at which it
was queued, which everybody who brings the change knows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from duckdb import DuckDBPyConnection

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - DuckDB's timestamps are UTC and say no zone
_ENDED: Final = "status IN ('delivered', 'undelivered', 'failed')"
_CHANGING: Final = (
    "account_id", "direction", "type", "src", "dst_prefix", "country", "mcc", "mnc", "network", "carrier", "connector",
    "route", "status", "error_code", "units", "cost", "trackable", "sent_at", "final_at", "queue_ms", "carrier_ms",
    "total_ms", "lag_ms", "conversion", "converted_at", "queued_at",
)  # fmt: skip
"""Columns that may still change after a message has been closed, beside the count of flagged events."""
_MOST_DISORDER_DAYS: Final = 3
"""A source's first word on a message may come after its last one, and by so much change when it was queued."""
_SAME: Final = "{0}.message_uuid = {1}.message_uuid AND {0}.origin = {1}.origin"


class Horizon(msgspec.Struct, frozen=True, kw_only=True):
    """When messages are closed; UTC microseconds."""

    ended_before_us: int
    """Those that ended before it: no conversion of theirs and no callback's end is likely to come any more."""
    queued_before_us: int
    """Those that have not ended and were queued before it: no receipt is likely to come any more."""


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    events: int = 0
    closed: int = 0
    corrected: int = 0
    """Closed messages that were changed."""
    newest_us: int = 0
    """The latest time of these events."""


def fold(con: DuckDBPyConnection, horizon: Horizon) -> Folded:
    """Take in what is staged."""
    events, newest_us = con.execute('SELECT count(*), coalesce(epoch_us(max("at")), 0) FROM staged_events').fetchall()[
        0
    ]
    if events:
        con.execute("INSERT INTO events BY NAME SELECT * FROM staged_events")
    con.execute(
        _FOLDED.format(
            ended=f"make_timestamp({horizon.ended_before_us})", old=f"make_timestamp({horizon.queued_before_us})"
        )
    )
    con.execute(_UNSEAL)
    corrected = _correct(con)
    con.execute(f"DELETE FROM open_messages o USING folded f WHERE f.was_open AND {_SAME.format('o', 'f')}")
    closed = _count(con, f"INSERT INTO closed_messages BY NAME SELECT {_ROW} FROM folded WHERE closes")
    con.execute(f"INSERT INTO open_messages BY NAME SELECT {_ROW} FROM folded WHERE NOT closes")
    return Folded(events=events, closed=closed, corrected=corrected, newest_us=newest_us)


def drain(con: DuckDBPyConnection, horizon: Horizon) -> int:
    """Close the open messages of which nothing is expected any more; returns how many."""
    chosen = [
        f"({_ENDED} AND coalesce(final_at, queued_at) < ?)",
        f"(NOT {_ENDED} AND queued_at < ?)",
    ]
    where = " OR ".join(chosen)
    given = [at(horizon.ended_before_us), at(horizon.queued_before_us)]
    closed = _count(con, f"INSERT INTO closed_messages BY NAME SELECT * FROM open_messages WHERE {where}", given)
    if closed:
        con.execute(f"DELETE FROM open_messages WHERE {where}", given)
    return closed


def convert(con: DuckDBPyConnection) -> int:
    """Take in the conversions that are staged; returns how many messages they are of."""
    (count, first, last) = con.execute(
        "SELECT count(*), min(queued_at), max(queued_at) FROM staged_conversions"
    ).fetchall()[0]
    if count:
        for table in ("open_messages", "closed_messages"):
            con.execute(_CONVERT.format(table=table), [first, last])
        con.execute("DELETE FROM sealed_days WHERE day IN (SELECT CAST(queued_at AS DATE) FROM staged_conversions)")
    return int(count)


_ROW: Final = "* EXCLUDE (was_open, begins, closes)"

_FOLDED: Final = f"""
CREATE OR REPLACE TEMP TABLE folded AS
SELECT
    s.* REPLACE (CAST(s.flagged + CASE WHEN s.origin = 'ringback'
        THEN coalesce(n.flagged, 0) + coalesce(o.flagged, 0) ELSE 0 END AS INTEGER) AS flagged),
    o.message_uuid IS NOT NULL AS was_open, coalesce(n.begins, false) AS begins,
    CASE WHEN s.{_ENDED} THEN coalesce(s.final_at, s.queued_at) < {{ended}} ELSE s.queued_at < {{old}} END AS closes
FROM staged_messages s
LEFT JOIN open_messages o ON {_SAME.format("o", "s")}
LEFT JOIN (
    SELECT
        message_uuid, origin, count(*) FILTER (WHERE flag IS NOT NULL) AS flagged,
        -- What has its first event here is nowhere yet, and need not be looked for among the closed ones.
        bool_or(flag IS NULL AND status IN ('queued', 'received')) AND origin = 'ringback' AS begins
    FROM staged_events GROUP BY message_uuid, origin
) n ON {_SAME.format("n", "s")}
"""

_UNSEAL: Final = """
DELETE FROM sealed_days WHERE
    day IN (SELECT CAST(queued_at AS DATE) FROM folded) OR day IN (SELECT CAST("at" AS DATE) FROM staged_events)
"""

_LATE: Final = "NOT f.was_open AND NOT f.begins"

_CONVERT: Final = """
UPDATE {table} m SET conversion = s.conversion, converted_at = s.converted_at FROM staged_conversions s
WHERE m.queued_at BETWEEN ? AND ? AND m.queued_at = s.queued_at AND m.message_uuid = s.message_uuid
    AND m.origin = 'ringback'
    AND (m.conversion IS DISTINCT FROM s.conversion OR m.converted_at IS DISTINCT FROM s.converted_at)
"""


def _correct(con: DuckDBPyConnection) -> int:
    """Change those of the folded messages that are closed already, and fold them no further."""
    first, last = con.execute(_SPAN).fetchall()[0]
    if first is None:
        return 0
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE late AS SELECT f.*, {_DIFFERS} AS differs, c.queued_at AS was_queued_at, "
        "c.direction AS was_direction "
        f"FROM closed_messages c JOIN folded f ON {_SAME.format('c', 'f')} "
        f"WHERE {_LATE} AND c.queued_at BETWEEN '{first}' AND '{last}'"
    )
    con.execute(_UNSEAL_MOVED)
    corrected = _count(
        con,
        f"UPDATE closed_messages c SET {_SET}, flagged = {_FLAGGED} FROM late f WHERE f.differs "
        f"AND c.queued_at BETWEEN ? AND ? AND {_SAME.format('c', 'f')}",
        [first, last],
    )
    con.execute(f"DELETE FROM folded f USING late l WHERE {_SAME.format('f', 'l')}")
    return corrected


_UNSEAL_MOVED: Final = """
DELETE FROM sealed_days WHERE day IN (SELECT CAST(was_queued_at AS DATE) FROM late WHERE differs)
    OR day >= (SELECT min(CAST(least(was_queued_at, queued_at) AS DATE)) FROM late WHERE was_direction <> direction)
"""
"""The day that a correction takes a message away from is not always the one that it brings it to. And where a source
tells late that a message came in, its events on all those days were counted as those of an outbound one.
"""

_SPAN: Final = f"""
SELECT
    min(queued_at - CASE WHEN origin = 'ringback' THEN INTERVAL 0 DAYS ELSE INTERVAL {_MOST_DISORDER_DAYS} DAYS END),
    max(queued_at + CASE WHEN origin = 'ringback' THEN INTERVAL 0 DAYS ELSE INTERVAL {_MOST_DISORDER_DAYS} DAYS END)
FROM folded f WHERE {_LATE}
"""
_FLAGGED: Final = "CASE WHEN c.origin = 'ringback' THEN c.flagged + f.flagged ELSE f.flagged END"
_SET: Final = ", ".join(f"{name} = f.{name}" for name in _CHANGING)
_DIFFERS: Final = " OR ".join(
    [f"c.flagged <> {_FLAGGED}", *(f"c.{name} IS DISTINCT FROM f.{name}" for name in _CHANGING)]
)


def at(time_us: int) -> datetime:
    """Return a time as DuckDB takes it."""
    return _EPOCH + timedelta(microseconds=time_us)


def _count(con: DuckDBPyConnection, sql: str, given: Sequence[Any] = ()) -> int:
    return int(con.execute(sql, list(given)).fetchall()[0][0])
