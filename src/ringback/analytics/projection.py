"""The event log, taken into the analytics file: about once a second what is new, or all of it when the file is new.

Each batch is one transaction of the file, with the offset up to which it goes: whatever ends the process, a batch is
in it once or not at all. A batch is read twice. The first time, events are appended and their messages are put in as
they stand (``fold``). The second time, ``GRACE_S`` later, the same messages are looked at once more: by then their
callbacks have ended and most conversions have come, and those that have ended are closed. A rebuild is the same with
larger batches, where what is old enough needs no second look.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final, Protocol, TypeVar

import duckdb
import msgspec
import structlog
from duckdb import DuckDBPyConnection

from ringback.analytics import from_days, offsets, received, sealing
from ringback.analytics.days import REBUILD_WANTED, Days
from ringback.analytics.engine import Standing
from ringback.analytics.fold import Folded, Horizon, at, convert, drain, fold
from ringback.analytics.from_days import Taken
from ringback.analytics.offsets import Offsets
from ringback.analytics.staging import (
    empty,
    show,
    stage_conversions,
    stage_events,
    stage_messages,
    stage_no_events,
)
from ringback.metrics import Metrics
from ringback.model.errors import AnalyticsAway, StoreUnavailable
from ringback.runtime import Clock
from ringback.settings_analytics import AnalyticsSettings
from ringback.store import facts, feed, received_log
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups

T = TypeVar("T")

log = structlog.stdlib.get_logger("ringback.analytics")

GRACE_S: Final = 60.0
"""So long after it ended a message may still get a conversion or a callback may end, without being a correction."""
LARGE_BATCH: Final = 200_000
"""Events of one batch while there is much to catch up with: each costs a fraction of what it costs in a small one."""
STRETCH: Final = 50_000
"""Offsets of a stretch of the log that is taken from sealed days as a whole or not at all."""
STRETCHES_AT_ONCE: Final = 20
"""So many are summed up in one transaction."""
RECEIVED_BATCH: Final = 50_000
"""The same for received events, whose requests are read one by one for the provider's times."""
MUCH: Final = 50_000
LAST_S: Final = 2.0
"""How long what is new is still taken in when the process ends: the usual second takes a fraction of it."""
IDLE_S: Final = 5.0
"""Without a hint the log is looked at so seldom."""
HOUSEKEEPING_S: Final = 60.0
PROGRESS_S: Final = 5.0
_HOUR_US: Final = 3_600_000_000
_FROM_THE_LOG: Final = ("asked_for", "ahead_of_the_log")
"""Why a file is made anew from the log alone: somebody does not trust it, or the log is not what it was."""


class AnalyticsFile(Protocol):
    """Where it is written: ``analytics.duck.DuckEngine``."""

    async def write(self, work: Callable[[DuckDBPyConnection], T], *, transaction: bool = True) -> T:
        """Do work in one transaction, in the thread that writes."""
        ...

    async def stage(self, work: Callable[[DuckDBPyConnection], T]) -> T:
        """Do work on what is in memory only, in a thread of its own."""
        ...

    def note_standing(self, standing: Standing) -> None:
        """Remember how far it is, for whoever asks."""
        ...


class Projection:
    """Keeps the analytics file up to date. A ``runtime.Worker``."""

    name = "analytics"

    def __init__(
        self,
        *,
        store: Store,
        identity: str,
        file: AnalyticsFile,
        clock: Clock,
        wakeups: Wakeups,
        settings: AnalyticsSettings,
        metrics: Metrics,
        days: Days,
        large_batch: int = LARGE_BATCH,
        stretch: int = STRETCH,
        begun_anew: str | None = None,
        sources: received.Sources = received.NO_SOURCES,
    ) -> None:
        """``identity`` is the store's; ``days`` is where days are sealed; ``begun_anew`` says why there was no file.

        ``sources`` knows the sources of received callbacks.
        """
        self._sources = sources
        self._received_batch = min(large_batch, RECEIVED_BATCH)
        self._begun_anew = begun_anew
        self._store = store
        self._identity = identity
        self._file = file
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._days = days
        self._large_batch = large_batch
        self._stretch = stretch
        self._hint = wakeups.listen("events", "received")
        self._mark = facts.Mark()
        self._offsets = Offsets()
        self._as_of_us = clock.now_us()
        metrics.analytics_lag(lambda: (clock.now_us() - self._as_of_us) / 1_000_000)
        self._rebuilding: str | None = None
        self._events = 0
        self._changes = 0
        self._per_s = 0.0
        self._is_prepared = False
        self._stopping = asyncio.Event()
        self._end_at_s = float("inf")
        self._kept_at_s = float("-inf")
        self._unsealed: list[date] = []

    async def run(self) -> None:
        """Take in what is new until stopped, and then what came meanwhile, for ``LAST_S`` at most."""
        is_last = False
        try:
            while not is_last:
                is_last = self._stopping.is_set()
                began_s = time.monotonic()
                try:
                    await self._look_for_wish()
                    await self.catch_up()
                    await self._keep_house()
                except (StoreUnavailable, AnalyticsAway, duckdb.Error) as error:
                    # What was begun is rolled back, and is begun again from the offset in the file.
                    self._is_prepared = False
                    self._unsealed = []
                    log.warning("analytics_not_taken_in", error=str(error).partition("\n")[0])
                if self._stopping.is_set() or self._unsealed:
                    # What is new goes first, then the next day.
                    continue
                if await self._hint.wait(IDLE_S):
                    await self._rest(began_s + self._settings.interval_s - time.monotonic())
        finally:
            self._hint.close()

    async def _rest(self, seconds: float) -> None:
        """Let more come together: a second's events in one batch are cheaper than each alone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._stopping.wait()

    def stop(self) -> None:
        """Begin no further batch after ``LAST_S``."""
        self._end_at_s = time.monotonic() + LAST_S
        self._stopping.set()
        self._hint.wake()

    def _must_end(self) -> bool:
        return time.monotonic() >= self._end_at_s

    async def catch_up(self) -> None:
        """Take in everything that is in the log now. Raises ``StoreUnavailable``, DuckDB's errors."""
        if not self._is_prepared:
            await self._prepare()
        as_of_us = self._clock.now_us()
        until = await feed.complete_to(self._store)
        said_until = await self._mark.conversions_complete_to(self._store)
        if self._rebuilding is not None and self._offsets.events == 0 and self._offsets.conversions == 0:
            await self._begin_with_days(until, said_until)
        await self._take_events(until)
        await self._take_conversions(said_until)
        await self._take_received()
        await self._settle()
        if self._rebuilding is not None and not self._must_end():
            await self._end_rebuild()
        if not self._must_end():
            self._note("current", behind=0, as_of_us=as_of_us)
            self._as_of_us = as_of_us

    async def _begin_with_days(self, until: int, said_until: int) -> None:
        """Begin a rebuild with what the sealed days have, and read from the log what they have not."""
        if self._events:
            # It has been begun before: the log goes on from its beginning, and what is there is left out.
            return
        taken = None
        if self._rebuilding not in _FROM_THE_LOG and self._days.sealed():
            logged = await self._stretches(until)
            if self._stopping.is_set():
                # Taking days is one piece of work, which would be waited for.
                return
            try:
                taken = await self._with_days(partial(self._take_days, logged=logged))
            except duckdb.Error as error:
                log.warning("analytics_days_not_taken", error=str(error).partition("\n")[0])
        if taken is None:
            # Messages are read with what has been said of them: there is nothing to add to that.
            await self._write(lambda con: offsets.note(con, conversions=said_until), conversions=said_until)
            return
        self._took(conversions=taken.conversions)
        self._events = await self._file.write(lambda con: _count(con, "events"))
        log.info("analytics_days_taken", events=self._events)
        for after, to in taken.places:
            if self._must_end():
                return
            await self._skip_to(after)
            await self._take_events(min(to, until))
        if not self._must_end():
            await self._skip_to(until)

    async def _stretches(self, until: int) -> list[facts.Stretch]:
        """Sum up the log, so much of it at a time that a database with a limit of time gets through."""
        first, last = await self._store.read(lambda tx: facts.span(tx, 0, until))
        step = self._stretch * STRETCHES_AT_ONCE
        found: list[facts.Stretch] = []
        for after in range(first // step * step, last, step):
            if self._stopping.is_set():
                break
            read = partial(facts.stretches, after=after, until=min(after + step, last), size=self._stretch)
            found += await self._store.read(read)
        return found

    def _take_days(
        self, con: DuckDBPyConnection, sealed: Sequence[date], logged: Sequence[facts.Stretch]
    ) -> Taken | None:
        taken = from_days.take(con, self._days, sealed, logged, self._stretch)
        if taken is not None:
            offsets.note(con, conversions=taken.conversions)
        return taken

    async def _with_days(self, work: Callable[[DuckDBPyConnection, Sequence[date]], T]) -> T:
        """Do work that reads the sealed days, as one transaction; if it fails, without those that cannot be read."""
        try:
            return await self._file.write(lambda con: work(con, self._days.sealed()))
        except duckdb.Error:
            readable = await self._file.write(partial(sealing.readable, days=self._days), transaction=False)
            return await self._file.write(lambda con: work(con, readable))

    async def _skip_to(self, offset: int) -> None:
        """Go on to an offset up to which everything is there: of days that are sealed, so it needs no second look."""
        to = {"events": offset}
        if self._offsets.settled == self._offsets.events:
            to["settled"] = offset
        await self._write(lambda con: offsets.note(con, **to), **to)

    async def make_anew(self, why: str) -> None:
        """Empty the file and take in everything again."""
        await self._begin_anew(why)
        await self.catch_up()

    async def _begin_anew(self, why: str) -> None:
        await self._file.write(lambda con: offsets.begin_anew(con, store=self._identity, why=why))
        log.info("analytics_rebuild_began", reason=why, events=await feed.complete_to(self._store))
        await self._prepare()

    async def _look_for_wish(self) -> None:
        wish = self._days.whole / REBUILD_WANTED
        if wish.exists() and not self._stopping.is_set():
            await self._begin_anew("asked_for")
            # Not before: whoever waits for it to go looks at the standing then.
            wish.unlink()

    async def _prepare(self) -> None:
        origin, self._offsets = await self._file.write(offsets.read)
        complete_to = await feed.complete_to(self._store)
        why = None
        if origin.store is None:
            why = self._begun_anew or "new_file"
        elif origin.store != self._identity:
            why = "made_from_another_database"
        elif self._offsets.events > complete_to:
            why = "ahead_of_the_log"
        if why is not None:
            await self._file.write(lambda con: offsets.begin_anew(con, store=self._identity, why=why))
            self._offsets = Offsets()
            log.info("analytics_rebuild_began", reason=why, events=complete_to)
        self._rebuilding = why or origin.rebuilding
        self._events = await self._file.write(lambda con: _count(con, "events"))
        self._changes = self._clock.now_us()
        self._is_prepared = True
        self._note("rebuilding" if self._rebuilding else "behind", behind=complete_to - self._offsets.events)

    async def _take_events(self, until: int) -> None:
        """Take in events up to an offset; while one batch is taken in, the next one is read."""
        began_s = told_s = time.monotonic()
        taken, slot = 0, 0
        # Numbers that are pruned, or were drawn and rolled back, may be most of them.
        before, until = await self._store.read(lambda tx: facts.span(tx, self._offsets.events, until))
        place = self._next_place(before, until)
        reading = asyncio.create_task(self._read(slot, *place, events=True))
        try:
            while place[0] < until and not self._must_end():
                batch_s = time.perf_counter()
                await reading
                following = self._next_place(place[1], until)
                reading = asyncio.create_task(self._read(1 - slot, *following, events=True))
                folded = await self._take_batch(slot, place[1])
                place, slot = following, 1 - slot
                taken += folded.events
                self._events += folded.events
                now_s = time.monotonic()
                self._metrics.analytics_took(folded.events, time.perf_counter() - batch_s)
                self._per_s = taken / max(now_s - began_s, 0.001)
                behind = until - place[0]
                self._note("rebuilding" if self._rebuilding else "behind", behind=behind)
                if now_s - told_s > PROGRESS_S:
                    told_s = now_s
                    log.info("analytics_catching_up", taken=taken, behind=behind, per_s=round(self._per_s))
        finally:
            await asyncio.gather(reading, return_exceptions=True)

    def _next_place(self, after: int, until: int) -> tuple[int, int]:
        is_much = until - after > MUCH or self._rebuilding is not None
        batch = self._large_batch if is_much else self._settings.batch
        return after, min(after + batch, until)

    async def _read(self, slot: int, after: int, until: int, *, events: bool) -> None:
        """Read events and their messages into a slot, or with ``events`` false only the messages."""
        if after == until:
            return

        def read_events(con: DuckDBPyConnection) -> None:
            if not events:
                stage_no_events(con, slot)
                return
            stage_events(con, self._store.text(facts.events_between(after, until)), self._days.whole, slot)

        def read_messages(con: DuckDBPyConnection) -> None:
            stage_messages(con, self._store.text(facts.messages_between(after, until)), self._days.whole, slot)

        await asyncio.gather(self._file.stage(read_events), self._file.stage(read_messages))

    async def _take_batch(self, slot: int, until: int) -> Folded:
        after, settled = self._offsets.events, self._offsets.settled
        horizon = self._horizon()

        def take(con: DuckDBPyConnection) -> tuple[Folded, int]:
            show(con, slot)
            if self._rebuilding is not None:
                from_days.leave_out(con, after, until)
            folded = fold(con, horizon)
            # What is old enough needs no second look.
            through = until if settled == after and folded.newest_us < horizon.ended_before_us else settled
            offsets.note(con, events=until, settled=through)
            return folded, through

        folded, through = await self._file.write(take)
        await self._file.stage(lambda con: empty(con, slot))
        self._took(events=until, settled=through)
        return folded

    async def _settle(self) -> None:
        """Look once more at messages whose events are old enough, and close those that have ended."""
        horizon = self._horizon()
        head, after = self._offsets.events, self._offsets.settled
        if after >= head:
            return
        first, first_young = await self._file.write(lambda con: _firsts(con, after, horizon.ended_before_us))
        until = head if first_young is None else first_young - 1
        before = until if first is None else min(first - 1, until)
        if before > after:
            await self._write(lambda con: offsets.note(con, settled=before), settled=before)
        while self._offsets.settled < until and not self._must_end():
            await self._settle_batch(*self._next_place(self._offsets.settled, until), horizon)

    async def _settle_batch(self, after: int, until: int, horizon: Horizon) -> None:
        await self._read(0, after, until, events=False)

        def look_again(con: DuckDBPyConnection) -> None:
            show(con, 0)
            fold(con, horizon)
            offsets.note(con, settled=until)

        await self._write(look_again, settled=until)
        await self._file.stage(lambda con: empty(con, 0))

    async def _take_conversions(self, until: int) -> None:
        while self._offsets.conversions < until and not self._must_end():
            after = self._offsets.conversions
            to = min(after + self._large_batch, until)

            def take(con: DuckDBPyConnection, after: int = after, to: int = to) -> None:
                with self._store.stream(facts.conversions_between(after, to)) as stream:
                    stage_conversions(con, stream)
                convert(con)
                offsets.note(con, conversions=to)

            await self._write(take, conversions=to)

    async def _take_received(self) -> None:
        until = await self._store.read(received_log.last_position)
        began_s, taken = time.monotonic(), 0
        while self._offsets.received < until and not self._must_end():
            behind = until - self._offsets.received
            batch = self._received_batch if behind > MUCH else self._settings.batch
            batch_s = time.perf_counter()
            folded = await self._take_received_batch(min(self._offsets.received + batch, until))
            taken += folded.events
            self._events += folded.events
            self._metrics.analytics_took(folded.events, time.perf_counter() - batch_s)
            self._per_s = taken / max(time.monotonic() - began_s, 0.001)
            self._note("rebuilding" if self._rebuilding else "behind", behind=until - self._offsets.received)

    async def _take_received_batch(self, until: int) -> Folded:
        after, horizon = self._offsets.received, self._horizon()

        def take(con: DuckDBPyConnection) -> Folded:
            received.stage_accounts(con, self._sources.accounts)
            with self._store.stream(facts.requests_between(after, until)) as stream:
                received.stage_times(con, stream, self._sources.time_of)
            with self._store.stream(facts.received_between(after, until)) as stream:
                received.stage_received_events(con, stream)
            with self._store.stream(facts.received_of_messages_between(after, until)) as stream:
                received.stage_received_messages(con, stream)
            folded = fold(con, horizon)
            offsets.note(con, received=until)
            return folded

        folded = await self._file.write(take)
        self._took(received=until)
        return folded

    async def _end_rebuild(self) -> None:
        def end(con: DuckDBPyConnection, readable: Sequence[date]) -> int:
            put_back = sealing.restore(con, self._days, readable)
            offsets.rebuilt(con)
            return put_back

        restored = await self._with_days(end)
        self._events = await self._file.write(lambda con: _count(con, "events"))
        log.info(
            "analytics_rebuilt", reason=self._rebuilding, events=self._events, restored=restored,
            per_s=round(self._per_s),
        )  # fmt: skip
        self._rebuilding = None
        self._changes += 1

    async def _keep_house(self) -> None:
        """Now and then close what nothing comes of any more; seal a day that is settled, one at a time."""
        if self._stopping.is_set() or self._rebuilding is not None:
            return
        now_s, countries = time.monotonic(), self._settings.sent_counts_as_delivered
        if now_s - self._kept_at_s >= HOUSEKEEPING_S:
            self._kept_at_s = now_s
            horizon = self._horizon()
            if await self._file.write(lambda con: drain(con, horizon)):
                self._changes += 1
            settled = at(horizon.queued_before_us)
            self._unsealed, open_messages = await self._file.write(
                lambda con: (sealing.to_seal(con, settled, countries), _count(con, "open_messages"))
            )
            self._metrics.analytics_size(open_messages=open_messages, file_bytes=self._days.size_bytes())
        if self._unsealed:
            day = self._unsealed.pop(0)
            await self._file.write(partial(sealing.seal, days=self._days, day=day, countries=countries))
            log.info("analytics_day_sealed", day=str(day))

    def _horizon(self) -> Horizon:
        now_us = self._clock.now_us()
        return Horizon(
            ended_before_us=now_us - round(GRACE_S * 1_000_000),
            queued_before_us=now_us - (self._settings.no_receipt_hours + 1) * _HOUR_US,
        )

    async def _write(self, work: Callable[[DuckDBPyConnection], object], **to: int) -> None:
        await self._file.write(work)
        self._took(**to)

    def _took(self, **to: int) -> None:
        self._offsets = msgspec.structs.replace(self._offsets, **to)
        self._changes += 1

    def _note(self, state: str, *, behind: int, as_of_us: int = 0) -> None:
        self._file.note_standing(
            Standing(
                state=state,
                events=self._events,
                behind=behind,
                as_of_us=as_of_us,
                mark=self._changes,
                per_s=self._per_s if behind else 0.0,
            )
        )


def _count(con: DuckDBPyConnection, table: str) -> int:
    return int(con.table(table).count("*").fetchall()[0][0])


def _firsts(con: DuckDBPyConnection, after: int, before_us: int) -> tuple[int | None, int | None]:
    """Return the first event after an offset, and the first that is too young for a second look."""
    found: tuple[int | None, int | None] = con.execute(
        'SELECT min(log_offset), min(log_offset) FILTER (WHERE "at" >= ?) FROM events '
        "WHERE origin = 'ringback' AND log_offset > ?",
        [at(before_us), after],
    ).fetchall()[0]
    return found
