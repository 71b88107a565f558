"""What follows from the answers of a carrier: recorded for many messages in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ringback.carriers.port import Accepted, Deferred, Rejected, SubmitOutcome, Unknown
from ringback.messaging import lane
from ringback.messaging.parts import PartBook, parts_of, told
from ringback.messaging.progress import Change, Progress
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.parts import Part
from ringback.model.routes import Route
from ringback.model.status import Status
from ringback.routing.choose import Try
from ringback.routing.chooser import Chooser
from ringback.store import credit, messages, parts, submissions
from ringback.store.port import Transaction
from ringback.store.submissions import UNROUTED, EarlyReceipt, Submission

EXPIRED: Final = "420"
"""Plivo's code for a message that waited longer than its ``message_expiry``."""
MOST_HANDOVERS: Final = 3
"""A message is handed over no more often than this while nobody knows what becomes of it: each time may cost money."""
AGAIN_AFTER_US: Final = 1_000_000
REROUTED: Final = "rerouted"
UNKNOWN: Final = "unknown"
"""Flags of events that say where a message goes next, or that nobody knows whether the carrier has it."""


class Answer(msgspec.Struct, frozen=True):
    """What a carrier said to one submission."""

    submission: Submission
    outcome: SubmitOutcome | None
    """``None`` when the message expired before it could be handed over."""
    at_us: int
    is_ours: bool = False
    """The outcome was decided here, before any carrier was asked: no other one would fare better."""


class Recorded(msgspec.Struct):
    """What was done, for the metrics."""

    judged: Counter[tuple[Status, str]]
    rerouted: int = 0
    resubmitted: int = 0
    waiting: int = 0


class Recorder:
    """One transaction's worth of answers of one connector."""

    def __init__(self, tx: Transaction, *, connector: str, chooser: Chooser, new_id: NewId) -> None:
        self._tx = tx
        self._connector = connector
        self._chooser = chooser
        self._progress = Progress(new_id)
        self._book = PartBook(self._progress)
        self._put_back: list[dict[str, Any]] = []
        self._finished: list[str] = []
        self._whole: dict[str, Message] = {}
        self._in_parts: dict[str, str] = {}
        self._parts: list[Part] = []
        self._expecting: dict[str, int] = {}
        self._charges: Counter[str] = Counter()
        self._done = Recorded(self._progress.judged)

    def record(self, answers: Sequence[Answer]) -> Recorded:
        """Store everything that follows from those answers whose submissions are still held."""
        held = submissions.held(self._tx, [answer.submission for answer in answers])
        valid = [answer for answer, is_held in zip(answers, held, strict=True) if is_held]
        current = messages.by_uuid(self._tx, [answer.submission.message_uuid for answer in valid], lock=True)
        for answer in valid:
            self._judge(answer, current[answer.submission.message_uuid])
        self._apply_early_receipts()
        submissions.finish(self._tx, self._finished)
        submissions.put_back(self._tx, self._put_back)
        if self._parts:
            parts.replace(self._tx, sorted({part.message_uuid for part in self._parts}), self._parts)
            self._book.write(self._tx)
        parts.await_receipts(self._tx, self._expecting)
        self._progress.write(self._tx)
        credit.charge(self._tx, self._charges, now_us=max((answer.at_us for answer in valid), default=0))
        return self._done

    def _judge(self, answer: Answer, message: Message) -> None:
        match answer.outcome:
            case Accepted() as accepted:
                self._sent(answer, message, accepted)
            case Deferred() as deferred:
                self._later(answer, message, deferred)
            case Rejected() as rejected:
                if not self._went_elsewhere(answer, message, rejected):
                    self._fail(answer, message, rejected.error_code, rejected.detail)
            case Unknown() as unknown:
                if not self._goes_again(answer, message, unknown):
                    self._done.waiting += 1
                    self._sent(answer, message, unknown)
            case None:
                self._fail(answer, message, EXPIRED, "expired in queue")

    def _sent(self, answer: Answer, message: Message, outcome: Accepted | Unknown) -> None:
        uuid = message.uuid
        its_parts = parts_of(uuid, self._connector, outcome)
        refs = outcome.carrier_refs if isinstance(outcome, Accepted) else outcome.taken
        after = self._progress.change(message, self._sent_change(answer, outcome, None if its_parts else refs))
        self._finished.append(uuid)
        if answer.submission.price is not None:
            self._charges[answer.submission.account_id] += answer.submission.price
        if not its_parts:
            if refs:
                self._whole[refs[0]] = after
        else:
            self._parts += its_parts
            self._book.know(after, its_parts)
            self._in_parts |= {ref: uuid for ref in refs if ref}
            if outcome.rejected:
                what = "; ".join(f"part {each.part} was rejected: {each.detail}" for each in outcome.rejected)
                self._book.settle(uuid, Change(status=Status.UNDELIVERED, at_us=answer.at_us, detail=what))
        route = self._route(answer)
        if route is not None and route.receipt_timeout_s:
            self._expecting[uuid] = answer.at_us + route.receipt_timeout_s * 1_000_000

    def _sent_change(self, answer: Answer, outcome: Accepted | Unknown, refs: tuple[str, ...] | None) -> Change:
        detail = told(outcome)
        if isinstance(outcome, Unknown):
            detail = f"nobody knows whether the carrier has it: {detail}"
        change = Change(
            status=Status.SENT,
            at_us=answer.at_us,
            connector=self._connector,
            carrier_ref=refs[0] or None if refs else None,
            route=answer.submission.route,
            detail=detail,
        )
        if isinstance(outcome, Unknown):
            return change
        return msgspec.structs.replace(change, mcc=outcome.mcc, mnc=outcome.mnc, network=outcome.network)

    def _fail(self, answer: Answer, message: Message, code: str, detail: str) -> None:
        route = answer.submission.route
        failed = Change(status=Status.FAILED, at_us=answer.at_us, error_code=code, detail=detail, route=route)
        self._progress.change(message, failed)
        self._finished.append(message.uuid)

    def _later(self, answer: Answer, message: Message, deferred: Deferred) -> None:
        submission = answer.submission
        tried = lane.tries(submission)
        now = [*tried, Try(submission.route or "", "deferred")]
        other = self._chooser.elsewhere(lane.facts(submission), now, answer.at_us, but=self._connector)
        if other is not None:
            self._reroute(answer, message, other, now, deferred.detail)
            return
        due_at_us = answer.at_us + round(deferred.retry_after_s * 1_000_000)
        rejected = [each for each in tried if each.why == "rejected"]
        self._back(answer, due_at_us=due_at_us, route=None, tried=rejected, attempts=1)

    def _went_elsewhere(self, answer: Answer, message: Message, rejected: Rejected) -> bool:
        route = self._route(answer)
        codes = route.failover_codes if route is not None else ()
        if answer.is_ours or not (rejected.elsewhere or rejected.error_code in codes):
            return False
        submission = answer.submission
        tried = [*lane.tries(submission), Try(submission.route or "", "rejected")]
        other = self._chooser.choose(lane.facts(submission), tried, answer.at_us)
        if other is None:
            return False
        self._reroute(answer, message, other, tried, f"code {rejected.error_code}: {rejected.detail}")
        return True

    def _goes_again(self, answer: Answer, message: Message, unknown: Unknown) -> bool:
        route = self._route(answer)
        submission = answer.submission
        is_over = submission.unknowns + 1 >= MOST_HANDOVERS or submission.expires_at_us <= answer.at_us
        if answer.is_ours or is_over or (route is not None and route.on_unknown == "wait"):
            return False
        detail = f"nobody knows whether the carrier has it, it is handed over again: {told(unknown)}"
        self._progress.remark(message, flag=UNKNOWN, at_us=answer.at_us, detail=detail)
        due_at_us = answer.at_us + AGAIN_AFTER_US
        self._back(answer, due_at_us=due_at_us, route=None, tried=lane.tries(submission), unknowns=1)
        self._done.resubmitted += 1
        return True

    def _reroute(self, answer: Answer, message: Message, other: Route, tried: list[Try], why: str) -> None:
        detail = f"route {answer.submission.route} by {self._connector}: {why}; next is route {other.name}"
        self._progress.remark(message, flag=REROUTED, at_us=answer.at_us, detail=detail)
        self._back(answer, due_at_us=answer.at_us, route=other, tried=tried, attempts=1)
        self._done.rerouted += 1

    def _back(
        self,
        answer: Answer,
        *,
        due_at_us: int,
        route: Route | None,
        tried: list[Try],
        attempts: int = 0,
        unknowns: int = 0,
    ) -> None:
        submission = answer.submission
        self._put_back.append(
            {
                "message_uuid": submission.message_uuid,
                "due_at_us": due_at_us,
                "attempts_made": submission.attempts_made + attempts,
                "carrier": route.carrier if route else UNROUTED,
                "route": route.name if route else None,
                "tried": msgspec.json.encode(tried).decode() if tried else None,
                "unknowns": submission.unknowns + unknowns,
            }
        )

    def _apply_early_receipts(self) -> None:
        refs = [*self._whole, *self._in_parts]
        if not refs:
            return
        for receipt in submissions.take_early_receipts(self._tx, self._connector, refs):
            if receipt.carrier_ref in self._in_parts:
                uuid = self._in_parts[receipt.carrier_ref]
                self._book.take(uuid, receipt.carrier_ref, _change(receipt, self._book.message(uuid)))
            else:
                message = self._whole[receipt.carrier_ref]
                self._whole[receipt.carrier_ref] = self._progress.change(message, _change(receipt, message))

    def _route(self, answer: Answer) -> Route | None:
        return self._chooser.table().route(answer.submission.route)


def _change(receipt: EarlyReceipt, message: Message) -> Change:
    return Change(
        status=Status(receipt.status),
        # It came first, but the message is delivered no sooner than it is sent.
        at_us=max(receipt.at_us, message.updated_at_us),
        error_code=receipt.error_code,
        detail=receipt.detail,
    )
