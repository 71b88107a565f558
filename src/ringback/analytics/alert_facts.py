"""What alerts are judged by: counts of the last hour, and of the same hour on earlier days, for every scope.

**Like with like.** A message that was queued a minute ago has no receipt yet, one of last week has. So the window is
the last 60 minutes of what has settled: it ends ``settle`` ago, and of every message, of whichever day, only what was
known within ``settle`` of its queuing counts. Volume needs no settling: its window is the last 30 minutes.

Windows are numbered by how many days ago they are: 0 is now.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ringback.analytics.engine import Engine, Limits
from ringback.model.alerts import Scope

MINUTE_US: Final = 60_000_000
DAY_US: Final = 86_400_000_000
WINDOW_US: Final = 60 * MINUTE_US
RECENT_US: Final = 30 * MINUTE_US
"""Of volume."""
WEEKS: Final = (7, 14, 21, 28)
DAYS: Final = (1, 2, 3, 4, 5, 6, 7)
WINDOWS: Final = (0, *DAYS, *WEEKS[1:])
EDGES_MS: Final = tuple(round(500 * 1.55**step) for step in range(16))
"""Latencies are counted above each of these; 0.5 s to 6 min."""
LEAST: Final = 30
"""Scopes with fewer messages in every window are not read."""
LEAST_ERRORS: Final = 3
"""Neither are error codes with fewer: what has more, and is small, must be known to be taken from what is large."""
LIMITS: Final = Limits(timeout_s=30.0, rows=500_000)
TOP_PREFIXES: Final = 5


class Counts(msgspec.Struct, frozen=True):
    """Of one scope in one window."""

    messages: int
    recent: int
    """In the window of volume."""
    decided: int
    """With a final status that was known in time."""
    delivered: int
    handed: int
    """That a carrier took in time."""
    silent: int
    """Of these: without a final status in time."""
    trackable: int
    """That may convert, and did not fail."""
    converted: int
    """In time."""
    timed: int
    """Delivered in time, or still not handed over then."""
    over: tuple[int, ...]
    """Of these: slower than each of ``EDGES_MS``."""


class Crowd(msgspec.Struct, frozen=True):
    """Where the messages of a scope go, in one window."""

    messages: int
    top: tuple[tuple[str, int], ...]
    """The ranges of numbers with most, and how many."""
    trackable: int = 0
    """Of those to the top ranges: that may convert."""
    converted: int = 0
    """And have, in time."""

    def share(self) -> float:
        """Return which part goes to the top ranges."""
        return sum(count for _, count in self.top) / self.messages if self.messages else 0.0


class Facts(msgspec.Struct, frozen=True):
    """Everything that one look is judged by."""

    at_us: int
    settle_us: int
    counts: Mapping[Scope, Mapping[int, Counts]]
    """By scope and window."""
    errors: Mapping[Scope, Mapping[str, Mapping[int, int]]]
    """Failures by scope, error code and window."""
    crowds: Mapping[Scope, Mapping[int, Crowd]] = {}
    """Of scopes under suspicion."""


_SLOT: Final = """
SELECT {day} AS day, coalesce(country, '') AS country, coalesce(carrier, '') AS carrier, coalesce(src, '') AS sender,
    coalesce(error_code, '') AS error_code, status, trackable, conversion, converted_at, total_ms, dst_prefix,
    queued_at, queued_at < make_timestamp({until_us}) AS settled,
    queued_at >= make_timestamp({recent_us}) AS recent,
    coalesce(final_at + to_milliseconds(coalesce(lag_ms, 0)) <= queued_at + to_microseconds({settle_us}), false)
        AND status NOT IN ('queued', 'sent') AS known,
    coalesce(sent_at <= queued_at + to_microseconds({settle_us}), false) AS handed
FROM messages
WHERE direction = 'outbound' AND queued_at >= make_timestamp({since_us}) AND queued_at < make_timestamp({end_us})
"""
_SETS: Final = """GROUPING SETS ((day), (day, country), (day, country, carrier), (day, sender), (day, country, sender),
    (day, country, carrier, sender))"""
_SCOPE: Final = (
    "CASE WHEN grouping(country) = 0 THEN country END AS c, CASE WHEN grouping(carrier) = 0 THEN carrier END AS m, "
    "CASE WHEN grouping(sender) = 0 THEN sender END AS s"
)


def _windows(at_us: int, settle_us: int, days: Sequence[int]) -> str:
    """Return a query for the messages of all windows. Its numbers are Ringback's own."""
    ends = [(day, at_us - day * DAY_US) for day in days]
    return " UNION ALL ".join(
        slot_sql(str(day), since_us=end_us - settle_us - WINDOW_US, end_us=end_us, settle_us=settle_us)
        for day, end_us in ends
    )


def slot_sql(day: str, *, since_us: int, end_us: int, settle_us: int) -> str:
    """Return a query for the messages of a span, with what was known of each in time; ``day`` is an expression."""
    return _SLOT.format(
        day=day,
        since_us=since_us,
        until_us=end_us - settle_us,
        recent_us=end_us - RECENT_US,
        end_us=end_us,
        settle_us=settle_us,
    )


_COUNTED: Final = (
    "settled",
    "recent",
    "settled AND known",
    "settled AND known AND status = 'delivered'",
    "settled AND handed",
    "settled AND handed AND NOT known",
    "settled AND may_convert",
    "settled AND may_convert AND has_converted",
    "settled AND took_ms IS NOT NULL",
    *(f"settled AND took_ms > {edge}" for edge in EDGES_MS),
)
"""What is counted, in the order of the fields of ``Counts``."""


def judged_sql(read: str, settle_us: int) -> str:
    """Return the beginning of a query: ``judged`` are the messages that ``read`` gives, with what became of each."""
    return f"""
WITH read AS ({read}),
judged AS (
    SELECT *, CASE WHEN known AND status = 'delivered' THEN total_ms
                   WHEN NOT known AND NOT handed THEN 1000000000 END AS took_ms,
        trackable AND (NOT known OR status = 'delivered') AS may_convert,
        conversion IN ('CONVERTED', 'CONVERTED_WITH_OTHERS')
            AND converted_at <= queued_at + to_microseconds({settle_us}) AS has_converted
    FROM read
)"""


def parts_sql(read: str, settle_us: int) -> str:
    """Return the beginning of a query: ``parts`` are counts of the messages that ``read`` gives, by all they have."""
    counts = ", ".join(f"count(*) FILTER ({each}) AS n{at}" for at, each in enumerate(_COUNTED))
    return f"""{judged_sql(read, settle_us)},
parts AS (SELECT day, country, carrier, sender, {counts} FROM judged GROUP BY ALL)
"""


def counts_sql(at_us: int, settle_us: int) -> str:
    """Return the query for ``Counts`` of every scope and window. Parts are counted first, and then added up."""
    sums = ", ".join(f"sum(n{at})::BIGINT AS n{at}" for at in range(len(_COUNTED)))
    return f"""{parts_sql(_windows(at_us, settle_us, WINDOWS), settle_us)},
counted AS (SELECT {_SCOPE}, day, {sums} FROM parts GROUP BY {_SETS})
SELECT * FROM counted QUALIFY max(n0) OVER (PARTITION BY c, m, s) >= {LEAST}
"""


def errors_sql(at_us: int, settle_us: int) -> str:
    """Return the query for failures by scope, code and window."""
    sets = _SETS.replace("(day", "(error_code, day")
    return f"""
WITH read AS ({_windows(at_us, settle_us, WINDOWS)}),
parts AS (
    SELECT error_code, day, country, carrier, sender, count(*) AS n FROM read
    WHERE settled AND known AND status IN ('failed', 'undelivered') GROUP BY ALL
),
counted AS (SELECT {_SCOPE}, error_code, day, sum(n)::BIGINT AS n FROM parts GROUP BY {sets})
SELECT * FROM counted QUALIFY max(n) OVER (PARTITION BY c, m, s, error_code) >= ?
"""


def crowd_sql(at_us: int, settle_us: int, scope: Scope) -> str:
    """Return the query for the ranges of numbers that most messages of a scope go to; ``?`` for what it has."""
    wanted = "".join(f" AND {name} = ?" for name, value in _named(scope) if value is not None)
    return f"""
{judged_sql(_windows(at_us, settle_us, (0, 1, 7)), settle_us)},
counted AS (
    SELECT day, coalesce(dst_prefix, '') AS prefix, count(*) AS n, count(*) FILTER (may_convert) AS trackable,
        count(*) FILTER (may_convert AND has_converted) AS converted
    FROM judged WHERE settled{wanted} GROUP BY ALL
)
SELECT day, prefix, n, sum(n) OVER (PARTITION BY day)::BIGINT, trackable, converted FROM counted
QUALIFY row_number() OVER (PARTITION BY day ORDER BY n DESC, prefix) <= {TOP_PREFIXES}
ORDER BY day, n DESC, prefix
"""


def counts_of(values: Sequence[int]) -> Counts:
    """Read counts in the order of ``_COUNTED``."""
    messages, recent, decided, delivered, handed, silent, trackable, converted, timed = values[:9]
    return Counts(messages, recent, decided, delivered, handed, silent, trackable, converted, timed, tuple(values[9:]))


async def read_facts(engine: Engine, *, at_us: int, settle_us: int) -> Facts:
    """Read everything but crowds. Raises ``AnalyticsAway`` and ``QuestionTooLong``."""
    counted = await engine.ask(counts_sql(at_us, settle_us), limits=LIMITS)
    counts: dict[Scope, dict[int, Counts]] = {}
    for row in counted.rows:
        if (scope := _scope(row)) is not None:
            counts.setdefault(scope, {})[row[3]] = counts_of(row[4:])
    failed = await engine.ask(errors_sql(at_us, settle_us), (LEAST_ERRORS,), limits=LIMITS)
    errors: dict[Scope, dict[str, dict[int, int]]] = {}
    for row in failed.rows:
        if (scope := _scope(row)) is not None:
            errors.setdefault(scope, {}).setdefault(row[3], {})[row[4]] = row[5]
    return Facts(at_us, settle_us, counts, errors)


async def add_crowds(engine: Engine, facts: Facts, scopes: Sequence[Scope]) -> Facts:
    """Return the facts with where messages of these scopes go."""
    crowds = {}
    for scope in scopes:
        given = [value for _, value in _named(scope) if value is not None]
        found = await engine.ask(crowd_sql(facts.at_us, facts.settle_us, scope), given, limits=LIMITS)
        by_day: dict[int, list[tuple[Any, ...]]] = {}
        for row in found.rows:
            by_day.setdefault(row[0], []).append(row)
        crowds[scope] = {
            day: Crowd(
                rows[0][3],
                tuple((row[1], row[2]) for row in rows),
                sum(row[4] for row in rows),
                sum(row[5] for row in rows),
            )
            for day, rows in by_day.items()
        }
    return msgspec.structs.replace(facts, crowds=crowds)


def _named(scope: Scope) -> tuple[tuple[str, str | None], ...]:
    return (("country", scope.country), ("carrier", scope.carrier), ("sender", scope.sender))


def _scope(row: Sequence[Any]) -> Scope | None:
    """Read country, carrier and sender; ``None`` where one of them is not known of the messages."""
    if "" in row[:3]:
        return None
    return Scope(country=row[0], carrier=row[1], sender=row[2])
