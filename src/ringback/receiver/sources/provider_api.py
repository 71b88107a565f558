"""Plivo's REST API, as far as a receiver uses it: the message list, one message, conversions (contract sections 2.3 to
2.5 and 6.10)."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from ringback.dialect.times import callback_time, iso_time_us
from ringback.model.vocabulary import ENDS, Word, word_of

API_URL: Final = "https://api.plivo.com"
MOST_A_PAGE: Final = 20
LISTS_A_MINUTE: Final = 20.0
VALUES: Final = ("CONVERTED", "NOT_CONVERTED", "CONVERTED_WITH_OTHERS")

_SENT_WORDS: Final = frozenset({Word.SENT, Word.READ, *ENDS} - {Word.FAILED, Word.REJECTED})


class Unreadable(Exception):
    """What the API has answered is no page of a list."""


class Page(msgspec.Struct, frozen=True):
    """A part of the list."""

    records: Sequence[bytes]
    """Each as it came."""
    total: int | None
    """Messages in the whole list, where it says so."""
    has_more: bool


class _Meta(msgspec.Struct):
    next: Any = msgspec.UNSET
    total_count: Any = None


class _Listed(msgspec.Struct):
    objects: list[msgspec.Raw]
    meta: _Meta | None = None


_read_list = msgspec.json.Decoder(_Listed).decode


def page_target(auth_id: str, *, since_us: int, until_us: int, offset: int, subaccount: str = "") -> str:
    """Return path and query of a page of outbound messages, from ``since_us`` and before ``until_us``."""
    query = {
        "message_direction": "outbound",
        "message_time__gte": callback_time(since_us),
        "message_time__lt": callback_time(until_us),
        "limit": str(MOST_A_PAGE),
        "offset": str(offset),
    }
    if subaccount:
        query["subaccount"] = subaccount
    return f"/v1/Account/{quote(auth_id, safe='')}/Message/?{urlencode(query)}"


def message_target(auth_id: str, message_uuid: str) -> str:
    """Return the path of one message."""
    return f"/v1/Account/{quote(auth_id, safe='')}/Message/{quote(message_uuid, safe='')}/"


def conversion_target(auth_id: str, message_uuid: str) -> str:
    """Return the path that takes conversions of a message: in small letters, as the vendor's page writes it."""
    return f"/v1/account/{quote(auth_id, safe='')}/message/{quote(message_uuid, safe='')}/conversion/"


def conversion_body(value: str, converted_at_us: int) -> bytes:
    """Return what is said there."""
    timestamp = callback_time(converted_at_us).replace(" ", "T") + "Z"
    return msgspec.json.encode({"status": value, "timestamp": timestamp})


def read_page(body: bytes) -> Page:
    """Read a page. Raises ``Unreadable``."""
    try:
        listed = _read_list(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"the answer is no page of messages: {error}") from error
    records = [bytes(record) for record in listed.objects]
    meta = listed.meta or _Meta()
    has_more = len(records) >= MOST_A_PAGE if meta.next is msgspec.UNSET else bool(meta.next)
    if has_more and not records:
        raise Unreadable("the answer is no page of messages: it is empty, and says that there are more")
    total = meta.total_count
    is_count = isinstance(total, int) and not isinstance(total, bool) and total >= 0
    return Page(records=records, total=total if is_count else None, has_more=has_more)


def record_pairs(body: bytes) -> Sequence[tuple[str, str]]:
    """Say what a message's record says in the parameters of a status callback, with ``Reconciled`` beside them.

    The list knows neither ``Sequence`` nor the network's codes. Nothing is given of what is no record.
    """
    try:
        record = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    if not isinstance(record, dict):
        return ()

    def text(name: str) -> str:
        value = record.get(name)
        return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

    word = word_of(text("message_state"))
    pairs = [
        ("MessageUUID", text("message_uuid")),
        ("From", text("from_number")),
        ("To", text("to_number")),
        ("Type", text("message_type")),
        ("Status", text("message_state")),
        ("Units", text("units")),
        ("TotalRate", text("total_rate")),
        ("TotalAmount", text("total_amount")),
        ("MessageTime", _time(text("message_time"))),
        ("QueuedTime", _time(text("message_time"))),
        ("SentTime", _time(text("message_sent_time")) if word in _SENT_WORDS else ""),
        ("DeliveryReportTime", _time(text("message_updated_time")) if word in ENDS else ""),
        ("ErrorCode", text("error_code")),
        ("Reconciled", "true"),
    ]
    return tuple((name, value) for name, value in pairs if value)


def _time(text: str) -> str:
    at_us = iso_time_us(text) if text else None
    return "" if at_us is None else callback_time(at_us)
