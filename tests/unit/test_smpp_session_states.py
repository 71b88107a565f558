"""Two sessions, with a network between them that cuts, holds back, repeats and loses; answers come in any order.

Whatever happens, each request ends once: answered, given up or named at the end of the connection; no answer is made
up; an end is final; and after a silence nothing waits any more.
"""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import BINDS, RESPONSE, Command
from ringback.carriers.smpp.pdu import Bind, MessageResp, Pdu, ShortMessage, encode
from ringback.carriers.smpp.session import BOUND, SECOND_US, Answered, Closed, Event, Received, Session, State, Timers

TIMERS = Timers(response_s=5, enquire_link_s=30, bind_s=10, inactivity_s=600)
SIDE = st.sampled_from(["esme", "smsc"])
COMMANDS = {"esme": Command.SUBMIT_SM, "smsc": Command.DELIVER_SM}
LONG_US = 3600 * SECOND_US


class TwoSides(RuleBasedStateMachine):
    """An ESME and an SMSC."""

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.sides = {"esme": Session("esme", TIMERS, now_us=0), "smsc": Session("smsc", TIMERS, now_us=0)}
        self.wires = {"esme": bytearray(), "smsc": bytearray()}
        """What has been sent by a side and has not arrived."""
        self.asked: dict[str, list[Pdu]] = {"esme": [], "smsc": []}
        """What a side has been asked and has not answered."""
        self.sent: dict[str, set[int]] = {"esme": set(), "smsc": set()}
        self.ended: dict[str, Counter[int]] = {"esme": Counter(), "smsc": Counter()}
        self.given: dict[str, set[tuple[int, int]]] = {"esme": set(), "smsc": set()}
        """Sequence and status of what a side has answered."""
        self.closed: Counter[str] = Counter()

    @initialize(bound=st.booleans())
    def bind(self, *, bound: bool) -> None:
        """Ask for a bind, and perhaps give it."""
        self.sides["esme"].request(Command.BIND_TRANSCEIVER, Bind(system_id="me", password=""), now_us=0)
        if bound:
            self.arrive("esme", 200)
            self.answer("smsc", 0, names.OK)
            self.arrive("smsc", 200)
            assert {side.state for side in self.sides.values()} == {State.BOUND_TRX}

    def heed(self, side: str, events: list[Event]) -> None:
        other = "smsc" if side == "esme" else "esme"
        for event in events:
            if isinstance(event, Received):
                assert event.pdu.command in {COMMANDS[other], *BINDS}
                self.asked[side].append(event.pdu)
            elif isinstance(event, Answered) and event.request.command not in BINDS:
                self.ended[side][event.request.sequence] += 1
                if event.answer is not None:
                    assert (event.answer.sequence, event.answer.status) in self.given[other], "an answer is made up"
            elif isinstance(event, Closed):
                self.closed[side] += 1
                self.ended[side].update(pdu.sequence for pdu in event.unanswered)

    @rule(side=SIDE)
    def send(self, side: str) -> None:
        session = self.sides[side]
        if session.state in BOUND:
            body = ShortMessage(dest="15005550001", short_message=b"hi")
            self.sent[side].add(session.request(COMMANDS[side], body, now_us=self.now_us))

    @rule(side=SIDE, which=st.integers(0, 50), status=st.sampled_from([names.OK, names.THROTTLED, names.SYSTEM_ERROR]))
    def answer(self, side: str, which: int, status: int) -> None:
        if not self.asked[side]:
            return
        request = self.asked[side].pop(which % len(self.asked[side]))
        session = self.sides[side]
        if request.command not in BINDS:
            self.given[side].add((request.sequence, status))
            session.respond(request, MessageResp(message_id="1") if status == names.OK else None, status=status)
        elif status == names.OK:
            session.accept_bind(request, "them")
        elif session.state is State.OPEN:
            self.heed(side, session.refuse_bind(request, status))

    @rule(side=SIDE, most=st.integers(1, 200))
    def arrive(self, side: str, most: int) -> None:
        """Let some bytes arrive of what a side has sent."""
        wire = self.wires[side]
        wire += self.sides[side].take_output()
        data = bytes(wire[:most])
        del wire[:most]
        other = "smsc" if side == "esme" else "esme"
        self.heed(other, self.sides[other].receive(data, now_us=self.now_us))

    @precondition(lambda self: any(self.given.values()))
    @rule(side=SIDE, which=st.integers(0, 50), with_nack=st.booleans())
    def repeat_an_answer(self, side: str, which: int, *, with_nack: bool) -> None:
        """Have a side say again what it has answered, at the end of a whole PDU."""
        given = sorted(self.given[side])
        self.wires[side] += self.sides[side].take_output()
        if not given or self.sides[side].state is State.CLOSED:
            return
        sequence, status = given[which % len(given)]
        other = "smsc" if side == "esme" else "esme"
        command = Command.GENERIC_NACK if with_nack and status else COMMANDS[other] | RESPONSE
        self.wires[side] += encode(Pdu(command, sequence, status=status))

    @rule(seconds=st.sampled_from([0.1, 1, 5, 31]))
    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND_US)
        for side, session in self.sides.items():
            self.heed(side, session.tick(now_us=self.now_us))

    @rule(side=SIDE)
    def unbind(self, side: str) -> None:
        self.sides[side].unbind(now_us=self.now_us)

    @rule(side=SIDE)
    def lose(self, side: str) -> None:
        self.heed(side, self.sides[side].lost("cut"))

    @invariant()
    def an_end_is_told_once_and_final(self) -> None:
        for side, session in self.sides.items():
            assert self.closed[side] == (session.state is State.CLOSED)

    @invariant()
    def a_request_ends_once(self) -> None:
        for side in self.sides:
            assert set(self.ended[side]) <= self.sent[side]
            assert max(self.ended[side].values(), default=0) <= 1

    def teardown(self) -> None:
        for _ in range(3):
            self.now_us += LONG_US
            for side, session in self.sides.items():
                self.heed(side, session.tick(now_us=self.now_us))
                session.take_output()
        for side, session in self.sides.items():
            assert session.state is State.CLOSED, "a silent peer is left"
            assert set(self.ended[side]) == self.sent[side]
        self.an_end_is_told_once_and_final()
        self.a_request_ends_once()


TestTwoSides: Any = TwoSides.TestCase
TestTwoSides.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
