"""Identifiers: their shapes, and how to make one from given randomness and time.

The official Python, Java and Ruby SDKs refuse credentials of another shape (contract section 1.1).
"""

import re
from collections.abc import Callable
from typing import Final, NewType
from uuid import UUID

AccountId = NewType("AccountId", str)
"""``MA`` or ``SA`` and 18 characters of ``A-Z0-9``: Plivo's *auth id*."""

NewId = Callable[[int], str]
"""Makes a new uuid (36 characters) for a time in microseconds, time-ordered so that new ones lie together in an
index; the composition root decides on its randomness."""

AUTH_ID: Final = re.compile(r"[MS]A[A-Z0-9]{18}")
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def auth_id(randomness: bytes, *, kind: str = "MA") -> AccountId:
    """Make an auth id of ``kind`` from 18 or more random bytes."""
    return AccountId(kind + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in randomness[:18]))


def uuid7(now_us: int, randomness: bytes) -> str:
    """Make a version 7 uuid (RFC 9562 section 5.7) from a time and 10 or more random bytes.

    The 12 bits after the millisecond carry its fraction (RFC 9562 section 6.2, method 3), so that uuids
    made within one millisecond are in order too, up to about a quarter of a microsecond.
    """
    milliseconds, microseconds = divmod(now_us, 1000)
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76 | (microseconds * 4096 // 1000) << 64
    value |= 0b10 << 62 | int.from_bytes(randomness[:8], "big") & 0x3FFFFFFFFFFFFFFF
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def made_at_ms(uuid: str) -> int:
    """Return the milliseconds since 1970 that a uuid of ``uuid7`` carries."""
    return int(uuid[:8] + uuid[9:13], 16)


def as_uuid(text: str) -> str | None:
    """Return ``text`` as a canonical uuid, or ``None`` when it is not one."""
    try:
        return str(UUID(text))
    except ValueError:
        return None
