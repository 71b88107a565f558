"""Handing queued messages to their carrier, and recording what it answered.

A submission is leased, handed over, and removed in the transaction that stores the answer. A process that
dies in between leaves a lease that runs out; the message is then handed over again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from ringback.carriers.port import (
    Accepted,
    Awaiting,
    Connector,
    Deferred,
    Outbound,
    OutboundMedia,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from ringback.messaging import mms
from ringback.messaging.progress import Change, Progress
from ringback.messaging.refusal import Refusal
from ringback.messaging.screen import screen
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.status import Flag, Status
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import MessagingSettings
from ringback.store import credit, messages, submissions
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.submissions import Submission
from ringback.store.wakeups import Wakeups

EXPIRED = "420"
"""Plivo's code for a message that waited longer than its ``message_expiry``."""

RESUME_LIMIT = 100_000
BATCH: Final = POLITE_BATCH // 2
"""Submissions of one write. Each one changes a message and makes a callback owed: twice the work of other writes."""

_WORDS = {Accepted: "accepted", Rejected: "rejected", Deferred: "deferred", Unknown: "unknown", type(None): "expired"}
"""What metrics call the outcomes."""


class _Answer(msgspec.Struct, frozen=True):
    submission: Submission
    outcome: SubmitOutcome | None
    """``None`` when the message expired before it could be handed over."""
    at_us: int


class Turn(msgspec.Struct, frozen=True):
    """A message to be handed over, or the reason why it fails."""

    submission: Submission
    refusal: Refusal | None
    media: tuple[OutboundMedia, ...] = ()


class Submitter:
    """Moves submissions through a connector."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        settings: MessagingSettings,
        connector: Connector,
        metrics: Metrics,
        media_path: Callable[[str], Path] = Path,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._connector = connector
        self._metrics = metrics
        self._media_path = media_path
        self._answers: Batcher[_Answer, None] = Batcher(
            self._record, max_weight=BATCH, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[Turn]:
        """Return the worker that does the submitting."""
        return WorkLoop(
            "submit",
            claim=self.claim,
            work=self.submit,
            hint=self._wakeups.listen("submissions"),
            capacity=self._settings.concurrency,
            retry_on=StoreUnavailable,
        )

    async def resume(self) -> None:
        """Tell the connector which messages it took before a restart and has not reported on."""
        open_ones = await self._store.read(
            lambda tx: messages.awaiting_receipt(tx, self._connector.name, limit=RESUME_LIMIT)
        )
        self._connector.resume(
            [
                Awaiting(
                    message_uuid=message.uuid,
                    dst=message.dst,
                    carrier_ref=message.carrier_ref or "",
                    submitted_at_us=message.sent_at_us or message.queued_at_us,
                )
                for message in open_ones
            ]
        )

    async def claim(self, limit: int) -> tuple[Sequence[Turn], float | None]:
        """Lease submissions that are due; also returns the seconds until the next one is."""
        now_us = self._clock.now_us()
        lease_until_us = now_us + round(self._settings.submit_lease_s * 1_000_000)
        token = self._new_id(now_us)

        def work(tx: Transaction) -> tuple[list[Turn], int | None]:
            leased = submissions.claim(
                tx, now_us=now_us, lease_until_us=lease_until_us, lease_token=token, limit=min(limit, BATCH)
            )
            refused = screen(tx, leased, now_us=now_us)
            # One whose time is over fails for that, with or without its media.
            alive = [submission for submission in leased if submission.expires_at_us > now_us]
            carried, unusable = mms.gather(tx, alive, self._media_path)
            refused = unusable | refused
            turns = [Turn(each, refused.get(each.message_uuid), carried.get(each.message_uuid, ())) for each in leased]
            return turns, submissions.next_due_at_us(tx)

        turns, next_due_at_us = await self._store.write(work, durable=False)
        return turns, None if next_due_at_us is None else (next_due_at_us - now_us) / 1_000_000

    async def submit(self, turn: Turn) -> None:
        """Hand one message over and record the answer."""
        outcome: SubmitOutcome | None = None
        submission = turn.submission
        if turn.refusal is not None:
            outcome = Rejected(error_code=turn.refusal.error_code, detail=turn.refusal.detail)
        elif submission.expires_at_us > self._clock.now_us():
            outcome = await self._connector.submit(
                Outbound(
                    message_uuid=submission.message_uuid,
                    src=submission.src,
                    dst=submission.dst,
                    text=submission.text,
                    type="sms" if submission.media is None else "mms",
                    media=turn.media,
                    expires_at_us=submission.expires_at_us,
                )
            )
        await self._answers.submit(_Answer(submission, outcome, self._clock.now_us()))

    async def _record(self, answers: list[_Answer]) -> Sequence[None]:
        work = partial(_record, answers=answers, connector=self._connector.name, new_id=self._new_id)
        # The carrier has the messages: forgetting its answer would send them twice.
        judged = await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)
        for answer in answers:
            self._metrics.submissions.add(_WORDS[type(answer.outcome)])
        for (status, flag), count in judged.items():
            if not flag:
                self._metrics.status_changes.add(status.value, count=count)
        self._wakeups.signal("callbacks")
        self._wakeups.signal("events")
        return [None] * len(answers)


def _record(tx: Transaction, *, answers: list[_Answer], connector: str, new_id: NewId) -> Counter[tuple[Status, Flag]]:
    held = submissions.held(tx, [answer.submission for answer in answers])
    valid = [answer for answer, is_held in zip(answers, held, strict=True) if is_held]
    current = messages.by_uuid(tx, [answer.submission.message_uuid for answer in valid], lock=True)
    progress = Progress(new_id)
    finished: list[str] = []
    put_back = []
    taken: dict[str, Message] = {}
    charges: Counter[str] = Counter()
    for answer in valid:
        uuid = answer.submission.message_uuid
        match answer.outcome:
            case Deferred(retry_after_s=pause_s):
                put_back.append(
                    {
                        "message_uuid": uuid,
                        "due_at_us": answer.at_us + round(pause_s * 1_000_000),
                        "attempts_made": answer.submission.attempts_made + 1,
                    }
                )
                continue
            case Unknown():
                put_back.append(
                    {
                        "message_uuid": uuid,
                        "due_at_us": answer.at_us,
                        "attempts_made": answer.submission.attempts_made + 1,
                    }
                )
                continue
            case Accepted() as accepted:
                after = progress.change(current[uuid], _sent(accepted, connector, answer.at_us))
                taken[accepted.carrier_refs[-1]] = after
                if answer.submission.price is not None:
                    charges[answer.submission.account_id] += answer.submission.price
            case Rejected(error_code=code, detail=detail):
                failed = Change(status=Status.FAILED, at_us=answer.at_us, error_code=code, detail=detail)
                progress.change(current[uuid], failed)
            case None:
                expired = Change(
                    status=Status.FAILED, at_us=answer.at_us, error_code=EXPIRED, detail="expired in queue"
                )
                progress.change(current[uuid], expired)
        finished.append(uuid)
    _apply_early_receipts(tx, progress, connector, taken)
    submissions.finish(tx, finished)
    submissions.put_back(tx, put_back)
    progress.write(tx)
    credit.charge(tx, charges, now_us=max((answer.at_us for answer in valid), default=0))
    return progress.judged


def _sent(accepted: Accepted, connector: str, at_us: int) -> Change:
    return Change(
        status=Status.SENT,
        at_us=at_us,
        connector=connector,
        carrier_ref=accepted.carrier_refs[-1],
        mcc=accepted.mcc,
        mnc=accepted.mnc,
        network=accepted.network,
        detail=accepted.detail,
    )


def _apply_early_receipts(tx: Transaction, progress: Progress, connector: str, taken: dict[str, Message]) -> None:
    if not taken:
        return
    for receipt in submissions.take_early_receipts(tx, connector, list(taken)):
        message = taken[receipt.carrier_ref]
        taken[receipt.carrier_ref] = progress.change(
            message,
            Change(
                status=Status(receipt.status),
                # It came first, but the message is delivered no sooner than it is sent.
                at_us=max(receipt.at_us, message.updated_at_us),
                error_code=receipt.error_code,
                detail=receipt.detail,
            ),
        )
