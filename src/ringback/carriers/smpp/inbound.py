"""What comes from phones: its text, and its place among the parts of a longer one."""

from ringback.carriers.port import Part
from ringback.carriers.smpp import coding, names
from ringback.carriers.smpp.coding import Default
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.carriers.smpp.shape import HAS_HEADER


def text_of(body: ShortMessage | DataSm, default: Default) -> tuple[str, Part | None]:
    """Read a text, and which part of one it is. What is told wrongly counts as a whole: nothing is lost for it."""
    data = body.short_message if isinstance(body, ShortMessage) else b""
    tlvs = dict(reversed(body.tlvs))
    data = data or tlvs.get(names.MESSAGE_PAYLOAD, b"")
    header = b""
    if body.esm_class & HAS_HEADER and data and len(data) > data[0]:
        header, data = data[: data[0] + 1], data[data[0] + 1 :]
    text = coding.decode(data, body.data_coding, default, header_octets=len(header))
    place = _place_in(header) or _place_by(tlvs)
    if place is None or not 1 <= place[2] <= place[1] or place[1] == 1:
        return text, None
    reference, total, number = place
    return text, Part(reference, number, total)


def _place_in(header: bytes) -> tuple[int, int, int] | None:
    """Return reference, total and number from a user data header (3GPP TS 23.040, 9.2.3.24)."""
    at = 1
    while at + 1 < len(header):
        kind, length = header[at], header[at + 1]
        element = header[at + 2 : at + 2 + length]
        if kind == 0x00 and len(element) == 3:
            return element[0], element[1], element[2]
        if kind == 0x08 and len(element) == 4:
            return int.from_bytes(element[:2], "big"), element[2], element[3]
        at += 2 + length
    return None


def _place_by(tlvs: dict[int, bytes]) -> tuple[int, int, int] | None:
    reference, total, number = (tlvs.get(tag, b"") for tag in (names.SAR_REFERENCE, names.SAR_TOTAL, names.SAR_NUMBER))
    if not (reference and total and number):
        return None
    return int.from_bytes(reference, "big"), total[0], number[0]
