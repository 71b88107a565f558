"""Questions about few messages, whose answers can be counted by hand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.analytics.duck import DuckEngine
from ringback.analytics.filters import Filter
from ringback.analytics.questions import Questions
from ringback.model.errors import InvalidRequest
from ringback.settings_analytics import AnalyticsSettings
from tests.fakes.analytics import NOON, at_us, event, events_of, filled, row
from tests.fakes.clock import FakeClock

HOUR_US = 3_600_000_000
NOON_US = at_us(NOON)
DAY = Filter(since_us=NOON_US - 12 * HOUR_US, until_us=NOON_US + 12 * HOUR_US)
MESSAGES = [
    row(1, trackable=True, conversion="CONVERTED"),
    row(2, country="IN", mcc="404", mnc="20", carrier="404-20", network="Vi", cost=1_000, units=2),
    row(3, status="undelivered", error_code="30", queued_at=NOON + timedelta(hours=1)),
    row(4, status="failed", error_code="90", queued_at=NOON + timedelta(hours=1)),
    row(5, status="sent", queued_at=NOON - timedelta(hours=2), sent_at=NOON - timedelta(hours=2), cost=None),
    row(6, account_id="MABBBBBBBBBBBBBBBBBB", trackable=True, conversion="NOT_CONVERTED"),
    row(7, direction="inbound", status="received", sent_at=None, final_at=None, queue_ms=None),
]
OPENED = [row(8, status="sent"), row(9, status="queued")]


@pytest.fixture
async def questions(tmp_path: Path) -> AsyncIterator[Questions]:
    settings = AnalyticsSettings()
    async with DuckEngine(tmp_path, settings) as engine:
        events = [each for message in [*MESSAGES[:6], *OPENED] for each in events_of(message, message["flagged"] + 1)]
        again = event(1, 99, status="delivered", flag="duplicate")
        await filled(engine, MESSAGES, [*events, again], opened=OPENED)
        yield Questions(engine, settings, FakeClock(NOON_US + 23 * HOUR_US))


async def test_every_message_is_in_one_class(questions: Questions) -> None:
    found = await questions.totals(DAY)
    assert (found.accepted, found.delivered, found.undelivered, found.failed) == (8, 3, 1, 1)
    assert (found.no_dlr, found.pending, found.received, found.sent) == (1, 2, 0, 6)


async def test_rates_say_what_they_are_of(questions: Questions) -> None:
    found = await questions.totals(DAY)
    assert found.delivery_rate == 3 / 5
    assert found.dlr_rate == 4 / 6
    assert found.strict_rate == 3 / 8
    assert found.no_dlr_rate == 1 / 6
    assert found.conversion_rate == 1 / 2


async def test_money_that_is_not_known_is_told(questions: Questions) -> None:
    found = await questions.spend(DAY)
    assert (found.total.cost, found.total.unpriced, found.total.units) == (6 * 550 + 1_000, 1, 9)
    assert [group.key for group in found.groups] == ["US", "IN"]
    assert found.groups[1].name == "India"
    assert found.groups[1].cost_per_delivered == 1_000


async def test_sent_counts_as_delivered_where_no_receipts_are_given(tmp_path: Path) -> None:
    settings = AnalyticsSettings(sent_counts_as_delivered=("US",))
    async with DuckEngine(tmp_path, settings) as engine:
        await filled(engine, MESSAGES, opened=OPENED)
        found = await Questions(engine, settings, FakeClock(NOON_US + 23 * HOUR_US)).totals(DAY)
    assert (found.delivered, found.assumed, found.no_dlr, found.pending) == (5, 2, 0, 1)
    assert found.strict_rate == 3 / 8


async def test_a_breakdown_names_what_it_counts(questions: Questions) -> None:
    found = await questions.breakdown(DAY, "carrier")
    assert [(group.key, group.name, group.accepted) for group in found.groups] == [
        ("310-260", "Example Mobile", 7),
        ("404-20", "Vi", 1),
    ]
    assert found.groups[0].share == 7 / 8
    assert (await questions.breakdown(DAY, "carrier", limit=1)).left_out == 1


async def test_errors_are_of_messages_that_have_one(questions: Questions) -> None:
    found = await questions.breakdown(DAY, "error", order="-failed")
    assert [(group.key, group.name) for group in found.groups] == [
        ("30", "filtered as spam"),
        ("90", "no route available"),
    ]


async def test_a_series_has_no_gaps_and_says_what_settles(questions: Questions) -> None:
    found = await questions.series(DAY)
    assert found.step_us == 900_000_000
    assert len(found.buckets) == 96
    assert sum(bucket.accepted for bucket in found.buckets) == 8
    noon = found.buckets[48]
    assert (noon.start_us, noon.accepted, noon.settling) == (NOON_US, 5, True)
    assert not found.buckets[52].settling


async def test_volume_counts_events_when_they_happen(questions: Questions) -> None:
    found = await questions.volume(DAY)
    noon = next(bucket for bucket in found.buckets if bucket.start_us == NOON_US)
    assert noon.by_status == {"queued": 5, "sent": 4, "delivered": 3}
    assert noon.flagged == 1
    of_india = await questions.volume(Filter(since_us=DAY.since_us, until_us=DAY.until_us, country=("IN",)))
    assert sum(bucket.events for bucket in of_india.buckets) == 3


async def test_the_heat_map_begins_on_monday(questions: Questions) -> None:
    cells = (await questions.heatmap(DAY)).cells
    assert [(cell.weekday, cell.hour, cell.accepted) for cell in cells if cell.accepted] == [
        (2, 10, 1),
        (2, 12, 5),
        (2, 13, 2),
    ]


async def test_latencies(questions: Questions) -> None:
    [everything] = (await questions.latency(DAY)).groups
    assert (everything.total_ms.count, everything.total_ms.p50, everything.queue_ms.p99) == (3, 2400, 400)
    [india] = [group for group in (await questions.latency(DAY, "country")).groups if group.key == "IN"]
    assert india.carrier_ms.p95 == 2000
    series = await questions.latency_series(DAY, "carrier_ms")
    assert [bucket.spread.p50 for bucket in series.buckets if bucket.spread.count] == [2000]


async def test_failures_are_grouped_as_issues(questions: Questions) -> None:
    found = await questions.issues(DAY)
    assert found.failures == 2
    assert [(issue.error, issue.count, issue.share, issue.first_us) for issue in found.issues] == [
        ("30", 1, 0.5, NOON_US + HOUR_US + 2_400_000),
        ("90", 1, 0.5, NOON_US + HOUR_US + 2_400_000),
    ]


async def test_the_funnel_ends_with_conversions_of_trackable_messages(questions: Questions) -> None:
    stages = (await questions.funnel(DAY)).stages
    assert [(stage.name, stage.count, stage.of) for stage in stages] == [
        ("accepted", 8, 8),
        ("sent", 6, 8),
        ("delivered", 3, 6),
        ("converted", 1, 2),
    ]


async def test_conversions_by_sender(questions: Questions) -> None:
    found = await questions.conversion(DAY)
    assert (found.total.trackable, found.total.converted, found.total.not_converted, found.total.untold) == (2, 1, 1, 0)
    assert [group.conversion_rate for group in found.groups] == [0.5]


async def test_a_period_is_compared_with_as_much_of_the_one_before(questions: Questions) -> None:
    later = Filter(since_us=NOON_US + HOUR_US // 2, until_us=NOON_US + 3 * HOUR_US // 2)
    found = await questions.compared(later)
    assert (found.now.accepted, found.before.accepted) == (2, 5)
    assert found.before_since_us == NOON_US - HOUR_US // 2


@pytest.mark.parametrize("ask", [
    lambda questions: questions.breakdown(DAY, "colour"),
    lambda questions: questions.breakdown(DAY, "country", order="colour"),
    lambda questions: questions.breakdown(DAY, "country", limit=0),
    lambda questions: questions.latency_series(DAY, "colour"),
])  # fmt: skip
async def test_who_asks_wrongly_is_told(questions: Questions, ask: Callable[[Questions], Awaitable[object]]) -> None:
    with pytest.raises(InvalidRequest, match="must be"):
        await ask(questions)


async def test_nothing_gives_nothing(questions: Questions) -> None:
    empty = Filter(since_us=0, until_us=HOUR_US)
    assert (await questions.totals(empty)).delivery_rate is None
    assert (await questions.breakdown(empty, "country")).groups == ()
    assert (await questions.spend(empty)).groups == ()
    assert (await questions.issues(empty)).failures == 0
    assert (await questions.latency(empty)).groups[0].total_ms.p50 is None
