"""The yardstick of ``analytics``: the same questions in SQLite, over the store's tables, with indexes made for them."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.report import median, progress
from ringback.analytics.filters import Filter
from ringback.analytics.questions import Questions

DAY_US: Final = 86_400_000_000
REPETITIONS: Final = 3
LONGEST_S: Final = 120.0
"""A question that takes longer is ended, and counts as taking so long."""

INDEXES: Final = (
    (
        "CREATE INDEX yardstick_messages ON messages (direction, queued_at_us, status, mcc, mnc, src, route, country, "
        "error_code, units, rate, sent_at_us, final_at_us, trackable, uuid)"
    ),
    "CREATE INDEX yardstick_conversions ON conversions (message_uuid, id, status)",
    "CREATE INDEX yardstick_events ON events (at_us, status, flag)",
)
"""They cover every question, so that none of them reads a table."""

_SENT: Final = "direction = 'outbound' AND queued_at_us >= :since AND queued_at_us < :until"
_CARRIER: Final = "mcc || '-' || mnc"
_LAST_WORD: Final = (
    "LEFT JOIN conversions c ON c.message_uuid = m.uuid "
    "AND c.id = (SELECT max(id) FROM conversions WHERE message_uuid = m.uuid)"
)


def _counted(key: str) -> str:
    return (
        f"SELECT {key}, count(*), sum(status = 'delivered'), sum(status = 'undelivered'), sum(status = 'failed'), "  # noqa: S608 - own words
        f"sum(status = 'sent'), sum(units), sum(units * CAST(rate * 100000 AS INTEGER)) FROM messages WHERE {_SENT} "
        "GROUP BY 1 ORDER BY 2 DESC LIMIT 50"
    )


class Asked(msgspec.Struct, frozen=True):
    """A question both ways."""

    days: int
    sqlite: str
    duckdb: Callable[[Questions, Filter], Awaitable[Any]]


ASKED: Final[Mapping[str, Asked]] = {
    "series_90d": Asked(
        90,
        f"SELECT queued_at_us / 86400000000, status, count(*) FROM messages WHERE {_SENT} GROUP BY 1, 2",  # noqa: S608
        lambda questions, chosen: questions.series(chosen),
    ),
    "series_7d": Asked(
        7,
        f"SELECT queued_at_us / 7200000000, status, count(*) FROM messages WHERE {_SENT} GROUP BY 1, 2",  # noqa: S608
        lambda questions, chosen: questions.series(chosen),
    ),
    "volume_7d": Asked(
        7,
        "SELECT at_us / 7200000000, status, flag, count(*) FROM events WHERE at_us >= :since AND at_us < :until "
        "GROUP BY 1, 2, 3",
        lambda questions, chosen: questions.volume(chosen),
    ),
    "countries_30d": Asked(30, _counted("country"), lambda questions, chosen: questions.breakdown(chosen, "country")),
    "senders_30d": Asked(30, _counted("src"), lambda questions, chosen: questions.breakdown(chosen, "sender")),
    "heatmap_90d": Asked(
        90,
        "SELECT (queued_at_us / 3600000000 - 96) % 168, count(*), sum(status = 'delivered') "  # noqa: S608
        f"FROM messages WHERE {_SENT} GROUP BY 1",
        lambda questions, chosen: questions.heatmap(chosen),
    ),
    "latency_by_carrier_30d": Asked(
        30,
        f"WITH took AS (SELECT {_CARRIER} AS carrier, (final_at_us - sent_at_us) / 1000 AS ms FROM messages "  # noqa: S608
        f"WHERE {_SENT} AND status = 'delivered'), placed AS (SELECT carrier, ms, "
        "row_number() OVER (PARTITION BY carrier ORDER BY ms) AS place, "
        "count(*) OVER (PARTITION BY carrier) AS among FROM took) "
        "SELECT carrier, max(among), max(ms) FILTER (WHERE place = (among * 50 + 99) / 100), "
        "max(ms) FILTER (WHERE place = (among * 95 + 99) / 100), "
        "max(ms) FILTER (WHERE place = (among * 99 + 99) / 100) FROM placed GROUP BY 1 ORDER BY 2 DESC LIMIT 50",
        lambda questions, chosen: questions.latency(chosen, "carrier"),
    ),
    "issues_30d": Asked(
        30,
        f"SELECT error_code, {_CARRIER}, src, route, count(*), min(final_at_us), max(final_at_us) FROM messages "  # noqa: S608
        f"WHERE {_SENT} AND status IN ('undelivered', 'failed') GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC LIMIT 50",
        lambda questions, chosen: questions.issues(chosen),
    ),
    "funnel_30d": Asked(
        30,
        "SELECT count(*), sum(m.status IN ('sent', 'delivered', 'undelivered')), sum(m.status = 'delivered'), "  # noqa: S608
        f"sum(m.trackable), sum(c.status = 'CONVERTED') FROM messages m {_LAST_WORD} WHERE {_SENT}",
        lambda questions, chosen: questions.funnel(chosen),
    ),
    "conversion_by_route_30d": Asked(
        30,
        "SELECT m.route, count(*), sum(m.trackable), sum(c.status = 'CONVERTED') "  # noqa: S608
        f"FROM messages m {_LAST_WORD} WHERE {_SENT} AND m.trackable GROUP BY 1 ORDER BY 3 DESC",
        lambda questions, chosen: questions.conversion(chosen, "route"),
    ),
}


def sqlite_ms(path: Path, until_us: int) -> dict[str, float]:
    """Ask every question of a store's file, which gets indexes for that; gives medians of milliseconds."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA cache_size = -262144")
        connection.execute("PRAGMA temp_store = MEMORY")
        for index in INDEXES:
            progress(f"analytics: yardstick: {index.split(' (')[0]} ...")
            connection.execute(index)
        connection.execute("ANALYZE")
        found = {}
        for name, asked in ASKED.items():
            times = list(_times_ms(connection, asked, until_us))
            found[name] = median(times)
            progress(f"analytics: yardstick: {name} {found[name]:,.0f} ms in SQLite")
        return found


def _times_ms(connection: sqlite3.Connection, asked: Asked, until_us: int) -> Iterator[float]:
    given = {"since": until_us - asked.days * DAY_US, "until": until_us}
    for _ in range(REPETITIONS):
        started_s = time.perf_counter()
        was_ended = False
        with _ended_after(connection, LONGEST_S):
            try:
                connection.execute(asked.sqlite, given).fetchall()
            except sqlite3.OperationalError:
                was_ended = True
        yield (time.perf_counter() - started_s) * 1000
        if was_ended:
            return


@contextlib.contextmanager
def _ended_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
