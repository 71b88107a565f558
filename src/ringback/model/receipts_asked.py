"""Receipts that somebody who submits over SMPP has asked for, and what the messages are called there.

``registered_delivery`` (SMPP 3.4, 5.2.17) says of which ends a receipt is wanted. A message that came whole is called
by its uuid. One that came in parts is one message of ours; each part was answered with a name of its own,
``UUID-NUMBER``, and has receipts of its own, which say what became of the whole.
"""

import re
from typing import Final

import msgspec

from ringback.model.ids import as_uuid
from ringback.model.status import Status

ALWAYS: Final = 1
ON_FAILURE: Final = 2
ON_SUCCESS: Final = 3
"""Of SMPP 5.0."""
INTERMEDIATE: Final = 0x10
_ENDS: Final = 0x03
_PART: Final = re.compile(r"(.{36})-([1-9]\d{0,2})", re.ASCII)


class ReceiptsAsked(msgspec.Struct, frozen=True):
    """Whom receipts of a message go to, and what was asked for with each of its parts."""

    login_id: str
    flags: tuple[int, ...]
    """``registered_delivery`` of each part in order; one for a message that came whole."""

    def stored(self) -> str:
        """Return it as one text."""
        return f"{self.login_id}:{','.join(map(str, self.flags))}"

    @classmethod
    def of(cls, stored: str) -> "ReceiptsAsked":
        """Read what ``stored`` has made."""
        login_id, _, flags = stored.partition(":")
        return cls(login_id, tuple(map(int, flags.split(","))))

    def owed(self, uuid: str, status: Status) -> list[str]:
        """Return what the parts are called of which a receipt is owed when their message takes a status."""
        total = len(self.flags)
        return [named(uuid, number, total) for number, flag in enumerate(self.flags, 1) if _is_asked(flag, status)]


def _is_asked(flag: int, status: Status) -> bool:
    if status is Status.SENT:
        return bool(flag & INTERMEDIATE)
    if status is Status.DELIVERED:
        return flag & _ENDS in {ALWAYS, ON_SUCCESS}
    return flag & _ENDS in {ALWAYS, ON_FAILURE}


def asks_for_any(flag: int) -> bool:
    """Say whether a ``registered_delivery`` asks for a receipt at all."""
    return bool(flag & (_ENDS | INTERMEDIATE))


def named(uuid: str, number: int, total: int) -> str:
    """Return what a part of a message is called."""
    return uuid if total == 1 else f"{uuid}-{number}"


def uuid_of(message_id: str) -> str | None:
    """Return the message that is called so, or a part of which is; ``None`` when nothing can be."""
    part = _PART.fullmatch(message_id)
    return as_uuid(part[1] if part else message_id)
