"""Why a signature does not fit: each thing that goes wrong on the way is named, and proven."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from ringback.dialect.signatures import callback_headers
from ringback.receiver.event import FORM, Arrived
from ringback.receiver.explain import Asked, Explanation, Named, explain
from ringback.receiver.source import PROVIDERS, named
from ringback.receiver.sources.port import Terms
from tests.unit.test_signatures import NONCE, STATUS

URL = "https://hooks.example.com/hooks/a/sms_status"
TARGET = "/hooks/a/sms_status"
TOKEN, OTHER = "a-secret-token-of-ours", "a-secret-token-of-somebody"
TEXT = [*STATUS, ("Text", "a b+c\nd é")]


def arrived(url: str = URL, method: str = "POST", token: str = TOKEN, **changes: Any) -> Arrived:
    """A request that was signed for ``url`` by ``token`` and then changed on the way."""
    query = url.partition("?")[2]
    signed = callback_headers(method, url, TEXT, nonce_v2=NONCE, nonce_v3=NONCE, tokens=(token,), main_tokens=(token,))
    headers = [("host", "hooks.example.com"), *changes.pop("headers", []), *((n.lower(), v) for n, v in signed)]
    if changes.pop("v3_only", True):
        headers = [(name, value) for name, value in headers if "-v2" not in name]
    body = changes.pop("body", urlencode(TEXT).encode() if method == "POST" else b"")
    content_type = changes.pop("content_type", FORM)
    return Arrived(
        method=changes.pop("as_method", method),
        target=changes.pop("target", TARGET + (f"?{query}" if query else "")),
        headers=[(n, v) for n, v in headers if n not in changes.get("without", ())] + [("content-type", content_type)],
        body=body,
    )


def told(request: Arrived, *, tokens: tuple[str, ...] = (TOKEN,)) -> Explanation:
    others = [Named("a token of source shop, 1", OTHER)]
    asked = Asked(
        provider=PROVIDERS["plivo"],
        request=request,
        urls=[HOST + request.target],
        tokens=named(tokens),
        terms=Terms(),
        others=others,
    )
    return explain(asked)


HOST = "https://hooks.example.com"
MOVED = ("x-forwarded-host", "api.example.com")
ENCODED = urlencode(TEXT)
TWICE = [(name, value.replace("é", "%C3%A9").replace("+", "%2B")) for name, value in TEXT]
CASES = {
    "the scheme": (arrived("http://hooks.example.com" + TARGET), "changed the scheme"),
    "the port": (arrived(f"{HOST}:8443{TARGET}", headers=[("x-forwarded-port", "8443")]), "the port differs"),
    "the host": (arrived("https://api.example.com" + TARGET, headers=[MOVED]), "the host differs"),
    "both": (arrived("http://api.example.com" + TARGET, headers=[MOVED]), "what the provider calls; the host differs"),
    "a slash": (arrived(URL + "/"), "slash at the end"),
    "a prefix": (arrived(f"{HOST}/sms{TARGET}", headers=[("x-forwarded-prefix", "/sms")]), "cut /sms off"),
    "the path": (arrived(HOST + "/x?y=1", headers=[("x-original-uri", "/x?y=1")], target=TARGET), "x-original-uri"),
    "a query": (arrived(target=TARGET + "?utm=1"), "a query was added"),
    "another source": (arrived(token=OTHER), "a token of source shop, 1"),
    "JSON": (arrived(body=msgspec.json.encode(dict(TEXT)), content_type="application/json"), "turned it into JSON"),
    "the type": (arrived(content_type="text/plain"), "content type 'text/plain' denies it"),
    "line ends": (arrived(body=ENCODED.replace("%0A", "%0D%0A").encode()), "line ends have become CRLF"),
    "encoded twice": (arrived(body=urlencode(TWICE).encode()), "percent-encoded twice"),
    "latin-1": (arrived(body=urlencode(TEXT, encoding="latin-1").encode()), "Latin-1"),
}


@pytest.mark.parametrize(("request_", "cause"), CASES.values(), ids=CASES)
def test_what_went_wrong_is_named_and_proven(request_: Arrived, cause: str) -> None:
    found = told(request_)
    assert not found.accepted
    assert cause in found.cause
    assert found.proven
    assert found.nearest is not None
    assert found.nearest.fits


def test_one_that_fits_says_so() -> None:
    found = told(arrived())
    assert (found.accepted, found.verdict, found.proven) == (True, "v3", True)
    assert [tried.rule for tried in found.tried if tried.fits] == ["python"]
    assert [tried.fits for tried in found.tried if tried.fits] == ["token 1"]


@pytest.mark.parametrize(
    ("request_", "tokens", "cause"),
    [
        (arrived(without=("x-plivo-signature-v3", "x-plivo-signature-ma-v3")), (TOKEN,), "No signature came"),
        (arrived(without=("x-plivo-signature-v3-nonce",)), (TOKEN,), "without its nonce"),
        (arrived(v3_only=False, body=urlencode([*TEXT, ("Extra", "1")]).encode()), (TOKEN,), "URL and token are right"),
        (arrived(), ("unknown",), "No token that is known here"),
        (arrived(), (), "has no token"),
        (arrived(), (f'"{TOKEN}" ',), "blanks or quotes"),
    ],
)
def test_what_is_left_is_said_too(request_: Arrived, tokens: tuple[str, ...], cause: str) -> None:
    assert cause in told(request_, tokens=tokens).cause


@pytest.mark.parametrize("request_", [*(case[0] for case in CASES.values()), arrived()])
def test_no_secret_is_shown(request_: Arrived) -> None:
    shown = msgspec.json.encode(told(request_)).decode()
    assert TOKEN not in shown
    assert OTHER not in shown
    for name, value in request_.pairs:
        if name in {"x-plivo-signature-v3", "x-plivo-signature-v2"}:
            assert value not in shown
