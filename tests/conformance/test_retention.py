"""The sweep over everything that is old."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import uuid7
from ringback.retention import Retention
from ringback.settings import RetentionSettings
from ringback.store import endpoints, replays
from ringback.store.port import Store, Transaction
from ringback.store.replays import Replay
from ringback.store.resends import Filter
from ringback.store.schema import endpoints as endpoints_table
from tests.fakes.aged import age, counts, keep_message, keep_received
from tests.fakes.clock import FakeClock

NOTHING = dict.fromkeys(
    (
        "messages", "endpoints", "replays", "sticky_senders", "received_requests", "early_receipts", "inbound_requests",
        "logins",
        "auth_tokens", "media", "country_counts", "pacing", "other_callbacks", "captures", "conversions_out",
        "reconciled_messages", "smpp_owed", "audit_log", "alerts",
    ),
    0,
)  # fmt: skip


def retention(store: Store, *, metrics: Metrics | None = None, first_after_s: float = 0.001, **days: int) -> Retention:
    return Retention(
        store=store,
        clock=FakeClock(),
        settings=RetentionSettings(**days),
        metrics=metrics or Metrics(),
        first_after_s=first_after_s,
        least_rest_s=0.0001,
    )


async def sweep(store: Store, **days: int) -> tuple[dict[str, int], list[Any]]:
    with structlog.testing.capture_logs() as lines:
        removed = await retention(store, **days).sweep()
    return dict(removed), [{key: line[key] for key in line if key != "log_level"} for line in lines]


async def test_one_line_says_what_was_removed_batch_by_batch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.retention.BATCH", 3)
    for number in range(1, 8):
        await keep_message(store, number, age(91))
        await keep_received(store, number, age(91))
    await keep_message(store, 900, age(1))
    removed, lines = await sweep(store)
    expected = {**NOTHING, "messages": 7, "received_requests": 7}
    assert removed == expected
    assert lines == [{"event": "retention_removed", **expected}]
    left = await counts(store)
    assert (left["messages"], left["received_requests"], left["received_events"]) == (1, 0, 0)
    assert await sweep(store) == (NOTHING, [{"event": "retention_removed", **NOTHING}])


async def keep_replay(store: Store, number: int, at_us: int, *, state: str = "finished") -> None:
    replay = Replay(
        id=uuid7(at_us, number.to_bytes(8, "big")),
        account_id=None,
        wanted=Filter(),
        rate_per_s=1,
        total=1,
        done=1,
        state=state,
        after_id="",
        created_at_us=at_us,
        updated_at_us=at_us,
        due_at_us=at_us if state == "running" else None,
    )
    await store.write(lambda tx: replays.add(tx, replay))


async def test_old_replays_that_have_ended_go(store: Store) -> None:
    await keep_replay(store, 1, age(91))
    await keep_replay(store, 2, age(91), state="cancelled")
    await keep_replay(store, 3, age(91), state="running")
    await keep_replay(store, 4, age(1))
    assert (await sweep(store, messages_days=0))[0] == NOTHING
    assert (await sweep(store))[0] == {**NOTHING, "replays": 2}
    left = await store.read(lambda tx: replays.page(tx, limit=9))
    assert [each.state for each in left] == ["finished", "running"]


async def keep_endpoint(store: Store, origin: str, at_us: int) -> None:
    """Store an endpoint that nothing is owed to, looked at for the last time then."""

    def work(tx: Transaction) -> None:
        endpoints.wake(tx, {("MA", origin): at_us})
        tx.execute(sa.update(endpoints_table).values(first_ready_at_us=None))

    await store.write(work)


async def test_endpoints_go_when_they_have_not_been_used_for_twice_the_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.retention.BATCH", 2)
    for number in range(5):
        await keep_endpoint(store, f"https://old{number}.example", age(181))
    await keep_endpoint(store, "https://one.example", age(179))
    assert (await sweep(store, messages_days=0))[0] == NOTHING
    assert (await sweep(store))[0] == {**NOTHING, "endpoints": 5}
    left = await store.read(lambda tx: endpoints.page(tx, limit=9))
    assert [each.origin for each in left] == ["https://one.example"]


async def test_zero_keeps_for_ever(store: Store) -> None:
    await keep_message(store, 1, age(5000))
    await keep_received(store, 1, age(5000))
    await keep_message(store, 2, age(1))
    assert (await sweep(store, messages_days=0, received_days=0))[0] == NOTHING
    assert (await sweep(store, messages_days=0))[0] == {**NOTHING, "received_requests": 1}
    assert (await sweep(store, received_days=0))[0] == {**NOTHING, "messages": 1}


async def test_work_that_is_given_up_is_logged_and_counted(store: Store) -> None:
    await keep_message(store, 1, age(181), queued=True)
    await keep_message(store, 2, age(182), waiting=True)
    await keep_message(store, 3, age(1))
    metrics = Metrics()
    with structlog.testing.capture_logs() as lines:
        removed = await retention(store, metrics=metrics).sweep()
    assert removed["messages"] == 2
    assert lines[0] == {
        "event": "retention_gave_up", "log_level": "warning", "callbacks": 1, "submissions": 1, "older_than_days": 180,
    }  # fmt: skip
    assert b'ringback_callbacks_finished_total{state="given_up"} 1.0' in metrics.render()


class Failing:
    """A store that takes so many writes and then no more."""

    def __init__(self, store: Store, writes: int) -> None:
        self._store = store
        self._left = writes

    async def write(self, work: Callable[[Any], Any]) -> Any:
        if not self._left:
            raise StoreUnavailable("away")
        self._left -= 1
        return await self._store.write(work)


async def test_a_database_that_goes_away_ends_the_sweep_and_nothing_else(store: Store) -> None:
    await keep_message(store, 1, age(100))
    await keep_message(store, 2, age(1))
    with structlog.testing.capture_logs() as lines:
        removed = await retention(Failing(store, 1)).sweep()  # type: ignore[arg-type]
    assert dict(removed) == {**NOTHING, "messages": 1}
    (line,) = lines
    assert (line["event"], line["error"], line["messages"]) == ("retention_interrupted", "away", 1)


async def test_it_sweeps_by_itself_and_stops(store: Store) -> None:
    await keep_message(store, 1, age(100))
    await keep_message(store, 2, age(1))
    worker = retention(store)
    task = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        while (await counts(store))["messages"] == 2:  # noqa: ASYNC110 - a commit sets no event
            await asyncio.sleep(0.01)
        worker.stop()
        await task


async def test_one_that_is_stopped_before_its_time_removes_nothing(store: Store) -> None:
    await keep_message(store, 1, age(100))
    await keep_message(store, 2, age(1))
    worker = retention(store, first_after_s=60)
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    worker.stop()
    async with asyncio.timeout(60):
        await task
    assert (await counts(store))["messages"] == 2


async def test_two_that_sweep_at_once_remove_each_thing_once(store: Store) -> None:
    for number in range(1, 30):
        await keep_message(store, number, age(91))
    await keep_message(store, 900, age(1))
    removed = await asyncio.gather(*(retention(store).sweep() for _ in range(2)))
    assert sum(each["messages"] for each in removed) == 29
