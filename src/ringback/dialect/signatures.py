"""Signatures of callbacks, both ways: what we sign, and what we accept (contract section 5).

A signature is ``base64(HMAC-SHA256(token, message))``. The message of V2 is the URL without its query, then
the nonce; that of V3 adds the query and the body, both sorted, and a dot before the nonce. What we sign is
what the official Python SDK computes.

Senders differ in the corners of those rules, so verifying walks a table: one row per SDK, each made of small
functions, one per difference (contract 5.5). The first row is our own way of signing, and for nearly every
genuine request the only one that is tried.

A GET request no longer shows which of its parameters stood in the callback URL and which were added to it.
Each row reads it both ways: everything added, and everything in the URL.
"""

import hmac
import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus

import msgspec

Pairs = Sequence[tuple[str, str]]
Scheme = Literal["v3", "v2"]
Reason = Literal["no_signature", "no_nonce", "mismatch"]

MAX_ENTRIES: Final = 10
"""Signatures looked at per header: a rotation has two or three, and each more is work for us."""

MAX_PAIRS: Final = 256
"""Parameters of a request that is looked at: a callback has about twenty."""

_DEFAULT_PORTS: Final = {"http://": "80", "https://": "443"}
_DIGITS_OR_ONE: Final = re.compile(r"[0-9]+|.", re.DOTALL)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of verifying a request.

    When ``ok``, every field but ``reason`` is set; else only ``reason`` is. ``token_index`` counts in the
    tokens that were given: the token itself is a secret, and not repeated here.

    ``complete`` tells whether the signature vouches for every parameter. V2 vouches for none, and some SDKs
    sign one value only of a name that comes twice: whoever sees such a request can add values to it.
    """

    ok: bool
    scheme: Scheme | None = None
    header: str | None = None
    token_index: int | None = None
    variant: str | None = None
    complete: bool = False
    reason: Reason | None = None


class _Url(NamedTuple):
    """A URL cut up without interpreting it: SDKs differ in the interpretation."""

    text: str
    scheme: str
    """As written, with its ``://``; empty when the URL has none."""
    authority: str
    path: str
    query: str
    pairs: list[tuple[str, str]]
    """The query, decoded, in the order of the URL."""


@lru_cache(maxsize=256)
def _read(text: str) -> _Url:
    location, _, query = text.partition("#")[0].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True) if query else []
    scheme, mark, rest = location.partition("://")
    if not mark:
        return _Url(text, "", "", location, query, pairs)
    authority, slash, path = rest.partition("/")
    return _Url(text, scheme + mark, authority, slash + path, query, pairs)


def _host_and_port(url: _Url) -> tuple[str, str]:
    whole = url.authority.rpartition("@")[2]
    host, colon, port = whole.rpartition(":")
    return (host, port) if colon and "]" not in port else (whole, "")


def _as_written(url: _Url) -> str:
    path = url.path
    if ";" in path:
        # The Python SDK uses urlparse, which takes ";..." of the last segment for something of its own.
        cut = path.find(";", max(path.rfind("/"), 0))
        path = path if cut < 0 else path[:cut]
    return f"{url.scheme.lower()}{url.authority}{path}"


def _without_user(url: _Url) -> str:
    return f"{url.scheme.lower()}{url.authority.rpartition('@')[2]}{url.path}"


def _scheme_as_written(url: _Url) -> str:
    return f"{url.scheme}{url.authority.rpartition('@')[2]}{url.path}"


def _path_decoded(url: _Url) -> str:
    return f"{url.scheme.lower()}{url.authority.rpartition('@')[2]}{unquote(url.path)}"


def _without_port(url: _Url) -> str:
    return f"{url.scheme.lower()}{_host_and_port(url)[0]}{url.path}"


def _default_port_dropped(url: _Url) -> str:
    scheme = url.scheme.lower()
    host, port = _host_and_port(url)
    shown = f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}{host.lower()}{shown}{url.path}"


def _host_and_local_path(url: _Url) -> str:
    return f"{url.scheme.lower()}{_host_and_port(url)[0].lower()}{unquote(url.path) or '/'}"


def _untouched(url: _Url) -> _Url:
    return url


def _first_plus_as_space(url: _Url) -> _Url:
    return _read(url.text.replace("+", "%20", 1))


def _decoded_whole(url: _Url) -> _Url:
    return _read(unquote_plus(url.text))


def _first_of_each(pairs: Pairs) -> Pairs:
    return sorted(dict(reversed(pairs)).items())


def _last_of_each(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return sorted(dict(pairs).items())


def _natural(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """Sort like PHP's SORT_NATURAL: runs of digits by their value (``Media2`` before ``Media10``)."""
    return sorted(pairs, key=lambda pair: (_natural_key(pair[0]), _natural_key(pair[1])))


def _natural_key(text: str) -> list[tuple[str, int, str]]:
    # Texts come from strangers: the end of a long one is not worth the work.
    runs = _DIGITS_OR_ONE.findall(text[:64])
    return [("0", len(run), run) if run[0] in "0123456789" else (run, 0, "") for run in runs]


def _all_of_query(url: _Url) -> Pairs:
    return sorted(url.pairs)


def _first_of_query(url: _Url) -> Pairs:
    return _first_of_each(url.pairs)


def _last_of_decoded_query(url: _Url) -> Pairs:
    return _last_of_each(_complete_pairs(unquote(url.query)))


def _greatest_of_decoded_query(url: _Url) -> Pairs:
    return _last_of_each(sorted(_complete_pairs(unquote(url.query))))


def _raw_query(url: _Url) -> Pairs:
    if not url.query:
        return []
    parts = [part.split("=") for part in url.query.split("&")]
    # PHP's explode: what follows a second "=" is lost.
    return _natural((part[0], "".join(part[1:2])) for part in parts)


def _each_once_of_query(url: _Url) -> Pairs:
    parts = [part.partition("=") for part in url.query.rstrip("&").split("&")] if url.query else []
    found = {key: value for key, _, value in parts}
    if len(found) != len(parts):
        raise ValueError("Java's toMap refuses a key that comes twice")
    return sorted(found.items())


def _complete_pairs(query: str) -> Iterator[tuple[str, str]]:
    for part in query.split("&"):
        key, equals, value = part.partition("=")
        if equals:
            yield key, value


def _get_if_any(query: str) -> str:
    return f"?{query}" if query else ""


def _get_trimmed(query: str) -> str:
    return _get_if_any(query).rstrip("&")


def _post_if_any(query: str | None, body: str | None) -> str:
    mark = "?" if query or body is not None else ""
    dot = "." if query and body is not None else ""
    return f"{mark}{query or ''}{dot}{body or ''}"


def _post_trimmed(query: str | None, body: str | None) -> str:
    if query is None:
        return "" if body is None else f"?{body}"
    return f"?{query.rstrip('&')}.{body or ''}".rstrip(".")


def _post_always(query: str | None, body: str | None) -> str:
    return f"?{body or ''}" if query is None else f"?{query}.{body or ''}"


def _post_without_last_dot(query: str | None, body: str | None) -> str:
    joined = _post_always(query, body)
    return joined if query is None else joined.removesuffix(".")


def _utf8_twice(message: str) -> bytes:
    return message.encode().decode("latin-1").encode()


class _V3Rules(NamedTuple):
    """How one SDK builds a V3 message: the defaults are the Python SDK's."""

    name: str
    read: Callable[[_Url], _Url] = _untouched
    """What is done to the URL first."""
    address: Callable[[_Url], str] = _as_written
    """How scheme, host, port and path are written."""
    of_url: Callable[[_Url], Pairs] = _all_of_query
    """Which parameters the URL has, in which order."""
    passed: Callable[[Pairs], Pairs] = sorted
    """Which of the parameters beside the URL count, in which order."""
    get: Callable[[str], str] = _get_if_any
    """How the parameters of a GET follow the address."""
    post: Callable[[str | None, str | None], str] = _post_if_any
    """How query and body of a POST follow the address: ``None`` when there is none, "" when it is empty."""
    encode: Callable[[str], bytes] = str.encode
    """How the message becomes bytes."""


_V3_RULES: Final = (
    _V3Rules("python"),
    # Frameworks that hand over a flat mapping keep the first value; on GET the URL's own ones win.
    _V3Rules("python, first value", passed=_first_of_each),
    _V3Rules("python, no port", address=_without_port),
    _V3Rules("node", address=_scheme_as_written),
    _V3Rules(
        "go",
        address=_path_decoded,
        of_url=_first_of_query,
        passed=_last_of_each,
        get=_get_trimmed,
        post=_post_trimmed,
    ),
    _V3Rules(
        "ruby",
        read=_first_plus_as_space,
        address=_without_port,
        of_url=_last_of_decoded_query,
        passed=_last_of_each,
        get="?{}".format,
        post=_post_without_last_dot,
    ),
    _V3Rules("php", address=_without_user, of_url=_raw_query, passed=_natural, encode=_utf8_twice),
    _V3Rules(
        "java",
        read=_decoded_whole,
        address=_without_port,
        of_url=_each_once_of_query,
        passed=_last_of_each,
        post=_post_always,
    ),
    _V3Rules(
        "dotnet",
        address=_host_and_local_path,
        of_url=_greatest_of_decoded_query,
        get=_get_trimmed,
        post=_post_trimmed,
    ),
)


_V2_ADDRESSES: Final[Mapping[str, Callable[[_Url], str]]] = {
    "python": _as_written,
    "node": _scheme_as_written,
    "go": _path_decoded,
    "ruby": _without_port,
    "php and java": _without_user,
    "dotnet": _default_port_dropped,
}


def sign_v1(url: str, params: Pairs, token: str) -> str:
    """Return the legacy ``X-Plivo-Signature``: HMAC-SHA1 over URL and sorted parameters (contract 5.1).

    Raises ``UnicodeEncodeError`` for text that has no UTF-8 form, as ``sign_v2`` and ``sign_v3`` do.
    """
    message = (url + _concatenated(sorted(params))).encode()
    return b2a_base64(hmac.digest(token.encode(), message, "sha1"), newline=False).decode()


def sign_v2(url: str, nonce: str, token: str) -> str:
    """Return ``X-Plivo-Signature-V2``, which covers neither query nor body (contract 5.2)."""
    return _signature(token.encode(), (_as_written(_read(url)) + nonce).encode()).decode()


def sign_v3(method: str, url: str, params: Pairs, nonce: str, token: str) -> str:
    """Return ``X-Plivo-Signature-V3`` (contract 5.3).

    ``params`` are decoded and may repeat keys; ``url`` is the callback URL, on GET without them. A parameter
    that the URL's own query names too is left out on GET, as the Python SDK does. Any method that is not
    GET, in whatever case, counts as POST.
    """
    return _signature(token.encode(), _v3_message(method, _read(url), params, nonce)).decode()


def callback_headers(
    method: str,
    url: str,
    params: Pairs,
    *,
    nonce_v2: str,
    nonce_v3: str,
    tokens: Sequence[str],
    main_tokens: Sequence[str],
) -> list[tuple[str, str]]:
    """Return the six signature headers of a callback (contract 5.2 to 5.4).

    ``url`` is the callback URL, on GET without ``params``. ``tokens`` are those of the account or subaccount
    that owns the message, ``main_tokens`` those of the main account; several are valid during a rotation, and
    give a comma list. Nonces have to be fresh. Raises ``UnicodeEncodeError`` for text that has no UTF-8 form.
    """
    read = _read(url)
    v2_message = (_as_written(read) + nonce_v2).encode()
    v3_message = _v3_message(method, read, params, nonce_v3)
    v2, v3 = _signatures(tokens, v2_message), _signatures(tokens, v3_message)
    if main_tokens == tokens:
        main_v2, main_v3 = v2, v3
    else:
        main_v2, main_v3 = _signatures(main_tokens, v2_message), _signatures(main_tokens, v3_message)
    return [
        ("X-Plivo-Signature-V2", v2),
        ("X-Plivo-Signature-Ma-V2", main_v2),
        ("X-Plivo-Signature-V2-Nonce", nonce_v2),
        ("X-Plivo-Signature-V3", v3),
        ("X-Plivo-Signature-Ma-V3", main_v3),
        ("X-Plivo-Signature-V3-Nonce", nonce_v3),
    ]


def _v3_message(method: str, url: _Url, params: Pairs, nonce: str) -> bytes:
    if method.upper() == "GET":
        in_url = {key for key, _ in url.pairs}
        pairs = [*url.pairs, *(pair for pair in params if pair[0] not in in_url)]
        rest = _get_if_any(_equated(sorted(pairs)))
    else:
        body = _concatenated(sorted(params)) if params else None
        rest = _post_if_any(_equated(sorted(url.pairs)), body)
    return f"{_as_written(url)}{rest}.{nonce}".encode()


def _equated(pairs: Pairs) -> str:
    return "&".join([f"{key}={value}" for key, value in pairs])


def _concatenated(pairs: Pairs) -> str:
    return "".join(chain.from_iterable(pairs))


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return what a digest with this key begins with, to be copied: an account signs a lot with few tokens."""
    return hmac.new(key, digestmod="sha256")


def _signature(key: bytes, message: bytes) -> bytes:
    # hmac.digest lets go of the interpreter, and a busy writer then keeps it for longer than the digest takes.
    begun = _keyed(key).copy()
    begun.update(message)
    return b2a_base64(begun.digest(), newline=False)


def _signatures(tokens: Sequence[str], message: bytes) -> str:
    return b",".join([_signature(token.encode(), message) for token in tokens]).decode()


class _Message(NamedTuple):
    """What one SDK would sign for a request."""

    variant: str
    content: bytes
    covered: Pairs
    given: Pairs


def verify(
    method: str,
    urls: Sequence[str],
    params: Pairs,
    headers: Mapping[str, str],
    tokens: Sequence[str],
) -> Verdict:
    """Tell whether a request was signed with one of ``tokens`` (contract 5.2 to 5.5).

    ``urls`` are the URLs, query included, that the sender may have called: one for each public name of ours.
    ``params`` are the decoded pairs of the body; on GET they are taken from the URL's query instead.
    ``headers`` has lower-case names. Accepted is what any official SDK would compute, V3 before V2, for the
    owner's token or the main account's; what that vouches for is in the verdict's ``complete``.

    Never raises: text without a UTF-8 form, URLs that make no sense and more than ``MAX_PAIRS`` parameters
    are a mismatch.
    """
    reason: Reason = "no_signature"
    method = method.upper()
    body = () if method == "GET" else params
    for scheme, build in _SCHEMES:
        name = f"x-plivo-signature-{scheme}"
        offered = _offered(headers, (name, f"x-plivo-signature-ma-{scheme}"))
        nonce = headers.get(f"{name}-nonce", "")
        if not offered:
            continue
        if not nonce:
            reason = "no_nonce" if reason == "no_signature" else reason
            continue
        reason = "mismatch"
        read = [_read(url) for url in urls if url.count("&") + len(body) <= MAX_PAIRS]
        keys = [token.encode(errors="surrogatepass") for token in tokens]
        verdict = _match(scheme, build(method, read, body, nonce), keys, offered)
        if verdict is not None:
            return verdict
    return Verdict(ok=False, reason=reason)


def _offered(headers: Mapping[str, str], names: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return (header, signature) of every signature that a request carries for one scheme."""
    return [
        (name, stripped.encode(errors="surrogatepass"))
        for name in names
        if name in headers
        for entry in headers[name].split(",", MAX_ENTRIES)[:MAX_ENTRIES]
        if (stripped := entry.strip())
    ]


def _match(
    scheme: Scheme,
    messages: Iterable[_Message],
    keys: Sequence[bytes],
    offered: Sequence[tuple[str, bytes]],
) -> Verdict | None:
    seen: set[bytes] = set()
    for variant, content, covered, given in messages:
        if content in seen:
            continue
        seen.add(content)
        for index, key in enumerate(keys):
            ours = _signature(key, content)
            for header, theirs in offered:
                if hmac.compare_digest(ours, theirs):
                    return Verdict(
                        ok=True,
                        scheme=scheme,
                        header=header,
                        token_index=index,
                        variant=variant,
                        complete=covered is given or sorted(covered) == sorted(given),
                    )
    return None


def _v3_messages(method: str, urls: Sequence[_Url], params: Pairs, nonce: str) -> Iterator[_Message]:
    build = _v3_get if method == "GET" else _v3_post
    for rules in _V3_RULES:
        for url in urls:
            with suppress(ValueError):
                for text, covered, given in build(rules, url, params):
                    yield _Message(rules.name, rules.encode(f"{text}.{nonce}"), covered, given)


def _v3_get(rules: _V3Rules, url: _Url, _params: Pairs) -> Iterator[tuple[str, Pairs, Pairs]]:
    read = rules.read(url)
    for chosen in _readings(rules, url, read):
        query = _equated(chosen)
        rest = rules.get(query)
        yield rules.address(read) + rest, chosen if rest.endswith(query) else (), url.pairs


def _readings(rules: _V3Rules, url: _Url, read: _Url) -> Iterator[Pairs]:
    yield rules.passed(url.pairs)
    yield rules.of_url(read)


def _v3_post(rules: _V3Rules, url: _Url, params: Pairs) -> Iterator[tuple[str, Pairs, Pairs]]:
    read = rules.read(url)
    in_query, in_body = rules.of_url(read), rules.passed(params)
    query = _equated(in_query) if read.query else None
    body = _concatenated(in_body) if params else None
    rest = rules.post(query, body)
    whole = len(rest) >= len(_post_if_any(query, body))
    given = [*url.pairs, *params]
    covered: Pairs = [*in_query, *in_body] if whole else ()
    if whole and read is url and rules.of_url is _all_of_query and rules.passed is sorted:
        # Nothing was left out: nobody needs to sort both to see that.
        covered = given
    yield rules.address(read) + rest, covered, given


def _v2_messages(_method: str, urls: Sequence[_Url], params: Pairs, nonce: str) -> Iterator[_Message]:
    for variant, address in _V2_ADDRESSES.items():
        for url in urls:
            with suppress(ValueError):
                yield _Message(variant, (address(url) + nonce).encode(), (), [*url.pairs, *params])


_Build = Callable[[str, Sequence[_Url], Pairs, str], Iterator[_Message]]
_SCHEMES: Final[tuple[tuple[Scheme, _Build], ...]] = (("v3", _v3_messages), ("v2", _v2_messages))
