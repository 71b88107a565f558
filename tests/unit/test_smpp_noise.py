"""Any bytes into framing, reading and the session, both sides: what ``tests/fuzz/examine.py`` says holds of them.

The corpus is what coverage-guided fuzzing has kept (``make fuzz``), and what once broke something.
"""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import BINDS, RESPONSE, Command
from ringback.carriers.smpp.pdu import Alert, Bind, Framer, MessageResp, Outbind, Pdu, ShortMessage, decode, encode
from ringback.carriers.smpp.session import Answered, Closed, Received, Session, State, Timers
from tests.fuzz.examine import REQUESTS, SILENT, examine
from tests.unit.test_smpp_pdu import PDUS

CORPUS = sorted((Path(__file__).parents[1] / "data" / "smpp" / "corpus").iterdir())
COMMANDS = st.sampled_from([*REQUESTS, *SILENT, *(each | RESPONSE for each in REQUESTS), 0x77, 0x8000_0000])
HOW = st.binary(min_size=2, max_size=2)


@given(st.binary(max_size=400))
@settings(max_examples=1500)
def test_any_bytes(data: bytes) -> None:
    examine(data)


@given(HOW, st.lists(st.tuples(COMMANDS, st.integers(0, 6), st.integers(0, 6), st.binary(max_size=60)), max_size=6))
@settings(max_examples=1500)
def test_any_body_under_a_known_command(how: bytes, pdus: list[tuple[int, int, int, bytes]]) -> None:
    stream = b"".join(
        (16 + len(content)).to_bytes(4, "big") + command.to_bytes(4, "big") + status.to_bytes(4, "big")
        + sequence.to_bytes(4, "big") + content
        for command, status, sequence, content in pdus
    )  # fmt: skip
    examine(bytes((how[0] & ~0x10, how[1])) + stream)


@given(HOW, st.lists(PDUS, min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=1000)
def test_pdus_with_bytes_changed(how: bytes, pdus: list[Pdu], dice: random.Random) -> None:
    stream = bytearray(b"".join(map(encode, pdus)))
    for _ in range(dice.randint(0, 6)):
        stream[dice.randrange(len(stream))] = dice.randrange(256)
    examine(bytes((how[0] & ~0x10, how[1])) + bytes(stream))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus(path: Path) -> None:
    examine(path.read_bytes())


def session_for(role: str, *, sends: int = 0) -> Session:
    session = Session("esme" if role == "esme" else "smsc", Timers(), now_us=0)
    if sends:
        bind = session.request(Command.BIND_TRANSCEIVER, Bind(system_id="me", password=""), now_us=0)
        session.receive(encode(Pdu(Command.BIND_TRANSCEIVER | RESPONSE, bind)), now_us=0)
        for _ in range(sends):
            session.request(Command.SUBMIT_SM, ShortMessage(dest="15005550001"), now_us=0)
    session.take_output()
    return session


def test_a_nack_refuses_whatever_its_status_says() -> None:
    session = session_for("esme", sends=1)
    (answered,) = session.receive(encode(Pdu(Command.GENERIC_NACK, 2, status=names.OK)), now_us=1)
    assert isinstance(answered, Answered)
    assert answered.answer is not None
    assert answered.answer.status == names.UNKNOWN_ERROR


def test_a_nack_does_not_bind() -> None:
    session = session_for("esme")
    bind = session.request(Command.BIND_TRANSCEIVER, Bind(system_id="me", password=""), now_us=0)
    *_, closed = session.receive(encode(Pdu(Command.GENERIC_NACK, bind, status=names.OK)), now_us=1)
    assert closed == Closed("the peer refused the bind: ESME_RUNKNOWNERR", ())


def test_a_bind_that_was_decided_too_late_binds_nobody() -> None:
    session = session_for("smsc")
    first, second = (Pdu(bind, at, Bind(system_id="me", password="")) for at, bind in enumerate(sorted(BINDS)[:2], 1))
    assert session.receive(encode(first) + encode(second), now_us=1) == [Received(first), Received(second)]
    session.accept_bind(second, "them")
    session.accept_bind(first, "them")
    told = [(pdu.sequence, pdu.status) for pdu in map(decode, Framer().feed(session.take_output()))]
    assert told == [(2, names.OK), (1, names.ALREADY_BOUND)]
    assert session.state is State.BOUND_TX
    session.lost("cut")
    session.accept_bind(first, "them")
    assert (session.state, session.take_output()) == (State.CLOSED, b"")


@pytest.mark.parametrize("request_", [Pdu(Command.ALERT_NOTIFICATION, 7, Alert()),
                                      Pdu(Command.OUTBIND, 7, Outbind(system_id="them", password=""))])  # fmt: skip
def test_what_has_no_answer_gets_none(request_: Pdu) -> None:
    session = session_for("esme", sends=1)
    session.respond(request_, status=names.INVALID_COMMAND)
    assert session.take_output() == b""


@pytest.mark.parametrize("command", [*BINDS, Command.SUBMIT_SM, Command.QUERY_SM])
def test_a_request_without_a_body_is_told_so(command: int) -> None:
    session = session_for("smsc")
    session.receive(encode(Pdu(command, 7, status=names.SYSTEM_ERROR)), now_us=1)
    ((told,)) = map(decode, Framer().feed(session.take_output()))
    assert (told.command, told.sequence, told.status) == (command | RESPONSE, 7, names.INVALID_COMMAND_LENGTH)


def test_what_was_asked_before_an_unbind_is_answered_before_it() -> None:
    session = session_for("smsc")
    bind = Pdu(Command.BIND_TRANSCEIVER, 1, Bind(system_id="me", password=""))
    session.receive(encode(bind), now_us=0)
    session.accept_bind(bind, "them")
    session.take_output()
    asked = [Pdu(Command.SUBMIT_SM, at, ShortMessage(dest="15005550001")) for at in (2, 3)]
    late = Pdu(Command.SUBMIT_SM, 5, ShortMessage(dest="15005550001"))
    stream = b"".join(map(encode, [*asked, Pdu(Command.UNBIND, 4), late]))
    events = session.receive(stream, now_us=1)
    assert events[:2] == [Received(each) for each in asked]
    for each in reversed(asked):
        assert session.tick(now_us=2) == []
        session.respond(each, MessageResp(message_id="1"))
    assert session.tick(now_us=3) == [Closed("the peer has unbound", ())]
    told = [(each.command, each.sequence, each.status) for each in map(decode, Framer().feed(session.take_output()))]
    assert told == [
        (Command.SUBMIT_SM | RESPONSE, 5, names.WRONG_BIND_STATE),
        (Command.SUBMIT_SM | RESPONSE, 3, names.OK),
        (Command.SUBMIT_SM | RESPONSE, 2, names.OK),
        (Command.UNBIND | RESPONSE, 4, names.OK),
    ]


def test_an_unbind_does_not_wait_for_ever() -> None:
    session = session_for("smsc")
    bind = Pdu(Command.BIND_TRANSCEIVER, 1, Bind(system_id="me", password=""))
    session.receive(encode(bind) + encode(Pdu(Command.UNBIND, 2)), now_us=0)
    assert session.tick(now_us=29_999_999) == []
    assert session.tick(now_us=30_000_000) == [Closed("the peer has unbound", ())]
    session.accept_bind(bind, "them")
    (told,) = map(decode, Framer().feed(session.take_output()))
    assert (told.command, told.sequence) == (Command.UNBIND | RESPONSE, 2)
