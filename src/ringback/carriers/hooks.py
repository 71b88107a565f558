"""Where carriers that call back reach us, and what their requests are kept under."""

from typing import Final

_KEPT_UNDER: Final = "carriers/"

STATUS: Final = "/hooks/carriers/{carrier}/sms_status"
INBOUND: Final = "/hooks/carriers/{carrier}/sms_inbound"


def status_url(public_url: str, carrier: str) -> str:
    """Return the URL for what becomes of messages that a carrier took."""
    return public_url.rstrip("/") + STATUS.format(carrier=carrier)


def source_of(carrier: str) -> str:
    """Return the name of the source that a carrier is among those of received requests; no other can have it."""
    return _KEPT_UNDER + carrier


def carrier_of(source: str) -> str:
    """Return which carrier is kept under the name of a source; empty for a source that is none."""
    return source.removeprefix(_KEPT_UNDER) if source.startswith(_KEPT_UNDER) else ""
