"""The asynchronous form of any API request: ``callback_url`` and ``callback_method`` (contract section 1.4)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ringback.dialect import send
from ringback.model.errors import InvalidRequest

FIELDS: Final = frozenset({"callback_url", "callback_method"})


class Later(msgspec.Struct, frozen=True):
    """Where an answer goes, and how."""

    url: str
    method: str


def later_of(given: Mapping[str, Any]) -> Later | None:
    """Read the fields; ``None`` when the answer is wanted at once. Raises ``InvalidRequest``."""
    try:
        url = send.url_of({"url": given.get("callback_url")})
    except InvalidRequest as error:
        raise InvalidRequest(f"callback_url parameter {str(error).removeprefix('url parameter ')}") from error
    if url is None:
        return None
    method = given.get("callback_method") or "POST"
    if not isinstance(method, str) or method.upper() not in {"POST", "GET"}:
        raise InvalidRequest("callback_method parameter must be one of POST, GET")
    return Later(url, method.upper())
