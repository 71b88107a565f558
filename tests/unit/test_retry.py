from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model.errors import InvalidRequest
from ringback.model.retry import LONGEST_DELAY_S, MAX_DELAYS, PLIVO, RetryPlan, most_specific, stored_plan

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


@pytest.mark.parametrize(
    ("text", "delays_s"),
    [("60,120,240", (60, 120, 240)), (" 0.5 , 86400 ", (0.5, 86_400)), ("7", (7,)), ("none", ()), (" None ", ())],
)
def test_plans_as_people_write_them(text: str, delays_s: tuple[float, ...]) -> None:
    assert RetryPlan.of_text(text, name="plan") == RetryPlan(delays_s=delays_s)


@pytest.mark.parametrize(
    "text", ["", ",", "60,", "60;120", "soon", "0", "-1", "nan", "inf", "86400.1", "1," * 20 + "1"]
)
def test_texts_that_are_no_plan(text: str) -> None:
    with pytest.raises(InvalidRequest, match="plan must be a list of up to 20 numbers of seconds, each above 0 and"):
        RetryPlan.of_text(text, name="plan")


@pytest.mark.parametrize("delays_s", [[0], [True], ["60"], [None], [10**400], [1] * (MAX_DELAYS + 1), [[60]]])
def test_lists_that_are_no_plan(delays_s: list[Any]) -> None:
    with pytest.raises(InvalidRequest, match="plan must be a list of up to 20"):
        RetryPlan.of(delays_s, name="plan")


@given(st.lists(st.floats(0, LONGEST_DELAY_S, exclude_min=True) | st.integers(1, LONGEST_DELAY_S), max_size=MAX_DELAYS))
def test_a_plan_is_stored_as_it_is(delays_s: list[float]) -> None:
    plan = RetryPlan.of(delays_s, name="plan")
    assert stored_plan(plan.stored()) == plan == RetryPlan(delays_s=tuple(delays_s))


def test_the_most_specific_plan_holds() -> None:
    message, endpoint, account = (RetryPlan(delays_s=(float(number),)) for number in (1, 2, 3))
    for given_plans, found in (
        ((message, endpoint, account), message),
        ((None, endpoint, account), endpoint),
        ((None, None, account), account),
        ((None, None, None), PLIVO),
        ((RetryPlan(delays_s=()), endpoint, None), RetryPlan(delays_s=())),
    ):
        stored = [plan.stored() if plan else None for plan in given_plans]
        assert most_specific(*stored, default=PLIVO) == found
