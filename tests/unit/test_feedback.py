"""What follows from a provider's answer to a conversion, and how fast conversions go."""

import pytest

from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.model.retry import RetryPlan
from ringback.receiver.conversions import conversion_of, value_of
from ringback.receiver.feedback import Pace, judge
from ringback.receiver.rest import Reply
from ringback.receiver.sources.upstream import Upstream, has_api, upstream_of
from ringback.settings import SourceSettings
from ringback.store.conversions_out import ConversionOut

NOW_US = 1_764_000_000_000_000
UPSTREAM = Upstream(
    source="a", base_url="https://x", auth_id="MA", token="t", per_s=2.0, plan=RetryPlan(delays_s=(60.0, 120.0))
)
SOURCES = {"a": SourceSettings(auth_id="MA", tokens=("t",)), "b": SourceSettings(provider="twilio", tokens=("t",))}


def conversion(attempts_made: int = 0) -> ConversionOut:
    return ConversionOut(
        id=1, source="a", message_uuid="m", value="CONVERTED", converted_at_us=NOW_US, recorded_at_us=NOW_US,
        state="pending", attempts_made=attempts_made, due_at_us=NOW_US, lease_token="t", tried_at_us=None,
        http_status=None, error=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "made", "then"),
    [
        ((200, 0), 0, ("sent", 1, None)),
        ((202, 0), 2, ("sent", 3, None)),
        ((404, 0), 0, ("failed", 1, None)),
        ((400, 0), 1, ("failed", 2, None)),
        ((409, 0), 0, ("failed", 1, None)),
        ((401, 0), 0, ("pending", 1, 60)),
        ((403, 0), 1, ("pending", 2, 120)),
        ((302, 0), 0, ("pending", 1, 60)),
        ((500, 0), 0, ("pending", 1, 60)),
        ((503, 90), 0, ("pending", 1, 90)),
        ((503, 99_999), 0, ("pending", 1, 3_600)),
        ((None, 0), 1, ("pending", 2, 120)),
        ((None, 0), 2, ("failed", 3, None)),
        ((429, 0), 0, ("pending", 0, 5)),
        ((429, 30), 2, ("pending", 2, 30)),
    ],
)
def test_what_follows_from_an_answer(
    reply: tuple[int | None, float], made: int, then: tuple[str, int, int | None]
) -> None:
    verdict = judge(conversion(made), Reply(http_status=reply[0], wait_s=reply[1]), UPSTREAM, now_us=NOW_US)
    after_s = None if verdict.due_at_us is None else (verdict.due_at_us - NOW_US) // 1_000_000
    assert (verdict.state, verdict.attempts_made, after_s) == then


def test_a_source_keeps_its_pace_and_its_rest() -> None:
    pace = Pace(2.0)
    assert pace.room(NOW_US) == 2
    pace.take(2)
    assert pace.room(NOW_US) == 0
    assert pace.wait_s(NOW_US) == pytest.approx(0.5)
    assert pace.room(NOW_US + 500_000) == 1
    # It saves up one second's worth, and no more.
    assert pace.room(NOW_US + 60_000_000) == 2
    pace.rest(NOW_US + 70_000_000)
    assert pace.room(NOW_US + 69_000_000) == 0
    assert pace.wait_s(NOW_US + 69_000_000) == pytest.approx(1.0)
    assert pace.room(NOW_US + 70_000_000) == 2


def test_a_slow_pace_lets_one_go_at_a_time() -> None:
    pace = Pace(0.1)
    assert pace.room(NOW_US) == 1
    pace.take(1)
    assert pace.room(NOW_US + 9_000_000) == 0
    assert pace.room(NOW_US + 10_000_000) == 1


@pytest.mark.parametrize("text", ["converted", "CONVERTED", " Converted "])
def test_values_are_the_contracts_in_any_spelling(text: str) -> None:
    assert value_of(text) == "CONVERTED"
    assert value_of("not-converted") == "NOT_CONVERTED"


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"value": "sent"}, "value must be one of"),
        ({"value": None}, "value must be one of"),
        ({"message_uuid": ""}, "message_uuid must be"),
        ({"message_uuid": "m" * 65}, "message_uuid must be"),
        ({"message_uuid": "m\n"}, "message_uuid must be"),
        ({"timestamp": "yesterday"}, "timestamp must be"),
        ({"timestamp": 5}, "timestamp must be"),
        ({"source": "c"}, "there are: a, b"),
        ({"source": None}, "there are: a, b"),
        ({"source": "b"}, "for plivo only"),
    ],
)
def test_what_cannot_be_reported_is_refused(changed: dict[str, object], complaint: str) -> None:
    given = {"message_uuid": "m", "value": "converted", "source": "a", **changed}
    with pytest.raises(InvalidRequest, match=complaint):
        conversion_of(given, SOURCES, now_us=NOW_US)


def test_the_only_source_and_the_present_go_without_saying() -> None:
    found = conversion_of({"message_uuid": "m", "value": "converted"}, {"a": SOURCES["a"]}, now_us=NOW_US)
    assert (found.source, found.converted_at_us) == ("a", NOW_US)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (SourceSettings(tokens=("t",)), "set auth_id"),
        (SourceSettings(auth_id="MA"), "tokens or api_token"),
        (SourceSettings(auth_id="MA", api_token="t", api_url="ftp://x"), "api_url must be an http or https URL"),
        (SOURCES["b"], "for plivo only"),
    ],
)
def test_a_source_that_cannot_be_reached_says_what_it_lacks(source: SourceSettings, complaint: str) -> None:
    with pytest.raises(ConfigInvalid, match=complaint):
        upstream_of("x", source)


def test_the_token_of_the_api_may_be_another_one() -> None:
    source = SourceSettings(auth_id="MA", tokens=("signs",), api_token="asks", api_url="http://x/")
    assert has_api(source)
    assert (upstream_of("x", source).token, upstream_of("x", source).base_url) == ("asks", "http://x")
