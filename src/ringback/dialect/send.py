"""The send request as customers write it (contract section 2.1), read into what Ringback understands."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ringback.dialect.mms import MediaFields, parse_media
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.model.ids import as_uuid
from ringback.model.retry import RetryPlan

MAX_DESTINATIONS: Final = 1_000
MAX_URL_LENGTH: Final = 2_048
EXPIRY_S: Final = range(5, 10_801)
LOG_MODES: Final = ("true", "false", "content_only", "number_only")
_BARE_URL: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)


class SendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to send one text to one or many destinations."""

    type: str = "sms"
    media: MediaFields = MediaFields()
    """Of MMS."""
    src: str
    """Empty when a powerpack chooses it."""
    powerpack_uuid: str | None = None
    destinations: tuple[str, ...]
    """Digits, unique, in the order given."""
    invalid: tuple[str, ...]
    """What was given as a destination and is none."""
    text: str
    url: str | None
    method: str
    retry_plan: RetryPlan | None
    """Of its callbacks, an addition; ``None`` when none is asked for."""
    log: str
    trackable: bool
    expiry_s: int
    receipts_asked: str | None = None
    """Of a request that came over SMPP (``model.receipts_asked``)."""


def parse(fields: Mapping[str, Any]) -> SendRequest:
    """Read a send request from decoded JSON or form fields.

    Unknown fields are ignored; ``null`` and empty strings count as absent. Raises ``InvalidRequest`` with
    the text for the customer.
    """
    kind = _text(fields, "type") or "sms"
    if kind == "whatsapp":
        raise InvalidRequest("type whatsapp is not offered here; use sms or mms")
    if kind not in {"sms", "mms"}:
        raise InvalidRequest(f"type {_quoted(kind)} is not offered here; use sms or mms")
    media = parse_media(fields) if kind == "mms" else MediaFields()
    src, powerpack_uuid = _source(fields)
    destinations, invalid = _destinations(fields.get("dst"))
    if src in destinations:
        raise InvalidRequest("src and dst must not be the same number")
    return SendRequest(
        type=kind,
        media=media,
        src=src,
        powerpack_uuid=powerpack_uuid,
        destinations=destinations,
        invalid=invalid,
        text=_message_text(fields, media if kind == "mms" else None),
        url=url_of(fields),
        method=_choice(fields, "method", ("POST", "GET"), "POST", str.upper),
        retry_plan=retry_plan(fields),
        log=_choice(fields, "log", LOG_MODES, "true", str.lower),
        trackable=_boolean(fields, "trackable"),
        expiry_s=_expiry(fields),
    )


def _message_text(fields: Mapping[str, Any], media: MediaFields | None) -> str:
    """Return the text, which an MMS may do without; ``media`` is ``None`` for a text message."""
    text = fields.get("text")
    if text is None or text == "":
        if media is None:
            raise InvalidRequest("text parameter is missing")
        if not media.urls and not media.ids:
            raise InvalidRequest("an mms needs media_urls, media_ids or text")
        return ""
    if not isinstance(text, str):
        raise InvalidRequest("text parameter must be a string")
    return text


def _source(fields: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return ``src`` and the uuid of a powerpack, of which one is given."""
    raw_src, powerpack = _text(fields, "src"), _text(fields, "powerpack_uuid")
    if powerpack is not None:
        if raw_src is not None:
            raise InvalidRequest("src and powerpack_uuid cannot both be given: a powerpack chooses the number itself")
        uuid = as_uuid(powerpack)
        if uuid is None:
            raise InvalidRequest(f"there is no powerpack {_quoted(powerpack)} of yours")
        return "", uuid
    if raw_src is None:
        raise InvalidRequest("src parameter is missing")
    src = numbers.sender(raw_src)
    if src is None:
        raise InvalidRequest(f"{_quoted(raw_src)} is not a valid phone number")
    return src, None


def _destinations(raw: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if raw is None or raw in ("", []):
        raise InvalidRequest("dst parameter is missing")
    given = _given_destinations(raw)
    valid: dict[str, None] = {}
    invalid: dict[str, None] = {}
    for part in given:
        digits = numbers.destination(part)
        if digits is None:
            invalid[_printable(part)] = None
        else:
            valid[digits] = None
    if len(valid) > MAX_DESTINATIONS:
        raise InvalidRequest(
            f"dst has {len(valid)} destinations; one request takes at most {MAX_DESTINATIONS}, split it up"
        )
    if not valid:
        raise InvalidRequest(f"{next(iter(invalid), '')} is not a valid phone number")
    return tuple(valid), tuple(invalid)


def _given_destinations(raw: Any) -> list[str]:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return [str(raw)]
    if isinstance(raw, list):
        if not all(isinstance(part, (str, int)) and not isinstance(part, bool) for part in raw):
            raise InvalidRequest("dst parameter must be a string of numbers joined with <")
        return [str(part) for part in raw]
    if not isinstance(raw, str):
        raise InvalidRequest("dst parameter must be a string of numbers joined with <")
    if raw.startswith("[") and raw.endswith("]"):
        # What the Python SDK makes of a list (contract section 2.1).
        return [part.strip(" '\"") for part in raw[1:-1].split(",")]
    return raw.split("<")


def url_of(fields: Mapping[str, Any]) -> str | None:
    """Return the URL that callbacks go to. Raises ``InvalidRequest``."""
    url = _text(fields, "url")
    return None if url is None else http_url("url", url)


def http_url(name: str, url: str) -> str:
    """Return ``url`` when it is one that can be called. Raises ``InvalidRequest``."""
    if len(url) > MAX_URL_LENGTH:
        raise InvalidRequest(f"{name} parameter is longer than {MAX_URL_LENGTH} characters")
    if _BARE_URL.fullmatch(url) is None:
        raise InvalidRequest(f"{name} parameter must be a URL of ASCII characters; percent-encode others")
    try:
        parts = urlsplit(url)
        sound = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise InvalidRequest(f"{name} parameter {_quoted(url)} is not a valid http or https URL")
    return url


def retry_plan(fields: Mapping[str, Any]) -> RetryPlan | None:
    """Return the retry plan that a request asks for, ``None`` when it has none. Raises ``InvalidRequest``."""
    raw = fields.get("callback_retry_delays_s")
    if raw is None or raw == "":
        return None
    name = "callback_retry_delays_s parameter"
    return RetryPlan.of(raw, name=name) if isinstance(raw, list) else RetryPlan.of_text(str(raw), name=name)


def _expiry(fields: Mapping[str, Any]) -> int:
    raw = fields.get("message_expiry")
    if raw is None or raw == "":
        return EXPIRY_S[-1]
    try:
        seconds = int(raw) if isinstance(raw, (int, str)) and not isinstance(raw, bool) else -1
    except ValueError:
        seconds = -1
    if seconds not in EXPIRY_S:
        raise InvalidRequest(f"message_expiry must be a whole number of seconds from {EXPIRY_S[0]} to {EXPIRY_S[-1]}")
    return seconds


def _boolean(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in {"", "true", "false"}:
        return value.lower() == "true"
    raise InvalidRequest(f"{name} parameter must be true or false")


def _choice(fields: Mapping[str, Any], name: str, allowed: tuple[str, ...], default: str, fold: Any) -> str:
    value = fields.get(name)
    if value is None or value == "":
        return default
    folded = fold(str(value)) if isinstance(value, (str, bool)) else None
    if folded not in allowed:
        raise InvalidRequest(f"{name} parameter must be one of {', '.join(allowed)}")
    return str(folded)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise InvalidRequest(f"{name} parameter must be a string")
    return value


def _printable(text: str) -> str:
    """Make a customer's text fit to be repeated to them and stored: short, and without lone surrogates."""
    return text[:64].encode("utf-8", "replace").decode()


def _quoted(text: str) -> str:
    return _printable(text).strip() or "(blank)"
