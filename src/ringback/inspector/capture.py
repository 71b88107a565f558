"""Requests in: who may send them, and their way into the store before anybody answers.

Many callers at once make one commit, in which the bin's script says what each is answered. So the steps of a script go
on across processes and restarts, and no request is answered that is not kept.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import msgspec
import structlog

from ringback.inspector import script
from ringback.inspector.groups import key_of
from ringback.inspector.rates import Rates, Room
from ringback.inspector.script import Step
from ringback.model.errors import NotFound, StoreUnavailable, TooManyRequests, TryLater
from ringback.runtime import BacklogFullError, Batcher, Clock
from ringback.settings import BinsSettings
from ringback.store import captures
from ringback.store.bins import Bin
from ringback.store.captures import Answered, Cut, NewCapture, Planned, Stored
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.inspector")

TOPIC = "captures"
"""What is signalled after every commit that changes what bins hold."""
BATCH_BYTES = 2_000_000

REFUSED = {"too_large": 413, "timeout": 408, "disconnected": None}
"""What is answered to a request whose body is not whole; nobody is there to answer the last one."""

_encode = msgspec.json.Encoder().encode
_script = lru_cache(maxsize=1024)(script.decode)


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a bin as it came."""

    bin: str
    received_at_us: int
    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    cut: Cut
    peer: str


class Captured(msgspec.Struct, frozen=True):
    """A request that is on disk, and what it is answered."""

    bin_id: str
    number: int
    step: Step | None
    """``None`` where the body is not whole."""


class Inspector:
    """Takes requests in."""

    def __init__(
        self, *, store: Store, clock: Clock, wakeups: Wakeups, settings: BinsSettings, max_waiting: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._by_address = Rates(settings.requests_per_s_per_address)
        self._by_bin = Rates(settings.requests_per_s_per_bin)
        self.room = Room(settings.max_waiting_mb * 1_000_000)
        self.held = Room(settings.max_held)
        self._batcher: Batcher[NewCapture, Stored | None] = Batcher(
            self._write,
            max_weight=BATCH_BYTES,
            max_waiting=max_waiting,
            weight=lambda item: item.size,
            shared_errors=(StoreUnavailable,),
        )
        self._answered: Batcher[Answered, None] = Batcher(
            self._note, max_waiting=max_waiting, shared_errors=(StoreUnavailable,)
        )

    def admit(self, name: str, peer: str) -> None:
        """Let a request pass that is within the limits. Raises ``TooManyRequests``."""
        now_us = self._clock.now_us()
        wait_us = self._by_address.wait_us(peer, now_us)
        whose = "from this address"
        if not wait_us:
            wait_us, whose = self._by_bin.wait_us(name, now_us), "to this bin"
        if wait_us:
            raise TooManyRequests(
                f"too many requests {whose}; nothing was captured, send again after Retry-After",
                retry_after_s=-(-wait_us // 1_000_000),
            )

    async def take(self, incoming: Incoming) -> Captured:
        """Store a request; when this returns it is on disk.

        Raises ``NotFound`` for a bin that is not there, and ``TryLater`` when nothing was stored.
        """
        new = NewCapture(
            bin=incoming.bin,
            received_at_us=incoming.received_at_us,
            method=incoming.method,
            path=incoming.path,
            query=incoming.query,
            headers=_encode(incoming.headers).decode(),
            body=incoming.body,
            cut=incoming.cut,
            peer=incoming.peer,
            group_key=key_of(incoming.method, (incoming.path, incoming.query), incoming.headers, incoming.body),
        )
        try:
            stored = await self._batcher.submit(new)
        except BacklogFullError as error:
            raise TryLater("too many requests are waiting, send again in a moment") from error
        if stored is None:
            raise NotFound(f"there is no bin {incoming.bin}")
        step = None if incoming.cut else _step(stored.bin, stored.number - stored.bin.script_from - 1, stored.attempt)
        return Captured(stored.bin.id, stored.number, step)

    async def note(self, captured: Captured, *, duration_us: int, outcome: str) -> None:
        """Note how answering ended. It is not told when that fails: the answer is out, and its capture kept."""
        ended = Answered(bin_id=captured.bin_id, number=captured.number, duration_us=duration_us, outcome=outcome)
        try:
            await self._answered.submit(ended)
        except (StoreUnavailable, BacklogFullError) as error:
            log.debug("answer_of_capture_not_noted", bin_id=captured.bin_id, error=str(error))

    async def _write(self, new: list[NewCapture]) -> Sequence[Stored | None]:
        stored = await self._store.write(partial(captures.store, new=new, decide=_plan))
        self._wakeups.signal(TOPIC)
        return stored

    async def _note(self, answered: list[Answered]) -> Sequence[None]:
        await self._store.write(partial(captures.note_answered, answered=answered), durable=False)
        self._wakeups.signal(TOPIC)
        return [None] * len(answered)


def _plan(known: Bin, position: int, attempt: int, new: NewCapture) -> Planned:
    if new.cut:
        return Planned("refused", REFUSED[new.cut])
    step = _step(known, position, attempt)
    return Planned(step.kind, step.status if step.kind in {"answer", "slow"} else None)


def _step(known: Bin, position: int, attempt: int) -> Step:
    return script.decide(_script(known.script), position=position, attempt=attempt)
