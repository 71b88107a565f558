"""What may have changed a request on its way: the URL that was called, and the body that was signed."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from ringback.receiver.event import FORM, JSON, Arrived, Pairs

SCHEMES: Final = ("https", "http")
_PREFIX_HEADERS: Final = ("x-forwarded-prefix", "x-script-name")
_TARGET_HEADERS: Final = ("x-original-uri", "x-rewrite-url", "x-original-url", "x-forwarded-uri")
_HOST_HEADERS: Final = ("host", "x-forwarded-host", "x-original-host")


class Guess(msgspec.Struct, frozen=True):
    """A request as it may have been signed, and what would then have happened to it."""

    cause: str
    request: Arrived
    urls: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    """In place of the source's own, where there are any."""


def other_urls(request: Arrived, urls: Sequence[str]) -> Iterator[Guess]:
    """Give URLs that differ from those configured: scheme, host, port, path and query, alone and then together."""
    seen = set(urls)
    for url in urls:
        try:
            parts = urlsplit(url)
            hosts, ports = _hosts(request, parts), _ports(request, parts)
        except ValueError:
            continue
        choices = (
            [(parts.scheme, ""), *((scheme, _SCHEME) for scheme in SCHEMES if scheme != parts.scheme)],
            [(parts.hostname or "", ""), *((host, _HOST) for host in hosts)],
            [(parts.port, ""), *((port, _PORT) for port in ports)],
            [((parts.path, parts.query), ""), *_paths(request, parts)],
        )
        for (scheme, a), (host, b), (port, c), ((path, query), d) in sorted(product(*choices), key=_changes):
            shown = f"[{host}]" if ":" in host else host
            netloc = shown if port is None else f"{shown}:{port}"
            guessed = urlunsplit((scheme, netloc, path, query, ""))
            if guessed not in seen:
                seen.add(guessed)
                why = "; ".join(part for part in (a, b, c, d) if part)
                # The path alone: what the query holds is shown where the request is.
                place = guessed.partition("?")[0]
                cause = f"The provider called {place}, and this source verifies {url.partition('?')[0]}: {why}"
                yield Guess(cause, request, (guessed,))


_SCHEME: Final = "a proxy has changed the scheme; set public_url to what the provider calls"
_HOST: Final = "the host differs; set public_url to what the provider calls"
_PORT: Final = "the port differs; set public_url to what the provider calls, with its port if it writes one"


def _changes(choice: Sequence[tuple[object, str]]) -> int:
    return sum(1 for _, why in choice if why)


def _hosts(request: Arrived, parts: SplitResult) -> list[str]:
    named = [urlsplit(f"//{request.headers[name]}").hostname for name in _HOST_HEADERS if name in request.headers]
    return [host for host in dict.fromkeys(named) if host and host != parts.hostname]


def _ports(request: Arrived, parts: SplitResult) -> list[int | None]:
    named = [urlsplit(f"//{request.headers[name]}").port for name in _HOST_HEADERS if name in request.headers]
    told = request.headers.get("x-forwarded-port", "")
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    found: list[int | None] = [None, usual, *named, int(told) if told.isdigit() and len(told) < 6 else None]
    return [port for port in dict.fromkeys(found) if port != parts.port]


def _paths(request: Arrived, parts: SplitResult) -> Iterator[tuple[tuple[str, str], str]]:
    path, query = parts.path, parts.query
    for name in _TARGET_HEADERS:
        if name in request.headers:
            told = urlsplit(request.headers[name])
            yield (told.path, told.query), f"a proxy has rewritten the path, as its header {name} says"
    for name in _PREFIX_HEADERS:
        if name in request.headers:
            prefix = request.headers[name].rstrip("/")
            yield (prefix + path, query), f"a proxy has cut {prefix} off the path; put it into public_url"
    if path.endswith("/"):
        yield (path.rstrip("/"), query), "a proxy has added a slash at the end of the path"
    else:
        yield (path + "/", query), "a proxy has taken the slash at the end of the path away"
    if "%" in path:
        yield (unquote(path), query), "the path was signed decoded"
    if query and request.method != "GET":
        yield (path, ""), "a query was added on the way"
        yield (path, urlencode(sorted(parse_qsl(query, keep_blank_values=True)))), "a proxy has written the query anew"


def other_bodies(request: Arrived) -> Iterator[Guess]:
    """Give bodies that may have been signed: a form that was turned into something else, or written anew."""

    def as_form(pairs: Pairs, cause: str) -> Guess:
        headers = [(name, value) for name, value in request.pairs if name.lower() != "content-type"]
        body = urlencode(pairs).encode()
        return Guess(cause, request.altered(headers=[*headers, ("content-type", FORM)], body=body), ())

    if request.method == "GET":
        query = urlsplit(request.target).query
        posted = request.altered(method="POST", target=request.target.partition("?")[0], body=query.encode())
        yield from (
            Guess("The request was a POST: a proxy or a redirect has made a GET of it", each, ())
            for each in [posted.altered(headers=[*posted.pairs, ("content-type", FORM)])]
        )
        return
    if request.content_type == JSON:
        pairs = _from_json(request.body)
        if pairs:
            yield as_form(pairs, "The body was signed as a form: something on the way has turned it into JSON")
    elif request.content_type != FORM and request.body:
        text = request.body.decode("utf-8", "replace")
        pairs = parse_qsl(text, keep_blank_values=True)
        yield as_form(
            pairs, f"The body is a form, and its content type {request.content_type or 'is missing'!r} denies it"
        )
    if request.content_type == FORM and request.params is None:
        pairs = parse_qsl(request.body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        yield as_form(pairs, "The body was written anew on the way: its percent codes are Latin-1, not UTF-8")
    params = request.params or ()
    if params:
        yield from (as_form(changed, cause) for changed, cause in _rewritten(params) if changed != params)
        yield Guess("The body was not signed: the provider sent none, and something on the way has added one",
                    request.altered(body=b""), ())  # fmt: skip


def _rewritten(params: Pairs) -> Iterator[tuple[Pairs, str]]:
    again = "The body was written anew on the way: "

    def each(change: object) -> Pairs:
        return [(name, change(value)) for name, value in params]  # type: ignore[operator]

    yield each(lambda value: value.replace("\r\n", "\n")), again + "line ends have become CRLF"
    yield each(lambda value: value.replace("\r\n", "\n").replace("\n", "\r\n")), again + "line ends have become LF"
    yield each(lambda value: value + "\n"), again + "a line end at the end of a value is lost"
    yield each(lambda value: value.replace(" ", "+")), again + "a plus sign was decoded to a blank"
    yield each(lambda value: value.replace("+", " ")), again + "a blank was encoded twice"
    yield each(unquote), again + "it was percent-encoded twice"
    yield each(lambda value: value.encode("utf-8", "replace").decode("latin-1")), again + "its characters were repaired"
    yield each(_as_utf8), again + "UTF-8 was read as Latin-1"
    yield [(name, value) for name, value in params if value], again + "blank values were added"


def _as_utf8(value: str) -> str:
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _from_json(body: bytes) -> Pairs:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError):
        return []
    return [(str(name), str(value)) for name, value in said.items()] if isinstance(said, dict) else []
