from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model import money


@given(st.integers(-(10**14) + 1, 10**14 - 1))
def test_what_is_shown_reads_back(amount: int) -> None:
    assert money.parse(money.shown(amount)) == amount
    assert Decimal(money.shown(amount)) * money.UNITS == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [("12", 1_200_000), ("+10.00", 1_000_000), ("-0.00001", -1), ("0.0065", 650), ("-0.5", -50_000), ("0", 0)],
)
def test_texts_that_are_sums(text: str, amount: int) -> None:
    assert money.parse(text) == amount


@pytest.mark.parametrize(
    "text", ["", "+", "1.", ".5", "1e3", "0.000001", "1,5", " 1", "1234567890", "--1", "\u0661", "nan"]
)
def test_texts_that_are_none(text: str) -> None:
    assert money.parse(text) is None
    with pytest.raises(ValueError, match="is no rate"):
        money.of_rate(text)
