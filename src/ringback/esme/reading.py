"""What somebody submits, read into the send request that the API would make of it. Pure."""

from typing import Final

import msgspec

from ringback.carriers.port import Part
from ringback.carriers.smpp import names
from ringback.carriers.smpp.coding import Default
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.carriers.smpp.shape import HAS_HEADER
from ringback.dialect.inbound import storable
from ringback.dialect.send import EXPIRY_S, SendRequest
from ringback.esme.times import seconds_until
from ringback.model import numbers
from ringback.model.errors import PduRefused
from ringback.model.receipts_asked import ReceiptsAsked, asks_for_any
from ringback.store.smpp_logins import Login

_KIND: Final = 0x3C
_TRANSACTION: Final = 0x02
_MODE: Final = 0x03
_BINARY: Final = frozenset({0x02, 0x04})
_VALIDITY_PERIOD: Final = 0x0017
"""Of ``data_sm``, which has it nowhere else: ``qos_time_to_live``, seconds in 4 octets (5.3.2.9)."""
_CONCATENATION: Final = frozenset({0x00, 0x08})


class Wanted(msgspec.Struct, frozen=True):
    """A message, or a part of one, that somebody submits."""

    request: SendRequest
    part: Part | None
    registered_delivery: int


def wanted(body: ShortMessage | DataSm, login: Login, *, default: Default, now_us: int) -> Wanted:
    """Read a ``submit_sm`` or ``data_sm``. Raises ``PduRefused``."""
    _check_form(body)
    src = numbers.sender(body.source)
    if src is None:
        raise PduRefused(
            "source_addr is no number and no name of up to 11 letters and digits", status=names.INVALID_SOURCE
        )
    dst = numbers.destination(body.dest)
    if dst is None or dst == src:
        raise PduRefused("destination_addr is no phone number with country code", status=names.INVALID_DESTINATION)
    text, part = text_of(body, default)
    if not text:
        raise PduRefused("there is no text", status=names.INVALID_LENGTH_OF_MESSAGE)
    flag = body.registered_delivery
    return Wanted(
        SendRequest(
            src=src,
            destinations=(dst,),
            invalid=(),
            text=storable(text),
            url=None,
            method="POST",
            retry_plan=None,
            log=login.log,
            trackable=False,
            expiry_s=_expiry_s(body, now_us),
            receipts_asked=ReceiptsAsked(login.id, (flag,)).stored() if part is None and asks_for_any(flag) else None,
        ),
        part,
        flag,
    )


def whole(request: SendRequest, login_id: str, text: str, flags: tuple[int, ...]) -> SendRequest:
    """Return the request of a text whose parts are all there."""
    asked = ReceiptsAsked(login_id, flags).stored() if any(map(asks_for_any, flags)) else None
    return msgspec.structs.replace(request, text=text, receipts_asked=asked)


def _check_form(body: ShortMessage | DataSm) -> None:
    if body.esm_class & _KIND or body.esm_class & _MODE == _TRANSACTION:
        raise PduRefused("esm_class asks for what is not offered", status=names.INVALID_ESM_CLASS)
    if body.data_coding in _BINARY:
        raise PduRefused("messages of bytes are not taken, only texts", status=names.SUBMIT_FAILED)
    data = body.short_message if isinstance(body, ShortMessage) else b""
    data = data or body.tlv(names.MESSAGE_PAYLOAD) or b""
    if body.esm_class & HAS_HEADER and not _kinds_of_header(data) <= _CONCATENATION:
        # Ports, pictures, languages: without its header such a text would be another one.
        raise PduRefused("the user data header has elements that are not offered", status=names.SUBMIT_FAILED)
    if isinstance(body, DataSm):
        return
    if body.schedule_time:
        raise PduRefused("messages for later are not offered", status=names.INVALID_SCHEDULE)
    if body.replace_if_present:
        raise PduRefused("replacing messages is not offered", status=names.INVALID_REPLACE_FLAG)
    if body.default_message_id:
        raise PduRefused("there are no texts that are kept here", status=names.INVALID_DEFAULT_MESSAGE)


def _kinds_of_header(data: bytes) -> set[int]:
    if not data or len(data) <= data[0]:
        raise PduRefused("the user data header is longer than the message", status=names.INVALID_LENGTH_OF_MESSAGE)
    kinds, at = set(), 1
    while at + 1 <= data[0]:
        kinds.add(data[at])
        at += 2 + data[at + 1]
    return kinds


def _expiry_s(body: ShortMessage | DataSm, now_us: int) -> int:
    """Return how long a message is worth sending: as asked for, within what the API allows."""
    asked: int | None
    if isinstance(body, DataSm):
        raw = body.tlv(_VALIDITY_PERIOD)
        if raw is None:
            return EXPIRY_S[-1]
        asked = int.from_bytes(raw, "big") if len(raw) == 4 else None
    elif not body.validity_period:
        return EXPIRY_S[-1]
    else:
        asked = seconds_until(body.validity_period, now_us)
    if asked is None or asked <= 0:
        raise PduRefused("validity_period is no time, or over", status=names.INVALID_EXPIRY)
    return min(max(asked, EXPIRY_S[0]), EXPIRY_S[-1])
