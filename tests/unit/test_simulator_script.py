"""The simulated carrier's decisions: rules, scripts, and what becomes of a message."""

import math
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.carriers.simulator.fate import Fate, Said, answer_now, carrier_ref, decide, delay_s, due_times_us
from ringback.carriers.simulator.networks import NETWORKS, network_of
from ringback.carriers.simulator.rules import (
    HEALTHY_ENDINGS,
    Accept,
    Answer,
    Delivered,
    Ending,
    Fixed,
    LaterDelivered,
    LaterUndelivered,
    Law,
    LogNormal,
    NoAnswer,
    NoReceipt,
    Reject,
    Rule,
    Throttle,
    Undelivered,
    Uniform,
)
from ringback.carriers.simulator.script import BUILT_IN, HEALTHY, MAGIC, parse_script, script_of
from ringback.model.errors import ConfigInvalid
from ringback.model.status import Status

REFS = [carrier_ref(1, f"message {at}") for at in range(10_000)]
DELIVERED = (Status.DELIVERED, "000")
OFF = (Status.UNDELIVERED, "80")


def rule(*endings: Ending, **fields: Any) -> Rule:
    return Rule(name="test", prefixes=("",), endings=endings or HEALTHY_ENDINGS, **fields)


def raw_rule(**fields: Any) -> dict[str, Any]:
    return {"rule": [{"name": "mine", "prefixes": ["49"], **fields}]}


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (Delivered(), [(0.5, *DELIVERED)]),
        (Undelivered(code="80"), [(0.5, *OFF)]),
        (NoReceipt(), []),
        (Delivered(delay=Fixed(seconds=30)), [(30, *DELIVERED)]),
        (Delivered(early=True, delay=Fixed(seconds=30)), [(0, *DELIVERED)]),
        (
            Delivered(later=(LaterDelivered(after_s=1, times=2),)),
            [(0.5, *DELIVERED), (1.5, *DELIVERED), (2.5, *DELIVERED)],
        ),
        (Delivered(later=(LaterUndelivered(after_s=2, code="80"),)), [(0.5, *DELIVERED), (2.5, *OFF)]),
        (
            Undelivered(
                early=True, code="80", later=(LaterUndelivered(after_s=1, code="80"), LaterDelivered(after_s=5))
            ),
            [(0, *OFF), (1, *OFF), (6, *DELIVERED)],
        ),
    ],
)
def test_endings(ending: Ending, said: list[tuple[float, Status, str]]) -> None:
    fate = decide(1, "ref", rule(ending, receipt_delay=Fixed(seconds=0.5)))
    assert list(fate.receipts) == [Said(*each) for each in said]
    assert fate.early == getattr(ending, "early", False)


@pytest.mark.parametrize(
    ("answer", "answers"),
    [
        (Accept(), ["Accept", "Accept", "Accept", "Accept"]),
        (Reject(code="50"), ["Reject", "Reject", "Reject", "Reject"]),
        (Throttle(times=2), ["Throttle", "Throttle", "Accept", "Accept"]),
        (NoAnswer(timeout_s=1, times=1), ["NoAnswer", "Accept", "Accept", "Accept"]),
        (NoAnswer(timeout_s=1), ["NoAnswer", "NoAnswer", "NoAnswer", "NoAnswer"]),
    ],
)
def test_answers_change_with_the_times_a_message_was_put_off(answer: Answer, answers: list[str]) -> None:
    assert [type(answer_now(answer, deferrals)).__name__ for deferrals in range(4)] == answers


@given(order=st.permutations(range(40)), seed=st.integers())
def test_a_fate_does_not_depend_on_the_messages_before(order: list[int], seed: int) -> None:
    def fate_of(number: int) -> tuple[str, Fate]:
        ref = carrier_ref(seed, f"message {number}")
        return ref, decide(seed, ref, HEALTHY)

    in_turn = [fate_of(number) for number in range(40)]
    shuffled = {number: fate_of(number) for number in order}
    assert [shuffled[number] for number in range(40)] == in_turn


def test_another_seed_gives_other_ids_and_other_fates() -> None:
    assert carrier_ref(1, "message") != carrier_ref(2, "message")
    assert sum(decide(1, ref, HEALTHY) == decide(2, ref, HEALTHY) for ref in REFS[:100]) == 0


def test_ids_are_opaque_and_distinct() -> None:
    assert len(set(REFS)) == len(REFS)
    assert all(re.fullmatch(r"[0-9a-f]{32}", ref) for ref in REFS[:100])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_endings_come_as_often_as_they_weigh(seed: int) -> None:
    fates = [decide(seed, ref, HEALTHY) for ref in REFS]
    seen = Counter(fate.receipts[0].error_code if fate.receipts else "none" for fate in fates)
    for ending in HEALTHY_ENDINGS:
        code = {Delivered: "000", NoReceipt: "none"}.get(type(ending), getattr(ending, "code", ""))
        expected = len(REFS) * ending.weight / 100
        # Five standard deviations of a count that is nearly Poisson.
        assert abs(seen[code] - expected) < 5 * math.sqrt(expected), code


def test_answers_come_as_often_as_they_weigh() -> None:
    mixed = rule(answers=(Accept(weight=8), Reject(weight=2, code="50")))
    rejected = sum(isinstance(decide(1, ref, mixed).answer, Reject) for ref in REFS)
    assert 1800 < rejected < 2200


def test_what_is_chosen_for_one_question_says_nothing_about_another() -> None:
    mixed = rule(
        Delivered(weight=1),
        NoReceipt(weight=1),
        answers=(Accept(weight=1), Throttle(weight=1, times=1)),
    )
    pairs = Counter((type(fate.answer), len(fate.receipts)) for fate in (decide(1, ref, mixed) for ref in REFS))
    assert len(pairs) == 4
    assert all(2250 < count < 2750 for count in pairs.values())


@pytest.mark.parametrize(
    ("law", "low", "median", "high"),
    [
        (Fixed(seconds=3), 3, 3, 3),
        (Uniform(min_s=1, max_s=5), 1, 3, 5),
        (LogNormal(median_s=0.8, sigma=0.6, max_s=6), 0, 0.8, 6),
    ],
)
def test_laws(law: Law, low: float, median: float, high: float) -> None:
    shares = (1e-16, 0.1, 0.5, 0.9, 1 - 1e-16)
    times = [delay_s(law, share) for share in shares]
    assert times == sorted(times)
    assert times[2] == pytest.approx(median)
    assert times[0] == pytest.approx(low, abs=0.01)
    assert times[-1] == pytest.approx(high, abs=0.01)
    assert max(times) <= law.longest_s


def test_lognormal_times_spread_as_sigma_says() -> None:
    law = LogNormal(median_s=2, sigma=0.5, max_s=1000)
    assert delay_s(law, 0.8413447) == pytest.approx(2 * math.exp(0.5), rel=1e-5)


def test_receipts_are_quick_enough_for_a_demo() -> None:
    fates = [decide(1, ref, BUILT_IN.rule_for(dst)) for ref in REFS for dst in ("4915123", "1415", "91987", "5511")]
    assert max(fate.receipts[-1].after_s for fate in fates if fate.receipts) <= 6


def test_due_times_count_from_the_start_and_shrink_with_speed() -> None:
    fate = decide(1, "ref", rule(Delivered(later=(LaterDelivered(after_s=4),)), receipt_delay=Fixed(seconds=2)))
    assert [due for due, _ in due_times_us(fate, start_us=100, speed=1)] == [2_000_100, 6_000_100]
    assert [due for due, _ in due_times_us(fate, start_us=100, speed=4)] == [500_100, 1_500_100]


@pytest.mark.parametrize(
    ("not_before_us", "dues"), [(1_000_000, [2_000_000, 6_000_000]), (3_000_000, [3_000_000, 7_000_000])]
)
def test_overdue_receipts_move_together(not_before_us: int, dues: list[int]) -> None:
    fate = decide(1, "ref", rule(Delivered(later=(LaterDelivered(after_s=4),)), receipt_delay=Fixed(seconds=2)))
    assert [due for due, _ in due_times_us(fate, start_us=0, speed=1, not_before_us=not_before_us)] == dues


def test_a_message_without_receipt_has_no_due_times() -> None:
    assert due_times_us(decide(1, "ref", rule(NoReceipt())), start_us=0, speed=1, not_before_us=5) == []


@pytest.mark.parametrize(
    ("dst", "name"),
    [("491511", "491"), ("492511", "49"), ("4", "rest"), ("33123", "rest"), ("491", "491"), ("49", "49")],
)
def test_the_longest_prefix_wins(dst: str, name: str) -> None:
    rules = [Rule(name=prefix or "rest", prefixes=(prefix,)) for prefix in ("49", "", "491", "4915119")]
    for order in (rules, rules[::-1]):
        assert script_of(order).rule_for(dst).name == name


@given(dst=st.text("0123456789", min_size=7, max_size=14))
def test_every_number_has_a_rule(dst: str) -> None:
    found = BUILT_IN.rule_for(dst)
    assert any(dst.startswith(prefix) for prefix in found.prefixes)


def test_a_script_replaces_the_built_in_rules_but_not_the_magic_numbers() -> None:
    data = raw_rule(endings=[{"result": "none"}])
    script = parse_script(data)
    assert script.rule_for("491511").endings == (NoReceipt(),)
    assert script.rule_for("14155550123") is HEALTHY
    assert script.rule_for("15005550001") is MAGIC[0]
    assert parse_script(data | {"magic_numbers": False}).rule_for("15005550001") is HEALTHY


def test_a_script_may_take_over_a_magic_number_and_all_others() -> None:
    script = parse_script(raw_rule(prefixes=["15005550001", ""], endings=[{"result": "none"}]))
    assert script.rule_for("15005550001").name == "mine"
    assert script.rule_for("33612345678").name == "mine"


def test_a_rule_that_says_nothing_is_healthy() -> None:
    mine = parse_script(raw_rule()).rule_for("49123")
    assert (mine.answers, mine.endings, mine.answer_delay) == (HEALTHY.answers, HEALTHY.endings, HEALTHY.answer_delay)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "missing required field `rule`"),
        ({"rule": []}, r"rule"),
        ({"rules": []}, "`rules`|`rule`"),
        ({"rule": {"name": "one"}}, r"\$\.rule"),
        (raw_rule(speed=3), r"rule 1 \('mine'\): .*unknown field `speed`"),
        ({"rule": [{"prefixes": ["49"]}]}, r"rule 1 \('no name'\): .*`name`"),
        (raw_rule(prefixes=[]), r"rule 1 \('mine'\): .*\$\.prefixes"),
        (raw_rule(prefixes=["+49"]), r"rule 1 \('mine'\): .*\$\.prefixes\[0\]"),
        (raw_rule(prefixes=["49", "49"]), r"rule 1 \('mine'\): prefixes: '49' is also in rule 1"),
        (raw_rule(endings=[]), r"\$\.endings"),
        (raw_rule(endings=[{"result": "lost"}]), r"'lost' - at `\$\.endings\[0\]\.result`"),
        (raw_rule(endings=[{"weight": 3}]), r"`result` - at `\$\.endings\[0\]`"),
        (raw_rule(endings=[{"result": "undelivered"}]), r"`code` - at `\$\.endings\[0\]`"),
        (raw_rule(endings=[{"result": "undelivered", "code": "000"}]), r"\$\.endings\[0\]\.code"),
        (raw_rule(endings=[{"result": "undelivered", "code": 30}]), r"\$\.endings\[0\]\.code"),
        (raw_rule(endings=[{"result": "delivered", "code": "30"}]), "unknown field `code`"),
        (raw_rule(endings=[{"result": "none", "early": True}]), "unknown field `early`"),
        (raw_rule(endings=[{"result": "delivered", "weight": 0}]), r"\$\.endings\[0\]\.weight"),
        (raw_rule(endings=[{"result": "delivered", "weight": math.nan}]), r"\$\.endings\[0\]\.weight"),
        (raw_rule(answers=[{"kind": "throttle", "times": 0}]), r"\$\.answers\[0\]\.times"),
        (raw_rule(answers=[{"kind": "no_answer", "timeout_s": 31}]), r"\$\.answers\[0\]\.timeout_s"),
        (raw_rule(answer_delay={"law": "fixed", "seconds": 31}), "answer_delay is longer than 30 seconds"),
        (raw_rule(answer_delay={"law": "uniform", "min_s": 2, "max_s": 1}), r"min_s is more .*\$\.answer_delay"),
        (raw_rule(receipt_delay={"law": "fixed", "seconds": -1}), r"\$\.receipt_delay\.seconds"),
        (raw_rule(receipt_delay={"law": "fixed", "seconds": math.inf}), r"\$\.receipt_delay\.seconds"),
        (
            raw_rule(receipt_delay={"law": "lognormal", "median_s": 2, "sigma": 1, "max_s": 1}),
            r"median_s is more .*\$\.receipt_delay",
        ),
    ],
)
def test_mistakes_are_told_by_rule_and_field(data: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigInvalid, match=text) as caught:
        parse_script(data)
    assert str(caught.value).startswith("simulator script: ")
    assert "\n" not in str(caught.value)


def test_two_rules_for_one_prefix_are_a_mistake() -> None:
    data = {"rule": [{"name": "a", "prefixes": ["49"]}, {"name": "b", "prefixes": ["33", "49"]}]}
    with pytest.raises(ConfigInvalid, match=r"rule 2 \('b'\): prefixes: '49' is also in rule 1 \('a'\)"):
        parse_script(data)


@pytest.mark.parametrize(
    ("dst", "mccs"),
    [
        ("14155550123", {"310", "311"}),
        ("15005550001", {"310", "311"}),
        ("14165550123", {"302"}),
        ("447700900123", {"234"}),
        ("4915123456789", {"262"}),
        ("919876543210", {"404"}),
    ],
)
def test_networks_fit_the_country(dst: str, mccs: set[str]) -> None:
    network = network_of(dst)
    assert network is not None
    assert network.mcc in mccs
    assert network_of(dst) == network


def test_countries_not_listed_have_no_network() -> None:
    assert network_of("35312345678") is not None
    assert network_of("88212345678") is None
    assert network_of("6761234567") is None


def test_all_networks_of_a_country_are_used_and_well_formed() -> None:
    assert len(NETWORKS) >= 30
    assert {network_of(f"49151{at:08d}") for at in range(100)} == set(NETWORKS["DE"])
    for networks in NETWORKS.values():
        assert len({(network.mcc, network.mnc) for network in networks}) == len(networks)
        assert all(re.fullmatch(r"[2-7]\d\d", network.mcc) for network in networks)
        assert all(re.fullmatch(r"\d{2,3}", network.mnc) for network in networks)
