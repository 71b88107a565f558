"""Inbound messages that somebody wants to try out: brought by the simulated carrier as if a phone had sent them.

A request is a row, so that it reaches whichever process has the carrier. Its id is the carrier's name for the message:
one that is brought twice, after a crash, is the same message.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from ringback.carriers.port import Inbound, InboundAnswer, Taken
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.runtime import Clock, WorkLoop, persist
from ringback.store import inbound
from ringback.store.inbound import Request
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups

LEASE_S: Final = 30
CAPACITY: Final = 16

Bring = Callable[[Inbound], Awaitable[InboundAnswer]]
"""Has the carrier offer a message."""


class InboundSimulator:
    """Works through requests for inbound messages."""

    def __init__(
        self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, connector: str, bring: Bring
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._connector = connector
        self._bring = bring

    def worker(self) -> WorkLoop[Request]:
        """Return the worker that does it."""
        return WorkLoop(
            "simulate",
            claim=self.claim,
            work=self.simulate,
            hint=self._wakeups.listen("inbound_requests"),
            capacity=CAPACITY,
            retry_on=StoreUnavailable,
        )

    async def claim(self, limit: int) -> tuple[Sequence[Request], float | None]:
        """Lease requests; also returns the seconds until the next one is due."""
        now_us = self._clock.now_us()
        due_at_us = await self._store.read(inbound.next_request_at_us)
        if due_at_us is None or due_at_us > now_us:
            return [], None if due_at_us is None else (due_at_us - now_us) / 1_000_000
        claim = partial(
            inbound.claim_requests,
            now_us=now_us,
            lease_until_us=now_us + LEASE_S * 1_000_000,
            lease_token=self._new_id(now_us),
            limit=limit,
        )
        return await self._store.write(claim, durable=False), 0

    async def simulate(self, request: Request) -> None:
        """Bring one message, and note what came of it."""
        brought = Inbound(
            connector=self._connector,
            carrier_ref=request.id,
            src=request.src,
            dst=request.dst,
            text=request.text or "",
            type=request.type,
            media_urls=request.media_urls,
        )
        answer = await persist(lambda: self._bring(brought), retry_on=StoreUnavailable)
        uuid, refusal = (answer.message_uuid, None) if isinstance(answer, Taken) else (None, answer.reason)
        note = partial(inbound.answer_request, claimed=request, message_uuid=uuid, refusal=refusal)
        await persist(lambda: self._store.write(note), retry_on=StoreUnavailable)
        self._wakeups.signal("events")
