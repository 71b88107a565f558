"""Where chance comes from: ids, tokens, nonces."""

import os
import secrets

from ringback.model.ids import uuid7


def new_id(now_us: int) -> str:
    """Make a time-ordered uuid."""
    return uuid7(now_us, os.urandom(8))


def new_nonce() -> str:
    """Make a nonce in the shape of Plivo's: 20 decimal digits."""
    # 16 bytes: what the rest of the division prefers is too little to be seen.
    return str(10**19 + int.from_bytes(os.urandom(16)) % (9 * 10**19))


def new_app_id() -> str:
    """Make an id for an application: 17 decimal digits."""
    return str(10**16 + secrets.randbelow(9 * 10**16))


def new_token() -> str:
    """Make an auth token."""
    return secrets.token_urlsafe(30)


def new_code() -> str:
    """Make a code that somebody can type: 6 decimal digits."""
    return f"{secrets.randbelow(10**6):06d}"


def new_smpp_password() -> str:
    """Make a password that fits a bind: 8 letters and digits, none of which look alike."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(8))
