"""Every question over millions of messages: ``python -m benchmarks.analytics_questions DIRECTORY [--messages N]``.

The file is filled with SQL, without a platform: the messages are as ``ringback generate`` makes them, with their
events, and all days but the last are sealed. A file that is in the directory already is asked as it is. Prints how long
each question takes, for another time in each run, so that no answer is kept; with ``--json`` for programs.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from duckdb import DuckDBPyConnection

from benchmarks.report import median, percentile, progress
from ringback.analytics import sealing
from ringback.analytics.days import Days
from ringback.analytics.duck import FILE, DuckEngine
from ringback.analytics.filters import Filter
from ringback.analytics.fold import at
from ringback.analytics.questions import Questions
from ringback.analytics.running import resident_mb
from ringback.settings_analytics import AnalyticsSettings

DAYS: Final = 90
DAY_US: Final = 86_400_000_000
MINUTE_US: Final = 60_000_000
UNTIL_US: Final = 1_770_042_420_000_000
"""When the messages end: 2026-02-02, 14:27 UTC."""
PERIODS: Final[Mapping[str, int]] = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
SENDERS: Final = 2_000
COUNTRIES: Final = 40
NETWORKS_EACH: Final = 6
ACCOUNTS: Final = 8

_DRAWN: Final = """
CREATE OR REPLACE TEMP TABLE drawn AS
WITH hours AS (
    SELECT range AS hour, [3, 2, 2, 2, 3, 5, 8, 12, 16, 19, 20, 20, 19, 18, 18, 18, 18, 19, 20, 18, 15, 11, 7, 5]
            [1 + (range + 14) % 24] * CASE WHEN ((range + 14) // 24) % 7 >= 5 THEN 0.65 ELSE 1.05 END AS busy
    FROM range({days} * 24)
),
counted AS (SELECT hour, round({messages} * busy / (SELECT sum(busy) FROM hours))::INTEGER AS messages FROM hours),
spread AS (
    SELECT hour, unnest(range(messages)) AS number FROM counted
),
uniform AS (
    SELECT hour * 1000000 + number AS id, hour, hash(hour, number) AS h,
        [hash(hour, number, each) % 1000000007 / 1000000007.0 FOR each IN range(12)] AS u FROM spread
)
SELECT id, {until} - {days} * 86400000000 + hour * 3600000000 + (u[1] * 3600000000)::BIGINT AS queued_us,
    u[2] AS chance,
    -- Few have much and many have little: ranks fall as 1 / rank.
    least(exp(u[3] * ln({senders} + 1))::INTEGER, {senders}) - 1 AS sender,
    least(exp(u[4] * ln({countries} + 1))::INTEGER, {countries}) - 1 AS country,
    least(exp(u[5] * ln({networks} + 1))::INTEGER, {networks}) - 1 AS network,
    CASE WHEN u[6] < 0.6 THEN 0 WHEN u[6] < 0.9 THEN 1 ELSE 2 END AS way,
    u[7] AS u_end, u[8] AS u_code, u[9] AS u_said,
    CASE WHEN h % 100 = 0 THEN 60 ELSE 1 END AS tail,
    sqrt(-2 * ln(u[10] + 1e-9)) * cos(2 * pi() * u[11]) AS normal,
    sqrt(-2 * ln(u[10] + 1e-9)) * sin(2 * pi() * u[11]) AS normal_2, u[12] AS u_more
FROM uniform ORDER BY queued_us
"""
_STOOD: Final = """
CREATE OR REPLACE TEMP TABLE stood AS
WITH timed AS (
    SELECT *, (exp(-2.1 + 0.6 * normal) * 1000000 + 1)::BIGINT AS queue_us,
        (tail * exp(0.3 + hash(country, network) % 1000 / 450.0 + way * 0.3 + 0.8 * normal_2) * 1000000 + 1)::BIGINT
            AS carrier_us,
        (hash(sender, 'account') % 10000 / 10000.0) AS u_account, hash(sender, 'otp') % 100 < 45 AS is_otp
    FROM drawn
)
SELECT *, CASE WHEN chance < 0.02 THEN 'received' WHEN chance < 0.032 THEN 'failed'
        WHEN u_end < 0.04 OR queued_us + queue_us + carrier_us > {until} THEN 'sent'
        WHEN u_end < 0.04 + 0.02 + hash(country, network, 'bad') % 100 / 1000.0 THEN 'undelivered' ELSE 'delivered' END
        AS status
FROM timed
"""
_MESSAGES: Final = """
INSERT INTO closed_messages BY NAME
SELECT CAST(md5(id::VARCHAR) AS UUID) AS message_uuid, 'ringback' AS origin,
    'MA' || lpad(least(exp(u_account * ln(9))::INTEGER, {accounts})::VARCHAR, 18, 'X') AS account_id,
    CASE WHEN status = 'received' THEN 'inbound' ELSE 'outbound' END AS direction, 'sms' AS type,
    CASE WHEN status = 'received' THEN '91' || id WHEN sender % 3 = 0 THEN 'BRAND' || sender
        ELSE '1500555' || sender END AS src,
    '919' || (id % 10000) AS dst_prefix,
    chr(65 + (country // 26)::INTEGER) || chr(65 + (country % 26)::INTEGER) AS country,
    (200 + country)::VARCHAR AS mcc, lpad(network::VARCHAR, 2, '0') AS mnc,
    'Mobile ' || country || '/' || network AS network,
    (200 + country)::VARCHAR || '-' || lpad(network::VARCHAR, 2, '0') AS carrier,
    'carrier-' || (country * 3 + way) % 6 AS connector, 'route-' || (country * 3 + way) % 24 AS route, status,
    CASE status WHEN 'delivered' THEN '000'
        WHEN 'failed' THEN ['40', '50', '90', '200', '420', '450'][1 + (u_code * u_code * 6)::INTEGER % 6]
        WHEN 'undelivered' THEN ['10', '20', '30', '60', '70', '80', '100', '110', '300', '400']
            [1 + (u_code * u_code * 10)::INTEGER % 10] END AS error_code,
    CASE WHEN u_more < 0.8 THEN 1 ELSE 2 END AS units,
    CASE WHEN status = 'received' THEN 0 ELSE (400 + hash(country, network, 'rate') % 8600)::BIGINT
        * CASE WHEN u_more < 0.8 THEN 1 ELSE 2 END END AS "cost",
    is_otp AND status <> 'received' AS trackable, make_timestamp(queued_us) AS queued_at,
    CASE WHEN status IN ('sent', 'delivered', 'undelivered') THEN make_timestamp(queued_us + queue_us) END AS sent_at,
    CASE WHEN status IN ('delivered', 'undelivered') THEN make_timestamp(queued_us + queue_us + carrier_us)
        WHEN status = 'failed' THEN make_timestamp(queued_us + queue_us) END AS final_at,
    CASE WHEN status IN ('sent', 'delivered', 'undelivered') THEN queue_us // 1000 END AS queue_ms,
    CASE WHEN status = 'delivered' THEN carrier_us // 1000 END AS carrier_ms,
    CASE WHEN status = 'delivered' THEN (queue_us + carrier_us) // 1000 END AS total_ms,
    CASE WHEN status <> 'failed' THEN (5 + exp(3 + normal))::BIGINT END AS lag_ms,
    CASE WHEN u_said < 0.04 THEN 1 ELSE 0 END AS flagged,
    CASE WHEN is_otp AND status IN ('delivered', 'undelivered')
        THEN CASE WHEN status = 'delivered' AND u_said < 0.8 THEN 'CONVERTED' ELSE 'NOT_CONVERTED' END END AS conversion
FROM stood ORDER BY queued_us
"""
_EVENTS: Final = """
INSERT INTO events
SELECT row_number() OVER (ORDER BY "at") AS log_offset, 'ringback', account_id, message_uuid, sequence, status, flag,
    error_code, "at", NULL
FROM (
    SELECT account_id, message_uuid, 1 AS sequence,
        CASE WHEN status = 'received' THEN status ELSE 'queued' END AS status,
        NULL AS flag, NULL AS error_code, queued_at AS "at" FROM closed_messages
    UNION ALL
    SELECT account_id, message_uuid, 2, 'sent', NULL, NULL, sent_at FROM closed_messages WHERE sent_at IS NOT NULL
    UNION ALL
    SELECT account_id, message_uuid, 2, 'sent', 'duplicate', NULL, sent_at + (carrier_ms // 4) * INTERVAL 1 MILLISECOND
    FROM closed_messages WHERE carrier_ms IS NOT NULL AND right(route, 1) IN ('0', '1', '3', '4', '6', '7', '9')
    UNION ALL
    SELECT account_id, message_uuid, 3, status, NULL, error_code, final_at FROM closed_messages
    WHERE final_at IS NOT NULL
    UNION ALL
    SELECT account_id, message_uuid, 3, status, 'converted', NULL, final_at + INTERVAL 17 SECOND FROM closed_messages
    WHERE conversion IS NOT NULL
    UNION ALL
    SELECT account_id, message_uuid, 3, status, 'duplicate', NULL, final_at + INTERVAL 3 SECOND FROM closed_messages
    WHERE flagged > 0 AND final_at IS NOT NULL
)
WHERE epoch_us("at") < {until}
"""
_OPEN: Final = """
INSERT INTO open_messages SELECT * FROM closed_messages WHERE status IN ('sent', 'received')
    AND queued_at > make_timestamp({until} - 90000000000);
DELETE FROM closed_messages WHERE status IN ('sent', 'received') AND queued_at > make_timestamp({until} - 90000000000);
"""

Ask = Callable[[Questions, Filter], Awaitable[Any]]
ASKED: Final[Mapping[str, Ask]] = {
    "totals": lambda ask, chosen: ask.totals(chosen),
    "series": lambda ask, chosen: ask.series(chosen),
    "volume": lambda ask, chosen: ask.volume(chosen),
    "breakdown country": lambda ask, chosen: ask.breakdown(chosen, "country"),
    "breakdown carrier": lambda ask, chosen: ask.breakdown(chosen, "carrier"),
    "breakdown sender": lambda ask, chosen: ask.breakdown(chosen, "sender"),
    "breakdown error": lambda ask, chosen: ask.breakdown(chosen, "error"),
    "heatmap": lambda ask, chosen: ask.heatmap(chosen),
    "funnel": lambda ask, chosen: ask.funnel(chosen),
    "latency": lambda ask, chosen: ask.latency(chosen),
    "latency carrier": lambda ask, chosen: ask.latency(chosen, "carrier"),
    "latency-series": lambda ask, chosen: ask.latency_series(chosen),
    "issues": lambda ask, chosen: ask.issues(chosen),
    "spend country": lambda ask, chosen: ask.spend(chosen, "country"),
    "conversion sender": lambda ask, chosen: ask.conversion(chosen, "sender"),
}
FILTERED: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {},
    " of an account": {"account_id": "MAXXXXXXXXXXXXXXXXX1"},
    " of a country": {"country": ("AA",)},
}


class _Stopped:
    """A clock that stands at the end of the messages."""

    def now_us(self) -> int:
        """Return the time."""
        return UNTIL_US

    def monotonic_s(self) -> float:
        """Return seconds, which go on."""
        return time.monotonic()


def fill(con: DuckDBPyConnection, messages: int) -> None:
    """Put messages and their events into the tables."""
    sizes = {
        "messages": messages, "days": DAYS, "until": UNTIL_US, "senders": SENDERS, "countries": COUNTRIES,
        "networks": NETWORKS_EACH, "accounts": ACCOUNTS,
    }  # fmt: skip
    for sql in (_DRAWN, _STOOD, _MESSAGES):
        con.execute(sql.format(**sizes))
    con.execute("DROP TABLE drawn")
    con.execute("DROP TABLE stood")
    for sql in (_EVENTS, _OPEN):
        con.execute(sql.format(**sizes))


async def made(directory: Path, messages: int) -> None:
    """Make a file, unless there is one."""
    if (directory / FILE).exists():
        return
    # What fills it sorts all of it, which no question does.
    async with DuckEngine(directory, AnalyticsSettings(memory_mb=6_000)) as engine:
        progress(f"{messages:,} messages ...")
        await engine.write(lambda con: fill(con, messages))
    async with DuckEngine(directory, AnalyticsSettings()) as engine:
        progress("days ...")
        began_s, days = time.monotonic(), Days(directory / "days" / "store")
        settled = at(UNTIL_US - 25 * 3_600_000_000)
        for day in await engine.write(lambda con: sealing.to_seal(con, settled)):
            await engine.write(lambda con, day=day: sealing.seal(con, days, day))
        progress(f"sealed in {time.monotonic() - began_s:.1f} s; resident {resident_mb():.0f} MB")


async def asked(directory: Path, runs: int, only: Sequence[str]) -> dict[str, Any]:
    """Ask everything; gives milliseconds by question and period, and what was used."""
    found: dict[str, Any] = {}
    async with DuckEngine(directory, AnalyticsSettings()) as engine:
        for label, fields in FILTERED.items():
            for name, ask in ASKED.items():
                if only and not any(each in name + label for each in only):
                    continue
                for period, days in PERIODS.items():
                    times, cpu_s = [], time.process_time()
                    for run in range(runs + 1):
                        until_us = UNTIL_US - run * MINUTE_US
                        chosen = Filter(since_us=until_us - days * DAY_US, until_us=until_us, **fields)
                        questions = Questions(engine, AnalyticsSettings(), _Stopped())
                        began_s = time.perf_counter()
                        await ask(questions, chosen)
                        times.append((time.perf_counter() - began_s) * 1000)
                    found.setdefault(name + label, {})[period] = {
                        "p50": round(median(times[1:]), 1),
                        "p95": round(percentile(times[1:], 0.95), 1),
                        "cpu": round((time.process_time() - cpu_s) * 1000 / (runs + 1), 1),
                    }
        found["resident_mb"] = round(resident_mb())
    found["file_mb"] = round((directory / FILE).stat().st_size / 1e6, 1)
    return found


def shown(found: Mapping[str, Any]) -> str:
    """Return a table: of each question median, 95th percentile and CPU, in milliseconds."""
    lines = [f"{'':<28}" + "".join(f"{period:>22}" for period in PERIODS)]
    for name, by_period in found.items():
        if isinstance(by_period, dict):
            cells = [f"{each['p50']:.0f} / {each['p95']:.0f} / {each['cpu']:.0f}" for each in by_period.values()]
            lines.append(f"{name:<28}" + "".join(f"{cell:>22}" for cell in cells))
    lines.append(f"resident {found['resident_mb']} MB, file {found['file_mb']} MB")
    return "\n".join(lines)


def main() -> None:
    """Make the file if there is none, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics_questions", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the file is, or is made")
    parser.add_argument("--messages", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=7, help="of each question, beside one not counted")
    parser.add_argument("--only", action="append", default=[], help="questions whose names have this in them")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    asyncio.run(made(wanted.directory, wanted.messages))
    found = asyncio.run(asked(wanted.directory, wanted.runs, wanted.only))
    print(json.dumps(found) if wanted.json else shown(found))


if __name__ == "__main__":
    main()
