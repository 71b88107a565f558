"""Providers behind one seam: what their official packages sign is believed, and what was changed is not."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

from ringback.model.vocabulary import Why, Word
from ringback.receiver.event import FORM, JSON, Arrived, Event, Kind
from ringback.receiver.source import PROVIDERS, Malformed, NotVerified, Source
from ringback.receiver.sources.port import Terms

DATA: Any = json.loads((Path(__file__).parents[1] / "data" / "provider_callbacks.json").read_text())
TWILIO, STANDARD, PLIVO = DATA["twilio"], DATA["standard"], DATA["plivo"]
NOW_S = 1_714_557_603
BASE = "https://hooks.example.com"
TARGET = "/hooks/a?tenant=4"


def twilio(*tokens: str, base: str = BASE) -> Source:
    return Source(provider="twilio", tokens=tokens or (TWILIO["token"],), public_url=base)


def form_of(params: Mapping[str, str], signature: str, target: str = TARGET) -> dict[str, Any]:
    headers = [("X-Twilio-Signature", signature), ("Content-Type", FORM + "; charset=utf-8")]
    return {
        "method": "POST", "target": target, "headers": headers, "body": urlencode(params).encode(), "now_us": 0,
    }  # fmt: skip


def signed(params: Mapping[str, str], url: str = BASE + TARGET) -> str:
    return str(RequestValidator(TWILIO["token"]).compute_signature(url, dict(params)))


@pytest.mark.parametrize("name", ["delivered", "undelivered", "inbound"])
@pytest.mark.parametrize("port", ["", ":443", ":8443"])
@pytest.mark.parametrize("configured", ["", ":443", ":8443"])
def test_what_the_twilio_package_accepts_is_accepted(name: str, port: str, configured: str) -> None:
    params = TWILIO[name]
    signature = signed(params, f"{BASE}{port}{TARGET}")
    accepts = RequestValidator(TWILIO["token"]).validate(f"{BASE}{configured}{TARGET}", params, signature)
    source = twilio("old", TWILIO["token"], base=BASE + configured)
    if accepts:
        source.event(**form_of(params, signature))
    else:
        with pytest.raises(NotVerified, match="mismatch"):
            source.event(**form_of(params, signature))


def test_twilio_events() -> None:
    events = {name: twilio().event(**form_of(TWILIO[name], signed(TWILIO[name]))) for name in TWILIO if name != "token"}
    delivered, undelivered, inbound = (events[name] for name in ("delivered", "undelivered", "inbound"))
    assert (delivered.kind, delivered.status, delivered.type) == ("status", Word.DELIVERED, "sms")
    assert (undelivered.status, undelivered.error_code, undelivered.why) == (
        Word.UNDELIVERED, "30003", Why.UNREACHABLE,
    )  # fmt: skip
    assert (inbound.kind, inbound.text, inbound.type) == ("inbound", "Hola ¿qué tal? + 100 %", "mms")
    assert inbound.media_urls == ("https://api.example.com/media/a", "https://api.example.com/media/b")
    assert inbound.intent == "optout"
    assert dict(inbound.raw) == TWILIO["inbound"]


def test_twilio_json_bodies_are_bound_by_their_digest() -> None:
    body = json.dumps(TWILIO["delivered"]).encode()
    target = f"{TARGET}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    validator = RequestValidator(TWILIO["token"])
    signature = validator.compute_signature(BASE + target, {})
    assert validator.validate(BASE + target, body.decode(), signature)
    request = form_of({}, signature, target) | {"body": body}
    request["headers"] = [("X-Twilio-Signature", signature), ("Content-Type", JSON)]
    assert twilio().event(**request).status is Word.DELIVERED
    with pytest.raises(NotVerified, match="mismatch"):
        twilio().event(**request | {"body": body.replace(b"delivered", b"failed")})
    with pytest.raises(NotVerified, match="mismatch"):
        twilio().event(**request | {"target": target.replace("tenant=4", "tenant=5")})


@given(st.dictionaries(st.text(), st.text()))
def test_twilio_forms_of_any_text(params: dict[str, str]) -> None:
    assume_utf8 = {k: v for k, v in params.items() if (k + v).encode(errors="ignore").decode() == k + v}
    signature = signed(assume_utf8)
    request = Arrived(method="POST", target=TARGET, headers=form_of({}, signature)["headers"],
                      body=urlencode(assume_utf8).encode())  # fmt: skip
    judged = PROVIDERS["twilio"].verify(request, [BASE + TARGET], [TWILIO["token"]], Terms())
    assert judged.verified_by == "twilio"


# ---- Standard Webhooks ----


def webhook(said: Any, *secrets: str, at_s: int = NOW_S, kept: tuple[str, ...] | None = None) -> Event:
    body = json.dumps(said)
    made = [Webhook(s).sign("msg_1", datetime.fromtimestamp(at_s, UTC), body) for s in secrets or (STANDARD["secret"],)]
    headers = [
        ("webhook-id", "msg_1"), ("webhook-timestamp", str(at_s)), ("webhook-signature", "v1a,AAAA " + " ".join(made)),
    ]  # fmt: skip
    source = Source(provider="standard", tokens=kept or (STANDARD["secret"],), public_url=BASE)
    return source.event(
        method="POST", target="/hooks/b", headers=headers, body=body.encode(), now_us=NOW_S * 1_000_000 + 5
    )


def test_standard_webhooks_are_read_in_whatever_shape() -> None:
    event = webhook(STANDARD["delivered"])
    assert (event.message_id, event.status, event.sequence) == ("msg-1", Word.DELIVERED, 3)
    assert (event.from_number, event.to_number) == ("14155551111", "14155552222")
    flat = webhook(STANDARD["flat"])
    assert (flat.message_id, flat.status, flat.error_code) == ("m-9", Word.UNDELIVERED, "30")
    other = webhook({"type": "invoice.paid"})
    assert (other.message_id, other.status, other.their_status) == ("msg_1", Word.UNKNOWN, "paid")


@pytest.mark.parametrize("seconds", [-300, 300])
def test_times_within_the_tolerance_are_near(seconds: int) -> None:
    webhook(STANDARD["flat"], at_s=NOW_S + seconds)
    with pytest.raises(NotVerified, match="too_old"):
        webhook(STANDARD["flat"], at_s=NOW_S + seconds + (1 if seconds > 0 else -1))


def test_several_secrets_on_either_side() -> None:
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    webhook(STANDARD["flat"], STANDARD["secret"], new, kept=(new,))
    webhook(STANDARD["flat"], new, kept=(STANDARD["secret"], new))
    with pytest.raises(NotVerified, match="mismatch"):
        webhook(STANDARD["flat"], STANDARD["secret"], kept=(new,))
    with pytest.raises(Malformed):
        webhook(["no object"])


# ---- Plivo's optional fields ----


def plivo(name: str, kind: Kind = "any") -> Event | None:
    body = urlencode(PLIVO[name]).encode()
    request = Arrived(method="POST", target="/", headers=[("content-type", FORM)], body=body, kind=kind)
    return PROVIDERS["plivo"].read(request)


def test_fields_are_optional_and_spelled_in_more_than_one_way() -> None:
    documented, small = plivo("documented"), plivo("small_letters", "status")
    assert documented is not None
    assert small is not None
    assert (documented.status, documented.sequence, documented.error_code) == (Word.DELIVERED, None, None)
    assert (small.status, small.their_status, small.sequence, small.from_number) == (
        Word.SENT, "sent", 2, "14155551111",
    )  # fmt: skip
    guide, reference = plivo("guide_mms"), plivo("reference_mms", "inbound")
    assert guide is not None
    assert reference is not None
    assert (guide.kind, guide.text, guide.media_urls) == (
        "inbound", "look", ("https://media.example/0", "https://media.example/1"),
    )  # fmt: skip
    assert (reference.text, reference.intent) == ("look", "optout")
    assert [url.rpartition("/")[2] for url in reference.media_urls] == ["1", "2", "10"]
    assert plivo("documented", "inbound") is None
    assert plivo("guide_mms", "status") is None


NAMES = [f"x-plivo-signature{end}" for end in ("", "-v3", "-v3-nonce", "-v2", "-v2-nonce")]
NAMES += ["content-type", "x-twilio-signature", "webhook-id", "webhook-timestamp", "webhook-signature"]
VALUES = st.one_of(st.text(), st.sampled_from([FORM, JSON, "v1,AA v1,BB", "1714557603", "AAAA=,BBBB="]))
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES))
OBJECTS = st.dictionaries(st.text(), st.text()).map(lambda said: json.dumps(said).encode())


@pytest.mark.parametrize("provider", PROVIDERS)
@given(
    method=st.sampled_from(["POST", "GET"]),
    target=st.one_of(st.text(), st.text().map(lambda text: "/a?" + text)),
    headers=HEADERS,
    body=st.one_of(st.binary(), st.text().map(str.encode), OBJECTS),
    token=st.text(),
)
def test_no_stranger_makes_an_error(  # noqa: PLR0917 - as hypothesis gives them
    provider: Any, method: str, target: str, headers: list[tuple[str, str]], body: bytes, token: str
) -> None:
    source = Source(provider=provider, tokens=(token, "another"), public_url=BASE)
    with pytest.raises((NotVerified, Malformed)):
        source.event(method=method, target=target, headers=headers, body=body, now_us=NOW_S * 1_000_000)
    request = Arrived(method=method, target=target, headers=headers, body=body)
    for kind in ("status", "inbound", "any"):
        request.kind = kind
        PROVIDERS[provider].read(request)
