"""Receipts that do not come: after the time that its route gives, a message gets a note that says so.

Its status stays ``sent``: nobody knows more than that (contract section 3.1). A receipt that comes later counts.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from ringback.messaging.progress import Progress
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.status import Status
from ringback.runtime import POLL_S, Clock, WorkLoop
from ringback.store import messages, parts
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.wakeups import Wakeups

FLAG: Final = "no_receipt"
"""Of events that say so."""
DETAIL: Final = "no receipt came within the time that its route gives"


class ReceiptWatch:
    """Looks for messages whose receipt is overdue."""

    def __init__(self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._metrics = metrics

    def worker(self) -> WorkLoop[None]:
        """Return the worker that looks, once a second, and goes on at once while there is more."""
        return WorkLoop(
            "overdue",
            claim=self.look,
            work=_nothing,
            hint=self._wakeups.listen("overdue"),
            capacity=POLITE_BATCH,
            retry_on=StoreUnavailable,
        )

    async def look(self, limit: int) -> tuple[Sequence[None], float | None]:
        """Note up to ``limit`` messages; returns nothing to do, and the seconds until the next look."""
        now_us = self._clock.now_us()
        first_us = await self._store.read(parts.first_deadline_us)
        if first_us is None or first_us > now_us:
            return (), POLL_S if first_us is None else (first_us - now_us) / 1_000_000
        found, noted = await self._store.write(partial(_note, now_us=now_us, limit=limit, new_id=self._new_id))
        self._metrics.receipts_missing.inc(noted)
        if noted:
            self._wakeups.signal("events")
        return (), 0 if found == limit else POLL_S


async def _nothing(_: None) -> None:
    """Nothing is left to be done."""


def _note(tx: Transaction, *, now_us: int, limit: int, new_id: NewId) -> tuple[int, int]:
    uuids = parts.take_overdue(tx, now_us=now_us, limit=limit)
    if not uuids:
        return 0, 0
    progress = Progress(new_id)
    noted = 0
    for message in messages.by_uuid(tx, sorted(uuids), lock=True).values():
        if message.status == Status.SENT:
            progress.remark(message, flag=FLAG, at_us=now_us, detail=DETAIL)
            noted += 1
    progress.write(tx)
    return len(uuids), noted
