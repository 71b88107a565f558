"""Limits of requests, on a clock that the test moves."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.messaging.meter import MOST_KEYS, PARTS, RequestMeter, SlidingWindow
from ringback.model.errors import TooManyRequests
from ringback.store.limits import Limit, Limits

S = 1_000_000
OWNER = "MAAAAAAAAAAAAAAAAAAA"


def test_a_window_takes_its_limit_and_then_says_when_the_next_may_come() -> None:
    window = SlidingWindow(5 * S)
    assert [window.take("a", 3, at) for at in (0, S, 2 * S)] == [0, 0, 0]
    wait_us = window.take("a", 3, 2 * S)
    assert 3 * S <= wait_us <= 3 * S + 5 * S // PARTS
    assert window.take("b", 3, 2 * S) == 0
    assert window.take("a", 3, 2 * S + wait_us) == 0


def test_refused_requests_do_not_count() -> None:
    window = SlidingWindow(5 * S)
    window.take("a", 1, 0)
    for at in range(1, 50):
        assert window.take("a", 1, at * S // 10) > 0
    assert window.take("a", 1, 51 * S // 10) == 0


@given(steps=st.lists(st.integers(0, 2 * S), min_size=1, max_size=120), limit=st.integers(1, 9))
@settings(deadline=None)
def test_no_window_of_that_length_has_more_than_the_limit(steps: list[int], limit: int) -> None:
    window, now_us, taken = SlidingWindow(5 * S), 0, []
    for step in steps:
        now_us += step
        if window.take("a", limit, now_us) == 0:
            taken.append(now_us)
    assert all(later - earlier > 5 * S for earlier, later in zip(taken, taken[limit:], strict=False))


def test_memory_is_bounded() -> None:
    window = SlidingWindow(5 * S)
    for key in range(MOST_KEYS + 5):
        window.take(str(key), 1_000_000, 0)
    assert len(window._counts) <= MOST_KEYS
    for at in range(1000):
        window.take("a", 1_000_000, at * S // 100)
    assert len(window._counts["a"].parts) <= PARTS + 1


def test_the_meter_knows_requests_lists_and_those_in_hand() -> None:
    meter = RequestMeter()
    limits = Limits(
        requests_per_5_s=Limit(3, OWNER), lists_per_minute=Limit(1, OWNER), concurrent_requests=Limit(2, OWNER)
    )
    first = meter.begin(limits, is_list=True, now_us=0)
    with pytest.raises(TooManyRequests, match="too many requests") as refused:
        meter.begin(limits, is_list=True, now_us=0)
    assert refused.value.retry_after_s in {60, math.ceil(60 * (PARTS + 1) / PARTS)}
    second = meter.begin(limits, is_list=False, now_us=6 * S)
    with pytest.raises(TooManyRequests) as refused:
        meter.begin(limits, is_list=False, now_us=6 * S)
    assert refused.value.retry_after_s == 1
    meter.end(first)
    meter.end(second)
    third = meter.begin(limits, is_list=False, now_us=6 * S)
    assert third == OWNER
    meter.end(third)
    assert meter._in_hand == {}


def test_without_limits_nothing_is_kept() -> None:
    meter = RequestMeter()
    assert meter.begin(Limits(), is_list=True, now_us=0) is None
    meter.end(None)
    assert meter._requests._counts == {}
