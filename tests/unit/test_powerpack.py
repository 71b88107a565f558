"""Choosing a number of a pool: sticky stays, spread is even, priorities and area codes are heeded."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model import numbers
from ringback.model.powerpack import Candidate, Picker, Powerpack, Priority, pick_all


def powerpack(**changes: object) -> Powerpack:
    """Make a powerpack that does nothing but spread."""
    fields = {"sticky_sender": True, "local_connect": False, "priorities": (), "app_id": None, **changes}
    return Powerpack(
        uuid="u", account_id="MA", subaccount_id=None, name="n", created_at_us=0, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def candidate(number: str, *, type_: str = "local", country: str = "US", load: int = 0, mms: bool = True) -> Candidate:
    return Candidate(
        number=number,
        country=country,
        type=type_,
        area_code=numbers.area_code(number) if type_ == "local" else "",
        does_sms=True,
        does_mms=mms,
        load=load,
    )


def priority(*kinds: str, service: str = "sms", country: str = "US") -> Priority:
    return Priority(service=service, country=country, kinds=kinds)


SAN_FRANCISCO, NEW_YORK, TOLL_FREE, SHORT, LONDON = (
    candidate("14155550100"),
    candidate("12125550100"),
    candidate("18005550100", type_="tollfree"),
    candidate("55155", type_="shortcode"),
    candidate("442079460100", country="GB"),
)
ALL = [SAN_FRANCISCO, NEW_YORK, TOLL_FREE, SHORT, LONDON]

recipients = st.lists(
    st.one_of(
        st.integers(0, 9999).map(lambda n: f"1415555{n:04d}"),
        st.integers(0, 9999).map(lambda n: f"1305555{n:04d}"),
        st.integers(0, 999).map(lambda n: f"447700900{n:03d}"),
    ),
    unique=True,
    max_size=60,
)
pools = st.lists(st.integers(0, 99).map(lambda n: f"141555501{n:02d}"), unique=True, min_size=1, max_size=12)


@given(pools, st.lists(st.integers(0, 20), min_size=12, max_size=12), st.integers(0, 200))
def test_the_spread_evens_out(pool: list[str], loads: list[int], sends: int) -> None:
    made = [candidate(number, load=load) for number, load in zip(pool, loads, strict=False)]
    picker = Picker(powerpack(), made, service="sms")
    chosen = Counter(picker.pick(f"1305555{at:04d}") for at in range(sends))
    after = [each.load + chosen[each.number] for each in made]
    used = [load for load, each in zip(after, made, strict=True) if chosen[each.number]]
    # Whoever was chosen was among the least used: nobody is more than one ahead of anybody else.
    assert not used or max(used) <= min(after) + 1
    assert picker.loads() == {number: load for number, load in zip(pool, after, strict=True) if chosen[number]}


@given(recipients, pools, st.data())
def test_a_recipient_keeps_a_number_for_as_long_as_the_pool_has_it(
    to: list[str], pool: list[str], data: st.DataObject
) -> None:
    first, _ = pick_all(Picker(powerpack(), [candidate(each) for each in pool], service="sms"), to, {})
    left = data.draw(st.lists(st.sampled_from(pool), unique=True, min_size=1))
    again, unreachable = pick_all(Picker(powerpack(), [candidate(each) for each in left], service="sms"), to, first)
    assert {recipient: number for recipient, number in again.items() if first[recipient] in left} == {
        recipient: number for recipient, number in first.items() if number in left
    }
    assert set(again.values()) <= set(left)
    assert unreachable == [each for each in to if left == [each]]


@given(recipients, st.permutations(["tollfree", "longcode", "shortcode"]))
def test_what_comes_first_is_taken_first(to: list[str], kinds: list[str]) -> None:
    pack = powerpack(priorities=(priority(*kinds),))
    chosen, _ = pick_all(Picker(pack, ALL, service="sms"), to, {})
    of_kind = {"tollfree": {TOLL_FREE}, "longcode": {SAN_FRANCISCO, NEW_YORK}, "shortcode": {SHORT}}[kinds[0]]
    allowed = {each.number for each in of_kind}
    assert {number for recipient, number in chosen.items() if recipient.startswith("1")} <= allowed
    assert {number for recipient, number in chosen.items() if recipient.startswith("44")} <= {LONDON.number}


@pytest.mark.parametrize(
    ("changes", "service", "recipient", "expected"),
    [
        ({"local_connect": True}, "sms", "14155550123", SAN_FRANCISCO),
        ({"local_connect": True}, "sms", "12125550123", NEW_YORK),
        # Its area code goes before an even spread, not before the kind that comes first.
        ({"local_connect": True, "priorities": (priority("tollfree"),)}, "sms", "14155550123", TOLL_FREE),
        ({"priorities": (priority("tollfree", service="mms"),)}, "mms", "14155550123", TOLL_FREE),
        ({"priorities": (priority("tollfree", country="CA"),)}, "sms", "16045550123", TOLL_FREE),
        ({}, "sms", "447700900123", LONDON),
    ],
)
def test_choices(changes: dict[str, object], service: str, recipient: str, expected: Candidate) -> None:
    picker = Picker(powerpack(**changes), ALL, service=service)
    assert {picker.pick(recipient) for _ in range(4)} == {expected.number}


def test_a_short_code_does_not_reach_another_country() -> None:
    picker = Picker(powerpack(), [SHORT], service="sms")
    assert picker.pick("447700900123") is None
    assert picker.pick("14155550123") == SHORT.number


def test_only_numbers_that_can_do_the_service_are_taken() -> None:
    pool = [candidate("14155550100", mms=False), candidate("14155550101", load=50)]
    assert Picker(powerpack(), pool, service="mms").pick("13055550123") == "14155550101"
    assert Picker(powerpack(), pool, service="sms").pick("13055550123") == "14155550100"
    assert Picker(powerpack(), pool[:1], service="mms").pick("13055550123") is None
    assert Picker(powerpack(), [], service="sms").pick("13055550123") is None


def test_nobody_gets_a_message_from_their_own_number() -> None:
    picker = Picker(powerpack(), [SAN_FRANCISCO], service="sms")
    assert picker.pick(SAN_FRANCISCO.number, SAN_FRANCISCO.number) is None
    two = Picker(powerpack(), [SAN_FRANCISCO, NEW_YORK], service="sms")
    assert {two.pick(SAN_FRANCISCO.number) for _ in range(3)} == {NEW_YORK.number}
    assert two.pick("13055550123") == SAN_FRANCISCO.number
