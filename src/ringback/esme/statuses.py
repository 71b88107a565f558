"""What those who are bound are told: one table from our errors to SMPP statuses, one from our statuses to states."""

from typing import Final

from ringback.carriers.smpp import names
from ringback.model.errors import (
    Forbidden,
    InsufficientCredit,
    NotFound,
    OutcomeUnknown,
    PduRefused,
    Refused,
    RingbackError,
    StoreUnavailable,
    TooManyRequests,
    TryLater,
)
from ringback.model.status import Status

NO_CREDIT: Final = 0x0400
"""Of the range that vendors may use: the account's credit does not suffice."""

STATUSES: Final[tuple[tuple[type[RingbackError], int], ...]] = (
    (InsufficientCredit, NO_CREDIT),
    (Forbidden, names.INVALID_DESTINATION),
    (NotFound, names.INVALID_MESSAGE_ID),
    (Refused, names.SUBMIT_FAILED),
    (TooManyRequests, names.THROTTLED),
    (OutcomeUnknown, names.SYSTEM_ERROR),
    (StoreUnavailable, names.SYSTEM_ERROR),
    (TryLater, names.QUEUE_FULL),
)
"""The first that fits; what is none of them is a defect, and ``ESME_RSYSERR``."""

ENROUTE: Final = 1
DELIVERED: Final = 2
EXPIRED: Final = 3
UNDELIVERABLE: Final = 5
ACCEPTED: Final = 6
REJECTED: Final = 8

STATE_NAMES: Final = {ENROUTE: "ENROUTE", DELIVERED: "DELIVRD", EXPIRED: "EXPIRED", UNDELIVERABLE: "UNDELIV",
                      ACCEPTED: "ACCEPTD", REJECTED: "REJECTD"}  # fmt: skip
_STATES: Final = {
    Status.QUEUED: ACCEPTED,
    Status.SENT: ENROUTE,
    Status.DELIVERED: DELIVERED,
    Status.UNDELIVERED: UNDELIVERABLE,
    Status.FAILED: REJECTED,
}
_EXPIRED: Final = "420"


def status_of(error: RingbackError) -> int:
    """Return the status that tells of an error."""
    if isinstance(error, PduRefused):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), names.SYSTEM_ERROR)


def code_of(error_code: str | None) -> int:
    """Return an error code as a number; 0 is none."""
    return int(error_code) if error_code and error_code.isdecimal() else 0


def state_of(status: Status, error_code: str | None) -> int:
    """Return ``message_state`` of a message (5.2.28)."""
    return EXPIRED if status is Status.FAILED and error_code == _EXPIRED else _STATES[status]
