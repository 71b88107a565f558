"""One incident is one finding: the widest scope that explains it, of the kind that explains it. Pure.

When a country's deliveries drop, so do those of its forty carriers and of everybody who sends there; when one carrier's
drop, so do those of its country, a little. Three questions tell which it is:

1. *Is a scope ill as a whole?* Along each of its dimensions (the carriers of a country, the senders to it) most of the
   messages must be in parts that have got at least half as bad. A country of which one carrier is ill is not.
2. *Which is the widest that is?* That one is kept.
3. *What is left of the others without it?* From each other scope the messages that the kept one covers are taken away.
   Where the rest has no significant rise, or is too small to tell, it was the same incident.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from ringback.analytics.alert_facts import Facts
from ringback.analytics.alert_rules import (
    HALF,
    Least,
    Measure,
    Rise,
    evidence_of,
    is_large,
    is_silent,
    pumped,
    rises,
    series,
    silences,
    slow_edge,
    usual_recent,
)
from ringback.analytics.alert_tests import Compared, Series, compare, usual_share
from ringback.model.alerts import EXPLAINED_BY, WORSE_TO_BETTER, Finding, Kind, Scope

LEAST_IN_PART: Final = 30
"""Parts with fewer messages do not say whether they are ill."""
ILL_PART: Final = 0.5
"""A part is as ill as the whole when its rise is at least so much of the whole's."""
MOST: Final = 0.5
"""So much of the messages must be in ill parts."""
FEW: Final = 0.2
"""And no more than so much in parts that are well: that have risen by less, and not just by chance."""
REST_LOG10_P: Final = -4.0
"""What is left without another incident is one of its own below this chance."""
DIMENSIONS: Final = ("country", "carrier", "sender")


class Told(msgspec.Struct, frozen=True):
    """What is known already: of this kind, of these messages."""

    kind: Kind
    scope: Scope


def findings(facts: Facts, least: Least, known: Sequence[Told] = ()) -> list[Finding]:
    """Return what is wrong, each incident once; ``known`` explains what it can, and is not returned again.

    A finding that is wider than something known, and ill as a whole, is returned all the same: it is news.
    """
    parts = _Parts(facts)
    told = list(known)
    found: list[Finding] = []
    risen = rises(facts, least)
    for kind in WORSE_TO_BETTER:
        if kind in {Kind.VOLUME_DROP, Kind.PUMPING}:
            new = (_silent if kind is Kind.VOLUME_DROP else _pumped)(facts, least, told)
            found += new
            told += [Told(each.kind, each.scope) for each in new]
            continue
        of_kind = [each.scope for each in told if each.kind in EXPLAINED_BY[kind]]
        chosen = _chosen(facts, parts, [each for each in risen if each.measure.kind is kind], of_kind, least)
        found += [Finding(kind=kind, scope=each.scope, evidence=evidence_of(facts, each)) for each in chosen]
        told += [Told(kind, each.scope) for each in chosen]
    return found


def _chosen(facts: Facts, parts: "_Parts", risen: Sequence[Rise], known: Sequence[Scope], least: Least) -> list[Rise]:
    """Choose the rises of one kind that explain all others, and keep those with something that matters in them."""
    chosen: list[Rise] = []
    risen = [each for each in risen if not is_mix(facts, parts, each)]
    for rise in _in_order(facts, parts, risen):
        by = [*known, *(each.scope for each in chosen)]
        if not is_explained(facts, rise.scope, rise.measure, by, least):
            chosen.append(rise)
    # What came first may be explained by what came later: a carrier by a sender that sends there most of all.
    for rise in sorted(chosen, key=lambda each: (-each.scope.breadth(), each.compared.n_now)):
        others = [each.scope for each in chosen if each is not rise]
        if is_explained(facts, rise.scope, rise.measure, others, least):
            chosen.remove(rise)
    large = [each.scope for each in risen if is_large(each.measure, each.compared, least)]
    return [each for each in chosen if any(each.scope.contains(scope) for scope in large)]


def _silent(facts: Facts, least: Least, told: Sequence[Told]) -> list[Finding]:
    """Choose the widest silences that have a large one in them, without what they explain."""
    found = silences(facts, least)
    known = [each.scope for each in told if each.kind is Kind.VOLUME_DROP]
    chosen: list[Finding] = []
    for each in sorted(found, key=lambda each: (each.scope.breadth(), -each.evidence.n_before)):
        others = [*known, *(one.scope for one in chosen)]
        if not any(_covers(facts, other, each, least) for other in others):
            chosen.append(each)
    large = [each.scope for each in found if is_silent(each.evidence)]
    return [each for each in chosen if any(each.scope.contains(scope) for scope in large)]


def _covers(facts: Facts, other: Scope, finding: Finding, least: Least) -> bool:
    """Say whether too little is left of a silence without the messages of another one."""
    meet = other.meet(finding.scope)
    if meet is None:
        return False
    return meet == finding.scope or finding.evidence.before - usual_recent(facts, meet) < least.messages / 2


def _pumped(facts: Facts, least: Least, told: Sequence[Told]) -> list[Finding]:
    """Choose the narrowest scopes that are pumped: a sender in a country rather than the country."""
    known = [each.scope for each in told if each.kind is Kind.PUMPING]
    chosen: list[Finding] = []
    for each in sorted(pumped(facts, least), key=lambda each: (-each.scope.breadth(), each.evidence.log10_p)):
        others = [*known, *(one.scope for one in chosen)]
        if not any(scope.meet(each.scope) is not None for scope in others):
            chosen.append(each)
    return chosen


class _Parts:
    """The parts of scopes along each dimension."""

    def __init__(self, facts: Facts) -> None:
        self._parts: dict[tuple[Scope, str], list[Scope]] = {}
        for scope in facts.counts:
            for whole, along in _wholes(scope):
                if whole in facts.counts:
                    self._parts.setdefault((whole, along), []).append(scope)

    def along(self, scope: Scope) -> Iterator[list[Scope]]:
        """Yield the parts of a scope, dimension by dimension."""
        for name in DIMENSIONS:
            if found := self._parts.get((scope, name)):
                yield found


def _wholes(scope: Scope) -> Iterator[tuple[Scope, str]]:
    """Yield what a scope is a part of, with the dimension that makes the difference."""
    if scope.sender is not None:
        yield msgspec.structs.replace(scope, sender=None), "sender"
    if scope.carrier is not None:
        yield msgspec.structs.replace(scope, carrier=None), "carrier"
        yield msgspec.structs.replace(scope, carrier=None, country=None), "carrier"
    elif scope.country is not None:
        yield msgspec.structs.replace(scope, country=None), "country"


def _in_order(facts: Facts, parts: _Parts, risen: Sequence[Rise]) -> list[Rise]:
    """Sort rises so that those come first that explain others: ill as a whole, wide, unlikely."""
    return sorted(
        risen,
        key=lambda rise: (not is_whole(facts, parts, rise), rise.scope.breadth(), rise.compared.log10_p),
    )


def is_whole(facts: Facts, parts: _Parts, rise: Rise) -> bool:
    """Say whether a scope is ill as a whole: along every dimension of which enough is known."""
    for along in parts.along(rise.scope):
        known = _known(facts, rise, along)
        total = sum(each.n_now for each in known)
        if len(known) < 2 or total < rise.compared.n_now / 2:
            continue
        enough = ILL_PART * rise.compared.rise
        ill = sum(each.n_now for each in known if each.rise >= enough)
        well = sum(each.n_now for each in known if each.rise + each.error() < enough)
        if ill < MOST * total or well > FEW * total:
            return False
    return True


def is_mix(facts: Facts, parts: _Parts, rise: Rise) -> bool:
    """Say whether it is mostly another mix: with as many of each part as today, it always was nearly as bad.

    When the country goes silent in which all receipts come, what is left of a sender is the one where none ever came.
    """
    compared = rise.compared
    return any(
        compared.now - _expected(facts, rise, along) < ILL_PART * compared.rise for along in parts.along(rise.scope)
    )


def _expected(facts: Facts, rise: Rise, along: Sequence[Scope]) -> float:
    """Return the share there would be if each part were as it was; what is too small to compare is taken together."""
    whole = series(facts, rise.scope, rise.measure)
    rest = {day: list(pair) for day, pair in whole.items()}
    bad = 0.0
    for scope in along:
        part = series(facts, scope, rise.measure)
        usual = usual_share(part)
        if usual is None:
            continue
        bad += usual * part.get(0, (0, 0))[1]
        for day, pair in part.items():
            if day in rest:
                rest[day][0] -= pair[0]
                rest[day][1] -= pair[1]
    usual = usual_share({day: (max(hits, 0), max(of, 0)) for day, (hits, of) in rest.items()})
    return (bad + (rise.compared.before if usual is None else usual) * max(rest[0][1], 0)) / rise.compared.n_now


def _known(facts: Facts, rise: Rise, along: Sequence[Scope]) -> list[Compared]:
    """Compare the parts of which enough is known."""
    return [
        compared
        for scope in along
        if (compared := compare(series(facts, scope, at(facts, scope, rise.measure)))) is not None
        and compared.n_now >= LEAST_IN_PART
    ]


def at(facts: Facts, scope: Scope, measure: Measure) -> Measure:
    """Return the measure for a part: what is slow there goes by what is usual there."""
    if measure.kind is not Kind.LATENCY_RISE:
        return measure
    edge = slow_edge(facts.counts[scope])
    return measure if edge is None else Measure(measure.kind, edge=edge)


def is_explained(facts: Facts, scope: Scope, measure: Measure, by: Sequence[Scope], least: Least) -> bool:
    """Say whether nothing is left of a rise without the messages of other scopes."""
    meets = {meet for other in by if (meet := scope.meet(other)) is not None}
    if not meets:
        return False
    if scope in meets:
        return True
    left = _without(facts, scope, measure, meets)
    compared = compare(left)
    if compared is None or compared.n_now < least.messages:
        return True
    return compared.log10_p > REST_LOG10_P or not is_large(measure, compared, least, part=HALF)


def _without(facts: Facts, scope: Scope, measure: Measure, taken: set[Scope]) -> Series:
    """Return a series without the messages of other scopes; those that are of two of them are taken once."""
    taken = {each for each in taken if not any(other != each and other.contains(each) for other in taken)}
    left = {day: list(pair) for day, pair in series(facts, scope, measure).items()}
    both = {meet for one, other in combinations(taken, 2) if (meet := one.meet(other)) is not None}
    for sign, scopes in ((-1, taken), (1, both)):
        for each in scopes:
            for day, (bad, of) in series(facts, each, measure).items():
                if day in left:
                    left[day][0] += sign * bad
                    left[day][1] += sign * of
    return {day: (max(bad, 0), max(of, 0)) for day, (bad, of) in left.items()}
