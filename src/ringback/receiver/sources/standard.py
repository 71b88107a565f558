"""Standard Webhooks: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature`` over the body's bytes.

What is signed is ``id.timestamp.body`` with HMAC-SHA256; the header has a space between signatures, each ``v1,`` and
base64. A secret is base64 behind ``whsec_``; one without that prefix is base64 too, else taken as it is written.
The time has to be within the source's tolerance of ours, in both directions.
"""

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from ringback.dialect.standard_webhooks import ID, SIGNATURE, TIMESTAMP, content, key_of, sign
from ringback.model.vocabulary import Word, word_of
from ringback.receiver.event import Arrived, Event, whole_number
from ringback.receiver.sources.port import Judgement, Terms, Text

MAX_ENTRIES: Final = 10
_SECONDS: Final = re.compile(r"[0-9]{1,12}")


class StandardWebhooks:
    """See ``port.Provider``."""

    name = "standard"

    def verify(self, request: Arrived, _urls: Sequence[str], secrets: Sequence[str], terms: Terms) -> Judgement:
        """Believe any ``v1`` signature of any secret, if its time is near."""
        headers = request.headers
        offered = [signature for _, signature in self.offered(request)]
        if not offered:
            return Judgement("", "no_signature")
        at_s = headers.get(TIMESTAMP, "")
        if not headers.get(ID) or not _SECONDS.fullmatch(at_s):
            return Judgement("", "no_nonce")
        signed = _content(request)
        for index, secret in enumerate(secrets):
            ours = sign(key_of(secret), signed)
            if any(hmac.compare_digest(ours, each.encode(errors="surrogatepass")) for each in offered):
                is_near = abs(terms.now_us // 1_000_000 - int(at_s)) <= terms.tolerance_s
                return Judgement("standard", "" if is_near else "too_old", index)
        return Judgement("", "mismatch")

    def read(self, request: Arrived) -> Event | None:
        """Read a JSON object of any shape: the names that the specification and common senders use are looked for."""
        try:
            said = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, ValueError):
            return None
        message_id = request.headers.get(ID)
        if not isinstance(said, dict) or not message_id:
            return None
        data = said["data"] if isinstance(said.get("data"), dict) else said
        kind = _text(said, "type") or "event"
        status = _text(data, "status", "their_status") or kind.rpartition(".")[2]
        inbound = word_of(status) is Word.RECEIVED
        return Event(
            kind="inbound" if inbound else "status",
            message_id=_text(data, "message_id", "message_uuid", "id") or message_id,
            status=word_of(status),
            their_status=status.lower(),
            from_number=_text(data, "from_number", "from") or "",
            to_number=_text(data, "to_number", "to") or "",
            sequence=whole_number(_text(data, "sequence")),
            type=_text(data, "type"),
            error_code=_text(data, "error_code"),
            mcc=_text(data, "mcc"),
            mnc=_text(data, "mnc"),
            units=whole_number(_text(data, "units")),
            total_amount=_text(data, "total_amount"),
            text=_text(data, "text", "body"),
            happened_at=_text(said, "timestamp"),
            raw=tuple((str(name), _written(value)) for name, value in said.items()),
        )

    def offered(self, request: Arrived) -> list[tuple[str, str]]:
        """Return the signatures of version 1; others are for other keys."""
        entries = request.headers.get(SIGNATURE, "").replace(",v1,", " v1,").split(" ", MAX_ENTRIES)[:MAX_ENTRIES]
        return [(SIGNATURE, entry.removeprefix("v1,")) for entry in entries if entry.startswith("v1,")]

    def texts(self, request: Arrived, _urls: Sequence[str], secrets: Sequence[str]) -> Iterator[Text]:
        """Give the one text there is; it has no URL in it."""
        signed = _content(request)
        signatures = tuple(sign(key_of(secret), signed).decode() for secret in secrets)
        text = signed.decode(errors="replace")
        yield Text(scheme="standard", rule="standard", url="", text=text, signatures=signatures)


def _content(request: Arrived) -> bytes:
    return content(request.headers.get(ID, ""), request.headers.get(TIMESTAMP, ""), request.body)


def _text(said: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = said.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
