"""The simulated carrier behind an SMSC: fates as rules."""

import pytest

from ringback.carriers.simulator.script import BUILT_IN
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.carriers.smsc.fates import Fates
from ringback.carriers.smsc.script import Rule


def message(dest: str, text: str = "Hello") -> ShortMessage:
    return ShortMessage(source="15005550100", dest=dest, short_message=text.encode())


def fates(speed: float = 1.0) -> Fates:
    return Fates(BUILT_IN, seed=1, speed=speed)


@pytest.mark.parametrize(
    ("dest", "receipts"),
    [
        ("15005550001", [(100, "DELIVRD", "000")]),
        ("15005550002", [(30_000, "DELIVRD", "000")]),
        ("15005550003", []),
        ("15005550005", [(100, "DELIVRD", "000"), (1_100, "DELIVRD", "000"), (2_100, "DELIVRD", "000")]),
        ("15005550006", [(100, "DELIVRD", "000"), (2_100, "UNDELIV", "080")]),
        ("15005550010", [(100, "UNDELIV", "010")]),
        ("15005550093", [(100, "UNDELIV", "1000")]),
    ],
)
def test_what_is_taken_and_what_receipts_say(dest: str, receipts: list[tuple[int, str, str]]) -> None:
    rule = fates().decide(message(dest))
    assert rule.answer == "ok"
    assert [(each.after_ms, each.state, each.error) for each in rule.receipts] == receipts


def test_a_receipt_before_the_answer() -> None:
    rule = fates().decide(message("15005550007"))
    assert [each.early for each in rule.receipts] == [True]
    assert 200 <= rule.delay_ms <= 300


def test_what_is_refused_has_its_code_in_the_status() -> None:
    rule = fates().decide(message("15005550004"))
    assert (rule.answer, rule.status) == ("error", 0x400 + 90)


def test_what_is_put_off_is_known_again() -> None:
    smsc, one = fates(), message("15005550008")
    assert [smsc.decide(one).status for _ in range(3)] == [0x58] * 3
    # Another one to the same number begins its own count.
    assert smsc.decide(message("15005550008", "other")).status == 0x58
    assert smsc.decide(one).answer == "ok"
    assert smsc.decide(one).status == 0x58


def test_no_answer_is_said_as_one_that_lets_it_be_tried_again() -> None:
    rule = fates(speed=10).decide(message("15005550009"))
    assert (rule.answer, rule.status, rule.delay_ms) == ("error", 0x64, 500)


def endings(rules: list[Rule]) -> list[tuple[str, ...]]:
    return [tuple(each.state + each.error for each in rule.receipts) for rule in rules]


def test_messages_have_fates_of_their_own_and_parts_one() -> None:
    smsc = fates()
    many = endings([smsc.decide(message("14155550123")) for _ in range(400)])
    assert 360 <= many.count(("DELIVRD000",)) <= 395
    for number in range(40):
        text = f"{number} " + "a" * 400
        parts = shaped(uuid=str(number), src="1", dst="14155550123", text=text, shape=Shape())
        assert len(set(endings([smsc.decide(part) for part in parts]))) == 1


def test_the_same_traffic_has_the_same_fates() -> None:
    sent = [message("4915123456", str(number)) for number in range(50)]
    first, second = fates(), fates()
    assert [first.decide(each) for each in sent] == [second.decide(each) for each in sent]


def test_the_answer_names_the_network() -> None:
    (network,) = fates().decide(message("14155550123")).parameters.values()
    assert network[:3] in {"310", "311"}
