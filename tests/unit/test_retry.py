from hypothesis import given
from hypothesis import strategies as st

from ringback.model.retry import PLIVO, RetryPlan

SECOND = 1_000_000


def test_the_ladder_is_60_120_240_from_the_previous_attempt() -> None:
    due = 0
    planned = []
    for attempts_made in (1, 2, 3):
        following = PLIVO.next_due_at_us(attempts_made, due, due + 7_000)
        assert following is not None
        planned.append((following - due) // SECOND)
        due = following
    assert planned == [60, 120, 240]
    assert PLIVO.next_due_at_us(4, due, due) is None


def test_an_attempt_that_started_late_moves_the_next_one() -> None:
    assert PLIVO.next_due_at_us(1, 0, 50 * SECOND) == 110 * SECOND


@given(
    st.lists(st.floats(0.001, 1e5), max_size=6).map(tuple),
    st.integers(0, 2**50),
    st.integers(-(2**40), 2**40),
)
def test_never_early_and_always_ends(delays_s: tuple[float, ...], due_at_us: int, late_us: int) -> None:
    plan = RetryPlan(delays_s=delays_s)
    for attempts_made, delay_s in enumerate(delays_s, 1):
        following = plan.next_due_at_us(attempts_made, due_at_us, due_at_us + late_us)
        assert following is not None
        assert following - due_at_us >= round(delay_s * SECOND)
    assert plan.next_due_at_us(len(delays_s) + 1, due_at_us, due_at_us) is None


def test_missed_attempts_are_used_up_and_the_rest_stay_where_they_were() -> None:
    at_us = 1_000_000_000
    assert PLIVO.skip_missed(0, at_us, at_us) == (0, at_us), "due now is not missed"
    assert PLIVO.skip_missed(0, at_us, at_us + 1) == (1, at_us + 60_000_000)
    assert PLIVO.skip_missed(0, at_us, at_us + 60_000_001) == (2, at_us + 180_000_000)
    assert PLIVO.skip_missed(0, at_us, at_us + 180_000_001) == (3, at_us + 420_000_000)
    assert PLIVO.skip_missed(0, at_us, at_us + 420_000_001) == (4, None)
    assert PLIVO.skip_missed(3, at_us, at_us + 1) == (4, None)
