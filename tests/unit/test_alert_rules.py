"""The rules of alerts on facts that are written out: what is found, where, and what is not."""

from collections.abc import Mapping

import pytest

from ringback.analytics.alert_facts import EDGES_MS, Counts, Crowd, Facts
from ringback.analytics.alert_life import Policy, look
from ringback.analytics.alert_rules import Least
from ringback.analytics.alert_scopes import Told, findings
from ringback.analytics.alert_tests import compare, log10_few, log10_tail, quantile_ms, windows
from ringback.model.alerts import Alert, Kind, Scope, State, chance_in_words
from tests.fakes.ids import counting_ids

MINUTE_US = 60_000_000
NOW_US = 1_764_000_000_000_000
LEAST = Least(100, 20)
WEEKS = (7, 14, 21, 28)
INDIA = Scope(country="IN")
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
    spread, crowded = Crowd(1600, (("9190", 30),)), Crowd(1600, (("9199", 700), ("9198", 500)))
    before = {1: Crowd(400, (("9190", 10),)), 7: Crowd(400, (("9191", 9),))}

    def kinds(crowd: Crowd) -> list[str]:
        with_crowds = Facts(given.at_us, given.settle_us, given.counts, {}, {INDIA: {0: crowd, **before}})
        return [each.kind.value for each in findings(with_crowds, LEAST)]

    assert kinds(crowded) == ["pumping"]
    assert kinds(spread) == ["conversion_drop"]


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
