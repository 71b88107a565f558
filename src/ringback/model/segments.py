"""How a text goes over the air: its alphabet, its SMS segments and what they count (contract section 2.8).

A text whose characters are all in the GSM 7 bit default alphabet or its extension table (3GPP TS 23.038,
clauses 6.2.1 and 6.2.1.1) is counted in septets; any other is sent as UCS-2 as a whole and counted in UTF-16
code units. A segment carries 140 octets, 6 of which go to the concatenation header (3GPP TS 23.040, clause
9.2.3.24.1) once there is more than one.

Either alphabet has characters that take two units: extension characters (escape and code) and characters
beyond U+FFFF (a surrogate pair). To pack them, each is given a mark in front, so that one index into the
marked text is one unit; a segment that would end on a mark ends one unit earlier.
"""

import re
from typing import Final, Literal
from unicodedata import normalize

import msgspec

Encoding = Literal["gsm7", "ucs2"]

GSM_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""The GSM 7 bit default alphabet in the order of its codes; 0x1B is the escape, no character of a text."""

GSM_EXTENSION: Final[dict[str, int]] = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""The default extension table: characters that follow the escape, each by its code."""

SINGLE: Final[dict[Encoding, int]] = {"gsm7": 160, "ucs2": 70}
"""Septets or code units in a message of one segment."""

CONCATENATED: Final[dict[Encoding, int]] = {"gsm7": 153, "ucs2": 67}
"""Septets or code units in each segment of a longer message."""

LIMIT: Final[dict[Encoding, int]] = {"gsm7": 1600, "ucs2": 737}
"""Septets or code units that the API takes in one text (contract section 2.8)."""


class Segmentation(msgspec.Struct, frozen=True):
    """A text as it is sent: ``parts`` joined are ``text``, ``length`` counts septets or UTF-16 code units."""

    encoding: Encoding
    text: str
    units: int
    parts: tuple[str, ...]
    length: int


# What is shown in place of what, by code points and spans of them.
_LOOKALIKE_CODES: Final[dict[str, str]] = {
    "'": "60 B4 2B9 2BB-2BD 2C8 2CA-2CB 374 1FEF 1FFD 2018-201B 2032 2035 2039-203A 275B-275C FF40",
    '"': "AB BB 2BA 2EE 201C-201F 2033 2036 275D-275E 301D-301F",
    "-": "2D7 2010-2015 2022 2043 2212 2E3A 2E3B FE58 FE63",
    " ": "9 A0 1680 2000-200A 202F 205F 3000",
    "\n": "B 85 2028 2029",
    "": "AD 34F 61C 180E 200B-200F 202A-202E 2060-2064 2066-206F FE00-FE0F FEFF",
    ".": "2024",
    "..": "2025",
    "...": "2026",
    "/": "2044 2215",
    "\\": "2216",
    "*": "2217",
    "|": "2223",
    ":": "2236",
    ";": "37E",
    "^": "2C6",
    "~": "2DC 223C",
    "K": "212A",
    "Å": "212B",
    "Ω": "2126",
    "ff": "FB00",
    "fi": "FB01",
    "fl": "FB02",
    "ffi": "FB03",
    "ffl": "FB04",
    "st": "FB05 FB06",
}


def _lookalikes() -> dict[int, str]:
    # Fullwidth forms follow the order of ASCII from "!" to "~".
    table = {0xFF01 + offset: chr(0x21 + offset) for offset in range(94)}
    for lookalike, codes in _LOOKALIKE_CODES.items():
        for span in codes.split():
            first, _, last = span.partition("-")
            table |= dict.fromkeys(range(int(first, 16), int(last or first, 16) + 1), lookalike)
    return table


_MARK: Final = "\ud800"  # A lone surrogate: no text that is sent has one.


def _one_of(characters: str) -> str:
    return f"[{re.escape(characters)}]"


_BASIC: Final = GSM_BASIC.replace("\x1b", "")
_ALL_BASIC: Final = re.compile(f"{_one_of(_BASIC)}*")
_ALL_GSM: Final = re.compile(f"{_one_of(_BASIC + ''.join(GSM_EXTENSION))}*")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BEFORE_TWO_UNITS: Final[dict[Encoding, re.Pattern[str]]] = {
    "gsm7": re.compile(f"(?={_one_of(''.join(GSM_EXTENSION))})"),
    "ucs2": re.compile("(?=[\U00010000-\U0010ffff])"),
}
_SEGMENTS: Final[dict[Encoding, re.Pattern[str]]] = {
    encoding: re.compile(f".{{1,{size}}}(?<!{_MARK})", re.DOTALL) for encoding, size in CONCATENATED.items()
}
_LOOKALIKES: Final = _lookalikes()
_COMPOSED: Final = {apart: letter for letter in _BASIC if (apart := normalize("NFD", letter)) != letter}
_DECOMPOSED: Final = re.compile("|".join(_COMPOSED))


def segment(text: str, *, smart: bool = True) -> Segmentation:
    """Return ``text`` as it is sent, in as few segments as its alphabet allows. Raises nothing.

    Contract section 2.8. With ``smart`` the text goes through ``replace_smart_characters`` when the whole of
    it becomes GSM that way, takes no more segments than before (``…`` becomes three characters) and is not
    pushed over the API's limit; else it is left as it is. A text that would vanish is left as it is, too.

    A lone surrogate, which JSON can smuggle in as ``"\\ud83d"``, has no encoding and becomes U+FFFD; a pair
    that arrived as two characters becomes the one that it stands for. The empty text is one empty segment.
    """
    if _ALL_BASIC.fullmatch(text):
        return _pack("gsm7", text, text)
    if _ALL_GSM.fullmatch(text):
        return _pack("gsm7", text, _marked("gsm7", text))
    if _LONE_SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    as_it_is = _pack("ucs2", text, _marked("ucs2", text))
    if smart and (replaced := replace_smart_characters(text)) and _ALL_GSM.fullmatch(replaced):
        as_gsm = _pack("gsm7", replaced, _marked("gsm7", replaced))
        if as_gsm.units <= as_it_is.units and _over(as_gsm) <= _over(as_it_is):
            return as_gsm
    return as_it_is


def replace_smart_characters(text: str) -> str:
    """Return ``text`` with GSM look-alikes for what word processors put in (contract section 2.8).

    Quotes, dashes, bullets, ellipses, ligatures, fullwidth forms, spaces, tabs and line separators become
    their plain forms; zero-width characters, direction marks and variation selectors go; a letter with a
    combining accent becomes the GSM letter. Nothing that would change the meaning or spelling is replaced
    (``½``, ``ç``, ``™``): it stays. The result need not be GSM as a whole; doing it twice changes nothing.
    """
    return _DECOMPOSED.sub(lambda found: _COMPOSED[found[0]], text.translate(_LOOKALIKES))


def too_long(segmentation: Segmentation) -> str | None:
    """Return a sentence for the sender when a text is over the API's limit, ``None`` when it is not.

    Contract section 2.8: 1,600 GSM characters or 737 UTF-16 code units. Whether an extension character counts
    once or twice is not stated there. Here it counts twice, as it does for ``units``: only so do 1,600 fit
    into the 11 segments that the contract gives as the most. 737 code units of emoji may take a 12th, as a
    pair is never split; the limit is the code units all the same.
    """
    if not _over(segmentation):
        return None
    length, limit = segmentation.length, LIMIT[segmentation.encoding]
    if segmentation.encoding == "gsm7":
        return f"text is {length:,} characters long (those like € and [ count twice), the limit is {limit:,}"
    return (
        f"text is {length:,} characters long (emoji count twice), the limit is {limit:,}"
        " for a text with characters outside the GSM alphabet"
    )


def _over(segmentation: Segmentation) -> bool:
    return segmentation.length > LIMIT[segmentation.encoding]


def _marked(encoding: Encoding, text: str) -> str:
    return _MARK.join(_BEFORE_TWO_UNITS[encoding].split(text))


def _pack(encoding: Encoding, text: str, marked: str) -> Segmentation:
    length = len(marked)
    if length <= SINGLE[encoding]:
        return Segmentation(encoding, text, 1, (text,), length)
    parts = tuple(part.replace(_MARK, "") for part in _SEGMENTS[encoding].findall(marked))
    return Segmentation(encoding, text, len(parts), parts, length)
