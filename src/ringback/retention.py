"""Letting go of what is old, in small steps beside the live work.

Every hour a sweep goes through what is older than the settings keep it, a batch to a transaction, and rests after each
batch four times as long as it took. Counts by hour (``store.rollups``) stay.

It belongs to the role ``deliver``: ``web`` has customers waiting for its answers, ``submit`` has a carrier. Several
such processes may sweep at a time; they get different batches, or find that there is nothing left.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import structlog

from ringback.metrics import Metrics
from ringback.model.errors import OutOfSpace, StoreUnavailable
from ringback.runtime import Clock
from ringback.settings import RetentionSettings
from ringback.store import (
    audit,
    captures,
    conversions_out,
    country_counts,
    media,
    pacing,
    powerpacks,
    pruning,
    reconciliations,
    smpp_owed,
)
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store, Transaction
from ringback.store.pruning import Pruned

T = TypeVar("T")

log = structlog.stdlib.get_logger("ringback.retention")

DAY_US: Final = 86_400_000_000
BATCH: Final = 100
"""Messages to a transaction: whoever accepts one meanwhile waits about 10 ms for it."""
EARLY_RECEIPTS_DAYS: Final = 7
FIRST_AFTER_S: Final = 60.0
ORPHANS_AFTER_S: Final = 86_400.0
"""Files without a row may be about to get one until then."""
INTERVAL_S: Final = 3600.0
LEAST_REST_S: Final = 0.1
RESTS: Final = 4
"""Times a batch's duration."""

KINDS: Final = (
    "messages",
    "endpoints",
    "replays",
    "sticky_senders",
    "received_requests",
    "early_receipts",
    "inbound_requests",
    "logins",
    "auth_tokens",
    "media",
    "country_counts",
    "pacing",
    "other_callbacks",
    "captures",
    "conversions_out",
    "reconciled_messages",
    "smpp_owed",
    "audit_log",
)


class Retention:
    """Removes what is older than it has to be. A ``runtime.Worker``."""

    name = "retention"

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        settings: RetentionSettings,
        metrics: Metrics,
        files: MediaFiles | None = None,
        first_after_s: float = FIRST_AFTER_S,
        least_rest_s: float = LEAST_REST_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._files = files
        self._first_after_s = first_after_s
        self._least_rest_s = least_rest_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Sweep every hour until stopped; a batch in hand is finished."""
        await self._rest(self._first_after_s)
        while not self._stopping.is_set():
            await self.sweep()
            await self._rest(INTERVAL_S)

    def stop(self) -> None:
        """Begin no further batch."""
        self._stopping.set()

    async def sweep(self) -> Counter[str]:
        """Remove what is old now; returns and logs how much, by kind."""
        now_us = self._clock.now_us()
        removed: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        try:
            await self._sweep_messages(removed, now_us)
            await self._sweep_endpoints(removed, now_us)
            if days := self._settings.messages_days:
                replays_before_us = now_us - days * DAY_US
                await self._sweep_kind(
                    removed,
                    "replays",
                    lambda tx: pruning.prune_replays(tx, before_us=replays_before_us, limit=BATCH),
                )
                await self._sweep_kind(
                    removed,
                    "sticky_senders",
                    lambda tx: powerpacks.prune_kept(tx, before_us=replays_before_us, limit=BATCH),
                )
            if days := self._settings.received_days:
                await self._sweep_kind(
                    removed,
                    "received_requests",
                    lambda tx: pruning.prune_received(tx, before_us=now_us - days * DAY_US, limit=BATCH),
                )
                await self._sweep_kind(
                    removed,
                    "conversions_out",
                    lambda tx: conversions_out.prune(tx, before_us=now_us - days * DAY_US, limit=BATCH),
                )
                await self._sweep_kind(
                    removed,
                    "reconciled_messages",
                    lambda tx: reconciliations.prune(tx, before_us=now_us - days * DAY_US, limit=BATCH),
                )
            if days := self._settings.audit_days:
                await self._sweep_kind(
                    removed,
                    "audit_log",
                    lambda tx: audit.prune(tx, before_us=now_us - days * DAY_US, limit=BATCH),
                )
            await self._sweep_limits(removed, now_us)
            await self._sweep_kind(removed, "captures", lambda tx: captures.prune(tx, now_us=now_us, limit=BATCH))
            early_before_us = now_us - EARLY_RECEIPTS_DAYS * DAY_US
            await self._sweep_kind(
                removed,
                "early_receipts",
                lambda tx: pruning.prune_early_receipts(tx, before_us=early_before_us, limit=BATCH),
            )
            await self._sweep_kind(
                removed,
                "inbound_requests",
                lambda tx: pruning.prune_inbound_requests(tx, before_us=early_before_us, limit=BATCH),
            )
            if self._files is not None:
                await self._sweep_media(self._files, removed, now_us)
            if not self._stopping.is_set():
                expired = await self._store.write(lambda tx: pruning.prune_expired(tx, now_us))
                removed["logins"], removed["auth_tokens"] = expired
        except (StoreUnavailable, OutOfSpace) as error:
            log.warning("retention_interrupted", error=str(error), again_in_s=INTERVAL_S, **removed)
        else:
            log.info("retention_removed", **removed)
        return removed

    async def _sweep_messages(self, removed: Counter[str], now_us: int) -> None:
        days = self._settings.messages_days
        place = pruning.BEGINNING if days else None
        while place is not None and not self._stopping.is_set():
            after = place

            def work(tx: Transaction) -> Pruned:
                return pruning.prune_messages(
                    tx,
                    before_us=now_us - days * DAY_US,
                    give_up_before_us=now_us - 2 * days * DAY_US,
                    after=after,  # noqa: B023 - done with before the loop goes on
                    limit=BATCH,
                )

            pruned = await self._step(work)
            removed["messages"] += pruned.messages
            self._tell_of_given_up(pruned)
            place = pruned.next_place

    def _tell_of_given_up(self, pruned: Pruned) -> None:
        if not pruned.callbacks_given_up and not pruned.submissions_given_up:
            return
        if pruned.callbacks_given_up:
            self._metrics.callbacks_finished.add("given_up", count=pruned.callbacks_given_up)
        log.warning(
            "retention_gave_up",
            callbacks=pruned.callbacks_given_up,
            submissions=pruned.submissions_given_up,
            older_than_days=2 * self._settings.messages_days,
        )

    async def _sweep_endpoints(self, removed: Counter[str], now_us: int) -> None:
        # At twice the time no message is left whose callbacks they could be owed, held back or not.
        before_us = now_us - 2 * self._settings.messages_days * DAY_US
        after: str | None = "" if self._settings.messages_days else None
        while after is not None and not self._stopping.is_set():
            pruned = await self._step(partial(pruning.prune_endpoints, before_us=before_us, after=after, limit=BATCH))
            removed["endpoints"] += pruned.endpoints
            after = pruned.next_id

    async def _sweep_media(self, files: MediaFiles, removed: Counter[str], now_us: int) -> None:
        count = BATCH
        while count == BATCH and not self._stopping.is_set():
            gone = await self._step(partial(media.prune, now_us=now_us, limit=BATCH))
            await files.remove(gone)
            count = len(gone)
            removed["media"] += count
        # What a crash left between a file and its row, and what was begun and never finished.
        left = await files.old_ids(older_than_s=ORPHANS_AFTER_S)
        for at in range(0, len(left), BATCH):
            ids = left[at : at + BATCH]
            known = await self._store.read(partial(media.by_id, ids=ids))
            await files.remove([media_id for media_id in ids if media_id not in known])

    async def _sweep_limits(self, removed: Counter[str], now_us: int) -> None:
        """Remove what limits and alerts leave behind: nobody counts by it any more."""
        day_ago_us = now_us - DAY_US
        await self._sweep_kind(
            removed,
            "country_counts",
            lambda tx: country_counts.prune(tx, before_us=day_ago_us, limit=BATCH),
        )
        after: str | None = ""
        while after is not None and not self._stopping.is_set():
            gone, after = await self._step(partial(pacing.prune, before_us=day_ago_us, after=after, limit=BATCH))
            removed["pacing"] += gone
        if days := self._settings.messages_days:
            await self._sweep_kind(
                removed,
                "other_callbacks",
                lambda tx: pruning.prune_other_callbacks(tx, before_us=now_us - days * DAY_US, limit=BATCH),
            )
            await self._sweep_kind(
                removed,
                "smpp_owed",
                lambda tx: smpp_owed.prune(tx, before_us=now_us - days * DAY_US, limit=BATCH),
            )

    async def _sweep_kind(self, removed: Counter[str], kind: str, prune: Callable[[Transaction], int]) -> None:
        count = BATCH
        while count == BATCH and not self._stopping.is_set():
            count = await self._step(prune)
            removed[kind] += count

    async def _step(self, work: Callable[[Transaction], T]) -> T:
        started_us = self._clock.now_us()
        result = await self._store.write(work)
        took_s = (self._clock.now_us() - started_us) / 1_000_000
        await self._rest(max(self._least_rest_s, RESTS * took_s))
        return result

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
