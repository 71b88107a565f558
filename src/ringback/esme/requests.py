"""What those who are bound ask for: messages go where those of the API go, and are answered when they are on disk."""

from typing import Final

import structlog

from ringback.carriers.smpp import names
from ringback.carriers.smpp.coding import Default
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import Body, DataSm, MessageResp, Pdu, Query, QueryResp, ShortMessage
from ringback.carriers.smpp.session import State
from ringback.esme.binds import Bound
from ringback.esme.parts import PartJoiner
from ringback.esme.reading import wanted
from ringback.esme.statuses import ACCEPTED, code_of, state_of, status_of
from ringback.esme.times import absolute
from ringback.messaging.accept import Acceptor
from ringback.messaging.meter import RequestMeter
from ringback.metrics import Metrics
from ringback.model.errors import NotAuthenticated, NotFound, PduRefused, RingbackError
from ringback.model.message import Message
from ringback.model.receipts_asked import uuid_of
from ringback.model.status import Status
from ringback.runtime import Clock
from ringback.store import messages, smpp_parts
from ringback.store.accounts import Account, AccountCache
from ringback.store.limits import LimitsCache
from ringback.store.port import Store, Transaction

log = structlog.stdlib.get_logger("ringback.esme")

_REFUSED: Final = {
    Command.SUBMIT_MULTI: ("one message for each destination, please", names.INVALID_COMMAND),
    Command.CANCEL_SM: ("messages cannot be taken back", names.CANCEL_FAILED),
    Command.REPLACE_SM: ("messages cannot be replaced", names.REPLACE_FAILED),
}


class Requests:
    """Carries out requests."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: AccountCache,
        limits: LimitsCache,
        meter: RequestMeter,
        acceptor: Acceptor,
        joiner: PartJoiner,
        metrics: Metrics,
        default_coding: Default,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._limits = limits
        self._meter = meter
        self._acceptor = acceptor
        self._joiner = joiner
        self._metrics = metrics
        self._default_coding = default_coding

    async def answer(self, bound: Bound, pdu: Pdu) -> tuple[int, Body | None]:
        """Return status and body of the answer."""
        try:
            body = await self._carry_out(bound, pdu)
        except RingbackError as error:
            status = status_of(error)
            self._metrics.smpp_requests.add(_kind(pdu.command), names.status_name(status))
            # Its text tells what is wrong, and of the message nothing.
            reason = str(error) if isinstance(error, PduRefused) else type(error).__name__
            log.debug("smpp_request_refused", login=bound.login.system_id, status=names.status_name(status), why=reason)
            return status, None
        self._metrics.smpp_requests.add(_kind(pdu.command), "ESME_ROK")
        return names.OK, body

    async def _carry_out(self, bound: Bound, pdu: Pdu) -> Body:
        now_us = self._clock.now_us()
        account = await self._accounts.get(bound.login.account_id, now_us)
        if account is None or not account.may_use_api:
            raise NotAuthenticated("the account is disabled")
        in_hand = self._meter.begin(await self._limits.get(account, now_us), is_list=False, now_us=now_us)
        try:
            if isinstance(pdu.body, ShortMessage | DataSm):
                return MessageResp(message_id=await self._submit(bound, account, pdu.body))
            if isinstance(pdu.body, Query):
                return await self._query(account, pdu.body)
            text, status = _REFUSED.get(Command(pdu.command), ("this is not offered", names.INVALID_COMMAND))
            raise PduRefused(text, status=status)
        finally:
            self._meter.end(in_hand)

    async def _submit(self, bound: Bound, account: Account, body: ShortMessage | DataSm) -> str:
        if bound.connection.session.state is State.BOUND_RX:
            raise PduRefused("a receiver takes messages and submits none", status=names.WRONG_BIND_STATE)
        now_us = self._clock.now_us()
        found = wanted(body, bound.login, default=self._default_coding, now_us=now_us)
        bound.submits.add(now_us)
        if found.part is not None:
            return await self._joiner.take(bound.login, account, found, found.part, address=bound.connection.peer)
        (uuid,) = await self._acceptor.accept(account, found.request, requester_ip=bound.connection.peer)
        return uuid

    async def _query(self, account: Account, query: Query) -> QueryResp:
        uuid = uuid_of(query.message_id)
        if uuid is None:
            raise NotFound("not found")

        def work(tx: Transaction) -> tuple[Message | None, bool]:
            message = messages.find(tx, account.auth_id, uuid)
            return message, message is None and smpp_parts.is_waiting(tx, account.auth_id, uuid)

        message, is_waiting = await self._store.read(work)
        if is_waiting:
            return QueryResp(message_id=query.message_id, message_state=ACCEPTED)
        if message is None or message.direction != "outbound":
            raise NotFound("not found")
        return QueryResp(
            message_id=query.message_id,
            final_date="" if message.final_at_us is None else absolute(message.final_at_us),
            message_state=state_of(Status(message.status), message.error_code),
            # One octet: those of our codes that do not fit are told by receipts.
            error_code=min(code_of(message.error_code), 255),
        )


def _kind(command: int) -> str:
    name = names.command_name(command)
    return name if name in {"submit_sm", "data_sm", "query_sm"} else "other"
