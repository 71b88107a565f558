"""URLs that callbacks go to: written so that SDKs agree about their signatures (contract section 5.5)."""

import re
from collections.abc import Iterator
from typing import Final

from ringback.dialect.signatures import (
    _DEFAULT_PORTS,
    Pairs,
    _concatenated,
    _equated,
    _host_and_port,
    _natural,
    _read,
    _Url,
)

_URL_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")


def canonical_callback_url(url: str) -> str:
    """Return ``url`` written so that as few SDKs as possible disagree about it (contract 5.5, safe subset).

    Only what leaves the request the same is changed: scheme and host in lower case, no default port, ``/``
    for an empty path, no fragment. A URL that is not http or https, or has no sound host, comes back as it is.
    """
    read = _read(url)
    scheme = read.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        return url
    user, at, _ = read.authority.rpartition("@")
    host, port = _host_and_port(read)
    if not host or (":" in host and not host.startswith("[")):
        return url
    # Lower-casing other alphabets can change which host is meant.
    shown_host = host.lower() if host.isascii() else host
    shown_port = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    query = url.partition("#")[0].partition("?")
    return f"{scheme}{user}{at}{shown_host}{shown_port}{read.path or '/'}{query[1]}{query[2]}"


def outside_safe_subset(url: str, *, method: str, params: Pairs | None = None) -> list[str]:
    """Say why SDKs would disagree on the V3 signature of a callback, in sentences that tell what to change.

    An empty list means that all of them agree (contract 5.5, safe subset). ``params`` are the callback's
    decoded parameters; ``None`` judges the URL alone, for parameters that are not known yet. Never raises.
    """
    read = _read(url)
    if read.scheme.lower() not in _DEFAULT_PORTS or not read.authority:
        return ["The URL is not an absolute http or https URL; start it with https:// and a host"]
    given = params or ()
    if method.upper() == "GET":
        sorted_as_one: list[Pairs] = [[*read.pairs, *given]]
        trimmed = _equated(sorted(sorted_as_one[0])).endswith("&")
    else:
        sorted_as_one = [read.pairs, given]
        trimmed = bool(read.query) and _concatenated(sorted(given)).endswith(".")
    reasons = [*_doubts_on_address(read), *_doubts_on_query(read), *_doubts_on_params(read, given)]
    if params is not None and not sorted_as_one[-1]:
        reasons.append("The callback has no parameters, and SDKs disagree about the ? then; send one")
    if any(_natural(pairs) != sorted(pairs) for pairs in sorted_as_one):
        reasons.append("The PHP SDK sorts numbered parameters by number (10 after 2); verify V2 in PHP")
    if trimmed:
        reasons.append("The signed text ends with what the Go, Ruby and .NET SDKs trim; verify V2 there")
    return reasons


def _doubts_on_address(url: _Url) -> Iterator[str]:
    host, _ = _host_and_port(url)
    if _URL_CHARACTERS.fullmatch(url.text) is None:
        yield "The URL has characters that URLs do not hold as they are; use plain ASCII"
    if url.scheme + host != (url.scheme + host).lower():
        yield "Scheme or host have upper-case letters; write them in lower case"
    if "@" in url.authority:
        yield "The URL has a user name or password, which some SDKs sign and others drop; remove it"
    if host != url.authority.rpartition("@")[2]:
        yield "The URL names a port, which the Ruby, Java and .NET SDKs drop; use the default port, unwritten"
    if not url.path:
        yield "The URL has no path, and the .NET SDK adds one; write at least a / after the host"
    if "%" in url.path or "+" in url.path:
        yield "The path has % or +, which the Go, Java and .NET SDKs decode; use a path without them"
    if ";" in url.path:
        yield "The path has a ; after which the Python SDK drops text; use a path without it"
    if not {".", ".."}.isdisjoint(url.path.split("/")):
        yield "The path has . or .. segments, which the .NET SDK resolves; write the path that is meant"


def _doubts_on_query(url: _Url) -> Iterator[str]:
    if not url.query and url.text.partition("#")[0].endswith("?"):
        yield "The URL ends with a ? that nothing follows; remove it"
    if "%" in url.query or "+" in url.query:
        yield "The query has % or +, which SDKs decode differently; use text that needs no encoding"
    if url.query and any(part.count("=") != 1 for part in url.query.split("&")):
        yield "The query has a parameter that is not written name=value with a single =; some SDKs drop it"
    if len(dict(url.pairs)) != len(url.pairs):
        yield "The query names a parameter twice, and SDKs keep the first, the last or all; name each once"


def _doubts_on_params(url: _Url, params: Pairs) -> Iterator[str]:
    if len(dict(params)) != len(params):
        yield "The callback names a parameter twice, which most SDKs cannot hold; name each once"
    if not dict(url.pairs).keys().isdisjoint(dict(params)):
        yield "The query names a parameter of the callback too, and SDKs choose differently; rename it"
    if not all(key.isascii() and value.isascii() for key, value in params):
        yield "The callback has text outside ASCII, which the PHP SDK encodes twice; verify V2 in PHP"
