"""What a status change causes, gathered for many messages and written in one transaction.

A change of status, its event, its callback and its counts are one fact. Nothing here decides when; it makes
sure that whoever changes a status cannot forget the rest.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from ringback.dialect.callbacks import Params, endpoint_of, status_params
from ringback.model.ids import NewId
from ringback.model.latency import bucket_of
from ringback.model.message import Message
from ringback.model.receipts_asked import ReceiptsAsked
from ringback.model.status import FINAL, Status, judge
from ringback.store import callbacks, messages, rollups, smpp_owed
from ringback.store.port import Transaction

_encode = msgspec.json.Encoder().encode


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody says that a message has taken a status."""

    status: Status
    at_us: int
    error_code: str | None = None
    detail: str | None = None
    connector: str | None = None
    carrier_ref: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    network: str | None = None
    route: str | None = None


class Progress:
    """Gathers changes; :meth:`write` stores all that follows from them."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._new: list[Message] = []
        self._changed: dict[str, Message] = {}
        self._events: list[dict[str, Any]] = []
        self._callbacks: list[callbacks.NewCallback] = []
        self._counts: Counter[rollups.Key] = Counter()
        self._owed: list[smpp_owed.Owed] = []
        self.judged: Counter[tuple[Status, str]] = Counter()
        """How many changes to each status were made, and how many flagged instead."""

    @property
    def owed(self) -> Sequence[callbacks.NewCallback]:
        """The callbacks that the changes have caused, in their order."""
        return self._callbacks

    def accept(self, message: Message) -> None:
        """Take in a new message, whose first event is ``queued``."""
        self._new.append(message)
        self._counts[rollups.key(message.account_id, message.queued_at_us, "status", message.status)] += 1
        self._note(message, message.queued_at_us)
        self._owe_callback(message, message.queued_at_us)

    def receive(self, message: Message, params: Params, *, detail: str | None = None) -> None:
        """Take in a new inbound message, whose first event is ``received``; its application is owed ``params``."""
        self._new.append(message)
        self._counts[rollups.key(message.account_id, message.queued_at_us, rollups.INBOUND, message.status)] += 1
        self._note(message, message.queued_at_us, detail=detail)
        self._owe(message, params, message.queued_at_us, kind=callbacks.MESSAGE)

    def owe_inbound(self, message: Message, text: str, login_ids: Iterable[str]) -> None:
        """Let logins be told over SMPP of an inbound message that was taken in."""
        content = smpp_owed.InboundContent(src=message.src, dst=message.dst, text=text)
        for login_id in login_ids:
            self._owe_over_smpp(login_id, message, "inbound", content, message.queued_at_us)

    def remark(self, message: Message, *, flag: str, at_us: int, detail: str) -> None:
        """Put into a message's history what changes nothing about its status."""
        self._note(message, at_us, detail=detail)["flag"] = flag

    def flag(self, message: Message, change: Change, flag: str) -> None:
        """Put into a message's history what somebody said of its status, and that it changes nothing."""
        self.judged[change.status, flag] += 1
        event = self._note(message, change.at_us, detail=change.detail)
        event |= {"status": change.status, "flag": flag, "error_code": change.error_code}

    def change(self, message: Message, change: Change) -> Message:
        """Apply a change to a message that exists, or flag it; returns the message as it then stands."""
        if flag := judge(Status(message.status), change.status):
            self.flag(message, change, flag)
            return message
        self.judged[change.status, ""] += 1
        after = msgspec.structs.replace(
            message,
            status=change.status,
            sequence=message.sequence + 1,
            error_code=change.error_code,
            connector=change.connector or message.connector,
            carrier_ref=change.carrier_ref or message.carrier_ref,
            mcc=change.mcc or message.mcc,
            mnc=change.mnc or message.mnc,
            network=change.network or message.network,
            route=change.route or message.route,
            sent_at_us=change.at_us if change.status is Status.SENT else message.sent_at_us,
            final_at_us=change.at_us if change.status in FINAL else None,
            updated_at_us=change.at_us,
        )
        self._changed[after.uuid] = after
        self._count(message, after)
        self._note(after, change.at_us, detail=change.detail)
        self._owe_callback(after, change.at_us)
        self._owe_receipts(after, change.at_us)
        return after

    def write(self, tx: Transaction) -> None:
        """Store everything gathered. What many transactions want to change at once comes last, to be held shortly."""
        messages.insert(tx, self._new)
        messages.update(tx, list(self._changed.values()))
        messages.add_events(tx, self._events)
        callbacks.add(tx, self._callbacks)
        smpp_owed.add(tx, self._owed)
        rollups.add(tx, self._counts)
        callbacks.wake(tx, self._callbacks)

    def _note(self, message: Message, at_us: int, *, detail: str | None = None) -> dict[str, Any]:
        event = {
            "message_uuid": message.uuid,
            "account_id": message.account_id,
            "sequence": message.sequence,
            "status": message.status,
            "flag": "",
            "at_us": at_us,
            "error_code": message.error_code,
            "detail": detail,
        }
        self._events.append(event)
        return event

    def _owe_callback(self, message: Message, at_us: int) -> None:
        # An inbound message is told of once, as a whole: nobody is called when its status changes.
        if message.callback_url is not None and message.direction == "outbound":
            self._owe(message, status_params(message), at_us, kind=callbacks.STATUS)

    def _owe_receipts(self, message: Message, at_us: int) -> None:
        if message.receipts_asked is None:
            return
        asked = ReceiptsAsked.of(message.receipts_asked)
        for message_id in asked.owed(message.uuid, Status(message.status)):
            content = smpp_owed.ReceiptContent(
                message_id=message_id,
                src=message.src,
                dst=message.dst,
                status=message.status,
                error_code=message.error_code,
                submitted_at_us=message.queued_at_us,
                done_at_us=at_us,
            )
            self._owe_over_smpp(asked.login_id, message, "receipt", content, at_us)

    def _owe_over_smpp(
        self,
        login_id: str,
        message: Message,
        kind: Literal["receipt", "inbound"],
        content: smpp_owed.ReceiptContent | smpp_owed.InboundContent,
        at_us: int,
    ) -> None:
        self._owed.append(
            smpp_owed.Owed(
                id=self._new_id(at_us),
                login_id=login_id,
                message_uuid=message.uuid,
                kind=kind,
                content=_encode(content).decode(),
                due_at_us=at_us,
            )
        )

    def _owe(self, message: Message, params: Params, at_us: int, *, kind: str) -> None:
        if message.callback_url is None:
            return
        self._callbacks.append(
            callbacks.NewCallback(
                id=self._new_id(at_us),
                account_id=message.account_id,
                message_uuid=message.uuid,
                sequence=message.sequence,
                url=message.callback_url,
                method=message.callback_method,
                endpoint=endpoint_of(message.callback_url),
                params=_encode(params).decode(),
                created_at_us=at_us,
                retry_delays=message.callback_retry_delays,
                kind=kind,
            )
        )

    def _count(self, before: Message, after: Message) -> None:
        def key(measure: str, bucket: str) -> rollups.Key:
            return rollups.key(after.account_id, after.queued_at_us, measure, bucket)

        if after.direction == "inbound":
            self._counts[key(rollups.INBOUND, before.status)] -= 1
            self._counts[key(rollups.INBOUND, after.status)] += 1
            return
        self._counts[key("status", before.status)] -= 1
        self._counts[key("status", after.status)] += 1
        if after.final_at_us is None:
            return
        if after.status == Status.DELIVERED:
            self._counts[key("delivered_in", str(bucket_of(after.final_at_us - after.queued_at_us)))] += 1
        elif after.error_code:
            self._counts[key("error", after.error_code)] += 1
