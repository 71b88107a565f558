"""Reconciling: what a provider's list says of its messages against what its callbacks have brought.

The list is gone through in slices of time, from the oldest on, page by page. What is in a slice stays in it, as a
message's time does not change, so an offset means the same after a break; and a slice holds few enough messages that
offsets stay small, whatever the whole time has. Each page is one request, then one transaction: what was received of
its messages is read, compared, filled in, and the place noted. So a run that dies goes on where it was, two that run at
once fill in nothing twice, and only a page is in memory.

Then come messages of ours that the list has not named; the provider is asked for each by its id.

What is filled in is one event for a message, with the status that the list has: the steps between are known to nobody.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from ringback.model.errors import InvalidRequest, StoreUnavailable, TryLater
from ringback.model.ids import NewId
from ringback.model.vocabulary import rank_of, word_of
from ringback.receiver.event import JSON, Arrived, Event
from ringback.receiver.keep import Keeper, Kept, can_be_kept, kept_event
from ringback.receiver.rest import Reply
from ringback.receiver.source import PROVIDERS
from ringback.receiver.sources.provider_api import Page, Unreadable, message_target, page_target, read_page
from ringback.receiver.sources.upstream import Upstream
from ringback.runtime import Clock, persist
from ringback.settings import SourceSettings
from ringback.store import received, reconciliations
from ringback.store.order import one_at_a_time
from ringback.store.port import Store, Transaction
from ringback.store.received import RECONCILED, ReceivedRequest
from ringback.store.reconciliations import Counts, Finding, Kind, Place, Run

MOST_A_SLICE: Final = 5_000
LEAST_WIDTH_US: Final = 1_000_000
WAITS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Pauses after an answer that is of no use, for each request; then the run stops, and can go on later."""
MOST_WAIT_S: Final = 300.0
BATCH: Final = 20
ONE_S: Final = 0.1
"""Between two requests for single messages: providers allow more of those than of lists."""
FORGET: Final = 5_000
PASSING: Final = frozenset({408, 425, 429})

T = TypeVar("T")


class Asks(Protocol):
    """Who asks the provider; see ``rest.RestClient``."""

    async def ask(self, upstream: Upstream, method: str, target: str) -> Reply:
        """Make a request."""
        ...


class Watcher(Protocol):
    """Who is told how far a run is."""

    def moved(self, run: Run) -> None:
        """Take note that it has come here."""
        ...

    def waits(self, why: str, wait_s: float) -> None:
        """Take note that it waits, as the provider does not answer as it should."""
        ...


def compare(ours: set[str], theirs: str) -> Kind:
    """Say how the statuses that came of a message are to the one that the provider's list has."""
    if not ours:
        return "missing"
    furthest = max(rank_of(word) for word in ours)
    rank = rank_of(theirs)
    if rank != furthest:
        return "behind" if rank > furthest else "ahead"
    return "same" if word_of(theirs) in {word_of(word) for word in ours} else "differs"


def next_place(place: Place, page: Page, *, until_us: int) -> Place:
    """Say where a run goes on after a page of its slice; a slice that holds too much is cut, and begun anew."""
    end_us = min(place.at_us + place.width_us, until_us)
    width_us = end_us - place.at_us
    # The first page of the first slice is of the whole time.
    total = page.total if place.total is None else place.total
    if is_too_wide(place, page, until_us=until_us):
        return msgspec.structs.replace(place, width_us=max(width_us // 2, LEAST_WIDTH_US), total=total)
    if page.has_more:
        return msgspec.structs.replace(place, offset=place.offset + len(page.records), total=total)
    if page.total is not None and page.total < MOST_A_SLICE // 2:
        width_us *= 2
    return Place(at_us=end_us, width_us=max(width_us, LEAST_WIDTH_US), total=total, listed=end_us >= until_us)


def is_too_wide(place: Place, page: Page, *, until_us: int) -> bool:
    """Tell whether a slice is to be cut: its first page says that it holds too much."""
    width_us = min(place.at_us + place.width_us, until_us) - place.at_us
    return place.offset == 0 and (page.total or 0) > MOST_A_SLICE and width_us > LEAST_WIDTH_US


def new_run(
    run_id: str, source: str, *, since_us: int, until_us: int, now_us: int, dry_run: bool = False, subaccount: str = ""
) -> Run:
    """Return a run at its beginning. Raises ``InvalidRequest`` for a time that is none."""
    if since_us >= until_us:
        raise InvalidRequest("there is no time between --since and --until")
    return Run(
        id=run_id,
        source=source,
        subaccount=subaccount,
        since_us=since_us,
        until_us=until_us,
        dry_run=dry_run,
        state="running",
        place=Place(at_us=since_us, width_us=until_us - since_us),
        counts=Counts(),
        updated_at_us=now_us,
    )


class Reconciler:
    """Makes runs for one source."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        rest: Asks,
        upstream: Upstream,
        sources: Mapping[str, SourceSettings],
        lists_per_minute: float,
        pause: Callable[[float], Awaitable[None]],
        watcher: Watcher,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._rest = rest
        self._upstream = upstream
        self._keeper = Keeper(sources, new_id)
        self._provider = PROVIDERS[sources[upstream.source].provider]
        self._gap_s = 60.0 / lists_per_minute
        self._pause = pause
        self._watcher = watcher
        self._free_at_us = 0

    async def run(self, run: Run) -> Run:
        """Go on with a run until it has ended.

        Raises ``TryLater`` when the provider answers nothing of use for minutes, and ``InvalidRequest`` for what it
        refuses, or when another run of the source was begun instead. Either way the run goes on from where it is.
        """
        while not run.place.listed:
            run = await self._list(run)
            self._watcher.moved(run)
        while uuids := await self._store.read(partial(reconciliations.ours_alone, run=run, limit=BATCH)):
            run = await self._look_up(run, uuids)
            self._watcher.moved(run)
        while await self._write(partial(reconciliations.forget_same, run_id=run.id, limit=FORGET)):
            pass
        ended = msgspec.structs.replace(run, state="finished", updated_at_us=self._clock.now_us())
        await self._write(partial(_save, run=ended))
        return ended

    async def _list(self, run: Run) -> Run:
        place = run.place
        target = page_target(
            self._upstream.auth_id,
            since_us=place.at_us,
            until_us=min(place.at_us + place.width_us, run.until_us),
            offset=place.offset,
            subaccount=run.subaccount,
        )
        page = await self._ask(target, self._gap_s, _page)
        records = () if is_too_wide(place, page, until_us=run.until_us) else page.records
        following = next_place(place, page, until_us=run.until_us)
        counts = msgspec.structs.replace(run.counts, asked=run.counts.asked + 1)
        moved = msgspec.structs.replace(run, place=following, counts=counts)
        return await self._write(partial(self._compare, run=moved, records=records))

    async def _look_up(self, run: Run, uuids: Sequence[str]) -> Run:
        """Ask for messages by their ids."""
        found: list[bytes] = []
        unknown: list[str] = []
        for uuid in uuids:
            target = message_target(self._upstream.auth_id, uuid)
            record = await self._ask(target, min(ONE_S, self._gap_s), _record)
            if record is None:
                unknown.append(uuid)
            else:
                found.append(record)
        place = msgspec.structs.replace(run.place, after=uuids[-1])
        counts = msgspec.structs.replace(run.counts, asked=run.counts.asked + len(uuids))
        moved = msgspec.structs.replace(run, place=place, counts=counts)
        return await self._write(partial(self._compare, run=moved, records=found, unknown=unknown))

    def _compare(self, tx: Transaction, *, run: Run, records: Sequence[bytes], unknown: Sequence[str] = ()) -> Run:
        """Compare records with what was received, fill in what is missing, and note the place."""
        now_us = self._clock.now_us()
        events = {event.message_id: (event, record) for record in records if (event := self._event(record))}
        # Nobody stores callbacks of the source between the look and what follows from it.
        one_at_a_time(tx, f"received from {run.source}")
        fresh = reconciliations.not_seen(tx, run.id, [*events, *unknown])
        ours = received.words_of(tx, run.source, sorted(fresh))
        findings = [
            _finding(uuid, ours.get(uuid, set()), event.their_status)
            for uuid, (event, _) in events.items()
            if uuid in fresh
        ]
        kept: list[Kept] = []
        if not run.dry_run:
            kept = [
                self._kept(run.source, *events[each.message_uuid], now_us)
                for each in findings
                if each.finding in {"missing", "behind"}
            ]
            self._keeper.put(tx, kept=kept)
        findings += [_finding(uuid, ours.get(uuid, set()), None) for uuid in unknown if uuid in fresh]
        reconciliations.note(tx, run.id, findings)
        unreadable = sum(self._event(record) is None for record in records)
        counted = msgspec.structs.replace(
            run, counts=_counted(run.counts, findings, filled=len(kept), unreadable=unreadable), updated_at_us=now_us
        )
        _save(tx, run=counted)
        return counted

    def _event(self, record: bytes) -> Event | None:
        event = self._provider.read(Arrived(method="GET", target="", headers=_HEADERS, body=record, kind="record"))
        return event if event is not None and can_be_kept(event) else None

    def _kept(self, source: str, event: Event, record: bytes, now_us: int) -> Kept:
        request_id = self._new_id(now_us)
        request = ReceivedRequest(
            id=request_id,
            source=source,
            received_at_us=now_us,
            method="GET",
            target=message_target(self._upstream.auth_id, event.message_id),
            headers=json.dumps(_HEADERS),
            body=record,
            peer=(urlsplit(self._upstream.base_url).hostname or "")[:64],
            verdict=RECONCILED,
            accepted=True,
        )
        said = msgspec.structs.replace(kept_event(event, request_id, source, now_us), flag=RECONCILED)
        return Kept(request, said, event)

    async def _ask(self, target: str, gap_s: float, read: Callable[[Reply], T]) -> T:
        """Ask until there is an answer of use, no faster than the pace."""
        error = ""
        for wait_s in (0.0, *WAITS_S):
            if wait_s:
                self._watcher.waits(error, wait_s)
                await self._pause(wait_s)
            now_us = self._clock.now_us()
            if self._free_at_us > now_us:
                await self._pause((self._free_at_us - now_us) / 1_000_000)
            reply = await self._rest.ask(self._upstream, "GET", target)
            asked_for_s = min(reply.wait_s, MOST_WAIT_S) if reply.error else 0.0
            self._free_at_us = self._clock.now_us() + round(max(gap_s, asked_for_s) * 1_000_000)
            try:
                return read(reply)
            except Unreadable as unreadable:
                error = str(unreadable)
        raise TryLater(
            f"the provider gives nothing of use: {error}; "
            f"ringback reconcile --source {self._upstream.source} --resume goes on from here"
        )

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        return await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)


_HEADERS: Final = (("content-type", JSON),)


def _page(reply: Reply) -> Page:
    _accept(reply)
    return read_page(reply.body)


def _record(reply: Reply) -> bytes | None:
    """Return a message's record, ``None`` when the provider knows no such message."""
    if reply.http_status == 404:
        return None
    _accept(reply)
    return reply.body


def _accept(reply: Reply) -> None:
    """Raise ``InvalidRequest`` for what asking again does not change, ``Unreadable`` for what may pass."""
    status = reply.http_status
    if status is not None and 400 <= status < 500 and status not in PASSING:
        raise InvalidRequest(
            f"the provider refuses to tell: {reply.error}; look at the source's auth_id, tokens and api_url"
        )
    if reply.error:
        raise Unreadable(reply.error)


def _finding(uuid: str, ours: set[str], theirs: str | None) -> Finding:
    furthest = max(ours, key=rank_of, default="")
    kind: Kind = "unknown" if theirs is None else compare(ours, theirs)
    return Finding(message_uuid=uuid, finding=kind, ours=furthest, theirs=theirs or "")


def _counted(counts: Counts, findings: Sequence[Finding], *, filled: int, unreadable: int) -> Counts:
    more: dict[str, Any] = {"looked_at": counts.looked_at + len(findings), "filled": counts.filled + filled}
    more["unreadable"] = counts.unreadable + unreadable
    for kind in reconciliations.KINDS:
        more[kind] = getattr(counts, kind) + sum(each.finding == kind for each in findings)
    return msgspec.structs.replace(counts, **more)


def _save(tx: Transaction, *, run: Run) -> None:
    if not reconciliations.save(tx, run):
        raise InvalidRequest(f"another reconciliation of {run.source} was begun, and this one ends")
