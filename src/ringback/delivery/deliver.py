"""Callbacks out: claim, attempt, record.

A due callback is leased in one transaction, attempted with none open, and the attempt with what follows from
it - done, next try, given up - is recorded in another that checks the lease. A process that dies in between
leaves a lease that runs out, and the callback is attempted again: at least once, and twice only for attempts
that were in flight.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog

from ringback.delivery.http import Answer, HttpClient
from ringback.delivery.request import Request, build
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.retry import RetryPlan
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import DeliverySettings
from ringback.store import callbacks
from ringback.store.accounts import AccountCache
from ringback.store.callbacks import Attempt, DueCallback, Outcome
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.delivery")

_encode = msgspec.json.Encoder().encode


class Deliverer:
    """Makes the callbacks that are due."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        new_nonce: Callable[[], str],
        accounts: AccountCache,
        http: HttpClient,
        wakeups: Wakeups,
        settings: DeliverySettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._new_nonce = new_nonce
        self._accounts = accounts
        self._http = http
        self._wakeups = wakeups
        self._settings = settings
        self._plan = RetryPlan(delays_s=settings.retry_delays_s)
        self._outcomes: Batcher[Outcome, None] = Batcher(
            self._record, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[DueCallback]:
        """Return the worker that does the delivering."""
        return WorkLoop(
            "deliver",
            claim=self.claim,
            work=self.deliver,
            hint=self._wakeups.listen("callbacks"),
            capacity=self._settings.concurrency,
            retry_on=StoreUnavailable,
        )

    async def claim(self, limit: int) -> tuple[Sequence[DueCallback], float | None]:
        """Lease callbacks that are due; also returns the seconds until the next one is."""
        now_us = self._clock.now_us()
        lease_until_us = now_us + round(self._settings.lease_s * 1_000_000)
        token = self._new_id(now_us)

        def work(tx: Transaction) -> tuple[list[DueCallback], int | None]:
            leased = callbacks.claim(
                tx, now_us=now_us, lease_until_us=lease_until_us, lease_token=token, limit=min(limit, POLITE_BATCH)
            )
            return leased, callbacks.next_due_at_us(tx)

        leased, next_due_at_us = await self._store.write(work)
        return leased, None if next_due_at_us is None else (next_due_at_us - now_us) / 1_000_000

    async def deliver(self, callback: DueCallback) -> None:
        """Make one attempt and record it."""
        started_at_us = self._clock.now_us()
        account = await self._accounts.get(callback.account_id, started_at_us)
        if account is None:
            raise RuntimeError(f"callback {callback.id} belongs to account {callback.account_id}, which is gone")
        request = build(callback, account, nonce_v2=self._new_nonce(), nonce_v3=self._new_nonce())
        answer = await self._http.attempt(request)
        outcome = decide(
            callback, request, answer, self._plan, started_at_us=started_at_us, now_us=self._clock.now_us()
        )
        _log_attempt(outcome)
        await self._outcomes.submit(outcome)

    async def _record(self, outcomes: list[Outcome]) -> Sequence[None]:
        # The attempts were made: forgetting them would make them again.
        await persist(
            lambda: self._store.write(partial(callbacks.record, outcomes=outcomes)), retry_on=StoreUnavailable
        )
        self._wakeups.signal("callbacks")
        return [None] * len(outcomes)


def decide(
    callback: DueCallback,
    request: Request,
    answer: Answer,
    plan: RetryPlan,
    *,
    started_at_us: int,
    now_us: int,
) -> Outcome:
    """Say what follows from an attempt (contract section 4.1): success is any 2xx, else the plan decides."""
    number = callback.attempts_made + 1
    next_due_at_us: int | None = None
    state = "delivered"
    if answer.outcome != "ok":
        next_due_at_us = plan.next_due_at_us(number, callback.planned_at_us, started_at_us)
        state = "given_up" if next_due_at_us is None else "pending"
    return Outcome(
        callback=callback,
        attempt=Attempt(
            callback_id=callback.id,
            number=number,
            planned_at_us=callback.planned_at_us,
            started_at_us=started_at_us,
            duration_us=answer.duration_us,
            outcome=answer.outcome,
            http_status=answer.http_status,
            request_headers=_encode(request.headers).decode(),
            response_headers=_encode(answer.headers).decode(),
            response_body=answer.body,
            error=answer.error,
        ),
        state=state,
        next_due_at_us=next_due_at_us,
        recorded_at_us=now_us,
    )


def _log_attempt(outcome: Outcome) -> None:
    """Write the one log line of an attempt: every id and decision, no parameter and no token."""
    callback, attempt = outcome.callback, outcome.attempt
    write = log.debug if attempt.outcome == "ok" else log.info
    write(
        "callback_attempt",
        callback_id=callback.id,
        account_id=callback.account_id,
        message_uuid=callback.message_uuid,
        sequence=callback.sequence,
        endpoint=callback.endpoint,
        method=callback.method,
        attempt=attempt.number,
        late_ms=(attempt.started_at_us - attempt.planned_at_us) // 1000,
        duration_ms=attempt.duration_us // 1000,
        outcome=attempt.outcome,
        http_status=attempt.http_status,
        state=outcome.state,
        next_due_at_us=outcome.next_due_at_us,
    )
