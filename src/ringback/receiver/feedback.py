"""Reporting conversions: claim, report, record.

As callbacks are made (``delivery``), and for three reasons not by that engine. A callback is tried again after whatever
is no 2xx, while a provider's 404 or 400 is its last word. A callback is signed by tokens of an account that is in the
database, a report carries the provider's credentials, which are in the settings only and must not lie beside the
attempts. And a provider has one limit for all requests of an account, so what counts here is the pace of a source.

A due conversion is leased in one transaction, reported with none open, and what came of it recorded in another that
checks the lease. A process that dies in between reports it again: the provider takes the same word twice as once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.receiver.rest import Reply, RestClient
from ringback.receiver.sources.provider_api import conversion_body, conversion_target
from ringback.receiver.sources.upstream import Upstream, has_api, upstream_of
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.settings import SourceSettings
from ringback.store import conversions_out
from ringback.store.conversions_out import ConversionOut, State, Verdict
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.receiver")

CONCURRENCY: Final = 64
IN_HAND: Final = 16
"""Reports of one source at a time: a provider that does not answer holds up nobody else's."""
LEASE_S: Final = 60.0
NO_TURN_PAUSE_S: Final = 0.05
LEAST_WAIT_S: Final = 5.0
"""For so long a source rests after a 429 that says nothing better."""
MOST_WAIT_S: Final = 3_600.0

PASSING: Final = frozenset({401, 403, 408, 425})
"""Statuses below 500 that say nothing about the conversion: the operator can mend the credentials."""


def judge(conversion: ConversionOut, reply: Reply, upstream: Upstream, *, now_us: int) -> Verdict:
    """Say what follows from an answer.

    429 uses up no attempt: it is tried again until the provider takes it. What the provider refuses has failed at once.
    """
    made = conversion.attempts_made + 1
    state: State = "pending"
    due_at_us: int | None = None
    status = reply.http_status
    if status == 429:
        made -= 1
        due_at_us = now_us + round(rest_s(reply) * 1_000_000)
    elif status is not None and 200 <= status < 300:
        state = "sent"
    elif status is not None and 400 <= status < 500 and status not in PASSING:
        state = "failed"
    else:
        due_at_us = upstream.plan.next_due_at_us(made, now_us, now_us)
        if due_at_us is None:
            state = "failed"
        else:
            due_at_us = max(due_at_us, now_us + round(min(reply.wait_s, MOST_WAIT_S) * 1_000_000))
    return Verdict(
        conversion=conversion,
        state=state,
        attempts_made=made,
        due_at_us=due_at_us,
        tried_at_us=now_us,
        http_status=status,
        error=reply.error or None,
    )


def rest_s(reply: Reply) -> float:
    """Return for how long an answer of 429 asks to leave the provider alone."""
    return min(max(reply.wait_s, LEAST_WAIT_S), MOST_WAIT_S)


class Pace:
    """How many reports a source may make now: up to its rate within a second, none while it rests."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._full = max(per_s, 1.0)
        self._left = self._full
        self._at_us = 0
        self._rests_until_us = 0

    def room(self, now_us: int) -> int:
        """Return how many may be made now."""
        if now_us < self._rests_until_us:
            return 0
        self._left = min(self._full, self._left + max(now_us - self._at_us, 0) / 1_000_000 * self._per_s)
        self._at_us = now_us
        return int(self._left)

    def take(self, count: int) -> None:
        """Note that so many are made."""
        self._left -= count

    def rest(self, until_us: int) -> None:
        """Make none until then."""
        self._rests_until_us = max(self._rests_until_us, until_us)

    def wait_s(self, now_us: int) -> float:
        """Return in how many seconds there is room for one."""
        return max((1 - self._left) / self._per_s, (self._rests_until_us - now_us) / 1_000_000, 0.0)


class FeedbackSender:
    """Reports the conversions that are due."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        rest: RestClient,
        sources: Mapping[str, SourceSettings],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._rest = rest
        self._metrics = metrics
        self._upstreams = {name: upstream_of(name, source) for name, source in sources.items() if has_api(source)}
        self._paces = {name: Pace(upstream.per_s) for name, upstream in self._upstreams.items()}
        self._in_hand: Counter[str] = Counter()
        self._verdicts: Batcher[Verdict, None] = Batcher(
            self._record, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[ConversionOut]:
        """Return the worker that does the reporting."""
        return WorkLoop(
            "conversions",
            claim=self.claim,
            work=self.report,
            hint=self._wakeups.listen("conversions"),
            capacity=CONCURRENCY,
            retry_on=StoreUnavailable,
        )

    async def claim(self, limit: int) -> tuple[Sequence[ConversionOut], float | None]:
        """Lease conversions that are due, as many as the pace of each source allows; says when to look again."""
        if not self._upstreams:
            return (), None
        now_us = self._clock.now_us()
        # Most of the time there is nothing: whoever only looks keeps nobody from writing.
        due = await self._store.read(self._due)
        claimed: list[ConversionOut] = []
        waits_s: list[float] = []
        for name, due_at_us in due.items():
            if due_at_us > now_us:
                waits_s.append((due_at_us - now_us) / 1_000_000)
                continue
            pace = self._paces[name]
            room = min(pace.room(now_us), IN_HAND - self._in_hand[name], limit - len(claimed))
            if room > 0:
                taken = await self._store.write(
                    partial(self._lease, name=name, now_us=now_us, limit=room), durable=False
                )
                pace.take(len(taken))
                self._in_hand[name] += len(taken)
                claimed += taken
            if self._in_hand[name] < IN_HAND:
                # Else whichever ends first wakes it.
                waits_s.append(max(pace.wait_s(now_us), NO_TURN_PAUSE_S))
        return claimed, min(waits_s, default=None)

    def _due(self, tx: Transaction) -> dict[str, int]:
        found = {name: conversions_out.next_due_at_us(tx, name) for name in self._upstreams}
        return {name: due_at_us for name, due_at_us in found.items() if due_at_us is not None}

    def _lease(self, tx: Transaction, *, name: str, now_us: int, limit: int) -> list[ConversionOut]:
        return conversions_out.claim(
            tx,
            name,
            now_us=now_us,
            lease_until_us=now_us + round(LEASE_S * 1_000_000),
            lease_token=self._new_id(now_us),
            limit=limit,
        )

    async def report(self, conversion: ConversionOut) -> None:
        """Report one conversion, and record what came of it."""
        upstream = self._upstreams[conversion.source]
        try:
            reply = await self._rest.ask(
                upstream,
                "POST",
                conversion_target(upstream.auth_id, conversion.message_uuid),
                conversion_body(conversion.value, conversion.converted_at_us),
            )
        finally:
            self._in_hand[conversion.source] -= 1
        now_us = self._clock.now_us()
        if reply.http_status == 429:
            self._paces[conversion.source].rest(now_us + round(rest_s(reply) * 1_000_000))
        verdict = judge(conversion, reply, upstream, now_us=now_us)
        _log(verdict)
        await self._verdicts.submit(verdict)

    async def _record(self, verdicts: list[Verdict]) -> Sequence[None]:
        await persist(
            lambda: self._store.write(lambda tx: conversions_out.record(tx, verdicts)), retry_on=StoreUnavailable
        )
        for verdict in verdicts:
            self._metrics.conversions_out.add("put_off" if verdict.state == "pending" else verdict.state)
        # The next of the same message may go.
        self._wakeups.signal("conversions")
        return [None] * len(verdicts)


def _log(verdict: Verdict) -> None:
    write = log.debug if verdict.state == "sent" else log.info
    write(
        "conversion_reported",
        source=verdict.conversion.source,
        message_uuid=verdict.conversion.message_uuid,
        value=verdict.conversion.value,
        attempt=verdict.attempts_made,
        http_status=verdict.http_status,
        state=verdict.state,
        next_due_at_us=verdict.due_at_us,
    )
