"""The filter of the analytics: from a URL and back, and whose account wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from ringback.analytics.definitions import STATUSES
from ringback.analytics.filters import Filter, as_params, previous, read_filter
from ringback.model.errors import InvalidRequest

HOUR_US = 3_600_000_000
NOW_US = 1_772_626_020_000_000
"""2026-03-04 12:07 UTC."""

names = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters=",\x7f"), min_size=1, max_size=20
)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=3, unique=True).map(tuple)


filters = st.builds(
    Filter,
    since_us=st.integers(1_000_000_000_000_000, NOW_US - 1),
    until_us=st.integers(NOW_US, NOW_US + 1_000_000),
    account_id=st.none() | st.just("MAAAAAAAAAAAAAAAAAAA"),
    country=several(st.sampled_from(("IN", "US", "none"))),
    carrier=several(st.sampled_from(("404-20", "310-260", "none"))),
    sender=several(names.map(str.strip).filter(bool)),
    error=several(st.sampled_from(("30", "000", "none"))),
    status=several(st.sampled_from(STATUSES)),
    type=several(st.sampled_from(("sms", "mms"))),
    compare=st.booleans(),
)


@given(filters)
def test_a_filter_comes_back_from_its_url(chosen: Filter) -> None:
    if chosen.until_us - chosen.since_us > 1_000 * 24 * HOUR_US:
        return
    assert read_filter(as_params(chosen), now_us=NOW_US) == chosen


def test_a_period_ends_with_the_bucket_that_is_now() -> None:
    found = read_filter(QueryParams(""), now_us=NOW_US)
    assert (found.until_us - found.since_us, found.until_us - NOW_US) == (24 * HOUR_US, 8 * 60_000_000)
    assert found == read_filter({"period": "24h"}, now_us=NOW_US + 7 * 60_000_000)
    assert as_params(read_filter({"period": "7d"}, now_us=NOW_US)) == [("period", "7d")]
    days = read_filter({"period": "90d"}, now_us=NOW_US)
    assert days.until_us % (24 * HOUR_US) == 0


def test_values_are_given_with_commas_or_several_times() -> None:
    found = read_filter(QueryParams("country=in&country=US,none&sender=+15005550100"), now_us=NOW_US)
    assert found.country == ("IN", "US", "none")
    assert found.sender == ("15005550100",)


def test_the_account_of_who_looks_always_wins() -> None:
    found = read_filter({"account": "MABBBBBBBBBBBBBBBBBB"}, now_us=NOW_US, account_id="MAAAAAAAAAAAAAAAAAAA")
    assert found.account_id == "MAAAAAAAAAAAAAAAAAAA"
    assert ("account", "MAAAAAAAAAAAAAAAAAAA") not in as_params(found, with_account=False)


def test_parameters_of_others_are_left_alone() -> None:
    assert read_filter({"by": "country"}, now_us=NOW_US, beside=("by",)) == read_filter({}, now_us=NOW_US)


@pytest.mark.parametrize(
    "params",
    [
        {"by": "country"}, {"country": "INDIA"}, {"carrier": "40420"}, {"status": "lost"}, {"type": "fax"},
        {"direction": "up"}, {"error": "a b"}, {"sender": "x" * 65}, {"sender": ",".join(map(str, range(60)))},
        {"account": "A,B"}, {"compare": "next"}, {"period": "0d"}, {"period": "9999d"}, {"period": "1w"},
        {"until": "1h"}, {"since": "1h", "until": "1h"}, {"since": "1500-01-01"}, {"since": "9999999d"},
        {"since": "2000d"}, {"period": "7d", "until": "1h"},
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(params: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        read_filter(params, now_us=NOW_US)


def test_the_period_before_is_no_longer_than_what_has_passed_of_this_one() -> None:
    chosen = Filter(since_us=NOW_US - 3 * HOUR_US, until_us=NOW_US + HOUR_US, period="4h", compare=True)
    before = previous(chosen, now_us=NOW_US)
    assert (before.since_us, before.until_us) == (NOW_US - 7 * HOUR_US, NOW_US - 4 * HOUR_US)
    assert (before.period, before.compare) == (None, False)
