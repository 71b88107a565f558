"""Reading the parameters of Ringback's own resources: from a query all are text, from JSON they have types.

``null`` is as good as not there, except where a resource says that it clears something.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from ringback.dialect.times import filter_time_us
from ringback.model.errors import InvalidRequest
from ringback.model.retry import RetryPlan
from ringback.web.api.messages import decode_fields
from ringback.web.body import read_body

Fields = Mapping[str, Any]


async def body_fields(request: Request, max_bytes: int, known: Collection[str]) -> Fields:
    """Read a JSON body that may have the fields ``known``. Raises ``InvalidRequest``."""
    given = decode_fields(await read_body(request, max_bytes), "")
    refuse_unknown(given, known)
    return given


def refuse_unknown(given: Fields, known: Collection[str]) -> None:
    """Raise ``InvalidRequest`` for a parameter that nobody would heed."""
    if unknown := sorted(set(given) - set(known)):
        there_are = f"there are {', '.join(sorted(known))}" if known else "there are none"
        raise InvalidRequest(f"{unknown[0][:64]} is no parameter here; {there_are}")


def text(given: Fields, name: str) -> str | None:
    """Return a text."""
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} parameter must be a string")
    return value


def choice(given: Fields, name: str, choices: Sequence[str]) -> str | None:
    """Return one of some words."""
    value = given.get(name)
    if value is not None and value not in choices:
        raise InvalidRequest(f"{name} parameter must be one of {', '.join(choices)}")
    return value


def flag(given: Fields, name: str) -> bool | None:
    """Return a truth value."""
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{name} parameter must be true or false")
    return value


def whole(given: Fields, name: str, least: int, most: int) -> int | None:
    """Return a whole number, also one that is written out."""
    value = given.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most):
        raise InvalidRequest(f"{name} parameter must be a whole number from {least} to {most}")
    return value


def number(given: Fields, name: str) -> float | None:
    """Return a number."""
    value = given.get(name)
    if value is None:
        return None
    # Beyond that a whole number may be none that a float can be.
    if not _is_number(value) or abs(value) > 1e15:
        raise InvalidRequest(f"{name} parameter must be a number")
    return float(value)


def retry_plan(given: Fields, name: str) -> RetryPlan | None:
    """Return a retry plan, given as a list."""
    value = given.get(name)
    if value is None:
        return None
    return RetryPlan.of(value if isinstance(value, list) else [value], name=f"{name} parameter")


def time_us(given: Fields, name: str) -> int | None:
    """Return a time."""
    value = given.get(name)
    if value is None:
        return None
    at_us = filter_time_us(value) if isinstance(value, str) else None
    if at_us is None:
        raise InvalidRequest(f"{name} parameter must be a UTC time such as 2026-01-31 12:00:00")
    return at_us


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
