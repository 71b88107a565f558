"""From the findings of one look, and the alerts there are, to what becomes of them. Pure.

::

    finding ──> open ──(not found for `resolve_after` looks)──> resolved ──(quiet period)──> may be raised anew
                 │ ^ still on: its figures go along; that it has got worse, or wider, is noted
                 └─┘

An alert that is open, quiet or muted explains findings as an accepted one does (``alert_scopes``): what it covers is
not raised again. A finding that is wider than an open alert widens it. Where that covers others too, they are merged
into it.

**What turns out to be another thing changes.** The first messages of pumping look like a drop of conversions, and those
of a sender's trouble like trouble in the country that most of them go to. When the finding comes that leaves nothing of
the open alert, the alert becomes that: two alerts would be one too many. It is told, and has to be acknowledged anew.
"""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ringback.analytics.alert_facts import WINDOW_US, Facts
from ringback.analytics.alert_rules import (
    LEAST_RISE,
    Least,
    Measure,
    Rise,
    evidence_of,
    is_large,
    is_still_on,
    measure_of,
    series,
)
from ringback.analytics.alert_scopes import Told, findings, is_explained
from ringback.analytics.alert_tests import compare
from ringback.model.alerts import EXPLAINED_BY, Alert, Evidence, Finding, Kind, State
from ringback.model.ids import NewId

WORSE_BY: Final = 1.5
"""That an alert has got worse is noted when the difference is so many times what was noted last."""
CLEARER_LOG10_P: Final = 2.0
"""A scope takes the place of another one where it is so much less likely by chance."""
CERTAIN_LOG10_P: Final = -6.0
"""An error spike whose failures are, with this chance, a drop of deliveries as well is called one."""


class Policy(msgspec.Struct, frozen=True):
    """What the settings say."""

    least: Least
    quiet_us: int
    resolve_after: int
    """Looks in a row without it."""


class Change(msgspec.Struct, frozen=True):
    """What becomes of an alert."""

    alert: Alert
    """As it is from now on."""
    what: str
    """``raised``, ``kept``, ``worsened``, ``widened``, ``changed`` or ``resolved``."""


def look(facts: Facts, alerts: Sequence[Alert], policy: Policy, new_id: NewId) -> list[Change]:
    """Decide. ``alerts`` are those that are open, and those that were resolved or muted lately."""
    now_us = facts.at_us
    live = {each.id: each for each in alerts if each.state is State.OPEN}
    known = [each for each in alerts if each.id in live or each.is_quiet(now_us, policy.quiet_us)]
    changes: dict[str, Change] = {}
    found = findings(facts, policy.least, [Told(each.kind, each.scope) for each in known])
    for finding in found:
        same = sorted(
            (each for each in live.values() if _widens(finding, each) or _is_left_by(finding, each, facts, policy)),
            key=lambda each: each.raised_at_us,
        )
        if same:
            changes |= {each.alert.id: each for each in _become(finding, same, now_us)}
            for each in same:
                del live[each.id]
        elif not _is_hushed(finding, alerts, now_us):
            raised = _raise(finding, new_id(now_us), now_us)
            changes[raised.id] = Change(raised, "raised")
    settled = [each for each in known if each.id not in live and each.id not in changes]
    settled += [each.alert for each in changes.values() if each.alert.state is State.OPEN]
    for finding, alert in _better(facts, policy, settled, live.values()):
        changes |= {each.alert.id: each for each in _become(finding, [alert], now_us)}
        del live[alert.id]
    for each in live.values():
        changes[each.id] = _go_on(each, facts, policy)
    return list(changes.values())


def _better(
    facts: Facts, policy: Policy, settled: Sequence[Alert], live: Collection[Alert]
) -> list[tuple[Finding, Alert]]:
    """Look afresh at what young alerts are about: of few messages it was hard to say which scope explains them.

    What is found instead must be much less likely by chance, so that an alert does not go to and fro.
    """
    young = [each for each in live if each.raised_at_us + WINDOW_US > facts.at_us]
    if not young:
        return []
    old = [each for each in live if each not in young]
    afresh = findings(facts, policy.least, [Told(each.kind, each.scope) for each in (*settled, *old)])
    still = {(each.kind, each.scope) for each in afresh}
    better = []
    for alert in young:
        if (alert.kind, alert.scope) in still:
            continue
        fits = [each for each in afresh if each.kind is alert.kind and _is_left_by(each, alert, facts, policy)]
        if fits and _is_clearer(fits[0], alert, facts, policy):
            better.append((fits[0], alert))
            afresh.remove(fits[0])
    return better


def _is_clearer(finding: Finding, alert: Alert, facts: Facts, policy: Policy) -> bool:
    now = is_still_on(facts, alert.kind, alert.scope, alert.latest, policy.least)
    return now is None or finding.evidence.log10_p < now.log10_p - CLEARER_LOG10_P


def _widens(finding: Finding, alert: Alert) -> bool:
    """Say whether a finding is the same thing in more messages; a drop of conversions is never more of another kind."""
    either = alert.kind in EXPLAINED_BY[finding.kind] and finding.kind in EXPLAINED_BY[alert.kind]
    return either and finding.scope.contains(alert.scope)


def _is_left_by(finding: Finding, alert: Alert, facts: Facts, policy: Policy) -> bool:
    """Say whether nothing is left of an alert without the messages of a finding that explains it.

    What somebody has muted stays what it is: the finding is news to them.
    """
    if alert.kind not in LEAST_RISE or finding.kind not in EXPLAINED_BY[alert.kind] or alert.is_muted(facts.at_us):
        return False
    measure = measure_of(facts, alert.kind, alert.scope, alert.latest)
    return measure is not None and is_explained(facts, alert.scope, measure, [finding.scope], policy.least)


def _is_hushed(finding: Finding, alerts: Sequence[Alert], now_us: int) -> bool:
    """Say whether somebody has muted what the finding is about."""
    return any(
        each.is_muted(now_us) and each.kind in EXPLAINED_BY[finding.kind] and each.scope == finding.scope
        for each in alerts
    )


def _raise(finding: Finding, id_: str, now_us: int) -> Alert:
    return Alert(
        id=id_,
        kind=finding.kind,
        scope=finding.scope,
        state=State.OPEN,
        raised_at_us=now_us,
        first=finding.evidence,
        latest=finding.evidence,
        worst=finding.evidence,
        seen_at_us=now_us,
    )


def _become(finding: Finding, same: Sequence[Alert], now_us: int) -> list[Change]:
    """Make the oldest of the alerts what the finding is, and merge the others into it."""
    oldest = same[0]
    new = msgspec.structs.replace(
        oldest,
        kind=finding.kind,
        scope=finding.scope,
        latest=finding.evidence,
        worst=finding.evidence,
        seen_at_us=now_us,
        clear_looks=0,
    )
    what = "widened"
    if not _widens(finding, oldest):
        what, new = "changed", msgspec.structs.replace(new, acknowledged_at_us=None, acknowledged_by=None)
    return [Change(new, what), *(Change(resolved(each, now_us, by="merged"), "resolved") for each in same[1:])]


def _go_on(alert: Alert, facts: Facts, policy: Policy) -> Change:
    evidence = is_still_on(facts, alert.kind, alert.scope, alert.latest, policy.least)
    if evidence is None:
        unseen = msgspec.structs.replace(alert, clear_looks=alert.clear_looks + 1)
        if unseen.clear_looks >= policy.resolve_after:
            return Change(resolved(unseen, facts.at_us, by="itself"), "resolved")
        return Change(unseen, "kept")
    if alert.kind is Kind.PUMPING:
        evidence = msgspec.structs.replace(evidence, prefixes=alert.latest.prefixes)
    alert = msgspec.structs.replace(alert, seen_at_us=facts.at_us, clear_looks=0)
    if alert.kind is Kind.ERROR_SPIKE and (drop := _drop(alert, facts, policy.least)) is not None:
        dropped = msgspec.structs.replace(alert, kind=Kind.DELIVERY_DROP, latest=drop, worst=drop)
        return Change(dropped, "worsened")
    alert = msgspec.structs.replace(alert, latest=evidence)
    if difference(evidence) >= WORSE_BY * difference(alert.worst):
        return Change(msgspec.structs.replace(alert, worst=evidence), "worsened")
    return Change(alert, "kept")


def _drop(alert: Alert, facts: Facts, least: Least) -> Evidence | None:
    """Return the drop of deliveries that an error spike has become."""
    measure = Measure(Kind.DELIVERY_DROP)
    compared = compare(series(facts, alert.scope, measure))
    if compared is None or not is_large(measure, compared, least) or compared.log10_p > CERTAIN_LOG10_P:
        return None
    return evidence_of(facts, Rise(alert.scope, measure, compared))


def resolved(alert: Alert, now_us: int, *, by: str) -> Alert:
    """Return the alert as it is when it is over."""
    return msgspec.structs.replace(alert, state=State.RESOLVED, resolved_at_us=now_us, resolved_by=by)


def difference(evidence: Evidence) -> float:
    """Return how bad it is, in the unit of the figures."""
    return abs(evidence.now - evidence.before)
