"""What is kept of a password: a fresh salt and scrypt (RFC 7914), as base64."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from ringback.model.errors import InvalidRequest

MAX_PASSWORD: Final = 200
_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}


def hashed(password: object, salt: bytes) -> str:
    """Return what is kept of a password. Takes some 50 ms. Raises ``InvalidRequest``."""
    if not isinstance(password, str) or len(password) > MAX_PASSWORD:
        raise InvalidRequest(f"password must be a text of up to {MAX_PASSWORD} characters")
    return f"{_text(salt)}${_text(hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT))}"


def fits(password: str, kept: str) -> bool:
    """Say whether a password is the one of which ``hashed`` has kept something. Takes as long."""
    try:
        salt, digest = (base64.b64decode(part) for part in kept.split("$"))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hashlib.scrypt(password.encode()[:1_000], salt=salt, **_SCRYPT), digest)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
