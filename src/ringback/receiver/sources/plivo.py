"""Plivo: signatures V3, V2 and V1, status callbacks, inbound messages (contract sections 4 and 5)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from ringback.dialect.signature_v1 import HEADER as V1_HEADER
from ringback.dialect.signature_v1 import text_v1, texts_v1, verify_v1
from ringback.dialect.signatures import (
    _SCHEMES,
    MAX_ENTRIES,
    Pairs,
    _read,
    _signature,
    sign_v1,
    verify,
)
from ringback.model.vocabulary import Why, Word, word_of
from ringback.receiver.event import Arrived, Event, whole_number
from ringback.receiver.sources.port import Judgement, Terms, Text
from ringback.receiver.sources.provider_api import record_pairs

SCHEMES: Final = ("v3", "v2")
_V3: Final = ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
_OFFERING: Final = (*_V3, "x-plivo-signature-v2", "x-plivo-signature-ma-v2", V1_HEADER)
_MEDIA: Final = re.compile(r"media(\d{1,3})", re.IGNORECASE)

WHY: Final[Mapping[str, Why]] = {
    "10": Why.PROVIDER_ERROR,
    "20": Why.CARRIER_ERROR,
    "30": Why.SPAM_FILTERED,
    "40": Why.INVALID_NUMBER,
    "50": Why.INVALID_NUMBER,
    "60": Why.CARRIER_ERROR,
    "70": Why.UNREACHABLE,
    "80": Why.UNREACHABLE,
    "90": Why.CARRIER_ERROR,
    "100": Why.BLOCKED,
    "110": Why.PROVIDER_ERROR,
    "200": Why.OPTED_OUT,
    "420": Why.EXPIRED,
    "450": Why.BLOCKED,
    "451": Why.BLOCKED,
    "900": Why.PROVIDER_ERROR,
}
"""Error codes by what they mean to whoever sent the message (contract section 3.2)."""


class Plivo:
    """See ``port.Provider``."""

    name = "plivo"

    def verify(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str], terms: Terms) -> Judgement:
        """Believe V3, else V2 where no V3 came beside it, else V1 where neither did.

        V2 covers neither body nor query. Where V3 is there and does not fit, somebody may have changed the parameters
        under a V2 that still does.
        """
        headers, params = request.headers, request.params or ()
        verdict = verify(request.method, urls, params, headers, secrets)
        if verdict.ok and verdict.scheme == "v3":
            # Some SDKs sign only one value of a repeated name; the others could be anybody's.
            return Judgement("v3", "" if verdict.complete else "incomplete", verdict.token_index)
        if verdict.ok:
            if any(name in headers for name in _V3):
                return Judgement("", "mismatch")
            return Judgement("v2", "v2_only" if terms.require_v3 else "", verdict.token_index)
        if verdict.reason == "no_signature" and V1_HEADER in headers:
            index = verify_v1(request.method, urls, params, headers, secrets)
            if index is None:
                return Judgement("", "mismatch")
            return Judgement("v1", "v1_only" if terms.require_v3 else "", index)
        return Judgement("", verdict.reason or "mismatch")

    def read(self, request: Arrived) -> Event | None:
        """Read a status callback or an inbound message; names in small letters, with or without ``_``, do as well."""
        if request.kind == "record":
            told = record_pairs(request.body)
            return _status(dict(told), told)
        pairs = request.params
        if not pairs:
            return None
        params = dict(pairs)
        if "MessageUUID" not in params:
            params = _respelled(params)
        kind = request.kind
        if kind == "any":
            kind = "status" if "Status" in params else "inbound"
        if kind == "status":
            return _status(params, pairs)
        return None if "Status" in params else _inbound(params, pairs)

    def offered(self, request: Arrived) -> list[tuple[str, str]]:
        """Return (header, signature) of every signature, in the order of belief."""
        return [
            (name, entry.strip())
            for name in _OFFERING
            if name in request.headers
            for entry in request.headers[name].split(",", MAX_ENTRIES)[:MAX_ENTRIES]
        ]

    def texts(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str]) -> Iterator[Text]:
        """Give what each SDK would have signed, each text once."""
        headers, params = request.headers, request.params or ()
        keys = [secret.encode(errors="surrogatepass") for secret in secrets]
        body: Pairs = () if request.method == "GET" else params
        for scheme, build in _SCHEMES:
            nonce = headers.get(f"x-plivo-signature-{scheme}-nonce", "")
            if not any(f"x-plivo-signature-{part}{scheme}" in headers for part in ("", "ma-")):
                continue
            seen: set[bytes] = set()
            for url in urls:
                for rule, content, *_ in build(request.method, [_read(url)], body, nonce):
                    if content not in seen:
                        seen.add(content)
                        signatures = tuple(_signature(key, content).decode() for key in keys)
                        text = content.decode(errors="replace")
                        yield Text(scheme=scheme, rule=rule, url=url, text=text, signatures=signatures)
        if V1_HEADER in headers:
            for url in urls:
                for signed_url, signed in texts_v1(request.method, url, params):
                    with suppress(UnicodeEncodeError):
                        signatures = tuple(sign_v1(signed_url, signed, secret) for secret in secrets)
                        text = text_v1(signed_url, signed)
                        yield Text(scheme="v1", rule="go, node", url=url, text=text, signatures=signatures)


_SPELLED: Final = {
    name.lower(): name
    for name in (
        "MessageUUID", "From", "To", "Status", "Type", "Sequence", "ErrorCode", "MCC", "MNC", "Units", "TotalAmount",
        "Text", "Body", "MessageIntent", "SentTime", "QueuedTime", "DeliveryReportTime", "MessageTime",
    )
}  # fmt: skip


def _respelled(params: Mapping[str, str]) -> dict[str, str]:
    return {_SPELLED.get(name.replace("_", "").lower(), name): value for name, value in params.items()}


_TIMES: Final = {
    Word.QUEUED: "QueuedTime",
    Word.SENT: "SentTime",
    Word.DELIVERED: "DeliveryReportTime",
    Word.UNDELIVERED: "DeliveryReportTime",
}


def _status(params: Mapping[str, str], pairs: Pairs) -> Event | None:
    message_id, status = params.get("MessageUUID"), params.get("Status")
    source, target = params.get("From"), params.get("To")
    if not (message_id and status and source and target):
        return None
    word = word_of(status)
    code = params.get("ErrorCode") or None
    return Event(
        kind="status",
        message_id=message_id,
        status=word,
        their_status=status.lower(),
        from_number=source,
        to_number=target,
        sequence=whole_number(params.get("Sequence")),
        type=params.get("Type") or None,
        error_code=code,
        why=None if code is None or code == "000" else WHY.get(code, Why.OTHER),
        mcc=params.get("MCC") or None,
        mnc=params.get("MNC") or None,
        units=whole_number(params.get("Units")),
        total_amount=params.get("TotalAmount") or None,
        happened_at=params.get(_TIMES.get(word, "MessageTime")) or None,
        raw=tuple(pairs),
    )


def _inbound(params: Mapping[str, str], pairs: Pairs) -> Event | None:
    message_id, kind = params.get("MessageUUID"), params.get("Type")
    source, target = params.get("From"), params.get("To")
    if not (message_id and kind and source and target):
        return None
    code = params.get("ErrorCode") or None
    return Event(
        kind="inbound",
        message_id=message_id,
        status=Word.RECEIVED,
        their_status="received",
        from_number=source,
        to_number=target,
        type=kind,
        error_code=code,
        why=None if code is None or code == "000" else WHY.get(code, Why.OTHER),
        units=whole_number(params.get("Units")),
        total_amount=params.get("TotalAmount") or None,
        text=params.get("Text") or params.get("Body"),
        media_urls=_media(params),
        intent=params.get("MessageIntent") or None,
        raw=tuple(pairs),
    )


def _media(params: Mapping[str, str]) -> tuple[str, ...]:
    numbered = [(int(found[1]), value) for name, value in params.items() if (found := _MEDIA.fullmatch(name))]
    return tuple(value for _, value in sorted(numbered))
