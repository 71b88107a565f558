"""Every figure of every question, against a reference that counts slowly and obviously, on random messages and filters.

The rows are put into the tables here; that the tables have the right rows is proved where they are filled. Days that
may be sealed are summed up as they are when they are sealed, some or all of them.
"""

import asyncio
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringback.analytics import day_sums
from ringback.analytics.definitions import DIMENSIONS, MEASURES
from ringback.analytics.duck import DuckEngine
from ringback.analytics.filters import Filter
from ringback.analytics.questions import ORDERS, Questions
from ringback.analytics.sealing import to_seal
from ringback.settings_analytics import AnalyticsSettings
from tests.fakes.analytics import NOON, at_us, filled, message_id
from tests.fakes.analytics_answers import Answers, by_key
from tests.fakes.clock import FakeClock

NOW = NOON + timedelta(days=3, minutes=7, seconds=11)
ACCOUNTS = ("MAAAAAAAAAAAAAAAAAAA", "MABBBBBBBBBBBBBBBBBB")
PLACES = (("US", "310-260", "Example Mobile"), ("IN", "404-20", "Vi"), ("IN", "404-45", None), (None, None, None))

OUTBOUND = ("queued", "sent", "sent", "delivered", "undelivered", "failed")
INBOUND = ("received", "delivered", "undelivered")

moments = st.builds(
    # At borders of hours and days, beside them, and anywhere.
    lambda hours, beside_us: NOON + timedelta(hours=hours, microseconds=beside_us),
    st.integers(-9 * 24, 4 * 24),
    st.sampled_from([0, 0, -1, 1, 30 * 60 * 1_000_000, 1_234_567]) | st.integers(0, 3_599_999_999),
)
milliseconds = st.sampled_from([0, 1, 400, 1_000, 999_999]) | st.integers(0, 100_000_000)


@st.composite
def message_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A message in any state, with any of its times known or not; its id is given later."""
    inbound = draw(st.integers(0, 9)) == 0
    ends = (
        ("received", "delivered", "undelivered")
        if inbound
        else ("queued", "sent", "sent", "delivered", "undelivered", "failed")
    )
    status = draw(st.sampled_from(ends))
    country, carrier, network = draw(st.sampled_from(PLACES))
    queued_at = draw(moments)
    queue_ms, carrier_ms = draw(milliseconds), draw(milliseconds)
    has_sent = status in ("sent", "delivered", "undelivered") and draw(st.integers(0, 9)) > 0
    has_ended = status in ("delivered", "undelivered", "failed") and draw(st.integers(0, 9)) > 0
    sent_at = queued_at + timedelta(milliseconds=queue_ms) if has_sent else None
    final_at = (sent_at or queued_at) + timedelta(milliseconds=carrier_ms) if has_ended else None
    delivered = status == "delivered" and has_ended
    has_error = status in ("undelivered", "failed") or draw(st.booleans())
    return {
        "provider_id": None,
        "origin": draw(st.sampled_from(("ringback", "plivo"))),
        "account_id": draw(st.sampled_from(ACCOUNTS)),
        "direction": "inbound" if inbound else "outbound",
        "type": draw(st.sampled_from(("sms", "mms", None))),
        "src": draw(st.sampled_from(("15005550100", "15005550101", "it's", None))),
        "dst_prefix": None,
        "country": country,
        "mcc": carrier and carrier[:3],
        "mnc": carrier and carrier[4:],
        "network": network,
        "carrier": carrier,
        "connector": draw(st.sampled_from(("north", "south", None))),
        "route": draw(st.sampled_from(("cheap", "good", None))),
        "status": status,
        "error_code": draw(st.sampled_from(("000", "30", "90", None))) if has_error else None,
        "units": draw(st.sampled_from((1, 2, 10, None))),
        "cost": draw(st.sampled_from((0, 1, 550, 99_999_999, None))),
        "trackable": draw(st.sampled_from((True, False, None))),
        "queued_at": queued_at,
        "sent_at": sent_at,
        "final_at": final_at,
        "queue_ms": queue_ms if has_sent else None,
        "carrier_ms": carrier_ms if delivered and has_sent else None,
        "total_ms": queue_ms + carrier_ms if delivered else None,
        "lag_ms": draw(st.none() | milliseconds),
        "flagged": draw(st.integers(0, 3)),
        "conversion": draw(st.sampled_from((None, None, "CONVERTED", "NOT_CONVERTED", "CONVERTED_WITH_OTHERS"))),
        "converted_at": None,
    }


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Messages, and events of them in any order: some twice, some late."""
    messages = draw(st.lists(message_rows(), max_size=40))
    events = []
    for number, message in enumerate(messages):
        message["message_uuid"] = message_id(number)
        for _ in range(draw(st.integers(0, 4))):
            events.append(
                {
                    "log_offset": len(events) + 1,
                    "origin": message["origin"],
                    "account_id": message["account_id"],
                    "message_uuid": message["message_uuid"],
                    "sequence": None,
                    "status": draw(st.sampled_from(("queued", "sent", "delivered", "undelivered", "failed"))),
                    "flag": draw(st.sampled_from((None, None, "duplicate", "late"))),
                    "error_code": None,
                    "at": draw(moments),
                    "lag_ms": None,
                }
            )
    return messages, events


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | st.just(()) | st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    since, until = sorted((draw(moments), draw(moments)))
    if since == until or draw(st.booleans()):
        since, until = NOON - timedelta(days=9), NOON + timedelta(days=4)
    return Filter(
        since_us=at_us(since),
        until_us=at_us(until),
        account_id=draw(st.sampled_from((None, *ACCOUNTS))),
        origin=draw(some("ringback", "plivo")),
        direction=draw(st.sampled_from((("outbound",), ("inbound",), ("outbound", "inbound"), ()))),
        country=draw(some("US", "IN", "none")),
        carrier=draw(some("310-260", "404-20", "none")),
        sender=draw(some("15005550100", "it's", "none")),
        route=draw(some("cheap", "none")),
        connector=draw(some("north", "none")),
        error=draw(some("000", "30", "none")),
        status=draw(some("queued", "sent", "delivered", "undelivered", "failed", "no_dlr", "pending", "received")),
        type=draw(some("sms", "none")),
    )


rules = st.fixed_dictionaries(
    {
        "no_receipt_hours": st.sampled_from((1, 24, 72)),
        "sent_counts_as_delivered": st.sampled_from(((), ("US",), ("US", "IN"))),
    }
)


_EMPTIED = ("events", "open_messages", "closed_messages", "sealed_days", "summed_days", "day_sums", "event_sums")


class Asked:
    """One open engine for all examples, emptied before each."""

    def __init__(self, directory: Path, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._engine = DuckEngine(directory, AnalyticsSettings())
        runner.run(self._engine.__aenter__())

    def close(self) -> None:
        self._runner.run(self._engine.__aexit__(None, None, None))

    def of(
        self, messages: list[Any], events: list[Any], options: AnalyticsSettings, unsealed: Collection[int] = ()
    ) -> Questions:
        """Questions about these rows; some are still open, and days are sealed but for some, by their day of month."""
        settled = NOW - timedelta(hours=options.no_receipt_hours + 1)
        assumed = options.sent_counts_as_delivered

        async def fill() -> None:
            def empty(con: Any) -> None:
                for table in _EMPTIED:
                    con.execute(f"DELETE FROM {table}")  # noqa: S608 - of the list above

            def seal(con: Any) -> None:
                for day in to_seal(con, settled, assumed):
                    day_sums.note(con, day, assumed)
                    if day.day not in unsealed:
                        con.execute("INSERT INTO sealed_days VALUES (?)", [day])

            await self._engine.write(empty)
            is_open = [
                message["status"] in ("queued", "sent", "received") and message["queued_at"] >= settled
                for message in messages
            ]
            closed = [message for message, still in zip(messages, is_open, strict=True) if not still]
            opened = [message for message, still in zip(messages, is_open, strict=True) if still]
            await filled(self._engine, closed, events, opened=opened)
            await self._engine.write(seal)

        self._runner.run(fill())
        return Questions(self._engine, options, FakeClock(at_us(NOW)))

    def ask(self, question: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(self._runner.run(question)))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asyncio.Runner() as runner:
        made = Asked(tmp_path_factory.mktemp("analytics"), runner)
        yield made
        made.close()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), filters(), rules, st.sets(st.sampled_from((23, 26, 27, 28, 1, 2, 3, 4))))
def test_every_figure_is_that_of_the_reference(
    asked: Asked,
    history: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    chosen: Filter,
    rules: dict[str, Any],
    unsealed: set[int],
) -> None:
    messages, events = history
    ours = asked.of(messages, events, AnalyticsSettings(**rules), unsealed)
    right = Answers(messages, events, now=NOW, **rules)

    assert asked.ask(ours.totals(chosen)) == right.totals(chosen)
    assert asked.ask(ours.series(chosen)) == right.series(chosen)
    assert asked.ask(ours.volume(chosen)) == right.volume(chosen)
    assert asked.ask(ours.heatmap(chosen))["cells"] == right.heatmap(chosen)
    stages = asked.ask(ours.funnel(chosen))["stages"]
    assert [tuple(stage.values()) for stage in stages] == right.funnel(chosen)
    for measure in MEASURES:
        assert asked.ask(ours.latency_series(chosen, measure)) == right.latency_series(chosen, measure)
    issues = asked.ask(ours.issues(chosen))["issues"]
    assert {
        (issue["error"], issue["carrier"], issue["sender"], issue["route"]): {
            name: issue[name] for name in ("count", "failed", "undelivered", "share", "first_us", "last_us")
        }
        for issue in issues
    } == right.issues(chosen)
    assert by_key(asked.ask(ours.latency(chosen))["groups"]) == right.latency(chosen, None)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    histories(),
    filters(),
    st.sampled_from(sorted(DIMENSIONS)),
    st.sampled_from([*ORDERS, *(f"-{name}" for name in ORDERS)]),
)
def test_every_group_is_that_of_the_reference(
    asked: Asked,
    history: tuple[list[dict[str, Any]], list[dict[str, Any]]],
    chosen: Filter,
    by: str,
    order: str,
) -> None:
    messages, events = history
    ours = asked.of(messages, events, AnalyticsSettings())
    right = Answers(messages, events, now=NOW, no_receipt_hours=24)

    groups = asked.ask(ours.breakdown(chosen, by, order=order))["groups"]
    assert by_key(groups) == right.breakdown(chosen, by)
    figures = [group[order.removeprefix("-")] for group in groups]
    known = [figure for figure in figures if figure is not None]
    assert figures == sorted(known, reverse=not order.startswith("-")) + [None] * (len(figures) - len(known))

    assert by_key(asked.ask(ours.latency(chosen, by))["groups"]) == right.latency(chosen, by)
    spent = asked.ask(ours.spend(chosen, by))
    assert (by_key([spent["total"]])[None], by_key(spent["groups"])) == right.spend(chosen, by)
    converted = asked.ask(ours.conversion(chosen, by))
    assert (by_key([converted["total"]])[None], by_key(converted["groups"])) == right.conversion(chosen, by)


@given(st.lists(st.integers(-5, 10**12), min_size=1, max_size=400))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@example([7] * 20)
@example(list(range(100)))
def test_percentiles_are_exact(asked: Asked, values: list[int]) -> None:
    rows = [{**_BARE, "message_uuid": message_id(number), "total_ms": value} for number, value in enumerate(values)]
    ours = asked.of(rows, [], AnalyticsSettings())
    whole = Filter(since_us=at_us(NOON), until_us=at_us(NOON) + 1)
    right = Answers(rows, [], now=NOW, no_receipt_hours=24)
    assert by_key(asked.ask(ours.latency(whole))["groups"]) == right.latency(whole, None)


_BARE: dict[str, Any] = {
    **dict.fromkeys(
        ("provider_id", "type", "src", "dst_prefix", "country", "mcc", "mnc", "network", "carrier", "connector",
         "route", "error_code", "units", "cost", "trackable", "sent_at", "final_at", "queue_ms", "carrier_ms", "lag_ms",
         "conversion", "converted_at")
    ),
    "origin": "ringback", "account_id": ACCOUNTS[0], "direction": "outbound", "status": "delivered",
    "queued_at": NOON, "flagged": 0,
}  # fmt: skip
