from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.dialect.send import parse
from ringback.model.errors import InvalidRequest
from ringback.model.retry import RetryPlan

GOOD = {"src": "15005550100", "dst": "14155550123", "text": "hello"}


def test_defaults() -> None:
    request = parse(GOOD)
    assert request.destinations == ("14155550123",)
    assert (request.url, request.method, request.log) == (None, "POST", "true")
    assert (request.trackable, request.expiry_s, request.invalid) == (False, 10_800, ())


def test_a_powerpack_stands_in_for_the_sender() -> None:
    uuid = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"
    for src in ({}, {"src": None}, {"src": ""}):
        request = parse({"dst": "14155550123", "text": "hello", "powerpack_uuid": uuid.upper(), **src})
        assert (request.src, request.powerpack_uuid) == ("", uuid)
    assert parse(GOOD).powerpack_uuid is None


@pytest.mark.parametrize(
    ("dst", "destinations", "invalid"),
    [
        ("14155550123<14155550124", ("14155550123", "14155550124"), ()),
        ("+1 415-555-0123<14155550123", ("14155550123",), ()),
        ("14155550123<nonsense<1", ("14155550123",), ("nonsense", "1")),
        (["14155550123", "447700900123"], ("14155550123", "447700900123"), ()),
        ("['14155550123', '447700900123']", ("14155550123", "447700900123"), ()),
        (14155550123, ("14155550123",), ()),
    ],
)
def test_destinations(dst: Any, destinations: tuple[str, ...], invalid: tuple[str, ...]) -> None:
    request = parse({**GOOD, "dst": dst})
    assert (request.destinations, request.invalid) == (destinations, invalid)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"src": None}, "src parameter is missing"),
        ({"src": "!!"}, "is not a valid phone number"),
        ({"src": {"a": 1}}, "src parameter must be a string"),
        ({"dst": ""}, "dst parameter is missing"),
        ({"dst": "19332631"[:4]}, "1933 is not a valid phone number"),
        ({"dst": {"a": 1}}, "joined with <"),
        ({"dst": [True]}, "joined with <"),
        ({"dst": "15005550100"}, "must not be the same"),
        (
            {"dst": "<".join(str(14150000000 + n) for n in range(1001))},
            "1001 destinations; one request takes at most 1000",
        ),
        ({"text": None}, "text parameter is missing"),
        ({"text": ""}, "text parameter is missing"),
        ({"text": 5}, "text parameter must be a string"),
        ({"type": "whatsapp"}, "whatsapp is not offered"),
        ({"type": "fax"}, "fax is not offered here; use sms or mms"),
        ({"powerpack_uuid": "x"}, "src and powerpack_uuid cannot both be given"),
        ({"powerpack_uuid": "x", "src": ""}, "there is no powerpack x of yours"),
        ({"powerpack_uuid": "", "src": None}, "src parameter is missing"),
        ({"url": "ftp://example.com/"}, "not a valid http or https URL"),
        ({"url": "http://"}, "not a valid http or https URL"),
        ({"url": "http://example.com:99999/"}, "not a valid http or https URL"),
        ({"url": "http://exämple.com/"}, "ASCII"),
        ({"url": "http://example.com/a b"}, "ASCII"),
        ({"url": "http://example.com/" + "a" * 2048}, "longer than 2048"),
        ({"url": ["x"]}, "url parameter must be a string"),
        ({"method": "PUT"}, "method parameter must be one of POST, GET"),
        ({"log": "maybe"}, "log parameter must be one of"),
        ({"trackable": "perhaps"}, "trackable parameter must be true or false"),
        ({"message_expiry": 4}, "message_expiry must be"),
        ({"message_expiry": "soon"}, "message_expiry must be"),
        ({"message_expiry": 10_801}, "message_expiry must be"),
        ({"callback_retry_delays_s": [60, 0]}, "callback_retry_delays_s parameter must be a list of up to 20 numbers"),
        ({"callback_retry_delays_s": "60;120"}, "callback_retry_delays_s parameter must be"),
        ({"callback_retry_delays_s": {"a": 1}}, "callback_retry_delays_s parameter must be"),
        ({"callback_retry_delays_s": True}, "callback_retry_delays_s parameter must be"),
    ],
)
def test_refusals_say_what_is_wrong(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint.replace("(", r"\(")):
        parse({**GOOD, **change})


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("log", True, "true"),
        ("log", False, "false"),
        ("log", "False", "false"),
        ("method", "get", "GET"),
        ("trackable", "true", True),
        ("trackable", None, False),
    ],
)
def test_what_sdks_send_is_understood(field: str, given: Any, read: Any) -> None:
    assert getattr(parse({**GOOD, field: given}), field) == read


@pytest.mark.parametrize(
    ("asked", "delays_s"),
    [
        (None, None),
        ("", None),
        ([], ()),
        ("none", ()),
        ([1, 2.5], (1, 2.5)),
        ("1,2.5", (1, 2.5)),
        (30, (30,)),
    ],
)
def test_a_message_may_bring_a_retry_plan(asked: Any, delays_s: tuple[float, ...] | None) -> None:
    expected = None if delays_s is None else RetryPlan(delays_s=delays_s)
    assert parse({**GOOD, "callback_retry_delays_s": asked}).retry_plan == expected


def test_exactly_1000_destinations_pass() -> None:
    assert len(parse({**GOOD, "dst": "<".join(str(14150000000 + n) for n in range(1000))}).destinations) == 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["src", "dst", "text", "url", "method", "log", "trackable", "type", "message_expiry", "callback_retry_delays_s"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_anything_is_understood_or_refused(fields: dict[str, Any]) -> None:
    complaint = "understood"
    try:
        parse({**GOOD, **fields})
    except InvalidRequest as error:
        complaint = str(error)
    # Something to say, and nothing in it that a JSON answer could not carry.
    assert complaint.encode()
