"""Taking in what customers say about whether a message served its purpose (contract section 6.10)."""

from ringback.dialect.times import record_time
from ringback.messaging.progress import Progress
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId
from ringback.store import conversions, messages
from ringback.store.conversions import Conversion
from ringback.store.port import Transaction

FLAG = "conversion"
"""Marks the entry in the event log: it changes no status."""


def record(tx: Transaction, said: Conversion, *, new_id: NewId) -> bool:
    """Record a word on a message of its account, and put it into the event log; returns whether it was news.

    Raises ``NotFound``, or ``InvalidRequest`` for a message that takes none.
    """
    message = messages.by_uuid(tx, [said.message_uuid], lock=True).get(said.message_uuid)
    if message is None or message.account_id != said.account_id:
        raise NotFound("not found")
    if message.direction != "outbound":
        raise InvalidRequest("the message is inbound; conversion feedback is for messages that were sent")
    if not message.trackable:
        raise InvalidRequest("the message was not sent with trackable=true, so it takes no conversion feedback")
    if not conversions.add(tx, said):
        return False
    progress = Progress(new_id)
    detail = f"{said.status} at {record_time(said.converted_at_us)}"
    progress.remark(message, flag=FLAG, at_us=said.recorded_at_us, detail=detail)
    progress.write(tx)
    return True
