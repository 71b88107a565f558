"""Answers of the API: envelopes, message records, list filters (contract sections 1.4, 1.7, 1.9, 2.3 to 2.5)."""

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import msgspec

from ringback.dialect.callbacks import carrier_fees, total_amount
from ringback.dialect.times import filter_time_us, record_time
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.model.ids import AUTH_ID
from ringback.model.message import Message
from ringback.model.redaction import hidden_number

MAX_LIMIT: Final = 20
MAX_OFFSET: Final = 1_000_000
DAY_US: Final = 86_400_000_000


def message_record(message: Message) -> dict[str, Any]:
    """Return a message as the API shows it. The text is not part of it."""
    hidden = hidden_number(message)
    return {
        "message_uuid": message.uuid,
        "resource_uri": f"/v1/Account/{message.account_id}/Message/{message.uuid}/",
        "message_direction": message.direction,
        "message_state": message.status,
        "message_type": message.type,
        "message_time": record_time(message.queued_at_us),
        "message_sent_time": record_time(message.sent_at_us) if message.sent_at_us is not None else None,
        "message_updated_time": record_time(message.updated_at_us),
        "from_number": numbers.masked(message.src) if message.src == hidden else message.src,
        "to_number": numbers.masked(message.dst) if message.dst == hidden else message.dst,
        "units": message.units,
        "total_rate": message.rate,
        "total_amount": total_amount(message),
        "carrier_fees": carrier_fees(message),
        "carrier_fees_rate": message.carrier_fees_rate or "0.00000",
        "error_code": message.error_code,
        "error_message": "",
        "powerpack_id": message.powerpack_uuid,
        "requester_ip": message.requester_ip,
        "is_domestic": None,
        "replaced_sender": None,
        "destination_country_iso2": message.country,
        "destination_network": message.network or "",
        "tendlc_campaign_id": None,
        "tendlc_registration_status": None,
        "dlt_entity_id": "",
        "dlt_template_id": "",
        "dlt_template_category": "",
        "conversation_id": "",
        "conversation_origin": "",
        "conversation_expiration_timestamp": "",
        "log": message.log,
    }


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Filters of the message list, as values of the message they must equal, and a time window."""

    equal: dict[str, str]
    """Message field to value."""
    after_us: int
    before_us: int | None
    limit: int
    offset: int
    given: dict[str, str]
    """The parameters as given, for the links to the next and the previous page."""
    is_empty: bool = False
    """Whether it asks for what no message has."""


_EQUAL: Final = {
    "message_direction": "direction",
    "message_state": "status",
    "message_type": "type",
    "error_code": "error_code",
    "destination_country_iso2": "country",
    "subaccount": "account_id",
    "powerpack_id": "powerpack_uuid",
}
_NUMBERS: Final = {"from_number": "src", "from": "src", "to_number": "dst", "to": "dst"}
_CHOICES: Final = {
    "message_direction": ("inbound", "outbound"),
    "message_state": ("queued", "sent", "failed", "delivered", "undelivered", "read", "received", "rejected"),
    "message_type": ("sms", "mms", "whatsapp"),
    "tendlc_registration_status": ("registered", "unregistered"),
    "conversation_origin": ("service", "utility", "authentication", "marketing"),
}
_SHAPES: Final = {
    "error_code": (re.compile(r"[0-9]{1,8}", re.ASCII), "an error code such as 420 or 000"),
    "destination_country_iso2": (re.compile(r"[A-Za-z]{2}", re.ASCII), "two letters such as US"),
    "subaccount": (AUTH_ID, "an auth id: SA and 18 capital letters or digits"),
}
_OF_NO_MESSAGE: Final = (
    "tendlc_campaign_id",
    "tendlc_registration_status",
    "conversation_id",
    "conversation_origin",
)
"""What no message has, so that a list that asks for it is empty."""


def parse_list(params: Mapping[str, str], *, now_us: int, oldest_us: int = 0) -> ListQuery:
    """Read the query string of a message list. Raises ``InvalidRequest``.

    Without a time filter the last 24 hours are listed (contract section 2.5), and never what is older than
    ``oldest_us``. Empty parameters count as absent.
    """
    _validate(params)
    equal: dict[str, str] = {}
    for name, field in _EQUAL.items():
        if value := params.get(name):
            equal[field] = value.upper() if field == "country" else value
    for name, field in _NUMBERS.items():
        if value := params.get(name):
            sender = numbers.sender(value)
            if sender is None:
                raise InvalidRequest(f"{name} is not a valid phone number")
            equal[field] = sender
    after_us, before_us = _window(params)
    if after_us is None:
        after_us = 0 if before_us is not None else now_us - DAY_US
    return ListQuery(
        equal=equal,
        after_us=max(after_us, oldest_us),
        before_us=before_us,
        limit=_whole(params, "limit", MAX_LIMIT, 1, MAX_LIMIT),
        offset=_whole(params, "offset", 0, 0, MAX_OFFSET),
        given={name: value for name, value in params.items() if name not in {"limit", "offset"}},
        is_empty=any(params.get(name) for name in _OF_NO_MESSAGE),
    )


def _validate(params: Mapping[str, str]) -> None:
    for name, choices in _CHOICES.items():
        if (value := params.get(name)) and value not in choices:
            raise InvalidRequest(f"{name} parameter must be one of {', '.join(choices)}")
    for name, (shape, meaning) in _SHAPES.items():
        if (value := params.get(name)) and shape.fullmatch(value) is None:
            raise InvalidRequest(f"{name} must be {meaning}")


def _window(params: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return the window as (first microsecond in it, first microsecond after it)."""
    after: list[int] = []
    before: list[int] = []
    for suffix, bounds, shift in (
        ("__gt", after, 1),
        ("__gte", after, 0),
        ("__lt", before, 0),
        ("__lte", before, 1),
    ):
        if value := params.get(f"message_time{suffix}"):
            bounds.append(_time(f"message_time{suffix}", value) + shift)
    if value := params.get("message_time"):
        exact = _time("message_time", value)
        after.append(exact)
        # A filter names minutes, seconds or fractions: it means all of what it names.
        width = {16: 60_000_000, 19: 1_000_000}.get(len(value), 1)
        before.append(exact + width)
    return max(after, default=None), min(before, default=None)


def _time(name: str, value: str) -> int:
    at_us = filter_time_us(value)
    if at_us is None:
        raise InvalidRequest(f"{name} must be a UTC time like 2024-05-01 10:00:00")
    return at_us


def _whole(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = params.get(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 12 and least <= int(value) <= most):
        raise InvalidRequest(f"{name} must be a whole number from {least} to {most}")
    return int(value)


class Paged(Protocol):
    """A list's position, and the parameters that it was asked with."""

    @property
    def limit(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def given(self) -> dict[str, str]: ...


def page_meta(path: str, query: Paged, *, total: int) -> dict[str, Any]:
    """Return the ``meta`` of a list at ``path``: position, total, and relative links or null."""

    def link(offset: int) -> str:
        return f"{path}?{urlencode({**query.given, 'limit': query.limit, 'offset': offset})}"

    after = query.offset + query.limit
    return {
        "limit": query.limit,
        "offset": query.offset,
        "next": link(after) if after < total else None,
        "previous": link(max(query.offset - query.limit, 0)) if query.offset else None,
        "total_count": total,
    }
