"""Phone numbers as the API takes them (contract section 2.1, src and dst)."""

import re
from functools import lru_cache
from typing import Final

import phonenumbers

_PUNCTUATION: Final = str.maketrans("", "", "/-.+() \t\r\n\u00a0")
_PHONE: Final = re.compile(r"[1-9][0-9]{6,13}", re.ASCII)
_NOT_SENDER: Final = re.compile(r"[^A-Za-z0-9]+")
_SENDER_NUMBER: Final = re.compile(r"[0-9]{3,14}", re.ASCII)
_SENDER_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}", re.ASCII)
_PREFIX_DIGITS: Final = 7


def destination(raw: str) -> str | None:
    """Return ``raw`` as digits with country code, or ``None`` when it is no phone number.

    Punctuation and whitespace are dropped; 7 to 14 digits remain, the first ones a country code in use.
    """
    digits = raw.translate(_PUNCTUATION)
    if _PHONE.fullmatch(digits) is None or country(digits) == "":
        return None
    return digits


def sender(raw: str) -> str | None:
    """Return ``raw`` as a number, short code or alphanumeric sender, or ``None`` when it is none of them."""
    stripped = _NOT_SENDER.sub("", raw)
    if _SENDER_NUMBER.fullmatch(stripped) or _SENDER_NAME.fullmatch(stripped):
        return stripped
    return None


def country(digits: str) -> str:
    """Return the ISO 3166 country of a number, ``""`` when its country code is not in use.

    Numbers of networks without a country (satellite, +800) give ``"ZZ"``. Where several countries share a
    code and the number is not in their plans (555 numbers, say), the code's main country stands.
    """
    return _country_by_prefix(digits[:_PREFIX_DIGITS], len(digits))


@lru_cache(maxsize=65_536)
def _country_by_prefix(prefix: str, length: int) -> str:
    for size in (1, 2, 3):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(prefix[:size]))
        if regions is None:
            continue
        if regions[0] == "001":
            return "ZZ"
        if len(regions) == 1:
            return regions[0]
        # Leading digits tell countries of one code apart; the rest of the number does not matter.
        number = phonenumbers.PhoneNumber(
            country_code=int(prefix[:size]), national_number=int(prefix[size:].ljust(length - size, "2"))
        )
        return phonenumbers.region_code_for_number(number) or regions[0]
    return ""


def digits(raw: str) -> str | None:
    """Return ``raw`` without punctuation, when digits are what remains: the form that numbers are kept in."""
    bare = raw.translate(_PUNCTUATION)
    return bare if _SENDER_NUMBER.fullmatch(bare) or _PHONE.fullmatch(bare) else None


def calling_code(country_iso: str) -> str:
    """Return a country's calling code, ``""`` for a country that has none."""
    code = phonenumbers.country_code_for_region(country_iso.upper())
    return str(code) if code else ""


def is_possible(number: str) -> bool:
    """Say whether a number is as long as numbers of its country are."""
    return phonenumbers.is_possible_number(_parsed(number))


def kind(number: str) -> str:
    """Return what a number is, by its country's plan: ``tollfree``, ``mobile`` or ``local``."""
    found = phonenumbers.number_type(_parsed(number))
    return {phonenumbers.PhoneNumberType.TOLL_FREE: "tollfree", phonenumbers.PhoneNumberType.MOBILE: "mobile"}.get(
        found, "local"
    )


@lru_cache(maxsize=65_536)
def area_code(number: str) -> str:
    """Return the digits after the country code that stand for a region, ``""`` when a number has none."""
    try:
        parsed = _parsed(number)
    except phonenumbers.NumberParseException:
        return ""
    length = phonenumbers.length_of_geographical_area_code(parsed)
    return phonenumbers.national_significant_number(parsed)[:length]


def _parsed(number: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(f"+{number}")


def masked(number: str) -> str:
    """Hide the middle of a number as Plivo's logs do: ``14155550528`` becomes ``141XXXXX528``."""
    return number[:3] + "X" * max(len(number) - 6, 1) + number[-3:]
