"""Callbacks that bring an inbound message to its application (contract section 4.3)."""

from collections.abc import Mapping, Sequence
from typing import Final

from ringback.dialect.callbacks import StatusReport, total_amount
from ringback.model.message import Message

REQUIRED: Final = ("MessageUUID", "From", "To", "Type")


def inbound_params(
    message: Message,
    *,
    text: str,
    intent: str,
    powerpack_uuid: str | None,
    media_urls: Sequence[str],
    first_media_index: int,
) -> list[tuple[str, str]]:
    """Return the parameters of the callback for an inbound message; ``text`` is there even if it is not kept."""
    params = [
        ("MessageUUID", message.uuid),
        ("From", message.src),
        ("To", message.dst),
        ("Text", text),
        ("Type", message.type),
        ("Units", str(message.units)),
        ("TotalRate", message.rate),
        ("TotalAmount", total_amount(message)),
        ("MessageIntent", intent),
        ("PowerpackUUID", powerpack_uuid or ""),
    ]
    if message.type == "mms":
        params.append(("Body", text))
    if media_urls:
        params.append(("MediaCount", str(len(media_urls))))
        params += [(f"Media{index}", url) for index, url in enumerate(media_urls, first_media_index)]
    return params


def storable(text: str) -> str:
    """Return what somebody wrote without what neither a database nor a form can hold."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


CONTENT: Final = frozenset({"Text", "Body"})
"""Parameters that hold what somebody wrote."""


def missing_inbound_params(params: Mapping[str, str]) -> list[str]:
    """Name the parameters by which a request brings no message: missing ones, and the mark of a status callback."""
    return [*(name for name in REQUIRED if not params.get(name)), *(name for name in ("Status",) if name in params)]


def read_inbound(params: Mapping[str, str]) -> StatusReport:
    """Read a callback that brings a message and has all of ``REQUIRED``: it was received."""
    units = params.get("Units", "")
    return StatusReport(
        message_uuid=params["MessageUUID"],
        status="received",
        from_number=params["From"],
        to_number=params["To"],
        sequence=None,
        error_code=params.get("ErrorCode") or None,
        mcc=None,
        mnc=None,
        units=int(units) if units.isascii() and units.isdigit() and len(units) <= 9 else None,
        total_amount=params.get("TotalAmount") or None,
    )
