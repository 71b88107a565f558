"""What is kept of passwords."""

import pytest

from ringback.model import passwords
from ringback.model.errors import InvalidRequest
from tests.fakes.people import HASHED, PASSWORD


def test_both_forms_fit_their_password_and_no_other() -> None:
    for kept in (HASHED, passwords.hashed(PASSWORD, b"salt")):
        assert passwords.fits(PASSWORD, kept)
        assert not passwords.fits(PASSWORD + "x", kept)


@pytest.mark.parametrize(
    "kept",
    ["", "$", "a$b$c", "scrypt$15$8$3", "scrypt$a$8$3$AAAA$AAAA", "scrypt$40$8$3$AAAA$AAAA", passwords.NOBODYS],
)
def test_what_is_no_hash_fits_nothing(kept: str) -> None:
    assert not passwords.fits("", kept)


def test_what_was_hashed_in_another_way_is_not_current() -> None:
    assert passwords.is_current(HASHED)
    assert passwords.is_current(passwords.NOBODYS)
    assert not passwords.is_current(passwords.hashed(PASSWORD, b"salt"))
    assert not passwords.is_current(HASHED.replace("$15$", "$14$"))


@pytest.mark.parametrize("password", ["", "elevenchars", "a" * 200 + "b", "ababababababab", "Ada.Lovelace"])
def test_weak_passwords_of_people_are_refused(password: str) -> None:
    with pytest.raises(InvalidRequest):
        passwords.hashed_of_person(password, b"salt", name="ada.lovelace")
