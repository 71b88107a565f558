"""What must hold of any bytes that an SMPP peer may send: the one place, for hypothesis, atheris and the corpus.

The first two bytes of an input say who hears the rest, in which state, how it is cut, and how requests are answered. An
oracle of its own cuts the stream and says what 3.4 wants sent back, and the machine is held to that.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec

from ringback.carriers.smpp import coding, inbound, names, pdu
from ringback.carriers.smpp.names import BINDS, RESPONSE, Command
from ringback.carriers.smpp.pdu import Bind, DataSm, Frame, Framer, MessageResp, Pdu, ShortMessage
from ringback.carriers.smpp.receipts import Reading
from ringback.carriers.smpp.session import Answered, Closed, Event, Received, Session, State, Timers
from ringback.model.errors import PduMalformed

ROLES: Final[tuple[Literal["esme", "smsc"], ...]] = ("esme", "smsc")
STATES: Final = (None, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER)
REQUESTS: Final = frozenset(
    {
        *BINDS, Command.QUERY_SM, Command.SUBMIT_SM, Command.DELIVER_SM, Command.UNBIND, Command.REPLACE_SM,
        Command.CANCEL_SM, Command.ENQUIRE_LINK, Command.SUBMIT_MULTI, Command.DATA_SM,
    }
)  # fmt: skip
"""Those that have a response of their own (5.1.2.1)."""
SILENT: Final = frozenset({Command.OUTBIND, Command.ALERT_NOTIFICATION})
OURS: Final = 3
"""Requests of the examined side that are open when the bytes come."""
DEFAULTS: Final[tuple[coding.Default, ...]] = ("gsm", "gsm_packed", "latin1")
READINGS: Final = tuple(
    Reading(mark=mark, text_ids=form, parameter_ids=form, errors_from=source)
    for mark, form, source in (
        ("parameter", "text", "parameter"),
        ("text", "hex", "text"),
        ("class", "decimal", "text"),
    )
)

Told = tuple[int, int, int | None]
"""Command, sequence number, and of a generic_nack the status."""


class Plan(msgspec.Struct, frozen=True):
    """How an input is played."""

    role: Literal["esme", "smsc"]
    bind: Command | None
    refuses: bool
    stream: bytes
    cuts: tuple[int, ...]


def planned(data: bytes) -> Plan:
    """Read an input. One bit makes frames of what follows, so that noise gets past ``command_length``."""
    how, step, rest = *(data[:2] + bytes(2))[:2], data[2:]
    stream = b"".join(_framed(rest)) if how & 0x10 else rest
    cuts = tuple(range(0, len(stream), step)) if step and len(stream) // step < 512 else (0,)
    return Plan(ROLES[how & 1], STATES[how >> 1 & 3], bool(how & 8), stream, (*cuts, len(stream)))


def _framed(rest: bytes) -> Iterator[bytes]:
    while len(rest) > 1:
        size = max(rest[0], 12)
        content, rest = rest[1 : size + 1].ljust(12, b"\0"), rest[size + 1 :]
        yield (len(content) + 4).to_bytes(4, "big") + content


def examine(data: bytes) -> None:
    """Play one input, and fail if anything is not as it must be."""
    plan = planned(data)
    session = _begun(plan)
    answered: Counter[int] = Counter()
    closed = 0
    out = bytearray()
    for first, last in pairwise(plan.cuts):
        events = session.receive(plan.stream[first:last], now_us=1)
        for event in events:
            if isinstance(event, Answered):
                answered[event.request.sequence] += 1
            closed += isinstance(event, Closed)
        for event in events:
            closed += sum(isinstance(each, Closed) for each in _answer(session, event, plan))
        closed += sum(isinstance(each, Closed) for each in session.tick(now_us=1))
        out += session.take_output()
        assert len(session._framer._buffer) <= pdu.MOST_BYTES + last - first, "it piles up"
    assert all(count == 1 for count in answered.values()), "one answer was taken for two"
    assert closed == (session.state is State.CLOSED), "the end is told once"
    assert session.outstanding <= OURS + 1
    _as_the_standard_says(plan, session, bytes(out))
    for frame in Framer().feed(plan.stream):
        _read_and_written(frame)


def _begun(plan: Plan) -> Session:
    session = Session(plan.role, Timers(), now_us=0)
    if plan.bind is None:
        if plan.role == "esme":
            session.request(Command.BIND_TRANSCEIVER, Bind(system_id="me", password=""), now_us=0)
    elif plan.role == "esme":
        sequence = session.request(plan.bind, Bind(system_id="me", password=""), now_us=0)
        session.receive(pdu.encode(Pdu(plan.bind | RESPONSE, sequence, pdu.BindResp())), now_us=0)
    else:
        session.receive(pdu.encode(Pdu(plan.bind, 1, Bind(system_id="me", password=""))), now_us=0)
        session.accept_bind(Pdu(plan.bind, 1), "them")
    if plan.bind is not None:
        command = Command.SUBMIT_SM if plan.role == "esme" else Command.DELIVER_SM
        for _ in range(OURS):
            session.request(command, ShortMessage(dest="15005550001"), now_us=0)
    session.take_output()
    return session


def _answer(session: Session, event: Event, plan: Plan) -> list[Event]:
    """Do with a request what a connection does."""
    if not isinstance(event, Received):
        return []
    if event.pdu.command in BINDS:
        assert isinstance(event.pdu.body, Bind), "a bind says who binds"
        if plan.refuses:
            return session.refuse_bind(event.pdu, names.INVALID_PASSWORD)
        session.accept_bind(event.pdu, "them")
    elif plan.refuses or not isinstance(event.pdu.body, ShortMessage | DataSm):
        session.respond(event.pdu, status=names.INVALID_COMMAND)
    else:
        session.respond(event.pdu, MessageResp(message_id="1"))
    return []


def _as_the_standard_says(plan: Plan, session: Session, out: bytes) -> None:
    framer = Framer()
    sent = [pdu.decode(frame) for frame in framer.feed(out)]
    assert framer.fault is None
    assert not framer._buffer, "what is sent is whole PDUs"
    due, ends_badly = _due(plan.stream)
    told = Counter((each.command, each.sequence, _nacked(each)) for each in sent)
    if session.state is State.CLOSED:
        # What came after the end is not answered.
        assert not told - Counter(due), f"sent without having been asked: {told - Counter(due)}"
    else:
        assert not ends_badly, "nobody knows where the next PDU begins, and it goes on"
        assert told == Counter(due), f"to be sent {due}, sent {told}"


def _nacked(sent: Pdu) -> int | None:
    return sent.status if sent.command == Command.GENERIC_NACK else None


def _due(stream: bytes) -> tuple[list[Told], bool]:
    """Say what 3.4 wants sent back, and whether the stream ends in a length that cannot be."""
    due: list[Told] = []
    at = 0
    while at + 4 <= len(stream):
        length = int.from_bytes(stream[at : at + 4], "big")
        if not 16 <= length <= pdu.MOST_BYTES:
            return [*due, (Command.GENERIC_NACK, 0, names.INVALID_COMMAND_LENGTH)], True
        if at + length > len(stream):
            break
        command = int.from_bytes(stream[at + 4 : at + 8], "big")
        sequence = int.from_bytes(stream[at + 12 : at + 16], "big")
        if command in REQUESTS:
            due.append((command | RESPONSE, sequence, None))
        elif command in SILENT:
            complaint = _complaint(Frame(command, 0, sequence, stream[at + 16 : at + length]))
            due += [] if complaint is None else [(Command.GENERIC_NACK, sequence, complaint)]
        elif not command & RESPONSE:
            due.append((Command.GENERIC_NACK, sequence, names.INVALID_COMMAND))
        at += length
    return due, False


def _complaint(frame: Frame) -> int | None:
    try:
        pdu.decode(frame)
    except PduMalformed as error:
        return error.status
    return None


def _read_and_written(frame: Frame) -> None:
    """See that what can be read can be written and read again, and that its text and receipt can be asked for."""
    complaint = _complaint(frame)
    if complaint is not None:
        assert names.status_name(complaint).startswith("ESME_R")
        assert complaint != names.OK
        return
    one = pdu.decode(frame)
    (again,) = Framer().feed(pdu.encode(one))
    assert pdu.decode(again) == one
    if isinstance(one.body, ShortMessage | DataSm):
        _understood(one.body)


def _understood(body: ShortMessage | DataSm) -> None:
    said: list[Any] = [inbound.text_of(body, default)[0] for default in DEFAULTS]
    for reading in READINGS:
        reading.is_receipt(body)
        receipt = reading.read(body)
        if receipt is not None:
            said += [receipt.message_id, receipt.state, receipt.error]
    # A database wants texts that UTF-8 has bytes for.
    assert all(isinstance(text.encode(), bytes) for text in said)
