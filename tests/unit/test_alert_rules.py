"""The rules of alerts on facts that are written out: what is found, where, and what is not."""

import math
from collections.abc import Mapping

import msgspec
import pytest

from ringback.analytics.alert_facts import EDGES_MS, Counts, Crowd, Facts
from ringback.analytics.alert_life import Policy, look
from ringback.analytics.alert_rules import Least, suspects
from ringback.analytics.alert_scopes import Told, findings
from ringback.analytics.alert_tests import compare, log10_few, log10_many, log10_tail, quantile_ms, windows
from ringback.model.alerts import Alert, Kind, Scope, State, chance_in_words
from tests.fakes.ids import counting_ids

MINUTE_US = 60_000_000
NOW_US = 1_764_000_000_000_000
LEAST = Least(100, 20)
WEEKS = (7, 14, 21, 28)
INDIA = Scope(country="IN")
NEW = Scope(country="LV", sender="ACME")
SENDER = Scope(sender="ACME")
CARRIERS = tuple(Scope(country="IN", carrier=f"404-{number}") for number in (20, 45, 70))


def counts(n: int = 400, *, failed: int = 20, silent: int = 8, converted: int = 0, slow: int = 8) -> Counts:
    """Make counts of an hour: 5 % fail, 2 % have no receipt, 2 % take more than 2 minutes."""
    delivered = n - failed - silent
    over = tuple(delivered if edge < 1_500 else slow * 4 if edge < 20_000 else slow for edge in EDGES_MS)
    return Counts(n, n // 2, n - silent, delivered, n, silent, n if converted else 0, converted, delivered, over)


def facts(now: Mapping[Scope, Counts], usual: Mapping[Scope, Counts] | None = None, *, at_us: int = NOW_US) -> Facts:
    """Make facts: what is now, and what was in each of four weeks."""
    before = usual or {scope: counts() for scope in now}
    by_scope = {scope: {0: now[scope], **dict.fromkeys(WEEKS, before[scope])} for scope in now}
    return Facts(at_us, 10 * MINUTE_US, by_scope, {})


def found(given: Facts, *known: Told) -> list[tuple[str, Scope]]:
    """Return kinds and scopes of what is found."""
    return [(each.kind.value, each.scope) for each in findings(given, LEAST, known)]


def test_nothing_is_wrong() -> None:
    assert found(facts({INDIA: counts(), Scope(): counts()})) == []


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        (counts(failed=90), "delivery_drop"),
        (counts(silent=90), "no_receipt_spike"),
        (counts(slow=100), "latency_rise"),
    ],
)
def test_each_share_that_rises_is_found(now: Counts, kind: str) -> None:
    assert found(facts({INDIA: now})) == [(kind, INDIA)]


def test_a_conversion_drop() -> None:
    given = facts({INDIA: counts(converted=180)}, {INDIA: counts(converted=300)})
    assert found(given) == [("conversion_drop", INDIA)]


def test_an_error_that_is_no_drop_yet() -> None:
    given = facts({INDIA: counts(failed=40)})
    errors = {INDIA: {"30": {0: 25, **dict.fromkeys(WEEKS, 2)}}}
    given = Facts(given.at_us, given.settle_us, given.counts, errors)
    (finding,) = findings(given, LEAST)
    assert (finding.kind, finding.evidence.error_code, finding.evidence.bad_now) == (Kind.ERROR_SPIKE, "30", 25)


@pytest.mark.parametrize(
    "now",
    [
        counts(90, failed=40, silent=2, slow=2),  # too few messages
        counts(failed=38),  # too small a rise
        counts(100, failed=15, silent=2, slow=2),  # too few failures
    ],
)
def test_what_is_too_small_is_not_found(now: Counts) -> None:
    assert found(facts({INDIA: now})) == []


def test_weeks_that_differ_make_a_difference_no_news() -> None:
    wild = {day: counts(failed=failed) for day, failed in zip(WEEKS, (10, 60, 110, 30), strict=True)}
    given = Facts(NOW_US, 10 * MINUTE_US, {INDIA: {0: counts(failed=90), **wild}}, {})
    assert found(given) == []


def test_a_country_as_a_whole_is_one_finding() -> None:
    now = {INDIA: counts(1200, failed=300), **{each: counts(failed=100) for each in CARRIERS}}
    usual = {INDIA: counts(1200, failed=60), **{each: counts() for each in CARRIERS}}
    assert found(facts(now, usual)) == [("delivery_drop", INDIA)]


def test_one_carrier_is_not_its_country() -> None:
    now = {INDIA: counts(1200, failed=240), **{each: counts() for each in CARRIERS}, CARRIERS[0]: counts(failed=200)}
    usual = {INDIA: counts(1200, failed=60), **{each: counts() for each in CARRIERS}}
    assert found(facts(now, usual)) == [("delivery_drop", CARRIERS[0])]


def test_what_is_known_is_not_found_again() -> None:
    given = facts({INDIA: counts(failed=90)})
    assert found(given, Told(Kind.DELIVERY_DROP, INDIA)) == []
    assert found(given, Told(Kind.ERROR_SPIKE, INDIA)) == []
    assert found(given, Told(Kind.VOLUME_DROP, INDIA)) == [("delivery_drop", INDIA)]


def test_silence_where_there_was_traffic() -> None:
    gone = Counts(200, 3, 190, 180, 200, 10, 0, 0, 180, (0,) * len(EDGES_MS))
    half = Counts(200, 90, 190, 180, 200, 10, 0, 0, 180, (0,) * len(EDGES_MS))
    assert found(facts({INDIA: gone}, {INDIA: counts()})) == [("volume_drop", INDIA)]
    assert found(facts({INDIA: half}, {INDIA: counts()})) == []


def test_pumping_is_crowded() -> None:
    usual, now = counts(converted=300), counts(1600, failed=20, silent=8, converted=310)
    given = facts({INDIA: now}, {INDIA: usual})
    spread, crowded = Crowd(1600, (("9190", 30),), 30, 1), Crowd(1600, (("9199", 700), ("9198", 500)), 1200, 20)
    converting = Crowd(1600, (("9199", 700), ("9198", 500)), 1200, 400)
    before = {1: Crowd(400, (("9190", 10),)), 7: Crowd(400, (("9191", 9),))}

    def kinds(crowd: Crowd) -> list[str]:
        with_crowds = Facts(given.at_us, given.settle_us, given.counts, {}, {INDIA: {0: crowd, **before}})
        return [each.kind.value for each in findings(with_crowds, LEAST)]

    assert kinds(crowded) == ["pumping"]
    assert kinds(spread) == kinds(converting) == ["conversion_drop"]


@pytest.mark.parametrize("elsewhere", [SENDER, Scope()])
def test_pumping_into_a_country_that_had_no_traffic(elsewhere: Scope) -> None:
    usual = {elsewhere: counts(1000, converted=750)}
    given = facts(usual, usual)
    crowded, spread = Crowd(300, (("371", 120), ("372", 90)), 210, 2), Crowd(300, (("371", 12),), 12, 0)

    def first(now: Counts, crowd: Crowd, at_us: int = NOW_US) -> Facts:
        by_scope = {**given.counts, NEW: {0: now, 7: counts(2, failed=0, silent=0)}}
        return Facts(at_us, given.settle_us, by_scope, {}, {NEW: {0: crowd, 7: Crowd(2, (("379", 2),))}})

    launch, pumping = counts(300, converted=220), counts(300, converted=3)
    assert (suspects(first(launch, spread), LEAST), suspects(first(pumping, crowded), LEAST)) == ([], [NEW])
    assert found(first(launch, crowded)) == found(first(pumping, spread)) == []
    (raised,) = look(first(pumping, crowded), [], POLICY, counting_ids())
    evidence = raised.alert.first
    assert (raised.alert.kind, raised.alert.scope, evidence.compared_with) == (Kind.PUMPING, NEW, "elsewhere")
    assert (evidence.before, evidence.now) == (pytest.approx(0.75), pytest.approx(0.01))

    later = first(pumping, crowded, NOW_US + MINUTE_US)
    assert [(each.what, each.alert.clear_looks) for each in look(later, [raised.alert], POLICY, counting_ids())] == [
        ("kept", 0)
    ]


def test_what_is_compared_with() -> None:
    assert windows(dict.fromkeys(WEEKS, 50)) == ("weeks", WEEKS)
    assert windows(dict.fromkeys((7, 14), 50) | dict.fromkeys((1, 2, 3), 50)) == ("days", (1, 2, 3, 7))
    assert windows({1: 50}) == ("day", (1,))
    assert windows({2: 50}) is None
    assert windows(dict.fromkeys(WEEKS, 5)) is None
    assert compare({0: (50, 100)}) is None


def test_chances() -> None:
    assert log10_tail(0) == pytest.approx(-0.30103, abs=1e-4)
    assert log10_tail(5) == pytest.approx(-6.5426, abs=1e-3)
    assert log10_tail(29.9) > log10_tail(30.1) > -210
    assert log10_few(0, 10) == pytest.approx(-4.3429, abs=1e-3)
    assert log10_few(5, 5) == pytest.approx(-0.2103, abs=1e-3)
    assert chance_in_words(-4.3) == "about 1 in 10,000"
    assert chance_in_words(-0.5) == "more than 1 in 10"
    assert chance_in_words(-30) == "less than 1 in a billion"


def test_the_chance_of_many_is_counted_out() -> None:
    by_hand = math.log10(sum(math.comb(100, k) * 0.05**k * 0.95 ** (100 - k) for k in range(15, 101)))
    assert log10_many(15, 100, 0.05, 1e-5) == pytest.approx(by_hand, abs=1e-4)
    assert log10_many(15, 100, 0.05, 0.02) > log10_many(15, 100, 0.05, 0.01) > by_hand
    # Mean 1/2 and weight 2: every count is as likely as another.
    assert log10_many(91, 99, 0.5, math.sqrt(1 / 12)) == pytest.approx(math.log10(9 / 100))


def test_a_rare_thing_is_not_as_unlikely_as_the_normal_distribution_has_it() -> None:
    rare = compare({0: (25, 300), **dict.fromkeys(WEEKS, (6, 300))})
    assert rare is not None
    assert -5 < rare.log10_p < -4.5


@pytest.mark.parametrize("before", [0, 1, 9, 49, 50, 99, 100])
@pytest.mark.parametrize("now", [0, 1, 50, 100])
@pytest.mark.parametrize("others", [(0, 0, 0), (0, 50, 100), (100, 100, 100)])
def test_there_is_a_chance_of_everything(before: int, now: int, others: tuple[int, ...]) -> None:
    past = {day: (bad, 100) for day, bad in zip(WEEKS, (before, *others), strict=True)}
    for given in (past, {1: (before, 100)}, {1: (before, 1_000_000)}):
        compared = compare({0: (now, 100), **given})
        assert compared is not None
        assert compared.log10_p <= 0


def test_a_quantile_from_counts_above_edges() -> None:
    # 100 messages: 40 above 1 s, 10 above 2 s, none above 4 s.
    assert quantile_ms(100, (40, 10, 0), (1_000, 2_000, 4_000), 0.5) == pytest.approx(833.3, abs=0.1)
    assert quantile_ms(100, (40, 10, 0), (1_000, 2_000, 4_000), 0.95) == pytest.approx(3_000)
    assert quantile_ms(100, (40, 30, 20), (1_000, 2_000, 4_000), 0.95) == 4_000


# ---- life ----

POLICY = Policy(LEAST, quiet_us=60 * MINUTE_US, resolve_after=3)
BAD, GOOD, HALF_BAD = counts(failed=120), counts(), counts(failed=45)


def live(*hours: Counts, alerts: list[Alert] | None = None) -> list[list[str]]:
    """Look once a minute at what is given; return what happened at each look."""
    ids, known = counting_ids(), {each.id: each for each in alerts or []}
    happened = []
    for minute, now in enumerate(hours):
        given = facts({INDIA: now}, {INDIA: counts()}, at_us=NOW_US + minute * MINUTE_US)
        changes = look(given, list(known.values()), POLICY, ids)
        known |= {change.alert.id: change.alert for change in changes}
        happened.append([change.what for change in changes])
    if alerts is not None:
        alerts[:] = known.values()
    return happened


def test_an_alert_is_raised_once_and_ends_by_itself() -> None:
    alerts: list[Alert] = []
    happened = live(BAD, BAD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD, alerts=alerts)
    assert happened == [["raised"], ["kept"], ["kept"], ["kept"], ["kept"], ["kept"], ["resolved"], []]
    (alert,) = alerts
    assert (alert.state, alert.resolved_by, alert.resolved_at_us) == (State.RESOLVED, "itself", NOW_US + 6 * MINUTE_US)


def test_half_as_bad_is_still_on() -> None:
    assert live(BAD, HALF_BAD, HALF_BAD, HALF_BAD, HALF_BAD)[-1] == ["kept"]


def test_worse_is_noted() -> None:
    assert live(counts(failed=80), counts(failed=200), counts(failed=210)) == [["raised"], ["worsened"], ["kept"]]


def test_after_its_end_it_is_quiet_for_a_while() -> None:
    happened = live(BAD, GOOD, GOOD, GOOD, *[BAD] * 61)
    assert happened[3] == ["resolved"]
    assert not any(happened[4:63])
    assert happened[63:] == [["raised"], ["kept"]]


def test_what_is_muted_is_not_raised() -> None:
    alerts: list[Alert] = []
    live(BAD, GOOD, GOOD, GOOD, alerts=alerts)
    muted = [Alert(**{f: getattr(alerts[0], f) for f in Alert.__struct_fields__} | {"muted_until_us": NOW_US + 10**12})]
    assert not any(live(*[GOOD] * 4, *[BAD] * 90, alerts=muted))


def test_an_alert_gets_wider_instead_of_a_second_one() -> None:
    ids = counting_ids()
    usual = {INDIA: counts(1200, failed=60), **{each: counts() for each in CARRIERS}}
    one = usual | {CARRIERS[0]: counts(failed=200), INDIA: counts(1200, failed=240)}
    all_ = {INDIA: counts(1200, failed=600), **{each: counts(failed=200) for each in CARRIERS}}

    (raised,) = look(facts(one, usual), [], POLICY, ids)
    (widened,) = look(facts(all_, usual, at_us=NOW_US + MINUTE_US), [raised.alert], POLICY, ids)

    assert (raised.what, raised.alert.scope) == ("raised", CARRIERS[0])
    assert (widened.what, widened.alert.scope, widened.alert.id) == ("widened", INDIA, raised.alert.id)


def test_more_messages_of_a_part_that_was_always_worse_are_no_finding() -> None:
    good, worse = CARRIERS[0], CARRIERS[1]
    usual = {INDIA: counts(500, failed=70), good: counts(400, failed=20), worse: counts(100, failed=50)}
    now = {INDIA: counts(800, failed=220), good: counts(400, failed=20), worse: counts(400, failed=200)}
    assert found(facts(now, usual)) == []


def test_a_sender_whose_receipts_came_from_a_country_that_is_silent_now_is_no_finding() -> None:
    sender = Scope(sender="ACME")
    india, us = Scope(country="IN", sender="ACME"), Scope(country="US", sender="ACME")
    usual = {sender: counts(400, failed=0, silent=72), india: counts(330), us: counts(70, failed=0, silent=68)}
    now = {sender: counts(103, failed=0, silent=73, slow=0), us: counts(75, failed=0, silent=73, slow=0)}
    now[india] = counts(28, failed=0, silent=0, slow=0)
    assert found(facts(now, usual)) == [("volume_drop", india)]


# ---- what turns out to be another thing ----

PUMPED = Scope(country="IN", sender="ACME")
PUMPING_BEGINS = {SENDER: counts(600, converted=300), PUMPED: counts(380, converted=150)}
PUMPING_IS_CLEAR = {SENDER: counts(1400, converted=300), PUMPED: counts(1180, converted=155)}
BEFORE_PUMPING = {SENDER: counts(400, converted=300), PUMPED: counts(200, converted=150)}
CROWDS = {PUMPED: {0: Crowd(1180, (("9199", 600), ("9198", 400)), 1000, 9), 7: Crowd(200, (("9190", 9),))}}


def begins_as_a_drop() -> Alert:
    """Raise what the first minutes of pumping look like."""
    (raised,) = look(facts(PUMPING_BEGINS, BEFORE_PUMPING), [], POLICY, counting_ids())
    assert (raised.what, raised.alert.kind) == ("raised", Kind.CONVERSION_DROP)
    return raised.alert


def is_clear(alert: Alert) -> list[tuple[str, Kind, Scope, bool]]:
    """Look when pumping can be told; return what becomes of alerts, and whether each is another one."""
    given = facts(PUMPING_IS_CLEAR, BEFORE_PUMPING, at_us=NOW_US + MINUTE_US)
    given = Facts(given.at_us, given.settle_us, given.counts, {}, CROWDS)
    ids = counting_ids()
    ids(NOW_US)
    changes = look(given, [alert], POLICY, ids)
    return [(each.what, each.alert.kind, each.alert.scope, each.alert.id != alert.id) for each in changes]


def test_a_drop_of_conversions_becomes_pumping() -> None:
    assert is_clear(begins_as_a_drop()) == [("changed", Kind.PUMPING, PUMPED, False)]


def test_what_has_changed_is_to_be_acknowledged_anew() -> None:
    seen = msgspec.structs.replace(begins_as_a_drop(), acknowledged_at_us=NOW_US, acknowledged_by="eve")
    given = facts(PUMPING_IS_CLEAR, BEFORE_PUMPING, at_us=NOW_US + MINUTE_US)
    (changed,) = look(Facts(given.at_us, given.settle_us, given.counts, {}, CROWDS), [seen], POLICY, counting_ids())
    assert (changed.alert.acknowledged_at_us, changed.alert.acknowledged_by) == (None, None)


def test_a_drop_that_is_muted_does_not_hide_pumping() -> None:
    muted = msgspec.structs.replace(begins_as_a_drop(), muted_until_us=NOW_US + 60 * MINUTE_US)
    assert is_clear(muted) == [
        ("raised", Kind.PUMPING, PUMPED, True),
        ("worsened", Kind.CONVERSION_DROP, muted.scope, False),
    ]


def test_a_drop_that_goes_on_elsewhere_stays_beside_pumping() -> None:
    other = Scope(country="DE", sender="ACME")
    begun = {SENDER: counts(800, converted=300), PUMPED: counts(400, converted=150), other: counts(converted=150)}
    before = {SENDER: counts(800, converted=600), PUMPED: counts(400, converted=300), other: counts(converted=300)}
    (raised,) = look(facts(begun, before), [], POLICY, counting_ids())
    assert raised.alert.scope == SENDER

    clear = {SENDER: counts(2400, converted=450), PUMPED: counts(2000, converted=300), other: counts(converted=150)}
    given = facts(clear, before, at_us=NOW_US + MINUTE_US)
    crowds = {PUMPED: {0: Crowd(2000, (("9199", 900), ("9198", 800)), 1700, 9), 7: Crowd(400, (("9190", 9),))}}
    ids = counting_ids()
    ids(NOW_US)
    changes = look(Facts(given.at_us, given.settle_us, given.counts, {}, crowds), [raised.alert], POLICY, ids)
    assert next((each.what, each.alert.kind) for each in changes) == ("raised", Kind.PUMPING)
    assert raised.alert.id in {each.alert.id for each in changes if each.what in {"kept", "worsened"}}


def test_pumping_does_not_become_a_wider_drop_of_conversions() -> None:
    pumping = msgspec.structs.replace(begins_as_a_drop(), kind=Kind.PUMPING, scope=PUMPED)
    others = {Scope(country=name, sender="ACME"): counts(converted=120) for name in ("DE", "FR")}
    usual = {SENDER: counts(1000, converted=750), PUMPED: counts(200, converted=150)} | {
        each: counts(converted=300) for each in others
    }
    now = {SENDER: counts(1980, converted=390), PUMPED: counts(1180, converted=150), **others}
    changes = look(facts(now, usual, at_us=NOW_US + MINUTE_US), [pumping], POLICY, counting_ids())
    kept = next(each for each in changes if each.alert.id == pumping.id and each.what != "raised")
    assert (kept.alert.kind, kept.alert.scope) == (Kind.PUMPING, PUMPED)


def test_trouble_of_a_sender_that_began_as_that_of_a_country_is_one_alert() -> None:
    ids = counting_ids()
    here = Scope(country="IN", sender="ACME")
    usual = {INDIA: counts(500, silent=10), SENDER: counts(1200, silent=24), here: counts(300)}
    begun = {INDIA: counts(500, silent=80), SENDER: counts(1200, silent=70), here: counts(300, silent=24)}
    (raised,) = look(facts(begun, usual), [], POLICY, ids)
    assert (raised.what, raised.alert.scope) == ("raised", INDIA)

    clear = {INDIA: counts(500, silent=150), SENDER: counts(1200, silent=480), here: counts(300, silent=145)}
    changes = look(facts(clear, usual, at_us=NOW_US + MINUTE_US), [raised.alert], POLICY, ids)
    assert [(each.what, each.alert.scope, each.alert.id) for each in changes] == [("changed", SENDER, raised.alert.id)]


def test_a_country_of_which_a_sender_was_clear_first_is_one_alert() -> None:
    ids = counting_ids()
    here, there = Scope(country="IN", sender="ACME"), Scope(country="DE", sender="ACME")
    usual = {SENDER: counts(430), here: counts(), there: counts(30, failed=1, silent=0), INDIA: counts(460)}
    begun = usual | {SENDER: counts(430, failed=90), here: counts(failed=88), INDIA: counts(460, failed=24)}
    (raised,) = look(facts(begun, usual), [], POLICY, ids)
    assert (raised.what, raised.alert.scope) == ("raised", SENDER)

    clear = usual | {SENDER: counts(430, failed=160), here: counts(failed=159), INDIA: counts(460, failed=185)}
    (changed,) = look(facts(clear, usual, at_us=NOW_US + MINUTE_US), [raised.alert], POLICY, ids)
    assert (changed.what, changed.alert.scope, changed.alert.id) == ("changed", INDIA, raised.alert.id)

    (kept,) = look(facts(clear, usual, at_us=NOW_US + 2 * MINUTE_US), [changed.alert], POLICY, ids)
    assert kept.what == "kept"
    late = msgspec.structs.replace(raised.alert, raised_at_us=NOW_US - 60 * MINUTE_US)
    (kept,) = look(facts(clear, usual, at_us=NOW_US + MINUTE_US), [late], POLICY, ids)
    assert kept.alert.scope == SENDER
