"""The questions that pages, the JSON API and the command line ask. Each answer is a struct of ``figures``.

Every method raises ``AnalyticsAway`` when nobody holds the file, ``QuestionTooLong`` when the answer takes too long,
and ``InvalidRequest`` for what it cannot group or order by.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ringback.analytics import day_sums, figures
from ringback.analytics.counting import (
    QUANTILES,
    TOTAL_SPREAD,
    Counts,
    added,
    as_it_is,
    name_of,
    of_events,
    only_of,
    own_of_events,
    plain,
)
from ringback.analytics.day_sums import Split
from ringback.analytics.definitions import (
    DIMENSIONS,
    HAS_FAILED,
    HOUR_US,
    MEASURES,
    Rules,
    bucket_number,
    bucket_start,
    instant,
    is_of,
    is_settling,
    percentiles,
    rate,
    rules_at,
    step_us,
)
from ringback.analytics.engine import Engine
from ringback.analytics.filters import Filter, attributes, condition, previous
from ringback.analytics.kept import Kept
from ringback.dialect.codes import MEANINGS
from ringback.model.countries import NAMES
from ringback.model.errors import InvalidRequest
from ringback.runtime import Clock
from ringback.settings_analytics import AnalyticsSettings

USUAL_LIMIT: Final = 50
MOST_GROUPS: Final = 5_000
KEPT_US: Final = 5_000_000
MEANWHILE_US: Final = 60_000_000
LONG_US: Final = 8 * 86_400_000_000
"""Of periods that are longer, an answer that is up to ``MEANWHILE_US`` old is given while the next one is made."""
_MANY: Final = ("carrier", "sender")
"""Of these there are usually many more than are shown: only those have their percentiles worked out."""
_MONDAY_HOURS: Final = 4 * 24
_AT: Final = '"at"'

_ENDED: Final = "(receipts + assumed + undelivered + failed)"
_SENT: Final = "(receipts + undelivered + waiting)"
ORDERS: Final[dict[str, str]] = {
    "accepted": "accepted",
    "delivered": "receipts + assumed",
    "undelivered": "undelivered",
    "failed": "failed",
    "no_dlr": "no_dlr",
    "pending": f"accepted - {_ENDED} - received - no_dlr",
    "delivery_rate": f"(receipts + assumed) / nullif({_ENDED}, 0)",
    "dlr_rate": f"(receipts + undelivered) / nullif({_SENT}, 0)",
    "strict_rate": "receipts / accepted",
    "no_dlr_rate": f"no_dlr / nullif({_SENT}, 0)",
    "conversion_rate": "converted / nullif(trackable, 0)",
    "units": "units",
    "cost": "spent",
    "total_p50_ms": "spread[1]",
    "total_p95_ms": "spread[2]",
}
"""What a breakdown may be ordered by: the largest first, with ``-`` before it the smallest."""

Row = Mapping[str, Any]
_Found = TypeVar("_Found")
_Find = Callable[[], Awaitable[_Found]]


class Questions:
    """Answers, made from one engine."""

    def __init__(self, engine: Engine, settings: AnalyticsSettings, clock: Clock) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._kept = Kept(clock)

    # ---- how many, and what became of them ----

    async def totals(self, chosen: Filter) -> figures.Totals:
        """Count everything, and say how long the delivered ones took."""

        async def find() -> figures.Totals:
            where, given = condition(chosen, self._rules())
            [row] = await self._counted(
                chosen,
                Counts(more=True, spread=True),
                lambda counted: (
                    f"SELECT *, (SELECT {QUANTILES} FROM messages WHERE {where}) AS spread FROM ({counted})"
                ),
                given,
            )
            return figures.Totals(**figures.sums(row), **_total_spread(row))

        return await self._answer(("totals", chosen), find)

    async def sums(self, chosen: Filter) -> figures.Sums:
        """Count everything."""

        async def find() -> figures.Sums:
            [row] = await self._counted(chosen, Counts(more=True))
            return figures.Sums(**figures.sums(row))

        return await self._answer(("sums", chosen), find)

    async def compared(self, chosen: Filter) -> figures.Compared:
        """Count everything, and everything of the period before."""
        before = previous(chosen, now_us=self._minute_us())
        return figures.Compared(
            now=await self.totals(chosen),
            before=await self.totals(before),
            before_since_us=before.since_us,
            before_until_us=before.until_us,
        )

    async def series(self, chosen: Filter) -> figures.Series:
        """Count by the time of being queued."""

        async def find() -> figures.Series:
            step = step_us(chosen.until_us - chosen.since_us)
            rows = await self._counted(chosen, Counts(key=bucket_number("queued_at", step), step_us=step))
            by_start = {row["key"]: figures.statuses(row) for row in rows}
            return figures.Series(
                step_us=step,
                buckets=tuple(
                    figures.Bucket(start_us=start, settling=self._settling(chosen, start + step, counts), **counts)
                    for start in _starts(chosen, step)
                    for counts in [by_start.get(start, _NO_STATUSES)]
                ),
            )

        return await self._answer(("series", chosen), find)

    async def volume(self, chosen: Filter) -> figures.Volume:
        """Count events by the time at which they happened, whenever their messages were queued."""

        async def find() -> figures.Volume:
            step = step_us(chosen.until_us - chosen.since_us)
            rows = await self._happened(chosen, step)
            by_start: dict[int, list[Row]] = {}
            for row in rows:
                by_start.setdefault(row["start_us"], []).append(row)
            return figures.Volume(
                step_us=step,
                buckets=tuple(_volume_bucket(start, by_start.get(start, ())) for start in _starts(chosen, step)),
            )

        return await self._answer(("volume", chosen), find)

    async def breakdown(
        self, chosen: Filter, by: str, *, limit: int = USUAL_LIMIT, order: str = "accepted", timed: bool = True
    ) -> figures.Breakdown:
        """Count by one of ``DIMENSIONS``, ordered by one of ``ORDERS``; the most groups come first.

        Without ``timed`` latencies are left out, which cost more than all else.
        """
        column, ordered = _column(by), _ordered(order)

        async def find() -> figures.Breakdown:
            where, given = condition(chosen, self._rules())
            counts = Counts(key=column, by=by, more=True, spread=timed)
            shares = "count(*) OVER () AS groups, sum(accepted) OVER ()::BIGINT AS everything"
            first = f"ORDER BY {ordered} LIMIT {_limit(limit)}"
            # Which groups come first by a percentile is known only when all have theirs.
            late = _is_by_latency(order)
            top = "TABLE counted" if late else f"SELECT *, {shares} FROM counted {first}"
            spreads = f"SELECT {column} AS key, {TOTAL_SPREAD} FROM messages m WHERE {where}{only_of(by)}"
            if not late and (by in _MANY or limit < USUAL_LIMIT):
                spreads += f" AND EXISTS (SELECT 1 FROM top WHERE top.key IS NOT DISTINCT FROM m.{column})"

            def plainly(counted: str) -> str:
                return f"SELECT *, {shares} FROM ({counted}) {first}"

            def with_times(counted: str) -> str:
                return (
                    f"WITH counted AS ({counted}), top AS ({top}), spreads AS ({spreads} GROUP BY 1),"
                    " timed AS (SELECT top.*, spread FROM top LEFT JOIN spreads"
                    " ON top.key IS NOT DISTINCT FROM spreads.key)"
                    f" SELECT *{f', {shares}' if late else ''} FROM timed {first}"
                )

            around, more_given = (with_times, given) if timed else (plainly, [])
            rows = await self._counted(chosen, counts, around, more_given, of_messages=plainly)
            return figures.Breakdown(
                by=by,
                left_out=_left_out(rows),
                groups=tuple(
                    figures.Group(
                        key=row["key"],
                        name=_named(by, row),
                        share=row["accepted"] / row["everything"],
                        **figures.sums(row),
                        **_total_spread(row),
                    )
                    for row in rows
                ),
            )

        return await self._answer(("breakdown", chosen, by, limit, order, timed), find)

    async def heatmap(self, chosen: Filter) -> figures.Heatmap:
        """Count by the hour of the week, UTC, at which messages were queued."""

        async def find() -> figures.Heatmap:
            hour_of_week = f"(epoch_us(queued_at) // {HOUR_US} - {_MONDAY_HOURS}) % 168"
            rows = await self._counted(chosen, Counts(key=hour_of_week, step_us=HOUR_US))
            by_hour = {row["key"]: figures.statuses(row) for row in rows}
            return figures.Heatmap(
                cells=tuple(
                    figures.Cell(weekday=hour // 24, hour=hour % 24, **by_hour.get(hour, _NO_STATUSES))
                    for hour in range(168)
                )
            )

        return await self._answer(("heatmap", chosen), find)

    async def funnel(self, chosen: Filter) -> figures.Funnel:
        """Count how far messages came."""
        found = await self.sums(chosen)
        counts = (
            ("accepted", found.accepted, found.accepted),
            ("sent", found.sent, found.accepted),
            ("delivered", found.delivered, found.sent),
            ("converted", found.converted, found.trackable),
        )
        return figures.Funnel(
            stages=tuple(
                figures.Stage(name=name, count=count, of=of, rate=rate(count, of)) for name, count, of in counts
            )
        )

    # ---- how long ----

    async def latency(self, chosen: Filter, by: str | None = None, *, limit: int = USUAL_LIMIT) -> figures.Latency:
        """Give percentiles of every latency by one of ``DIMENSIONS``, the most messages first, or of all."""
        column = "NULL" if by is None else _column(by)

        async def find() -> figures.Latency:
            where, given = condition(chosen, self._rules())
            spreads = ", ".join(f"count({name}) AS n_{name}, {percentiles(name)} AS p_{name}" for name in MEASURES)
            rows = await self._rows(
                f"SELECT *, count(*) OVER () AS groups FROM ("
                f"SELECT {column} AS key, {name_of(by)}, count(*) AS accepted, {spreads}"
                f" FROM messages WHERE {where}{only_of(by)} {'' if by is None else 'GROUP BY 1'}"
                f") ORDER BY accepted DESC, key NULLS LAST LIMIT {_limit(limit)}",
                given,
            )
            return figures.Latency(
                by=by,
                left_out=_left_out(rows),
                groups=tuple(
                    figures.LatencyGroup(
                        key=row["key"],
                        name=_named(by, row),
                        accepted=row["accepted"],
                        **{name: figures.spread(row[f"n_{name}"], row[f"p_{name}"]) for name in MEASURES},
                    )
                    for row in rows
                ),
            )

        return await self._answer(("latency", chosen, by, limit), find)

    async def latency_series(self, chosen: Filter, measure: str = "total_ms") -> figures.LatencySeries:
        """Give percentiles of one of ``MEASURES`` by the time of being queued."""
        if measure not in MEASURES:
            raise InvalidRequest(f"measure must be one of {', '.join(MEASURES)}")

        async def find() -> figures.LatencySeries:
            where, given = condition(chosen, rules := self._rules())
            step = step_us(chosen.until_us - chosen.since_us)
            rows = await self._rows(
                f"SELECT {bucket_number('queued_at', step)} AS start_us, count(*) AS accepted,"
                f" count(*) FILTER ({is_of('pending', rules)}) AS pending, count({measure}) AS n,"
                f" {percentiles(measure)} AS p FROM messages WHERE {where} GROUP BY 1",
                given,
            )
            by_start = {row["start_us"]: row for row in rows}
            return figures.LatencySeries(
                measure=measure,
                step_us=step,
                buckets=tuple(
                    self._latency_bucket(chosen, start, step, by_start.get(start)) for start in _starts(chosen, step)
                ),
            )

        return await self._answer(("latency_series", chosen, measure), find)

    # ---- what went wrong ----

    async def issues(self, chosen: Filter, *, limit: int = USUAL_LIMIT) -> figures.Issues:
        """Group failures by error, carrier, sender and route."""

        async def find() -> figures.Issues:
            where, given = condition(chosen, self._rules())
            rows = await self._rows(
                "SELECT *, count(*) OVER () AS groups, sum(failures) OVER ()::BIGINT AS everything FROM ("
                "SELECT error_code, carrier, src, route, any_value(network) AS name, count(*) AS failures,"
                " count(*) FILTER (status = 'failed') AS failed,"
                " epoch_us(min(coalesce(final_at, queued_at))) AS first_us,"
                " epoch_us(max(coalesce(final_at, queued_at))) AS last_us"
                f" FROM messages WHERE {where}\n  AND {HAS_FAILED} GROUP BY 1, 2, 3, 4"
                f") ORDER BY failures DESC, last_us DESC, error_code, carrier, src, route LIMIT {_limit(limit)}",
                given,
            )
            return figures.Issues(
                failures=rows[0]["everything"] if rows else 0,
                left_out=_left_out(rows),
                issues=tuple(_issue(row) for row in rows),
            )

        return await self._answer(("issues", chosen, limit), find)

    # ---- what it costs, and what it is good for ----

    async def spend(self, chosen: Filter, by: str = "country", *, limit: int = USUAL_LIMIT) -> figures.Spend:
        """Sum up money by one of ``DIMENSIONS``, the dearest first."""

        async def find() -> figures.Spend:
            total, rows = await self._summed(chosen, by, "spent DESC", limit)
            of = total["spent"]
            return figures.Spend(
                by=by,
                total=figures.spend_group(total, key=None, name=None, of=of),
                groups=tuple(figures.spend_group(row, key=row["key"], name=_named(by, row), of=of) for row in rows),
                left_out=_left_out(rows),
            )

        return await self._answer(("spend", chosen, by, limit), find)

    async def conversion(self, chosen: Filter, by: str = "sender", *, limit: int = USUAL_LIMIT) -> figures.Conversion:
        """Count conversions by one of ``DIMENSIONS``, the most trackable messages first."""

        async def find() -> figures.Conversion:
            total, rows = await self._summed(chosen, by, "trackable DESC", limit, having="trackable > 0")
            return figures.Conversion(
                by=by,
                total=figures.conversion_group(total, key=None, name=None),
                groups=tuple(figures.conversion_group(row, key=row["key"], name=_named(by, row)) for row in rows),
                left_out=_left_out(rows),
            )

        return await self._answer(("conversion", chosen, by, limit), find)

    async def _summed(
        self, chosen: Filter, by: str, order: str, limit: int, *, having: str = "true"
    ) -> tuple[Row, list[Row]]:
        """Return sums of all, and of the first groups."""
        rows = await self._counted(
            chosen,
            Counts(key=_column(by), by=by, more=True),
            lambda counted: (
                f"WITH counted AS ({counted}), summed AS (SELECT key, any_value(name) AS name,"
                f" grouping(key) AS is_all, {added(more=True)} FROM counted GROUP BY GROUPING SETS ((key), ()))"
                f" SELECT *, sum(1 - is_all) OVER ()::BIGINT AS groups FROM summed WHERE is_all = 1 OR {having}"
                f" ORDER BY is_all DESC, {order}, accepted DESC, key NULLS LAST LIMIT {_limit(limit) + 1}"
            ),
        )
        return rows[0], rows[1:]

    # ---- from sums of days, and from messages ----

    async def _counted(
        self,
        chosen: Filter,
        counts: Counts,
        around: Callable[[str], str] = as_it_is,
        more_given: Sequence[object] = (),
        *,
        of_messages: Callable[[str], str] | None = None,
    ) -> list[Row]:
        """Count messages by a key; ``around`` makes a question of the SQL that has key, name and counts.

        ``more_given`` is for what ``around`` adds. Without sums the SQL has percentiles too, if they are wanted: then
        ``of_messages`` takes its place, as it is by default.
        """
        raw = of_messages or (as_it_is if counts.spread else around)
        rules = self._rules()
        by = day_sums.sums_for(chosen, counts.by, in_hours=counts.step_us % day_sums.DAY_US != 0)
        own, given = attributes(chosen, rules)

        def question(cut: Split | None) -> tuple[str, list[object]]:
            if cut is None:
                where, _ = condition(chosen, rules)
                return raw(counts.of_messages(where, rules, spread=counts.spread)), given
            messages = counts.of_messages(f"{day_sums.of_rest(cut, 'queued_at')}{own}", rules)
            sums = counts.of_sums(cut, own)
            both = f"SELECT {counts.keys}, {added(more=counts.more)} FROM ({messages} UNION ALL BY NAME {sums})"
            return around(f"{both}{counts.grouped}"), [*given, *given, *more_given]

        return await self._rows_of_days(by, chosen, rules, question)

    async def _happened(self, chosen: Filter, step: int) -> list[Row]:
        """Count events by time, status, and whether they changed a message."""
        rules = self._rules()
        bucket = bucket_number(_AT, step)
        is_plain = plain(chosen) == chosen and step % HOUR_US == 0

        def question(cut: Split | None) -> tuple[str, list[object]]:
            times = f"{_AT} >= {instant(chosen.since_us)} AND {_AT} < {instant(chosen.until_us)}"
            where, given = of_events(chosen, rules)
            raw = f"SELECT {bucket} AS start_us, status, flag IS NULL AS counts, count(*) AS events FROM events WHERE "
            if cut is None:
                return f"{raw}{times}{where} GROUP BY ALL ORDER BY ALL", given
            own, own_given = own_of_events(chosen, rules)
            side = ""
            if len(set(chosen.direction)) == 1:
                side = "\n  AND is_inbound" if chosen.direction[0] == "inbound" else "\n  AND NOT is_inbound"
            sums = (
                f"SELECT {bucket.replace(_AT, 'start_at')} AS start_us, status, counts, events FROM event_sums"
                f" WHERE {day_sums.of_days(cut)}{own}{side}"
            )
            return (
                f"SELECT start_us, status, counts, sum(events)::BIGINT AS events FROM ("
                f"{raw}{day_sums.of_rest(cut, _AT)}{where} GROUP BY ALL UNION ALL BY NAME {sums}"
                f") GROUP BY ALL ORDER BY ALL"
            ), [*given, *own_given]  # fmt: skip

        return await self._rows_of_days(day_sums.VOLUME if is_plain else None, chosen, rules, question)

    async def _rows_of_days(
        self,
        by: str | None,
        chosen: Filter,
        rules: Rules,
        question: Callable[[Split | None], tuple[str, list[object]]],
    ) -> list[Row]:
        """Ask with the sums of the days that have them, else without sums."""
        cut = None if by is None else await self._cut(by, chosen, rules)
        if cut is not None:
            sql, given = question(cut)
            rows = await self._rows(f"SELECT *, {day_sums.still_whole(cut, rules)} AS whole FROM ({sql})", given)
            # Otherwise a day has been corrected since it was looked for.
            if not rows or rows[0]["whole"] == cut.days:
                return rows
        return await self._rows(*question(None))

    async def _cut(self, by: str, chosen: Filter, rules: Rules) -> Split | None:
        if not day_sums.may_be_whole(chosen.since_us, min(chosen.until_us, rules.stale_before_us)):
            return None
        days = await self._days(by, rules)
        cut = day_sums.split(by, days, chosen.since_us, chosen.until_us)
        return cut if cut.whole else None

    async def _days(self, by: str, rules: Rules) -> list[int]:
        """Return the days that have these sums; all the questions of a page look at the same."""

        async def find() -> list[int]:
            return [row["number"] for row in await self._rows(day_sums.whole_days(by, rules), ())]

        mark = (await self._engine.standing()).mark
        found: list[int] = await self._kept.get(("days", by), find, version=(mark, rules), for_us=KEPT_US)
        return found

    # ---- how they are asked ----

    async def _answer(self, key: tuple[Hashable, Filter, *tuple[Hashable, ...]], find: _Find[_Found]) -> _Found:
        """Return the answer that is kept while nothing new has come in, else find one."""
        mark = (await self._engine.standing()).mark
        chosen = key[1]
        is_long = chosen.until_us - chosen.since_us > LONG_US
        found: _Found = await self._kept.get(
            key, find, version=(mark, self._rules()), for_us=KEPT_US, meanwhile_us=MEANWHILE_US if is_long else 0
        )
        return found

    async def _rows(self, sql: str, given: Sequence[object]) -> list[Row]:
        answer = await self._engine.ask(sql, given)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def _minute_us(self) -> int:
        now_us = self._clock.now_us()
        return now_us - now_us % 60_000_000

    def _rules(self) -> Rules:
        return rules_at(
            self._clock.now_us(),
            no_receipt_hours=self._settings.no_receipt_hours,
            sent_is_delivered=self._settings.sent_counts_as_delivered,
        )

    def _settling(self, chosen: Filter, end_us: int, counts: Row) -> bool:
        return is_settling(
            min(end_us, chosen.until_us),
            accepted=counts["accepted"],
            pending=counts["pending"],
            now_us=self._clock.now_us(),
        )

    def _latency_bucket(self, chosen: Filter, start: int, step: int, row: Row | None) -> figures.LatencyBucket:
        counts = _NO_STATUSES if row is None else row
        return figures.LatencyBucket(
            start_us=start,
            spread=figures.spread(0, None) if row is None else figures.spread(row["n"], row["p"]),
            settling=self._settling(chosen, start + step, counts),
        )


_COUNTED: Final = ("accepted", "waiting", "receipts", "undelivered", "failed", "received", "assumed", "no_dlr")
_NO_STATUSES: Final = figures.statuses(dict.fromkeys(_COUNTED, 0))


def _total_spread(row: Row) -> dict[str, Any]:
    p50, p95 = row.get("spread") or (None, None)
    return {"total_p50_ms": p50, "total_p95_ms": p95}


def _column(by: str) -> str:
    if by not in DIMENSIONS:
        raise InvalidRequest(f"by must be one of {', '.join(DIMENSIONS)}")
    return DIMENSIONS[by]


def _named(by: str | None, row: Row) -> str | None:
    """Return what people call what a group is of."""
    if by == "country":
        return NAMES.get(row["key"])
    if by == "error":
        return MEANINGS.get(row["key"])
    name: str | None = row["name"]
    return name


def _is_by_latency(order: str) -> bool:
    return "spread" in ORDERS[order.removeprefix("-")]


def _ordered(order: str) -> str:
    name = order.removeprefix("-")
    if name not in ORDERS:
        raise InvalidRequest(f"order must be one of {', '.join(ORDERS)}, with - before it for the smallest first")
    direction = "ASC" if order.startswith("-") else "DESC"
    return f"{ORDERS[name]} {direction} NULLS LAST, accepted DESC, key NULLS LAST"


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST_GROUPS:
        raise InvalidRequest(f"limit must be a whole number from 1 to {MOST_GROUPS}")
    return limit


def _left_out(rows: Sequence[Row]) -> int:
    return rows[0]["groups"] - len(rows) if rows else 0


def _starts(chosen: Filter, step: int) -> range:
    return range(bucket_start(chosen.since_us, step), chosen.until_us, step)


def _volume_bucket(start: int, rows: Sequence[Row]) -> figures.VolumeBucket:
    by_status: dict[str, int] = {}
    for row in rows:
        if row["counts"]:
            by_status[row["status"]] = row["events"]
    events = sum(row["events"] for row in rows)
    return figures.VolumeBucket(
        start_us=start, events=events, by_status=by_status, flagged=events - sum(by_status.values())
    )


def _issue(row: Row) -> figures.Issue:
    return figures.Issue(
        error=row["error_code"],
        meaning=MEANINGS.get(row["error_code"]),
        carrier=row["carrier"],
        carrier_name=row["name"],
        sender=row["src"],
        route=row["route"],
        count=row["failures"],
        undelivered=row["failures"] - row["failed"],
        failed=row["failed"],
        share=row["failures"] / row["everything"],
        first_us=row["first_us"],
        last_us=row["last_us"],
    )
