"""What a file that is made anew takes from the sealed days, many times as fast as from the log.

A message of the platform is taken as it was sealed only if it is what its sealed events make of it: each of them
lies in a stretch of the log that was sealed as a whole and is there as it was; none is younger than what was known of
the log when the message's day was sealed; and its status and its count of flagged events are theirs. All others, and
what no sealed day has, are read from the log. So it does not matter which days are lost, how far one is behind, or
whether the log is another one by now.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec
from duckdb import DuckDBPyConnection

from ringback.analytics.days import KINDS, Days
from ringback.analytics.definitions import literal
from ringback.analytics.sealing import fits, knew
from ringback.store.facts import DIVISOR, Stretch


class Taken(msgspec.Struct, frozen=True):
    """What is left to do."""

    places: tuple[tuple[int, int], ...]
    """From after one offset of the log up to another: what has to be read from there, in order."""
    conversions: int
    """Up to where the messages that were taken know what customers have said."""


class _Day(msgspec.Struct, frozen=True):
    day: date
    events: int
    conversions: int


def take(
    con: DuckDBPyConnection, days: Days, sealed: Sequence[date], logged: Sequence[Stretch], size: int
) -> Taken | None:
    """Put messages and events of sealed days into empty tables.

    ``logged`` is what the log has, in stretches of ``size`` offsets. Returns ``None`` if no day can be used.
    """
    usable = [found for day in sealed if (found := _usable(con, days, day))]
    if not usable:
        return None
    files = {
        kind: f"read_parquet([{', '.join(literal(str(days.path(kind, each.day))) for each in usable)}])"
        for kind in KINDS
    }
    con.execute("CREATE OR REPLACE TEMP TABLE logged (stretch BIGINT, events BIGINT, ids BIGINT, times BIGINT)")
    with con.appender("logged") as appender:
        appender.append_rows([list(msgspec.structs.astuple(each)) for each in logged])
    con.execute("CREATE OR REPLACE TEMP TABLE known (day DATE, up_to BIGINT)")
    con.executemany("INSERT INTO known VALUES (?, ?)", [[each.day, each.events] for each in usable])
    for sql in (_WHOLE, _DOUBTFUL, _TAKE_MESSAGES, _TAKE_EVENTS):
        con.execute(sql.format(**files, size=size))
    missing = [row[0] for row in con.execute(_MISSING.format(size=size)).fetchall()]
    con.execute("DROP TABLE logged; DROP TABLE known; DROP TABLE whole; DROP TABLE doubtful")
    return Taken(_places(missing, size), min(each.conversions for each in usable))


def leave_out(con: DuckDBPyConnection, after: int, until: int) -> None:
    """Take out of what is staged the events of these offsets that are there already, and messages left without any."""
    there = f"origin = 'ringback' AND log_offset > {after} AND log_offset <= {until}"
    if not con.execute(f"SELECT 1 FROM events WHERE {there} LIMIT 1").fetchall():
        return
    con.execute(
        "CREATE OR REPLACE TEMP TABLE left_events AS SELECT * FROM staged_events WHERE log_offset NOT IN "
        f"(SELECT log_offset FROM events WHERE {there})"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE left_messages AS SELECT * FROM staged_messages WHERE message_uuid IN "
        "(SELECT message_uuid FROM left_events)"
    )
    for kind in KINDS:
        con.execute(f"CREATE OR REPLACE TEMP VIEW staged_{kind} AS SELECT * FROM left_{kind}")


def _usable(con: DuckDBPyConnection, days: Days, day: date) -> _Day | None:
    """Return how far a day knew the log when it was sealed, if both files say the same and have the right columns."""
    if not fits(con, days, day):
        return None
    of_messages, of_events = (knew(con, days.path(kind, day)) for kind in KINDS)
    # A process that is killed while it seals a day again leaves files of two times.
    if of_messages != of_events or not all(of_events.get(name, "").isdecimal() for name in _Day.__struct_fields__[1:]):
        return None
    return _Day(day, int(of_events["events"]), int(of_events["conversions"]))


def _places(missing: Sequence[int], size: int) -> tuple[tuple[int, int], ...]:
    places: list[tuple[int, int]] = []
    for stretch in missing:
        after, until = stretch * size, (stretch + 1) * size
        if places and places[-1][1] == after:
            places[-1] = (places[-1][0], until)
        else:
            places.append((after, until))
    return tuple(places)


_SUMS: Final = "(log_offset - 1) // {size} AS stretch, count(*) AS events"

_WHOLE: Final = f"""
CREATE OR REPLACE TEMP TABLE whole AS SELECT stretch FROM logged JOIN (
    SELECT {_SUMS}, sum(log_offset % {DIVISOR})::BIGINT AS ids, sum(epoch_us("at") % {DIVISOR})::BIGINT AS times
    FROM {{events}} WHERE origin = 'ringback' GROUP BY 1
) sealed USING (stretch, events, ids, times)
"""
"""Stretches of the log of which every event is in a sealed day, and no other."""

_DOUBTFUL: Final = """
CREATE OR REPLACE TEMP TABLE doubtful AS
SELECT message_uuid FROM {events}
WHERE origin = 'ringback' AND (log_offset - 1) // {size} NOT IN (SELECT stretch FROM whole)
UNION
SELECT m.message_uuid FROM {messages} m JOIN known ON known.day = CAST(m.queued_at AS DATE)
JOIN {events} e ON e.message_uuid = m.message_uuid
WHERE m.origin = 'ringback' AND e.origin = 'ringback' AND e.log_offset > known.up_to
UNION
SELECT m.message_uuid FROM {messages} m LEFT JOIN (
    SELECT message_uuid, count(*) FILTER (flag IS NOT NULL) AS flagged,
        arg_max(status, log_offset) FILTER (flag IS NULL) AS status
    FROM {events} WHERE origin = 'ringback' GROUP BY message_uuid
) e ON e.message_uuid = m.message_uuid
WHERE m.origin = 'ringback' AND (m.flagged IS DISTINCT FROM e.flagged OR m.status IS DISTINCT FROM e.status)
"""

_TAKE_MESSAGES: Final = """
INSERT INTO closed_messages BY NAME SELECT * FROM {messages}
WHERE origin = 'ringback' AND message_uuid NOT IN (SELECT message_uuid FROM doubtful)
"""

_TAKE_EVENTS: Final = """
INSERT INTO events BY NAME SELECT * FROM {events}
WHERE origin = 'ringback' AND message_uuid IN (SELECT message_uuid FROM closed_messages)
"""

_MISSING: Final = f"""
SELECT stretch FROM logged LEFT JOIN (SELECT {_SUMS} FROM events GROUP BY 1) taken USING (stretch)
WHERE logged.events <> coalesce(taken.events, 0) ORDER BY stretch
"""
