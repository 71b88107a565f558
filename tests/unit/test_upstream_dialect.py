"""What an upstream account says, read as its client; and which messages it is asked about, when."""

from typing import Any

import pytest

from ringback.carriers.plivo.catch_up import MOST_AGE_US, CatchUp, Open
from ringback.carriers.port import Awaiting
from ringback.dialect import upstream
from ringback.dialect.times import retry_after_s
from ringback.dialect.upstream import Report, refusal, report
from ringback.model.status import Status

SECOND_US = 1_000_000
SRC = "14155550100"


@pytest.mark.parametrize(
    ("status", "text", "code", "elsewhere"),
    [
        (400, "15005550199 is not a valid phone number", "50", False),
        (400, "14155550100 is not a valid phone number", "40", False),
        (400, "14155550100 is not an MMS enabled phone number", "40", True),
        (400, "src 14155550100 is not a number of yours: rent it, or use one that you have", "40", True),
        (400, "Insufficient Credit: add to the account's credit, then send again", "900", True),
        (400, "15005550199 is not a sandbox number, and a developer account may send to those only", "50", True),
        (400, "text is 1,700 characters long (those like € and [ count twice), the limit is 1,600", "110", False),
        (400, "url parameter x is not a valid http or https URL", "10", True),
        (400, "", "10", False),
        (409, "anything else", "10", False),
        (422, "anything else", "10", False),
        (402, "", "900", True),
        (403, "messages to AQ are blocked for this account", "450", True),
        (404, "not found", "90", True),
        (405, "method not allowed", "90", True),
        (302, "", "90", True),
    ],
)
def test_refusals_have_the_code_of_their_reason(status: int, text: str, code: str, *, elsewhere: bool) -> None:
    found = refusal(status, text, src=SRC)
    assert (found.error_code, found.elsewhere) == (code, elsewhere)
    assert found.detail == (f"answered {status}: {text}" if text else f"answered {status}")


@pytest.mark.parametrize(
    ("state", "code", "found"),
    [
        ("queued", None, None),
        ("sent", None, Report(Status.SENT, "000")),
        ("delivered", "000", Report(Status.DELIVERED, "000")),
        ("read", None, Report(Status.DELIVERED, "000")),
        ("undelivered", "30", Report(Status.UNDELIVERED, "30")),
        ("failed", "420", Report(Status.UNDELIVERED, "420")),
        ("failed", "451", Report(Status.UNDELIVERED, "451")),
        ("Rejected", None, Report(Status.UNDELIVERED, "1000")),
        ("undelivered", "000", Report(Status.UNDELIVERED, "1000")),
        ("deleted", None, None),
        ("", None, None),
    ],
)
def test_states_become_receipts(state: str, code: str | None, found: Report | None) -> None:
    assert report(state, code) == found


@pytest.mark.parametrize(
    ("content", "uuid"),
    [
        ({"message_uuid": ["a", "b"]}, "a"),
        ({"message_uuid": "a"}, "a"),
        ({"message_uuid": []}, None),
        ({"message_uuid": [1]}, None),
        ({"message_uuid": None}, None),
        ({"message_uuid": "\x00"}, None),
        ({}, None),
    ],
)
def test_names_are_read_from_whatever_comes(content: dict[str, Any], uuid: str | None) -> None:
    assert upstream.message_uuid(content) == uuid


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"error": "not found"}, "not found"),
        ({"error": {"error": "nested"}}, "nested"),
        ({"error": ["x"]}, ""),
        ({"error": "x" * 300}, "x" * 200),
        ({}, ""),
    ],
)
def test_errors_are_read_from_whatever_comes(content: dict[str, Any], text: str) -> None:
    assert upstream.error_text(content) == text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"message_state": "failed", "error_code": "420"}, ("failed", "420")),
        ({"message_state": "failed", "error_code": 420}, ("failed", "420")),
        ({"message_state": "sent", "error_code": None}, ("sent", None)),
        ({"message_state": 7}, ("", None)),
    ],
)
def test_records_are_read_from_whatever_comes(content: dict[str, Any], found: tuple[str, str | None]) -> None:
    assert upstream.record_state(content) == found


@pytest.mark.parametrize(("given_s", "said"), [(0, 5), (77, 77), (999_999, 10_800)])
def test_expiry_stays_within_what_the_api_takes(given_s: int, said: int) -> None:
    fields = upstream.send_fields(src="a", dst="1", text="t", url="u", log="true", expiry_s=given_s, media_ids=None)
    assert fields["message_expiry"] == said


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7.0), (" 7 ", 7.0), ("99999", 3600.0), ("Thu, 01 Jan 1970 00:01:00 GMT", 60.0), ("soon", 0.0), ("", 0.0)],
)
def test_retry_after_is_read_in_both_forms(text: str, wait_s: float) -> None:
    assert retry_after_s(text, 0) == wait_s


def awaiting(*refs: str, submitted_at_us: int = 0) -> list[Awaiting]:
    return [Awaiting(message_uuid="m", dst="1", carrier_ref=ref, submitted_at_us=submitted_at_us) for ref in refs]


def test_messages_are_asked_about_in_their_order_and_then_less_and_less() -> None:
    open_ones = CatchUp()
    open_ones.add(awaiting("a", "b"), 0)
    assert [each.carrier_ref for each in (open_ones.take(0), open_ones.take(0)) if each] == ["a", "b"]
    assert (open_ones.take(0), open_ones.due_in_s(0), len(open_ones)) == (None, None, 0)
    now_us, pauses_s = 0, []
    message: Open | None = Open("a", 0)
    while message is not None:
        open_ones.still_open(message, now_us)
        if (pause_s := open_ones.due_in_s(now_us)) is None:
            break
        assert open_ones.take(now_us + round(pause_s * SECOND_US) - 1) is None
        now_us += round(pause_s * SECOND_US)
        pauses_s.append(pause_s)
        message = open_ones.take(now_us)
    assert pauses_s[:8] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert now_us >= MOST_AGE_US
    assert sum(pauses_s[:-1]) * SECOND_US < MOST_AGE_US


def test_what_was_not_answered_is_no_turn() -> None:
    open_ones = CatchUp()
    open_ones.not_answered(Open("a", 0, asked=3), 0, pause_s=7)
    assert open_ones.due_in_s(2 * SECOND_US) == 5
    assert open_ones.take(7 * SECOND_US) == Open("a", 0, asked=3)


def test_what_is_old_is_asked_about_once() -> None:
    open_ones = CatchUp()
    open_ones.add(awaiting("a"), MOST_AGE_US)
    message = open_ones.take(MOST_AGE_US)
    assert message is not None
    open_ones.still_open(message, MOST_AGE_US)
    assert len(open_ones) == 0
