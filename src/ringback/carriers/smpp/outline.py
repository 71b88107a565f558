"""A PDU in one line for those who operate a link: what it is and how large, never numbers, texts or passwords."""

from typing import Final

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import (
    Bind,
    DataSm,
    MessageResp,
    Pdu,
    QueryResp,
    ShortMessage,
    Tlvs,
    encode,
)

_HEX: Final = frozenset({"esm_class", "data_coding"})
_SHOWN: Final = ("esm_class", "data_coding", "registered_delivery")
"""Fields of messages that say how they are to be read."""


def outline(pdu: Pdu) -> str:
    """Tell command, status, sequence number and size, then what else there is by name and size.

    Ids of messages are shown: they are what has to agree between an answer and a receipt.
    """
    status = f" {names.status_name(pdu.status)}" if pdu.is_response else ""
    told = [f"{names.command_name(pdu.command)}{status} #{pdu.sequence}", f"{len(encode(pdu))} bytes"]
    return ", ".join(told + _within(pdu))


def _within(pdu: Pdu) -> list[str]:
    body = pdu.body
    told: list[str] = []
    match body:
        case ShortMessage():
            told = [*_fields(body), f"short_message {len(body.short_message)} bytes"]
        case DataSm():
            told = _fields(body)
        case MessageResp():
            named = [f"message_id {body.message_id}"] if body.message_id else []
            # Of other answers it is always empty.
            told = named or (["no message_id"] if pdu.command == names.Command.SUBMIT_SM | names.RESPONSE else [])
        case Bind():
            told = [f"interface_version 0x{body.interface_version:02x}"]
        case QueryResp():
            told = [f"message_state {body.message_state}"]
    tlvs: Tlvs = getattr(body, "tlvs", ())
    return told + [f"{names.parameter_name(tag)} {len(value)} bytes" for tag, value in tlvs]


def _fields(body: ShortMessage | DataSm) -> list[str]:
    found = ((name, getattr(body, name)) for name in _SHOWN)
    return [f"{name} 0x{value:02x}" if name in _HEX else f"{name} {value}" for name, value in found]
