"""PDUs of SMPP against bytes of the standard's examples, against each other, and against noise."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.carriers.smpp import names, pdu
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import (
    Alert,
    Bind,
    BindResp,
    Cancel,
    DataSm,
    Frame,
    Framer,
    MessageResp,
    Nothing,
    Opaque,
    Outbind,
    Pdu,
    Query,
    QueryResp,
    Replace,
    ShortMessage,
    decode,
    encode,
)
from ringback.model.errors import FieldTooLong, PduMalformed

# The bind_transmitter that chapter 3.2.3 of the standard takes apart.
BIND_BYTES = bytes.fromhex(
    "0000002F000000020000000000000001534D50503354455354007365637265743038005355424D4954310000010100"
)
BIND = Bind(
    system_id="SMPP3TEST", password="secret08", system_type="SUBMIT1", interface_version=0, ton=1, npi=1
)  # fmt: skip

TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=5)
BYTE = st.integers(0, 255)
TLVS = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4).map(tuple)
ADDRESS: dict[str, Any] = {
    "source_ton": BYTE, "source_npi": BYTE, "source": TEXT, "dest_ton": BYTE, "dest_npi": BYTE, "dest": TEXT,
}  # fmt: skip
SHORT = st.builds(
    ShortMessage, service_type=TEXT, **ADDRESS, esm_class=BYTE, protocol_id=BYTE, priority=BYTE, schedule_time=TEXT,
    validity_period=TEXT, registered_delivery=BYTE, replace_if_present=BYTE, data_coding=BYTE, default_message_id=BYTE,
    short_message=st.binary(max_size=254), tlvs=TLVS,
)  # fmt: skip
BODIES = {
    Command.BIND_TRANSCEIVER: st.builds(Bind, system_id=TEXT, password=TEXT, system_type=TEXT, ton=BYTE, npi=BYTE),
    Command.BIND_RECEIVER | RESPONSE: st.builds(BindResp, system_id=TEXT, tlvs=TLVS),
    Command.SUBMIT_SM: SHORT,
    Command.DELIVER_SM: SHORT,
    Command.SUBMIT_SM | RESPONSE: st.builds(MessageResp, message_id=TEXT, tlvs=TLVS),
    Command.DATA_SM: st.builds(DataSm, service_type=TEXT, **ADDRESS, esm_class=BYTE, data_coding=BYTE, tlvs=TLVS),
    Command.QUERY_SM: st.builds(Query, message_id=TEXT, source=TEXT),
    Command.QUERY_SM | RESPONSE: st.builds(QueryResp, message_id=TEXT, final_date=TEXT, message_state=BYTE),
    Command.CANCEL_SM: st.builds(Cancel, message_id=TEXT, **ADDRESS),
    Command.REPLACE_SM: st.builds(Replace, message_id=TEXT, short_message=st.binary(max_size=254)),
    Command.OUTBIND: st.builds(Outbind, system_id=TEXT, password=TEXT),
    Command.ALERT_NOTIFICATION: st.builds(Alert, source=TEXT, esme=TEXT, tlvs=TLVS),
    Command.SUBMIT_MULTI: st.builds(Opaque, content=st.binary(max_size=60)),
    Command.ENQUIRE_LINK: st.just(Nothing()),
    Command.UNBIND | RESPONSE: st.just(Nothing()),
    Command.GENERIC_NACK: st.just(Nothing()),
}
PDUS = st.one_of(
    *(st.builds(Pdu, st.just(int(command)), st.integers(1, 2**31 - 1), body) for command, body in BODIES.items())
)


def frames(data: bytes) -> list[Frame]:
    return Framer().feed(data)


def complaint(frame: Frame) -> int | None:
    """What a peer is told of a frame, ``None`` where nothing is wrong."""
    try:
        decode(frame)
    except PduMalformed as error:
        return error.status
    return None


def test_the_standards_example() -> None:
    assert encode(Pdu(Command.BIND_TRANSMITTER, 1, BIND)) == BIND_BYTES
    (frame,) = frames(BIND_BYTES)
    assert decode(frame) == Pdu(Command.BIND_TRANSMITTER, 1, BIND)


def test_a_submit_sm_byte_by_byte() -> None:
    body = ShortMessage(
        source_ton=5, source="Ringback", dest_ton=1, dest_npi=1, dest="15005550001", registered_delivery=1,
        short_message=b"Hello", tlvs=((names.USER_MESSAGE_REFERENCE, b"\x00\x07"),),
    )  # fmt: skip
    raw = bytes.fromhex(
        "0000003f 00000004 00000000 00000009"
        "00 05 00 52696e676261636b00 01 01 313530303535353030303100 00 00 00 00 00 01 00 00 00 05 48656c6c6f"
        "0204 0002 0007"
    )
    assert encode(Pdu(Command.SUBMIT_SM, 9, body)) == raw


@given(PDUS)
def test_what_is_written_is_read(one: Pdu) -> None:
    (frame,) = frames(encode(one))
    assert decode(frame) == one


@given(st.lists(PDUS, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_streams_are_cut_whatever_they_come_in(sent: list[Pdu], cuts: list[int]) -> None:
    data = b"".join(map(encode, sent))
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    framer = Framer()
    found = [frame for first, last in itertools.pairwise(at) for frame in framer.feed(data[first:last])]
    assert [decode(frame) for frame in found] == sent
    assert framer.fault is None


@given(st.integers(0, 0xFFFF_FFFF) | st.sampled_from(sorted(pdu._LAYOUTS)), st.integers(0, 300), st.binary(max_size=80))
@settings(max_examples=2000)
def test_noise_is_named_and_nothing_else(command: int, status: int, content: bytes) -> None:
    status = complaint(Frame(command, status, 1, content))
    assert status is None or names.status_name(status).startswith("ESME_R")


@given(PDUS, st.data())
def test_a_pdu_that_is_cut_short_is_named(one: Pdu, data: st.DataObject) -> None:
    (frame,) = frames(encode(one))
    shorter = frame.content[: data.draw(st.integers(0, len(frame.content)))]
    status = complaint(Frame(frame.command, frame.status, frame.sequence, shorter))
    assert status is None or names.status_name(status).startswith("ESME_R")


@pytest.mark.parametrize("length", [0, 15, pdu.MOST_BYTES + 1, 0xFFFF_FFFF])
def test_a_length_that_cannot_be_is_the_end(length: int) -> None:
    good = encode(Pdu(Command.ENQUIRE_LINK, 1))
    framer = Framer()
    assert len(framer.feed(good + length.to_bytes(4, "big") + good)) == 1
    assert framer.fault is not None
    assert framer.fault.status == names.INVALID_COMMAND_LENGTH
    assert framer.feed(good) == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (Bind(system_id="x" * 16, password=""), "system_id may have 15 characters"),
        (Bind(system_id="x", password="123456789"), "password may have 8 characters"),
        (ShortMessage(dest="a\0b"), "no zero byte"),
        (ShortMessage(short_message=b"x" * 255), "short_message may have 254 bytes"),
        (ShortMessage(priority=256), "priority must be from 0 to 255"),
        (ShortMessage(tlvs=((names.MESSAGE_PAYLOAD, b"x" * 65_536),)), "65535 bytes"),
    ],
)
def test_nothing_is_cut_silently(body: Any, complaint: str) -> None:
    command = Command.BIND_TRANSMITTER if isinstance(body, Bind) else Command.SUBMIT_SM
    with pytest.raises(FieldTooLong, match=complaint):
        encode(Pdu(command, 1, body))


@pytest.mark.parametrize(
    ("command", "content", "status"),
    [
        (0x77, b"", names.INVALID_COMMAND),
        (Command.SUBMIT_SM, b"", names.INVALID_COMMAND_LENGTH),
        (Command.SUBMIT_SM, b"1234567", names.INVALID_COMMAND_LENGTH),
        (Command.SUBMIT_SM, bytes(16) + b"\x05ab", names.INVALID_LENGTH_OF_MESSAGE),
        (Command.SUBMIT_SM, bytes(17) + b"\x02\x04", names.INVALID_PARAMETERS),
        (Command.SUBMIT_SM, bytes(17) + b"\x02\x04\x00\x03a", names.INVALID_PARAMETERS),
    ],
)
def test_the_peer_is_told_what_is_wrong(command: int, content: bytes, status: int) -> None:
    with pytest.raises(PduMalformed) as told:
        decode(Frame(command, 0, 1, content))
    assert told.value.status == status


def test_answers_may_leave_out_their_body() -> None:
    refused = decode(Frame(Command.SUBMIT_SM | RESPONSE, names.THROTTLED, 1, b""))
    assert refused.body == Nothing()
    taken = decode(Frame(Command.DELIVER_SM | RESPONSE, names.OK, 1, b""))
    assert taken.body == MessageResp()


def test_names_of_statuses_and_commands() -> None:
    assert names.status_name(0x58) == "ESME_RTHROTTLED"
    assert names.status_name(0x401) == "vendor 0x00000401"
    assert names.status_name(0x9999) == "reserved 0x00009999"
    assert names.command_name(Command.SUBMIT_SM | RESPONSE) == "submit_sm_resp"
    assert names.command_name(Command.GENERIC_NACK) == "generic_nack"
    assert names.command_name(0x77) == "0x00000077"
