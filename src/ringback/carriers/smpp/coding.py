"""Texts as bytes of a short message, and back: GSM 03.38, UCS-2, Latin-1 (SMPP 3.4, 5.2.19; 3GPP TS 23.038)."""

from typing import Final, Literal

import msgspec

from ringback.model.segments import GSM_BASIC, GSM_EXTENSION

Default = Literal["gsm", "gsm_packed", "latin1"]
"""What a peer takes ``data_coding`` 0 for: septets in a byte each, septets packed, or Latin-1."""

Alphabet = Literal["gsm7", "latin1", "ucs2"]
"""In what a text goes out."""

DEFAULT_CODING: Final = 0x00
LATIN_1: Final = 0x03
UCS_2: Final = 0x08

ESCAPE: Final = 0x1B
_CODES: Final = {character: bytes((code,)) for code, character in enumerate(GSM_BASIC) if code != ESCAPE} | {
    character: bytes((ESCAPE, code)) for character, code in GSM_EXTENSION.items()
}
_EXTENDED: Final = {code: character for character, code in GSM_EXTENSION.items()}


def to_septets(text: str) -> bytes:
    """Return a text as GSM septets, one in each byte. Raises ``KeyError`` for a character that has none."""
    return b"".join([_CODES[character] for character in text])


def from_septets(septets: bytes) -> str:
    """Return what septets say. An escape before a code that is not known stands for nothing, as 6.2.1.1 has it."""
    out = []
    escaped = False
    for octet in septets:
        code = octet & 0x7F
        if escaped:
            escaped = False
            out.append(_EXTENDED.get(code, GSM_BASIC[code] if code != ESCAPE else ""))
        elif code == ESCAPE:
            escaped = True
        else:
            out.append(GSM_BASIC[code])
    return "".join(out)


def pack(septets: bytes, *, fill_bits: int = 0) -> bytes:
    """Pack septets into octets (6.1.2.1), after ``fill_bits`` that make them begin at a septet after a header."""
    value, bits = 0, fill_bits
    for septet in septets:
        value |= septet << bits
        bits += 7
    return value.to_bytes((bits + 7) // 8, "little")


def unpack(octets: bytes, *, fill_bits: int = 0) -> bytes:
    """Return the septets in octets. Where the last octet has room for one more that is 0, it is taken for padding."""
    value = int.from_bytes(octets, "little") >> fill_bits
    count = (len(octets) * 8 - fill_bits) // 7
    septets = bytes((value >> (7 * at)) & 0x7F for at in range(count))
    spare = len(octets) * 8 - fill_bits - 7 * count
    return septets[:-1] if count and spare == 0 and septets[-1] == 0 else septets


class Codings(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of ``data_coding`` on a link, where they are not the standard's."""

    gsm7: int = DEFAULT_CODING
    latin1: int = LATIN_1
    ucs2: int = UCS_2

    def number(self, alphabet: Alphabet) -> int:
        """Return the number for an alphabet."""
        return {"gsm7": self.gsm7, "latin1": self.latin1, "ucs2": self.ucs2}[alphabet]

    def standard(self, number: int) -> int:
        """Return the standard's number for one of the link; others are what they are."""
        theirs = {self.latin1: LATIN_1, self.ucs2: UCS_2, self.gsm7: DEFAULT_CODING}
        return theirs.get(number, number)


def encode(text: str, alphabet: Alphabet, default: Default, *, header_octets: int = 0) -> bytes:
    """Return the bytes of a text that is known to fit ``alphabet``."""
    if alphabet == "ucs2":
        return text.encode("utf-16-be", "surrogatepass")
    if alphabet == "latin1" or default == "latin1":
        return text.encode("latin-1")
    septets = to_septets(text)
    return pack(septets, fill_bits=-header_octets * 8 % 7) if default == "gsm_packed" else septets


def decode(data: bytes, data_coding: int, default: Default, *, header_octets: int = 0) -> str:
    """Return what a short message says, whatever its bytes are; what is no text comes as Latin-1."""
    group = data_coding & 0xF0
    if data_coding == UCS_2 or (group == 0xE0) or (group in {0x10, 0x50} and data_coding & 0x0C == 0x08):
        return data[: len(data) // 2 * 2].decode("utf-16-be", "replace")
    is_default = data_coding == DEFAULT_CODING or (group == 0xF0 and not data_coding & 0x04)
    if not is_default or default == "latin1":
        return data.decode("latin-1")
    if default == "gsm_packed":
        return from_septets(unpack(data, fill_bits=-header_octets * 8 % 7))
    return from_septets(data)
