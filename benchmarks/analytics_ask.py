"""Questions beside a writer, and questions that would never end: ``python -m benchmarks.analytics_ask``.

Prints how long 100 questions at a time take while events are appended, how long after their time runaway questions are
gone, and how large the process becomes.
"""

import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

from duckdb import DuckDBPyConnection

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Limits
from ringback.analytics.running import resident_mb
from ringback.model.errors import QuestionTooLong
from ringback.settings_analytics import AnalyticsSettings

MESSAGES = 1_000_000
ASKERS = 100
ROUNDS = 3
BATCH = 5_000
TIMEOUT_S = 3.0
FILL = """
INSERT INTO closed_messages BY NAME
SELECT uuid() AS message_uuid, 'ringback' AS origin, 'MA' || range % 20 AS account_id, 'outbound' AS direction,
    chr(65 + (range % 26)::INT) || 'X' AS country, '404-' || range % 40 AS carrier, 'sender' || range % 500 AS src,
    CASE WHEN range % 17 = 0 THEN 'failed' ELSE 'delivered' END AS status,
    TIMESTAMP '2026-01-01' + range * INTERVAL 1 SECOND AS queued_at, range % 9000 AS total_ms, 0 AS flagged
FROM range(?)
"""
APPEND = """
INSERT INTO events
SELECT range, 'ringback', 'MA1', uuid(), 1, 'sent', NULL, NULL, now()::TIMESTAMP, 5 FROM range(?)
"""
QUESTIONS = (
    "SELECT country, count(*), avg(total_ms) FROM messages GROUP BY country ORDER BY 2 DESC",
    "SELECT carrier, quantile_cont(total_ms, [0.5, 0.95, 0.99]) FROM messages GROUP BY carrier",
    "SELECT date_trunc('day', queued_at) d, count(*) FILTER (status = 'failed') FROM messages GROUP BY d ORDER BY d",
    "SELECT count(*), max(log_offset) FROM events",
)
RUNAWAY = {
    "cross join": "SELECT count(*) FROM messages a, messages b WHERE a.total_ms * b.total_ms % 7 = 3",
    "recursion": "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    "large sort": "SELECT * FROM range(1000000000) ORDER BY hash(range)",
    "large groups": "SELECT hash(range), count(*) FROM range(1000000000) GROUP BY 1 ORDER BY 2",
    "large list": "SELECT list(range) FROM range(1000000000)",
    "large text": "SELECT string_agg(range::VARCHAR, '') FROM range(1000000000)",
    "text that doubles": "WITH RECURSIVE t AS (SELECT 'x' s UNION ALL SELECT s || s FROM t) SELECT length(s) FROM t",
    "window": "SELECT sum(range) OVER (ORDER BY hash(range)) FROM range(1000000000)",
}


async def run() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        async with DuckEngine(Path(directory), AnalyticsSettings(query_timeout_s=60)) as engine:
            await engine.write(lambda con: con.execute(FILL, [MESSAGES]))
            print(f"{MESSAGES:,} messages, resident {resident_mb():.0f} MB")
            await _beside_a_writer(engine)
            await _runaway(engine)


async def _beside_a_writer(engine: DuckEngine) -> None:
    batches: list[float] = []
    stop = asyncio.Event()

    def append(con: DuckDBPyConnection) -> None:
        con.execute(APPEND, [BATCH])

    async def write() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            await engine.write(append)
            batches.append(time.perf_counter() - began)

    async def ask(number: int) -> tuple[float, float]:
        began = time.perf_counter()
        sql = QUESTIONS[number % len(QUESTIONS)]
        answer = await engine.ask(sql, limits=Limits(timeout_s=60, rows=10_000))
        return time.perf_counter() - began, answer.took_ms

    writing = asyncio.create_task(write())
    began = time.perf_counter()
    found = [each for _ in range(ROUNDS) for each in await asyncio.gather(*map(ask, range(ASKERS)))]
    took_s = time.perf_counter() - began
    stop.set()
    await writing
    waits, works = sorted(wait for wait, _ in found), sorted(work for _, work in found)
    print(
        f"{len(found)} questions, {ASKERS} at a time: {len(found) / took_s:.0f} a second, "
        f"p50 {_at(waits, 0.5) * 1000:.0f} ms and p95 {_at(waits, 0.95) * 1000:.0f} ms with the wait, "
        f"p50 {_at(works, 0.5):.0f} ms and p95 {_at(works, 0.95):.0f} ms of work; meanwhile "
        f"{len(batches) * BATCH / took_s:,.0f} events a second, "
        f"a batch of {BATCH:,} in {statistics.median(batches) * 1000:.0f} ms"
    )


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


async def _runaway(engine: DuckEngine) -> None:
    for name, sql in RUNAWAY.items():
        began = time.perf_counter()
        try:
            await engine.own(sql, account_id=None, limits=Limits(timeout_s=TIMEOUT_S, rows=10))
            ended = "answered"
        except QuestionTooLong as error:
            ended = str(error)
        took_s = time.perf_counter() - began
        asked = time.perf_counter()
        await engine.ask("SELECT 1")
        largest_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name}: {took_s:.2f} s of {TIMEOUT_S:g}; {ended} Then an answer in "
            f"{(time.perf_counter() - asked) * 1000:.0f} ms; "
            f"resident {resident_mb():.0f} MB, at most {largest_mb:.0f} MB so far"
        )


if __name__ == "__main__":
    asyncio.run(run())
