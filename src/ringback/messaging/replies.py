"""What applications answer to inbound messages: the message has arrived or not, and an XML reply is executed.

A callback that ends leaves its result in the transaction that ends it. Here results are leased; the message's status,
the messages that a reply asks for, and the result's removal are one transaction. So a process that dies at any instant
leaves a reply executed once, or not at all and due again.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from ringback.dialect import send, xml_reply
from ringback.dialect.xml_reply import MessageElement, OtherElement
from ringback.messaging.accept import Acceptor, Entry, Terms, store_entries
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.errors import Refused, ReplyMalformed, StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.model.status import Status
from ringback.runtime import Batcher, Clock, WorkLoop, persist
from ringback.store import inbound, messages, replies
from ringback.store.accounts import Account, AccountCache
from ringback.store.inbound import Result
from ringback.store.port import POLITE_BATCH, Store, Transaction
from ringback.store.replies import Part, Reply
from ringback.store.wakeups import Wakeups

log = structlog.stdlib.get_logger("ringback.messaging.replies")

LEASE_S: Final = 30
CAPACITY: Final = 64

_decode_headers = msgspec.json.Decoder(list[tuple[str, str]]).decode


class _Executed(msgspec.Struct, frozen=True):
    reply: Reply | None
    entries: list[Entry]


class _Turn(msgspec.Struct, frozen=True):
    """A result to be dealt with, and the account that answered."""

    result: Result
    account: Account | None
    terms: Terms | None
    now_us: int


class ReplyExecutor:
    """Takes results of inbound messages' callbacks."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        accounts: AccountCache,
        acceptor: Acceptor,
        response_cap_bytes: int,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._accounts = accounts
        self._acceptor = acceptor
        self._response_cap_bytes = response_cap_bytes
        self._metrics = metrics
        self._turns: Batcher[_Turn, None] = Batcher(
            self._record, max_weight=POLITE_BATCH, shared_errors=(StoreUnavailable,)
        )

    def worker(self) -> WorkLoop[Result]:
        """Return the worker that does it."""
        return WorkLoop(
            "replies",
            claim=self.claim,
            work=self.execute,
            hint=self._wakeups.listen("inbound_results"),
            capacity=CAPACITY,
            retry_on=StoreUnavailable,
        )

    async def claim(self, limit: int) -> tuple[Sequence[Result], float | None]:
        """Lease results; also returns the seconds until the next one is due."""
        now_us = self._clock.now_us()
        due_at_us = await self._store.read(inbound.next_result_at_us)
        if due_at_us is None or due_at_us > now_us:
            # Looked at first: most of the time there is nothing, and a write would make others wait.
            return [], None if due_at_us is None else (due_at_us - now_us) / 1_000_000
        claim = partial(
            inbound.claim_results,
            now_us=now_us,
            lease_until_us=now_us + LEASE_S * 1_000_000,
            lease_token=self._new_id(now_us),
            limit=limit,
        )
        return await self._store.write(claim, durable=False), 0

    async def execute(self, result: Result) -> None:
        """Record what a result says, and do what its answer asks for."""
        now_us = self._clock.now_us()
        account = await self._accounts.get(result.account_id, now_us)
        terms = None if account is None else await self._acceptor.terms(account)
        await self._turns.submit(_Turn(result, account, terms, now_us))

    async def _record(self, turns: list[_Turn]) -> Sequence[None]:
        work = partial(self._execute_all, turns=turns)
        done = await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)
        self._acceptor.stored([entry for executed in done for entry in executed.entries])
        for executed in done:
            if executed.reply is not None:
                self._tell(executed.reply)
        return [None] * len(turns)

    def _execute_all(self, tx: Transaction, *, turns: list[_Turn]) -> list[_Executed]:
        current = messages.by_uuid(tx, [turn.result.message_uuid for turn in turns], lock=True)
        progress = Progress(self._new_id)
        done = []
        for turn in turns:
            message = current.get(turn.result.message_uuid)
            executed = _Executed(None, [])
            if inbound.finish_result(tx, turn.result) and message is not None:
                current[message.uuid] = self._arrived(progress, message, turn.result)
                executed = self._execute(tx, turn, message)
            store_entries(tx, progress, executed.entries)
            done.append(executed)
        progress.write(tx)
        return done

    def _arrived(self, progress: Progress, message: Message, result: Result) -> Message:
        status = Status.DELIVERED if result.state == "delivered" else Status.UNDELIVERED
        at_us = max(result.ended_at_us, message.updated_at_us)
        return progress.change(message, Change(status=status, at_us=at_us))

    def _execute(self, tx: Transaction, turn: _Turn, message: Message) -> _Executed:
        result = turn.result
        if result.state != "delivered" or not xml_reply.is_reply(_content_type(result)):
            return _Executed(None, [])
        executed = self._reply(turn, message)
        if executed.reply is None:
            return executed
        if executed.reply.state != "malformed" and replies.is_executed(tx, message.uuid):
            executed = _Executed(msgspec.structs.replace(executed.reply, state="repeated", parts=()), [])
        if executed.reply is not None:
            replies.add(tx, executed.reply)
        return executed

    def _reply(self, turn: _Turn, message: Message) -> _Executed:
        result = turn.result
        reply = Reply(
            callback_id=result.callback_id,
            message_uuid=message.uuid,
            at_us=turn.now_us,
            state="malformed",
            detail=None,
            parts=(),
        )
        try:
            elements = xml_reply.parse(result.response_body)
        except ReplyMalformed as error:
            return _Executed(msgspec.structs.replace(reply, detail=str(error) + self._cut_off(result)), [])
        made = [self._part(element, message, turn) for element in elements]
        entries = [entry for _, entry in made if entry is not None]
        if not made:
            return _Executed(None, [])
        reply = msgspec.structs.replace(
            reply, state="executed" if entries else "refused", parts=tuple(part for part, _ in made)
        )
        return _Executed(reply, entries)

    def _part(self, element: MessageElement | OtherElement, message: Message, turn: _Turn) -> tuple[Part, Entry | None]:
        if isinstance(element, OtherElement):
            return Part(element=element.name, state="ignored", detail=element.reason), None
        if turn.account is None or turn.terms is None or not turn.account.enabled:
            return Part(element="Message", state="refused", detail="the account is disabled"), None
        if (kind := element.fields.get("type", "sms")) != "sms":
            detail = f"type {kind[:16]} is not offered in a reply; use sms"
            return Part(element="Message", state="refused", detail=detail), None
        try:
            # What must not be kept about the inbound message is not to be had from its reply either.
            request = send.parse({**element.fields, "log": message.log})
            entry = self._acceptor.prepare(turn.account, request, requester_ip="", terms=turn.terms)
        except Refused as error:
            return Part(element="Message", state="refused", detail=str(error)), None
        part = Part(element="Message", state="accepted", message_uuids=tuple(entry.uuids), invalid=request.invalid)
        return part, entry

    def _cut_off(self, result: Result) -> str:
        if len(result.response_body) < self._response_cap_bytes:
            return ""
        return f"; only the first {self._response_cap_bytes} bytes of an answer are read"

    def _tell(self, reply: Reply) -> None:
        counts = Counter(part.state for part in reply.parts)
        for state, count in counts.items():
            self._metrics.replies.add(state, count=count)
        if reply.state in {"malformed", "repeated"}:
            self._metrics.replies.add(reply.state)
        log.info(
            "xml_reply",
            message_uuid=reply.message_uuid,
            callback_id=reply.callback_id,
            state=reply.state,
            accepted=counts["accepted"],
            refused=counts["refused"],
            ignored=counts["ignored"],
        )


def _content_type(result: Result) -> str:
    headers = _decode_headers(result.response_headers)
    return next((value for name, value in headers if name.lower() == "content-type"), "")
