"""Replays: sending once more whatever matches a filter, oldest first and at a given rate.

What there is to send is read with no transaction open that writes. One transaction then takes the replay, makes the
copies and notes how far it has come: whoever comes second finds that the replay has moved on, and does nothing.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from ringback.metrics import Metrics
from ringback.model.errors import InvalidRequest, StoreUnavailable
from ringback.model.ids import NewId
from ringback.runtime import Clock
from ringback.store import replays, resends
from ringback.store.callbacks import Callback
from ringback.store.order import one_at_a_time
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.replays import CANCELLED, FINISHED, RUNNING, Replay
from ringback.store.resends import Filter, Stretch
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.delivery")

DEFAULT_RATE_PER_S: Final = 50.0
LEAST_RATE_PER_S: Final = 0.1
MOST_RATE_PER_S: Final = 1000.0
MOST_RUNNING: Final = 5
"""Replays of one account at a time."""
SHOWN: Final = 5
BATCHES_PER_S: Final = 4
LATE_US: Final = 250_000
"""How much of the time that was lost is made up for: a process that was down does not send everything at once."""
POLL_S: Final = 1.0
UNATTENDED_US: Final = 3_000_000
"""Whoever does replays looks for them much more often."""
FIRST: Final = ""


class Preview(msgspec.Struct, frozen=True):
    """What a replay would send."""

    wanted: Filter
    """What a replay that begins with it takes."""
    total: int
    counted_all: bool
    """Whether that is all; else there are at least so many."""
    first: list[Callback]


class Batch(msgspec.Struct, frozen=True):
    """What a replay is to send next."""

    replay: Replay
    found: Stretch


def scope(wanted: Filter, now_us: int) -> Filter:
    """Return what a replay that begins now takes of a filter: what has ended, and became owed before.

    What it makes itself is later than that, so it never meets its own copies.
    """
    until_us = now_us if wanted.until_us is None else min(wanted.until_us, now_us)
    return msgspec.structs.replace(wanted, until_us=until_us, ended=True)


def dry_run(tx: Transaction, wanted: Filter, *, now_us: int) -> Preview:
    """Say what a replay would send if it began now."""
    fixed = scope(wanted, now_us)
    found = resends.survey(tx, fixed, show=SHOWN)
    return Preview(fixed, found.total, found.counted_all, resends.redacted(tx, found.first))


async def start(
    store: Store,
    wanted: Filter,
    *,
    rate_per_s: float,
    account_id: str | None,
    new_id: NewId,
    now_us: int,
    also: Callable[[Transaction, Replay], None] | None = None,
) -> Replay:
    """Begin a replay; ``account_id`` says whose it is, ``also`` is done in its transaction.

    Raises ``InvalidRequest``.
    """
    if not LEAST_RATE_PER_S <= rate_per_s <= MOST_RATE_PER_S:
        raise InvalidRequest(f"rate_per_s parameter must be a number from {LEAST_RATE_PER_S:g} to {MOST_RATE_PER_S:g}")
    fixed = scope(wanted, now_us)
    # Counted before, and not in the transaction that writes: that may take a while.
    counted = await store.read(lambda tx: resends.survey(tx, fixed))
    replay = Replay(
        id=new_id(now_us),
        account_id=account_id,
        wanted=fixed,
        rate_per_s=rate_per_s,
        total=counted.total,
        counted_all=counted.counted_all,
        done=0,
        state=RUNNING,
        after_id=FIRST,
        created_at_us=now_us,
        updated_at_us=now_us,
        due_at_us=now_us,
    )

    def work(tx: Transaction) -> None:
        if account_id is not None:
            one_at_a_time(tx, f"replays of {account_id}")
        if account_id is not None and replays.running(tx, account_id) >= MOST_RUNNING:
            raise InvalidRequest(f"{MOST_RUNNING} replays are running already: wait until one has ended, or cancel it")
        replays.add(tx, replay)
        if also is not None:
            also(tx, replay)

    await store.write(work)
    return replay


def cancel(tx: Transaction, replay_id: str, *, now_us: int, account_id: str | None = None) -> Replay:
    """End a replay where it is. Raises ``NotFound``, or ``InvalidRequest`` for one that has sent everything."""
    replay = replays.cancel(tx, replay_id, now_us=now_us, account_id=account_id)
    if replay.state != CANCELLED:
        raise InvalidRequest(f"replay {replay_id} has ended already")
    return replay


def is_unattended(replay: Replay, now_us: int) -> bool:
    """Say whether a replay seems to have nobody who does it: its next callbacks have waited for too long."""
    return replay.due_at_us is not None and now_us - replay.due_at_us > UNATTENDED_US


def next_batch(tx: Transaction, now_us: int) -> Batch | None:
    """Find what is to be sent now."""
    replay = replays.due(tx, now_us)
    if replay is None:
        return None
    limit = min(max(round(replay.rate_per_s / BATCHES_PER_S), 1), POLITE_BATCH)
    return Batch(replay, resends.stretch(tx, replay.wanted, after=replay.after_id, limit=limit))


def send(tx: Transaction, batch: Batch, *, new_id: NewId, now_us: int) -> Replay | None:
    """Send a batch once more; returns the replay as it is then, ``None`` when somebody else has moved it on."""
    if not replays.take(tx, batch.replay):
        return None
    replay = batch.replay
    # A process whose clock is behind must not make copies that the replay would take for what was there before.
    made_at_us = max(now_us, replay.created_at_us)
    ids = batch.found.ids
    sent = len(resends.resend_those_left(tx, replay.wanted, ids, new_id=new_id, now_us=made_at_us)) if ids else 0
    ended = batch.found.end is None
    begun_us = max(replay.due_at_us or 0, now_us - LATE_US)
    moved = msgspec.structs.replace(
        replay,
        done=replay.done + sent,
        state=FINISHED if ended else RUNNING,
        after_id=batch.found.end or (ids[-1] if ids else replay.after_id),
        updated_at_us=now_us,
        due_at_us=None if ended else begun_us + round(sent * 1_000_000 / replay.rate_per_s),
    )
    replays.save(tx, moved)
    return moved


class Replayer:
    """Does what replays are due. A ``runtime.Worker``."""

    name = "replay"

    def __init__(self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._metrics = metrics
        self._hint = wakeups.listen("replays")
        self._stopping = False

    async def run(self) -> None:
        """Send what is due until stopped; a batch in hand is finished."""
        while not self._stopping:
            try:
                pause_s = await self.step()
            except StoreUnavailable as error:
                log.warning("claim_failed_trying_again", loop=self.name, error=str(error), pause_s=POLL_S)
                pause_s = POLL_S
            if pause_s > 0 and not self._stopping:
                await self._hint.wait(min(pause_s, POLL_S))

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopping = True
        self._hint.wake()

    async def step(self) -> float:
        """Send one batch if one is due; returns the seconds until the next look is worth it."""
        now_us = self._clock.now_us()
        batch, due_at_us = await self._store.read(lambda tx: (next_batch(tx, now_us), replays.next_due_at_us(tx)))
        if batch is None:
            return POLL_S if due_at_us is None else (due_at_us - now_us) / 1_000_000
        moved = await self._store.write(lambda tx: send(tx, batch, new_id=self._new_id, now_us=now_us))
        if moved is None:
            # Somebody else is at it, and has perhaps not committed: looking again at once would only get in the way.
            return 1 / BATCHES_PER_S
        if moved.done > batch.replay.done:
            self._metrics.replayed.inc(moved.done - batch.replay.done)
            self._wakeups.signal("callbacks")
        if moved.state == FINISHED:
            log.info("replay_finished", replay_id=moved.id, account_id=moved.account_id, done=moved.done)
        return 0
