"""Requests as the SDKs put them on the wire whose languages are not installed here.

Put together from the SDKs' sources: headers, and bodies down to how each JSON library writes them. Ruby and Java send
members that were not given as ``null``, Go leaves them out and writes ``<`` as ``\\u003c``, PHP escapes slashes and
everything outside ASCII, .NET and Java name a charset.
"""

from typing import Final

import msgspec


class Sdk(msgspec.Struct, frozen=True, kw_only=True):
    """How one SDK asks for things."""

    headers: tuple[str, ...]
    """Of every request, beside ``Host``, ``Authorization`` and ``Content-Length``."""
    body_headers: tuple[str, ...] = ()
    """Of requests with a body."""
    message: str
    """The body of a text to two destinations; ``@URL@`` is where callbacks go, as a JSON text without its quotes."""
    slash: str = "/"
    """How slashes are written in JSON."""
    delete: str = ""
    """The body of a request to delete."""


TEXT: Final = "Grüße <&> €"
DESTINATIONS: Final = ("15005550001", "15005550003")

SDKS: Final = {
    "ruby": Sdk(
        headers=(
            "User-Agent: plivo-ruby/4.63.4 (Ruby 3.2.2)",
            "Content-Type: application/json",
            "Accept: application/json",
            "Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
            "Connection: close",
        ),
        message='{"src":"15005550100","text":"Grüße <&> €","powerpack_uuid":null,"dst":"15005550001<15005550003",'
        '"url":"@URL@","method":"POST","log":true}',
        delete="{}",
    ),
    "php": Sdk(
        headers=(
            "User-Agent: plivo-php/4.70.0 (PHP 8.2.7)",
            "Content-type: application/json",
            "Accept: application/json",
            "Accept-Encoding: *",
        ),
        message='{"dst":"15005550001<15005550003","src":"15005550100",'
        '"text":"Gr\\u00fc\\u00dfe <&> \\u20ac","url":"@URL@"}',
        slash="\\/",
        delete="{}",
    ),
    "go": Sdk(
        headers=(
            "User-Agent: plivo-go/7.60.2 (Go: go1.22.5)",
            "Content-Type: application/json",
            "Accept-Encoding: gzip",
        ),
        message='{"src":"15005550100","dst":"15005550001\\u003c15005550003","text":"Grüße \\u003c\\u0026\\u003e €",'
        '"url":"@URL@"}\n',
    ),
    "java": Sdk(
        headers=(
            "User-Agent: plivo-java/5.49.0 (Implementation: Debian null 17.0.13, Specification: null null 17)",
            "Connection: Keep-Alive",
            "Accept-Encoding: gzip",
        ),
        body_headers=("Content-Type: application/json; charset=UTF-8",),
        message='{"src":"15005550100","dst":"15005550001<15005550003","text":"Grüße <&> €","powerpack_uuid":null,'
        '"type":null,"url":"@URL@","method":"POST","log":"true","trackable":null,"media_urls":null,"media_ids":null,'
        '"message_expiry":null,"dlt_entity_id":null,"dlt_template_id":null,"dlt_template_category":null,'
        '"template":null,"interactive":null,"location":null}',
        delete="{}",
    ),
    "dotnet": Sdk(
        headers=("User-Agent: plivo-dotnet/5.51.3", "Accept: application/json"),
        body_headers=("Content-Type: application/json; charset=utf-8",),
        message='{"src":"15005550100","dst":"15005550001<15005550003","text":"Grüße <&> €","url":"@URL@",'
        '"method":"POST","log":"true","trackable":false}',
        delete="{}",
    ),
}


def request(sdk: Sdk, method: str, target: str, *, authorization: str, body: str | None = None) -> bytes:
    """Return a request byte by byte."""
    payload = (body or "").encode()
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: 127.0.0.1:8080",
        f"Authorization: {authorization}",
        *sdk.headers,
        *(sdk.body_headers if body is not None else ()),
        *([f"Content-Length: {len(payload)}"] if body is not None else ()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def message_body(sdk: Sdk, url: str) -> str:
    """Return the body of a request to send."""
    return sdk.message.replace("@URL@", url.replace("/", sdk.slash))
