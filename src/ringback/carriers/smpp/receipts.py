"""Delivery receipts as carriers write them: TLVs first, then the text of appendix B; and names of messages."""

import re
from typing import Final, Literal

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.model.status import Status

IdFormat = Literal["text", "decimal", "hex"]
"""How a peer writes ids: as they are, or as numbers, of which neither leading zeros nor the case of letters count."""

IS_RECEIPT: Final = 0x04
IS_INTERMEDIATE: Final = 0x20
_KINDS: Final = 0x3C
"""The bits of ``esm_class`` that say what a ``deliver_sm`` is (5.2.12)."""

_FIELD: Final = re.compile(r"(id|sub|dlvrd|submit date|done date|stat|err)\s*[:=]\s*(\S*)", re.IGNORECASE)
_STATES: Final[dict[str, Status]] = {
    "DELIVRD": Status.DELIVERED,
    "EXPIRED": Status.UNDELIVERED,
    "DELETED": Status.UNDELIVERED,
    "UNDELIV": Status.UNDELIVERED,
    "UNKNOWN": Status.UNDELIVERED,
    "REJECTD": Status.UNDELIVERED,
    "SKIPPED": Status.UNDELIVERED,
    "ACCEPTD": Status.SENT,
    "ENROUTE": Status.SENT,
    "SCHEDUL": Status.SENT,
}
"""``sent`` for what is on its way: nothing has ended."""
_NUMBERED: Final = {
    0: "SCHEDUL", 1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN",
    8: "REJECTD", 9: "SKIPPED",
}  # fmt: skip
"""``message_state`` (5.2.28, and of SMPP 5.0)."""


class CarrierReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says."""

    message_id: str
    status: Status
    state: str
    """The carrier's word."""
    error: str
    """The carrier's code, without leading zeros; empty without one."""


def is_receipt(body: ShortMessage | DataSm) -> bool:
    """Say whether a ``deliver_sm`` tells about a message that was submitted.

    By ``esm_class``; some peers leave it 0, and then ``receipted_message_id`` tells, if what comes with it can be read
    as a receipt. Other peers send it with messages from phones, which would be lost.
    """
    if body.esm_class & _KINDS:
        return bool(body.esm_class & (IS_RECEIPT | IS_INTERMEDIATE))
    return any(tag == names.RECEIPTED_MESSAGE_ID for tag, _ in body.tlvs) and parse(body) is not None


def parse(body: ShortMessage | DataSm) -> CarrierReceipt | None:
    """Read a receipt; ``None`` when it names no message or no state that is known."""
    tlvs = dict(reversed(body.tlvs))
    raw = body.short_message if isinstance(body, ShortMessage) else b""
    text = (raw or tlvs.get(names.MESSAGE_PAYLOAD, b"")).decode("latin-1")
    written = {name.lower(): value for name, value in reversed(_FIELD.findall(text))}
    message_id = tlvs.get(names.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1") or written.get("id", "")
    state = written.get("stat", "").upper()[:7]
    if numbered := tlvs.get(names.MESSAGE_STATE, b""):
        state = _NUMBERED.get(numbered[0], state)
    status = _STATES.get(state)
    if not message_id or status is None:
        return None
    if body.esm_class & IS_INTERMEDIATE and not body.esm_class & IS_RECEIPT:
        status = Status.SENT
    return CarrierReceipt(message_id=message_id, status=status, state=state, error=_error(tlvs, written))


def _error(tlvs: dict[int, bytes], written: dict[str, str]) -> str:
    code = tlvs.get(names.NETWORK_ERROR_CODE, b"")
    error = str(int.from_bytes(code[1:3], "big")) if len(code) == 3 else written.get("err", "")
    return error.lstrip("0")


def canonical(message_id: str, form: IdFormat) -> str:
    """Return an id in the form in which ids are compared: of a number its decimal digits, else the text itself."""
    bare = message_id.strip().rstrip("\0")
    if form == "text":
        return bare
    try:
        return str(int(bare, 16 if form == "hex" else 10))
    except ValueError:
        return bare
