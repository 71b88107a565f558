"""What logins are owed goes to whichever of their binds takes it; it is done when they have acknowledged it.

A login without a bind that listens costs nothing: its rows stay where they are, and nobody looks at them. Otherwise as
much is leased as the windows of its binds have room for, so that one that is slow keeps nobody waiting. What was not
taken comes again after a pause; only ``ESME_RX_P_APPN`` and ``ESME_RX_R_APPN``, which say that it never
will be, end it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
import structlog

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer, Busy, Connection, Down, Lost, Outcome
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.shape import Shape
from ringback.esme.binds import Binds
from ringback.esme.telling import told
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.status import Status
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.store import messages, smpp_owed
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.smpp_owed import Owed
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.esme")

CAPACITY: Final = 4096
FIRST_PAUSE_S: Final = 5.0
MOST_PAUSE_S: Final = 300.0
GRACE_S: Final = 15.0
HURRY_S: Final = 2.0
"""For so long answers are awaited when the process is to end."""
NEVER: Final = frozenset({names.PERMANENT_ERROR, names.REJECTED})


class _Settled(msgspec.Struct, frozen=True):
    owed: Owed
    result: str
    """``taken`` or ``refused``, which end it, else ``later``."""
    due_at_us: int = 0


class OwedTeller:
    """Sends receipts and messages from phones."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        binds: Binds,
        metrics: Metrics,
        shape: Shape,
        response_s: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._binds = binds
        self._metrics = metrics
        self._shape = shape
        self._deadline_s = response_s + GRACE_S
        self._deadlines: set[asyncio.Timeout] = set()
        self._lease_us = round((response_s + 2 * GRACE_S) * 1_000_000)
        # Receipts become owed with changes of status, and messages of phones with callbacks.
        self._hint = wakeups.listen("callbacks")
        self._in_hand: Counter[str] = Counter()
        """By login what was claimed and is not answered."""
        self._wanting: set[str] = set()
        self._settled: Batcher[_Settled, None] = Batcher(
            self._settle, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[Owed]:
        """Return the worker that does it."""
        return WorkLoop(
            "smpp owed",
            claim=self._claim,
            work=self._tell,
            hint=self._hint,
            capacity=CAPACITY,
            retry_on=StoreUnavailable,
            on_stop=self._hurry,
        )

    def _hurry(self) -> None:
        """Wait for answers no longer than it takes to end in time: what has none comes again."""
        self._deadline_s = HURRY_S
        until_s = asyncio.get_running_loop().time() + HURRY_S
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(until_s)

    def look(self) -> None:
        """Look again: somebody has bound."""
        self._hint.wake()

    async def _claim(self, limit: int) -> tuple[Sequence[Owed], float | None]:
        listening = self._binds.listening()
        rooms = {login: self._room(login, connections) for login, connections in listening.items()}
        self._wanting = {login for login, room in rooms.items() if room <= 0}
        free = {login: room for login, room in rooms.items() if room > 0}
        if not free:
            return [], None
        due = await self._store.read(lambda tx: smpp_owed.next_due_at_us(tx, free))
        now_us = self._clock.now_us()
        limits: dict[str, int] = {}
        for login in sorted((login for login in due if due[login] <= now_us), key=lambda login: due[login]):
            if limit > 0:
                limits[login] = min(free[login], limit)
                limit -= limits[login]
        if not limits:
            return [], (min(due.values()) - now_us) / 1_000_000 if due else None
        claim = partial(
            smpp_owed.claim,
            limits=limits,
            now_us=now_us,
            lease_until_us=now_us + self._lease_us,
            token=self._new_id(now_us),
        )
        found = await self._store.write(claim, durable=False)
        self._in_hand.update(each.login_id for each in found)
        # Who got as much as there was room for may be owed more.
        self._wanting |= {login for login in limits if self._in_hand[login] >= limits[login]}
        return found, 0

    def _room(self, login: str, connections: Sequence[Connection]) -> int:
        sent = sum(each.session.outstanding for each in connections)
        return sum(each.room for each in connections) - max(self._in_hand[login] - sent, 0)

    async def _tell(self, owed: Owed) -> None:
        try:
            outcome = await self._deliver(owed)
        finally:
            self._in_hand[owed.login_id] -= 1
            if self._in_hand[owed.login_id] <= 0:
                del self._in_hand[owed.login_id]
            if owed.login_id in self._wanting:
                self._hint.wake()
        settled = self._judge(owed, outcome)
        await persist(lambda: self._settled.submit(settled), retry_on=StoreUnavailable)

    async def _deliver(self, owed: Owed) -> Outcome:
        connections = self._binds.listening().get(owed.login_id, [])
        if not connections:
            return Down("nobody listens")
        connection = max(connections, key=lambda each: each.room)
        outcome: Outcome = Down("nothing to tell")
        try:
            async with asyncio.timeout(self._deadline_s) as deadline, self._noted(deadline):
                for body in told(owed, self._shape):
                    outcome = await connection.request(Command.DELIVER_SM, body)
                    if not isinstance(outcome, Answer) or outcome.status != names.OK:
                        return outcome
        except TimeoutError:
            return Lost("no answer came in time")
        return outcome

    @asynccontextmanager
    async def _noted(self, deadline: asyncio.Timeout) -> AsyncIterator[None]:
        self._deadlines.add(deadline)
        try:
            yield
        finally:
            self._deadlines.discard(deadline)

    def _judge(self, owed: Owed, outcome: Outcome) -> _Settled:
        if isinstance(outcome, Answer):
            if outcome.status == names.OK:
                return _Settled(owed, "taken")
            if outcome.status in NEVER:
                log.warning(
                    "smpp_owed_refused",
                    login_id=owed.login_id,
                    message_uuid=owed.message_uuid,
                    kind=owed.kind,
                    status=names.status_name(outcome.status),
                )
                return _Settled(owed, "refused")
        if isinstance(outcome, Down):
            pause_s = 1.0
        elif isinstance(outcome, Busy):
            pause_s = max(outcome.retry_after_s, 0.1)
        else:
            pause_s = min(FIRST_PAUSE_S * 2 ** min(owed.attempts_made, 10), MOST_PAUSE_S)
        return _Settled(owed, "later", self._clock.now_us() + round(pause_s * 1_000_000))

    async def _settle(self, settled: list[_Settled]) -> Sequence[None]:
        changed = await self._store.write(partial(self._store_settled, settled=settled))
        for each in settled:
            self._metrics.smpp_owed.add(each.owed.kind, each.result)
        if changed:
            self._wakeups.signal("events")
        return [None] * len(settled)

    def _store_settled(self, tx: Transaction, *, settled: list[_Settled]) -> bool:
        held = smpp_owed.held(tx, [each.owed for each in settled])
        mine = [each for each, is_held in zip(settled, held, strict=True) if is_held]
        smpp_owed.finish(tx, [each.owed.id for each in mine if each.result != "later"])
        smpp_owed.put_back(tx, [(each.owed, each.due_at_us) for each in mine if each.result == "later"])
        brought = sorted(
            {each.owed.message_uuid for each in mine if each.owed.kind == "inbound" and each.result == "taken"}
        )
        if not brought:
            return False
        # A message that no application is called about has reached whom it was for.
        progress, now_us = Progress(self._new_id), self._clock.now_us()
        for message in messages.by_uuid(tx, brought, lock=True).values():
            if message.callback_url is None and message.status == Status.RECEIVED:
                progress.change(message, Change(status=Status.DELIVERED, at_us=now_us, detail="taken over SMPP"))
        progress.write(tx)
        return True
