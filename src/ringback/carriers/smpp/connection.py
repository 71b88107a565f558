"""One SMPP connection over a socket: the machine of ``session`` with asyncio around it, for either side."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final, Literal, cast

import msgspec
import structlog

from ringback.carriers.port import Exchange
from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.outline import outline
from ringback.carriers.smpp.pdu import Bind, Body, MessageResp, Nothing, Pdu, Tlvs
from ringback.carriers.smpp.session import (
    BOUND,
    Answered,
    Closed,
    Event,
    Malformed,
    Received,
    Session,
    Unexpected,
)
from ringback.carriers.smpp.window import Pace, Window
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.smpp")

TICK_S: Final = 0.25
MOST_IN_HAND: Final = 1000
"""Requests of the peer that are worked on at a time; it is throttled beyond."""
MOST_COMPLAINTS: Final = 10
"""Of one connection that are logged."""
LINGER_S: Final = 5.0
"""What is still to be written when a connection ends is given so long."""
LAST: Final = 20
"""Exchanges that are kept to be shown."""


class Answer(msgspec.Struct, frozen=True):
    """The peer's answer to a request."""

    status: int
    message_id: str = ""
    tlvs: Tlvs = ()


class Busy(msgspec.Struct, frozen=True):
    """The peer wants it later, or has said so of others: nothing was taken."""

    retry_after_s: float
    detail: str


class Down(msgspec.Struct, frozen=True):
    """There is no connection. Nothing was sent."""

    detail: str


class Lost(msgspec.Struct, frozen=True):
    """It was sent, and nobody knows whether the peer has it."""

    detail: str


Outcome = Answer | Busy | Down | Lost

Handler = Callable[["Connection", Pdu], Awaitable[tuple[int, Body | None]]]
"""Takes a request of the peer; what it returns, status and body, is the answer. One that raises has not taken it."""


class Connection(asyncio.Protocol):
    """A socket with a session. ``closed`` is set when it is at its end."""

    def __init__(
        self,
        session: Session,
        *,
        clock: Clock,
        handler: Handler,
        window: Window,
        pace: Pace | None = None,
        most_in_hand: int = MOST_IN_HAND,
        throttles: frozenset[int] = names.TRY_LATER,
    ) -> None:
        """``throttles``: statuses with which the peer says that it wants less."""
        self.session = session
        self.window = window
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.errors: Counter[str] = Counter()
        self.bound_to = ""
        """Whom this is bound to: the system id that the other side gave."""
        self.peer = ""
        """The address at the other end."""
        self._clock = clock
        self._throttles = throttles
        self._said: deque[tuple[int, Literal["out", "in"], Pdu, str]] = deque(maxlen=LAST)
        self._handler = handler
        self._pace = pace or Pace(0)
        self._transport: asyncio.Transport | None = None
        self._flush_is_due = False
        self._answers: dict[int, asyncio.Future[Outcome]] = {}
        self._turns: deque[asyncio.Future[bool]] = deque()
        self._admitted = 0
        self._in_hand: set[asyncio.Task[None]] = set()
        self._most_in_hand = most_in_hand
        self._is_choked = False
        self._ticking: asyncio.TimerHandle | None = None

    # ---- what the event loop calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if peer else ""
        if self.closed.done():
            # It was ended before it began: there are too many.
            self._transport.abort()
        self._tick()

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._heed(self.session.receive(data, now_us=self._clock.now_us()))

    def pause_writing(self) -> None:
        """Send nothing more to a peer that does not read; one that is bound to us is not heard either meanwhile.

        Otherwise whoever asks and never reads the answers would fill the memory. Its silence ends the connection.
        """
        self._is_choked = True
        if self.session.role == "smsc" and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on: the peer reads again."""
        self._is_choked = False
        if self.session.role == "smsc" and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._next_turns()

    def connection_lost(self, error: Exception | None) -> None:
        """Take note of the end."""
        self._heed(self.session.lost(f"the connection broke: {error}" if error else "the peer closed the connection"))

    # ---- what its owner calls ----

    @property
    def is_bound(self) -> bool:
        """Whether messages can be exchanged."""
        return self.session.state in BOUND

    def exchanges(self) -> list[Exchange]:
        """Tell the last PDUs, without what they carry."""
        return [Exchange(at_us=at_us, direction=way, what=outline(pdu) + more) for at_us, way, pdu, more in self._said]

    async def bind(self, command: Command, body: Bind) -> Outcome:
        """Bind, whatever the window says: it is about messages."""
        return await self._send(command, body)

    async def request(self, command: Command, body: Body) -> Outcome:
        """Send a request when there is room for it, and wait for the answer. Raises ``FieldTooLong``."""
        if not self.is_bound:
            return Down("the connection is not bound")
        now_us = self._clock.now_us()
        if now_us < self.window.held_until_us:
            return Busy((self.window.held_until_us - now_us) / 1_000_000, "the peer throttles")
        if not await self._turn():
            return Down("the connection has ended")
        try:
            if wait_us := self._pace.wait_us(self._clock.now_us()):
                await asyncio.sleep(wait_us / 1_000_000)
                if self.session.state not in BOUND:
                    return Down("the connection has ended")
        finally:
            # What is sent counts as outstanding at once; nobody comes between.
            self._admitted -= 1
        return await self._send(command, body)

    async def _send(self, command: Command, body: Body) -> Outcome:
        sequence = self.session.request(command, body, now_us=self._clock.now_us())
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._answers[sequence] = answer
        self._note("out", Pdu(command, sequence, body))
        self._flush_soon()
        return await answer

    @property
    def in_hand(self) -> int:
        """How many requests of the peer are worked on."""
        return len(self._in_hand)

    @property
    def room(self) -> int:
        """How many requests could be sent now."""
        if not self.is_bound or self._clock.now_us() < self.window.held_until_us:
            return 0
        return max(self._room() - len(self._turns), 0)

    async def finish(self) -> None:
        """Wait until the peer's requests that are in hand now have been answered."""
        if self._in_hand:
            await asyncio.wait(set(self._in_hand))

    def unbind(self) -> None:
        """Begin an orderly end: what is outstanding may still be answered."""
        self.session.unbind(now_us=self._clock.now_us())
        self._flush_soon()
        self._next_turns()

    def refuse(self, bind: Pdu, status: int) -> None:
        """Refuse a bind of the peer, and end the connection."""
        self._heed(self.session.refuse_bind(bind, status))

    def write_raw(self, data: bytes) -> None:
        """Write bytes as they are: for an SMSC that is told to send what is no PDU."""
        if self._transport is not None:
            self._transport.write(data)

    def abort(self, reason: str) -> None:
        """End it at once."""
        self._heed(self.session.lost(reason))

    # ---- within ----

    async def _turn(self) -> bool:
        if self._room() > 0 and not self._turns:
            self._admitted += 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._admitted -= 1
            raise

    def _room(self) -> int:
        return 0 if self._is_choked else self.window.allowed - self.session.outstanding - self._admitted

    def _next_turns(self) -> None:
        while self._turns and (self._room() > 0 or not self.is_bound):
            turn = self._turns.popleft()
            if not turn.done():
                self._admitted += self.is_bound
                turn.set_result(self.is_bound)

    def _heed(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Received(pdu):
                    self._note("in", pdu)
                    self._take(pdu)
                case Answered(request, answer):
                    self._answered(request, answer)
                case Unexpected(pdu):
                    self.errors["late or unknown answer"] += 1
                    self._note("in", pdu, "; it answers nothing that is open")
                case Malformed(detail):
                    self.errors["malformed"] += 1
                    if self.errors["malformed"] <= MOST_COMPLAINTS:
                        log.warning("smpp_pdu_malformed", peer=self.bound_to or self.peer, detail=detail)
                case Closed(reason, unanswered):
                    self._end(reason, unanswered)
        self._flush_soon()
        self._next_turns()

    def _answered(self, request: Pdu, answer: Pdu | None) -> None:
        outcome: Outcome
        now_us = self._clock.now_us()
        if answer is None:
            outcome = Lost("no answer came in time")
            self.errors["no answer"] += 1
        else:
            self._note("in", answer)
            if answer.status != names.OK:
                self.errors[names.status_name(answer.status)] += 1
            if answer.status in self._throttles:
                self.window.throttled(now_us)
                pause_s = max(self.window.held_until_us - now_us, 0) / 1_000_000
                outcome = Busy(pause_s, names.status_name(answer.status))
            else:
                self.window.answered(now_us, _congestion(answer.body))
                body = answer.body if isinstance(answer.body, MessageResp) else MessageResp()
                outcome = Answer(answer.status, body.message_id, body.tlvs)
        waiting = self._answers.pop(request.sequence, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)

    def _take(self, pdu: Pdu) -> None:
        if len(self._in_hand) >= self._most_in_hand:
            self.session.respond(pdu, status=names.THROTTLED)
            return
        task = asyncio.create_task(self._handle(pdu))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _handle(self, pdu: Pdu) -> None:
        try:
            status, body = await self._handler(self, pdu)
        except Exception as error:  # noqa: BLE001 - boundary: the peer keeps what was not taken, and offers it again
            log.warning("smpp_request_not_taken", command=names.command_name(pdu.command), error=type(error).__name__)
            status, body = names.TEMPORARY_ERROR, None
            if pdu.command in names.BINDS:
                self.refuse(pdu, names.SYSTEM_ERROR)
        if pdu.command not in names.BINDS:
            # A bind is answered by whoever decides on it.
            self.session.respond(pdu, body, status=status)
            self._note("out", Pdu(pdu.command | names.RESPONSE, pdu.sequence, body or Nothing(), status))
        self._flush_soon()

    def _end(self, reason: str, unanswered: tuple[Pdu, ...]) -> None:
        for request in unanswered:
            waiting = self._answers.pop(request.sequence, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(Lost(reason))
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_result(Down(reason))
        self._answers.clear()
        if self._ticking is not None:
            self._ticking.cancel()
        if not self.closed.done():
            self.closed.set_result(reason)
        self._flush()
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def _tick(self) -> None:
        if self.closed.done():
            return
        self._heed(self.session.tick(now_us=self._clock.now_us()))
        if not self.closed.done():
            self._ticking = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _flush_soon(self) -> None:
        # One write for all that this turn of the loop has to say.
        if not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        out = self.session.take_output()
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(out)

    def _note(self, direction: Literal["in", "out"], pdu: Pdu, more: str = "") -> None:
        self._said.append((self._clock.now_us(), direction, pdu, more))


def _congestion(body: Body) -> int | None:
    tlvs = body.tlvs if isinstance(body, MessageResp) else ()
    return next((value[0] for tag, value in tlvs if tag == names.CONGESTION_STATE and value), None)
