"""What a login is owed, as the ``deliver_sm`` that tell of it: receipts with text and TLVs, messages in their parts."""

from typing import Final

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.carriers.smpp.receipts import IS_INTERMEDIATE, IS_RECEIPT
from ringback.carriers.smpp.shape import Address, Shape, sender, shaped
from ringback.esme.statuses import ENROUTE, STATE_NAMES, code_of, state_of
from ringback.esme.times import minute
from ringback.model.status import Status
from ringback.store.smpp_owed import InboundContent, Owed, ReceiptContent

_GSM_NETWORK: Final = 3
_decode_receipt: Final = msgspec.json.Decoder(ReceiptContent).decode
_decode_inbound: Final = msgspec.json.Decoder(InboundContent).decode


def told(owed: Owed, shape: Shape) -> list[ShortMessage]:
    """Return what is to be sent, in order."""
    if owed.kind == "receipt":
        return [_receipt(_decode_receipt(owed.content), shape)]
    inbound = _decode_inbound(owed.content)
    parts = shaped(uuid=owed.message_uuid, src=inbound.src, dst=inbound.dst, text=inbound.text, shape=shape)
    return [msgspec.structs.replace(part, registered_delivery=0) for part in parts]


def _receipt(content: ReceiptContent, shape: Shape) -> ShortMessage:
    status = Status(content.status)
    state = state_of(status, content.error_code)
    code = code_of(content.error_code)
    delivered = "001" if status is Status.DELIVERED else "000"
    # The text of appendix B, where an error has three digits; of what the message says nothing is repeated.
    text = (
        f"id:{content.message_id} sub:001 dlvrd:{delivered} submit date:{minute(content.submitted_at_us)} "
        f"done date:{minute(content.done_at_us)} stat:{STATE_NAMES[state]} err:{min(code, 999):03d} text:"
    )
    tlvs = [
        (names.RECEIPTED_MESSAGE_ID, content.message_id.encode() + b"\0"),
        (names.MESSAGE_STATE, bytes((state,))),
    ]
    if code:
        tlvs.append((names.NETWORK_ERROR_CODE, bytes((_GSM_NETWORK,)) + min(code, 0xFFFF).to_bytes(2, "big")))
    source, dest = Address(1, 1, content.dst), sender(content.src, shape)
    return ShortMessage(
        source_ton=source.ton,
        source_npi=source.npi,
        source=source.value,
        dest_ton=dest.ton,
        dest_npi=dest.npi,
        dest=dest.value,
        esm_class=IS_INTERMEDIATE if state == ENROUTE else IS_RECEIPT,
        short_message=text.encode("ascii"),
        tlvs=tuple(tlvs),
    )
