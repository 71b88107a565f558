"""The HTTP request of one attempt, as a value: what is sent is decided here, and nowhere else."""

from typing import Any

import msgspec

from ringback import __version__
from ringback.dialect.callbacks import FORM, form, with_query
from ringback.dialect.signatures import callback_headers
from ringback.dialect.standard_webhooks import headers as standard_headers
from ringback.store.accounts import Account
from ringback.store.callbacks import AS_JSON, DueCallback

Headers = list[tuple[str, str]]

USER_AGENT = f"Ringback/{__version__}"

_decode_params = msgspec.json.Decoder(list[tuple[str, str]]).decode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A signed request, ready to go."""

    method: str
    url: str
    headers: Headers
    body: bytes | None


def build(callback: DueCallback, account: Account, *, nonce_v2: str, nonce_v3: str, at_us: int = 0) -> Request:
    """Return the signed request for an attempt (contract section 4.1).

    POST carries the parameters as a form, GET in the query string after whatever query the URL has. Nonces
    are the caller's: fresh ones for every attempt. A callback that is JSON has it as its body with POST, of which the
    signatures know nothing: it is signed as Standard Webhooks have it too, at ``at_us``.
    """
    params = _decode_params(callback.params)
    body: bytes | None = None
    if callback.kind in AS_JSON:
        params, body = _json(dict(params)["body"], callback.method)
    signatures = callback_headers(
        callback.method,
        callback.url,
        params,
        nonce_v2=nonce_v2,
        nonce_v3=nonce_v3,
        tokens=account.tokens,
        main_tokens=account.main_tokens,
    )
    headers = [("User-Agent", USER_AGENT), ("Accept", "*/*"), *signatures]
    if body is not None:
        keys = tuple(token.encode() for token in account.tokens)
        headers += standard_headers(callback.id, at_us // 1_000_000, body, keys)
    if callback.method == "GET":
        return Request(method="GET", url=with_query(callback.url, params), headers=headers, body=None)
    return Request(
        method="POST",
        url=callback.url,
        headers=[*headers, ("Content-Type", FORM if body is None else "application/json")],
        body=form(params).encode() if body is None else body,
    )


def _json(text: str, method: str) -> tuple[list[tuple[str, str]], bytes | None]:
    """Return the parameters and the body that carry JSON: what is no text is JSON in a query, too."""
    if method == "POST":
        return [], text.encode()
    content = msgspec.json.decode(text, type=dict[str, Any])
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in content.items()
    ], None
