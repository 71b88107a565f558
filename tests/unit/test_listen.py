"""What ``ringback listen`` makes of keys and captures, and where it sends them."""

import msgspec
import pytest
from rich.console import Console

from ringback.cli.keys import read_keys
from ringback.cli.listen_screen import KEPT, Screen
from ringback.cli.listening import BEFORE_SENDING, Filter, Heard, rest_of
from ringback.inspector.forward import Forwarded, onward
from ringback.model.errors import InvalidRequest
from ringback.store.captures import Capture
from ringback.web.signed import Keys, explained, said_by, verdict
from tests.fakes.captures import capture

STATUS = b"MessageUUID=019ab000-0000-7000-8000-000000000001&Status=undelivered&ErrorCode=30&From=1&To=14155550123"


def heard(number: int, *, answered: int | None = None, body: bytes = STATUS) -> Heard:
    """Give a capture as it is shown."""
    item = capture(
        number, path="/bin/listen/sms", headers='[["Content-Type", "application/x-www-form-urlencoded"]]', body=body
    )
    sent = None if answered is None else Forwarded(status=answered, duration_us=5_000)
    return Heard(capture=item, rest=rest_of(item), said=said_by(item), verdict="v3", sent=sent)


def drawn(screen: Screen, *, width: int = 120, height: int = 20) -> str:
    """Return what is on the screen, as text."""
    console = Console(width=width, height=height)
    with console.capture() as captured:
        console.print(screen.draw(width, height))
    return captured.get()


@pytest.mark.parametrize(
    ("pressed", "keys"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        (b"\r\n\x7f", ["enter", "enter", "backspace"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[15~x", ["x"]),
        (b"\x1b[", []),
        ("é日".encode(), ["é", "日"]),
        (b"\xff\x80\x00", ["\ufffd", "\ufffd"]),
    ],
)
def test_keys(pressed: bytes, keys: list[str]) -> None:
    assert read_keys(pressed) == keys


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ([], True),
        (["status=undelivered", "error=30", "kind=status", "to=14155550123", "method=post", "verdict=v3"], True),
        (["status=undelivered", "error=80"], False),
        (["uuid=019ab000"], True),
        (["path=/sms"], True),
        (["path=/other"], False),
        (["To=14155550123"], True),
        (["ErrorCode", "application/x-www"], True),
        (["nowhere in it"], False),
    ],
)
def test_filters_all_have_to_hold(words: list[str], *, taken: bool) -> None:
    assert Filter.read(words).takes(heard(1)) is taken


def test_a_filter_on_the_answer_waits_for_it() -> None:
    assert not Filter.read(["answer=500"]).takes(heard(1))
    assert Filter.read(["answer=500"]).takes(heard(1, answered=500))
    with pytest.raises(InvalidRequest, match="there is no filter 'answer'"):
        Filter.read(["answer=500"], BEFORE_SENDING)
    with pytest.raises(InvalidRequest, match="there is no filter 'statu': choose of method, path"):
        Filter.read(["statu=sent"])


@pytest.mark.parametrize(
    ("path", "query", "target", "expected"),
    [
        ("/bin/t", "", "http://h:1/sms", "http://h:1/sms"),
        ("/bin/t/a%2Fb//c", "x=%20&x=+", "http://h:1/sms", "http://h:1/sms/a%2Fb//c?x=%20&x=+"),
        ("/bin/t/", "x=1", "http://h:1/sms/?k=v", "http://h:1/sms/?k=v&x=1"),
        ("/bin/%74/a", "", "http://h:1", "http://h:1/a"),
    ],
)
def test_where_a_capture_goes_on_to(path: str, query: str, target: str, expected: str) -> None:
    item = capture(path=path, query=query, headers='[["X-A", "1"], ["X-A", "2"]]', body=b"\x00\xff")
    wanted = onward(item, target)
    assert wanted.url == expected
    assert (wanted.method, wanted.headers, wanted.body) == (item.method, [("X-A", "1"), ("X-A", "2")], b"\x00\xff")


def test_rows_stand_in_the_order_of_captures_whatever_is_answered_first() -> None:
    screen = Screen("http://x/bin/listen", "http://y")
    for number in (1, 3, 2):
        screen.take(heard(number))
    screen.take(heard(2, answered=204))
    assert [(row.capture.number, row.sent is not None) for row in screen.shown()] == [(1, False), (2, True), (3, False)]
    text = drawn(screen)
    assert "http://x/bin/listen → http://y" in text
    assert "204 5 ms" in text
    assert "00000001 undelivered 30" in text


def test_the_screen_holds_so_many_rows() -> None:
    screen = Screen("", "")
    for number in range(KEPT + 10):
        screen.take(heard(number + 1))
    assert len(screen.shown()) == KEPT
    assert screen.shown()[0].capture.number == 11


def test_a_paused_list_stands_still() -> None:
    screen = Screen("", "")
    screen.take(heard(1))
    screen.press("p")
    screen.take(heard(2))
    assert [row.capture.number for row in screen.shown()] == [1]
    assert "paused, 1 new" in drawn(screen)
    screen.press("p")
    assert [row.capture.number for row in screen.shown()] == [1, 2]


def test_a_filter_is_typed() -> None:
    screen = Screen("", "")
    screen.take(heard(1))
    screen.take(heard(2, body=STATUS.replace(b"undelivered", b"delivered")))
    for key in ("f", *"status=x", "backspace", *"delivered", "enter"):
        assert screen.press(key) == ""
    assert [row.capture.number for row in screen.shown()] == [2]
    assert "1 with status=delivered" in drawn(screen)
    for key in ("f", *["backspace"] * 20, *"nam=1", "enter"):
        screen.press(key)
    assert "there is no filter 'nam'" in drawn(screen)
    screen.press("escape")
    assert [row.capture.number for row in screen.shown()] == [2]


def test_choosing_and_details() -> None:
    screen = Screen("", "")
    assert screen.press("up") == ""
    for number in (1, 2, 3):
        screen.take(heard(number, answered=500))
    assert chosen(screen) == 3
    screen.press("up")
    screen.press("up")
    assert chosen(screen) == 1
    screen.take(heard(4))
    assert chosen(screen) == 1
    assert screen.press("r") == "resend"
    screen.press("enter")
    assert "capture 1" in drawn(screen)
    assert "ErrorCode: 30" in drawn(screen)
    screen.press("escape")
    assert chosen(screen) == 4
    assert screen.press("q") == "quit"


def chosen(screen: Screen) -> int:
    """Return the number of what is chosen."""
    found = screen.chosen()
    assert found is not None
    return found.capture.number


@pytest.mark.parametrize("width", [20, 60, 100, 200])
def test_what_strangers_write_is_shown_as_text(width: int) -> None:
    screen = Screen("[bold]x", "")
    item = heard(1, body=b"MessageUUID=%1b[31m[red]&Status=%0a[/]&From=1&To=2")
    screen.take(item)
    assert "\x1b" not in drawn(screen, width=width).replace("\x1b[0m", "")
    screen.press("enter")
    assert "\x1b[31m" not in drawn(screen, width=width)


def test_captures_without_a_signature_have_nothing_to_explain() -> None:
    item: Capture = heard(1).capture
    assert verdict(item, Keys()) == "no_signature"
    assert explained(item, Keys()) is None
    signed = msgspec.structs.replace(
        item, headers='[["X-Plivo-Signature-V3", "YWJj"], ["X-Plivo-Signature-V3-Nonce", "1"], ["Host", "h"]]'
    )
    assert verdict(signed, Keys()) == "mismatch"
    told = explained(signed, Keys())
    assert told is not None
    assert not told.accepted
