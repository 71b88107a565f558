"""Sums of sealed days: they are read instead of messages, and no correction gets past them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.analytics import day_sums
from ringback.analytics.filters import Filter
from ringback.analytics.questions import Questions
from ringback.analytics.received import Sources
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import received, received_log, sqlite
from ringback.store.port import Transaction
from tests.conformance.test_received import request, said
from tests.fakes.clock import FakeClock
from tests.fakes.messages import QUEUED_AT_US
from tests.fakes.projected import SETTINGS, Bench

DAY_US = day_sums.DAY_US
DAY_S = 86_400


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    store = sqlite.open_store(tmp_path, busy_timeout_s=30)
    try:
        made = Bench(store, FakeClock(), tmp_path / "analytics")
        async with made.engine:
            yield made
    finally:
        await store.close()


def _questions(bench: Bench, settings: AnalyticsSettings = SETTINGS) -> Questions:
    return Questions(bench.engine, settings, bench.clock)


def _month(bench: Bench) -> Filter:
    now_us = bench.clock.now_us()
    return Filter(since_us=now_us - 30 * DAY_US, until_us=now_us + 1)


async def _sealed(bench: Bench) -> None:
    """Have two messages in a day that is sealed: one delivered, one sent."""
    await bench.accept(1, 2)
    for number in (1, 2):
        await bench.report(number, "sent", connector="c", route="r", mcc="310", mnc="260", network="N")
    await bench.report(1, "delivered", error_code="000")
    await bench.projection.catch_up()
    bench.clock.advance(3 * DAY_S)
    await bench.seal_all()


async def _without_rows(bench: Bench, ask: Callable[[Questions], Awaitable[Any]]) -> Any:
    """Ask while the rows that the sums are made of are not there."""

    def keep(con: Any) -> None:
        con.execute("CREATE TABLE kept_messages AS SELECT * FROM closed_messages")
        con.execute("CREATE TABLE kept_events AS SELECT * FROM events")
        con.execute("DELETE FROM closed_messages")
        con.execute("DELETE FROM events")

    def show(con: Any) -> None:
        con.execute("INSERT INTO closed_messages SELECT * FROM kept_messages")
        con.execute("INSERT INTO events SELECT * FROM kept_events")
        con.execute("DROP TABLE kept_messages")
        con.execute("DROP TABLE kept_events")

    await bench.engine.write(keep)
    try:
        return await ask(_questions(bench))
    finally:
        await bench.engine.write(show)


@pytest.mark.parametrize(
    "counted",
    [
        lambda ask, chosen: ask.sums(chosen),
        lambda ask, chosen: ask.series(chosen),
        lambda ask, chosen: ask.heatmap(chosen),
        lambda ask, chosen: ask.volume(chosen),
        lambda ask, chosen: ask.funnel(chosen),
        lambda ask, chosen: ask.spend(chosen, "country"),
        lambda ask, chosen: ask.spend(chosen, "carrier"),
        lambda ask, chosen: ask.conversion(chosen, "sender"),
        lambda ask, chosen: ask.spend(chosen, "account"),
        lambda ask, chosen: ask.spend(chosen, "error"),
        lambda ask, chosen: ask.breakdown(chosen, "carrier", timed=False),
    ],
)
async def test_what_is_counted_comes_from_the_sums(
    bench: Bench, counted: Callable[[Questions, Filter], Awaitable[Any]]
) -> None:
    await _sealed(bench)
    chosen = _month(bench)
    from_rows = await counted(_questions(bench), chosen)
    assert await _without_rows(bench, lambda ask: counted(ask, chosen)) == from_rows


async def test_a_late_receipt_changes_the_figures_of_a_sealed_day(bench: Bench) -> None:
    await _sealed(bench)
    chosen = _month(bench)
    assert (await _questions(bench).sums(chosen)).delivered == 1
    await bench.report(2, "delivered", error_code="000")
    await bench.projection.catch_up()
    assert (await _questions(bench).sums(chosen)).delivered == 2
    bench.clock.advance(DAY_S)
    await bench.seal_all()
    assert (await _questions(bench).sums(chosen)).delivered == 2
    assert (await _without_rows(bench, lambda ask: ask.sums(chosen))).delivered == 2


async def test_a_late_conversion_and_a_duplicate_do_as_well(bench: Bench) -> None:
    await _sealed(bench)
    chosen = _month(bench)
    await bench.convert(1, "CONVERTED")
    await bench.report(1, "delivered", flag="duplicate")
    await bench.projection.catch_up()
    found = await _questions(bench).sums(chosen)
    assert (found.converted, found.flagged) == (1, 1)


async def _told(bench: Bench, *told: tuple[int, str]) -> None:
    """Take in what a source says of a message: the number of the request, and the status."""

    def store(tx: Transaction) -> None:
        requests = [request(number, source="a") for number, _ in told]
        received_log.append(tx, received.store(tx, requests, [said(*each, None) for each in told]))

    await bench.store.write(store)
    await bench.projection.catch_up()


async def _sealed_of_source(bench: Bench, *days: int) -> None:
    """Have a source tell of one message on some days, those sealed, and one of the platform on the next day."""
    at_us = {number: QUEUED_AT_US + day * DAY_US for number, day in enumerate(days)}
    bench.sources = Sources({"a": "MAAAAAAAAAAAAAAAAAAA"}, lambda *asked: at_us[int(asked[-1][2:])])
    bench.projected()
    await _told(bench, *((number, "sent") for number in range(len(days) - 1)))
    bench.clock.advance(DAY_S)
    await bench.accept(9)
    bench.clock.advance(4 * DAY_S)
    await bench.seal_all()
    assert (await bench.engine.ask("SELECT count(*) FROM sealed_days")).rows == [(2,)]


async def test_a_message_that_turns_out_to_be_older_is_in_one_day(bench: Bench) -> None:
    await _sealed_of_source(bench, 0, -1)
    await _told(bench, (1, "queued"))
    found = await _questions(bench).series(_month(bench))
    accepted = [each.start_us for each in found.buckets if each.accepted]
    assert accepted == [_bucket(QUEUED_AT_US - DAY_US), _bucket(QUEUED_AT_US + DAY_US)]


async def test_the_events_of_a_message_that_turns_out_to_be_inbound_are_so_on_all_days(bench: Bench) -> None:
    await _sealed_of_source(bench, 0, 1, 2)
    assert sum(each.events for each in (await _questions(bench).volume(_month(bench))).buckets) == 3
    await _told(bench, (2, "received"))
    assert sum(each.events for each in (await _questions(bench).volume(_month(bench))).buckets) == 1


def _bucket(at_us: int) -> int:
    return at_us - at_us % (DAY_US // 4)


async def test_a_day_that_is_corrected_while_it_is_asked_about_is_read_again(bench: Bench) -> None:
    await _sealed(bench)
    ask, chosen = _questions(bench), _month(bench)
    cut = await ask._cut(day_sums.HOUR, chosen, ask._rules())
    await bench.report(2, "undelivered", error_code="300")
    await bench.projection.catch_up()

    async def as_it_was(*_: object) -> Any:
        return cut

    ask._cut = as_it_was  # type: ignore[method-assign]
    assert (await ask.sums(chosen)).undelivered == 1


async def test_where_sent_counts_as_delivered_by_now_days_are_summed_again(bench: Bench) -> None:
    await _sealed(bench)
    chosen, other = _month(bench), AnalyticsSettings(sent_counts_as_delivered=("US",), batch=3)
    assert (await _questions(bench, other).sums(chosen)).assumed == 1
    bench.projected(settings=other)
    await bench.seal_all()
    assert (await bench.engine.ask("SELECT DISTINCT assumed FROM summed_days")).rows == [("US",)]
    assert (await _questions(bench, other).sums(chosen)).assumed == 1
    assert (await _questions(bench).sums(chosen)).assumed == 0


async def test_sums_that_would_be_as_many_as_messages_are_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_sums, "FEW", 0)
    await _sealed(bench)
    kept = {row[0] for row in (await bench.engine.ask('SELECT DISTINCT "by" FROM summed_days')).rows}
    # There are no errors at all.
    assert kept == {"hour", "error", "volume"}
    found = await _questions(bench).spend(_month(bench), "country")
    assert [(group.key, group.accepted) for group in found.groups] == [("US", 2)]


def test_a_time_is_cut_into_whole_days_and_the_rest() -> None:
    hour_us = DAY_US // 24
    cut = day_sums.split("hour", [9, 10, 11, 13, 14, 15], 10 * DAY_US - hour_us, 15 * DAY_US + hour_us)
    assert cut.whole == ((10, 12), (13, 15))
    assert cut.rest == (
        (10 * DAY_US - hour_us, 10 * DAY_US),
        (12 * DAY_US, 13 * DAY_US),
        (15 * DAY_US, 15 * DAY_US + hour_us),
    )
    assert cut.days == 4


def test_of_many_pieces_the_longest_are_taken() -> None:
    days = [day for day in range(100) if day % 2 == 0] + [51, 53]
    cut = day_sums.split("hour", days, 0, 100 * DAY_US)
    assert len(cut.rest) <= day_sums.MOST_GAPS
    assert (50, 55) in cut.whole


@pytest.mark.parametrize(
    ("fields", "by", "in_hours", "sums"),
    [
        ({}, None, True, "hour"),
        ({"origin": ("a",), "account_id": "MA"}, "account", True, "hour"),
        ({}, "carrier", False, "carrier"),
        ({"country": ("US",)}, None, False, "country"),
        ({"country": ("US",)}, "country", False, "country"),
        ({"country": ("US",)}, None, True, None),
        ({"country": ("US",)}, "carrier", False, None),
        ({"status": ("sent",)}, None, False, None),
        ({"error": ("30",)}, None, False, None),
        ({"error": ("30",)}, "error", False, "error"),
    ],
)
def test_which_sums_answer_a_question(fields: dict[str, Any], by: str | None, *, in_hours: bool, sums: str) -> None:
    assert day_sums.sums_for(Filter(since_us=0, until_us=1, **fields), by, in_hours=in_hours) == sums
