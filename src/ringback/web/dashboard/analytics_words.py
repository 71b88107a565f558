"""What things are called on the analytics pages, and what is meant by them."""

from typing import Final

import msgspec

CLASS_LABELS: Final = {
    "delivered": "delivered",
    "pending": "pending",
    "no_dlr": "no receipt",
    "undelivered": "undelivered",
    "failed": "failed",
    "received": "received",
}
"""The class of a message, in the order in which bars are stacked."""

CLASS_HINTS: Final = {
    "delivered": "a receipt says so",
    "pending": "queued, or sent and a receipt may still come",
    "no_dlr": "sent too long ago for a receipt still to come",
    "undelivered": "a receipt says that it was not delivered",
    "failed": "it never left, or was refused",
    "received": "inbound, not taken yet",
}

CLASS_COLOURS: Final = {
    "delivered": "--fill-delivered",
    "pending": "--fill-queued",
    "no_dlr": "--fill-no_dlr",
    "undelivered": "--fill-undelivered",
    "failed": "--fill-failed",
    "received": "--fill-sent",
}

BY: Final = {
    "country": "Country",
    "carrier": "Carrier",
    "sender": "Sender",
    "route": "Route",
    "connector": "Connector",
    "account": "Account",
    "origin": "Source",
    "error": "Error",
    "type": "Type",
}
"""By what figures are broken down."""

MEASURES: Final = {
    "total_ms": "queued to delivered",
    "queue_ms": "queued to sent",
    "carrier_ms": "sent to delivered",
    "lag_ms": "callback lag",
}
MEASURE_HINTS: Final = {
    "total_ms": "from the acceptance of a message to its delivery",
    "queue_ms": "from the acceptance of a message until a carrier has taken it",
    "carrier_ms": "from its being taken by a carrier until its delivery",
    "lag_ms": "from an event until it was heard of here",
}

STAGES: Final = {
    "queued": "Queued",
    "accepted": "Queued",
    "sent": "Sent",
    "delivered": "Delivered",
    "converted": "Converted",
}

PERCENTILES: Final = (
    ("p50", "--fill-delivered", "solid"),
    ("p90", "--fill-sent", "long"),
    ("p95", "--fill-undelivered", "dash"),
    ("p99", "--fill-failed", "dot"),
)


MINUS: Final = "\u2212"


class Delta(msgspec.Struct, frozen=True):
    """How a figure stands to the one of the period before."""

    text: str
    tone: str
    """``better``, ``worse`` or ``neutral``."""


def change(now: float | None, before: float | None, *, good: int = 0) -> Delta | None:
    """Say how a quantity has changed, in percent; ``good`` is 1 if more is better, -1 if less is, 0 if neither."""
    if now is None or not before:
        return None
    share = (now - before) / before
    if abs(share) < 0.0005:
        return Delta("as before", "neutral")
    size = f"{abs(share) * 100:.1f} %" if abs(share) < 9.995 else f"{now / before:,.0f} times"
    return Delta(f"{'+' if share > 0 else MINUS}{size}", _tone(share, good))


def points(now: float | None, before: float | None, *, good: int = 0) -> Delta | None:
    """Say how a rate has changed, in percentage points."""
    if now is None or before is None:
        return None
    by = (now - before) * 100
    if abs(by) < 0.05:
        return Delta("as before", "neutral")
    return Delta(f"{'+' if by > 0 else MINUS}{abs(by):.1f} points", _tone(by, good))


def _tone(by: float, good: int) -> str:
    if not good:
        return "neutral"
    return "better" if by * good > 0 else "worse"
