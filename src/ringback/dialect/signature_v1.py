"""The signature before V2 (contract 5.1): HMAC-SHA1 over URL and parameters, without a nonce.

Nothing is known to send it for messages today; two SDKs still compute it, so whoever relies on it is believed.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from ringback.dialect.signatures import MAX_ENTRIES, MAX_PAIRS, Pairs, sign_v1

HEADER: Final = "x-plivo-signature"


def texts_v1(method: str, url: str, params: Pairs) -> Iterator[tuple[str, Pairs]]:
    """Give (URL, parameters) as they may have been signed: on GET with the query in the URL, or beside it."""
    yield url, params if method.upper() != "GET" else ()
    bare, mark, _ = url.partition("?")
    if mark and method.upper() == "GET":
        yield bare, params


def text_v1(url: str, params: Pairs) -> str:
    """Return what is signed."""
    return url + "".join(chain.from_iterable(sorted(params)))


def verify_v1(
    method: str, urls: Sequence[str], params: Pairs, headers: Mapping[str, str], tokens: Sequence[str]
) -> int | None:
    """Return which of ``tokens`` has signed, ``None`` when none has. Never raises.

    ``params`` are the decoded pairs of the body, of the query on GET; ``headers`` has lower-case names.
    """
    offered = [entry.strip() for entry in headers.get(HEADER, "").split(",", MAX_ENTRIES)[:MAX_ENTRIES]]
    if not any(offered) or len(params) > MAX_PAIRS:
        return None
    for url in urls:
        for signed_url, signed in texts_v1(method, url, params):
            for index, token in enumerate(tokens):
                try:
                    ours = sign_v1(signed_url, signed, token).encode()
                except UnicodeEncodeError:
                    continue
                if any(hmac.compare_digest(ours, entry.encode(errors="surrogatepass")) for entry in offered):
                    return index
    return None
