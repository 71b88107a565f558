"""One SMPP connection as a machine without input and output: bytes and the time go in, bytes and events come out.

Either side can be played: the one that binds (an ESME, in the standard's words) and the one that is bound to (an SMSC).
Nothing here waits, reads a clock or opens a socket. Chapter 2 of SMPP 3.4 has the states, 7.2 the timers.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, Literal

import msgspec

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import BINDS, RESPONSE, Command
from ringback.carriers.smpp.pdu import BindResp, Body, Frame, Framer, Nothing, Pdu, decode, encode, is_known
from ringback.model.errors import PduMalformed

MOST_SEQUENCE: Final = 0x7FFF_FFFF
SECOND_US: Final = 1_000_000


class State(Enum):
    """Of a connection (2.2)."""

    OPEN = "open"
    BOUND_TX = "bound_tx"
    BOUND_RX = "bound_rx"
    BOUND_TRX = "bound_trx"
    UNBINDING = "unbinding"
    """On the way out: what is outstanding is still awaited, then ``unbind`` is sent."""
    CLOSED = "closed"


BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
_BOUND_BY: Final = {
    Command.BIND_TRANSMITTER: State.BOUND_TX,
    Command.BIND_RECEIVER: State.BOUND_RX,
    Command.BIND_TRANSCEIVER: State.BOUND_TRX,
}
_SENDS: Final = frozenset({State.BOUND_TX, State.BOUND_TRX})
_RECEIVES: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})
_NEEDS: Final[Mapping[int, frozenset[State]]] = {
    Command.SUBMIT_SM: _SENDS,
    Command.SUBMIT_MULTI: _SENDS,
    Command.QUERY_SM: _SENDS,
    Command.CANCEL_SM: _SENDS,
    Command.REPLACE_SM: _SENDS,
    Command.DELIVER_SM: _RECEIVES,
    Command.ALERT_NOTIFICATION: _RECEIVES,
    Command.DATA_SM: BOUND,
}
"""In which states a request may come (2.3)."""
_WITHOUT_ANSWER: Final = frozenset({Command.OUTBIND, Command.ALERT_NOTIFICATION})
_TOWARDS_ESME: Final = frozenset({Command.DELIVER_SM, Command.ALERT_NOTIFICATION})


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """How long is waited (7.2); 0 switches one off."""

    response_s: float = 30.0
    """For the answer to a request."""
    enquire_link_s: float = 30.0
    """After so long without a word from the peer it is asked whether it is there."""
    inactivity_s: float = 0.0
    """After so long without a message the connection is unbound."""
    bind_s: float = 10.0
    """For the bind, or for its answer."""


class Received(msgspec.Struct, frozen=True):
    """The peer asks for something, and is owed an answer (but for outbind and alert_notification)."""

    pdu: Pdu


class Answered(msgspec.Struct, frozen=True):
    """A request of ours has come to its end. ``answer`` is ``None`` when none came in time."""

    request: Pdu
    answer: Pdu | None


class Unexpected(msgspec.Struct, frozen=True):
    """An answer to nothing that is open: too late, or twice."""

    pdu: Pdu


class Malformed(msgspec.Struct, frozen=True):
    """The peer sent what cannot be read, and was told so."""

    detail: str


class Closed(msgspec.Struct, frozen=True):
    """The connection is at its end; the socket is to be closed when what is to be written has been."""

    reason: str
    unanswered: tuple[Pdu, ...]
    """Requests of ours of which nobody knows what became of them."""


Event = Received | Answered | Unexpected | Malformed | Closed


class _Open(msgspec.Struct, frozen=True):
    request: Pdu
    sent_at_us: int


class Session:
    """One connection."""

    def __init__(self, role: Literal["esme", "smsc"], timers: Timers, *, now_us: int, is_lenient: bool = False) -> None:
        """``is_lenient``: the peer's PDUs are read as ``pdu.decode`` says."""
        self.role = role
        self._is_lenient = is_lenient
        self.state = State.OPEN
        self._timers = timers
        self._framer = Framer()
        self._out = bytearray()
        self._sequence = 0
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._opened_at_us = now_us
        self._heard_at_us = now_us
        self._busy_at_us = now_us
        self._enquired: int | None = None
        self._unbind_sent = False
        self._owed: Counter[tuple[int, int]] = Counter()
        """Requests of the peer, by command and sequence number, that are to be answered yet."""
        self._leaving: _Open | None = None
        """Its unbind, which is answered after them."""

    # ---- what is asked of it ----

    @property
    def outstanding(self) -> int:
        """How many requests await their answer, ``enquire_link`` apart."""
        return len(self._open) - (self._enquired is not None)

    def take_output(self) -> bytes:
        """Return what is to be written now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def request(self, command: Command, body: Body, *, now_us: int) -> int:
        """Send a request; returns its sequence number. Raises ``FieldTooLong``, and nothing is sent then."""
        sequence = self._next_sequence()
        pdu = Pdu(command, sequence, body)
        raw = encode(pdu)
        self._out += raw
        if command not in _WITHOUT_ANSWER:
            self._open[sequence] = _Open(pdu, now_us)
        if command != Command.ENQUIRE_LINK:
            self._busy_at_us = now_us
        return sequence

    def respond(self, request: Pdu, body: Body | None = None, *, status: int = names.OK) -> None:
        """Answer a request of the peer; with a status other than OK without a body (as 4.4.2 has it).

        Where the standard has no answer, to outbind and alert_notification, nothing is sent.
        """
        if self.state is State.CLOSED or request.command in _WITHOUT_ANSWER:
            return
        self._settle(request)
        self._out += encode(Pdu(request.command | RESPONSE, request.sequence, body or Nothing(), status))

    def _settle(self, request: Pdu) -> None:
        which = request.command, request.sequence
        # More than one has the same number only with a peer that counts wrongly.
        if self._owed[which] > 1:
            self._owed[which] -= 1
        else:
            del self._owed[which]

    def accept_bind(self, request: Pdu, system_id: str) -> None:
        """Take a bind: the connection is bound as it asked, unless it has ended or was bound by another meanwhile."""
        if self.state is not State.OPEN:
            is_leaving = self.state is State.UNBINDING
            self.respond(request, status=names.BIND_FAILED if is_leaving else names.ALREADY_BOUND)
            return
        self.respond(request, BindResp(system_id=system_id, tlvs=((names.INTERFACE_VERSION, b"\x34"),)))
        self.state = _BOUND_BY[Command(request.command)]

    def refuse_bind(self, request: Pdu, status: int) -> list[Event]:
        """Refuse a bind, and end the connection."""
        self.respond(request, status=status)
        return self._close(f"its bind was refused: {names.status_name(status)}")

    def unbind(self, *, now_us: int) -> None:
        """Begin an orderly end: no further request goes out, and ``unbind`` when all that did are answered."""
        if self.state in BOUND or self.state is State.OPEN:
            self.state = State.UNBINDING
            self._unbind_when_answered(now_us)

    def lost(self, reason: str) -> list[Event]:
        """Take note that the connection is gone."""
        return self._close(reason)

    # ---- what comes ----

    def receive(self, data: bytes, *, now_us: int) -> list[Event]:
        """Take in bytes from the peer."""
        events: list[Event] = []
        for frame in self._framer.feed(data):
            if self.state is State.CLOSED:
                break
            self._heard_at_us = now_us
            events.extend(self._take(frame, now_us))
        fault = self._framer.fault
        if fault is not None and self.state is not State.CLOSED:
            # The sequence number cannot be known either: 0 stands for it (4.3.1 of the standard's generic_nack).
            self._out += encode(Pdu(Command.GENERIC_NACK, 0, status=fault.status))
            events.append(Malformed(str(fault)))
            events.extend(self._close(f"the peer sent what cannot be read: {fault}"))
        return events

    def _take(self, frame: Frame, now_us: int) -> Iterator[Event]:
        try:
            pdu = decode(frame, is_lenient=self._is_lenient)
        except PduMalformed as error:
            yield Malformed(f"{names.command_name(frame.command)}: {error}")
            yield from self._refuse(frame, error)
            return
        if pdu.is_response:
            yield from self._answered(pdu, now_us)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.respond(pdu)
        elif pdu.command == Command.UNBIND and self._owed:
            # What was asked before it is answered before it, or the peer would not know what became of that.
            self._leaving = _Open(pdu, now_us)
            self.state = State.UNBINDING
            self._unbind_sent = True
        elif pdu.command == Command.UNBIND:
            self.respond(pdu)
            yield from self._close("the peer has unbound")
        else:
            self._busy_at_us = now_us
            yield from self._asked(pdu)

    def _refuse(self, frame: Frame, error: PduMalformed) -> Iterator[Event]:
        if frame.command & RESPONSE:
            # An answer that cannot be read is none: whoever waits for it learns that nobody knows.
            known = self._open.pop(frame.sequence, None)
            if known is not None:
                yield Answered(known.request, None)
            return
        command = frame.command | RESPONSE
        if not is_known(command):
            # No command at all, or one that has no answer of its own.
            command = Command.GENERIC_NACK
        self._out += encode(Pdu(command, frame.sequence, status=error.status))

    def _asked(self, pdu: Pdu) -> Iterator[Event]:
        status = self._complaint(pdu)
        if status != names.OK:
            if pdu.command not in _WITHOUT_ANSWER:
                self.respond(pdu, status=status)
            yield Malformed(f"{names.command_name(pdu.command)} in state {self.state.value}")
        else:
            if pdu.command not in _WITHOUT_ANSWER:
                self._owed[pdu.command, pdu.sequence] += 1
            yield Received(pdu)

    def _complaint(self, pdu: Pdu) -> int:
        if pdu.command in BINDS:
            if self.role == "esme":
                return names.INVALID_COMMAND
            return names.OK if self.state is State.OPEN else names.ALREADY_BOUND
        if pdu.command == Command.OUTBIND:
            return names.OK if self.role == "esme" and self.state is State.OPEN else names.WRONG_BIND_STATE
        towards_esme = pdu.command in _TOWARDS_ESME
        if pdu.command != Command.DATA_SM and towards_esme != (self.role == "esme"):
            return names.INVALID_COMMAND
        # While we unbind, what was on its way is still taken; who has asked for it himself has no more to ask.
        is_ours = self.state is State.UNBINDING and self._leaving is None
        fits = self.state in _NEEDS[pdu.command] or is_ours
        return names.OK if fits else names.WRONG_BIND_STATE

    def _answered(self, pdu: Pdu, now_us: int) -> Iterator[Event]:
        known = self._open.get(pdu.sequence)
        fits = known is not None and pdu.command in {known.request.command | RESPONSE, Command.GENERIC_NACK}
        if known is None or not fits:
            yield Unexpected(pdu)
            return
        del self._open[pdu.sequence]
        if pdu.sequence == self._enquired:
            self._enquired = None
            return
        self._busy_at_us = now_us
        request = known.request
        if pdu.command == Command.GENERIC_NACK and pdu.status == names.OK:
            # It refuses whatever its status says: taken for an OK, the message would be lost.
            pdu = msgspec.structs.replace(pdu, status=names.UNKNOWN_ERROR)
        if request.command == Command.UNBIND:
            yield from self._close("unbound")
            return
        if request.command in BINDS and pdu.status == names.OK:
            self.state = _BOUND_BY[Command(request.command)]
        yield Answered(request, pdu)
        self._unbind_when_answered(now_us)
        if request.command in BINDS and pdu.status != names.OK:
            yield from self._close(f"the peer refused the bind: {names.status_name(pdu.status)}")

    # ---- time ----

    def tick(self, *, now_us: int) -> list[Event]:
        """Do what is due."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        timers = self._timers
        if self._leaving is not None and (
            not self._owed or _is_over(self._leaving.sent_at_us, timers.response_s, now_us)
        ):
            self.respond(self._leaving.request)
            return self._close("the peer has unbound")
        if self.state is State.OPEN and _is_over(self._opened_at_us, timers.bind_s, now_us):
            return self._close(
                "nobody has bound in time" if self.role == "smsc" else "the bind was not answered in time"
            )
        for sequence in self._overdue(now_us):
            late = self._open.pop(sequence)
            if sequence == self._enquired:
                return [*events, *self._close("the peer does not answer whether it is there")]
            if late.request.command == Command.UNBIND:
                return [*events, *self._close("the peer did not answer unbind")]
            events.append(Answered(late.request, None))
        self._unbind_when_answered(now_us)
        if self.state in BOUND:
            if _is_over(self._busy_at_us, timers.inactivity_s, now_us):
                self.unbind(now_us=now_us)
            elif self._enquired is None and _is_over(self._heard_at_us, timers.enquire_link_s, now_us):
                self._enquired = self.request(Command.ENQUIRE_LINK, Nothing(), now_us=now_us)
        return events

    def _overdue(self, now_us: int) -> list[int]:
        found = []
        # In the order in which they were sent.
        for sequence, known in self._open.items():
            if not _is_over(known.sent_at_us, self._timers.response_s, now_us):
                break
            found.append(sequence)
        return found

    # ---- within ----

    def _unbind_when_answered(self, now_us: int) -> None:
        if self.state is State.UNBINDING and not self._unbind_sent and self.outstanding == 0:
            self._unbind_sent = True
            self.request(Command.UNBIND, Nothing(), now_us=now_us)

    def _next_sequence(self) -> int:
        while True:
            self._sequence = self._sequence % MOST_SEQUENCE + 1
            # After a wrap, one that is still open keeps its number for itself.
            if self._sequence not in self._open:
                return self._sequence

    def _close(self, reason: str) -> list[Event]:
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        quiet = {Command.ENQUIRE_LINK, Command.UNBIND, *BINDS}
        unanswered = tuple(known.request for known in self._open.values() if known.request.command not in quiet)
        self._open.clear()
        self._enquired = None
        return [Closed(reason, unanswered)]


def _is_over(since_us: int, length_s: float, now_us: int) -> bool:
    return length_s > 0 and now_us - since_us >= length_s * SECOND_US
