import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from plivo.utils import validate_signature, validate_v3_signature

from ringback.dialect.callback_urls import canonical_callback_url, outside_safe_subset
from ringback.dialect.callbacks import with_query
from ringback.dialect.signatures import (
    MAX_ENTRIES,
    MAX_PAIRS,
    Verdict,
    callback_headers,
    sign_v1,
    sign_v2,
    sign_v3,
    verify,
)
from tests.unit.sdk_signers import SDKS, CannotSign, Sdk

VECTORS: Any = json.loads((Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text())
V3_BY_NAME = {vector["name"][:5]: vector for vector in VECTORS["v3"]}
TOKEN = "my_auth_token"
MAIN = "main_auth_token"
STATUS = list(V3_BY_NAME["v3-05"]["params"].items())
INBOUND = [*V3_BY_NAME["v3-09"]["params"].items(), ("Caption", "Grüße & 100 %, ¿qué? 🎉 a+b=c")]
NONCE = "12345678901234567890"

Pairs = Sequence[tuple[str, str]]


def named(vectors: Any) -> Any:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def expected(vector: Any) -> str:
    # The Python SDK raises for v3-18; the node SDK's value is the reference there.
    return str(vector["signature"] or vector["node_signature"])


def received(method: str, url: str, params: Pairs) -> tuple[str, Pairs]:
    """Return URL and body pairs as the receiver of a callback sees them."""
    if method == "GET" and params:
        return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}", []
    return url, [] if method == "GET" else params


def v3_headers(signature: str, nonce: str, *, name: str = "x-plivo-signature-v3") -> dict[str, str]:
    return {name: signature, "x-plivo-signature-v3-nonce": nonce}


def v2_headers(signature: str, nonce: str, *, name: str = "x-plivo-signature-v2") -> dict[str, str]:
    return {name: signature, "x-plivo-signature-v2-nonce": nonce}


def sent(
    method: str, url: str, params: Pairs, tokens: Sequence[str] = (TOKEN,), main: Sequence[str] = (MAIN,)
) -> dict[str, str]:
    made = callback_headers(method, url, params, nonce_v2="1" * 20, nonce_v3=NONCE, tokens=tokens, main_tokens=main)
    return {name.lower(): value for name, value in made}


@pytest.mark.parametrize("vector", named(VECTORS["v1"]))
def test_v1_vectors(vector: Any) -> None:
    assert sign_v1(vector["uri"], list(vector["params"].items()), vector["auth_token"]) == vector["signature"]


@pytest.mark.parametrize("vector", named(VECTORS["v2"]))
def test_v2_vectors(vector: Any) -> None:
    assert sign_v2(vector["uri"], vector["nonce"], vector["auth_token"]) == vector["signature"]
    headers = v2_headers(vector["signature"], vector["nonce"])
    verdict = verify("POST", [vector["uri"]], [], headers, [vector["auth_token"]])
    assert (verdict.ok, verdict.scheme, verdict.variant) == (True, "v2", "python")


@pytest.mark.parametrize("vector", named(VECTORS["v3"]))
def test_v3_vectors(vector: Any) -> None:
    params = list(vector["params"].items())
    made = sign_v3(vector["method"], vector["uri"], params, vector["nonce"], vector["auth_token"])
    assert made == expected(vector)
    url, body = received(vector["method"], vector["uri"], params)
    verdict = verify(vector["method"], [url], body, v3_headers(made, vector["nonce"]), [vector["auth_token"]])
    collides = vector["name"] == "v3-17-collision-get"
    variant = "python, first value" if collides else "python"
    assert verdict == Verdict(
        ok=True,
        scheme="v3",
        header="x-plivo-signature-v3",
        token_index=0,
        variant=variant,
        complete=not collides,
    )


@pytest.mark.parametrize("case", named(VECTORS["header_cases"]))
def test_header_cases(case: Any) -> None:
    vector = V3_BY_NAME[case["header"].partition("<sig of ")[2][:5]]
    header = case["header"].replace(f"<sig of {vector['name'][:5]}>", vector["signature"])
    method = case.get("method", vector["method"])
    url, body = received(method.upper(), vector["uri"], list(vector["params"].items()))
    verdict = verify(method, [url], body, v3_headers(header, vector["nonce"]), [vector["auth_token"]])
    assert verdict.ok


@pytest.mark.parametrize("vector", named(VECTORS["v2"]))
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name.strip("*"))
def test_v2_of_every_sdk_is_accepted(sdk: Sdk, vector: Any) -> None:
    made = sdk.sign_v2(vector["uri"], vector["nonce"], vector["auth_token"])
    assert (made == vector["signature"]) is vector["agreement"][sdk.name]
    verdict = verify("POST", [vector["uri"]], STATUS, v2_headers(made, vector["nonce"]), [vector["auth_token"]])
    assert verdict.ok


@pytest.mark.parametrize("vector", named(VECTORS["v3"]))
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name.strip("*"))
def test_v3_of_every_sdk_is_accepted(sdk: Sdk, vector: Any) -> None:
    method, uri, nonce, token = (vector[name] for name in ("method", "uri", "nonce", "auth_token"))
    agreement = vector["agreement"][sdk.name]
    try:
        made = sdk.sign_v3(method, uri, vector["params"], nonce, token)
    except CannotSign:
        # Where parameters of the URL and of the request collide, the list says "false" of an SDK that throws too.
        assert agreement is not True
        return
    assert (made == expected(vector)) is agreement
    url, body = received(method, uri, list(vector["params"].items()))
    assert verify(method, [url], body, v3_headers(made, nonce), [token]).ok


URLS_APART = [
    "https://example.com:443/plivo/status",
    "http://Example.com:8080/plivo/status",
    "HTTPS://user:secret@Example.com:8443/a%20b/status",
    "https://example.com/a%20b+c/status",
    "https://example.com/cb?note=a+b+c&x=%C3%A9&y=%26&z=%2541",
    "https://example.com/cb?tag=b=c&flag",
    "https://example.com:8443/cb?k=10&k=9&k=1",
    "http://example.com:8080/cb?Text=in+the+URL",
    "https://example.com:8443/cb?app=7&From=mine",
]
PARAMS_APART = {
    "numbered": [("Media1", "a"), ("Media2", "b"), ("Media10", "c"), ("Media11", "d")],
    "unicode": [("Text", "Grüße 🎉"), ("Units", "1")],
    "ends with a dot": [("From", "1415"), ("Text", "Bye...")],
    "ends with &": [("From", "1415"), ("Text", "you &")],
    "empty": [],
}


@pytest.mark.parametrize("url", URLS_APART)
@pytest.mark.parametrize("params", PARAMS_APART.values(), ids=PARAMS_APART)
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name.strip("*"))
def test_a_post_that_any_sdk_signs_is_accepted(sdk: Sdk, url: str, params: Pairs) -> None:
    assert outside_safe_subset(url, method="POST", params=params)
    v2 = v2_headers(sdk.sign_v2(url, NONCE, TOKEN), NONCE)
    assert verify("POST", [url], params, v2, [TOKEN]).ok
    try:
        made = sdk.sign_v3("POST", url, dict(params), NONCE, TOKEN)
    except CannotSign:
        return
    assert verify("POST", [url], params, v3_headers(made, NONCE), [TOKEN]).ok


@pytest.mark.parametrize("url", URLS_APART)
@pytest.mark.parametrize("params", PARAMS_APART.values(), ids=PARAMS_APART)
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name.strip("*"))
def test_a_get_that_any_sdk_signs_is_accepted(sdk: Sdk, url: str, params: Pairs) -> None:
    whole, _ = received("GET", url, params)
    signed: list[tuple[str, Pairs]] = [(whole, [])]
    if "?" not in url or url.endswith("From=mine"):
        # The request does not show which parameters the URL had: read apart, they have to need no decoding.
        signed.append((url, params))
    for signed_url, signed_params in signed:
        try:
            made = sdk.sign_v3("GET", signed_url, dict(signed_params), NONCE, TOKEN)
        except CannotSign:
            continue
        assert verify("GET", [whole], [], v3_headers(made, NONCE), [TOKEN]).ok


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_sender_that_drops_the_port_is_accepted(method: str) -> None:
    made = sign_v3(method, "https://example.com/cb?k=1&k=2", [], NONCE, TOKEN)
    verdict = verify(method, ["https://example.com:8443/cb?k=1&k=2"], [], v3_headers(made, NONCE), [TOKEN])
    assert (verdict.ok, verdict.variant, verdict.complete) == (True, "python, no port", True)


CALLBACKS = {
    "status": ("https://example.com/plivo/status", STATUS),
    "status with query": ("https://example.com/plivo/status/?app=7&env=prod", STATUS),
    "inbound": ("https://example.com/plivo/inbound", INBOUND),
    "odd port": ("http://example.com:8080/plivo/inbound?app=7", INBOUND),
}


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(("url", "params"), CALLBACKS.values(), ids=CALLBACKS)
def test_the_official_python_sdk_accepts_what_we_send(method: str, url: str, params: Pairs) -> None:
    headers = dict(
        callback_headers(
            method, url, params, nonce_v2="1" * 20, nonce_v3=NONCE, tokens=[TOKEN, "old"], main_tokens=[MAIN]
        )
    )
    for token, kind in ((TOKEN, ""), ("old", ""), (MAIN, "Ma-")):
        signature = headers[f"X-Plivo-Signature-{kind}V3"]
        nonce = headers["X-Plivo-Signature-V3-Nonce"]
        assert validate_v3_signature(method, url, nonce, token, signature, dict(params))
        assert not validate_v3_signature(method, url, nonce, token + "x", signature, dict(params))
    assert validate_signature(url, headers["X-Plivo-Signature-V2-Nonce"], headers["X-Plivo-Signature-Ma-V2"], MAIN)


def test_the_official_python_sdk_accepts_a_get_by_its_whole_url() -> None:
    url = "https://example.com/plivo/status?app=7"
    headers = sent("GET", url, STATUS)
    signature, nonce = headers["x-plivo-signature-v3"], headers["x-plivo-signature-v3-nonce"]
    assert validate_v3_signature("GET", with_query(url, STATUS), nonce, TOKEN, signature)
    v2, v2_nonce = headers["x-plivo-signature-v2"], headers["x-plivo-signature-v2-nonce"]
    assert validate_signature(with_query(url, STATUS), v2_nonce, v2, TOKEN)


def test_callback_headers_are_the_six_of_the_contract() -> None:
    sub = "YjE4NWEyNzgzODkyNGI2NjdmZmZhZTdjNzlkYTE1"
    made = callback_headers(
        "POST",
        "https://example.com/plivo/status",
        STATUS,
        nonce_v2="98765432109876543210",
        nonce_v3=NONCE,
        tokens=[sub],
        main_tokens=[TOKEN],
    )
    assert made == [
        ("X-Plivo-Signature-V2", sign_v2("https://example.com/plivo/status", "98765432109876543210", sub)),
        ("X-Plivo-Signature-Ma-V2", sign_v2("https://example.com/plivo/status", "98765432109876543210", TOKEN)),
        ("X-Plivo-Signature-V2-Nonce", "98765432109876543210"),
        ("X-Plivo-Signature-V3", V3_BY_NAME["v3-28"]["signature"]),
        ("X-Plivo-Signature-Ma-V3", V3_BY_NAME["v3-05"]["signature"]),
        ("X-Plivo-Signature-V3-Nonce", NONCE),
    ]


def test_a_main_account_signs_both_headers_alike() -> None:
    headers = sent("POST", "https://example.com/cb", STATUS, tokens=["new", "old"], main=["new", "old"])
    assert headers["x-plivo-signature-v2"] == headers["x-plivo-signature-ma-v2"]
    assert headers["x-plivo-signature-v3"] == headers["x-plivo-signature-ma-v3"]


@pytest.mark.parametrize("scheme", ["v2", "v3"])
def test_during_a_rotation_every_token_is_signed_with_and_any_is_accepted(scheme: str) -> None:
    url = "https://example.com/cb"
    headers = {
        name: value
        for name, value in sent("POST", url, STATUS, tokens=["new", "old"], main=["m-new", "m-old"]).items()
        if scheme in name
    }
    assert " " not in headers[f"x-plivo-signature-{scheme}"]
    assert headers[f"x-plivo-signature-{scheme}"].count(",") == 1
    for token, header in (
        ("new", f"x-plivo-signature-{scheme}"),
        ("old", f"x-plivo-signature-{scheme}"),
        ("m-new", f"x-plivo-signature-ma-{scheme}"),
        ("m-old", f"x-plivo-signature-ma-{scheme}"),
    ):
        verdict = verify("POST", [url], STATUS, headers, ["unrelated", token])
        assert (verdict.ok, verdict.scheme, verdict.header, verdict.token_index) == (True, scheme, header, 1)
        assert verdict.complete is (scheme == "v3")
    assert not verify("POST", [url], STATUS, headers, ["unrelated"]).ok


def test_v2_is_accepted_when_v3_does_not_match() -> None:
    headers = sent("POST", "https://example.com/cb", STATUS)
    verdict = verify("POST", ["https://example.com/cb"], [*STATUS, ("More", "1")], headers, [TOKEN])
    assert (verdict.ok, verdict.scheme, verdict.complete) == (True, "v2", False)


def test_any_of_the_public_urls_may_have_been_called() -> None:
    headers = sent("POST", "https://public.example.com/cb", STATUS)
    urls = ["http://10.0.0.7:8080/cb", "https://public.example.com/cb"]
    assert verify("POST", urls, STATUS, headers, [TOKEN]).scheme == "v3"
    assert verify("POST", urls[:1], STATUS, headers, [TOKEN]) == Verdict(ok=False, reason="mismatch")


def test_the_verdict_tells_when_a_parameter_could_have_been_added() -> None:
    url = "https://example.com/cb"
    genuine = with_query(url, STATUS)
    headers = v3_headers(sign_v3("GET", url, STATUS, NONCE, TOKEN), NONCE)
    assert verify("GET", [genuine], [], headers, [TOKEN]).complete
    for addition in ("&Status=failed", "&Status", "&Extra"):
        assert not verify("GET", [genuine + addition], [], headers, [TOKEN]).complete
    assert not verify("POST", [url], [*STATUS, ("Status", "failed")], headers, [TOKEN]).complete


HOSTILE: list[tuple[str, list[tuple[str, str]], Mapping[str, str], str]] = [
    ("https://example.com/cb", [], {}, "no_signature"),
    ("https://example.com/cb", [], {"x-plivo-signature-v3": " , ,", "x-plivo-signature-v3-nonce": "1"}, "no_signature"),
    ("https://example.com/cb", [], {"x-plivo-signature-v3": "abc"}, "no_nonce"),
    ("https://example.com/cb", [], {"x-plivo-signature-v3": "a", "x-plivo-signature-v2-nonce": "1"}, "no_nonce"),
    ("https://example.com/cb", [], v3_headers("abc", "1"), "mismatch"),
    ("https://example.com/cb", [], {**v3_headers("abc", "1"), "x-plivo-signature-v2": "b"}, "mismatch"),
    ("https://example.com/cb", [], {**v2_headers("abc", "1"), "x-plivo-signature-v3": "b"}, "mismatch"),
    ("https://example.com/\udcff", [("a\udcff", "\ud800")], v3_headers("ü\udcff", "\udcff"), "mismatch"),
    ("https://example.com/?\udcff=%FF%zz&&=;", [], v3_headers("abc", "1"), "mismatch"),
    ("", [], v3_headers("abc", "1"), "mismatch"),
    ("?#", [("", "")], v3_headers("abc", "1"), "mismatch"),
    ("//[::1/]:x@:://", [("a", "1")], v3_headers("abc", "1"), "mismatch"),
    ("http://[::1:99999999/%", [("1" * 5000, "2" * 5000)], v2_headers("abc", "1"), "mismatch"),
    ("https://example.com/\n\x00 \u2100", [("a", "1")], v3_headers("abc", "1"), "mismatch"),
]


@pytest.mark.parametrize("method", ["GET", "POST", "brew", "\udcff"])
@pytest.mark.parametrize(("url", "params", "headers", "reason"), HOSTILE)
def test_what_cannot_be_verified_is_refused_with_a_reason(
    method: str, url: str, params: Pairs, headers: Mapping[str, str], reason: str
) -> None:
    assert verify(method, [url], params, headers, [TOKEN, "\udcff", ""]) == Verdict(ok=False, reason=reason)
    assert verify(method, [], params, headers, []).reason == reason


@given(st.text(), st.text(), st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=5), st.text())
@example("", "::", "", [], "")
@example("", "0::", "", [], "")
def test_nothing_makes_verify_or_the_advice_raise(
    method: str, url: str, header: str, params: Pairs, token: str
) -> None:
    for given_url in (url, "https://" + url, "https://example.com/" + url):
        for given_method in (method, "GET", "POST"):
            headers = {**v3_headers(header or "x", "1"), **v2_headers(header or "x", "1")}
            assert not verify(given_method, [given_url], params, headers, [token]).ok
            assert isinstance(outside_safe_subset(given_url, method=given_method, params=params), list)
        assert canonical_callback_url(canonical_callback_url(given_url)) == canonical_callback_url(given_url)


def test_work_on_a_mismatch_is_bounded() -> None:
    url = "https://example.com/cb"
    signature = sign_v3("POST", url, STATUS, NONCE, TOKEN)
    within = ",".join(["A"] * (MAX_ENTRIES - 1) + [signature])
    beyond = ",".join(["A"] * MAX_ENTRIES + [signature])
    assert verify("POST", [url], STATUS, v3_headers(within, NONCE), [TOKEN]).ok
    assert not verify("POST", [url], STATUS, v3_headers(beyond, NONCE), [TOKEN]).ok
    many = [(f"p{number}", "x") for number in range(MAX_PAIRS + 1)]
    signature = sign_v3("POST", url, many, NONCE, TOKEN)
    assert verify("POST", [url], many, v3_headers(signature, NONCE), [TOKEN]).reason == "mismatch"


plain = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789", min_size=1, max_size=8)
written = st.text(st.characters(codec="utf-8"), max_size=12)
callback_params = st.dictionaries(plain, written, max_size=8).map(lambda found: list(found.items()))


@st.composite
def callback_urls(draw: st.DrawFn) -> str:
    query = "&".join(f"{key}={value}" for key, value in draw(st.dictionaries(plain, plain, max_size=3)).items())
    host = draw(st.sampled_from(["example.com", "example.com:8080", "[::1]:80", "u:p@example.com"]))
    path = draw(st.lists(plain, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts)))
    return f"https://{host}{path}{'?' if query else ''}{query}"


@given(st.sampled_from(["GET", "POST"]), callback_urls(), callback_params, plain, plain)
def test_what_we_sign_we_accept(method: str, url: str, params: Pairs, nonce: str, token: str) -> None:
    at, body = received(method, url, params)
    signed = v3_headers(sign_v3(method, url, params, nonce, token), nonce, name="x-plivo-signature-ma-v3")
    assert verify(method, [at], body, signed, [token]).scheme == "v3"
    signed = v2_headers(sign_v2(url, nonce, token), nonce, name="x-plivo-signature-ma-v2")
    assert verify(method, [at], body, signed, [token]).scheme == "v2"


def flipped(text: str, at: int) -> str:
    at %= len(text)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@given(
    st.sampled_from(["path", "query", "key", "value", "nonce", "token", "signature"]),
    st.integers(0, 1000),
    st.dictionaries(plain, plain, min_size=1, max_size=5),
    st.lists(plain, min_size=4, max_size=4),
)
def test_a_post_with_one_character_changed_is_refused(
    part: str, at: int, params: dict[str, str], words: list[str]
) -> None:
    path, query, nonce, token = words
    signed = {"path": path, "query": query, "nonce": nonce, "token": token}
    url = f"https://example.com/{path}?a={query}"
    signed["signature"] = sign_v3("POST", url, list(params.items()), nonce, token)
    signed["key"], signed["value"] = next(iter(params.items()))
    changed = {**signed, part: flipped(signed[part], at)}
    body = [(changed["key"], changed["value"]), *list(params.items())[1:]]
    url = f"https://example.com/{changed['path']}?a={changed['query']}"
    headers = v3_headers(changed["signature"], changed["nonce"])
    assert verify("POST", [url], body, headers, [changed["token"]]) == Verdict(ok=False, reason="mismatch")


@given(st.sampled_from(["path", "nonce", "token", "signature"]), st.integers(0, 1000), plain, plain, plain)
def test_v2_covers_the_address(part: str, at: int, path: str, nonce: str, token: str) -> None:
    signed = {"path": path, "nonce": nonce, "token": token}
    signed["signature"] = sign_v2(f"https://example.com/{path}", nonce, token)
    changed = {**signed, part: flipped(signed[part], at)}
    headers = v2_headers(changed["signature"], changed["nonce"])
    url = f"https://example.com/{changed['path']}"
    assert verify("POST", [url], STATUS, headers, [changed["token"]]).reason == "mismatch"


@pytest.mark.parametrize("vector", named(VECTORS["v3"]))
def test_the_safe_subset_is_where_the_vectors_agree(vector: Any) -> None:
    doubts = outside_safe_subset(vector["uri"], method=vector["method"], params=list(vector["params"].items()))
    assert (doubts == []) is vector["all_sdks_agree"]


@pytest.mark.parametrize("vector", named(VECTORS["v2"]))
def test_v2_agrees_in_the_safe_subset_too(vector: Any) -> None:
    assert vector["all_sdks_agree"] or outside_safe_subset(vector["uri"], method="POST")


ascii_params = st.dictionaries(plain, st.text(st.characters(max_codepoint=126), max_size=12), min_size=1, max_size=8)


@given(st.sampled_from(["GET", "POST"]), plain, st.dictionaries(plain, plain, max_size=3), ascii_params)
def test_all_sdks_sign_alike_in_the_safe_subset(
    method: str, path: str, query: dict[str, str], given_params: dict[str, str]
) -> None:
    params = list(given_params.items())
    url = f"https://example.com/{path}?{urlencode(query)}".removesuffix("?")
    assume(not outside_safe_subset(url, method=method, params=params))
    for sdk in SDKS:
        assert sdk.sign_v3(method, url, dict(params), "1", TOKEN) == sign_v3(method, url, params, "1", TOKEN)
        assert sdk.sign_v2(url, "1", TOKEN) == sign_v2(url, "1", TOKEN)


@pytest.mark.parametrize(
    ("method", "url", "params", "word"),
    [
        ("POST", "ftp://example.com/cb", None, "absolute"),
        ("POST", "example.com/cb", None, "absolute"),
        ("POST", "https://münchen.example/cb", None, "ASCII"),
        ("POST", "https://Example.com/cb", None, "upper-case"),
        ("POST", "HTTPS://example.com/cb", None, "upper-case"),
        ("POST", "https://user:pw@example.com/cb", None, "password"),
        ("POST", "https://example.com:443/cb", None, "port"),
        ("POST", "https://example.com:8443/cb", None, "port"),
        ("POST", "https://example.com", None, "no path"),
        ("POST", "https://example.com/a%20b", None, "path has %"),
        ("POST", "https://example.com/a;b", None, ";"),
        ("POST", "https://example.com/a/../b", None, "segments"),
        ("POST", "https://example.com/cb?", None, "nothing follows"),
        ("POST", "https://example.com/cb?a=%20", None, "query has %"),
        ("POST", "https://example.com/cb?flag", None, "name=value"),
        ("POST", "https://example.com/cb?a=1&a=2", None, "twice"),
        ("POST", "https://example.com/cb?k2=1&k10=2", None, "PHP"),
        ("POST", "https://example.com/cb", [], "no parameters"),
        ("GET", "https://example.com/cb", [], "no parameters"),
        ("POST", "https://example.com/cb", [("a", "1"), ("a", "2")], "twice"),
        ("GET", "https://example.com/cb?a=1", [("a", "2")], "rename"),
        ("POST", "https://example.com/cb", [("Text", "ü")], "PHP"),
        ("POST", "https://example.com/cb", [("Media2", "x"), ("Media10", "y")], "PHP"),
        ("POST", "https://example.com/cb?a=1", [("Text", "Bye.")], "trim"),
        ("GET", "https://example.com/cb", [("Text", "you & ")], ""),
        ("GET", "https://example.com/cb", [("Text", "you &")], "trim"),
    ],
)
def test_each_doubt_is_told(method: str, url: str, params: Pairs | None, word: str) -> None:
    doubts = outside_safe_subset(url, method=method, params=params)
    assert len(doubts) == (1 if word else 0)
    assert all(word in doubt for doubt in doubts)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Example.COM:443", "https://example.com/"),
        ("http://example.com:80?a=B#top", "http://example.com/?a=B"),
        ("https://example.com:/x", "https://example.com/x"),
        ("https://User:Pw@Example.com:443/", "https://User:Pw@example.com/"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]/x"),
        ("http://example.com:443/x", "http://example.com:443/x"),
        ("https://example.com:8443/A%2fb;c//d/../?x=%41&x=1&", "https://example.com:8443/A%2fb;c//d/../?x=%41&x=1&"),
        ("https://example.com/x?", "https://example.com/x?"),
        ("ftp://Example.com:21#x", "ftp://Example.com:21#x"),
        ("not a URL", "not a URL"),
        ("", ""),
    ],
)
def test_canonical_callback_urls(url: str, canonical: str) -> None:
    assert canonical_callback_url(url) == canonical


@given(callback_urls())
def test_a_canonical_url_goes_to_the_same_place(url: str) -> None:
    before, after = urlsplit(url), urlsplit(canonical_callback_url(url))
    assert (before.username, before.password, before.hostname) == (after.username, after.password, after.hostname)
    assert (before.path or "/", parse_qsl(before.query)) == (after.path, parse_qsl(after.query))
    assert (before.port or 443) == (after.port or 443)
