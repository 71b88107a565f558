"""Every single changed bit of what is signed makes a request one that is not believed.

Bits of the body (V3), of the URL, of the nonce, of the signature and of the token, for every vector. What the list
allows: a bit that leaves the request the same (the case of a scheme, base64's unused bits are none of ours to accept).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ringback.dialect.signature_v1 import HEADER as V1_HEADER
from ringback.receiver.event import FORM, Arrived
from ringback.receiver.source import PROVIDERS
from ringback.receiver.sources.port import Terms

VECTORS: Any = json.loads((Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text())
PLIVO = PROVIDERS["plivo"]


def flipped(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def believed(method: str, url: str, headers: dict[str, str], body: bytes, token: str) -> bool:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    request = Arrived(method=method, target=slash + path, headers=[*headers.items(), ("content-type", FORM)], body=body)
    judged = PLIVO.verify(request, [f"{scheme}://{host}{slash}{path}"], [token], Terms())
    return bool(judged.verified_by and not judged.objection)


class Case:
    """A vector as it arrives."""

    def __init__(self, scheme: str, vector: Any) -> None:
        self.method = vector.get("method", "POST").upper()
        self.url = vector["uri"]
        params = vector.get("params", {})
        if self.method == "GET" and params:
            self.url += ("&" if "?" in self.url else "?") + urlencode(params)
        self.body = b"" if self.method == "GET" or scheme == "v2" else urlencode(params).encode()
        self.token = vector["auth_token"]
        signature = vector["signature"] or vector["node_signature"]
        name = V1_HEADER if scheme == "v1" else f"x-plivo-signature-{scheme}"
        self.signature_header = name
        self.headers = {name: signature}
        if scheme != "v1":
            self.nonce_header = f"{name}-nonce"
            self.headers[self.nonce_header] = vector["nonce"]

    def holds(self, **changes: Any) -> bool:
        given = {
            "method": self.method,
            "url": self.url,
            "headers": self.headers,
            "body": self.body,
            "token": self.token,
        }
        return believed(**given | changes)


CASES = [
    pytest.param(Case(scheme, vector), id=vector["name"]) for scheme in ("v1", "v2", "v3") for vector in VECTORS[scheme]
]
# Of a parameter that stands in the URL and beside it only one is signed: such a request is refused as it is.
REFUSED = {"v3-17-collision-get"}


@pytest.mark.parametrize("case", CASES)
def test_every_vector_is_believed_as_it_is(case: Case, request: pytest.FixtureRequest) -> None:
    assert case.holds() is not any(name in request.node.name for name in REFUSED)


@pytest.mark.parametrize("case", CASES)
def test_no_changed_bit_of_token_nonce_or_signature_is_believed(case: Case) -> None:
    for token in flipped(case.token.encode()):
        assert not case.holds(token=token.decode("latin-1"))
    for name in case.headers:
        for value in flipped(case.headers[name].encode()):
            assert not case.holds(headers=case.headers | {name: value.decode("latin-1")})


@pytest.mark.parametrize("case", CASES)
def test_no_changed_bit_of_the_body_is_believed(case: Case) -> None:
    before = Arrived(method="POST", target="/", headers=[("content-type", FORM)], body=case.body).params
    for body in flipped(case.body):
        after = Arrived(method="POST", target="/", headers=[("content-type", FORM)], body=body).params
        # "+" for a blank and "%2b" for "%2B" say the same; sorted pairs are what is signed.
        if after is None or sorted(after) != sorted(before or ()):
            assert not case.holds(body=body), body


@pytest.mark.parametrize("case", CASES)
def test_no_changed_bit_of_the_url_is_believed(case: Case) -> None:
    for raw in flipped(case.url.encode()):
        url = raw.decode("latin-1")
        if same(url, case.url) or case.headers.keys() == {"x-plivo-signature-v2", "x-plivo-signature-v2-nonce"}:
            continue
        assert not case.holds(url=url), url


def same(url: str, other: str) -> bool:
    """Tell whether two URLs differ only in what no SDK tells apart: case of scheme, host and percent codes."""
    return plain(url) == plain(other)


def plain(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    coded = re.sub(r"%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), path)
    return f"{scheme.lower()}{mark}{host.lower()}{slash}{coded}"


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS["v2"]])
def test_v2_holds_scheme_host_and_path(vector: Any) -> None:
    case = Case("v2", vector)
    end = case.url.partition("?")[0]
    for raw in flipped(end.encode()):
        url = raw.decode("latin-1") + case.url[len(end) :]
        if not same(url, case.url) and not {"?", "#", ";"} & set(url[: len(end)]):
            assert not case.holds(url=url), url
