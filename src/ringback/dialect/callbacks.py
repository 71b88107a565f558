"""Status callbacks: what they say (contract section 4.2), how they travel, and how to read one.

Presence by status follows the contract's table: ``SentTime`` from ``sent`` on, ``DeliveryReportTime`` with a
receipt, ``ErrorCode`` with every final status (``000`` for delivered), ``MCC`` and ``MNC`` once known.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus, urlsplit

import msgspec

from ringback.dialect.times import callback_time
from ringback.model.message import Message
from ringback.model.status import Status

Params = Sequence[tuple[str, str]]

FORM: Final = "application/x-www-form-urlencoded"


def total_amount(message: Message) -> str:
    """Return rate times units with the rate's five decimals."""
    return _amount(message.rate, message.units)


@lru_cache(maxsize=1024)
def _amount(rate: str, units: int) -> str:
    return f"{Decimal(rate) * units:.5f}"


def carrier_fees(message: Message) -> str:
    """Return what carriers add to the amount: their rate times units."""
    return _amount(message.carrier_fees_rate or "0", message.units)


def status_params(message: Message) -> list[tuple[str, str]]:
    """Return the parameters of the callback for the status that ``message`` has just taken."""
    params = [
        ("MessageUUID", message.uuid),
        ("ParentMessageUUID", message.uuid),
        ("PartInfo", "1 of 1"),
        ("From", message.src),
        ("To", message.dst),
        ("Type", message.type),
        ("Status", message.status),
        ("Units", str(message.units)),
        ("TotalRate", message.rate),
        ("TotalAmount", total_amount(message)),
        ("Sequence", str(message.sequence)),
        ("MessageTime", callback_time(message.queued_at_us)),
        ("QueuedTime", callback_time(message.queued_at_us)),
        ("requester_ip", message.requester_ip),
        ("PowerpackUUID", message.powerpack_uuid or ""),
    ]
    if message.mcc is not None:
        params += [("MCC", message.mcc), ("MNC", message.mnc or "")]
    if message.sent_at_us is not None:
        params.append(("SentTime", callback_time(message.sent_at_us)))
    if message.status in {Status.DELIVERED, Status.UNDELIVERED} and message.final_at_us is not None:
        params.append(("DeliveryReportTime", callback_time(message.final_at_us)))
    if message.error_code is not None:
        params.append(("ErrorCode", message.error_code))
    return params


def endpoint_of(url: str) -> str:
    """Return scheme, host and port: what health and limits of a receiver are kept by."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def form(params: Params) -> str:
    """Return ``params`` as a form or a query has them: what ``urlencode`` gives, at a fifth of its cost."""
    return "&".join([f"{_quoted_name(name)}={_quoted(value)}" for name, value in params])


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return text.translate(_QUOTED) if text.isascii() else quote_plus(text)


@lru_cache(maxsize=256)
def _quoted_name(text: str) -> str:
    return _quoted(text)


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~\-]*")
_QUOTED: Final = {code: quote_plus(chr(code)) for code in range(128) if quote_plus(chr(code)) != chr(code)}


def with_query(url: str, params: Params) -> str:
    """Return ``url`` with ``params`` after whatever query it has: the URL of a GET callback."""
    location, _, query = url.partition("#")[0].partition("?")
    query = "&".join(part for part in (query, form(params)) if part)
    return f"{location}?{query}" if query else location


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a received status callback says; fields that senders may leave out are optional."""

    message_uuid: str
    status: str
    from_number: str
    to_number: str
    sequence: int | None
    error_code: str | None
    mcc: str | None
    mnc: str | None
    units: int | None
    total_amount: str | None


REQUIRED: Final = ("MessageUUID", "Status", "From", "To")


def missing_params(params: Mapping[str, str]) -> list[str]:
    """Name the parameters without which a request is no status callback (contract appendix B)."""
    return [name for name in REQUIRED if not params.get(name)]


def read_status(params: Mapping[str, str]) -> StatusReport:
    """Read a status callback that has all of ``REQUIRED``."""
    return StatusReport(
        message_uuid=params["MessageUUID"],
        status=params["Status"].lower(),
        from_number=params["From"],
        to_number=params["To"],
        sequence=_number(params.get("Sequence")),
        error_code=params.get("ErrorCode") or None,
        mcc=params.get("MCC") or None,
        mnc=params.get("MNC") or None,
        units=_number(params.get("Units")),
        total_amount=params.get("TotalAmount") or None,
    )


def _number(text: str | None) -> int | None:
    # Longer ones are no counts, and would not fit the database.
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else None
