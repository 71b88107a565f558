"""Powerpacks and number pools on the wire (contract section 6.4)."""

from collections.abc import Mapping
from typing import Any, Final

from ringback.dialect import arguments, numbering
from ringback.dialect.arguments import Fields
from ringback.dialect.times import second
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.model.inventory import SHORTCODE, Number
from ringback.model.powerpack import KINDS, Powerpack, Priority

SERVICES: Final = ("sms", "mms")
POOL_TYPES: Final = ("fixed", "tollfree", "toll-free", "mobile")
MAX_PREFIXES: Final = 10
_PLACES: Final = ("priority1", "priority2", "priority3")


def settings(fields: Fields) -> dict[str, Any]:
    """Return what a request sets, by field of ``Powerpack``: all but its application. Raises ``InvalidRequest``."""
    kind = arguments.choice(fields, "application_type", ("XML", "PHLO"))
    if kind == "PHLO":
        raise InvalidRequest("application_type PHLO is not offered here; use XML")
    found = {
        "name": arguments.text(fields, "name"),
        "sticky_sender": arguments.flag(fields, "sticky_sender"),
        "local_connect": arguments.flag(fields, "local_connect"),
        "priorities": _priorities(fields.get("number_priority")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _priorities(raw: Any) -> tuple[Priority, ...] | None:
    if raw is None or raw == "":
        return None
    if not isinstance(raw, list):
        raise InvalidRequest("number_priority parameter must be a list")
    found: dict[tuple[str, str], Priority] = {}
    for each in raw:
        priority = _priority(each)
        if found.setdefault((priority.service, priority.country), priority) is not priority:
            raise InvalidRequest(
                f"number_priority has two entries for {priority.service.upper()} to {priority.country}"
            )
    return tuple(found.values())


def _priority(raw: Any) -> Priority:
    if not isinstance(raw, Mapping):
        raise InvalidRequest("number_priority parameter must be a list of objects")
    service = arguments.choice(raw, "service_type", SERVICES)
    if service is None:
        raise InvalidRequest("service_type parameter is missing")
    country = numbering.country(raw)
    order = raw.get("priority")
    if not isinstance(order, Mapping):
        raise InvalidRequest("priority parameter must be an object with priority1, priority2 and priority3")
    kinds = [kind for place in _PLACES if (kind := arguments.choice(order, place, KINDS))]
    if not kinds or len(set(kinds)) < len(kinds):
        raise InvalidRequest("priority parameter must name a kind of number, and none of them twice")
    return Priority(service=service, country=country, kinds=tuple(kinds))


def record(powerpack: Powerpack, caller_id: str) -> dict[str, Any]:
    """Return a powerpack as the API shows it."""
    return {
        "uuid": powerpack.uuid,
        "name": powerpack.name,
        "application_id": powerpack.app_id or "",
        "application_type": "XML" if powerpack.app_id else "",
        "created_on": second(powerpack.created_at_us),
        "local_connect": powerpack.local_connect,
        "sticky_sender": powerpack.sticky_sender,
        # SDKs take what stands in the sixth place between slashes for the pool's id.
        "number_pool": f"/v1/Account/{caller_id}/NumberPool/{powerpack.uuid}/",
        "number_priority": [
            {
                "service_type": each.service.upper(),
                "country_iso": each.country,
                "priority": dict(zip(_PLACES, (*each.kinds, None, None), strict=False)),
            }
            for each in powerpack.priorities
        ],
    }


def pool_record(number: Number, caller_id: str) -> dict[str, Any]:
    """Return a number of a pool as the API shows it."""
    shared = {
        "country_iso2": number.country,
        "added_on": None if number.pooled_at_us is None else second(number.pooled_at_us),
        "number_pool_uuid": number.powerpack_uuid,
        "service": number.pool_service,
    }
    if number.type == SHORTCODE:
        return {"shortcode": number.number, **shared}
    return {
        "number": number.number,
        "type": number.type if number.type in {"tollfree", "mobile"} else "fixed",
        **shared,
        "account_phone_number_resource": numbering.uri(caller_id, number.number),
    }


def pool_type(fields: Fields) -> str | None:
    """Return the type of number that a list of a pool is about."""
    given = arguments.choice(fields, "type", POOL_TYPES)
    return "tollfree" if given == "toll-free" else given


def pool_country(fields: Fields) -> str | None:
    """Return the country that a list of a pool is about."""
    given = arguments.text(fields, "country_iso2")
    if given is None:
        return None
    if not numbers.calling_code(given):
        raise InvalidRequest(f"country_iso2 {arguments.shown(given)} is not an ISO 3166 code such as US")
    return given.upper()


def prefixes(fields: Fields, country: str | None) -> tuple[str, ...]:
    """Return what numbers of a pool are to begin with, with the country's code and, as it was given, without."""
    given = [part.strip() for part in (arguments.text(fields, "starts_with") or "").split(",") if part.strip()]
    if not given:
        return ()
    if country is None:
        raise InvalidRequest("starts_with needs country_iso2 beside it")
    if len(given) > MAX_PREFIXES or not all(part.isascii() and part.isdigit() for part in given):
        raise InvalidRequest(
            f"starts_with parameter must be at most {MAX_PREFIXES} groups of digits with commas between"
        )
    code = numbers.calling_code(country)
    return tuple(
        prefix for part in given for prefix in ((part, code + part) if part.startswith(code) else (code + part,))
    )
