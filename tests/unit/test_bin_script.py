"""Scripts of bins: how they are written, what is refused, and which step a request gets."""

from itertools import islice, product
from typing import Any

import pytest

from ringback.inspector.groups import key_of, pauses
from ringback.inspector.rates import MOST_KEYS, Rates, Room
from ringback.inspector.script import DEFAULT, Script, Step, decide, decode, encode, in_words, read
from ringback.model.errors import InvalidRequest

S = 1_000_000


def given(text: Any) -> Script:
    script = read(text)
    assert script is not None
    return script


def answers(text: Any, count: int) -> list[str]:
    script = given(text)
    return [in_words(Script(steps=(decide(script, position=at, attempt=1),))) for at in range(count)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("200", ["200", "200"]),
        ("500,200", ["500", "200", "200"]),
        ("hang, reset,slow:5@2,503@1.5", ["hang", "reset", "slow 5 s after 2 s", "503 after 1.5 s"]),
        ("500,410...", ["500", "410", "500", "410"]),
        ('{"steps": [{"status": 429}, {"kind": "hang", "seconds": 3}]}', ["429", "hang 3 s", "hang 3 s"]),
        ('[{"location": "/x"}]', ["302"]),
        ([{"location": "/x", "status": 307}], ["307"]),
    ],
)
def test_steps_in_order(line: Any, found: list[str]) -> None:
    assert answers(line, len(found)) == found


def test_times_and_the_attempt_of_a_callback() -> None:
    script = given("callback:500x2,200")
    found = [decide(script, position=at, attempt=attempt).status for at, attempt in product((0, 9), (1, 2, 3, 4))]
    assert found == [500, 500, 200, 200] * 2
    assert in_words(script) == "each callback: 500 x2, then 200"


@pytest.mark.parametrize("line", ["callback:500x2,hang:7@0.5,200...", "redirect:https://a.example/b?c=d,429x3"])
def test_what_is_stored_is_what_was_given(line: str) -> None:
    assert decode(encode(given(line))) == given(line)


def test_nothing_is_an_answer_200() -> None:
    assert (read(None), read(""), encode(None)) == (None, None, None)
    assert decode(None) is DEFAULT
    assert DEFAULT.steps == (Step(status=200),)


@pytest.mark.parametrize(
    "wrong",
    [
        "199", "600", "200,,200", "hang:x", "200x0", "{", "[]", "{}", "hang:301", "200@301", [{"status": "200"}], 7,
        [{"body": "a", "status": 204}], [{"body_base64": "!"}], [{"body_base64": "YQ==", "body": "a"}], [{"what": 1}],
        [{"headers": {"a b": "c"}}], [{"headers": {"a": "b\r\nc: d"}}], [{"headers": {"Content-Length": "9"}}],
        [{"headers": [["set-cookie", "ringback_session=x"]]}], [{"headers": {"Content-Security-Policy": "x"}}],
        [{"location": "a\nb"}], [{"body": "a" * 70_000}], ",".join(["200"] * 51), [{"headers": 1, "location": "/"}],
        [{"headers": [["a"]]}], {"steps": [{}], "per": "message"}, [7],
    ],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_performed_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="script: "):
        read(wrong)


# ---- attempts at one thing ----

FORM = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
STATUS = b"MessageUUID=m&Status=sent&From=1&To=2"


def test_callbacks_are_named_by_message_and_status() -> None:
    at = ("/bin/t", "")
    one = key_of("POST", at, FORM, STATUS)
    assert len(one) == 40
    assert key_of("POST", at, [*FORM, ("X-Nonce", "2")], STATUS + b"&Later=1") == one
    assert key_of("GET", ("/bin/t", STATUS.decode()), [], b"") == one
    others = [
        key_of("POST", at, FORM, STATUS.replace(b"sent", b"delivered")),
        key_of("POST", ("/bin/t/other", ""), FORM, STATUS),
        key_of("POST", at, FORM, b"MessageUUID=m&Type=sms&From=1&To=2"),
        key_of("POST", at, [("webhook-id", "a")], b"1"),
        key_of("POST", at, [("webhook-id", "b")], b"1"),
        key_of("POST", at, [], b"1"),
        key_of("PUT", at, [], b"1"),
    ]
    assert len({one, *others}) == 8
    assert key_of("POST", at, [("Webhook-Id", "a")], b"2") == key_of("POST", at, [("webhook-id", "a")], b"1")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"a&" * 500, b"", b"%ff%00=1"])
def test_what_is_no_callback_is_named_by_all_of_it(body: bytes) -> None:
    assert key_of("POST", ("/\xff", "\xff"), FORM, body) != key_of("POST", ("/\xff", "\xff"), FORM, body + b"x")


class At:
    def __init__(self, received_at_us: int, duration_us: int | None = None) -> None:
        self.received_at_us, self.duration_us = received_at_us, duration_us


def test_pauses_against_the_ladder() -> None:
    found = pauses([At(0, 8 * S), At(68 * S), At(150 * S), At(400 * S), At(401 * S)], (60.0, 120.0, 240.0))
    assert [(item.pause_us // S, item.planned_us, item.verdict) for item in found] == [
        (60, 60 * S, "on time"), (82, 120 * S, "early"), (250, 240 * S, "late"), (1, None, "beyond the ladder"),
    ]  # fmt: skip


# ---- limits ----


def test_a_bucket_gives_what_its_rate_gives_and_says_when() -> None:
    rates = Rates(2.0)
    assert [rates.wait_us("a", 0) for _ in range(5)] == [0, 0, 0, 0, S // 2]
    assert rates.wait_us("b", 0) == 0
    assert rates.wait_us("a", S // 4) == S // 4
    assert rates.wait_us("a", S // 2) == 0
    assert rates.wait_us("a", S // 2 - 1) == S // 2, "a clock that goes back gives nothing"


def test_no_rate_is_no_limit_and_addresses_are_forgotten() -> None:
    assert all(Rates(0).wait_us("a", 0) == 0 for _ in range(1000))
    rates = Rates(0.5)
    assert rates.wait_us("first", 0) == 0
    assert rates.wait_us("first", 0) > 0
    for number in range(MOST_KEYS):
        rates.wait_us(str(number), 0)
    assert rates.wait_us("first", 0) == 0


def test_room() -> None:
    room = Room(10)
    assert list(islice(iter(lambda: room.take(4), None), 3)) == [True, True, False]
    room.give_back(4)
    assert room.take(6)
