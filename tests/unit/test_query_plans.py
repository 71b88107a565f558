"""What runs beside the live work never reads a whole table: SQLite's own word for every statement."""

import re
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
from ringback.store import (
    conversions,
    endpoints,
    inbound,
    media,
    message_list,
    messages,
    optouts,
    replays,
    replies,
    resends,
    standing,
)
from ringback.store.backlog import backlog
from ringback.store.media import Media
from ringback.store.media_files import MediaFiles
from ringback.store.resends import Filter
from ringback.store.sqlite import FILE_NAME, SqliteStore, open_store
from tests.fakes.aged import age, keep_message, keep_received
from tests.fakes.clock import FakeClock


async def keep_medium(store: SqliteStore, expires_at_us: int) -> None:
    """Store a medium that a message has."""
    medium = Media(
        id="019ab000-0000-7000-9000-000000000001",
        account_id="MAAAAAAAAAAAAAAAAAAA",
        source="upload",
        content_type="image/png",
        file_name="",
        size_bytes=1,
        created_at_us=0,
        expires_at_us=expires_at_us,
    )
    await store.write(lambda tx: media.add(tx, [medium]))
    await store.write(lambda tx: media.link(tx, ["019ab000-0000-7000-8000-000000000009"], [medium.id]))


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
    files = MediaFiles(tmp_path / "media")
    files.prepare()
    await keep_medium(store, age(400))
    worker = Retention(
        store=store,
        clock=FakeClock(),
        settings=RetentionSettings(),
        metrics=Metrics(),
        files=files,
        least_rest_s=0.0001,
    )
    with statements() as found:
        await worker.sweep()
    files.close()
    await store.close()
    shown = plans(tmp_path, found)
    touched = {
        "DELETE FROM media", "DELETE FROM message_media",
        "messages", "events", "callbacks", "callback_queue", "attempts", "submissions", "received_requests",
        "received_events", "early_receipts", "logins", "auth_tokens", "replays",
    }  # fmt: skip
    assert all(any(table in statement for statement in shown) for table in touched)
    # The log's newest row is the first that the index gives.
    newest = [statement for statement in shown if "ORDER BY events.id DESC" in statement]
    assert len(newest) == 1
    assert shown.pop(newest[0]) == ["SCAN events"]
    # The log of what was received is read from its beginning, in its order, as far as the limit.
    (oldest,) = (statement for statement in shown if "FROM received_log LEFT OUTER JOIN" in statement)
    assert shown.pop(oldest)[0] == "SCAN received_log"
    assert {
        statement: plan for statement, plan in shown.items() if any("SCAN" in step or "TEMP" in step for step in plan)
    } == {}


async def test_inbound_work_is_found_by_index(store: SqliteStore, tmp_path: Path) -> None:
    lease = {"now_us": 1, "lease_until_us": 2, "lease_token": "t", "limit": 9}
    with statements() as found:
        await store.read(inbound.next_result_at_us)
        await store.read(inbound.next_request_at_us)
        await store.write(lambda tx: inbound.claim_results(tx, **lease))  # type: ignore[arg-type]
        await store.write(lambda tx: inbound.claim_requests(tx, **lease))  # type: ignore[arg-type]
        await store.read(lambda tx: optouts.among(tx, [("1", "2")]))
        await store.read(lambda tx: optouts.confirmations(tx, ["a"]))
        await store.read(lambda tx: optouts.history(tx, "1", "2"))
        await store.read(lambda tx: replies.of_message(tx, "a"))
        await store.read(lambda tx: conversions.history(tx, "a"))
    await store.close()
    shown = plans(tmp_path, found)
    assert len(shown) == 9
    assert {statement: plan for statement, plan in shown.items() if any("SCAN" in step for step in plan)} == {}


async def test_a_scrape_reads_by_index_or_up_to_its_limit(store: SqliteStore, tmp_path: Path) -> None:
    with statements() as found:
        await store.read(lambda tx: backlog(tx, FakeClock().now_us()))
    await store.close()
    shown = plans(tmp_path, found)
    # Of the links to carriers there are as many rows as processes hold some.
    assert [plan for statement, plan in shown.items() if "carrier_links" in statement] == [["SCAN carrier_links"]]
    shown = {statement: plan for statement, plan in shown.items() if "carrier_links" not in statement}
    assert len(shown) == 4
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


async def test_finding_an_accounts_callbacks_and_replays_goes_by_index(store: SqliteStore, tmp_path: Path) -> None:
    account, before = "MAAAAAAAAAAAAAAAAAAA", "019ab000-0000-7000-8000-000000000001"
    with statements() as found:
        for wanted in (Filter(account_id=account, until_us=2, not_resent=True, ended=True), Filter(until_us=2)):
            await store.read(lambda tx, wanted=wanted: resends.stretch(tx, wanted, after=before, limit=20))  # type: ignore[misc]
        await store.read(lambda tx: replays.due(tx, 1))
        await store.read(replays.next_due_at_us)
        await store.read(lambda tx: replays.running(tx, account))
        await store.read(lambda tx: replays.page(tx, account_id=account, limit=20))
    await store.close()
    shown = plans(tmp_path, found)
    assert len(shown) == len(found)
    wrong = {
        statement: plan
        for statement, plan in shown.items()
        # The message of a callback has few: sorting them is nothing.
        if any("SCAN" in step or ("TEMP" in step and "message_uuid = ?" not in statement) for step in plan)
    }
    assert wrong == {}, wrong
    assert any("ix_callbacks_account_id" in step for plan in shown.values() for step in plan)


async def test_looking_for_and_counting_callbacks_goes_by_index_as_far_as_it_may(
    store: SqliteStore, tmp_path: Path
) -> None:
    account, before = "MAAAAAAAAAAAAAAAAAAA", "019ab000-0000-7000-8000-000000000001"
    by_index = {
        Filter(account_id=account, since_us=1): "ix_callbacks_account_id",
        Filter(account_id=account, state="given_up", endpoint="https://one.example"): "ix_callbacks_given_up",
        Filter(state="given_up", since_us=1, until_us=2): "ix_callbacks_given_up",
        Filter(state="given_up"): "ix_callbacks_given_up",
        Filter(since_us=1, until_us=2): "callbacks USING PRIMARY KEY",
        Filter(message_uuid=before): "ix_callbacks_message_uuid",
        Filter(account_id=account, state="pending", since_us=1): "callback_queue USING PRIMARY KEY",
        Filter(message_uuid=before, state="pending"): "ix_callback_queue_message_uuid",
        Filter(message_uuid=before, account_id=account): "ix_callbacks_message_uuid",
        Filter(endpoint="https://one.example", until_us=2): "callbacks USING PRIMARY KEY",
    }
    for wanted, index in by_index.items():
        with statements() as found:
            await store.read(lambda tx, wanted=wanted: resends.newest(tx, wanted, before=before, limit=50))  # type: ignore[misc]
            await store.read(lambda tx, wanted=wanted: resends.survey(tx, wanted, show=5))  # type: ignore[misc]
        for statement, plan in plans(tmp_path, found).items():
            assert any(index in step for step in plan), (wanted, plan)
            # Walked in the order of an index and left at a limit; only what that lets through is scanned and sorted.
            bounded = re.compile(r"SCAN (walked|anon|\w+ USING (COVERING )?INDEX)")
            assert [step for step in plan if step.startswith("SCAN") and not bounded.match(step)] == [], plan
            assert "LIMIT" in statement or " IN (" in statement
    await store.close()


LIST_INDEX = "COVERING INDEX ix_messages_account_id_queued_at_us"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"queued_after_us": 1}, LIST_INDEX),
        ({"queued_after_us": 1, "queued_before_us": 2}, LIST_INDEX),
        ({"status": "delivered", "queued_after_us": 1}, LIST_INDEX),
        ({"direction": "inbound", "type": "sms", "country": "DE", "src": "1", "queued_after_us": 1}, LIST_INDEX),
        ({"error_code": "000", "queued_after_us": 1}, "INDEX ix_messages_account_id_queued_at_us"),
        ({"status": "failed", "queued_after_us": 1}, "INDEX ix_messages_failures"),
        ({"error_code": "30", "country": "US", "queued_after_us": 1}, "INDEX ix_messages_failures"),
        ({"dst": "14155550123", "queued_after_us": 1}, "INDEX ix_messages_account_id_dst"),
        ({"dst": "14155550123", "status": "failed", "error_code": "30"}, "INDEX ix_messages_account_id_dst"),
    ],
)
async def test_a_list_of_messages_goes_by_the_index_that_serves_it(
    store: SqliteStore, tmp_path: Path, wanted: dict[str, Any], index: str
) -> None:
    given = messages.Filter(account_id="MAAAAAAAAAAAAAAAAAAA", **wanted)
    with statements() as found:
        await store.read(lambda tx: message_list.page(tx, given, limit=20, offset=40))
    await store.close()
    shown = plans(tmp_path, found)
    assert len(shown) >= 3
    # A page's rows are found by id; everything else by the index.
    searches = [step for plan in shown.values() for step in plan if "messages" in step and "uuid=?" not in step]
    assert searches
    assert all(index in step for step in searches), searches
    assert not any("TEMP B-TREE" in step for plan in shown.values() for step in plan), shown
