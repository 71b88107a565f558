"""The life of a message as a table (contract section 3.1).

Outbound::

    queued ──→ sent ──→ delivered
       │         └────→ undelivered
       └──→ failed

Inbound, by what became of the callback that brings it to its application::

    received ──→ delivered
           └───→ undelivered

``sent`` may be the last status: some carriers give no receipt; so may ``received``, where nobody is called. A status
never moves backwards: what the table does not allow is recorded as an event and flagged, and changes nothing else.
"""

from enum import StrEnum
from typing import Final, Literal


class Status(StrEnum):
    """A message's status in the words of the wire."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    RECEIVED = "received"


NEXT: Final[dict[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.SENT, Status.FAILED}),
    Status.SENT: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    Status.DELIVERED: frozenset(),
    Status.UNDELIVERED: frozenset(),
    Status.FAILED: frozenset(),
    Status.RECEIVED: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
}
"""Which statuses may follow which."""

OUTBOUND: Final = (Status.QUEUED, Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED)
INBOUND: Final = (Status.RECEIVED, Status.DELIVERED, Status.UNDELIVERED)
"""The statuses of each direction; the first is where it begins."""

FINAL: Final = frozenset(status for status, following in NEXT.items() if not following)
"""Statuses that nothing follows."""

RANK: Final[dict[Status, int]] = {
    Status.QUEUED: 0,
    Status.SENT: 1,
    Status.DELIVERED: 2,
    Status.UNDELIVERED: 2,
    Status.FAILED: 2,
    Status.RECEIVED: 0,
}
"""How far along a status is; two statuses of one rank exclude each other."""

Flag = Literal["", "duplicate", "late"]
"""Why an event changed nothing; empty when it did."""


def judge(current: Status, incoming: Status) -> Flag:
    """Say what ``incoming`` does to a message in ``current``.

    Returns ``""`` when the message takes the new status, ``"duplicate"`` when it already has it, and
    ``"late"`` when it has moved on or ended otherwise.
    """
    if incoming in NEXT[current]:
        return ""
    return "duplicate" if incoming is current else "late"
