"""Delivery receipts: what the carrier says became of a message.

A receipt is taken when the commit that holds its consequences is on disk; the connector acknowledges it to
the carrier only then. One for a carrier id that nobody knows yet waits in the store for its submission's
answer, which may still be on its way.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

import msgspec

from ringback.carriers.port import Receipt
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.status import Flag, Status
from ringback.runtime import Batcher, Clock
from ringback.store import messages, submissions
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.wakeups import Wakeups


class _Arrival(msgspec.Struct, frozen=True):
    receipt: Receipt
    at_us: int


class ReceiptTaker:
    """Takes receipts from connectors."""

    def __init__(self, *, store: Store, clock: Clock, new_id: NewId, wakeups: Wakeups, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._metrics = metrics
        self._arrivals: Batcher[_Arrival, None] = Batcher(
            self._record, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    async def take(self, receipt: Receipt) -> None:
        """Store a receipt and what follows from it. Raises ``StoreUnavailable``: then it was not taken."""
        await self._arrivals.submit(_Arrival(receipt, self._clock.now_us()))

    async def _record(self, arrivals: list[_Arrival]) -> Sequence[None]:
        judged = await self._store.write(partial(_record, arrivals=arrivals, new_id=self._new_id))
        for (status, flag), count in judged.items():
            self._metrics.receipts.add(flag or "taken", count=count)
            if not flag:
                self._metrics.status_changes.add(status.value, count=count)
        if early := len(arrivals) - judged.total():
            self._metrics.receipts.add("early", count=early)
        self._wakeups.signal("callbacks")
        self._wakeups.signal("events")
        return [None] * len(arrivals)


def _record(tx: Transaction, *, arrivals: list[_Arrival], new_id: NewId) -> Counter[tuple[Status, Flag]]:
    by_connector: dict[str, list[_Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_connector[arrival.receipt.connector].append(arrival)
    progress = Progress(new_id)
    early = []
    for connector, theirs in by_connector.items():
        refs = list({arrival.receipt.carrier_ref for arrival in theirs})
        known = messages.by_carrier_ref(tx, connector, refs)
        for arrival in theirs:
            receipt = arrival.receipt
            message = known.get(receipt.carrier_ref)
            if message is None:
                early.append(
                    {
                        "connector": connector,
                        "carrier_ref": receipt.carrier_ref,
                        "status": receipt.status.value,
                        "error_code": receipt.error_code,
                        "at_us": arrival.at_us,
                        "detail": receipt.detail,
                    }
                )
                continue
            known[receipt.carrier_ref] = progress.change(
                message,
                Change(
                    status=receipt.status,
                    at_us=arrival.at_us,
                    error_code=receipt.error_code,
                    detail=receipt.detail,
                ),
            )
    submissions.keep_early_receipts(tx, early)
    progress.write(tx)
    return progress.judged
