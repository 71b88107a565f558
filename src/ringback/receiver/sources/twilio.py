"""Twilio: ``X-Twilio-Signature`` over URL and form, or over a URL that names the SHA-256 of a JSON body.

The signature is ``base64(HMAC-SHA1(auth token, URL + sorted names and values))``. For a body that is no form, the URL
has a parameter ``bodySHA256``, and the parameters are left out. Whether the URL is signed with its port differs between
products, so both are tried, as the official validator does.
"""

import hashlib
import hmac
import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec

from ringback.model.vocabulary import Why, Word, word_of
from ringback.receiver.event import FORM, JSON, Arrived, Event, Pairs, whole_number
from ringback.receiver.sources.port import Judgement, Terms, Text

HEADER: Final = "x-twilio-signature"
_PORTS: Final = {"https": 443, "http": 80}
_MEDIA: Final = re.compile(r"MediaUrl(\d{1,3})")

WHY: Final[Mapping[str, Why]] = {
    "21610": Why.OPTED_OUT,
    "21211": Why.INVALID_NUMBER,
    "21614": Why.INVALID_NUMBER,
    "30001": Why.PROVIDER_ERROR,
    "30002": Why.PROVIDER_ERROR,
    "30003": Why.UNREACHABLE,
    "30004": Why.BLOCKED,
    "30005": Why.INVALID_NUMBER,
    "30006": Why.UNREACHABLE,
    "30007": Why.SPAM_FILTERED,
    "30008": Why.OTHER,
    "30036": Why.EXPIRED,
}
"""Error codes of messages by what they mean to whoever sent one."""


class Twilio:
    """See ``port.Provider``."""

    name = "twilio"

    def verify(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str], _terms: Terms) -> Judgement:
        """Believe a signature over what came; with ``bodySHA256`` in the URL the body has to have that digest."""
        offered = request.headers.get(HEADER, "").strip().encode(errors="surrogatepass")
        if not offered:
            return Judgement("", "no_signature")
        if "bodySHA256=" in request.target and not _body_fits(request):
            return Judgement("", "mismatch")
        for _, text in _texts(request, urls):
            for index, secret in enumerate(secrets):
                if hmac.compare_digest(_sign(secret, text), offered):
                    return Judgement("twilio", "", index)
        return Judgement("", "mismatch")

    def read(self, request: Arrived) -> Event | None:
        """Read a status callback or an incoming message, as a form, a query, or JSON."""
        pairs = _params(request)
        if not pairs:
            return None
        params = dict(pairs)
        message_id = params.get("MessageSid") or params.get("SmsSid")
        status = params.get("MessageStatus") or params.get("SmsStatus") or ""
        source, target = params.get("From", ""), params.get("To", "")
        if not message_id or not (source or target):
            return None
        inbound = request.kind == "inbound" or (request.kind == "any" and "Body" in params)
        if not inbound and not status:
            return None
        code = params.get("ErrorCode") or None
        return Event(
            kind="inbound" if inbound else "status",
            message_id=message_id,
            status=Word.RECEIVED if inbound else word_of(status),
            their_status=(status or "received").lower(),
            from_number=source,
            to_number=target,
            type=_type(params),
            error_code=code,
            why=None if code is None or code == "0" else WHY.get(code, Why.OTHER),
            units=whole_number(params.get("NumSegments")),
            text=params.get("Body") if inbound else None,
            media_urls=_media(params),
            intent=_intent(params),
            happened_at=params.get("RawDlrDoneDate") or None,
            raw=tuple(pairs),
        )

    def offered(self, request: Arrived) -> list[tuple[str, str]]:
        """Return the one signature, if there is one."""
        return [(HEADER, request.headers[HEADER])] if HEADER in request.headers else []

    def texts(self, request: Arrived, urls: Sequence[str], secrets: Sequence[str]) -> Iterator[Text]:
        """Give the URL with and without its port, each with the parameters."""
        for url, text in _texts(request, urls):
            signatures = tuple(_sign(secret, text).decode() for secret in secrets)
            yield Text(scheme="twilio", rule="twilio", url=url, text=text, signatures=signatures)


def _sign(secret: str, text: str) -> bytes:
    content = text.encode(errors="surrogatepass")
    return b2a_base64(hmac.digest(secret.encode(errors="surrogatepass"), content, "sha1"), newline=False)


def _texts(request: Arrived, urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    body = ""
    if request.method != "GET" and "bodySHA256=" not in request.target:
        # Values of a repeated name count once each, sorted.
        body = "".join(name + value for name, value in sorted(set(request.params or ())))
    for url in urls:
        for written in dict.fromkeys((_without_port(url), _with_port(url))):
            yield written, written + body


def _with_port(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.port or parts.scheme not in _PORTS:
            return url
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{_PORTS[parts.scheme]}"))


def _without_port(url: str) -> str:
    try:
        parts = urlsplit(url)
        if not parts.port:
            return url
    except ValueError:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))


def _body_fits(request: Arrived) -> bool:
    named = parse_qs(urlsplit(request.target).query).get("bodySHA256", [""])
    ours = hashlib.sha256(request.body).hexdigest()
    return len(named) == 1 and hmac.compare_digest(ours.encode(), named[0].lower().encode(errors="surrogatepass"))


def _params(request: Arrived) -> Pairs | None:
    if request.method == "GET" or request.content_type == FORM:
        return request.params
    if request.content_type != JSON:
        return None
    try:
        said = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, ValueError):
        return None
    if not isinstance(said, dict):
        return None
    return [(name, str(value)) for name, value in said.items() if isinstance(value, str | int) and name]


def _type(params: Mapping[str, str]) -> str:
    if params.get("From", "").startswith("whatsapp:"):
        return "whatsapp"
    has_media = params.get("MessageSid", "").startswith("MM") or params.get("NumMedia", "0") not in {"", "0"}
    return "mms" if has_media else "sms"


def _intent(params: Mapping[str, str]) -> str | None:
    return {"STOP": "optout", "START": "optin", "HELP": "help"}.get(params.get("OptOutType", ""))


def _media(params: Mapping[str, str]) -> tuple[str, ...]:
    numbered = [(int(found[1]), value) for name, value in params.items() if (found := _MEDIA.fullmatch(name))]
    return tuple(value for _, value in sorted(numbered))
