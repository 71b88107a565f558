"""A carrier that exists only in this process and behaves as a script says.

``submit`` waits as long as the message's fate says, and answers. Receipts lie in a heap until they are due; one
loop sleeps until the first of them and offers what is due to the sink, a bounded number at a time. Nothing is
kept beyond the process: what was pending when it ended is worked out anew by ``resume``. (Of a message whose
first receipt is recorded, ``resume`` is not told: duplicates still to come at a restart do not come.)
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from ringback.carriers.port import (
    Accepted,
    Awaiting,
    Deferred,
    Inbound,
    InboundAnswer,
    InboundSink,
    Outbound,
    Receipt,
    ReceiptSink,
    Rejected,
    Snapshot,
    SubmitOutcome,
)
from ringback.carriers.simulator.fate import MICRO, Fate, Said, answer_now, carrier_ref, decide, due_times_us
from ringback.carriers.simulator.networks import network_of
from ringback.carriers.simulator.rules import Accept, NoAnswer, Reject, Throttle
from ringback.carriers.simulator.schedule import Schedule
from ringback.carriers.simulator.script import Script
from ringback.dialect.codes import meaning
from ringback.model.errors import TryLater
from ringback.model.status import Status
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.carriers.simulator")

NAME: Final = "simulator"
CONCURRENCY: Final = 256
"""Receipts offered to the sink at once."""
LEAST_FREE: Final = 64
"""When all places were taken, offering goes on once so many are free, so that the sink sees batches."""
OFFER_AGAIN_S: Final = 1.0
"""Pause before a receipt that was not taken is offered again; ``speed`` does not shorten it."""
RESUME_SPREAD_S: Final = 2.0
"""After a restart, overdue receipts come within this time; ``speed`` does not shorten it."""
GRAIN_S: Final = 0.005
"""The loop sleeps no shorter than this: receipts due close together go out together."""
REMEMBERED_DEFERRALS: Final = 100_000
"""Messages put off are counted; of those that expire nobody tells us, so the oldest are forgotten."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""


class SimulatedCarrier:
    """Implements ``carriers.port.Connector``.

    ``seed`` and ``script`` decide what becomes of each message. ``speed`` divides all times of the script.
    """

    carries = frozenset({"sms", "mms"})

    def __init__(
        self,
        *,
        clock: Clock,
        script: Script,
        seed: int,
        speed: float,
        sleep: Sleep = asyncio.sleep,
        name: str = NAME,
    ) -> None:
        self.name = name
        self._clock = clock
        self._begun_at_us = clock.now_us()
        self._submitting = 0
        self._errors: Counter[str] = Counter()
        self._script = script
        self._seed = seed
        self._speed = speed
        self._sleep = sleep
        self._sink: ReceiptSink = _nobody
        self._inbound_sink: InboundSink = _nobody_inbound
        self._schedule = Schedule()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._deferrals: dict[str, int] = {}
        self._offer_from_us = 0
        self._wake = asyncio.Event()
        self._stopping = False

    def deliver_receipts_to(self, sink: ReceiptSink) -> None:
        """Name the taker of receipts."""
        self._sink = sink

    def deliver_inbound_to(self, sink: InboundSink) -> None:
        """Name the taker of inbound messages."""
        self._inbound_sink = sink

    async def bring(self, inbound: Inbound) -> InboundAnswer:
        """Offer a message from a phone now. Raises what the taker raises: then it is to be offered again."""
        return await self._inbound_sink(inbound)

    def pending(self) -> int:
        """How many receipts are still to come, those being offered included."""
        return len(self._schedule) + len(self._in_hand)

    def snapshot(self) -> Snapshot:
        """Say how many submissions are in hand, and how often it said no."""
        return Snapshot(
            state="stopped" if self._stopping else "up",
            since_us=self._begun_at_us,
            detail="simulated: there is no link",
            window_used=self._submitting,
            errors=dict(self._errors),
        )

    def rebind(self) -> None:
        """Do nothing: there is no link."""

    async def submit(self, message: Outbound) -> SubmitOutcome:
        """Answer as the script says; never raises."""
        self._submitting += 1
        try:
            outcome = await self._answer(message)
        finally:
            self._submitting -= 1
        if not isinstance(outcome, Accepted):
            self._errors[outcome.detail] += 1
        return outcome

    async def _answer(self, message: Outbound) -> SubmitOutcome:
        if self._stopping:
            return Deferred(retry_after_s=1.0, detail="the simulated carrier is stopping", reason="down")
        ref = carrier_ref(self._seed, message.message_uuid)
        fate = decide(self._seed, ref, self._script.rule_for(message.dst))
        if not all(media.path.is_file() for media in message.media):
            return Rejected(error_code="10", detail="rejected: a file of the message is missing")
        match answer_now(fate.answer, self._deferrals.get(message.message_uuid, 0)):
            case Accept():
                return await self._accept(message, ref, fate)
            case Reject(code=code):
                await self._pass_time(fate.answer_delay_s)
                return Rejected(error_code=code, detail=f"rejected: {meaning(code)}")
            case Throttle(retry_after_s=retry_after_s):
                await self._pass_time(fate.answer_delay_s)
                detail = "throttled"
            case NoAnswer(retry_after_s=retry_after_s, timeout_s=timeout_s):
                await self._pass_time(timeout_s)
                detail = f"no answer within {timeout_s / self._speed:g} s"
        self._count_deferral(message.message_uuid)
        return Deferred(retry_after_s=retry_after_s / self._speed, detail=detail)

    def resume(self, awaiting: Sequence[Awaiting]) -> None:
        """Schedule the receipts that are still to come for messages taken before a restart."""
        now_us = self._clock.now_us()
        for message in awaiting:
            fate = decide(self._seed, message.carrier_ref, self._script.rule_for(message.dst))
            dues = due_times_us(
                fate,
                start_us=message.submitted_at_us,
                speed=self._speed,
                not_before_us=now_us + round(fate.jitter * RESUME_SPREAD_S * MICRO),
            )
            self._put(message.carrier_ref, dues)

    async def run(self) -> None:
        """Offer receipts when they are due, until stopped."""
        try:
            while not self._stopping:
                self._offer_due()
                await self._nap()
            while self._in_hand:
                await asyncio.wait(self._in_hand)
        except asyncio.CancelledError:
            for task in self._in_hand:
                task.cancel()
            raise

    def stop(self) -> None:
        """Take no messages and offer no receipts any more; those being offered are finished."""
        self._stopping = True
        self._wake.set()

    async def _accept(self, message: Outbound, ref: str, fate: Fate) -> Accepted:
        self._deferrals.pop(message.message_uuid, None)
        if fate.early:
            (due_us, first), *others = due_times_us(fate, start_us=self._clock.now_us(), speed=self._speed)
            await asyncio.wait([self._offer_now(due_us, self._receipt(ref, first))])
            self._put(ref, others)
            await self._pass_time(fate.answer_delay_s)
        else:
            await self._pass_time(fate.answer_delay_s)
            self._put(ref, due_times_us(fate, start_us=self._clock.now_us(), speed=self._speed))
        network = network_of(message.dst)
        detail = _carried(message)
        if network is None:
            return Accepted(carrier_refs=(ref,), detail=detail)
        return Accepted(carrier_refs=(ref,), mcc=network.mcc, mnc=network.mnc, network=network.name, detail=detail)

    async def _pass_time(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds / self._speed)

    def _count_deferral(self, message_uuid: str) -> None:
        self._deferrals[message_uuid] = self._deferrals.pop(message_uuid, 0) + 1
        if len(self._deferrals) > REMEMBERED_DEFERRALS:
            del self._deferrals[next(iter(self._deferrals))]

    def _put(self, ref: str, dues: Sequence[tuple[int, Said]]) -> None:
        for due_us, said in dues:
            self._add(due_us, self._receipt(ref, said))

    def _add(self, due_us: int, receipt: Receipt) -> None:
        if self._schedule.add(due_us, receipt):
            self._wake.set()

    def _offer_due(self) -> None:
        now_us = self._clock.now_us()
        if now_us < self._offer_from_us:
            return
        for due_us, receipt in self._schedule.due(now_us, CONCURRENCY - len(self._in_hand)):
            self._offer_now(due_us, receipt)

    def _offer_now(self, due_us: int, receipt: Receipt) -> asyncio.Task[None]:
        task = asyncio.create_task(self._offer(due_us, receipt))
        self._in_hand.add(task)
        task.add_done_callback(self._offered)
        return task

    def _receipt(self, ref: str, said: Said) -> Receipt:
        words = "DELIVRD" if said.status is Status.DELIVERED else "UNDELIV"
        return Receipt(
            connector=self.name,
            carrier_ref=ref,
            status=said.status,
            error_code=said.error_code,
            detail=f"stat:{words} err:{said.error_code:0>3}",
        )

    async def _offer(self, due_us: int, receipt: Receipt) -> None:
        try:
            await self._sink(receipt)
        except TryLater as error:
            # The taker is away, which has nothing to do with this receipt: all others wait too, and it keeps
            # its place among them.
            now_us = self._clock.now_us()
            if now_us >= self._offer_from_us:
                self._offer_from_us = now_us + round(OFFER_AGAIN_S * MICRO)
                log.warning("receipts_not_taken", error=str(error), pause_s=OFFER_AGAIN_S)
            self._add(due_us, receipt)
        except Exception:
            # Boundary: a defect of the taker met with one receipt must not end the link.
            log.exception("receipt_not_taken", carrier_ref=receipt.carrier_ref, pause_s=OFFER_AGAIN_S)
            self._add(self._clock.now_us() + round(OFFER_AGAIN_S * MICRO), receipt)

    def _offered(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if len(self._in_hand) == CONCURRENCY - LEAST_FREE:
            self._wake.set()

    async def _nap(self) -> None:
        self._wake.clear()
        next_due_at_us = self._schedule.next_due_at_us()
        if next_due_at_us is None or len(self._in_hand) > CONCURRENCY - LEAST_FREE:
            await self._wake.wait()
            return
        wait_us = max(next_due_at_us, self._offer_from_us) - self._clock.now_us()
        timer = asyncio.create_task(self._wake_after(max(wait_us / MICRO, GRAIN_S)))
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _wake_after(self, seconds: float) -> None:
        await self._sleep(seconds)
        self._wake.set()


def _carried(message: Outbound) -> str | None:
    if message.type == "sms":
        return None
    types = ", ".join(media.content_type for media in message.media) or "none"
    return f"mms with {sum(media.size_bytes for media in message.media)} bytes of media: {types}"


async def _nobody(_: Receipt) -> None:
    raise TryLater("nobody takes receipts yet")


async def _nobody_inbound(_: Inbound) -> InboundAnswer:
    raise TryLater("nobody takes inbound messages yet")
