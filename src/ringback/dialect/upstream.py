"""The API as its client sees it: what a send request says, and what answers, records and errors mean (contract sections
1.5, 2.1 to 2.4, 3, 6.8)."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ringback.dialect.codes import NONE
from ringback.dialect.send import EXPIRY_S
from ringback.model.status import FINAL, Status

MESSAGES: Final = "Message/"
MEDIA: Final = "Media/"
"""Below the account's URL, which by itself answers with the account."""

INVALID: Final = "10"
BAD_SENDER: Final = "40"
BAD_NUMBER: Final = "50"
NO_ROUTE: Final = "90"
TOO_LONG: Final = "110"
TOO_LARGE: Final = "120"
COUNTRY_CLOSED: Final = "450"
NO_CREDIT: Final = "900"
UNKNOWN: Final = "1000"

MAX_TEXT: Final = 200
"""Of an error's text so much is kept."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a message was not taken."""

    error_code: str
    detail: str
    elsewhere: bool = False
    """The account or how it is configured is at fault: another carrier may take the message."""


class Report(msgspec.Struct, frozen=True):
    """What has become of a message."""

    status: Status
    """``sent`` for one on its way."""
    error_code: str

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self.status in FINAL


def account_url(base_url: str, auth_id: str) -> str:
    """Return the URL of an account, below which its resources are."""
    return f"{base_url.rstrip('/')}/v1/Account/{auth_id}/"


def message_path(message_uuid: str) -> str:
    """Return where a message is, below the account's URL."""
    return f"{MESSAGES}{message_uuid}/"


def credentials(auth_id: str, token: str) -> str:
    """Return the value of ``Authorization``."""
    return "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()


def send_fields(
    *,
    src: str,
    dst: str,
    text: str,
    url: str,
    log: str,
    expiry_s: int | None,
    media_ids: tuple[str, ...] | None,
) -> dict[str, Any]:
    """Return the body of a send request; ``media_ids`` is ``None`` for a text."""
    fields: dict[str, Any] = {"src": src, "dst": dst, "type": "sms", "url": url, "method": "POST", "log": log}
    if text:
        fields["text"] = text
    if expiry_s is not None:
        fields["message_expiry"] = min(max(expiry_s, EXPIRY_S[0]), EXPIRY_S[-1])
    if media_ids is not None:
        fields["type"] = "mms"
        if media_ids:
            fields["media_ids"] = list(media_ids)
    return fields


def message_uuid(content: Mapping[str, Any]) -> str | None:
    """Return what the one message of a send request is called; ``None`` if the answer does not say."""
    given = content.get("message_uuid")
    first = given[0] if isinstance(given, list) and given else given
    return first if isinstance(first, str) and first and "\x00" not in first else None


def invalid_numbers(content: Mapping[str, Any]) -> bool:
    """Tell whether a send request was answered with numbers that are none."""
    return bool(content.get("invalid_number"))


def media_ids(content: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return the ids of what an upload has stored, and why others were not."""
    objects = content.get("objects")
    ids: list[str] = []
    why = ""
    for each in objects if isinstance(objects, list) else []:
        if isinstance(each, dict):
            if isinstance(each.get("media_id"), str) and each["media_id"]:
                ids.append(each["media_id"])
            else:
                why = why or _text(each.get("error_message"))
    return ids, why


def error_text(content: Mapping[str, Any]) -> str:
    """Return an error's own words; they may hold a number of the message."""
    given = content.get("error")
    return _text(given.get("error") if isinstance(given, dict) else given)


def refusal(status: int, text: str, *, src: str) -> Refusal:
    """Say what an answer between 300 and 499 to a send request means. Only the code of 403 is in the contract."""
    detail = f"answered {status}: {text}" if text else f"answered {status}"
    if status in _BY_STATUS:
        return Refusal(_BY_STATUS[status], detail, elsewhere=True)
    if status not in {400, 409, 422}:
        return Refusal(NO_ROUTE, detail, elsewhere=True)
    said = text.lower()
    if "is not a valid phone number" in said:
        return Refusal(BAD_SENDER if src and src in said.split() else BAD_NUMBER, detail)
    for words, code, elsewhere in _BY_TEXT:
        if words in said:
            return Refusal(code, detail, elsewhere)
    return Refusal(INVALID, detail)


_BY_STATUS: Final[Mapping[int, str]] = {402: NO_CREDIT, 403: COUNTRY_CLOSED}
_BY_TEXT: Final = (
    ("insufficient", NO_CREDIT, True),
    ("mms enabled", BAD_SENDER, True),
    ("number of yours", BAD_SENDER, True),
    ("url parameter", INVALID, True),
    ("sandbox number", BAD_NUMBER, True),
    ("too long", TOO_LONG, False),
    ("characters long", TOO_LONG, False),
)
"""Words of errors in small letters, what they mean, and whether another carrier may see it otherwise."""


def report(state: str, error_code: str | None) -> Report | None:
    """Say what a state means to whoever handed the message over; ``None`` for what is no news.

    What fails upstream was taken before: to the message that is a receipt which says ``undelivered``, with its code.
    """
    match state.lower():
        case "sent":
            return Report(Status.SENT, NONE)
        case "delivered" | "read":
            return Report(Status.DELIVERED, NONE)
        case "undelivered" | "failed" | "rejected":
            known = error_code if error_code and error_code != NONE else UNKNOWN
            return Report(Status.UNDELIVERED, known)
    return None


def record_state(content: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return state and error code of a message's record; empty where it has none."""
    state, code = content.get("message_state"), content.get("error_code")
    return state if isinstance(state, str) else "", str(code) if isinstance(code, str | int) else None


def _text(given: object) -> str:
    return given[:MAX_TEXT].replace("\x00", "\ufffd") if isinstance(given, str) else ""
