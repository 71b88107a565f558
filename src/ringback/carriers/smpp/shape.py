"""A message as the ``submit_sm`` that carry it: alphabets, parts, addresses (SMPP 3.4, 4.4 and 5.2)."""

import hashlib
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, Literal

import msgspec

from ringback.carriers.smpp import coding, names
from ringback.carriers.smpp.coding import Alphabet, Codings, Default
from ringback.carriers.smpp.pdu import ShortMessage, Tlvs
from ringback.model import segments

Concatenation = Literal["udh", "udh16", "sar", "payload"]
"""How the parts of a long text are told to belong together: by a header of 6 or 7 octets, by TLVs, or not at all: then
the whole text goes in ``message_payload``, and the peer cuts it."""

Receipts = Literal["all", "last", "failures", "none"]
"""With which parts a receipt is asked for: all; the last; all, but for failures only; none."""
Validity = Literal["relative", "absolute", "none"]
"""How a peer is told until when it may try."""

HAS_HEADER: Final = 0x40
"""In ``esm_class``: the text begins with a user data header."""
WANTS_RECEIPT: Final = 0x01
WANTS_FAILURES: Final = 0x02
SECOND_US: Final = 1_000_000
_SIZES: Final[dict[Alphabet, tuple[int, int]]] = {
    "gsm7": (segments.SINGLE["gsm7"], segments.CONCATENATED["gsm7"]),
    "latin1": (140, 134),
    "ucs2": (segments.SINGLE["ucs2"], segments.CONCATENATED["ucs2"]),
}
"""Units of a whole text, and of a part beside a header of 6 octets; one of 7 leaves room for one unit less."""


class Numbering(msgspec.Struct, frozen=True):
    """Type of number and numbering plan (5.2.5, 5.2.6)."""

    ton: int
    npi: int


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer wants its messages to look like."""

    default_coding: Default = "gsm"
    codings: Codings = Codings()
    latin1: bool = False
    """Texts that fit Latin-1, but not GSM, go as that, where UCS-2 would be left."""
    concatenation: Concatenation = "udh"
    service_type: str = ""
    named: Numbering = Numbering(5, 0)
    short: Numbering = Numbering(3, 0)
    numbered: Numbering = Numbering(1, 1)
    dest: Numbering = Numbering(1, 1)
    short_digits: int = 6
    """Numbers of up to so many digits are short codes."""
    receipts: Receipts = "all"
    validity: Validity = "relative"


class Address(msgspec.Struct, frozen=True):
    """Type of number, numbering plan, and the number or name."""

    ton: int
    npi: int
    value: str


def shaped(
    *,
    uuid: str,
    src: str,
    dst: str,
    text: str,
    shape: Shape,
    valid_s: int | None = None,
    now_us: int = 0,
) -> list[ShortMessage]:
    """Return the parts of a message in their order. As many as it is charged for, where the alphabet allows.

    ``valid_s`` is how long the peer may try, from ``now_us`` on.
    """
    alphabet, parts = _cut(text, shape)
    source = sender(src, shape)
    template = ShortMessage(
        service_type=shape.service_type,
        source_ton=source.ton,
        source_npi=source.npi,
        source=source.value,
        dest_ton=shape.dest.ton,
        dest_npi=shape.dest.npi,
        dest=dst,
        data_coding=shape.codings.number(alphabet),
        validity_period=_validity(shape, valid_s, now_us),
        registered_delivery=_REGISTERED[shape.receipts],
    )
    if len(parts) > 1 and shape.concatenation == "payload":
        whole = coding.encode(text, alphabet, shape.default_coding)
        tlvs: Tlvs = ((names.MESSAGE_PAYLOAD, whole),)
        return [msgspec.structs.replace(template, tlvs=tlvs)]
    made = [_part(template, part, alphabet, number, len(parts), uuid, shape) for number, part in enumerate(parts, 1)]
    if shape.receipts == "last":
        made[:-1] = [msgspec.structs.replace(each, registered_delivery=0) for each in made[:-1]]
    return made


def _cut(text: str, shape: Shape) -> tuple[Alphabet, list[str]]:
    segmentation = segments.segment(text, smart=False)
    alphabet: Alphabet = segmentation.encoding
    if alphabet == "ucs2" and shape.latin1 and _is_latin(text):
        alphabet = "latin1"
    elif alphabet == "gsm7" and shape.default_coding == "latin1" and not _is_latin(text):
        # Greek letters and the euro sign, which a peer of Latin-1 can take as UCS-2 only.
        alphabet = "ucs2"
    longer_header = shape.concatenation == "udh16" and segmentation.units > 1
    if alphabet == segmentation.encoding and not longer_header:
        return alphabet, list(segmentation.parts)
    most, size = _SIZES[alphabet]
    return alphabet, _in_pieces(text, alphabet, most, size - longer_header)


def _part(  # noqa: PLR0917 - what a part is made of
    template: ShortMessage, text: str, alphabet: Alphabet, number: int, total: int, uuid: str, shape: Shape
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
    of_number = shape.short if len(src) <= shape.short_digits else shape.numbered
    kind = of_number if src.isdigit() else shape.named
    return Address(kind.ton, kind.npi, src)


def relative_time(seconds: int) -> str:
    """Write a span as ``validity_period`` wants it (7.1.1): ``YYMMDDhhmmss000R``."""
    minutes, second = divmod(max(seconds, 1), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"0000{min(days, 99):02d}{hour:02d}{minute:02d}{second:02d}000R"


def absolute_time(at_us: int) -> str:
    """Write a time as ``validity_period`` wants it (7.1.1): ``YYMMDDhhmmss000+``, in UTC."""
    return f"{datetime.fromtimestamp(at_us // SECOND_US, UTC):%y%m%d%H%M%S}000+"


_REGISTERED: Final = {"all": WANTS_RECEIPT, "last": WANTS_RECEIPT, "failures": WANTS_FAILURES, "none": 0}


def _validity(shape: Shape, valid_s: int | None, now_us: int) -> str:
    if valid_s is None or shape.validity == "none":
        return ""
    return relative_time(valid_s) if shape.validity == "relative" else absolute_time(now_us + valid_s * SECOND_US)


def _is_latin(text: str) -> bool:
    return all(ord(character) < 256 for character in text)


def _in_pieces(text: str, alphabet: Alphabet, most: int, size: int) -> list[str]:
    """Cut a text into parts of ``size`` units, unless ``most`` hold it whole, without parting what belongs together."""
    widths = [_width(character, alphabet) for character in text]
    if sum(widths) <= most:
        return [text]
    ends, filled = [], 0
    for at, width in enumerate(widths):
        if filled + width > size:
            ends.append(at)
            filled = 0
        filled += width
    return [text[begin:end] for begin, end in pairwise([0, *ends, len(text)])]


def _width(character: str, alphabet: Alphabet) -> int:
    if alphabet == "gsm7":
        return 1 + (character in segments.GSM_EXTENSION)
    return 1 + (alphabet == "ucs2" and ord(character) > 0xFFFF)
