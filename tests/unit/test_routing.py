"""The choice of a route against one that is slow and obvious."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.model.routes import Carrier, Route, RoutingTable, table_of
from ringback.routing.choose import Facts, Try, candidates, next_route

CARRIERS = ("x", "y", "z")
ACCOUNTS = ("MAAAAAAAAAAAAAAAAAAA", "MABBBBBBBBBBBBBBBBBB")
NUMBERS = st.text("49", min_size=1, max_size=4)


@st.composite
def routes(draw: st.DrawFn) -> list[Route]:
    made = st.builds(
        dict,
        carrier=st.sampled_from([*CARRIERS, "gone"]),
        prefix=st.text("49", max_size=3),
        mcc=st.sampled_from([None, "262", "310"]),
        mnc=st.sampled_from([None, "01"]),
        sender=st.sampled_from(["", "ACME", "1*", "*"]),
        account_id=st.sampled_from([None, *ACCOUNTS]),
        type=st.sampled_from([None, "sms", "mms"]),
        priority=st.integers(0, 2),
        weight=st.integers(0, 2),
        is_paused=st.sampled_from([False, False, True]),
    )
    fields: list[dict[str, Any]] = draw(st.lists(made, max_size=6))
    return [Route(name=f"r{at}", **each) for at, each in enumerate(fields)]


facts = st.builds(
    Facts,
    message_uuid=st.uuids().map(str),
    account_id=st.sampled_from(ACCOUNTS),
    src=st.sampled_from(["ACME", "15005550100", "2"]),
    dst=NUMBERS,
    type=st.sampled_from(["sms", "mms"]),
    mcc=st.sampled_from([None, "262"]),
    mnc=st.sampled_from([None, "01"]),
)


def table(given_routes: list[Route]) -> RoutingTable:
    carriers = [Carrier(name=name, kind="simulator") for name in CARRIERS]
    return RoutingTable(carriers={each.name: each for each in carriers}, routes=tuple(given_routes))


def fits(route: Route, given_facts: Facts) -> bool:
    """Say the rules one after the other."""
    if route.is_paused or route.carrier == "gone":
        return False
    if route.carrier == "z" and given_facts.type == "mms":
        return False
    for wanted, have in (
        (route.mcc, given_facts.mcc),
        (route.mnc, given_facts.mnc),
        (route.account_id, given_facts.account_id),
        (route.type, given_facts.type),
    ):
        if wanted is not None and wanted != have:
            return False
    if given_facts.dst[: len(route.prefix)] != route.prefix:
        return False
    return {
        "": True,
        "*": True,
        "ACME": given_facts.src == "ACME",
        "1*": given_facts.src[0] == "1",
    }[route.sender]


def goes_before(first: Route, second: Route) -> bool:
    """Whether it must, whatever the draw; false where either may."""
    pairs = [
        (len(second.prefix), len(first.prefix)),
        (sum(x is not None for x in (second.mcc, second.mnc)), sum(x is not None for x in (first.mcc, first.mnc))),
        (second.account_id is not None, first.account_id is not None),
        (second.sender != "", first.sender != ""),
        (second.type is not None, first.type is not None),
        (first.priority, second.priority),
        (first.weight == 0, second.weight == 0),
    ]
    for less, more in pairs:
        if less != more:
            return less < more
    return False


@settings(max_examples=400, deadline=None)
@given(routes(), facts)
def test_the_order_is_that_of_the_rules(given_routes: list[Route], given_facts: Facts) -> None:
    carries = {"x": frozenset({"sms", "mms"}), "z": frozenset({"sms"})}
    found = candidates(table(given_routes), given_facts, carries)
    assert {route.name for route in found} == {route.name for route in given_routes if fits(route, given_facts)}
    for at, first in enumerate(found):
        assert not any(goes_before(second, first) for second in found[at + 1 :])
    shuffled = table(given_routes[::-1])
    assert candidates(shuffled, given_facts, carries) == found


@settings(max_examples=300, deadline=None)
@given(routes(), st.sets(st.integers(0, 5)), st.sets(st.sampled_from(CARRIERS)))
def test_the_next_is_untried_and_there_if_one_is(ordered: list[Route], tried_at: set[int], away: set[str]) -> None:
    tried = [Try(f"r{at}", "rejected") for at in tried_at]
    found = next_route(ordered, tried, away)
    left = [route for at, route in enumerate(ordered) if at not in tried_at]
    there = [route for route in left if route.carrier not in away]
    assert found == (there[0] if there else left[0] if left else None)


@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (5, 0), (2, 3, 5)])
def test_weights_are_shares(weights: tuple[int, ...]) -> None:
    given_routes = [Route(name=f"r{at}", carrier="x", weight=weight) for at, weight in enumerate(weights)]
    every = table(given_routes)
    count = 4000
    firsts = Counter(
        candidates(every, Facts(message_uuid=f"m{at}", account_id="", src="1", dst="4"), {})[0].name
        for at in range(count)
    )
    for at, weight in enumerate(weights):
        share = weight / sum(weights)
        # Five standard deviations of a binomial count.
        allowed = 5 * (count * share * (1 - share)) ** 0.5
        assert abs(firsts[f"r{at}"] - count * share) <= allowed


def test_one_more_route_moves_only_what_it_takes() -> None:
    two = [Route(name=name, carrier="x") for name in ("a", "b")]
    three = [*two, Route(name="c", carrier="x")]
    for at in range(500):
        about = Facts(message_uuid=f"m{at}", account_id="", src="1", dst="4")
        before, after = (candidates(table(each), about, {})[0].name for each in (two, three))
        assert after in {before, "c"}


def test_what_applies_where_little_is_configured() -> None:
    nothing = table_of(0, [], [])
    assert [route.carrier for route in nothing.routes] == ["simulator"] == list(nothing.carriers)
    one = table_of(1, [Carrier(name="x", kind="smpp")], [])
    assert [route.carrier for route in one.routes] == ["x"]
    assert table_of(1, [Carrier(name=name, kind="smpp") for name in "xy"], []).routes == ()


def test_secrets_are_not_shown() -> None:
    carrier = Carrier(
        name="x",
        kind="smpp",
        settings={"host": "smsc", "Password": "p", "auth_token": "", "binds": [{"api_key": "k", "port": 2775}]},
    )
    assert carrier.shown_settings() == {
        "host": "smsc",
        "Password": "set",
        "auth_token": "not set",
        "binds": [{"api_key": "set", "port": 2775}],
    }
