"""Providers that call: signed requests for receivers."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp

from ringback.dialect.signatures import callback_headers
from ringback.receiver.event import FORM

TOKEN = "auth-token-at-the-provider"
PUBLIC = "https://hooks.example.com"


def said(message: str, status: str, sequence: int | None = None, **more: str) -> list[tuple[str, str]]:
    """Return the parameters of a status callback."""
    params = [("MessageUUID", message), ("Status", status), ("From", "14155551111"), ("To", "14155552222")]
    return [*params, *([("Sequence", str(sequence))] if sequence else []), *more.items()]


def signed(
    target: str, params: Sequence[tuple[str, str]], *, base: str = PUBLIC, token: str = TOKEN, nonce: str = "1" * 20
) -> tuple[bytes, list[tuple[str, str]]]:
    """Return body and headers of a signed POST."""
    headers = callback_headers(
        "POST", base + target, params, nonce_v2=nonce, nonce_v3=nonce, tokens=(token,), main_tokens=(token,)
    )
    return urlencode(params).encode(), [*headers, ("Content-Type", FORM)]


async def call(
    http: aiohttp.ClientSession, url: str, target: str, params: Sequence[tuple[str, str]], **how: Any
) -> int:
    """Post a signed callback; gives the status of the answer."""
    more = how.pop("headers", [])
    body, headers = signed(target, params, **how)
    async with http.post(url + target, data=body, headers=[*headers, *more]) as answer:
        await answer.read()
        return answer.status
