"""The projection on every database: what is in the file is what the store says, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from ringback.analytics import offsets, projection
from ringback.analytics.received import Sources
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import received, received_log, schema
from ringback.store.port import Store, Transaction
from ringback.store.postgres import PostgresStore
from tests.conformance.test_received import CAME, request
from tests.fakes.clock import FakeClock
from tests.fakes.messages import QUEUED_AT_US, message_uuid
from tests.fakes.projected import Bench


@pytest.fixture
async def bench(store: Store, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(store, clock, tmp_path / "analytics")
    async with made.engine:
        yield made


async def test_a_message_goes_from_open_to_closed(bench: Bench) -> None:
    await bench.accept(1, 2)
    await bench.check()
    assert await bench.tables() == (2, 0)
    bench.clock.advance(1)
    await bench.report(1, "sent", connector="simulator", route="default", mcc="310", mnc="260", network="Example")
    bench.clock.advance(1)
    await bench.report(1, "delivered", error_code="000")
    await bench.check()
    assert await bench.tables() == (2, 0)
    bench.clock.advance(61)
    await bench.check()
    assert await bench.tables() == (1, 1)


async def test_columns_that_are_empty_at_first_keep_their_types(bench: Bench) -> None:
    bench.projected(settings=AnalyticsSettings(memory_mb=256))
    await bench.accept(*range(1, 1500))
    await bench.accept(1500, mcc="310", mnc="260", network="Example", error_code="300", carrier_fees_rate="0.00125")
    await bench.check()


@pytest.mark.parametrize("separator", ["\n", "\r", "\x1f"])
async def test_what_separates_values_on_the_way_is_a_space_in_them(bench: Bench, separator: str) -> None:
    await bench.accept(1, network="Plain", src="Käse")
    await bench.accept(2, network=f"{separator}Two{separator}words", src='"')
    await bench.projection.catch_up()
    found = await bench.engine.ask("SELECT network, src FROM messages ORDER BY message_uuid")
    assert found.rows == [("Plain", "Käse"), (" Two words", '"')]


async def test_nothing_is_left_beside_the_file(bench: Bench) -> None:
    await bench.accept(1)
    await bench.projection.catch_up()
    assert list(bench.engine.directory.glob("passing-*")) == []


async def test_numbers_that_no_event_has_cost_nothing(bench: Bench) -> None:
    """They were pruned, or drawn and rolled back."""
    await bench.accept(1)
    await bench.store.write(lambda tx: tx.execute(sa.update(schema.events).values(id=schema.events.c.id + 10**9)))
    if isinstance(bench.store, PostgresStore):
        await bench.store.write(lambda tx: tx.exec_driver_sql("SELECT setval('events_id_seq', 2000000000)"))
    await bench.check()
    bench.clock.advance(61)
    await bench.check()
    assert (await bench.engine.write(offsets.read))[1].settled >= 10**9


async def test_late_corrections_find_closed_messages(bench: Bench) -> None:
    await bench.accept(1, 2, 3)
    await bench.report(1, "sent")
    await bench.report(2, "failed", error_code="200")
    await bench.check()
    bench.clock.advance(30 * 3600)
    await bench.check()
    await bench.projection._keep_house()
    assert await bench.tables() == (0, 3)
    await bench.report(1, "delivered", error_code="000")
    await bench.report(2, "delivered", flag="late")
    await bench.convert(3, "CONVERTED")
    await bench.check()
    assert await bench.tables() == (0, 3)


async def test_another_database_is_noticed(bench: Bench) -> None:
    await bench.accept(1)
    await bench.check()
    bench.projected(identity="store-2")
    await bench.check()
    assert (await bench.engine.ask("SELECT value FROM meta WHERE name = 'store'")).rows == [("store-2",)]


async def test_what_sources_say_becomes_messages(bench: Bench) -> None:
    bench.sources = Sources({"a": "MAAAAAAAAAAAAAAAAAAA"}, lambda *_: QUEUED_AT_US)
    bench.projected()

    def come(tx: Transaction, first: int, last: int) -> None:
        events = CAME[first:last]
        requests = [request(first + number + 1, source=event.source) for number, event in enumerate(events)]
        received_log.append(tx, received.store(tx, requests, events))

    # In three parts, so that a message is put together from what came before and after.
    for first, last in ((0, 1), (1, 3), (3, 8)):
        await bench.store.write(partial(come, first=first, last=last))
        await bench.projection.catch_up()
    answer = await bench.engine.ask(
        "SELECT provider_id, origin, account_id, status, direction, country, dst_prefix, units, cost, flagged, lag_ms, "
        "queue_ms FROM messages ORDER BY origin, provider_id"
    )
    account = "MAAAAAAAAAAAAAAAAAAA"
    assert answer.rows == [
        ("m-1", "a", account, "delivered", "outbound", "US", "1415555", 2, 1100, 3, 0, 0),
        ("m-2", "a", account, "sent", "outbound", "US", "1415555", 2, 1100, 0, 0, 0),
        ("m-1", "b", "", "sent", "outbound", "US", "1415555", 2, 1100, 0, 0, 0),
    ]
    events = await bench.engine.ask("SELECT origin, status, flag FROM events ORDER BY log_offset")
    assert [row[2] for row in events.rows] == [None, None, "out_of_order", "duplicate", "duplicate", None, None, None]


async def test_own_messages_are_counted_once_though_their_callbacks_are_received(bench: Bench) -> None:
    bench.sources = Sources({"a": "MAAAAAAAAAAAAAAAAAAA"}, lambda *_: QUEUED_AT_US)
    bench.projected()
    await bench.accept(1)
    own = msgspec.structs.replace(CAME[0], message_uuid=message_uuid(1))

    def come(tx: Transaction) -> None:
        received_log.append(tx, received.store(tx, [request(1, source=own.source)], [own]))

    await bench.store.write(come)
    await bench.check()
    assert (await bench.engine.ask("SELECT origin FROM messages UNION ALL SELECT origin FROM events")).rows == [
        ("ringback",),
        ("ringback",),
    ]


async def test_sealed_days_give_back_what_the_store_has_pruned(bench: Bench) -> None:
    await bench.accept(1, 2)
    await bench.report(1, "sent")
    await bench.report(1, "delivered", error_code="000")
    await bench.projection.catch_up()
    bench.clock.advance(3 * 86_400)
    await bench.projection.catch_up()
    await bench.projection._keep_house()
    before = (await bench.engine.ask("SELECT * FROM messages ORDER BY message_uuid")).rows
    events = (await bench.engine.ask("SELECT * FROM events ORDER BY log_offset")).rows
    assert len(bench.projection._days.sealed()) == 1
    await bench.forget(1)
    # The file stays as it is, and one that is made anew is the same.
    await bench.projection.catch_up()
    assert (await bench.engine.ask("SELECT * FROM messages ORDER BY message_uuid")).rows == before
    await bench.begin_anew()
    await bench.projection.catch_up()
    assert (await bench.engine.ask("SELECT * FROM messages ORDER BY message_uuid")).rows == before
    assert (await bench.engine.ask("SELECT * FROM events ORDER BY log_offset")).rows == events


async def test_a_corrected_day_is_sealed_again(bench: Bench) -> None:
    await bench.accept(1)
    await bench.report(1, "sent")
    await bench.projection.catch_up()
    bench.clock.advance(3 * 86_400)
    await bench.projection.catch_up()
    await bench.projection._keep_house()
    assert (await bench.engine.ask("SELECT count(*) FROM sealed_days")).rows == [(1,)]
    await bench.report(1, "delivered", error_code="000")
    await bench.projection.catch_up()
    assert (await bench.engine.ask("SELECT count(*) FROM sealed_days")).rows == [(0,)]


async def test_days_are_sealed_without_a_rest_between_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "IDLE_S", 3_600)
    for number in (1, 2, 3):
        await bench.accept(number)
        await bench.report(number, "failed", error_code="200")
        bench.clock.advance(24 * 3600)
    bench.clock.advance(7 * 24 * 3600)
    running = asyncio.create_task(bench.projection.run())
    async with asyncio.timeout(60):
        while (await bench.engine.ask("SELECT count(*) FROM sealed_days")).rows != [(3,)]:
            pass
    bench.projection.stop()
    await running


async def test_what_came_just_before_the_end_is_taken_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "IDLE_S", 3_600)
    await bench.accept(1)
    running = asyncio.create_task(bench.projection.run())
    async with asyncio.timeout(60):
        while (await bench.engine.ask("SELECT count(*) FROM events")).rows != [(1,)]:
            pass
    await bench.report(1, "sent")
    bench.projection.stop()
    await running
    assert (await bench.engine.ask("SELECT status FROM messages")).rows == [("sent",)]
