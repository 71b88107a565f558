"""Callbacks of messages that nobody has sent, to try an application out: no database, no other Ringback.

Requests are built, signed and sent by what does it for real ones, and retried by the same plan. What is owed is kept in
memory: when the process ends it is forgotten. First attempts of a message are made in the order of its statuses, and a
failed one is retried beside those that follow. An endpoint that fails is not spared as real ones are: it is neither
parked nor begun with slowly.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import msgspec

from ringback.delivery.deliver import attempt_of, decide
from ringback.delivery.http import HttpClient
from ringback.delivery.request import build
from ringback.model.retry import RetryPlan, most_specific
from ringback.runtime import Clock
from ringback.store.accounts import Account
from ringback.store.callbacks import DueCallback, NewCallback

CONCURRENCY: Final = 64


class Owed(msgspec.Struct, frozen=True):
    """A callback, and how long after the beginning of all it becomes due."""

    due_s: float
    callback: NewCallback


class Life(msgspec.Struct, frozen=True):
    """All callbacks of one message."""

    begins_s: float
    owed: Sequence[Owed]
    ends_as: str


class Tally(msgspec.Struct):
    """What has happened so far."""

    messages: int = 0
    ended_as: Counter[str] = msgspec.field(default_factory=Counter)
    callbacks: int = 0
    """Those whose first attempt was made."""
    attempts: int = 0
    answered_2xx: int = 0
    """Callbacks that were, at whichever attempt."""
    retried: int = 0
    """Callbacks that took more than one attempt."""
    given_up: int = 0
    failures: Counter[str] = msgspec.field(default_factory=Counter)
    """Attempts by what was wrong: a status, or a word such as ``timeout``."""
    latencies_us: list[int] = []
    """Of attempts that were answered."""

    def latency_ms(self, share: float) -> float | None:
        """Return the milliseconds that ``share`` of the answers did not exceed; ``None`` without answers."""
        ordered = sorted(self.latencies_us)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] / 1000, 3) if ordered else None


class Trigger:
    """Makes the attempts of lives."""

    def __init__(
        self,
        *,
        http: HttpClient,
        account: Account,
        clock: Clock,
        new_nonce: Callable[[], str],
        plan: RetryPlan,
        concurrency: int = CONCURRENCY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._account = account
        self._clock = clock
        self._new_nonce = new_nonce
        self._places = asyncio.Semaphore(concurrency)
        self._plan = plan
        self._sleep = sleep
        self._begun_us = 0
        self.tally = Tally()

    async def run(self, lives: Iterable[Life]) -> None:
        """Live all lives to their ends, retries included."""
        self._begun_us = self._clock.now_us()
        async with asyncio.TaskGroup() as group:
            for life in lives:
                await self._until(self._begun_us + round(life.begins_s * 1_000_000))
                group.create_task(self._live(life, group))

    async def _live(self, life: Life, group: asyncio.TaskGroup) -> None:
        self.tally.messages += 1
        for owed in life.owed:
            due_us = self._begun_us + round(owed.due_s * 1_000_000)
            await self._until(due_us)
            self.tally.callbacks += 1
            again = await self._attempt(_due(owed.callback, due_us))
            if again is not None:
                group.create_task(self._retry(again))
        self.tally.ended_as[life.ends_as] += 1

    async def _retry(self, callback: DueCallback | None) -> None:
        self.tally.retried += 1
        while callback is not None:
            await self._until(callback.planned_at_us)
            callback = await self._attempt(callback)

    async def _attempt(self, callback: DueCallback) -> DueCallback | None:
        """Make an attempt; returns the callback as it is due again, ``None`` when it has ended."""
        async with self._places:
            started_us = self._clock.now_us()
            request = build(
                callback, self._account, nonce_v2=self._new_nonce(), nonce_v3=self._new_nonce(), at_us=started_us
            )
            answer = await self._http.attempt(request)
        attempt = attempt_of(callback, request, answer, started_at_us=started_us)
        plan = most_specific(callback.retry_delays, default=self._plan)
        outcome = decide(callback, attempt, plan, now_us=self._clock.now_us())
        tally = self.tally
        tally.attempts += 1
        if answer.http_status is not None:
            tally.latencies_us.append(answer.duration_us)
        if outcome.state == "delivered":
            tally.answered_2xx += 1
            return None
        tally.failures[str(answer.http_status or answer.outcome)] += 1
        if outcome.next_due_at_us is None:
            tally.given_up += 1
            return None
        return msgspec.structs.replace(
            callback, attempts_made=outcome.attempts_made, planned_at_us=outcome.next_due_at_us
        )

    async def _until(self, at_us: int) -> None:
        wait_us = at_us - self._clock.now_us()
        if wait_us > 0:
            await self._sleep(wait_us / 1_000_000)


def _due(new: NewCallback, due_us: int) -> DueCallback:
    return DueCallback(
        id=new.id,
        account_id=new.account_id,
        message_uuid=new.message_uuid,
        sequence=new.sequence,
        url=new.url,
        method=new.method,
        endpoint=new.endpoint,
        endpoint_id="",
        params=new.params,
        attempts_made=0,
        planned_at_us=due_us,
        lease_token="",
        retry_delays=new.retry_delays,
        kind=new.kind,
    )
