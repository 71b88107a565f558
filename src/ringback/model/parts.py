"""What the parts of a message say about the message as a whole.

A part is ``sent`` when the carrier has taken it, ``unknown`` when nobody knows whether it has, ``failed`` when it would
not take it, and ``delivered`` or ``undelivered`` when its receipt said so. Of the whole:

- ``delivered`` when every part is;
- ``undelivered`` as soon as one part is ``undelivered`` or ``failed``: nobody can read a message with a hole in it;
- ``sent`` otherwise. (When the carrier took no part at all, there are no parts: the message has failed.)
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ringback.model.status import Flag, Status, judge

PartState = Literal["sent", "unknown", "failed", "delivered", "undelivered"]

_STATUS: Final[dict[str, Status]] = {
    "sent": Status.SENT,
    # Its receipt proves that it was sent.
    "unknown": Status.SENT,
    "failed": Status.FAILED,
    "delivered": Status.DELIVERED,
    "undelivered": Status.UNDELIVERED,
}


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a message that went in several."""

    message_uuid: str
    part: int
    """From 1."""
    connector: str
    carrier_ref: str | None
    state: PartState
    error_code: str | None = None


def overall(parts: Sequence[Part]) -> tuple[Status, Part | None]:
    """Return the status of the whole, and the part that makes it ``undelivered``."""
    for part in parts:
        if part.state in {"undelivered", "failed"}:
            return Status.UNDELIVERED, part
    delivered = bool(parts) and all(part.state == "delivered" for part in parts)
    return (Status.DELIVERED if delivered else Status.SENT), None


def judge_part(part: Part, incoming: Status) -> Flag:
    """Say what a receipt does to its part, as ``status.judge`` does for a message."""
    return judge(_STATUS[part.state], incoming)
