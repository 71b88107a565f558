"""Delivery receipts: what the carrier says became of a message.

A receipt is taken when the commit that holds its consequences is on disk; the connector acknowledges it to
the carrier only then. One for a carrier id that nobody knows yet waits in the store for its submission's
answer, which may still be on its way.

An intermediate receipt goes into the history of its message and changes nothing. One that nobody knows is counted and
not kept: whatever follows it says more.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from ringback.carriers.port import Receipt
from ringback.messaging.parts import FLAG, PartBook
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.runtime import Batcher, Clock
from ringback.store import messages, parts, submissions
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups

EARLY: Final = "early"
INTERMEDIATE: Final = "intermediate"
"""Of events that tell of an intermediate receipt."""
RESULTS: Final = {"": "taken", FLAG: "taken"}
"""What metrics call the flags that they do not call by their name."""


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
            self._record, max_weight=store.background_batch, shared_errors=(StoreUnavailable,)
        )

    async def take(self, receipt: Receipt) -> None:
        """Store a receipt and what follows from it. Raises ``StoreUnavailable``: then it was not taken."""
        await self._arrivals.submit(_Arrival(receipt, self._clock.now_us()))

    async def _record(self, arrivals: list[_Arrival]) -> Sequence[None]:
        judged = await self._store.write(partial(_record, arrivals=arrivals, new_id=self._new_id))
        for (status, flag), count in judged.items():
            self._metrics.receipts.add(RESULTS.get(flag, flag), count=count)
            if not flag:
                self._metrics.status_changes.add(status.value, count=count)
        self._wakeups.signal("callbacks")
        self._wakeups.signal("events")
        return [None] * len(arrivals)


def _record(tx: Transaction, *, arrivals: list[_Arrival], new_id: NewId) -> Counter[tuple[Status, str]]:
    by_connector: dict[str, list[_Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_connector[arrival.receipt.connector].append(arrival)
    progress = Progress(new_id)
    book = PartBook(progress)
    early: list[dict[str, object]] = []
    for connector, theirs in by_connector.items():
        refs = list({arrival.receipt.carrier_ref for arrival in theirs})
        known = messages.by_carrier_ref(tx, connector, refs)
        in_parts = _in_parts(tx, book, connector, [ref for ref in refs if ref not in known])
        for arrival in theirs:
            receipt, change = arrival.receipt, _change(arrival)
            message = known.get(receipt.carrier_ref)
            of_part = in_parts.get(receipt.carrier_ref)
            if receipt.status is Status.SENT:
                whole = message or of_part
                _on_its_way(progress, whole, change)
            elif message is not None:
                known[receipt.carrier_ref] = progress.change(message, change)
            elif of_part is not None:
                book.take(of_part.uuid, receipt.carrier_ref, change)
            else:
                early.append(_early(arrival))
                progress.judged[receipt.status, EARLY] += 1
    submissions.keep_early_receipts(tx, early)
    book.write(tx)
    progress.write(tx)
    return progress.judged


def _in_parts(tx: Transaction, book: PartBook, connector: str, refs: list[str]) -> dict[str, Message]:
    """Return the messages of which these are parts, and let the book know them."""
    found = parts.by_carrier_ref(tx, connector, refs) if refs else {}
    if not found:
        return {}
    uuids = sorted(set(found.values()))
    whole = messages.by_uuid(tx, uuids, lock=True)
    # Read under the lock: somebody else's receipt for another part is either there, or waits.
    for uuid, its_parts in parts.of_messages(tx, uuids).items():
        if uuid in whole:
            book.know(whole[uuid], its_parts)
    return {ref: whole[uuid] for ref, uuid in found.items() if uuid in whole}


def _on_its_way(progress: Progress, message: Message | None, change: Change) -> None:
    if message is not None and message.status == Status.SENT:
        progress.flag(message, change, INTERMEDIATE)
    else:
        progress.judged[change.status, INTERMEDIATE] += 1


def _change(arrival: _Arrival) -> Change:
    receipt = arrival.receipt
    return Change(status=receipt.status, at_us=arrival.at_us, error_code=receipt.error_code, detail=receipt.detail)


def _early(arrival: _Arrival) -> dict[str, object]:
    receipt = arrival.receipt
    return {
        "connector": receipt.connector,
        "carrier_ref": receipt.carrier_ref,
        "status": receipt.status.value,
        "error_code": receipt.error_code,
        "at_us": arrival.at_us,
        "detail": receipt.detail,
    }
