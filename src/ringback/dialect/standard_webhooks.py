"""Signatures of Standard Webhooks, version 1: HMAC-SHA256 over id, time and body."""

import hmac
from binascii import Error, a2b_base64, b2a_base64
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for: base64, with or without ``whsec_``; other text is a key as it is."""
    try:
        return a2b_base64(secret.removeprefix(PREFIX).encode(), strict_mode=True)
    except (Error, ValueError):
        return secret.encode(errors="surrogatepass")


def secret_of(token: str) -> str:
    """Return the secret by which a token of ours can be used with libraries for Standard Webhooks."""
    return PREFIX + b2a_base64(token.encode(), newline=False).decode()


def content(message_id: str, at_s: str, body: bytes) -> bytes:
    """Return what is signed."""
    return f"{message_id}.{at_s}.".encode(errors="surrogatepass") + body


def sign(key: bytes, signed: bytes) -> bytes:
    """Return a signature without its version."""
    return b2a_base64(hmac.digest(key, signed, "sha256"), newline=False)


def headers(message_id: str, at_s: int, body: bytes, keys: tuple[bytes, ...]) -> list[tuple[str, str]]:
    """Return the three headers of a message signed with each of ``keys``."""
    signed = content(message_id, str(at_s), body)
    signatures = " ".join(f"v1,{sign(key, signed).decode()}" for key in keys)
    return [(ID, message_id), (TIMESTAMP, str(at_s)), (SIGNATURE, signatures)]
