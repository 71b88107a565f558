"""Delivery receipts as carriers write them: TLVs first, then the text of appendix B; and names of messages."""

import re
from typing import Final, Literal

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import DataSm, ShortMessage
from ringback.model.status import Status

IdFormat = Literal["text", "decimal", "hex"]
"""How a peer writes ids: as they are, or as numbers, of which neither leading zeros nor the case of letters count."""

Mark = Literal["class", "parameter", "text"]
"""By what a receipt is known: ``esm_class``; where that is 0, by ``receipted_message_id`` too; or by its text too."""

IS_RECEIPT: Final = 0x04
IS_INTERMEDIATE: Final = 0x20
_KINDS: Final = 0x3C
"""The bits of ``esm_class`` that say what a ``deliver_sm`` is (5.2.12)."""

_FIELD: Final = re.compile(r"\b(id|stat|err)\s*[:=]\s*((?!text:)\S*)", re.IGNORECASE)
STATES: Final[dict[str, Status]] = {
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
    """In the form in which ids are compared."""
    status: Status
    state: str
    """The carrier's word."""
    error: str
    """The carrier's code, without leading zeros; empty without one."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer's receipts are to be read."""

    mark: Mark = "parameter"
    text_ids: IdFormat = "text"
    parameter_ids: IdFormat = "text"
    """Of ``receipted_message_id``, which some peers write otherwise than the text."""
    states: dict[str, str] = {}
    """States of the peer's own, with those of the standard that they mean."""
    errors_from: Literal["parameter", "text"] = "parameter"
    """Where the error code is taken from when both have one."""

    def is_receipt(self, body: ShortMessage | DataSm) -> bool:
        """Say whether a ``deliver_sm`` tells about a message that was submitted.

        Some peers send ``receipted_message_id`` with messages from phones, which would be lost: alone it says nothing.
        """
        if body.esm_class & _KINDS:
            return bool(body.esm_class & (IS_RECEIPT | IS_INTERMEDIATE))
        if self.mark == "class":
            return False
        if any(tag == names.RECEIPTED_MESSAGE_ID for tag, _ in body.tlvs):
            return self.read(body) is not None
        written = _written(body) if self.mark == "text" else {}
        return "id" in written and self._state(written.get("stat", "")) in STATES

    def read(self, body: ShortMessage | DataSm) -> CarrierReceipt | None:
        """Read a receipt; ``None`` when it names no message or no state that is known."""
        tlvs = dict(reversed(body.tlvs))
        written = _written(body)
        named = tlvs.get(names.RECEIPTED_MESSAGE_ID, b"").rstrip(b"\0").decode("latin-1")
        message_id = canonical(named, self.parameter_ids) if named else canonical(written.get("id", ""), self.text_ids)
        state = self._state(written.get("stat", ""))
        # A number that the standard does not have is no better than none: then the text counts.
        if numbered := tlvs.get(names.MESSAGE_STATE, b""):
            state = _NUMBERED.get(numbered[0], state)
        status = STATES.get(state)
        if not message_id or status is None:
            return None
        if body.esm_class & IS_INTERMEDIATE and not body.esm_class & IS_RECEIPT:
            status = Status.SENT
        return CarrierReceipt(message_id=message_id, status=status, state=state, error=self._error(tlvs, written))

    def _state(self, word: str) -> str:
        state = word.upper()
        return self.states.get(state, state[:7])

    def _error(self, tlvs: dict[int, bytes], written: dict[str, str]) -> str:
        told = written.get("err", "")
        code = tlvs.get(names.NETWORK_ERROR_CODE, b"")
        if len(code) == 3 and not (told and self.errors_from == "text"):
            # A type of network and a number; some peers have three digits there, as in the text.
            told = code.decode("ascii") if code.isdigit() else str(int.from_bytes(code[1:], "big"))
        return told.lstrip("0")


def _written(body: ShortMessage | DataSm) -> dict[str, str]:
    """Return what the text of a receipt says; of a field that comes twice the first."""
    raw = body.short_message if isinstance(body, ShortMessage) else b""
    payload = next((value for tag, value in body.tlvs if tag == names.MESSAGE_PAYLOAD), b"")
    text = (raw or payload).decode("latin-1").replace("\0", " ")
    return {name.lower(): value for name, value in reversed(_FIELD.findall(text))}


def canonical(message_id: str, form: IdFormat) -> str:
    """Return an id in the form in which ids are compared: of a number its decimal digits, else the text itself."""
    bare = message_id.strip().rstrip("\0")
    if form == "text":
        return bare
    try:
        return str(int(bare, 16 if form == "hex" else 10))
    except ValueError:
        return bare
