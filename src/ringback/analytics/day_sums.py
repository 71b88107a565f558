"""Sums of the days that are sealed, so that questions about long times need not read every message.

When a day is sealed its messages are counted by each hour, and by each country, carrier, sender and so on: by one thing
at a time, beside account, origin and direction. A question reads the sums of the days that are sealed and whole within
its time, and the messages of the rest. So figures stay exact: what a day's sums are made of is what its messages say
now, because whatever changes one of them takes the day out of ``sealed_days`` in the same transaction.

Sums are not kept where there would be nearly as many of them as messages; such a day is read message by message when
somebody asks for that. Percentiles cannot be added up, so they always come from the messages.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import Final

import msgspec
from duckdb import DuckDBPyConnection

from ringback.analytics.definitions import (
    DIMENSIONS,
    HAS_ERROR,
    NOT_CONVERTED,
    SUMS,
    Rules,
    in_order,
    instant,
    literal,
    status_counts,
)
from ringback.analytics.filters import FIELDS, Filter

DAY_US: Final = 86_400_000_000
HOUR: Final = "hour"
VOLUME: Final = "volume"
KEYS: Final[dict[str, str]] = {name: column for name, column in DIMENSIONS.items() if name not in {"account", "origin"}}
"""What is summed by, and the column of it. Account and origin are beside each."""
BESIDE: Final = frozenset({"account", "origin", "direction"})
FEW: Final = 1_000
"""So many sums of a day are kept in any case."""
MESSAGES_EACH: Final = 4
"""More are kept as long as there are so many messages for each."""
MOST_GAPS: Final = 6
"""The most stretches of time that are read message by message beside sums."""
COUNTS: Final = ("accepted", "waiting", "receipts", "undelivered", "failed", "received", "assumed")
MORE: Final = (
    "trackable", "converted", "converted_elsewhere", "not_converted", "units", "spent", "unpriced", "flagged",
)  # fmt: skip
_EPOCH: Final = date(1970, 1, 1)


class Split(msgspec.Struct, frozen=True):
    """A time, cut into whole days that are summed and the rest."""

    by: str
    """Which sums."""
    whole: tuple[tuple[int, int], ...]
    """From one day until before another, as days since 1970."""
    rest: tuple[tuple[int, int], ...]
    """From one time until before another; microseconds since 1970."""

    @property
    def days(self) -> int:
        """How many days are summed."""
        return sum(until - since for since, until in self.whole)


# ---- making them ----


def note(con: DuckDBPyConnection, day: date, countries: Sequence[str]) -> None:
    """Sum up a day; ``countries`` are those where sent counts as delivered."""
    for table in ("summed_days", "day_sums", "event_sums"):
        con.execute(f"DELETE FROM {table} WHERE day = ?", [day])
    assumed = ",".join(in_order(countries))
    [(messages, last_sent_at)] = con.execute(
        "SELECT count(*), max(coalesce(sent_at, queued_at)) FILTER (status = 'sent') "
        f"FROM closed_messages WHERE {_of(day, 'queued_at')}"
    ).fetchall()
    most = max(FEW, messages // MESSAGES_EACH)
    for by, column in {HOUR: "NULL", **KEYS}.items():
        if _sum(con, day, by, column, in_order(countries)) <= most or by == HOUR:
            con.execute("INSERT INTO day_sums BY NAME SELECT * FROM summed")
            con.execute("INSERT INTO summed_days VALUES (?, ?, ?, ?)", [day, by, assumed, last_sent_at])
    con.execute(
        f"""INSERT INTO event_sums SELECT DATE '{day}', date_trunc('hour', "at"), account_id, origin,
            message_uuid IN (SELECT message_uuid FROM messages WHERE direction = 'inbound'), status, flag IS NULL,
            count(*)
            FROM events WHERE {_of(day, '"at"')} GROUP BY ALL"""
    )
    con.execute("INSERT INTO summed_days VALUES (?, ?, ?, NULL)", [day, VOLUME, assumed])
    con.execute("DROP TABLE summed")


def summed_with(countries: Sequence[str]) -> str:
    """Return SQL of the days that have been summed where sent counts as delivered in these countries."""
    assumed = literal(",".join(in_order(countries)))
    return f"SELECT day FROM summed_days WHERE \"by\" = '{HOUR}' AND assumed = {assumed}"


def _sum(con: DuckDBPyConnection, day: date, by: str, column: str, countries: tuple[str, ...]) -> int:
    """Make the table ``summed``; returns how many sums there are."""
    start = "date_trunc('hour', queued_at)" if by == HOUR else f"TIMESTAMP '{day}'"
    name = "any_value(network)" if by == "carrier" else "NULL"
    counts = status_counts(Rules(stale_before_us=0, sent_is_delivered=countries))
    only = f" AND {HAS_ERROR}" if by == "error" else ""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE summed AS SELECT DATE '{day}' AS day, {literal(by)} AS \"by\", "
        f"* EXCLUDE (no_dlr) FROM (SELECT {start} AS start_at, {column} AS key, {name} AS name, "
        f"account_id, origin, direction, "
        f"{counts}, {SUMS}, {NOT_CONVERTED} FROM closed_messages WHERE {_of(day, 'queued_at')}{only} GROUP BY ALL)"
    )
    return int(con.table("summed").count("*").fetchall()[0][0])


def _of(day: date, column: str) -> str:
    return f"{column} >= TIMESTAMP '{day}' AND {column} < TIMESTAMP '{day + timedelta(days=1)}'"


# ---- reading them ----


def sums_for(chosen: Filter, by: str | None = None, *, in_hours: bool = False) -> str | None:
    """Say which sums answer a question about these messages by something, or by the hour; ``None`` if none do."""
    things = {name for name in FIELDS if name not in BESIDE and getattr(chosen, name)}
    if "error" in things and by != "error":
        # Sums by error are of messages that have one only.
        return None
    things |= {by} - BESIDE - {None} if by else set()
    if chosen.status or len(things) > 1 or (things and in_hours):
        return None
    return things.pop() if things else HOUR


def whole_days(by: str, rules: Rules) -> str:
    """Return SQL of the days of which these sums hold now."""
    assumed = literal(",".join(rules.sent_is_delivered))
    return (
        f"SELECT day - DATE '1970-01-01' AS number FROM sealed_days JOIN summed_days USING (day) "
        f'WHERE "by" = {literal(by)} AND assumed = {assumed} '
        f"AND (last_sent_at IS NULL OR last_sent_at < {instant(rules.stale_before_us)})"
    )


def may_be_whole(since_us: int, until_us: int) -> bool:
    """Say whether a time has a whole day in it."""
    return -(-since_us // DAY_US) < until_us // DAY_US


def split(by: str, days: Collection[int], since_us: int, until_us: int) -> Split:
    """Cut a time into the whole days among ``days``, numbers since 1970, and the rest, which has few gaps."""
    first, last = -(-since_us // DAY_US), until_us // DAY_US
    runs = _runs(day for day in sorted(set(days)) if first <= day < last)
    longest = sorted(runs, key=lambda run: run[0] - run[1])[: MOST_GAPS - 1]
    whole = sorted(longest)
    ends = [since_us, *(each * DAY_US for run in whole for each in run), until_us]
    rest = [(begin, end) for begin, end in zip(ends[::2], ends[1::2], strict=True) if begin < end]
    return Split(by, tuple(whole), tuple(rest))


def _runs(days: Iterable[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for day in days:
        if runs and runs[-1][1] == day:
            runs[-1] = (runs[-1][0], day + 1)
        else:
            runs.append((day, day + 1))
    return runs


def of_days(cut: Split, column: str = "day") -> str:
    """Return the condition that a day is one of the whole ones."""
    return "(" + " OR ".join(f"({column} >= {_date(a)} AND {column} < {_date(b)})" for a, b in cut.whole) + ")"


def of_rest(cut: Split, column: str) -> str:
    """Return the condition that a time is in the rest."""
    if not cut.rest:
        return "false"
    return "(" + " OR ".join(
        f"({column} >= {instant(since)} AND {column} < {instant(until)})" for since, until in cut.rest
    ) + ")"  # fmt: skip


def as_messages(cut: Split) -> str:
    """Return a table that has the sums, with the columns that filters know messages by."""
    column = "" if cut.by == HOUR else f", key AS {KEYS[cut.by]}"
    return (
        f"(SELECT * EXCLUDE (key), start_at AS queued_at, name AS network, waiting - assumed AS no_dlr{column} "
        f'FROM day_sums WHERE "by" = {literal(cut.by)} AND {of_days(cut)})'
    )


def still_whole(cut: Split, rules: Rules) -> str:
    """Return SQL of how many of the whole days are so while the question is answered: ``Split.days``, usually."""
    return f"(SELECT count(*) FROM ({whole_days(cut.by, rules)} AND {of_days(cut)}))"


def _date(number: int) -> str:
    return f"DATE '{_EPOCH + timedelta(days=number)}'"
