"""Keeping what a source says: stored as it came and in fields, placed in the log, handed on, all in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ringback.model.ids import NewId
from ringback.receiver.event import Event
from ringback.receiver.forward import Received, callbacks_for, targets_of
from ringback.settings import SourceSettings
from ringback.store import callbacks, received, received_log
from ringback.store.port import Transaction
from ringback.store.received import ReceivedEvent, ReceivedRequest

MAX_MESSAGE_ID: Final = 64


class Kept(msgspec.Struct, frozen=True):
    """A request, and what it says if it is believed."""

    request: ReceivedRequest
    event: ReceivedEvent | None
    said: Event | None = None
    """All of it."""


class Keeper:
    """Knows where events of sources go on to."""

    def __init__(self, sources: Mapping[str, SourceSettings], new_id: NewId) -> None:
        """Raise ``ConfigInvalid`` for a place that nothing can be handed on to."""
        self._sources = sources
        self._new_id = new_id
        self._targets = {name: found for name, source in sources.items() if (found := targets_of(name, source))}

    def put(self, tx: Transaction, *, kept: Sequence[Kept]) -> bool:
        """Store everything, and owe what is to be handed on; tells whether anything is."""
        said = [item.event for item in kept if item.event is not None]
        flagged = received.store(tx, [item.request for item in kept], said)
        whole = {item.request.id: item.said for item in kept if item.said is not None}
        handed_on = [
            Received(
                request_id=each.request_id,
                source=each.source,
                provider=self._sources[each.source].provider,
                received_at_us=each.received_at_us,
                flag=each.flag,
                event=event,
            )
            for each in flagged
            if each.source in self._targets and (event := whole.get(each.request_id)) is not None
        ]
        owed = list(callbacks_for(handed_on, self._targets, new_id=self._new_id))
        callbacks.add(tx, [new for new, _ in owed])
        received_log.note_forwards(tx, owed)
        received_log.append(tx, flagged)
        callbacks.wake(tx, [new for new, _ in owed])
        return bool(owed)


def can_be_kept(event: Event) -> bool:
    """Tell whether a database can hold what an event says in fields; as it came it is kept in any case."""
    texts = (
        event.message_id, event.their_status, event.from_number, event.to_number,
        event.error_code, event.mcc, event.mnc, event.total_amount,
    )  # fmt: skip
    return len(event.message_id) <= MAX_MESSAGE_ID and not any("\x00" in text for text in texts if text)


def kept_event(event: Event, request_id: str, source: str, now_us: int) -> ReceivedEvent:
    """Return what of an event is stored in fields."""
    return ReceivedEvent(
        request_id=request_id,
        source=source,
        received_at_us=now_us,
        message_uuid=event.message_id,
        status=event.their_status,
        sequence=event.sequence,
        from_number=event.from_number,
        to_number=event.to_number,
        error_code=event.error_code,
        mcc=event.mcc,
        mnc=event.mnc,
        units=event.units,
        total_amount=event.total_amount,
    )
