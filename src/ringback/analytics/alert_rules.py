"""What is wrong: from the facts of one look to findings. Pure.

Every rule but those of volume asks whether a share of bad messages has risen: failed, failed with one code, without
receipt, slower than twice the usual 95th percentile, not converted. A rise is a finding when it is large enough for
anybody to care (``Rule.least_rise``), rests on enough messages, and is too unlikely to be chance.

**Many tests.** With 2,000 senders one look makes some ten thousand tests, and there are 1,440 looks a day. The chance
that a look may be wrong at all (``FALSE_LOOK``) is shared among its tests (Bonferroni): each must be that much less
likely. Looks a minute apart have 59 of their 60 minutes in common: a day has about as many looks of its own as hours.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Final

import msgspec

from ringback.analytics.alert_facts import DAYS, EDGES_MS, RECENT_US, WEEKS, WINDOW_US, Counts, Facts
from ringback.analytics.alert_tests import LEAST_IN_WINDOW, Compared, Series, compare, log10_few, quantile_ms, windows
from ringback.model.alerts import Evidence, Finding, Kind, Scope

FALSE_LOOK: Final = 0.0005
LEAST_RISE: Final = {
    Kind.DELIVERY_DROP: 0.08,
    Kind.ERROR_SPIKE: 0.03,
    Kind.NO_RECEIPT_SPIKE: 0.10,
    Kind.LATENCY_RISE: 0.10,
    Kind.CONVERSION_DROP: 0.10,
}
"""By how much a share must have risen, at least."""
ERROR_TIMES: Final = 3.0
"""An error must be so many times as frequent."""
SLOWER_TIMES: Final = 2.0
"""Slow is what takes so many times the usual 95th percentile."""
HALF: Final = 0.5
STILL_LOG10_P: Final = -2.5
"""An alert that is open is still on at half the rise, and at a chance that is much larger."""
SILENCE: Final = 0.10
NEARLY: Final = 0.25
STEADY: Final = 0.5
SLACK: Final = 0.35
"""Volume has dropped when a tenth is left of what always came, in what is wider a quarter. Always: in each window half
the median, at least.
By chance alone: where only so much of the median was to be expected, as on a holiday."""
STILL_SILENCE: Final = 0.35
VOLUME_TIMES: Final = 2.0
CROWDED: Final = 0.5
CROWDED_MORE: Final = 0.2
"""Pumping: so many times the messages, half of what is more in a few ranges, which were not as crowded before."""
CONVERTS: Final = 0.4
"""Of what goes there, less than this part of the usual share converts."""
ELSEWHERE: Final = "elsewhere"
"""What pumping is compared with where nobody sent before."""


class Least(msgspec.Struct, frozen=True):
    """Counts below which there is no finding."""

    messages: int
    failures: int


class Measure(msgspec.Struct, frozen=True):
    """What is counted as bad."""

    kind: Kind
    code: str | None = None
    edge: int = 0
    """Of latencies: index of ``EDGES_MS``."""


class Rise(msgspec.Struct, frozen=True):
    """A share that has risen, with how to measure it elsewhere."""

    scope: Scope
    measure: Measure
    compared: Compared


_COUNTED: Final[Mapping[Kind, Callable[[Counts], tuple[int, int]]]] = {
    # Of all, not of those with a receipt: where receipts are missing, failures are no more than before.
    Kind.DELIVERY_DROP: lambda c: (c.decided - c.delivered, c.decided + c.silent),
    Kind.NO_RECEIPT_SPIKE: lambda c: (c.silent, c.handed),
    Kind.CONVERSION_DROP: lambda c: (c.trackable - c.converted, c.trackable),
}


def series(facts: Facts, scope: Scope, measure: Measure) -> Series:
    """Return bad messages and all of them, by window."""
    counts = facts.counts.get(scope, {})
    if measure.kind is Kind.ERROR_SPIKE:
        found = facts.errors.get(scope, {}).get(measure.code or "", {})
        return {day: (found.get(day, 0), each.decided + each.silent) for day, each in counts.items()}
    if measure.kind is Kind.LATENCY_RISE:
        return {day: (each.over[measure.edge], each.timed) for day, each in counts.items()}
    count = _COUNTED[measure.kind]
    return {day: count(each) for day, each in counts.items()}


def rises(facts: Facts, least: Least) -> list[Rise]:
    """Return the shares that have risen, of every scope, whether one explains another or not.

    Half of what anybody cares about is enough here, and ``is_large`` tells those that are enough for an alert: when an
    incident begins, some small part of it is the first to be large, by chance.
    """
    tried = [
        (scope, measure, compared)
        for scope in facts.counts
        for measure in _measures(facts, scope, least)
        if (compared := compare(series(facts, scope, measure))) is not None and compared.n_now >= least.messages
    ]
    limit = math.log10(FALSE_LOOK / max(len(tried), 1))
    return [
        Rise(scope, measure, compared)
        for scope, measure, compared in tried
        if is_large(measure, compared, least, part=HALF) and compared.log10_p < limit
    ]


def is_large(measure: Measure, compared: Compared, least: Least, *, part: float = 1.0) -> bool:
    """Say whether anybody cares; ``part`` of the usual rise is enough."""
    if compared.bad_now < least.failures * part or compared.rise < LEAST_RISE[measure.kind] * part:
        return False
    if measure.kind is Kind.ERROR_SPIKE:
        return compared.now >= ERROR_TIMES * part * compared.before
    return True


def _measures(facts: Facts, scope: Scope, least: Least) -> Iterator[Measure]:
    counts = facts.counts[scope]
    if 0 not in counts or counts[0].messages < least.messages:
        return
    yield Measure(Kind.DELIVERY_DROP)
    yield Measure(Kind.NO_RECEIPT_SPIKE)
    if counts[0].trackable >= least.messages:
        yield Measure(Kind.CONVERSION_DROP)
    if (edge := slow_edge(counts)) is not None:
        yield Measure(Kind.LATENCY_RISE, edge=edge)
    for code, found in facts.errors.get(scope, {}).items():
        if found.get(0, 0) >= least.failures:
            yield Measure(Kind.ERROR_SPIKE, code=code)


def slow_edge(counts: Mapping[int, Counts]) -> int | None:
    """Return the first edge at or above twice the usual 95th percentile, ``None`` where that cannot be told."""
    usual = usual_p95_ms(counts)
    if usual is None:
        return None
    return next((at for at, edge in enumerate(EDGES_MS) if edge >= SLOWER_TIMES * usual), None)


def usual_p95_ms(counts: Mapping[int, Counts]) -> float | None:
    """Return the median of the 95th percentiles of the windows compared with."""
    chosen = windows({day: each.timed for day, each in counts.items() if day})
    if chosen is None:
        return None
    return median(quantile_ms(counts[day].timed, counts[day].over, EDGES_MS, 0.95) for day in chosen[1])


def is_still_on(facts: Facts, kind: Kind, scope: Scope, evidence: Evidence, least: Least) -> Evidence | None:
    """Return the figures of now of an alert that is not over, judged more mildly than a new one; else ``None``."""
    if scope not in facts.counts:
        return None
    if kind is Kind.VOLUME_DROP:
        silence = quieter(facts, scope)
        return silence if silence is not None and silence.now <= STILL_SILENCE * silence.before else None
    measure = measure_of(facts, kind, scope, evidence)
    if measure is None:
        return None
    is_first = evidence.compared_with == ELSEWHERE
    compared = with_elsewhere(facts, scope) if is_first else compare(series(facts, scope, measure))
    if compared is None:
        return None
    if not is_large(measure, compared, least, part=HALF) or compared.log10_p > STILL_LOG10_P:
        return None
    return evidence_of(facts, Rise(scope, measure, compared))


def measure_of(facts: Facts, kind: Kind, scope: Scope, evidence: Evidence) -> Measure | None:
    """Return what an alert of a share goes by now; ``None`` where it cannot be told what is slow."""
    if kind is Kind.LATENCY_RISE:
        edge = slow_edge(facts.counts.get(scope, {}))
        return None if edge is None else Measure(kind, edge=edge)
    if kind is Kind.PUMPING:
        return Measure(Kind.CONVERSION_DROP)
    return Measure(kind, evidence.error_code if kind is Kind.ERROR_SPIKE else None)


def evidence_of(facts: Facts, rise: Rise) -> Evidence:
    """Write a rise as people know it: a delivery rate that fell, not a share of failures that rose."""
    compared, kind = rise.compared, rise.measure.kind
    before, now = compared.before, compared.now
    measure = {Kind.ERROR_SPIKE: "error_share", Kind.NO_RECEIPT_SPIKE: "no_receipt_share"}.get(kind, "")
    code = rise.measure.code
    if kind is Kind.CONVERSION_DROP:
        measure, before, now = "conversion_rate", 1 - before, 1 - now
    if kind is Kind.DELIVERY_DROP:
        measure, code = "delivery_rate", _main_error(facts, rise)
        before, now = _delivery_rates(facts.counts[rise.scope])
    if kind is Kind.LATENCY_RISE:
        counts = facts.counts[rise.scope]
        measure, before = "p95_ms", usual_p95_ms(counts) or 0.0
        now = quantile_ms(counts[0].timed, counts[0].over, EDGES_MS, 0.95)
    until_us = facts.at_us - facts.settle_us
    return Evidence(
        measure=measure,
        before=before,
        now=now,
        n_before=compared.n_before,
        n_now=compared.n_now,
        bad_now=compared.bad_now,
        log10_p=compared.log10_p,
        compared_with=compared.with_what,
        since_us=until_us - WINDOW_US,
        until_us=until_us,
        error_code=code,
    )


def _delivery_rates(counts: Mapping[int, Counts]) -> tuple[float, float]:
    """Return the delivery rate of before and now, as everywhere: of what was delivered, undelivered or failed."""
    chosen = windows({day: each.decided for day, each in counts.items() if day})
    before = median(counts[day].delivered / counts[day].decided for day in chosen[1]) if chosen else 0.0
    return before, counts[0].delivered / counts[0].decided if counts[0].decided else 0.0


def _main_error(facts: Facts, rise: Rise) -> str | None:
    """Return the code that accounts for half of what fails in addition, ``None`` where there is none."""
    more = rise.compared.rise * rise.compared.n_now
    best: tuple[float, str] = (0.0, "")
    for code in facts.errors.get(rise.scope, {}):
        compared = compare(series(facts, rise.scope, Measure(Kind.ERROR_SPIKE, code=code)))
        if code and compared is not None:
            best = max(best, (compared.rise * compared.n_now, code))
    return best[1] if best[0] >= more / 2 else None


# ---- volume ----


def silences(facts: Facts, least: Least) -> list[Finding]:
    """Return the scopes in which little comes though something always did; ``is_silent`` tells what is enough."""
    tried = [
        (scope, found)
        for scope in facts.counts
        if (found := quieter(facts, scope)) is not None and found.before >= least.messages / 2
    ]
    limit = math.log10(FALSE_LOOK / max(len(tried), 1))
    return [
        Finding(kind=Kind.VOLUME_DROP, scope=scope, evidence=found)
        for scope, found in tried
        if found.now <= NEARLY * found.before and found.log10_p < limit
    ]


def is_silent(evidence: Evidence) -> bool:
    """Say whether hardly anything is left: that is enough for an alert."""
    return evidence.now <= SILENCE * evidence.before


def usual_recent(facts: Facts, scope: Scope) -> float:
    """Return how many messages usually come in the window of volume."""
    sizes = {day: each.recent for day, each in facts.counts.get(scope, {}).items() if day}
    chosen = windows(sizes)
    return median(sizes[day] for day in chosen[1]) if chosen else 0.0


def quieter(facts: Facts, scope: Scope) -> Evidence | None:
    """Compare the messages of the last half hour with before; ``None`` where traffic was never steady."""
    counts = facts.counts[scope]
    sizes = {day: each.recent for day, each in counts.items()}
    chosen = windows({day: size for day, size in sizes.items() if day})
    if chosen is None or len(chosen[1]) < 3:
        return None
    with_what, days = chosen
    usual = median(sizes[day] for day in days)
    # Those that had none count too: who is silent every other week is silent today without news.
    past = [sizes.get(day, 0) for day in (WEEKS if with_what == "weeks" else DAYS)]
    if sum(size < STEADY * usual for size in past) > (1 if with_what == "weeks" else 0):
        return None
    now = sizes.get(0, 0)
    return Evidence(
        measure="messages",
        before=usual,
        now=now,
        n_before=sum(sizes[day] for day in days),
        n_now=now,
        bad_now=max(round(usual) - now, 0),
        log10_p=log10_few(now, SLACK * usual) if now < usual else 0.0,
        compared_with=with_what,
        since_us=facts.at_us - RECENT_US,
        until_us=facts.at_us,
    )


# ---- pumping ----


def suspects(facts: Facts, least: Least) -> list[Scope]:
    """Return countries, and senders in one, with many more messages of which few convert: pumping needs a look."""
    return [
        scope
        for scope in facts.counts
        if scope.country and not scope.carrier and _grown(facts, scope, least) is not None
    ]


def pumped(facts: Facts, least: Least) -> list[Finding]:
    """Return the suspects whose additional messages go to few ranges of numbers, where hardly any convert.

    What else has come in addition does not matter: a campaign of the same sender at the same time hides nothing.
    """
    found = []
    for scope, crowds in facts.crowds.items():
        rise = _grown(facts, scope, least)
        now = crowds.get(0)
        if rise is None or now is None or now.trackable < least.failures:
            continue
        past = [crowds[day].share() for day in (1, 7) if day in crowds and crowds[day].messages >= LEAST_IN_WINDOW]
        more = now.messages - _usual(facts.counts[scope])
        crowded = sum(count for _, count in now.top) >= CROWDED * more
        few_convert = now.converted <= CONVERTS * (1 - rise.compared.before) * now.trackable
        if crowded and few_convert and now.share() >= max(past, default=0.0) + CROWDED_MORE:
            prefixes = tuple(prefix for prefix, count in now.top if count >= now.messages / 50)
            evidence = msgspec.structs.replace(evidence_of(facts, rise), prefixes=prefixes)
            found.append(Finding(kind=Kind.PUMPING, scope=scope, evidence=evidence))
    return found


def with_elsewhere(facts: Facts, scope: Scope) -> Compared | None:
    """Compare what does not convert where nobody sent before with what the sender, else everybody, sent elsewhere."""
    measure = Measure(Kind.CONVERSION_DROP)
    now = series(facts, scope, measure).get(0, (0, 0))
    for other in (Scope(sender=scope.sender), Scope()):
        compared = compare({**series(facts, other, measure), 0: now})
        if compared is not None:
            return msgspec.structs.replace(compared, with_what=ELSEWHERE)
    return None


def _usual(counts: Mapping[int, Counts]) -> float:
    chosen = windows({day: each.messages for day, each in counts.items() if day})
    return median(counts[day].messages for day in chosen[1]) if chosen else 0.0


def _grown(facts: Facts, scope: Scope, least: Least) -> Rise | None:
    """Return the rise of unconverted messages where volume is up."""
    counts = facts.counts[scope]
    if 0 not in counts:
        return None
    usual, now = _usual(counts), counts[0]
    if now.messages < VOLUME_TIMES * usual or now.messages - usual < least.messages:
        return None
    measure = Measure(Kind.CONVERSION_DROP)
    is_first = all(each.messages < LEAST_IN_WINDOW for day, each in counts.items() if day)
    # With some messages before, yet too few to say how many are usual, nothing has grown for sure.
    if usual == 0 and not is_first:
        return None
    compared = with_elsewhere(facts, scope) if is_first else compare(series(facts, scope, measure))
    if compared is None or not is_large(measure, compared, least) or compared.log10_p > math.log10(FALSE_LOOK) - 3:
        return None
    return Rise(scope, measure, compared)
