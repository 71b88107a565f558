"""What a connector - our link to a carrier - must do, whatever protocol it speaks.

Behaviour of every driver:

- ``submit`` hands over one message and answers as soon as the carrier has. It never raises for something
  the carrier or the link did: every ending has an outcome.
- A driver that splits a message into parts names each part that the carrier took. Once one part is out it sends the
  others too: what becomes of them is in the outcome, never a second ``submit``.
- ``Unknown`` is only for what may have reached the carrier. What certainly did not is ``Deferred``.
- A receipt is offered to the sink given to ``deliver_receipts_to``; it counts as taken when the sink returns, and is
  acknowledged to the carrier only then. A sink that raises has not taken it: it is offered again.
- An inbound message is offered to the sink given to ``deliver_inbound_to``; it is acknowledged or refused as the answer
  says. A sink that raises has not decided: the message is offered again.
- Receipts may come before the answer to their submission, twice, late or never; of a message of several parts, one for
  each part, in any order.
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
    expires_at_us: int | None = None
    """When it is of no use any more, for carriers that can be told; UTC microseconds since 1970."""


class PartRejected(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier took another part of the message, but not this one."""

    part: int
    """Its number, from 1."""
    error_code: str
    """Plivo's code."""
    detail: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier has taken the message, or at least one part of it."""

    carrier_refs: tuple[str, ...]
    """The carrier's name of each part, by part number: one for a message that goes as a whole. Empty text stands for a
    part that was rejected; at least one is not empty, and no two that are not are alike."""
    rejected: tuple[PartRejected, ...] = ()
    mcc: str | None = None
    mnc: str | None = None
    network: str | None = None
    detail: str | None = None
    """What else there is to say, for the event ``sent``."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """The carrier took nothing of it; ``error_code`` is Plivo's (contract section 3.2)."""

    error_code: str
    detail: str
    elsewhere: bool = False
    """The reason lies with this carrier, not with the message: another one may take it."""


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """Not now. Nothing was handed over."""

    retry_after_s: float
    detail: str
    reason: Literal["throttled", "down"] = "throttled"
    """``down``: the link is; nothing else that is submitted now would fare better."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """Something was sent, and nobody knows whether the carrier has it: the link broke, or no answer came in time."""

    detail: str
    taken: tuple[str, ...] = ()
    """As ``Accepted.carrier_refs``, where empty text also stands for a part of which nobody knows."""
    rejected: tuple[PartRejected, ...] = ()


SubmitOutcome = Accepted | Rejected | Deferred | Unknown


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the carrier says became of a message, or of one part of it."""

    connector: str
    carrier_ref: str
    status: Status
    """``delivered`` or ``undelivered``; ``sent`` for an intermediate receipt: on its way, nothing has ended."""
    error_code: str
    """Plivo's code; ``000`` for delivered."""
    detail: str
    """The carrier's own words."""


class Part(msgspec.Struct, frozen=True):
    """Which part of a text something is."""

    reference: int
    """What all parts of it have; others may have the same at another time."""
    number: int
    """From 1."""
    total: int


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A message from a phone to a number of ours, or a part of one: whoever takes it joins them."""

    connector: str
    carrier_ref: str | None
    """The carrier's name for it, if it has one: by that, one that is offered again is known."""
    src: str
    dst: str
    text: str
    type: str = "sms"
    """``sms`` or ``mms``."""
    media_urls: tuple[str, ...] = ()
    part: Part | None = None
    """``None`` for a whole message."""


class Taken(msgspec.Struct, frozen=True):
    """An inbound message is stored."""

    message_uuid: str
    """Empty for a part that waits for others."""


class NotTaken(msgspec.Struct, frozen=True):
    """An inbound message is refused for good: to be told to the carrier, not to be offered again."""

    reason: str


InboundAnswer = Taken | NotTaken


class Awaiting(msgspec.Struct, frozen=True, kw_only=True):
    """A message taken by the carrier of which no receipt was recorded."""

    message_uuid: str
    dst: str
    carrier_ref: str
    """Its part's, if it has several: a message has one of these for each part that is open."""
    submitted_at_us: int


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went over a link, told without numbers, texts and secrets."""

    at_us: int
    direction: Literal["out", "in"]
    what: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """How a link is, for those who operate it. Nothing here is secret."""

    state: Literal["up", "connecting", "down", "stopped"]
    since_us: int
    """When it came into this state."""
    detail: str = ""
    """Why it is not up, or what else there is to say."""
    window_used: int = 0
    """Submissions whose answer is awaited."""
    window_allowed: int | None = None
    """As many as there may be; ``None`` without a limit of the link's own."""
    rate_per_s: float = 0.0
    """Parts handed over a second, lately."""
    errors: dict[str, int] = {}
    """How often the carrier answered what, in its own words, since the process began."""
    exchanges: tuple[Exchange, ...] = ()
    """The last ones, newest last."""


ReceiptSink = Callable[[Receipt], Awaitable[None]]
InboundSink = Callable[[Inbound], Awaitable[InboundAnswer]]


class Connector(Protocol):
    """A link to a carrier. Also a ``runtime.Worker``: it lives between ``run`` and ``stop``."""

    name: str
    """The carrier's, as configured: what its receipts carry as ``connector``."""
    carries: frozenset[str]
    """The types of messages that it can take: ``sms``, ``mms``."""

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

    def snapshot(self) -> Snapshot:
        """Say how the link is; takes no time."""
        ...

    def rebind(self) -> None:
        """Drop the link and make it anew, without losing what is in hand; nothing where there is no link."""
        ...

    async def run(self) -> None:
        """Keep the link up until stopped."""
        ...

    def stop(self) -> None:
        """Take no new messages; ``run`` returns when what is in hand is finished."""
        ...
