"""What the official SDKs compute, ported from their sources one by one, to check our verifier against.

Nothing here is shared with the code under test. The Python SDK is absent: the tests call the real one. Sources:
plivo-node ``security.js`` and ``v3Security.js``, plivo-go ``utils.go``, plivo-ruby ``utils.rb``, plivo-php
``signatureValidation.php`` and ``v3SignatureValidation.php``, plivo-java ``Utils.java``, plivo-dotnet
``XPlivoSignatureV2.cs`` and ``XPlivoSignatureV3.cs``.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

Params = Mapping[str, str]


class CannotSign(Exception):
    """The SDK raises for this request."""


class Sdk(NamedTuple):
    name: str
    v2_base: Callable[[str], str]
    v3_base: Callable[[str, str, Params], str]
    encode: Callable[[str], bytes] = str.encode

    def sign_v2(self, uri: str, nonce: str, token: str) -> str:
        return _hmac(token, (self.v2_base(uri) + nonce).encode())

    def sign_v3(self, method: str, uri: str, params: Params, nonce: str, token: str) -> str:
        return _hmac(token, self.encode(self.v3_base(method, uri, params) + "." + nonce))


def _hmac(token: str, message: bytes) -> str:
    return base64.b64encode(hmac.new(token.encode(), message, hashlib.sha256).digest()).decode()


def _host_port(uri: str) -> str:
    return urlsplit(uri).netloc.rpartition("@")[2]


def _host(uri: str) -> str:
    return _host_port(uri).partition(":")[0]


def _sorted_string(params: Params, *, query: bool) -> str:
    if query:
        return "".join(f"{key}={params[key]}&" for key in sorted(params))
    return "".join(key + params[key] for key in sorted(params))


# --- node


def _node_v2(uri: str) -> str:
    return f"{uri.partition('://')[0]}://{_host_port(uri)}{urlsplit(uri).path}"


def _node_v3(method: str, uri: str, params: Params) -> str:
    values: dict[str, list[str]] = {}
    added = list(params.items()) if method == "GET" else []
    for key, value in parse_qsl(urlsplit(uri).query, keep_blank_values=True) + added:
        values.setdefault(key, []).append(value)
    query = "&".join(f"{key}={value}" for key in sorted(values) for value in sorted(values[key]))
    base = _node_v2(uri)
    has_body = method == "POST" and bool(params)
    if query or has_body:
        base += "?" + query
    if query and has_body:
        base += "."
    return base + _sorted_string(params, query=False) if has_body else base


# --- go


def _go_v2(uri: str) -> str:
    return f"{urlsplit(uri).scheme}://{_host_port(uri)}{unquote(urlsplit(uri).path)}"


def _go_v3(method: str, uri: str, params: Params) -> str:
    query = urlsplit(uri).query
    base = _go_v2(uri)
    if params or query:
        base += "?"
    first: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        first.setdefault(key, value)
    if method == "GET":
        return base + _sorted_string({**first, **params}, query=True).rstrip("&")
    body = _sorted_string(params, query=False)
    if query:
        return (base + _sorted_string(first, query=True).rstrip("&") + "." + body).rstrip(".")
    return base + body


# --- ruby


def _ruby_v2(uri: str) -> str:
    return f"{urlsplit(uri).scheme}://{_host(uri)}{urlsplit(uri).path}"


def _ruby_v3(method: str, uri: str, params: Params) -> str:
    uri = uri.replace("+", "%20", 1)
    query = unquote(urlsplit(uri).query)
    base = _ruby_v2(uri) + "?"
    found = {key: value for key, equals, value in (part.partition("=") for part in query.split("&")) if equals}
    if method == "GET":
        return base + _sorted_string({**found, **params}, query=True).removesuffix("&")
    body = _sorted_string(params, query=False)
    if not query:
        return base + body
    return (base + _sorted_string(found, query=True).removesuffix("&") + "." + body).removesuffix(".")


# --- php


def _php_v2(uri: str) -> str:
    return f"{urlsplit(uri).scheme}://{_host_port(uri)}{urlsplit(uri).path}"


def _strnatcmp(left: str, right: str) -> int:
    """Compare as PHP does, for text without spaces and leading zeros."""
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] in "0123456789" and right[j] in "0123456789":
            a = b = ""
            while i < len(left) and left[i] in "0123456789":
                a, i = a + left[i], i + 1
            while j < len(right) and right[j] in "0123456789":
                b, j = b + right[j], j + 1
            if int(a) != int(b):
                return int(a) - int(b)
        elif left[i] != right[j]:
            return ord(left[i]) - ord(right[j])
        else:
            i, j = i + 1, j + 1
    return (len(left) - i) - (len(right) - j)


_natural = cmp_to_key(_strnatcmp)


def _php_v3(method: str, uri: str, params: Params) -> str:
    merged: dict[str, list[str]] = {key: [value] for key, value in params.items()} if method == "GET" else {}
    query = urlsplit(uri).query
    for part in query.split("&") if query else []:
        exploded = part.split("=")
        merged.setdefault(exploded[0], []).append(exploded[1] if len(exploded) > 1 else "")
    joined = "&".join(
        f"{key}={value}" for key in sorted(merged, key=_natural) for value in sorted(merged[key], key=_natural)
    )
    base = _php_v2(uri)
    has_body = method == "POST" and bool(params)
    if joined or has_body:
        base += "?" + joined
    if joined and has_body:
        base += "."
    return base + "".join(key + params[key] for key in sorted(params, key=_natural)) if has_body else base


def _php_utf8_encode(message: str) -> bytes:
    return message.encode().decode("iso-8859-1").encode()


# --- java


def _java_v2(uri: str) -> str:
    return _php_v2(uri)


def _java_v3(method: str, uri: str, params: Params) -> str:
    decoded = unquote_plus(uri).partition("#")[0]
    location, _, query = decoded.partition("?")
    base = f"{urlsplit(location).scheme}://{_host(location)}{urlsplit(location).path}?"
    found: dict[str, str] = {}
    # String.split drops empty parts at the end.
    for part in query.rstrip("&").split("&") if query else []:
        key, _, value = part.partition("=")
        if key in found:
            raise CannotSign("IllegalStateException")
        found[key] = value
    if method == "GET":
        everything = {**found, **params}
        if not everything:
            raise CannotSign("StringIndexOutOfBoundsException")
        return base + _sorted_string(everything, query=True)[:-1]
    body = _sorted_string(params, query=False)
    return base + (_sorted_string(found, query=True)[:-1] + "." + body if query else body)


# --- .NET


def _dotnet_v2(uri: str) -> str:
    parts = urlsplit(uri)
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{_host_port(uri).lower().removesuffix(default)}{parts.path}"


def _dotnet_v3(method: str, uri: str, params: Params) -> str:
    parts = urlsplit(uri)
    base = f"{parts.scheme}://{_host(uri).lower()}{unquote(parts.path) or '/'}"
    if params or parts.query:
        base += "?"
    found: dict[str, str] = {}
    for part in sorted(unquote(parts.query).split("&")):
        key, equals, value = part.partition("=")
        if equals:
            found[key] = value
    if method == "GET":
        if found.keys() & params.keys():
            raise CannotSign("ArgumentException")
        return base + _sorted_string({**found, **params}, query=True).rstrip("&")
    body = _sorted_string(params, query=False)
    if parts.query:
        return (base + _sorted_string(found, query=True).rstrip("&") + "." + body).rstrip(".")
    return base + body


SDKS = (
    Sdk("node", _node_v2, _node_v3),
    Sdk("go*", _go_v2, _go_v3),
    Sdk("ruby*", _ruby_v2, _ruby_v3),
    Sdk("php*", _php_v2, _php_v3, _php_utf8_encode),
    Sdk("java", _java_v2, _java_v3),
    Sdk("dotnet*", _dotnet_v2, _dotnet_v3),
)
"""Named as in the ``agreement`` maps of the vectors."""
