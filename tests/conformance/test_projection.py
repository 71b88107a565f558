"""The projection on every database: what is in the file is what the store says, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import duckdb
import msgspec
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from ringback.analytics import from_days, offsets, projection
from ringback.analytics.days import KINDS
from ringback.analytics.received import Sources
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import received, received_log, schema
from ringback.store.port import Store, Transaction
from ringback.store.postgres import PostgresStore
from tests.conformance.test_received import CAME, request, said
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


class _Source:
    """A source whose requests come one by one and are pruned, beside a file that follows."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.told_at_us: int | None = None
        bench.sources = Sources({"a": "MAAAAAAAAAAAAAAAAAAA"}, lambda *_: self.told_at_us)
        bench.projected()

    async def come(self, number: int, status: str, message: str = "m-1") -> None:
        """Let a request come that tells of a message."""
        now_us = self._bench.clock.now_us()
        event = said(number, status, None, received_at_us=now_us, message_uuid=message)
        came = [request(number, received_at_us=now_us)], [event]
        await self._bench.store.write(lambda tx: received_log.append(tx, received.store(tx, *came)))

    async def begin_anew_without(self, *numbers: int) -> None:
        """Prune requests, and have the file made anew."""
        ids = [message_uuid(number) for number in numbers]

        def prune(tx: Transaction) -> None:
            received_log.forget(tx, ids)
            tx.execute(schema.received_events.delete().where(schema.received_events.c.request_id.in_(ids)))
            tx.execute(schema.received_requests.delete().where(schema.received_requests.c.id.in_(ids)))

        await self._bench.store.write(prune)
        await self._bench.begin_anew()
        await self._bench.projection.catch_up()

    async def settle(self) -> None:
        """Let time pass until all is sealed."""
        self._bench.clock.advance(3 * 86_400)
        await self._bench.seal_all()

    async def messages(self) -> list[tuple[object, ...]]:
        """Return what is known of the first message."""
        sql = "SELECT status, queued_at, total_ms FROM messages WHERE provider_id = 'm-1'"
        return list((await self._bench.engine.ask(sql)).rows)

    async def events(self) -> list[str]:
        """Return what has happened to it, in order."""
        answer = await self._bench.engine.ask(
            "SELECT status FROM events WHERE message_uuid IN (SELECT message_uuid FROM messages "
            "WHERE provider_id = 'm-1') ORDER BY log_offset"
        )
        return [status for (status,) in answer.rows]


async def _over_two_days(bench: Bench) -> _Source:
    """Seal a message that was queued on one day and sent on the next, on which there is another one."""
    source = _Source(bench)
    await source.come(1, "queued")
    bench.clock.advance(86_400)
    await source.come(2, "sent")
    await source.come(4, "sent", message="m-2")
    await source.settle()
    return source


async def test_a_source_s_message_whose_first_request_is_pruned_is_put_back_whole(bench: Bench) -> None:
    source = await _over_two_days(bench)
    before = await source.messages()
    await source.begin_anew_without(1)
    assert await source.messages() == before
    assert await source.events() == ["queued", "sent"]


async def test_what_has_come_of_it_since_is_not_lost(bench: Bench) -> None:
    source = await _over_two_days(bench)
    await source.come(3, "delivered")
    # What is left tells of a message that came a day later, and has been delivered.
    await source.begin_anew_without(1)
    [found] = await source.messages()
    assert found[0] == "delivered"
    assert await source.events() == ["sent", "delivered"]
    # By then two days have it, of which the later one knows more.
    await source.settle()
    await source.begin_anew_without(2, 3, 4)
    assert await source.messages() == [found]


async def test_a_message_that_ended_in_a_day_without_others_keeps_its_times(bench: Bench) -> None:
    source = _Source(bench)
    await source.come(1, "queued")
    bench.clock.advance(86_400)
    await source.come(3, "delivered")
    await source.settle()
    before = await source.messages()
    assert [each[2] for each in before] == [86_400_000]
    await source.begin_anew_without(1)
    assert await source.messages() == before
    assert await source.events() == ["queued", "delivered"]
    await source.settle()
    await source.begin_anew_without(3)
    assert await source.messages() == before


async def test_a_message_that_has_left_the_only_day_it_was_in_is_put_back_where_it_is(bench: Bench) -> None:
    source = _Source(bench)
    await source.come(1, "delivered")
    await source.settle()
    source.told_at_us = bench.clock.now_us() - 4 * 86_400_000_000
    await source.come(2, "sent")
    await bench.seal_all()
    await source.settle()
    before = await source.messages()
    assert len(bench.projection._days.sealed()) == 2
    await source.begin_anew_without(1, 2)
    assert await source.messages() == before
    assert len(before) == 1


async def test_what_is_sealed_is_not_read_from_the_log_again(bench: Bench) -> None:
    await _a_sealed_day(bench)
    await bench.accept(4)
    bench.stretch = 1
    await bench.begin_anew()
    with capture_logs() as told:
        await bench.check()
    assert [each["events"] for each in told if each["event"] == "analytics_days_taken"] == [6]
    assert await bench.tables() == (1, 3)


async def test_a_day_that_was_corrected_before_the_file_was_lost_is_read_again(bench: Bench) -> None:
    await _a_sealed_day(bench)
    await bench.report(2, "delivered", error_code="000")
    await bench.convert(1, "CONVERTED")
    await bench.projection.catch_up()
    await bench.begin_anew()
    await bench.check()


async def test_a_day_that_was_not_sealed_again_is_known_to_be_old(bench: Bench) -> None:
    await _a_sealed_day(bench)
    [day] = bench.projection._days.sealed()
    files = [bench.projection._days.path(kind, day) for kind in KINDS]
    contents = [path.read_bytes() for path in files]
    await bench.report(2, "delivered", error_code="000")
    await bench.convert(1, "CONVERTED")
    await bench.accept(4)
    await bench.report(4, "failed", error_code="200")
    await bench.projection.catch_up()
    bench.clock.advance(3 * 86_400)
    await bench.seal_all()
    assert len(bench.projection._days.sealed()) == 2
    for path, content in zip(files, contents, strict=True):
        path.write_bytes(content)
    await bench.begin_anew()
    await bench.check()


@pytest.mark.parametrize("late", ["duplicate", "conversion"])
async def test_what_came_late_is_counted_once(bench: Bench, late: str) -> None:
    """The day of the message was sealed again with it, the day on which it came was not sealed."""
    await _a_sealed_day(bench)
    if late == "conversion":
        await bench.convert(1, "CONVERTED")
    await bench.report(1, "sent", flag=late)
    await bench.seal_all()
    await bench.begin_anew()
    await bench.check()


async def test_a_day_of_which_one_file_is_older_is_read_from_the_log(bench: Bench) -> None:
    """As when a process is killed while it seals a day again."""
    await _a_sealed_day(bench)
    [day] = bench.projection._days.sealed()
    path = bench.projection._days.path("events", day)
    content = path.read_bytes()
    await bench.report(1, "sent", flag="duplicate")
    await bench.seal_all()
    path.write_bytes(content)
    bench.stretch = 1
    await bench.begin_anew()
    with capture_logs() as told:
        await bench.check()
    assert not [each for each in told if each["event"] == "analytics_days_taken"]


async def test_what_a_restored_database_has_no_more_is_not_taken_from_days(bench: Bench) -> None:
    await _a_sealed_day(bench)
    before = await bench.store.read(_first_event)
    await bench.report(2, "delivered", error_code="000")
    await bench.seal_all()

    def restore(tx: Transaction) -> None:
        tx.execute(schema.events.delete().where(schema.events.c.id >= before + 6))
        tx.execute(schema.messages.update().where(schema.messages.c.uuid == message_uuid(2)).values(_SENT))

    await bench.store.write(restore)
    await bench.begin_anew()
    await bench.check()


@pytest.mark.parametrize("columns", ["* REPLACE ([1] AS units)", "*, 1 AS another"])
async def test_days_with_other_columns_are_left_to_the_log(bench: Bench, columns: str) -> None:
    await _a_sealed_day(bench)
    [day] = bench.projection._days.sealed()
    path = bench.projection._days.path("messages", day)
    other = path.with_suffix(".other")
    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT {columns} FROM read_parquet('{path}')) TO '{other}' "  # noqa: S608 - its own words
            "(FORMAT parquet, KV_METADATA {events: '6', conversions: '0'})"
        )
    other.rename(path)
    await bench.begin_anew()
    with capture_logs() as told:
        await bench.check()
    assert {each["day"] for each in told if each["event"] == "analytics_day_does_not_fit"} == {str(day)}


async def test_a_log_that_is_another_one_is_not_mixed_with_days(bench: Bench) -> None:
    """As when the database was restored, and went on with the same numbers."""
    await _a_sealed_day(bench)
    first = await bench.store.read(_first_event)
    await bench.forget(1, 2, 3)
    await bench.accept(5, 6)
    by = first - await bench.store.read(_first_event)
    await bench.store.write(lambda tx: tx.execute(schema.events.update().values(id=schema.events.c.id + by)).close())
    await bench.begin_anew()
    await bench.projection.catch_up()
    asked = "SELECT log_offset FROM events GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    assert [row[0] for row in (await bench.engine.ask(asked)).rows] == [first, first + 1]
    assert (await bench.engine.ask("SELECT count(*), count(DISTINCT message_uuid) FROM messages")).rows == [(5, 5)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["all of it", "in the middle"])
async def test_a_day_that_cannot_be_read_is_left_to_the_log(bench: Bench, kind: str, where: str) -> None:
    await _a_sealed_day(bench)
    [day] = bench.projection._days.sealed()
    path = bench.projection._days.path(kind, day)
    content = path.read_bytes()
    path.write_bytes(b"no more" if where == "all of it" else content[:4] + bytes(100) + content[104:])
    await bench.begin_anew()
    with capture_logs() as told:
        await bench.check()
    assert any(each["event"].endswith("cannot_be_read") for each in told)


async def test_going_on_with_days_after_a_break_takes_nothing_twice(bench: Bench) -> None:
    await _a_sealed_day(bench)
    await bench.accept(4, 5)
    await bench.convert(1, "CONVERTED")
    await bench.begin_anew()
    bench.stretch = 1
    logged = await bench.projected()._stretches(1 << 40)
    days = bench.projection._days
    await bench.engine.write(lambda con: from_days.take(con, days, days.sealed(), logged, 1))
    assert await bench.tables() == (0, 3)
    bench.projected()
    await bench.check()
    assert await bench.tables() == (2, 3)


_SENT = {"status": "sent", "sequence": 2, "error_code": None, "final_at_us": None}


def _first_event(tx: Transaction) -> int:
    return int(tx.execute(sa.select(sa.func.min(schema.events.c.id))).scalar_one())


async def _a_sealed_day(bench: Bench) -> None:
    """Have three messages with two events each in a day that is sealed; one is sent, the others have ended."""
    await bench.accept(1, 2, 3)
    for number in (1, 2):
        await bench.report(number, "sent")
    await bench.report(3, "failed", error_code="200")
    await bench.projection.catch_up()
    bench.clock.advance(3 * 86_400)
    await bench.seal_all()


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
