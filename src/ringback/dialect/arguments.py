"""Parameters of the resources that others defined: types are taken as clients write them.

``null`` counts as absent. An empty text does too, except where it clears something. What nobody knows is ignored.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from ringback.dialect.records import MAX_LIMIT
from ringback.dialect.send import http_url
from ringback.model.errors import InvalidRequest
from ringback.model.ids import AUTH_ID

Fields = Mapping[str, Any]

MAX_OFFSET: Final = 10_000_000
METHODS: Final = ("POST", "GET")
MAX_TEXT: Final = 256

_DAY: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]\d{2}:\d{2}.*)?", re.ASCII)


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is asked for."""

    limit: int
    offset: int
    given: dict[str, str]
    """The other parameters, for the links to the next and the previous page."""


def page(fields: Fields) -> Page:
    """Read the parameters that every list has."""
    limit = whole(fields, "limit", 1, MAX_LIMIT)
    return Page(
        limit=MAX_LIMIT if limit is None else limit,
        offset=whole(fields, "offset", 0, MAX_OFFSET) or 0,
        # From JSON there may be characters that no URL can carry.
        given={shown(name): shown(str(value)) for name, value in fields.items() if name not in {"limit", "offset"}},
    )


def text(fields: Fields, name: str, *, most: int = MAX_TEXT) -> str | None:
    """Return a text that is not empty."""
    return clearable(fields, name, most=most) or None


def clearable(fields: Fields, name: str, *, most: int = MAX_TEXT) -> str | None:
    """Return a text, which is empty where something is to be cleared."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} parameter must be a string")
    if value is not None and (len(value) > most or not value.isprintable()):
        raise InvalidRequest(f"{name} parameter must be at most {most} printable characters")
    return value


def required(fields: Fields, name: str) -> str:
    """Return a text that must be there."""
    value = text(fields, name)
    if value is None:
        raise InvalidRequest(f"{name} parameter is missing")
    return value


def flag(fields: Fields, name: str) -> bool | None:
    """Return a truth value, also one that is written out."""
    value = fields.get(name)
    if value is None or value == "" or isinstance(value, bool):
        return value if isinstance(value, bool) else None
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise InvalidRequest(f"{name} parameter must be true or false")


def choice(fields: Fields, name: str, choices: Sequence[str]) -> str | None:
    """Return one of some words, in whatever case it was written."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    for word in choices:
        if isinstance(value, str) and value.lower() == word.lower():
            return word
    raise InvalidRequest(f"{name} parameter must be one of {', '.join(choices)}")


def whole(fields: Fields, name: str, least: int, most: int) -> int | None:
    """Return a whole number, also one that is written out."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}")
    return value


def url(fields: Fields, name: str) -> str | None:
    """Return a URL; it is empty where one is to be cleared."""
    value = fields.get(name)
    if value is None or value == "":
        return None if value is None else ""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} parameter must be a string")
    return http_url(name, value)


def subaccount(fields: Fields) -> str | None:
    """Return a subaccount's id; it is empty where there is to be none any more."""
    value = clearable(fields, "subaccount")
    if value and (AUTH_ID.fullmatch(value) is None or not value.startswith("SA")):
        raise InvalidRequest("subaccount must be an auth id: SA and 18 capital letters or digits")
    return value


def words(fields: Fields, name: str, choices: Sequence[str]) -> tuple[str, ...]:
    """Return words that are written with commas between."""
    given = (text(fields, name) or "").replace(" ", "").lower()
    found = tuple(dict.fromkeys(word for word in given.split(",") if word))
    if not set(found) <= set(choices):
        raise InvalidRequest(f"{name} parameter must be some of {', '.join(choices)}, with commas between")
    return found


def day(fields: Fields, name: str) -> date | None:
    """Return a day; a time of day after it does not matter."""
    value = text(fields, name)
    if value is None:
        return None
    found = _DAY.fullmatch(value)
    try:
        return date.fromisoformat(found[1] if found else "")
    except ValueError:
        raise InvalidRequest(f"{name} must be a day like 2026-01-31") from None


def shown(given: str) -> str:
    """Return a customer's text fit to be repeated to them."""
    return given[:MAX_TEXT].encode("utf-8", "replace").decode()
