"""Alerts against incidents that are known: how many of them are found, how soon, and how many alerts are false.

Weeks of traffic with its seasons are drawn from a seed, with incidents of every kind put into some days, some too small
to matter; other days are quiet, one is a holiday with half the messages, and every day somebody sends a campaign. Then
one looks at every five minutes of these days, by the rules that Ringback uses. They were adjusted on seeds 1, 22, 31,
32 and 41 to 46.

An alert counts as what it is in the end: a drop of conversions that turned out to be pumping is one of pumping.
``precision_as_raised`` counts it as it was first told of.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import duckdb
import msgspec

from benchmarks.report import Figure, Report, Target, progress
from ringback.analytics.alert_life import Policy
from ringback.analytics.alert_rules import Least
from ringback.model.alerts import Alert
from tests.fakes import alert_simulation
from tests.fakes.alert_simulation import Cells, PlainEngine, Score, score
from tests.fakes.incidents import KINDS, Plan, needed_days, plan
from tests.fakes.traffic import HOUR_US, Incident, fill, hour_at_us, streams

SEEDS: Final = (33, 51, 52, 53)
"""Not those that the rules were adjusted on."""
DAYS: Final = 4
PER_HOUR: Final = 1_800
SETTLE_US: Final = 10 * 60_000_000
POLICY: Final = Policy(Least(100, 20), quiet_us=HOUR_US, resolve_after=2)
"""Of looks five minutes apart."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one seed."""

    plan: Plan
    score: Score
    as_raised: Score
    """Of the same alerts, as they were before they changed."""
    changed: int
    messages: int
    looks: int
    seconds: float


def simulate(seed: int, *, days: int = DAYS, per_hour: float = PER_HOUR) -> Outcome:
    """Draw the traffic of a seed, look at it, and compare alerts with incidents."""
    began_s = time.monotonic()
    sent = streams(seed, per_hour)
    planned = plan(seed, sent, days=days)
    first, last = planned.days
    with duckdb.connect(config={"threads": "2"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        messages = fill(
            connection,
            seed=seed,
            sent=sent,
            days=needed_days(days),
            incidents=[*planned.incidents, *planned.small],
            bursts=planned.bursts,
        )
        cells = Cells(connection, SETTLE_US, until_us=hour_at_us(last * 24))
        looked = alert_simulation.run(
            cells, PlainEngine(connection), POLICY, begins_us=hour_at_us(first * 24), ends_us=hour_at_us(last * 24)
        )
        done = asyncio.run(looked)
    everything = [*planned.incidents, *planned.small]
    return Outcome(
        plan=planned,
        score=score(done.alerts, everything),
        as_raised=score(done.raised, everything),
        changed=done.changed,
        messages=messages,
        looks=done.looks,
        seconds=time.monotonic() - began_s,
    )


def run(_: Path) -> Report:
    """Look at all seeds; the details of what was missed or false go to standard error."""
    outcomes = []
    for seed in SEEDS:
        progress(f"alerts: drawing {DAYS} days and the weeks before them, seed {seed}")
        outcomes.append(simulate(seed))
    found = figures(outcomes)
    progress(json.dumps({name: found[name] for name in ("kinds", "missed", "false_alerts")}, indent=1))
    units = {
        "precision": "of 1",
        "precision_as_raised": "of 1",
        "recall": "of 1",
        "minutes_to_detect_median": "min",
        "looks": "looks",
    }
    counted = ("alerts", "incidents", "found", "false", "more_than_one_for_one", "changed")
    return Report(
        name="alerts",
        yardstick={"incidents_of_seeds": list(SEEDS), "too_small_to_count": found["too_small"]},
        figures={
            **{name: Figure(found[name] or 0.0, unit) for name, unit in units.items()},
            **{name: Figure(found[name], "") for name in counted},
        },
        targets=[Target("precision", "at least", 0.9), Target("recall", "at least", 0.9)],
    )


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count what was found: recall over incidents that have to be found, precision over all alerts."""
    wanted: dict[str, int] = defaultdict(int)
    found: dict[str, int] = defaultdict(int)
    false: dict[str, int] = defaultdict(int)
    again: dict[str, int] = defaultdict(int)
    minutes: dict[str, list[float]] = defaultdict(list)
    true = 0
    for outcome in outcomes:
        large = outcome.plan.incidents
        for incident in large:
            wanted[incident.kind] += 1
        for incident, alert in outcome.score.found:
            true += 1
            if any(incident is each for each in large):
                found[incident.kind] += 1
                minutes[incident.kind].append(_took_min(incident, alert))
        for each in outcome.score.false:
            false[each.kind] += 1
        for each in outcome.score.again:
            again[each.kind] += 1
    all_minutes = sorted(took for each in minutes.values() for took in each)
    alerts = true + sum(false.values()) + sum(again.values())
    true_as_raised = sum(len(each.as_raised.true) for each in outcomes)
    false_as_raised = sum(len(each.as_raised.false) for each in outcomes)
    return {
        "messages": sum(each.messages for each in outcomes),
        "looks": sum(each.looks for each in outcomes),
        "seconds": round(sum(each.seconds for each in outcomes)),
        "alerts": alerts,
        "incidents": sum(wanted.values()),
        "too_small": sum(len(each.plan.small) for each in outcomes),
        "found": sum(found.values()),
        "false": sum(false.values()),
        "more_than_one_for_one": sum(again.values()),
        "changed": sum(each.changed for each in outcomes),
        "precision": _part(true, true + sum(false.values())),
        "precision_where_a_second_alert_is_false": _part(true, alerts),
        "precision_as_raised": _part(true_as_raised, true_as_raised + false_as_raised),
        "recall": _part(sum(found.values()), sum(wanted.values())),
        "minutes_to_detect_median": round(median(all_minutes)) if all_minutes else None,
        "minutes_to_detect_worst": round(all_minutes[-1]) if all_minutes else None,
        "kinds": {
            kind.value: {
                "incidents": wanted[kind],
                "found": found[kind],
                "false": false[kind],
                "more_than_one_for_one": again[kind],
                "minutes_to_detect_median": round(median(minutes[kind])) if minutes[kind] else None,
            }
            for kind in KINDS
        },
        "missed": [told_incident(each) for outcome in outcomes for each in missed(outcome)],
        "false_alerts": [told_alert(each) for outcome in outcomes for each in outcome.score.false],
    }


def missed(outcome: Outcome) -> list[Incident]:
    """Return the incidents that had to be found and were not."""
    return [each for each in outcome.score.missed if any(each is one for one in outcome.plan.incidents)]


def told_incident(incident: Incident) -> str:
    """Describe an incident in a line."""
    return f"{incident.kind.value}: {incident.scope.words()}, size {incident.size:.2f}"


def told_alert(alert: Alert) -> str:
    """Describe an alert in a line."""
    first = alert.first
    return f"{alert.kind.value}: {alert.scope.words()}, {first.before:.3g} to {first.now:.3g} of {first.n_now}"


def _took_min(incident: Incident, alert: Alert) -> float:
    return (alert.raised_at_us - incident.begins_us) / 60e6


def _part(some: int, of: int) -> float | None:
    return round(some / of, 3) if of else None
