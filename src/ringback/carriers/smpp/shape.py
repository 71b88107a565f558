"""A message as the ``submit_sm`` that carry it: alphabets, parts, addresses (SMPP 3.4, 4.4 and 5.2)."""

import hashlib
from typing import Final, Literal

import msgspec

from ringback.carriers.smpp import coding, names
from ringback.carriers.smpp.coding import Default
from ringback.carriers.smpp.pdu import ShortMessage, Tlvs
from ringback.model import segments

Concatenation = Literal["udh", "udh16", "sar", "payload"]
"""How the parts of a long text are told to belong together: by a header of 6 or 7 octets, by TLVs, or not at all: then
the whole text goes in ``message_payload``, and the peer cuts it."""

HAS_HEADER: Final = 0x40
"""In ``esm_class``: the text begins with a user data header."""
WANTS_RECEIPT: Final = 0x01
SECOND_US: Final = 1_000_000


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer wants its messages to look like."""

    default_coding: Default = "gsm"
    concatenation: Concatenation = "udh"
    service_type: str = ""
    short_code_ton: int = 3
    short_code_npi: int = 0


class Address(msgspec.Struct, frozen=True):
    """Type of number, numbering plan, and the number or name."""

    ton: int
    npi: int
    value: str


def shaped(*, uuid: str, src: str, dst: str, text: str, shape: Shape, valid_s: int | None = None) -> list[ShortMessage]:
    """Return the parts of a message in their order. As many as it is charged for, where the alphabet allows.

    A receipt is asked for with each. ``valid_s`` is how long the peer may try.
    """
    segmentation = segments.segment(text, smart=False)
    alphabet, parts = segmentation.encoding, list(segmentation.parts)
    if alphabet == "gsm7" and shape.default_coding == "latin1" and not _is_latin(text):
        # Greek letters and the euro sign, which a peer of Latin-1 can take as UCS-2 only.
        alphabet, parts = "ucs2", _in_ucs2(text)
    source, dest = sender(src, shape), Address(1, 1, dst)
    template = ShortMessage(
        service_type=shape.service_type,
        source_ton=source.ton,
        source_npi=source.npi,
        source=source.value,
        dest_ton=dest.ton,
        dest_npi=dest.npi,
        dest=dest.value,
        data_coding=coding.UCS_2 if alphabet == "ucs2" else coding.DEFAULT_CODING,
        validity_period="" if valid_s is None else relative_time(valid_s),
        registered_delivery=WANTS_RECEIPT,
    )
    if len(parts) > 1 and shape.concatenation == "payload":
        whole = coding.encode(text, alphabet, shape.default_coding)
        tlvs: Tlvs = ((names.MESSAGE_PAYLOAD, whole),)
        return [msgspec.structs.replace(template, tlvs=tlvs)]
    return [_part(template, part, alphabet, number, len(parts), uuid, shape) for number, part in enumerate(parts, 1)]


def _part(  # noqa: PLR0917 - what a part is made of
    template: ShortMessage, text: str, alphabet: segments.Encoding, number: int, total: int, uuid: str, shape: Shape
) -> ShortMessage:
    if total == 1:
        return msgspec.structs.replace(template, short_message=coding.encode(text, alphabet, shape.default_coding))
    reference = int.from_bytes(hashlib.sha256(uuid.encode()).digest()[:2], "big")
    if shape.concatenation == "sar":
        tlvs = (
            (names.SAR_REFERENCE, reference.to_bytes(2, "big")),
            (names.SAR_TOTAL, bytes((total,))),
            (names.SAR_NUMBER, bytes((number,))),
        )
        content = coding.encode(text, alphabet, shape.default_coding)
        return msgspec.structs.replace(template, short_message=content, tlvs=tlvs)
    # 3GPP TS 23.040, 9.2.3.24.1 and 9.2.3.24.8.
    if shape.concatenation == "udh16":
        header = bytes((6, 0x08, 4)) + reference.to_bytes(2, "big") + bytes((total, number))
    else:
        header = bytes((5, 0x00, 3, reference & 0xFF, total, number))
    content = coding.encode(text, alphabet, shape.default_coding, header_octets=len(header))
    return msgspec.structs.replace(template, esm_class=template.esm_class | HAS_HEADER, short_message=header + content)


def sender(src: str, shape: Shape) -> Address:
    """Return a sender as an address: a name, a short code or an international number."""
    if not src.isdigit():
        return Address(5, 0, src)
    if len(src) <= 6:
        return Address(shape.short_code_ton, shape.short_code_npi, src)
    return Address(1, 1, src)


def relative_time(seconds: int) -> str:
    """Write a span as ``validity_period`` wants it (7.1.1): ``YYMMDDhhmmss000R``."""
    minutes, second = divmod(max(seconds, 1), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{min(days, 99):02d}{hour:02d}{minute:02d}{second:02d}000R"


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _in_ucs2(text: str) -> list[str]:
    """Cut a text where UCS-2 has to, without parting what belongs together."""
    if len(text) <= segments.SINGLE["ucs2"]:
        return [text]
    size = segments.CONCATENATED["ucs2"]
    return [text[at : at + size] for at in range(0, len(text), size)]
