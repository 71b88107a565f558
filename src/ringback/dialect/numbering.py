"""Numbers on the wire: those that an account has, and those for rent (contract sections 6.2, 6.3)."""

import operator
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from ringback.dialect import applications, arguments
from ringback.dialect.arguments import Fields
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.model.inventory import SERVICES, TYPES, Number, added_on, renewal_on

MAX_OWN: Final = 1_000
LOOKUPS: Final = ("enabled", "disabled")
REGISTRATIONS: Final = ("unregistered", "in_progress", "registered")
VERIFICATIONS: Final = ("unverified", "pending", "verified")

_TEXTS: Final = ("alias", "cnam", "compliance_application_id", "profile_uuid")


def own_numbers(fields: Fields) -> list[str]:
    """Return the numbers that somebody brings with them. Raises ``InvalidRequest``."""
    raw = fields.get("numbers")
    if raw is None or raw in ("", []):
        raise InvalidRequest("numbers parameter is missing")
    # Some SDKs send what their language writes for a list.
    given = raw if isinstance(raw, list) else str(raw).strip("[]").split(",")
    found: dict[str, None] = {}
    for each in given:
        number = numbers.destination(str(each).strip(" '\""))
        if number is None:
            raise InvalidRequest(f"{arguments.shown(str(each))} is not a valid phone number")
        found[number] = None
    if len(found) > MAX_OWN:
        raise InvalidRequest(f"numbers has {len(found)} numbers; one request takes at most {MAX_OWN}, split it up")
    return list(found)


def changes(fields: Fields) -> dict[str, Any]:
    """Return what a request changes of a number but its application and subaccount; an empty text clears."""
    found: dict[str, Any] = {}
    for name in _TEXTS:
        given = "compliance_id" if name == "compliance_application_id" and name not in fields else name
        if (value := arguments.clearable(fields, given)) is not None:
            found[name] = value or None
    if lookup := arguments.choice(fields, "cnam_lookup", LOOKUPS):
        found["cnam_lookup"] = lookup
    return found


def keeper(fields: Fields, *, now_us: int) -> Callable[[Number], bool] | None:
    """Return what says of a number whether it matches the filters that no column has; ``None`` without any.

    No number here is registered or verified with anybody, and the day of renewal follows from today.
    """
    checks: list[Callable[[Number], bool]] = []
    registration = arguments.choice(fields, "tendlc_registration_status", REGISTRATIONS)
    if registration not in {None, "unregistered"} or arguments.text(fields, "tendlc_campaign_id"):
        checks.append(lambda _: False)
    if verification := arguments.choice(fields, "toll_free_sms_verification", VERIFICATIONS):
        checks.append(lambda number: number.type == "tollfree" and verification == "unverified")
    if arguments.text(fields, "toll_free_sms_verification_order_status"):
        checks.append(lambda _: False)
    for suffix, compare in _COMPARE.items():
        if bound := arguments.day(fields, f"renewal_date{suffix}"):
            checks.append(_renews(compare, bound, now_us))
    return (lambda number: all(check(number) for check in checks)) if checks else None


_COMPARE: Final[dict[str, Callable[[date, date], bool]]] = {
    "": operator.eq,
    "__gt": operator.gt,
    "__gte": operator.ge,
    "__lt": operator.lt,
    "__lte": operator.le,
}


def _renews(compare: Callable[[date, date], bool], bound: date, now_us: int) -> Callable[[Number], bool]:
    def check(number: Number) -> bool:
        day = renewal_on(number, now_us=now_us)
        return day is not None and compare(day, bound)

    return check


def prefix(fields: Fields) -> str | None:
    """Return what the numbers of an account are to begin with."""
    given = arguments.text(fields, "number_startswith")
    return None if given is None else _digits("number_startswith", given)


def search_prefix(fields: Fields, country: str) -> str | None:
    """Return what numbers for rent are to begin with: the country's code, then what is asked for."""
    code = numbers.calling_code(country)
    for name in ("npanxx", "pattern"):
        if given := arguments.text(fields, name):
            return code + _digits(name, given)
    return None


def _digits(name: str, given: str) -> str:
    bare = given.removeprefix("+")
    if not (bare.isascii() and bare.isdigit() and len(bare) <= 15):
        raise InvalidRequest(f"{name} parameter must be digits")
    return bare


def country(fields: Fields) -> str:
    """Return the country that numbers are searched in. Raises ``InvalidRequest``."""
    given = arguments.required(fields, "country_iso").upper()
    if not numbers.calling_code(given):
        raise InvalidRequest(f"country_iso {arguments.shown(given)} is not an ISO 3166 code such as US")
    return given


def services(fields: Fields) -> tuple[str, ...]:
    """Return the services that numbers are to have, by either name of the parameter."""
    return arguments.words(fields, "services", SERVICES) or arguments.words(fields, "service", SERVICES)


def type_(fields: Fields) -> str | None:
    """Return the type that numbers are to be of."""
    return arguments.choice(fields, "type", TYPES)


def record(number: Number, caller_id: str, *, now_us: int) -> dict[str, Any]:
    """Return a number that somebody has as the API shows it."""
    sub, renewal, added = number.subaccount_id, renewal_on(number, now_us=now_us), added_on(number)
    is_tollfree = number.type == "tollfree"
    return {
        "number": number.number,
        "alias": number.alias,
        "application": number.app_id and applications.uri(caller_id, number.app_id),
        "carrier": number.carrier,
        "number_type": number.type,
        "region": number.region,
        "city": number.city,
        "country": number.country,
        "active": True,
        "added_on": added and added.isoformat(),
        "renewal_date": renewal and renewal.isoformat(),
        "monthly_rental_rate": number.monthly_rate,
        **_rates(number),
        "sub_account": sub and f"/v1/Account/{number.account_id}/Subaccount/{sub}/",
        "sub_account_name": number.subaccount_name,
        "cnam_lookup": number.cnam_lookup or "disabled",
        "cnam": number.cnam,
        "compliance_application_id": number.compliance_application_id,
        "compliance_status": None,
        "tendlc_campaign_id": None,
        "tendlc_registration_status": "UNREGISTERED",
        "toll_free_sms_verification": "unverified" if is_tollfree else None,
        "toll_free_sms_verification_id": None,
        "toll_free_sms_verification_order_status": None,
        "profile_uuid": number.profile_uuid,
        "caller_reputation_status": None,
        "resource_uri": uri(caller_id, number.number),
    }


def for_rent_record(number: Number, caller_id: str) -> dict[str, Any]:
    """Return a number for rent as the API shows it."""
    return {
        "number": number.number,
        "prefix": number.area_code,
        "city": number.city,
        "country": number.country,
        "region": number.region,
        "rate_center": number.rate_center,
        "lata": number.lata,
        "type": number.type,
        "sub_type": number.type,
        "setup_rate": number.setup_rate,
        "monthly_rental_rate": number.monthly_rate,
        **_rates(number),
        "restriction": None,
        "restriction_text": None,
        "prerequisites": [],
        "resource_uri": f"/v1/Account/{caller_id}/PhoneNumber/{number.number}/",
    }


def uri(caller_id: str, number: str) -> str:
    """Return where a number that somebody has is found."""
    return f"/v1/Account/{caller_id}/Number/{number}/"


def _rates(number: Number) -> dict[str, Any]:
    return {
        "sms_enabled": number.sms_enabled,
        "sms_rate": number.sms_rate,
        "mms_enabled": number.mms_enabled,
        "mms_rate": number.mms_rate,
        "voice_enabled": number.voice_enabled,
        "voice_rate": number.voice_rate,
    }
