"""Handing queued messages to their carrier, and recording what it answered.

A submission is leased, handed over, and removed in the transaction that stores the answer. A process that
dies in between leaves a lease that runs out, and whoever takes the message next sees that it had one: the message may
have been handed over. What happens then its route says (``on_unknown``).
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

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
from ringback.messaging.lane import Lane, Lease
from ringback.messaging.refusal import Refusal
from ringback.messaging.screen import screen
from ringback.messaging.submitted import Answer, Recorded, Recorder
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.parts import Part
from ringback.model.routes import DEFAULT, Carrier, Route, RoutingTable
from ringback.routing.chooser import Chooser
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import MessagingSettings
from ringback.store import messages, parts
from ringback.store.port import Store, Transaction
from ringback.store.submissions import Submission
from ringback.store.wakeups import Wakeups

RESUME_LIMIT = 100_000

_WORDS = {Accepted: "accepted", Rejected: "rejected", Deferred: "deferred", Unknown: "unknown", type(None): "expired"}
"""What metrics call the outcomes."""


class Turn(msgspec.Struct, frozen=True):
    """A message to be handed over, or the reason why it is not."""

    submission: Submission
    refusal: Refusal | None
    media: tuple[OutboundMedia, ...] = ()
    is_lost: bool = False
    """It may have been handed over already, and must not be twice."""


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
        chooser: Chooser | None = None,
    ) -> None:
        """Without a ``chooser``, all messages go to ``connector``."""
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._settings = settings
        self._connector = connector
        self._metrics = metrics
        self._media_path = media_path
        self._chooser = chooser or Chooser(partial(_only, connector.name))
        self._lane = Lane(connector.name, self._chooser)
        self._answers: Batcher[Answer, None] = Batcher(
            self._record, max_weight=self._batch, shared_errors=(StoreUnavailable,)
        )

    def worker(self, capacity: int | None = None) -> WorkLoop[Turn]:
        """Return the worker that does the submitting, ``capacity`` at a time instead of what the settings say."""
        return WorkLoop(
            f"submit {self._connector.name}",
            claim=self.claim,
            work=self.submit,
            hint=self._wakeups.listen("submissions"),
            capacity=capacity or self._settings.concurrency,
            retry_on=StoreUnavailable,
        )

    async def resume(self) -> None:
        """Tell the connector which messages it took before a restart and has not reported on."""

        def read(tx: Transaction) -> list[Awaiting]:
            name = self._connector.name
            whole = messages.awaiting_receipt(tx, name, limit=RESUME_LIMIT)
            in_parts = parts.awaiting_receipt(tx, name, limit=RESUME_LIMIT)
            return [_awaiting(message) for message in whole] + [_awaiting_part(*each) for each in in_parts]

        self._connector.resume(await self._store.read(read))

    async def claim(self, limit: int) -> tuple[Sequence[Turn], float | None]:
        """Lease submissions that are due; also returns the seconds until the next one is."""
        now_us = self._clock.now_us()
        lease_until_us = now_us + round(self._settings.submit_lease_s * 1_000_000)
        token = self._new_id(now_us)

        terms = Lease(token, now_us, lease_until_us, min(limit, self._batch()))

        def work(tx: Transaction) -> tuple[list[Turn], int, int | None]:
            claimed = self._lane.claim(tx, terms)
            # What may have been handed over is neither refused nor lacking anything any more.
            new = [each for each in claimed.leased if not self._lane.is_lost(each)]
            refused = screen(tx, new, now_us=now_us)
            # One whose time is over fails for that, with or without its media.
            alive = [submission for submission in new if submission.expires_at_us > now_us]
            carried, unusable = mms.gather(tx, alive, self._media_path)
            refused = claimed.refused | unusable | refused
            turns = [
                Turn(
                    each,
                    refused.get(each.message_uuid),
                    carried.get(each.message_uuid, ()),
                    is_lost=self._lane.is_lost(each),
                )
                for each in claimed.leased
            ]
            # A full batch is followed by the next one at once, whatever is due when.
            is_full = len(turns) == terms.limit
            return turns, claimed.moved, now_us if is_full else self._lane.next_due_at_us(tx)

        turns, moved, next_due_at_us = await self._store.write(work, durable=self._lane.must_be_durable())
        if moved:
            self._wakeups.signal("submissions")
        again = sum(turn.submission.was_leased and not turn.is_lost for turn in turns)
        self._metrics.unknown_outcomes.add("resubmitted", count=again)
        return turns, None if next_due_at_us is None else (next_due_at_us - now_us) / 1_000_000

    def _batch(self) -> int:
        # Each submission changes a message and makes a callback owed: twice the work of other writes.
        return self._store.background_batch() // 2

    async def submit(self, turn: Turn) -> None:
        """Hand one message over and record the answer."""
        outcome = self._decided(turn)
        is_ours = outcome is not None or turn.submission.expires_at_us <= self._clock.now_us()
        if not is_ours:
            outcome = await self._hand_over(turn)
        await self._answers.submit(Answer(turn.submission, outcome, self._clock.now_us(), is_ours))

    def _decided(self, turn: Turn) -> SubmitOutcome | None:
        """Return the outcome of what is not handed over, unless it has expired."""
        submission = turn.submission
        if turn.is_lost:
            return Unknown(detail="the process that had it ended before it recorded what became of it")
        if turn.refusal is not None:
            return Rejected(error_code=turn.refusal.error_code, detail=turn.refusal.detail)
        if submission.unknowns and submission.expires_at_us <= self._clock.now_us():
            # It cannot be said to have expired in the queue: the carrier may have it.
            return Unknown(detail=f"it was handed over {submission.unknowns} times without an answer")
        return None

    async def _hand_over(self, turn: Turn) -> SubmitOutcome:
        submission = turn.submission
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
        name, now_us = self._connector.name, self._clock.now_us()
        match outcome:
            case Deferred(retry_after_s=pause_s, reason="down"):
                self._chooser.note_down(name, now_us + round(pause_s * 1_000_000))
            case Deferred(retry_after_s=pause_s):
                self._chooser.note_throttled(name, now_us + round(pause_s * 1_000_000))
            case Accepted() | Rejected():
                self._chooser.note_up(name)
        return outcome

    async def _record(self, answers: list[Answer]) -> Sequence[None]:
        def work(tx: Transaction) -> Recorded:
            recorder = Recorder(tx, connector=self._connector.name, chooser=self._chooser, new_id=self._new_id)
            return recorder.record(answers)

        # The carrier has the messages: forgetting its answer would send them twice.
        done = await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)
        self._count(answers, done)
        self._wakeups.signal("callbacks")
        self._wakeups.signal("events")
        if done.rerouted:
            self._wakeups.signal("submissions")
        return [None] * len(answers)

    def _count(self, answers: list[Answer], done: Recorded) -> None:
        for answer in answers:
            self._metrics.submissions.add(_WORDS[type(answer.outcome)])
        for (status, flag), count in done.judged.items():
            if not flag:
                self._metrics.status_changes.add(status.value, count=count)
        self._metrics.rerouted.inc(done.rerouted)
        self._metrics.unknown_outcomes.add("resubmitted", count=done.resubmitted)
        self._metrics.unknown_outcomes.add("waiting", count=done.waiting)


def _only(carrier: str) -> RoutingTable:
    only = Carrier(name=carrier, kind="simulator")
    return RoutingTable(carriers={carrier: only}, routes=(Route(name=DEFAULT, carrier=carrier),))


def _awaiting(message: Message) -> Awaiting:
    return Awaiting(
        message_uuid=message.uuid,
        dst=message.dst,
        carrier_ref=message.carrier_ref or "",
        submitted_at_us=message.sent_at_us or message.queued_at_us,
    )


def _awaiting_part(part: Part, dst: str, sent_at_us: int) -> Awaiting:
    ref = part.carrier_ref or ""
    return Awaiting(message_uuid=part.message_uuid, dst=dst, carrier_ref=ref, submitted_at_us=sent_at_us)
