"""Callbacks out: claim, attempt, record.

A due callback is leased in one transaction, attempted with none open, and the attempt with what follows from
it - done, next try, given up - is recorded in another that checks the lease. A process that dies in between
leaves a lease that runs out, and the callback is attempted again: at least once, and twice only for attempts
that were in flight.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from ringback.delivery.claim import Claimed, Taken, Terms, claim
from ringback.delivery.http import Answer, HttpClient, retry_after_us
from ringback.delivery.request import Request, build
from ringback.delivery.settle import Result, Turnaround, settle
from ringback.delivery.share import Places
from ringback.metrics import Metrics
from ringback.model.circuit import Finding
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.retry import RetryPlan, most_specific
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import DeliverySettings
from ringback.store import endpoints
from ringback.store.accounts import AccountCache
from ringback.store.callbacks import MESSAGE, Attempt, DueCallback, Outcome
from ringback.store.endpoints import Lane
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.delivery")

OTHER_LANES: Final = (Lane.NEW, Lane.DOUBTFUL, Lane.RETRY)
"""Claimed in turn with the first: endpoints that work are not held while many others are looked at."""
NO_TURN_PAUSE_S: Final = 0.05
"""How soon to look again when something is due and the lane that it is in has no place."""

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
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._new_nonce = new_nonce
        self._accounts = accounts
        self._http = http
        self._wakeups = wakeups
        self._settings = settings
        self._metrics = metrics
        self._plan = RetryPlan(delays_s=settings.retry_delays_s)
        self._others_next = False
        self._places = Places(capacity=settings.concurrency, endpoint_limit=settings.endpoint_concurrency)
        self._results: Batcher[Result, None] = Batcher(
            self._record, max_weight=store.background_batch, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[Claimed]:
        """Return the worker that does the delivering."""
        return WorkLoop(
            "deliver",
            claim=self.claim,
            work=self.deliver,
            hint=self._wakeups.listen("callbacks"),
            capacity=self._settings.concurrency,
            retry_on=StoreUnavailable,
        )

    async def claim(self, limit: int) -> tuple[Sequence[Claimed], float | None]:
        """Lease callbacks that are due; also returns the seconds until the next endpoint is worth a look."""
        now_us = self._clock.now_us()
        terms = Terms(
            now_us=now_us,
            lease_until_us=now_us + round(self._settings.lease_s * 1_000_000),
            lease_token=self._new_id(now_us),
            plan=self._plan,
            keep_parked=self._settings.keep_parked,
        )

        lanes = OTHER_LANES if self._others_next else (Lane.FIRST,)

        def work(tx: Transaction) -> tuple[Taken, dict[Lane, int]]:
            taken = claim(tx, self._places, terms, limit=min(limit, self._store.background_batch() * 2), lanes=lanes)
            return taken, endpoints.next_ready_at_us(tx)

        taken, next_ready_at_us = await self._store.write(work, durable=False)
        if taken.given_up:
            self._metrics.callbacks_finished.add("given_up", count=taken.given_up)
        claimed = taken.claimed
        for each in claimed:
            self._places.start(each.endpoint, each.lane, now_us)
        others_due = any(next_ready_at_us.get(lane, now_us + 1) <= now_us for lane in OTHER_LANES)
        self._others_next = others_due and lanes is not OTHER_LANES
        return claimed, self._pause_s(next_ready_at_us, now_us, had_no_turn=() if claimed else lanes)

    def _pause_s(
        self, next_ready_at_us: dict[Lane, int], now_us: int, *, had_no_turn: Collection[Lane]
    ) -> float | None:
        """Say when to look again: not at once where there was no turn, or there is no place."""
        room = self._places.lane_room(now_us)
        pauses_s = []
        for lane, at_us in next_ready_at_us.items():
            has_turn = room[lane] > 0 and (lane not in had_no_turn or at_us > now_us)
            pauses_s.append(max((at_us - now_us) / 1_000_000, 0.0 if has_turn else NO_TURN_PAUSE_S))
        return min(pauses_s, default=None)

    async def deliver(self, claimed: Claimed) -> None:
        """Make one attempt and record it."""
        finding: Finding | None = None
        self._metrics.attempts_in_flight.inc()
        try:
            result = await self._attempt(claimed)
            finding = result.finding
        finally:
            self._metrics.attempts_in_flight.dec()
            self._places.end(claimed.endpoint, claimed.lane, finding)
        await self._results.submit(result)

    async def _attempt(self, claimed: Claimed) -> Result:
        callback = claimed.callback
        started_at_us = self._clock.now_us()
        account = await self._accounts.get(callback.account_id, started_at_us)
        if account is None:
            raise RuntimeError(f"callback {callback.id} belongs to account {callback.account_id}, which is gone")
        request = build(callback, account, nonce_v2=self._new_nonce(), nonce_v3=self._new_nonce(), at_us=started_at_us)
        answer = await self._http.attempt(request)
        now_us = self._clock.now_us()
        plan = most_specific(
            callback.retry_delays, claimed.endpoint.retry_delays, account.retry_delays, default=self._plan
        )
        attempt = attempt_of(callback, request, answer, started_at_us=started_at_us)
        outcome = decide(callback, attempt, plan, now_us=now_us)
        _log_attempt(outcome, attempt)
        return Result(outcome, finding_of(answer), retry_after_us(answer, now_us))

    async def _record(self, results: list[Result]) -> Sequence[None]:
        # The attempts were made: forgetting them would make them again.
        changed = await persist(
            lambda: self._store.write(partial(settle, results=results, park_after=self._settings.park_after_failures)),
            retry_on=StoreUnavailable,
        )
        for each in changed:
            _log_turnaround(each)
        for result in results:
            self._count(result.outcome)
        self._wakeups.signal("callbacks")
        if any(each.outcome.callback.kind == MESSAGE and each.outcome.state != "pending" for each in results):
            self._wakeups.signal("inbound_results")
        return [None] * len(results)

    def _count(self, outcome: Outcome) -> None:
        attempt = outcome.attempt
        if attempt is not None:
            self._metrics.attempts.add(attempt.outcome)
            self._metrics.attempt_seconds.observe(attempt.duration_us / 1_000_000)
            self._metrics.lateness_seconds.observe(max(attempt.started_at_us - attempt.planned_at_us, 0) / 1_000_000)
        if outcome.state != "pending":
            self._metrics.callbacks_finished.add(outcome.state)


def attempt_of(callback: DueCallback, request: Request, answer: Answer, *, started_at_us: int) -> Attempt:
    """Return what is kept of a try."""
    return Attempt(
        callback_id=callback.id,
        number=callback.attempts_made + 1,
        planned_at_us=callback.planned_at_us,
        started_at_us=started_at_us,
        duration_us=answer.duration_us,
        outcome=answer.outcome,
        http_status=answer.http_status,
        request_headers=_encode(request.headers).decode(),
        response_headers=_encode(answer.headers).decode(),
        response_body=answer.body,
        error=answer.error,
    )


def decide(callback: DueCallback, attempt: Attempt, plan: RetryPlan, *, now_us: int) -> Outcome:
    """Say what follows from an attempt (contract section 4.1): success is any 2xx, else the plan decides."""
    next_due_at_us: int | None = None
    state = "delivered"
    if attempt.outcome != "ok":
        next_due_at_us = plan.next_due_at_us(attempt.number, callback.planned_at_us, attempt.started_at_us)
        state = "given_up" if next_due_at_us is None else "pending"
    return Outcome(
        callback=callback,
        attempt=attempt,
        attempts_made=attempt.number,
        state=state,
        next_due_at_us=next_due_at_us,
        recorded_at_us=now_us,
    )


def finding_of(answer: Answer) -> Finding:
    """Say what an answer tells about the endpoint.

    Answers of 400 and above that name this request's fault say nothing about others (RFC 9110 section 15.5); 429
    and 5xx do, 410 says that there is nobody to answer any more.
    """
    if answer.outcome == "ok":
        return Finding.UP
    if answer.outcome == "blocked":
        return Finding.ANSWERS
    if answer.http_status is None:
        return Finding.DOWN
    if answer.http_status == 410:
        return Finding.GONE
    return Finding.DOWN if answer.http_status == 429 or answer.http_status >= 500 else Finding.ANSWERS


def _log_attempt(outcome: Outcome, attempt: Attempt) -> None:
    """Write the one log line of an attempt: every id and decision, no parameter and no token."""
    callback = outcome.callback
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


def _log_turnaround(change: Turnaround) -> None:
    endpoint = change.endpoint
    log.warning(
        "endpoint_changed",
        endpoint_id=endpoint.id,
        account_id=endpoint.account_id,
        endpoint=endpoint.origin,
        before=change.before.value,
        state=endpoint.circuit.state.value,
        reason=endpoint.circuit.reason,
        probe_at_us=endpoint.circuit.probe_at_us,
    )
