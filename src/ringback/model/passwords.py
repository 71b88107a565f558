"""What is kept of a password: a fresh salt and scrypt (RFC 7914), as base64.

Two forms: ``salt$digest`` for what is asked for often (bins, binds over SMPP), and ``scrypt$n$r$p$salt$digest`` for
people, which takes longer and says how, so that it can be made dearer later: see ``is_current``.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from ringback.model.errors import InvalidRequest

MAX_PASSWORD: Final = 200
LEAST_OF_PEOPLE: Final = 12
"""Characters; shorter passwords of people are refused."""

_SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
_OF_PEOPLE: Final = (15, 8, 3)
"""The binary logarithm of n, r and p: 32 MB and some 0.2 s."""
_MEMORY: Final = 256 * 2**20
"""No hash that is kept may need more."""
NOBODYS: Final = "scrypt$15$8$3${}${}".format("A" * 22 + "==", "A" * 86 + "==")
"""Fits no password, and takes as long to find out: for names that nobody has."""


def hashed(password: object, salt: bytes) -> str:
    """Return what is kept of a password. Takes some 50 ms. Raises ``InvalidRequest``."""
    if not isinstance(password, str) or len(password) > MAX_PASSWORD:
        raise InvalidRequest(f"password must be a text of up to {MAX_PASSWORD} characters")
    return f"{_text(salt)}${_text(hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT))}"


def hashed_of_person(password: str, salt: bytes, *, name: str = "") -> str:
    """Return what is kept of a person's password. Takes some 0.2 s. Raises ``InvalidRequest`` for a weak one."""
    if not LEAST_OF_PEOPLE <= len(password) <= MAX_PASSWORD:
        raise InvalidRequest(f"a password has {LEAST_OF_PEOPLE} to {MAX_PASSWORD} characters")
    if len(set(password)) < LEAST_OF_PEOPLE // 3 or (name and password.lower() == name.lower()):
        raise InvalidRequest("this password is too easy to guess: choose another")
    return "$".join(("scrypt", *map(str, _OF_PEOPLE), _text(salt), _text(_digest(password, salt, *_OF_PEOPLE))))


def is_current(kept: str) -> bool:
    """Say whether a person's password is kept as it would be now; else it should be hashed anew when it is known."""
    return kept.startswith("scrypt${}${}${}$".format(*_OF_PEOPLE))


def fits(password: str, kept: str) -> bool:
    """Say whether a password is the one of which something was kept, in either form. Takes as long."""
    try:
        *parameters, salt_text, digest_text = kept.split("$")
        salt, digest = base64.b64decode(salt_text), base64.b64decode(digest_text)
        if parameters:
            log2_n, r, p = map(int, parameters[1:])
            return hmac.compare_digest(_digest(password, salt, log2_n, r, p), digest)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hashlib.scrypt(password.encode()[:1_000], salt=salt, **_SCRYPT), digest)


def _digest(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode()[:1_000], salt=salt, n=2**log2_n, r=r, p=p, maxmem=_MEMORY)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
