"""One SMPP connection as a machine: two of them talk to each other, time is a number."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import Bind, Framer, MessageResp, Nothing, Outbind, Pdu, ShortMessage, decode, encode
from ringback.carriers.smpp.session import (
    Answered,
    Closed,
    Malformed,
    Received,
    Session,
    State,
    Timers,
    Unexpected,
)

SECOND_US = 1_000_000
TIMERS = Timers(response_s=5, enquire_link_s=30, bind_s=10)
BIND = Bind(system_id="me", password="secret")
HELLO = ShortMessage(dest="15005550001", short_message=b"hello")


def pair(timers: Timers = TIMERS, *, bind: Command | None = Command.BIND_TRANSCEIVER) -> tuple[Session, Session]:
    """Two sides of a connection, bound unless ``bind`` is ``None``."""
    esme, smsc = Session("esme", timers, now_us=0), Session("smsc", timers, now_us=0)
    if bind is not None:
        esme.request(bind, BIND, now_us=0)
        (asked,) = smsc.receive(esme.take_output(), now_us=0)
        assert isinstance(asked, Received)
        smsc.accept_bind(asked.pdu, "them")
        (answered,) = esme.receive(smsc.take_output(), now_us=0)
        assert isinstance(answered, Answered)
    return esme, smsc


def sent(session: Session) -> list[Pdu]:
    return [decode(frame) for frame in Framer().feed(session.take_output())]


@pytest.mark.parametrize(
    ("bind", "state"),
    [
        (Command.BIND_TRANSMITTER, State.BOUND_TX),
        (Command.BIND_RECEIVER, State.BOUND_RX),
        (Command.BIND_TRANSCEIVER, State.BOUND_TRX),
    ],
)
def test_binding(bind: Command, state: State) -> None:
    esme, smsc = pair(bind=bind)
    assert (esme.state, smsc.state, esme.outstanding) == (state, state, 0)


def test_a_refused_bind_ends_both_sides() -> None:
    esme, smsc = pair(bind=None)
    esme.request(Command.BIND_TRANSCEIVER, BIND, now_us=0)
    (asked,) = smsc.receive(esme.take_output(), now_us=0)
    assert isinstance(asked, Received)
    assert smsc.refuse_bind(asked.pdu, names.INVALID_PASSWORD) == [
        Closed("its bind was refused: ESME_RINVPASWD", ())
    ]  # fmt: skip
    *_, closed = esme.receive(smsc.take_output(), now_us=0)
    assert closed == Closed("the peer refused the bind: ESME_RINVPASWD", ())
    assert esme.state is State.CLOSED


def test_messages_and_answers_in_any_order() -> None:
    esme, smsc = pair()
    first, second = (esme.request(Command.SUBMIT_SM, HELLO, now_us=1) for _ in range(2))
    assert esme.outstanding == 2
    asked = smsc.receive(esme.take_output(), now_us=2)
    for event in reversed(asked):
        assert isinstance(event, Received)
        smsc.respond(event.pdu, MessageResp(message_id=str(event.pdu.sequence)))
    answers = esme.receive(smsc.take_output(), now_us=3)
    assert [(each.request.sequence, each.answer.body.message_id) for each in answers] == [  # type: ignore[union-attr]
        (second, str(second)), (first, str(first)),
    ]  # fmt: skip
    assert esme.outstanding == 0


@pytest.mark.parametrize(
    ("bind", "role", "command", "status"),
    [
        (None, "smsc", Command.SUBMIT_SM, names.WRONG_BIND_STATE),
        (Command.BIND_RECEIVER, "smsc", Command.SUBMIT_SM, names.WRONG_BIND_STATE),
        (Command.BIND_TRANSMITTER, "esme", Command.DELIVER_SM, names.WRONG_BIND_STATE),
        (Command.BIND_TRANSCEIVER, "esme", Command.SUBMIT_SM, names.INVALID_COMMAND),
        (Command.BIND_TRANSCEIVER, "smsc", Command.DELIVER_SM, names.INVALID_COMMAND),
        (Command.BIND_TRANSCEIVER, "smsc", Command.BIND_TRANSCEIVER, names.ALREADY_BOUND),
        (Command.BIND_TRANSCEIVER, "esme", Command.BIND_TRANSCEIVER, names.INVALID_COMMAND),
    ],
)
def test_what_does_not_fit_the_state_is_refused(bind: Command | None, role: str, command: Command, status: int) -> None:
    esme, smsc = pair(bind=bind)
    session = {"esme": esme, "smsc": smsc}[role]
    body: Any = BIND if command in names.BINDS else HELLO
    (event,) = session.receive(encode(Pdu(command, 77, body)), now_us=1)
    assert isinstance(event, Malformed)
    (answer,) = sent(session)
    assert (answer.command, answer.sequence, answer.status) == (command | RESPONSE, 77, status)


def test_outbind_comes_before_the_bind_and_is_not_answered() -> None:
    esme, _ = pair(bind=None)
    outbind = Pdu(Command.OUTBIND, 1, Outbind(system_id="them", password=""))
    assert esme.receive(encode(outbind), now_us=1) == [Received(outbind)]
    assert sent(esme) == []


def test_malformed_and_unknown_pdus_are_answered_as_the_standard_says() -> None:
    _, smsc = pair()
    cut_short = encode(Pdu(Command.SUBMIT_SM, 5, HELLO))[:30]
    data = (30).to_bytes(4, "big") + cut_short[4:] + bytes.fromhex("00000010 00000077 00000000 00000006")
    events = smsc.receive(data, now_us=1)
    assert [type(event) for event in events] == [Malformed, Malformed]
    told = [(pdu.command, pdu.sequence, pdu.status) for pdu in sent(smsc)]
    assert told == [
        (Command.SUBMIT_SM | RESPONSE, 5, names.INVALID_COMMAND_LENGTH),
        (Command.GENERIC_NACK, 6, names.INVALID_COMMAND),
    ]
    assert smsc.state is State.BOUND_TRX
    *_, closed = smsc.receive(b"\x00\x00\x00\x01", now_us=2)
    assert isinstance(closed, Closed)
    assert [(pdu.command, pdu.status) for pdu in sent(smsc)] == [(Command.GENERIC_NACK, names.INVALID_COMMAND_LENGTH)]


def test_an_answer_that_cannot_be_read_is_none() -> None:
    esme, _ = pair()
    number = esme.request(Command.SUBMIT_SM, HELLO, now_us=1)
    unreadable = bytes.fromhex("00000012 80000004 00000000") + number.to_bytes(4, "big") + b"ab"
    events = esme.receive(unreadable, now_us=2)
    assert [type(event) for event in events] == [Malformed, Answered]
    assert events[1].answer is None  # type: ignore[union-attr]


def test_a_generic_nack_answers_and_strangers_do_not() -> None:
    esme, _ = pair()
    number = esme.request(Command.SUBMIT_SM, HELLO, now_us=1)
    stranger = Pdu(Command.DELIVER_SM | RESPONSE, number, MessageResp())
    assert esme.receive(encode(stranger), now_us=2) == [Unexpected(stranger)]
    (answered,) = esme.receive(encode(Pdu(Command.GENERIC_NACK, number, status=names.SYSTEM_ERROR)), now_us=2)
    assert isinstance(answered, Answered)
    assert esme.receive(encode(Pdu(Command.GENERIC_NACK, number)), now_us=3) == [
        Unexpected(Pdu(Command.GENERIC_NACK, number))
    ]


def test_answers_that_do_not_come() -> None:
    esme, _ = pair()
    first = esme.request(Command.SUBMIT_SM, HELLO, now_us=0)
    second = esme.request(Command.SUBMIT_SM, HELLO, now_us=3 * SECOND_US)
    assert esme.tick(now_us=5 * SECOND_US - 1) == []
    (late,) = esme.tick(now_us=5 * SECOND_US)
    assert isinstance(late, Answered)
    assert (late.request.sequence, late.answer) == (first, None)
    (closed,) = esme.lost("cut")
    assert isinstance(closed, Closed)
    assert [pdu.sequence for pdu in closed.unanswered] == [second]
    assert esme.lost("again") == []


def test_silence_is_asked_about_and_ends() -> None:
    esme, smsc = pair()
    assert esme.tick(now_us=30 * SECOND_US - 1) == []
    assert esme.take_output() == b""
    assert esme.tick(now_us=30 * SECOND_US) == []
    assert esme.outstanding == 0
    assert smsc.receive(esme.take_output(), now_us=30 * SECOND_US) == []
    assert esme.receive(smsc.take_output(), now_us=31 * SECOND_US) == []
    esme.tick(now_us=61 * SECOND_US)
    assert esme.take_output()
    (closed,) = esme.tick(now_us=66 * SECOND_US)
    assert closed == Closed("the peer does not answer whether it is there", ())


def test_idle_connections_are_unbound() -> None:
    esme, smsc = pair(Timers(inactivity_s=60, enquire_link_s=0))
    assert esme.tick(now_us=60 * SECOND_US) == []
    assert esme.state is State.UNBINDING
    assert smsc.receive(esme.take_output(), now_us=0) == [Closed("the peer has unbound", ())]
    assert esme.receive(smsc.take_output(), now_us=0) == [Closed("unbound", ())]


def test_nobody_waits_for_a_bind_for_ever() -> None:
    esme, smsc = pair(bind=None)
    assert smsc.tick(now_us=10 * SECOND_US) == [Closed("nobody has bound in time", ())]
    esme.request(Command.BIND_TRANSCEIVER, BIND, now_us=0)
    assert esme.tick(now_us=10 * SECOND_US) == [Closed("the bind was not answered in time", ())]


def test_while_unbinding_what_was_on_its_way_counts() -> None:
    esme, smsc = pair()
    number = esme.request(Command.SUBMIT_SM, HELLO, now_us=0)
    esme.unbind(now_us=1)
    (asked,) = smsc.receive(esme.take_output(), now_us=2)
    assert isinstance(asked, Received)
    deliver = Pdu(Command.DELIVER_SM, 9, HELLO)
    answer = Pdu(Command.SUBMIT_SM | RESPONSE, number, MessageResp(message_id="x"))
    events = esme.receive(encode(deliver) + encode(answer), now_us=3)
    assert [type(event) for event in events] == [Received, Answered]
    assert [pdu.command for pdu in sent(esme)] == [Command.UNBIND]
    (closed,) = esme.receive(encode(Pdu(Command.UNBIND | RESPONSE, number + 1)), now_us=4)
    assert closed == Closed("unbound", ())


def test_unbinding_does_not_wait_for_ever() -> None:
    esme, _ = pair()
    esme.request(Command.SUBMIT_SM, HELLO, now_us=0)
    esme.unbind(now_us=1)
    esme.take_output()
    (late,) = esme.tick(now_us=5 * SECOND_US)
    assert isinstance(late, Answered)
    assert [pdu.command for pdu in sent(esme)] == [Command.UNBIND]
    assert esme.tick(now_us=10 * SECOND_US) == [Closed("the peer did not answer unbind", ())]


def test_sequence_numbers_wrap_around_what_is_open() -> None:
    esme, _ = pair()
    esme._sequence = 0x7FFF_FFFE
    numbers = [esme.request(Command.SUBMIT_SM, HELLO, now_us=0) for _ in range(2)]
    esme._sequence = 0x7FFF_FFFE
    numbers += [esme.request(Command.SUBMIT_SM, HELLO, now_us=0) for _ in range(2)]
    assert numbers == [0x7FFF_FFFF, 1, 2, 3]


@given(st.lists(st.binary(max_size=60), max_size=20), st.sampled_from(["esme", "smsc"]))
@settings(max_examples=500)
def test_noise_neither_raises_nor_piles_up(chunks: list[bytes], role: str) -> None:
    esme, smsc = pair()
    session = {"esme": esme, "smsc": smsc}[role]
    for now_us, chunk in enumerate(chunks):
        # As frames of a length that can be, so that what follows is looked at too.
        framed = (len(chunk) + 4).to_bytes(4, "big") + chunk
        session.receive(framed if len(chunk) >= 12 else chunk, now_us=now_us)
    assert len(session._framer._buffer) <= 70_000
    assert session.outstanding == 0


def test_enquire_link_is_answered_in_every_state() -> None:
    esme, smsc = pair(bind=None)
    for session in (esme, smsc):
        session.receive(encode(Pdu(Command.ENQUIRE_LINK, 3)), now_us=0)
        assert sent(session) == [Pdu(Command.ENQUIRE_LINK | RESPONSE, 3, Nothing())]
