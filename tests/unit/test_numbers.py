import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.model import numbers


@pytest.mark.parametrize(
    ("raw", "digits"),
    [
        ("14155550123", "14155550123"),
        ("+1 (415) 555-0123", "14155550123"),
        ("+44.7700/900123", "447700900123"),
        ("\t15005550030\n", "15005550030"),
    ],
)
def test_punctuation_is_dropped(raw: str, digits: str) -> None:
    assert numbers.destination(raw) == digits


@pytest.mark.parametrize(
    "raw", ["", "abc", "123", "0044123456789", "1415555012345678", "1415555x123", "21012345678", "٣١٤١٥٥٥"]
)
def test_what_is_no_number(raw: str) -> None:
    assert numbers.destination(raw) is None


@pytest.mark.parametrize(
    ("digits", "country"),
    [
        ("14155550123", "US"),
        ("14165550123", "CA"),
        ("15005550030", "US"),
        ("447700900123", "GB"),
        ("919876543210", "IN"),
        ("77012345678", "KZ"),
        ("79161234567", "RU"),
        ("88213123456", "ZZ"),
        ("21012345678", ""),
    ],
)
def test_country_by_prefix(digits: str, country: str) -> None:
    assert numbers.country(digits) == country


@given(st.text(max_size=30))
def test_any_text_gives_digits_or_nothing(raw: str) -> None:
    found = numbers.destination(raw)
    if found is not None:
        assert found.isascii()
        assert found.isdigit()
        assert 7 <= len(found) <= 14
        assert numbers.destination(found) == found


@pytest.mark.parametrize(
    ("raw", "sender"),
    [
        ("+1 500 555 0100", "15005550100"),
        ("MyBrand", "MyBrand"),
        ("My Brand!", "MyBrand"),
        ("72727", "72727"),
        ("", None),
        ("12", None),
        ("ABrandThatIsTooLong", None),
        ("123456789012345", None),
    ],
)
def test_senders(raw: str, sender: str | None) -> None:
    assert numbers.sender(raw) == sender


def test_masking() -> None:
    assert numbers.masked("14155550528") == "141XXXXX528"
