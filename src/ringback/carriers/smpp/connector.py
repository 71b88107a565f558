"""Binds to an SMSC as a connector: messages as parts, answers as outcomes, what comes in to its takers."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeGuard

import msgspec
import structlog

from ringback.carriers.port import (
    Accepted,
    Awaiting,
    Deferred,
    Inbound,
    InboundAnswer,
    InboundSink,
    Outbound,
    PartRejected,
    Receipt,
    ReceiptSink,
    Rejected,
    Snapshot,
    SubmitOutcome,
    Taken,
    Unknown,
)
from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import LAST, Answer, Busy, Connection, Down, Lost, Outcome
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.link import Link, LinkSettings
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import Body, DataSm, MessageResp, Pdu, ShortMessage
from ringback.carriers.smpp.receipts import CarrierReceipt, IdFormat, Reading, canonical
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.model.errors import FieldTooLong, TryLater
from ringback.model.status import Status
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.smpp")

DOWN_PAUSE_S: Final = 1.0
TROUBLED_PAUSE_S: Final = 5.0
"""After an answer that says that the peer is in trouble, not the message."""
REST_WITHIN_S: Final = 30.0
"""For so long parts are tried again of which others were taken: shorter than a submission's lease."""

TROUBLES: Final = frozenset({names.SYSTEM_ERROR, names.TEMPORARY_ERROR})
CODES: Final[Mapping[int, str]] = {
    0x01: "110", 0x0A: "40", 0x48: "40", 0x49: "40", 0x0B: "50", 0x50: "50", 0x51: "50", 0x61: "10", 0x62: "10",
    0x100: "100", 0x101: "100", 0x103: "100",
}  # fmt: skip
"""Codes (contract section 3.2) of statuses; others are ``1000``, unknown."""
STATE_CODES: Final[Mapping[str, str]] = {"EXPIRED": "80", "REJECTD": "100"}
"""Of states of receipts that come without a code that the operator has mapped; others are ``1000``."""
UNKNOWN_ERROR: Final = "1000"
NO_ROUTE: Final = "90"
_NETWORK: Final = re.compile(r"[0-9]{5,6}")
"""Three digits of MCC and two or three of MNC."""


class Statuses(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer's answers other than ``ESME_ROK`` mean, throttling apart."""

    codes: Mapping[int, str] = msgspec.field(default_factory=lambda: CODES)
    troubles: frozenset[int] = TROUBLES
    """The peer is in trouble, not the message: it is tried again."""


class SmppConnector:
    """One carrier over one or more binds."""

    carries = frozenset({"sms"})

    def __init__(
        self,
        *,
        links: Sequence[LinkSettings],
        shape: Shape,
        clock: Clock,
        chance: Callable[[], float],
        submitted_ids: IdFormat = "text",
        reading: Reading = Reading(),  # noqa: B008 - a frozen value
        statuses: Statuses | None = None,
        error_codes: Mapping[str, str] | None = None,
        network_tag: int = 0,
        name: str,
    ) -> None:
        """``error_codes`` maps codes of receipts, without leading zeros, to those of callbacks.

        ``network_tag`` is that of the parameter of answers that has MCC and MNC, 0 where none has.
        """
        self.name = name
        self._shape = shape
        self._clock = clock
        self._submitted_ids: IdFormat = submitted_ids
        self._reading = reading
        self._statuses = statuses or Statuses()
        self._error_codes = dict(error_codes or {})
        self._links = [
            Link(each, name=f"{name}-{number}", clock=clock, chance=chance, handler=self._asked)
            for number, each in enumerate(links, 1)
        ]
        self._network_tag = network_tag
        self._turns = itertools.count()
        self._receipts: ReceiptSink = _nobody
        self._inbound: InboundSink = _nobody_inbound
        self._stopping = False

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """Name the taker of receipts."""
        self._receipts = sink

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """Name the taker of inbound messages."""
        self._inbound = sink

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Do nothing: the carrier sends receipts by itself."""

    def snapshot(self) -> Snapshot:
        """Say how the binds are, all in one."""
        states = [link.snapshot() for link in self._links]
        best = min(states, key=lambda state: ("up", "connecting", "down", "stopped").index(state.state))
        errors: Counter[str] = Counter()
        for state in states:
            errors.update(state.errors)
        told = sorted((each for state in states for each in state.exchanges), key=lambda each: each.at_us)
        return Snapshot(
            state=best.state,
            since_us=best.since_us,
            detail="; ".join(
                f"{link.name} {state.state}: {state.detail}" for link, state in zip(self._links, states, strict=True)
            ),
            window_used=sum(state.window_used for state in states),
            window_allowed=sum(state.window_allowed or 0 for state in states),
            rate_per_s=sum(state.rate_per_s for state in states),
            errors=dict(errors),
            exchanges=tuple(told[-LAST:]),
        )

    def rebind(self) -> None:
        """Make every bind anew."""
        for link in self._links:
            link.rebind()

    async def run(self) -> None:
        """Keep the binds up until stopped."""
        await asyncio.gather(*(link.run() for link in self._links))

    def stop(self) -> None:
        """Take no new messages; what is outstanding is still answered."""
        self._stopping = True
        for link in self._links:
            link.stop()

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Hand over one message, all parts over one bind."""
        if message.type not in self.carries:
            return Rejected(error_code=NO_ROUTE, detail=f"this carrier takes no {message.type.upper()}", elsewhere=True)
        link = self._next_link()
        if link is None:
            return Deferred(retry_after_s=DOWN_PAUSE_S, detail=self._links[0].snapshot().detail, reason="down")
        valid_s = None
        if message.expires_at_us is not None:
            valid_s = max((message.expires_at_us - self._clock.now_us()) // 1_000_000, 1)
        bodies = shaped(
            uuid=message.message_uuid,
            src=message.src,
            dst=message.dst,
            text=message.text,
            shape=self._shape,
            valid_s=valid_s,
            now_us=self._clock.now_us(),
        )
        try:
            outcomes = await self._send(link, bodies)
        except FieldTooLong as error:
            return Rejected(error_code="10", detail=str(error))
        outcome = judge(
            outcomes,
            self._submitted_ids,
            uuid=message.message_uuid,
            statuses=self._statuses,
            last_only=self._shape.receipts == "last",
        )
        if self._network_tag and isinstance(outcome, Accepted):
            network = _network_in(outcomes, self._network_tag)
            return msgspec.structs.replace(outcome, mcc=network[:3] or None, mnc=network[3:] or None)
        return outcome

    # ---- out ----

    def _next_link(self) -> Link | None:
        able = [link for link in self._links if link.settings.bind != "receiver" and link.is_up.is_set()]
        if self._stopping or not able:
            return None
        return able[next(self._turns) % len(able)]

    async def _send(self, link: Link, bodies: Sequence[ShortMessage]) -> list[Outcome]:
        if len(bodies) == 1:
            return [await link.submit(Command.SUBMIT_SM, bodies[0])]
        found = await asyncio.gather(*(link.submit(Command.SUBMIT_SM, body) for body in bodies))
        until_us = self._clock.now_us() + round(REST_WITHIN_S * 1_000_000)
        # Some taken and others not: those are tried on, as half a message is of no use.
        while any(map(_took, found)) and (left := _put_off(found)) and self._clock.now_us() < until_us:
            await asyncio.sleep(_pause_s(found[left[0]]))
            for at in left:
                found[at] = await link.submit(Command.SUBMIT_SM, bodies[at])
        return found

    # ---- in ----

    async def _asked(self, _: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        body = pdu.body
        if not isinstance(body, ShortMessage | DataSm):
            return names.INVALID_COMMAND, None
        if self._reading.is_receipt(body):
            return await self._take_receipt(body), MessageResp()
        coding = self._shape.codings.standard(body.data_coding)
        text, part = text_of(msgspec.structs.replace(body, data_coding=coding), self._shape.default_coding)
        answer = await self._inbound(
            Inbound(connector=self.name, carrier_ref=None, src=body.source, dst=body.dest, text=text, part=part)
        )
        return (names.OK, MessageResp()) if isinstance(answer, Taken) else (names.PERMANENT_ERROR, None)

    async def _take_receipt(self, body: ShortMessage | DataSm) -> int:
        said = self._reading.read(body)
        if said is None:
            # Offered again, it would be no more readable.
            log.warning("smpp_receipt_not_understood", carrier=self.name)
            return names.OK
        await self._receipts(
            Receipt(
                connector=self.name,
                carrier_ref=said.message_id,
                status=said.status,
                error_code=code_of(said, self._error_codes),
                detail=f"stat:{said.state} err:{said.error or '0'}",
            )
        )
        return names.OK


def code_of(said: CarrierReceipt, error_codes: Mapping[str, str]) -> str:
    """Return the code of callbacks for what a receipt says."""
    if said.status is not Status.UNDELIVERED:
        return "000"
    return error_codes.get(said.error) or STATE_CODES.get(said.state, UNKNOWN_ERROR)


def judge(
    found: Sequence[Outcome],
    ids: IdFormat,
    *,
    uuid: str,
    statuses: Statuses = Statuses(),  # noqa: B008 - a frozen value
    last_only: bool = False,
) -> SubmitOutcome:
    """Say what became of message ``uuid`` from what became of its parts.

    A part that was taken without a name gets one of ours: its receipt will not be known, but it is not sent twice.
    With ``last_only`` a receipt was asked for with the last part alone, and is for the message.
    """
    refs = tuple(
        (canonical(each.message_id, ids) or f"unnamed {uuid} {number}") if _took(each) else ""
        for number, each in enumerate(found, 1)
    )
    rejected = tuple(
        PartRejected(
            part=number,
            error_code=statuses.codes.get(each.status, UNKNOWN_ERROR),
            detail=names.status_name(each.status),
        )
        for number, each in enumerate(found, 1)
        if isinstance(each, Answer) and each.status != names.OK
    )
    if not any(refs) and not any(isinstance(each, Lost) for each in found):
        return _judge_nothing(found, statuses)
    if sum(map(bool, refs)) + len(rejected) < len(found):
        why = next((each.detail for each in found if isinstance(each, Lost)), "other parts were not taken in time")
        return Unknown(detail=why, taken=refs, rejected=rejected)
    if len(set(refs)) < len(refs) and not rejected:
        # One name for all parts: its receipt is for the message.
        return Accepted(carrier_refs=refs[:1])
    if last_only and not rejected:
        return Accepted(carrier_refs=refs[-1:])
    return Accepted(carrier_refs=refs, rejected=rejected)


def _network_in(found: Sequence[Outcome], tag: int) -> str:
    """Return MCC and MNC as digits, where an answer has them."""
    told = (value for each in found if isinstance(each, Answer) for known, value in each.tlvs if known == tag)
    text = next(told, b"").rstrip(b"\0").decode("latin-1")
    return text if _NETWORK.fullmatch(text) else ""


def _took(outcome: Outcome) -> TypeGuard[Answer]:
    return isinstance(outcome, Answer) and outcome.status == names.OK


def _judge_nothing(found: Sequence[Outcome], statuses: Statuses) -> SubmitOutcome:
    """Say what became of a message of which certainly nothing was taken."""
    for each in found:
        if isinstance(each, Answer):
            return _refused(each.status, statuses)
    for each in found:
        if isinstance(each, Busy):
            return Deferred(retry_after_s=_pause_s(each), detail=each.detail)
    return Deferred(retry_after_s=DOWN_PAUSE_S, detail="the link is down", reason="down")


def _refused(status: int, statuses: Statuses) -> SubmitOutcome:
    detail = names.status_name(status)
    if status in statuses.troubles:
        return Deferred(retry_after_s=TROUBLED_PAUSE_S, detail=detail)
    code = statuses.codes.get(status, UNKNOWN_ERROR)
    return Rejected(error_code=code, detail=detail, elsewhere=code in {UNKNOWN_ERROR, NO_ROUTE})


def _pause_s(outcome: Outcome) -> float:
    return max(outcome.retry_after_s, 0.1) if isinstance(outcome, Busy) else DOWN_PAUSE_S


def _put_off(found: Sequence[Outcome]) -> list[int]:
    return [at for at, each in enumerate(found) if isinstance(each, Busy | Down)]


async def _nobody(_: Receipt) -> None:
    raise TryLater("nobody takes receipts yet")


async def _nobody_inbound(_: Inbound) -> InboundAnswer:
    raise TryLater("nobody takes inbound messages yet")
