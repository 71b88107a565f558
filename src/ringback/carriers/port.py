"""What a connector - our link to a carrier - must do, whatever protocol it speaks.

Behaviour of every driver:

- ``submit`` hands over one message and answers as soon as the carrier has. It never raises for something
  the carrier or the link did: every ending has an outcome.
- A receipt is offered to the sink given to ``deliver_receipts_to``; it counts as taken when the sink returns, and is
  acknowledged to the carrier only then. A sink that raises has not taken it: it is offered again.
- An inbound message is offered to the sink given to ``deliver_inbound_to``; it is acknowledged or refused as the answer
  says. A sink that raises has not decided: the message is offered again.
- Receipts may come before the answer to their submission, twice, late or never.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from ringback.model.status import Status


class OutboundMedia(msgspec.Struct, frozen=True, kw_only=True):
    """An image or another file that a message carries; its bytes are at ``path`` until the message has ended."""

    id: str
    content_type: str
    file_name: str
    size_bytes: int
    path: Path


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """A message to hand over."""

    message_uuid: str
    src: str
    dst: str
    text: str
    type: Literal["sms", "mms"] = "sms"
    media: tuple[OutboundMedia, ...] = ()


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier has taken the message and named it ``carrier_ref``."""

    carrier_ref: str
    mcc: str | None = None
    mnc: str | None = None
    network: str | None = None
    detail: str | None = None
    """What else there is to say, for the event ``sent``."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier will not take it; ``error_code`` is Plivo's (contract section 3.2)."""

    error_code: str
    detail: str


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """Not now: throttled, or the link is down. Nothing was handed over."""

    retry_after_s: float
    detail: str


SubmitOutcome = Accepted | Rejected | Deferred


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier says became of a message."""

    connector: str
    carrier_ref: str
    status: Status
    """``delivered`` or ``undelivered``."""
    error_code: str
    """Plivo's code; ``000`` for delivered."""
    detail: str
    """The carrier's own words."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A message from a phone to a number of ours, whole: its parts are joined."""

    connector: str
    carrier_ref: str | None
    """The carrier's name for it, if it has one: by that, one that is offered again is known."""
    src: str
    dst: str
    text: str
    type: str = "sms"
    """``sms`` or ``mms``."""
    media_urls: tuple[str, ...] = ()


class Taken(msgspec.Struct, frozen=True):
    """An inbound message is stored."""

    message_uuid: str


class NotTaken(msgspec.Struct, frozen=True):
    """An inbound message is refused for good: to be told to the carrier, not to be offered again."""

    reason: str


InboundAnswer = Taken | NotTaken


class Awaiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message taken by the carrier of which no receipt was recorded."""

    message_uuid: str
    dst: str
    carrier_ref: str
    submitted_at_us: int


ReceiptSink = Callable[[Receipt], Awaitable[None]]
InboundSink = Callable[[Inbound], Awaitable[InboundAnswer]]


class Connector(Protocol):
    """A link to a carrier. Also a ``runtime.Worker``: it lives between ``run`` and ``stop``."""

    name: str

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Hand over one message."""
        ...

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """Name the taker of receipts; called once, before ``run``."""
        ...

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """Name the taker of inbound messages; called once, before ``run``."""
        ...

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Take note of messages handed over before a restart, for a carrier that must be asked about them."""
        ...

    async def run(self) -> None:
        """Keep the link up until stopped."""
        ...

    def stop(self) -> None:
        """Take no new messages; ``run`` returns when what is in hand is finished."""
        ...
