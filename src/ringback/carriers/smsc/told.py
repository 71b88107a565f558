"""What a scripted SMSC says of messages that it took: their names in answers, and receipts."""

from collections.abc import Sequence
from typing import Final

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import DataSm, MessageResp, ShortMessage, Tlvs
from ringback.carriers.smpp.shape import WANTS_FAILURES
from ringback.carriers.smsc.script import EXAMPLE, Ids, ReceiptRule, Rule, Script

_STATES: Final = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7,
                  "REJECTD": 8}  # fmt: skip


def named(number: int, rule: Rule, script: Script) -> MessageResp:
    """Return the answer that takes message ``number``."""
    congestion: Tlvs = () if rule.congestion is None else ((names.CONGESTION_STATE, bytes((rule.congestion,))),)
    further: Tlvs = tuple((int(tag, 0), text.encode()) for tag, text in rule.parameters.items())
    name = "" if script.ids == "none" else _in_digits(number, script.ids)
    return MessageResp(message_id=name, tlvs=congestion + further)


def wanted(receipts: Sequence[ReceiptRule], body: ShortMessage | DataSm) -> list[ReceiptRule]:
    """Return those of the receipts that a submission asks for (5.2.17)."""
    asked = body.registered_delivery & 0x03
    return [each for each in receipts if asked and (asked != WANTS_FAILURES or each.state != "DELIVRD")]


def written(rule: ReceiptRule, body: ShortMessage | DataSm, number: int, script: Script) -> ShortMessage | DataSm:
    """Return a receipt for message ``number``, which ``body`` brought."""
    ids = script.receipt_ids or ("padded" if script.ids == "padded" else "decimal")
    text = script.receipt_text.format_map(
        EXAMPLE
        | {
            "id": _in_digits(number, ids),
            "dlvrd": f"00{int(rule.state == 'DELIVRD')}",
            "state": rule.state,
            "error": rule.error,
        }
    )
    tlvs: Tlvs = ()
    if rule.form != "text":
        tlvs = (
            (names.RECEIPTED_MESSAGE_ID, _in_digits(number, script.parameter_ids or ids).encode() + b"\0"),
            (names.MESSAGE_STATE, bytes((_STATES.get(rule.state, 7),))),
            (names.NETWORK_ERROR_CODE, b"\x03" + int(rule.error or "0").to_bytes(2, "big")),
        )
    said = b"" if rule.form == "tlv" else text.encode()
    receipt = ShortMessage(
        source_ton=body.dest_ton, source_npi=body.dest_npi, source=body.dest,
        dest_ton=body.source_ton, dest_npi=body.source_npi, dest=body.source,
        esm_class=script.receipt_class, short_message=said, tlvs=tlvs,
    )  # fmt: skip
    return _as_data(receipt) if script.receipts_by == "data_sm" else receipt


def _as_data(receipt: ShortMessage) -> DataSm:
    text: Tlvs = ((names.MESSAGE_PAYLOAD, receipt.short_message),) if receipt.short_message else ()
    return DataSm(
        source_ton=receipt.source_ton, source_npi=receipt.source_npi, source=receipt.source,
        dest_ton=receipt.dest_ton, dest_npi=receipt.dest_npi, dest=receipt.dest,
        esm_class=receipt.esm_class, tlvs=text + receipt.tlvs,
    )  # fmt: skip


def _in_digits(number: int, ids: Ids) -> str:
    return {"decimal": str(number), "hex": f"{number:x}", "padded": f"{number:010d}"}[ids]
