"""PDUs of SMPP 3.4: values, and the bytes that they are on the wire (chapters 3 to 5 of the standard).

A body is one struct for each layout: ``submit_sm`` and ``deliver_sm`` share one. What 5.0 adds comes as TLVs, which are
kept whether they are known or not. Reading never raises anything but ``PduMalformed``, writing ``FieldTooLong``.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.model.errors import FieldTooLong, PduMalformed

HEADER: Final = struct.Struct(">IIII")
MOST_BYTES: Final = 70_000
"""Of a PDU: a ``message_payload`` may have 64 KiB."""

Tlvs = tuple[tuple[int, bytes], ...]
"""Optional parameters by tag, in the order in which they came."""


class Nothing(msgspec.Struct, frozen=True):
    """The body of a PDU that has none."""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """Of all three binds (4.1)."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = 0x34
    ton: int = 0
    npi: int = 0
    address_range: str = ""


class BindResp(msgspec.Struct, frozen=True, kw_only=True):
    """Of the answers to them."""

    system_id: str = ""
    tlvs: Tlvs = ()


class ShortMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``submit_sm`` (4.4.1) and ``deliver_sm`` (4.6.1)."""

    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    dest: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present: int = 0
    data_coding: int = 0
    default_message_id: int = 0
    short_message: bytes = b""
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """Return the first parameter of a tag."""
        return next((value for known, value in self.tlvs if known == tag), None)


class DataSm(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``data_sm`` (4.7.1), whose text is a TLV."""

    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    dest: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """Return the first parameter of a tag."""
        return next((value for known, value in self.tlvs if known == tag), None)


class MessageResp(msgspec.Struct, frozen=True, kw_only=True):
    """Of the answers to ``submit_sm``, ``deliver_sm`` and ``data_sm``."""

    message_id: str = ""
    tlvs: Tlvs = ()


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``query_sm`` (4.8.1)."""

    message_id: str
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""


class QueryResp(msgspec.Struct, frozen=True, kw_only=True):
    """Of its answer."""

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``cancel_sm`` (4.9.1)."""

    service_type: str = ""
    message_id: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    dest_ton: int = 0
    dest_npi: int = 0
    dest: str = ""


class Replace(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``replace_sm`` (4.10.1)."""

    message_id: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    schedule_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    default_message_id: int = 0
    short_message: bytes = b""


class Outbind(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``outbind`` (4.1.7)."""

    system_id: str
    password: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Of ``alert_notification`` (4.12.1)."""

    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    esme_ton: int = 0
    esme_npi: int = 0
    esme: str = ""
    tlvs: Tlvs = ()


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """Of commands that are known and not taken apart: ``submit_multi``."""

    content: bytes = b""


Body = (
    Nothing | Bind | BindResp | ShortMessage | DataSm | MessageResp
    | Query | QueryResp | Cancel | Replace | Outbind | Alert | Opaque
)  # fmt: skip


class Pdu(msgspec.Struct, frozen=True):
    """One PDU."""

    command: int
    sequence: int
    body: Body = Nothing()
    status: int = names.OK

    @property
    def is_response(self) -> bool:
        """Whether it answers a request."""
        return bool(self.command & RESPONSE)


Kind = Literal["text", "byte", "octets"]
_Field = tuple[str, Kind, int]
"""Name, kind, and for texts the most bytes of its field, the final zero included."""

_SOURCE: Final[tuple[_Field, ...]] = (
    ("source_ton", "byte", 1), ("source_npi", "byte", 1), ("source", "text", 65),
)  # fmt: skip
_DEST: Final[tuple[_Field, ...]] = (("dest_ton", "byte", 1), ("dest_npi", "byte", 1), ("dest", "text", 65))
_ESME: Final[tuple[_Field, ...]] = (("esme_ton", "byte", 1), ("esme_npi", "byte", 1), ("esme", "text", 65))
_SERVICE: Final[_Field] = ("service_type", "text", 6)
_MESSAGE_ID: Final[_Field] = ("message_id", "text", 65)
_TIMES: Final[tuple[_Field, ...]] = (("schedule_time", "text", 17), ("validity_period", "text", 17))
_BIND: Final[tuple[_Field, ...]] = (
    ("system_id", "text", 16), ("password", "text", 9), ("system_type", "text", 13), ("interface_version", "byte", 1),
    ("ton", "byte", 1), ("npi", "byte", 1), ("address_range", "text", 41),
)  # fmt: skip
_SHORT_MESSAGE: Final[tuple[_Field, ...]] = (
    _SERVICE, *_SOURCE, *_DEST, ("esm_class", "byte", 1), ("protocol_id", "byte", 1), ("priority", "byte", 1),
    *_TIMES, ("registered_delivery", "byte", 1), ("replace_if_present", "byte", 1), ("data_coding", "byte", 1),
    ("default_message_id", "byte", 1), ("short_message", "octets", 254),
)  # fmt: skip


class _Layout(msgspec.Struct, frozen=True):
    kind: type[Any]
    fields: tuple[_Field, ...] = ()
    has_tlvs: bool = False


_NOTHING: Final = _Layout(Nothing)
_BOUND: Final = _Layout(BindResp, (("system_id", "text", 16),), has_tlvs=True)
_NAMED: Final = _Layout(MessageResp, (_MESSAGE_ID,), has_tlvs=True)

_LAYOUTS: Final[Mapping[int, _Layout]] = {
    **dict.fromkeys(names.BINDS, _Layout(Bind, _BIND)),
    **dict.fromkeys((command | RESPONSE for command in names.BINDS), _BOUND),
    Command.SUBMIT_SM: _Layout(ShortMessage, _SHORT_MESSAGE, has_tlvs=True),
    Command.DELIVER_SM: _Layout(ShortMessage, _SHORT_MESSAGE, has_tlvs=True),
    Command.SUBMIT_SM | RESPONSE: _NAMED,
    Command.DELIVER_SM | RESPONSE: _NAMED,
    Command.DATA_SM: _Layout(
        DataSm,
        (_SERVICE, *_SOURCE, *_DEST, ("esm_class", "byte", 1), ("registered_delivery", "byte", 1),
         ("data_coding", "byte", 1)),
        has_tlvs=True,
    ),
    Command.DATA_SM | RESPONSE: _NAMED,
    Command.QUERY_SM: _Layout(Query, (_MESSAGE_ID, *_SOURCE)),
    Command.QUERY_SM | RESPONSE: _Layout(
        QueryResp, (_MESSAGE_ID, ("final_date", "text", 17), ("message_state", "byte", 1), ("error_code", "byte", 1))
    ),
    Command.CANCEL_SM: _Layout(Cancel, (_SERVICE, _MESSAGE_ID, *_SOURCE, *_DEST)),
    Command.CANCEL_SM | RESPONSE: _NOTHING,
    Command.REPLACE_SM: _Layout(
        Replace,
        (_MESSAGE_ID, *_SOURCE, *_TIMES, ("registered_delivery", "byte", 1), ("default_message_id", "byte", 1),
         ("short_message", "octets", 254)),
    ),
    Command.REPLACE_SM | RESPONSE: _NOTHING,
    Command.SUBMIT_MULTI: _Layout(Opaque),
    Command.SUBMIT_MULTI | RESPONSE: _Layout(Opaque),
    Command.OUTBIND: _Layout(Outbind, (("system_id", "text", 16), ("password", "text", 9))),
    Command.ALERT_NOTIFICATION: _Layout(Alert, (*_SOURCE, *_ESME), has_tlvs=True),
    **dict.fromkeys(
        (Command.UNBIND, Command.UNBIND | RESPONSE, Command.ENQUIRE_LINK, Command.ENQUIRE_LINK | RESPONSE,
         Command.GENERIC_NACK),
        _NOTHING,
    ),
}  # fmt: skip


def is_known(command: int) -> bool:
    """Say whether a command is one of SMPP 3.4."""
    return command in _LAYOUTS


def encode(pdu: Pdu) -> bytes:
    """Return a PDU as bytes. Raises ``FieldTooLong``, which names the field."""
    layout = _LAYOUTS[pdu.command]
    if isinstance(pdu.body, Opaque):
        content = pdu.body.content
    elif isinstance(pdu.body, Nothing):
        # An answer that refuses has no body (4.1.2, 4.4.2).
        content = b""
    else:
        content = _write(pdu.body, layout)
    return HEADER.pack(HEADER.size + len(content), pdu.command, pdu.status, pdu.sequence) + content


def _write(body: Body, layout: _Layout) -> bytes:
    out = bytearray()
    for name, kind, most in layout.fields:
        value = getattr(body, name)
        if kind == "byte":
            if not 0 <= value <= 0xFF:
                raise FieldTooLong(f"{name} must be from 0 to 255")
            out.append(value)
        elif kind == "text":
            raw = value.encode("latin-1", "replace")
            if len(raw) >= most or 0 in raw:
                raise FieldTooLong(f"{name} may have {most - 1} characters at most, and no zero byte")
            out += raw
            out.append(0)
        else:
            if len(value) > most:
                raise FieldTooLong(f"{name} may have {most} bytes at most")
            out.append(len(value))
            out += value
    for tag, value in getattr(body, "tlvs", ()):
        if not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise FieldTooLong(f"parameter 0x{tag:04x} may have 65535 bytes at most, its tag must be below 0x10000")
        out += struct.pack(">HH", tag, len(value))
        out += value
    return bytes(out)


class Frame(msgspec.Struct, frozen=True):
    """A PDU whose body is not read yet."""

    command: int
    status: int
    sequence: int
    content: bytes


def decode(frame: Frame, *, is_lenient: bool = False) -> Pdu:
    """Read a frame's body. Raises ``PduMalformed`` with the status that tells the peer what is wrong.

    ``is_lenient``: a last parameter that says that it has more bytes than there are has those that there are.
    """
    layout = _LAYOUTS.get(frame.command)
    if layout is None:
        raise PduMalformed(f"0x{frame.command:08x} is no command", status=names.INVALID_COMMAND)
    if layout.kind is Opaque:
        return Pdu(frame.command, frame.sequence, Opaque(content=frame.content), frame.status)
    if not frame.content and frame.command & RESPONSE:
        # Answers that refuse leave their body out, and some peers leave out an empty message_id too.
        return Pdu(frame.command, frame.sequence, Nothing() if frame.status else layout.kind(), frame.status)
    return Pdu(frame.command, frame.sequence, _read(frame.content, layout, is_lenient=is_lenient), frame.status)


def _read(content: bytes, layout: _Layout, *, is_lenient: bool) -> Any:
    found: dict[str, Any] = {}
    at = 0
    for name, kind, most in layout.fields:
        if at >= len(content):
            raise PduMalformed(f"the PDU ends before {name}", status=names.INVALID_COMMAND_LENGTH)
        if kind == "byte":
            found[name] = content[at]
            at += 1
        elif kind == "text":
            end = content.find(0, at, at + most)
            if end < 0:
                raise PduMalformed(f"{name} does not end within {most} bytes", status=names.INVALID_COMMAND_LENGTH)
            found[name] = content[at:end].decode("latin-1")
            at = end + 1
        else:
            length = content[at]
            if length > most or at + 1 + length > len(content):
                raise PduMalformed(
                    f"{name} has {length} bytes, more than there are", status=names.INVALID_LENGTH_OF_MESSAGE
                )
            found[name] = content[at + 1 : at + 1 + length]
            at += 1 + length
    if layout.has_tlvs:
        found["tlvs"] = _read_tlvs(content, at, is_lenient=is_lenient)
    # What else follows where no parameter may be is passed over: vendors add to PDUs.
    return layout.kind(**found)


def _read_tlvs(content: bytes, at: int, *, is_lenient: bool) -> Tlvs:
    found = []
    while at < len(content):
        if at + 4 > len(content):
            raise PduMalformed("a parameter has no length", status=names.INVALID_PARAMETERS)
        tag, length = struct.unpack_from(">HH", content, at)
        at += 4
        if at + length > len(content) and not is_lenient:
            raise PduMalformed(
                f"parameter 0x{tag:04x} has {length} bytes, more than there are", status=names.INVALID_PARAMETERS
            )
        found.append((tag, content[at : at + length]))
        at += length
    return tuple(found)


class Framer:
    """Cuts a stream of bytes into frames: by ``command_length``, from the first byte on."""

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._buffer = bytearray()
        self.fault: PduMalformed | None = None
        """A length that cannot be: where the next PDU begins, nobody knows then, and the connection must end."""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now; none that come after a fault."""
        frames: list[Frame] = []
        if self.fault is not None:
            return frames
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= 4:
            length = int.from_bytes(self._buffer[at : at + 4], "big")
            if not HEADER.size <= length <= self._most_bytes:
                self.fault = PduMalformed(
                    f"command_length {length} is not from {HEADER.size} to {self._most_bytes}",
                    status=names.INVALID_COMMAND_LENGTH,
                )
                break
            if len(self._buffer) - at < length:
                break
            _, command, status, sequence = HEADER.unpack_from(self._buffer, at)
            frames.append(Frame(command, status, sequence, bytes(self._buffer[at + HEADER.size : at + length])))
            at += length
        del self._buffer[:at]
        return frames
