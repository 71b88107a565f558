"""The life of an outbound message as a table (contract section 3.1).

::

    queued ──→ sent ──→ delivered
       │         └────→ undelivered
       └──→ failed

``sent`` may be the last status: some carriers give no receipt. A status never moves backwards: what the
table does not allow is recorded as an event and flagged, and changes nothing else.
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


NEXT: Final[dict[Status, frozenset[Status]]] = {
    Status.QUEUED: frozenset({Status.SENT, Status.FAILED}),
    Status.SENT: frozenset({Status.DELIVERED, Status.UNDELIVERED}),
    Status.DELIVERED: frozenset(),
    Status.UNDELIVERED: frozenset(),
    Status.FAILED: frozenset(),
}
"""Which statuses may follow which."""

FINAL: Final = frozenset(status for status, following in NEXT.items() if not following)
"""Statuses that nothing follows."""

RANK: Final[dict[Status, int]] = {
    Status.QUEUED: 0,
    Status.SENT: 1,
    Status.DELIVERED: 2,
    Status.UNDELIVERED: 2,
    Status.FAILED: 2,
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
