import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils import validate_signature, validate_v3_signature

from ringback.delivery.request import Request, build
from ringback.dialect.callbacks import status_params
from ringback.model.ids import AccountId
from ringback.store.accounts import Account
from ringback.store.callbacks import DueCallback
from tests.fakes.messages import message

TOKEN = "token-of-the-account"
MAIN_TOKEN = "token-of-its-parent"
URL = "https://example.com/status"
STATUS = status_params(message())
OWN = ["X-Plivo-Signature-V2", "X-Plivo-Signature-V3"]
MAIN = ["X-Plivo-Signature-Ma-V2", "X-Plivo-Signature-Ma-V3"]
SIGNATURES = [*OWN, *MAIN]
NONCES = {"V2": "X-Plivo-Signature-V2-Nonce", "V3": "X-Plivo-Signature-V3-Nonce"}

Pairs = list[tuple[str, str]]


def account(tokens: tuple[str, ...] = (TOKEN,), main_tokens: tuple[str, ...] = (MAIN_TOKEN,)) -> Account:
    return Account(AccountId("SAAAAAAAAAAAAAAAAAAA"), "sub", True, AccountId("MA" + "A" * 18), tokens, main_tokens)


def made(
    method: str = "POST",
    *,
    url: str = URL,
    params: Pairs = STATUS,
    by: Account | None = None,
    nonce_v2: str = "1" * 20,
    nonce_v3: str = "2" * 20,
    kind: str = "status",
) -> Request:
    callback = DueCallback(
        id="019ab000-0000-7000-8000-0000000000c1",
        account_id="SAAAAAAAAAAAAAAAAAAA",
        message_uuid="019ab000-0000-7000-8000-000000000001",
        sequence=1,
        url=url,
        method=method,
        endpoint="https://example.com",
        params=json.dumps(params),
        endpoint_id="0" * 32,
        attempts_made=0,
        planned_at_us=0,
        lease_token="lease",
        kind=kind,
    )
    return build(callback, by or account(), nonce_v2=nonce_v2, nonce_v3=nonce_v3)


def accepted(request: Request, token: str, *, url: str = URL) -> list[str]:
    """Name the headers that the official SDK accepts under a token: asked as the guide says, with the callback URL."""
    headers = dict(request.headers)
    sent = request.body.decode() if request.body else urlsplit(request.url).query
    params = dict(parse_qsl(sent, keep_blank_values=True))

    def sdk_accepts(name: str) -> bool:
        nonce = headers[NONCES[name[-2:]]]
        if name.endswith("V2"):
            # It does not split; the guide says to.
            return any(validate_signature(request.url, nonce, each, token) for each in headers[name].split(","))
        return bool(validate_v3_signature(request.method, url, nonce, token, headers[name], dict(params)))

    return [name for name in SIGNATURES if sdk_accepts(name)]


@pytest.mark.parametrize("url", [URL, f"{URL}?tenant=7&flag="])
def test_post_is_a_form_in_the_order_of_the_parameters(url: str) -> None:
    request = made(url=url)
    assert (request.method, request.url) == ("POST", url)
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.body is not None
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == STATUS


@pytest.mark.parametrize(("query", "own"), [("", []), ("?tenant=7&flag=", [("tenant", "7"), ("flag", "")])])
def test_get_puts_the_parameters_after_the_urls_own_query(query: str, own: Pairs) -> None:
    request = made("GET", url=URL + query)
    assert (request.method, request.body) == ("GET", None)
    assert "Content-Type" not in dict(request.headers)
    assert request.url.startswith(f"{URL}{query or '?'}")
    assert parse_qsl(urlsplit(request.url).query, keep_blank_values=True) == own + STATUS


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("url", [URL, f"{URL}?tenant=7&flag=", "http://example.com:8080/a/b"])
def test_the_official_sdk_verifies_each_signature_by_its_token(method: str, url: str) -> None:
    request = made(method, url=url)
    assert accepted(request, TOKEN, url=url) == OWN
    assert accepted(request, MAIN_TOKEN, url=url) == MAIN
    assert accepted(request, "another", url=url) == []


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_main_account_signs_all_four_with_its_token(method: str) -> None:
    assert accepted(made(method, by=account((TOKEN,), (TOKEN,))), TOKEN) == SIGNATURES


@pytest.mark.parametrize("token", ["new", "old"])
def test_during_a_rotation_either_token_verifies(token: str) -> None:
    assert accepted(made(by=account(("new", "old"), ("new", "old"))), token) == SIGNATURES


@pytest.mark.parametrize("method", ["POST", "GET"])
@given(st.dictionaries(st.from_regex(r"[A-Z][A-Za-z]{0,8}", fullmatch=True), st.text(max_size=12), min_size=1))
def test_any_text_arrives_as_it_was_and_verifies(method: str, said: dict[str, str]) -> None:
    request = made(method, params=list(said.items()))
    sent = request.body.decode() if request.body else urlsplit(request.url).query
    assert sent.isascii()
    assert parse_qsl(sent, keep_blank_values=True) == list(said.items())
    assert accepted(request, TOKEN) == OWN


@pytest.mark.parametrize("value", ["Grüße & 100 %, a+b=c", "¿qué? 🎉", "行\r\n列", "=&?#;", " "])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_awkward_values_verify(method: str, value: str) -> None:
    url = f"{URL}?tenant=7"
    request = made(method, url=url, params=[*STATUS, ("Text", value)])
    assert accepted(request, MAIN_TOKEN, url=url) == MAIN


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_changed_parameter_does_not_verify_under_v3(method: str) -> None:
    genuine = made(method)
    forged = made(method, params=[*STATUS[:-1], ("PowerpackUUID", "x")])
    mixed = Request(method=method, url=forged.url, headers=genuine.headers, body=forged.body)
    assert accepted(mixed, TOKEN) == ["X-Plivo-Signature-V2"]


@pytest.mark.parametrize(
    ("fresh", "changed"),
    [
        ({}, set()),
        ({"nonce_v2": "3" * 20}, {"X-Plivo-Signature-V2", "X-Plivo-Signature-Ma-V2", NONCES["V2"]}),
        ({"nonce_v3": "3" * 20}, {"X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3", NONCES["V3"]}),
    ],
)
def test_a_fresh_nonce_changes_its_signatures_and_nothing_else(fresh: Any, changed: set[str]) -> None:
    first, second = made(), made(**fresh)
    assert {name for (name, value) in second.headers if dict(first.headers)[name] != value} == changed
    assert (first.url, first.body) == (second.url, second.body)


@pytest.mark.parametrize(("method", "more"), [("POST", ["Content-Type"]), ("GET", [])])
def test_headers_are_these_and_each_comes_once(method: str, more: list[str]) -> None:
    names = [name for name, _ in made(method).headers]
    assert sorted(names) == sorted(["User-Agent", "Accept", *SIGNATURES, *NONCES.values(), *more])


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_no_token_is_sent(method: str) -> None:
    request = made(method, by=account((TOKEN, "older-token"), (MAIN_TOKEN,)))
    assert not [token for token in (TOKEN, "older-token", MAIN_TOKEN) if token in repr(request)]


@pytest.mark.parametrize("kind", ["alert", "async"])
def test_a_callback_without_message_is_json(kind: str) -> None:
    body = '{"api_id":"1","message_uuid":["a","b"],"error":"no"}'
    post = made(params=[("body", body)], kind=kind)
    assert post.body == body.encode()
    assert dict(post.headers)["Content-Type"] == "application/json"
    headers = dict(post.headers)
    signature, nonce = headers["X-Plivo-Signature-V3"], headers["X-Plivo-Signature-V3-Nonce"]
    assert validate_v3_signature("POST", URL, nonce, TOKEN, signature, {})
    get = made("GET", params=[("body", body)], kind=kind)
    assert get.body is None
    assert parse_qsl(urlsplit(get.url).query) == [("api_id", "1"), ("message_uuid", '["a","b"]'), ("error", "no")]
    assert accepted(get, TOKEN) == OWN
