"""What runs beside the live work never reads a whole table: SQLite's own word for every statement."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.metrics import Metrics
from ringback.retention import Retention
from ringback.settings import RetentionSettings
from ringback.store import endpoints, standing
from ringback.store.backlog import backlog
from ringback.store.sqlite import FILE_NAME, SqliteStore, open_store
from tests.fakes.aged import age, keep_message, keep_received
from tests.fakes.clock import FakeClock


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Note every statement that SQLAlchemy runs meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith(("SELECT", "DELETE", "UPDATE")):
            found.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def plans(directory: Path, found: list[tuple[str, Any]]) -> dict[str, list[str]]:
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        return {
            statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in found
        }


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return open_store(tmp_path, busy_timeout_s=4)


async def test_retention_reads_by_index_only(store: SqliteStore, tmp_path: Path) -> None:
    await keep_message(store, 1, age(91))
    await keep_message(store, 2, age(181), queued=True)
    await keep_message(store, 3, age(182), waiting=True)
    await keep_message(store, 4, age(1))
    await keep_received(store, 1, age(91))
    worker = Retention(
        store=store, clock=FakeClock(), settings=RetentionSettings(), metrics=Metrics(), least_rest_s=0.0001
    )
    with statements() as found:
        await worker.sweep()
    await store.close()
    shown = plans(tmp_path, found)
    touched = {
        "messages", "events", "callbacks", "callback_queue", "attempts", "submissions", "received_requests",
        "received_events", "early_receipts", "logins", "auth_tokens",
    }  # fmt: skip
    assert all(any(table in statement for statement in shown) for table in touched)
    # The log's newest row is the first that the index gives.
    newest = [statement for statement in shown if "ORDER BY events.id DESC" in statement]
    assert len(newest) == 1
    assert shown.pop(newest[0]) == ["SCAN events"]
    assert {
        statement: plan for statement, plan in shown.items() if any("SCAN" in step or "TEMP" in step for step in plan)
    } == {}


async def test_a_scrape_reads_by_index_or_up_to_its_limit(store: SqliteStore, tmp_path: Path) -> None:
    with statements() as found:
        await store.read(lambda tx: backlog(tx, FakeClock().now_us()))
    await store.close()
    shown = plans(tmp_path, found)
    assert len(shown) == 3
    for statement, plan in shown.items():
        scans = [step for step in plan if step.startswith("SCAN") and "CONSTANT ROW" not in step]
        # Walked in the order of an index, and left at the limit: "anon" and "head" are what the limit has let through.
        assert "LIMIT" in statement
        assert all("COVERING INDEX" in step or step.startswith(("SCAN anon", "SCAN head")) for step in scans), plan
        assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_the_dashboard_reads_what_is_owed_to_endpoints_by_index(store: SqliteStore, tmp_path: Path) -> None:
    await store.write(lambda tx: endpoints.wake(tx, {("MAAAAAAAAAAAAAAAAAAA", "https://one.example"): 1}))
    with statements() as found:
        await store.read(lambda tx: endpoints.troubled(tx, limit=4))
        listed = await store.read(lambda tx: standing.page(tx, since_us=1, limit=50))
        await store.read(lambda tx: standing.newest(tx, listed.rows[0].endpoint, limit=50))
    await store.close()
    shown = plans(tmp_path, found)
    assert "ix_endpoints_state" in next(iter(shown.values()))[0]
    assert {step for plan in shown.values() for step in plan if step.startswith("SCAN")} == {
        # Ranking looks at every endpoint; the others are what a limit has let through.
        "SCAN endpoints",
        "SCAN found",
        "SCAN newest",
        "SCAN CONSTANT ROW",
        "SCAN (subquery-2)",
    }
