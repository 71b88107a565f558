"""Messages to test with."""

from typing import Any

import msgspec

from ringback.model.message import Message

QUEUED_AT_US = 1_764_000_000_000_000

TEMPLATE = Message(
    uuid="019ab000-0000-7000-8000-000000000001",
    account_id="MAAAAAAAAAAAAAAAAAAA",
    direction="outbound",
    type="sms",
    src="15005550100",
    dst="14155550123",
    text="hello",
    encoding="gsm7",
    units=1,
    rate="0.00550",
    log="true",
    trackable=False,
    callback_url="http://127.0.0.1:9/status",
    callback_method="POST",
    requester_ip="127.0.0.1",
    country="US",
    status="queued",
    sequence=1,
    queued_at_us=QUEUED_AT_US,
    updated_at_us=QUEUED_AT_US,
)


def message(**changes: Any) -> Message:
    """Make a queued message, with changes."""
    return msgspec.structs.replace(TEMPLATE, **changes)


def message_uuid(number: int) -> str:
    """Make a uuid that sorts by ``number``."""
    return f"019ab000-0000-7000-8000-{number:012d}"
