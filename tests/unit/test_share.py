"""Fair places: lanes, windows, turns."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.delivery.share import (
    FIRST_WINDOW,
    LANE_SHARE,
    PACE_BURST,
    PACE_PER_S,
    PACED,
    RETRY_STEP,
    Candidate,
    Places,
    allot,
)
from ringback.model.circuit import Circuit, Finding
from ringback.store.endpoints import Endpoint, Lane

NOW_US = 1_764_000_000_000_000
PLENTY = dict.fromkeys(Lane, 1_000)


def endpoint(name: str = "one", **limits: int) -> Endpoint:
    """Make an endpoint that works."""
    return Endpoint(
        id=name,
        account_id="MA",
        origin=f"https://{name}.example",
        circuit=Circuit(),
        first_ready_at_us=None,
        retry_ready_at_us=None,
        is_full=False,
        concurrency=limits.get("concurrency"),
        rate_per_minute=limits.get("rate_per_minute"),
        looked_at_us=0,
        retry_delays=None,
        keep_parked=None,
    )


def test_accounts_share_alike_however_many_endpoints_they_have() -> None:
    many = [Candidate(f"a{number}", "A", Lane.FIRST, 100) for number in range(9)]
    one = [Candidate("b", "B", Lane.FIRST, 100)]
    given_ = allot([*many, *one], free=60, lane_room=PLENTY)
    assert given_[-1] == 30
    assert sum(given_[:-1]) == 30
    assert max(given_[:-1]) - min(given_[:-1]) <= 1


def test_what_one_cannot_use_goes_to_the_others() -> None:
    candidates = [Candidate("small", "A", Lane.FIRST, 3), Candidate("large", "B", Lane.FIRST, 100)]
    assert allot(candidates, free=50, lane_room=PLENTY) == [3, 47]


def test_an_endpoint_in_two_lanes_has_one_window() -> None:
    candidates = [Candidate("x", "A", Lane.FIRST, 5), Candidate("x", "A", Lane.RETRY, 5)]
    assert sum(allot(candidates, free=50, lane_room=PLENTY)) == 5


@given(
    st.lists(
        st.builds(
            Candidate,
            st.sampled_from([f"e{number}" for number in range(12)]),
            st.sampled_from("ABC"),
            st.sampled_from(Lane),
            st.integers(0, 20),
        ),
        max_size=30,
    ),
    st.integers(0, 60),
    st.fixed_dictionaries({lane: st.integers(0, 30) for lane in Lane}),
)
def test_no_bound_is_passed_and_no_place_wasted(
    candidates: list[Candidate], free: int, lane_room: dict[Lane, int]
) -> None:
    rooms: dict[str, int] = {}
    candidates = [
        Candidate(each.endpoint_id, each.account_id, each.lane, rooms.setdefault(each.endpoint_id, each.room))
        for each in candidates
    ]
    dealt = allot(candidates, free=free, lane_room=lane_room)
    by_lane: Counter[Lane] = Counter()
    by_endpoint: Counter[str] = Counter()
    for candidate, count in zip(candidates, dealt, strict=True):
        by_lane[candidate.lane] += count
        by_endpoint[candidate.endpoint_id] += count
    assert sum(dealt) <= free
    assert all(by_lane[lane] <= room for lane, room in lane_room.items())
    assert all(by_endpoint[name] <= room for name, room in rooms.items())
    if sum(dealt) < free:
        could_take_more = [
            each
            for each in candidates
            if by_lane[each.lane] < lane_room[each.lane] and by_endpoint[each.endpoint_id] < rooms[each.endpoint_id]
        ]
        assert not could_take_more


def test_lanes_leave_a_quarter_for_endpoints_that_work() -> None:
    assert sum(share for lane, share in LANE_SHARE.items() if lane is not Lane.FIRST) <= 0.75
    places = Places(capacity=80, endpoint_limit=100)
    for number in range(30):
        places.start(endpoint(f"new{number}"), Lane.NEW, NOW_US)
        places.start(endpoint(f"bad{number}"), Lane.RETRY, NOW_US)
        places.start(endpoint(f"ill{number}"), Lane.DOUBTFUL, NOW_US)
    room = places.lane_room(NOW_US)
    assert (room[Lane.NEW], room[Lane.DOUBTFUL], room[Lane.RETRY]) == (0, 0, 0)
    assert room[Lane.FIRST] == 80


def test_what_may_hang_begins_in_steps() -> None:
    places = Places(capacity=4_000, endpoint_limit=100)
    begun = dict.fromkeys(Lane, 0)
    for at_ms in range(0, 1_000, 10):
        now_us = NOW_US + at_ms * 1_000
        for lane, room in places.lane_room(now_us).items():
            for number in range(min(room, 100)):
                places.start(endpoint(f"{lane}{at_ms}-{number}"), lane, now_us)
                begun[lane] += 1
            if not at_ms:
                assert begun[lane] == {Lane.FIRST: 100, Lane.RETRY: RETRY_STEP}.get(lane, PACE_BURST)
    for lane in PACED:
        assert begun[lane] == pytest.approx(PACE_BURST + PACE_PER_S, abs=2)
    assert begun[Lane.FIRST] == 4_000
    assert begun[Lane.RETRY] == 1_000


def test_a_window_opens_with_success_and_halves_with_failure() -> None:
    places, one = Places(capacity=100, endpoint_limit=10), endpoint()
    rooms = []
    for _ in range(8):
        places.start(one, Lane.FIRST, NOW_US)
        places.end(one, Lane.FIRST, Finding.UP)
        rooms.append(places.room(one, NOW_US))
    assert rooms == [5, 6, 7, 8, 9, 10, 10, 10]
    for expected in (5, 2, 1, 1):
        places.start(one, Lane.FIRST, NOW_US)
        places.end(one, Lane.FIRST, Finding.DOWN)
        assert places.room(one, NOW_US) == expected


def test_places_in_use_take_room() -> None:
    places, one = Places(capacity=100, endpoint_limit=10), endpoint()
    for used in range(FIRST_WINDOW):
        assert places.room(one, NOW_US) == FIRST_WINDOW - used
        places.start(one, Lane.FIRST, NOW_US)
    assert places.room(one, NOW_US) == 0
    places.end(one, Lane.FIRST, None)
    assert places.room(one, NOW_US) == 1


def test_an_operators_limit_holds() -> None:
    places, one = Places(capacity=100, endpoint_limit=10), endpoint(concurrency=2)
    for _ in range(20):
        places.start(one, Lane.FIRST, NOW_US)
        places.end(one, Lane.FIRST, Finding.UP)
    assert places.room(one, NOW_US) == 2


@pytest.mark.parametrize("rate_per_minute", [30, 60, 600])
def test_a_rate_limit_holds_over_a_minute(rate_per_minute: int) -> None:
    places, one = Places(capacity=1_000, endpoint_limit=1_000), endpoint(rate_per_minute=rate_per_minute)
    sent = 0
    for tick in range(600):
        now_us = NOW_US + tick * 100_000
        for _ in range(places.room(one, now_us)):
            places.start(one, Lane.FIRST, now_us)
            places.end(one, Lane.FIRST, Finding.UP)
            sent += 1
    burst = max(rate_per_minute // 60, 1)
    assert rate_per_minute - 1 <= sent <= rate_per_minute + burst
    assert places.wait_us(one, NOW_US + 60_000_000) <= 60_000_000 // rate_per_minute * burst
