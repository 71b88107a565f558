"""Bodies for people: which views of one there are, and what each shows. Pure."""

import json
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from ringback.dialect.callbacks import FORM

SHOWN: Final = 65_536
HEX_SHOWN: Final = 8_192
HEX_ROW: Final = 16
MAX_FIELDS: Final = 500

_IMAGES: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def image_type(body: bytes) -> str | None:
    """Return the media type of an image by its first bytes, whatever its sender called it."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _IMAGES if body.startswith(begin)), None)


def as_form(body: bytes, content_type: str) -> list[tuple[str, str]] | None:
    """Return the fields of a form, ``None`` when it is none."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        return None
    try:
        return None if b"\x00" in body else parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return None


def as_json(body: bytes) -> Any:
    """Return what JSON says, ``None`` for what is none, or no object or list."""
    if body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def views(body: bytes, content_type: str) -> list[str]:
    """Name the views that a body has, the most telling first."""
    if not body:
        return []
    found = ["form"] if as_form(body, content_type) else []
    if as_json(body[:SHOWN]) is not None:
        found.append("json")
    if image_type(body):
        found.append("image")
    binary = b"\x00" in body[:SHOWN]
    return [*found, *(("hex", "text") if binary else ("text", "hex"))]


def pretty(body: bytes) -> str:
    """Write JSON with its members on lines of their own, in their order."""
    return json.dumps(as_json(body[:SHOWN]), indent=2, ensure_ascii=False)


def hex_rows(body: bytes) -> list[tuple[str, str, str]]:
    """Write a body as rows of offset, bytes and characters."""
    rows = []
    for at in range(0, min(len(body), HEX_SHOWN), HEX_ROW):
        part = body[at : at + HEX_ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        rows.append((f"{at:08x}", part.hex(" "), text))
    return rows
