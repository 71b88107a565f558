"""Slots of limited accounts and senders: never closer than the rate allows, in order, and none held up for nothing."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.model.pace import MOST_GAPS, Calendar, interval_us, take

S = 1_000_000


def test_intervals_are_rounded_so_that_the_rate_is_kept() -> None:
    assert interval_us(5) == 200_000
    assert interval_us(0.25) == 4 * S
    assert interval_us(3) == 333_334


def test_slots_follow_each_other_from_now_on() -> None:
    calendar, slots = Calendar(), []
    for _ in range(3):
        slot, calendar = take(calendar, 10 * S, S, now_us=10 * S)
        slots.append(slot)
    assert slots == [10 * S, 11 * S, 12 * S]
    slot, _ = take(calendar, 60 * S, S, now_us=60 * S)
    assert slot == 60 * S


def test_time_before_a_late_slot_is_left_to_others() -> None:
    slot, calendar = take(Calendar(), 10 * S, S, now_us=0)
    assert slot == 10 * S
    taken = []
    for _ in range(11):
        slot, calendar = take(calendar, 0, S, now_us=0)
        taken.append(slot // S)
    assert taken == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]


def test_gaps_of_the_past_and_too_many_gaps_are_forgotten() -> None:
    _, calendar = take(Calendar(), 10 * S, S, now_us=0)
    assert calendar.gaps == ((0, 10 * S),)
    assert take(calendar, 20 * S, S, now_us=20 * S)[1].gaps == ()
    calendar = Calendar()
    for at in range(MOST_GAPS * 2):
        _, calendar = take(calendar, at * 10 * S, S, now_us=0)
    assert len(calendar.gaps) == MOST_GAPS


@given(
    wanted=st.lists(st.tuples(st.integers(0, 3 * S), st.integers(0, 30 * S)), max_size=60),
    interval=st.integers(1, 5 * S),
)
@settings(deadline=None)
def test_no_window_ever_has_more_than_the_rate_allows(wanted: list[tuple[int, int]], interval: int) -> None:
    calendar, now_us, slots = Calendar(), 0, []
    for passed_us, wait_us in wanted:
        now_us += passed_us
        slot, calendar = take(calendar, now_us + wait_us, interval, now_us=now_us)
        assert slot >= now_us + wait_us
        slots.append(slot)
    slots.sort()
    assert all(later - earlier >= interval for earlier, later in itertools.pairwise(slots))
