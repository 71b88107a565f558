"""Messages and their events. Times are UTC microseconds since 1970."""

from typing import Final

import msgspec

INBOUND_REF: Final = "mo:"
"""Stands before what a carrier calls an inbound message, apart from the names of messages that were sent through it."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it stands; the store keeps it field by field."""

    uuid: str
    account_id: str
    direction: str
    type: str
    src: str
    dst: str
    text: str | None
    encoding: str
    units: int
    rate: str
    carrier_fees_rate: str | None = None
    log: str
    trackable: bool
    callback_url: str | None
    callback_method: str
    callback_retry_delays: str | None = None
    """The retry plan that was asked for with it, as stored (``model.retry``)."""
    requester_ip: str
    country: str
    powerpack_uuid: str | None = None
    """The powerpack that chose ``src``."""
    status: str
    sequence: int
    error_code: str | None = None
    connector: str | None = None
    carrier_ref: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    network: str | None = None
    route: str | None = None
    """By which it was sent, or would have been."""
    receipts_asked: str | None = None
    """Who is owed receipts over SMPP, and of what, as stored (``model.receipts_asked``)."""
    queued_at_us: int
    sent_at_us: int | None = None
    final_at_us: int | None = None
    updated_at_us: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One status change, or a flagged report that changed nothing."""

    id: int
    message_uuid: str
    account_id: str
    sequence: int
    status: str
    flag: str
    at_us: int
    error_code: str | None
    detail: str | None
