"""The inventory: numbers that are there to be rented, and those that somebody has."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from ringback.model import numbers
from ringback.model.errors import InvalidRequest

SERVICES: Final = ("voice", "sms", "mms")
TYPES: Final = ("tollfree", "local", "mobile", "national", "fixed")
"""What a number that can be searched for may be."""
SHORTCODE: Final = "shortcode"

FREE: Final = "0.00000"

_FIXED: Final = ("fixed", "local", "national")
_US: Final = 1_000_000


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number of the inventory; one without an account is for rent."""

    number: str
    country: str
    type: str
    area_code: str
    """Digits after the country code that stand for a region; empty when there are none."""
    region: str
    city: str
    rate_center: str
    lata: int | None
    carrier: str
    is_own: bool
    """An account brought it with it; it goes when that account gives it up."""
    sms_enabled: bool
    mms_enabled: bool
    voice_enabled: bool
    setup_rate: str
    monthly_rate: str
    sms_rate: str
    mms_rate: str
    voice_rate: str
    account_id: str | None = None
    """The main account that has it."""
    subaccount_id: str | None = None
    subaccount_name: str | None = None
    app_id: str | None = None
    alias: str | None = None
    cnam_lookup: str | None = None
    cnam: str | None = None
    compliance_application_id: str | None = None
    profile_uuid: str | None = None
    added_at_us: int | None = None
    """When its account got it."""
    powerpack_uuid: str | None = None
    pool_service: str | None = None
    """What its powerpack may use it for: ``sms``, or ``mms``, which includes the former."""
    pooled_at_us: int | None = None


def new_number(
    number: str, *, country: str = "", type_: str = "", services: Sequence[str] = SERVICES, **given: Any
) -> Number:
    """Return a number that is new to the inventory; country and type follow from it when they are not given.

    ``given`` are further fields of ``Number``. Raises ``InvalidRequest``.
    """
    if type_ == SHORTCODE:
        if not country:
            raise InvalidRequest(f"{number} is a short code: name its country")
        known = country.upper()
    else:
        known = _country(number, country.upper())
    return Number(
        **{
            "number": number,
            "country": known,
            "type": type_ or numbers.kind(number),
            "area_code": "" if type_ == SHORTCODE else numbers.area_code(number),
            "is_own": False,
            **{f"{service}_enabled": service in services for service in SERVICES},
            **dict.fromkeys(("region", "city", "rate_center"), ""),
            **dict.fromkeys(("setup_rate", "monthly_rate", "sms_rate", "mms_rate", "voice_rate"), FREE),
            "lata": None,
            **given,
        }
    )


def _country(number: str, given: str) -> str:
    found = numbers.country(number)
    if not found or not numbers.is_possible(number):
        raise InvalidRequest(f"{number} is not a valid phone number")
    # Several countries share a code, and some numbers are in the plan of none of them.
    if given and (not numbers.calling_code(given) or not number.startswith(numbers.calling_code(given))):
        raise InvalidRequest(f"{number} is a number of {found}, not of {given}")
    return given or found


def types_meant(kind: str) -> tuple[str, ...]:
    """Return the types that a filter names: ``fixed`` is every kind of landline."""
    return _FIXED if kind == "fixed" else (kind,)


def added_on(number: Number) -> date | None:
    """Return the day on which its account got a number."""
    return None if number.added_at_us is None else _day(number.added_at_us)


def renewal_on(number: Number, *, now_us: int) -> date | None:
    """Return when the next month of a rented number begins; ``None`` for one that nobody rents.

    The day of the month is that of the renting, or the last one of a shorter month.
    """
    began, today = added_on(number), _day(now_us)
    if began is None or number.is_own:
        return None
    months = max((today.year - began.year) * 12 + today.month - began.month, 1)
    due = _months_after(began, months)
    return due if due > today else _months_after(began, months + 1)


def _months_after(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first_of_next = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    last = (first_of_next - date(year, month + 1, 1)).days
    return date(year, month + 1, min(day.day, last))


def _day(at_us: int) -> date:
    return datetime.fromtimestamp(at_us // _US, UTC).date()
