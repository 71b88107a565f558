"""The HTTP request of one attempt, as a value: what is sent is decided here, and nowhere else."""

from urllib.parse import urlencode

import msgspec

from ringback import __version__
from ringback.dialect.callbacks import FORM, with_query
from ringback.dialect.signatures import callback_headers
from ringback.store.accounts import Account
from ringback.store.callbacks import DueCallback

Headers = list[tuple[str, str]]

USER_AGENT = f"Ringback/{__version__}"

_decode_params = msgspec.json.Decoder(list[tuple[str, str]]).decode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A signed request, ready to go."""

    method: str
    url: str
    headers: Headers
    body: bytes | None


def build(callback: DueCallback, account: Account, *, nonce_v2: str, nonce_v3: str) -> Request:
    """Return the signed request for an attempt (contract section 4.1).

    POST carries the parameters as a form, GET in the query string after whatever query the URL has. Nonces
    are the caller's: fresh ones for every attempt.
    """
    params = _decode_params(callback.params)
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
    if callback.method == "GET":
        return Request(method="GET", url=with_query(callback.url, params), headers=headers, body=None)
    return Request(
        method="POST",
        url=callback.url,
        headers=[*headers, ("Content-Type", FORM)],
        body=urlencode(params).encode(),
    )
