"""Media as the API speaks of them (contract sections 2.6, 6.8): types, records, and the URLs under which they are read.

A URL carries the time at which it ends and a signature over both; whoever has it needs no credentials, as the phone
of a recipient or the customer's browser has none.
"""

import base64
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ringback.dialect.times import record_time

MAX_FILES: Final = 10
MAX_FILE_BYTES: Final = 2 * 1_048_576
MAX_MESSAGE_BYTES: Final = 5 * 1_048_576
_HOUR_US: Final = 3_600_000_000

IMAGES: Final = frozenset({"image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"})
"""Types that a browser may show in place, and that are told by their first bytes."""

TYPES: Final = IMAGES | {
    "application/pdf",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "audio/3gpp",
    "audio/aac",
    "audio/amr",
    "audio/mp3",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/x-wav",
    "image/tiff",
    "image/xcf",
    "text/calendar",
    "text/csv",
    "text/directory",
    "text/plain",
    "text/vcard",
    "text/x-vcard",
    "video/3gpp",
    "video/3gpp2",
    "video/h264",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
}
"""What the official SDKs upload, and what carriers take beside it. Nothing in it is run by a browser."""

_ALIASES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_SHOWN: Final = ("audio/", "video/")


class Complaint(msgspec.Struct, frozen=True):
    """Why a file is not taken; ``status`` is what HTTP would call it."""

    status: int
    text: str


def judge_type(declared: str, head: bytes) -> str | Complaint:
    """Return the type of a file that says it is ``declared`` and begins with ``head``, or why it is not taken."""
    given = declared.partition(";")[0].strip().lower()
    content_type = _ALIASES.get(given, given)
    found = sniff(head)
    if content_type in _UNKNOWN and found is not None:
        return found
    if content_type not in TYPES:
        shown = re.sub(r"[^\x21-\x7e]", "?", content_type[:64]) or "of no type"
        return Complaint(415, f"{shown} is not a type of media that can be sent")
    if (content_type in IMAGES or found is not None) and found != content_type:
        return Complaint(415, f"the content is not {content_type}")
    return content_type


def sniff(head: bytes) -> str | None:
    """Tell a common image by its first 12 bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image/bmp"
    return None


def file_name(given: str) -> str:
    """Return a customer's name of a file, fit to be shown: its last part, printable and short. Never a path."""
    name = re.split(r"[/\\]", given.encode("utf-8", "replace").decode())[-1]
    shown = "".join(character for character in name if character.isprintable()).strip()
    return shown[:128] if shown.strip(".") else ""


def is_shown_in_place(content_type: str) -> bool:
    """Say whether a browser shows it, instead of saving it."""
    return content_type in IMAGES or content_type.startswith(_SHOWN)


class MediaUrls:
    """Makes and checks the URLs of media; one key for all processes."""

    def __init__(self, key: bytes, *, base_url: str, lifetime_s: int) -> None:
        self._key = key
        self._base_url = base_url.rstrip("/")
        self._lifetime_us = lifetime_s * 1_000_000

    def url(self, account_id: str, message_uuid: str | None, media_id: str, *, now_us: int) -> str:
        """Return a URL that works from now on, for the time of the settings."""
        return self._base_url + self.path(account_id, message_uuid, media_id, now_us=now_us)

    def path(self, account_id: str, message_uuid: str | None, media_id: str, *, now_us: int) -> str:
        """Return the same without scheme and host."""
        place = place_of(account_id, message_uuid, media_id)
        # To the next full hour: whoever asks twice gets the same URL, and has it in the cache.
        ends_us = (now_us + self._lifetime_us + _HOUR_US - 1) // _HOUR_US * _HOUR_US
        expires = str(ends_us // 1_000_000)
        return f"{place}?expires={expires}&signature={self._signature(place, expires)}"

    def is_valid(self, place: str, query: Mapping[str, str], *, now_us: int) -> bool:
        """Say whether a request for ``place`` carries a signature of ours that has not ended."""
        expires, signature = query.get("expires", ""), query.get("signature", "")
        genuine = hmac.compare_digest(self._signature(place, expires).encode(), signature.encode("utf-8", "replace"))
        return genuine and int(expires) * 1_000_000 > now_us

    def _signature(self, place: str, expires: str) -> str:
        digest = hmac.digest(self._key, f"{place}\n{expires}".encode("utf-8", "replace"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def place_of(account_id: str, message_uuid: str | None, media_id: str) -> str:
    """Return the path under which media are served: of a message, or of an account when ``None``."""
    message = f"/Message/{message_uuid}" if message_uuid else ""
    return f"/media/Account/{account_id}{message}/Media/{media_id}"


def record(*, media_id: str, content_type: str, name: str, size: int, at_us: int, url: str) -> dict[str, Any]:
    """Return a medium as the API shows it. SDKs differ on where they look for its URL."""
    return {
        "content_type": content_type,
        "file_name": name,
        "media_id": media_id,
        "media_url": url,
        "url": url,
        "size": size,
        "upload_time": record_time(at_us),
    }


def uploaded(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a file that was taken."""
    return {**shown, "status": "success", "status_code": 201, "error_code": None, "error_message": None}


def refused(name: str, content_type: str, size: int, complaint: Complaint) -> dict[str, Any]:
    """Return what is said of a file that was not taken."""
    return {
        "content_type": content_type,
        "file_name": name,
        "media_id": None,
        "media_url": None,
        "url": None,
        "size": size,
        "upload_time": None,
        "status": "failed",
        "status_code": complaint.status,
        "error_code": complaint.status,
        "error_message": complaint.text,
    }
