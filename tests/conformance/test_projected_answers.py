"""From what the store says to every figure: random lives of messages through the projection, with restarts in between.

Then all days are sealed, and with that summed up, and more happens to the same messages.

The reference reads the store a message at a time and counts with dicts and loops; nothing of it is SQL over the file.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.analytics.definitions import DIMENSIONS, MEASURES
from ringback.analytics.filters import Filter
from ringback.analytics.questions import Questions
from tests.conformance.test_projection_random import MESSAGES, Step, a_life, steps
from tests.fakes import analytics_reference as reference
from tests.fakes.analytics_answers import EPOCH, Answers, by_key
from tests.fakes.projected import SETTINGS, Bench

DAY_US = 86_400_000_000
narrowed = st.fixed_dictionaries(
    {},
    optional={
        "country": st.just(("US",)),
        "carrier": st.sampled_from((("310-260",), ("none",))),
        "error": st.sampled_from((("300",), ("000", "none"))),
        "status": st.sampled_from((("delivered",), ("no_dlr", "pending"), ("failed", "undelivered"))),
        "origin": st.just(("ringback",)),
        "direction": st.just(("outbound", "inbound")),
    },
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, steps, narrowed, st.sampled_from((1, 7, 90)), st.sampled_from(sorted(DIMENSIONS)))
def test_every_figure_is_what_the_store_says(
    happening: list[Step], later: list[Step], fields: dict[str, Any], days: int, by: str
) -> None:
    asyncio.run(_check(happening, later, fields, days, by))


async def _check(
    happening: list[Step], later: list[Step], fields: dict[str, Any], days: int, by: str
) -> None:  # fmt: skip
    async with a_life() as life:
        bench = life.bench
        for kind, number in [*(("accept", each) for each in range(MESSAGES // 2)), *happening]:
            await life.step(kind, number)
        await bench.projection.catch_up()
        await _compare(bench, _of_days(bench, days, fields), by)
        bench.clock.advance(3 * 86_400)
        await bench.seal_all()
        await _compare(bench, _of_days(bench, 90, fields), by)
        for kind, number in later:
            await life.step(kind, number)
        await bench.projection.catch_up()
        await _compare(bench, _of_days(bench, 90, fields), by)


def _of_days(bench: Bench, days: int, fields: dict[str, Any]) -> Filter:
    now_us = bench.clock.now_us()
    return Filter(since_us=now_us - days * DAY_US, until_us=now_us + 1, **fields)


async def _compare(bench: Bench, chosen: Filter, by: str) -> None:
    ours = Questions(bench.engine, SETTINGS, bench.clock)
    names = [name.strip() for name in reference.MESSAGES_SQL.split("SELECT")[1].split("FROM")[0].split(",")]
    messages = [dict(zip(names, row, strict=True)) for row in await bench.store.read(reference.platform_messages)]
    events = [
        {"message_uuid": uuid, "status": status, "flag": flag, "at": at}
        for _, _, uuid, _, status, flag, _, at in await bench.store.read(reference.platform_events)
    ]
    now = EPOCH + timedelta(microseconds=bench.clock.now_us())
    right = Answers(messages, events, now=now, no_receipt_hours=SETTINGS.no_receipt_hours)

    assert _plain(await ours.totals(chosen)) == right.totals(chosen)
    assert _plain(await ours.series(chosen)) == right.series(chosen)
    assert _plain(await ours.volume(chosen)) == right.volume(chosen)
    assert _plain(await ours.heatmap(chosen))["cells"] == right.heatmap(chosen)
    assert by_key(_plain(await ours.breakdown(chosen, by))["groups"]) == right.breakdown(chosen, by)
    assert by_key(_plain(await ours.latency(chosen, by))["groups"]) == right.latency(chosen, by)
    for measure in MEASURES:
        assert _plain(await ours.latency_series(chosen, measure)) == right.latency_series(chosen, measure)
    stages = _plain(await ours.funnel(chosen))["stages"]
    assert [tuple(stage.values()) for stage in stages] == right.funnel(chosen)
    issues = _plain(await ours.issues(chosen))["issues"]
    assert {_issue(issue): _figures(issue) for issue in issues} == right.issues(chosen)
    spent = _plain(await ours.spend(chosen, by))
    assert (by_key([spent["total"]])[None], by_key(spent["groups"])) == right.spend(chosen, by)
    converted = _plain(await ours.conversion(chosen, by))
    assert (by_key([converted["total"]])[None], by_key(converted["groups"])) == right.conversion(chosen, by)


def _plain(answer: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(answer))


def _issue(issue: Mapping[str, Any]) -> tuple[Any, ...]:
    return issue["error"], issue["carrier"], issue["sender"], issue["route"]


def _figures(issue: Mapping[str, Any]) -> dict[str, Any]:
    return {name: issue[name] for name in ("count", "failed", "undelivered", "share", "first_us", "last_us")}
