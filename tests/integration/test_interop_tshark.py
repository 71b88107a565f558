"""All that we say in SMPP, decoded by tshark: nothing malformed, no warning, and the fields are those we meant."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ringback.carriers.port import Accepted
from ringback.carriers.smpp import names
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import (
    Bind,
    Body,
    Cancel,
    DataSm,
    Framer,
    Nothing,
    Pdu,
    Query,
    Replace,
    ShortMessage,
    encode,
)
from tests.fakes.capture import Dissected, captured, dissected, need_capturing
from tests.fakes.smsc import scripted_smsc
from tests.integration.test_smpp import EMOJI, LONG, Takers, bound, outbound

PHONE, OURS = "14155550199", "14155550100"
BIND = Bind(system_id="raw", password="secret", system_type="test", ton=1, npi=1, address_range="1415")
SHAPES: list[dict[str, Any]] = [
    *({"concatenation": each} for each in ("udh", "udh16", "sar", "payload")),
    {"default_coding": "latin1"},
    {"default_coding": "gsm_packed"},
    {"pairs": True},
]
CUT_SHORT = bytes.fromhex("00000012 00000004 00000000 00000064 0000")
TEXTS = ["Hello", "Grüße", LONG, EMOJI]


@pytest.fixture(autouse=True)
def _able() -> None:
    need_capturing()


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._framer = Framer()

    async def ask(self, *said: bytes) -> None:
        """Say it, and wait for as many PDUs."""
        self._writer.write(b"".join(said))
        waiting = len(said)
        async with asyncio.timeout(60):
            while waiting > 0 and (data := await self._reader.read(65_536)):
                waiting -= len(self._framer.feed(data))

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def raw_client(port: int) -> Raw:
    return Raw(*await asyncio.open_connection("127.0.0.1", port))


def without_complaint(pdus: list[Dissected]) -> None:
    assert [(each.fields, each.complaints) for each in pdus if each.complaints] == []


def told(pdu: Dissected) -> tuple[str, str, int, int, int, int]:
    """Of a message: whom it is from and to, kinds of both, data coding, and how long it is."""
    payload = pdu.fields.get("smpp.message_payload", [""])[0].replace(":", "")
    length = int(pdu["sm_length"]) or len(payload) // 2
    kinds = int(pdu["source_addr_ton"], 16), int(pdu["dest_addr_ton"], 16)
    return pdu["source_addr"], pdu["destination_addr"], *kinds, int(pdu["data_coding"], 16), length


def meant(body: ShortMessage) -> tuple[str, str, int, int, int, int]:
    length = len(body.short_message or body.tlv(names.MESSAGE_PAYLOAD) or b"")
    return body.source, body.dest, body.source_ton, body.dest_ton, body.data_coding, length


async def test_messages_receipts_and_phones(tmp_path: Path) -> None:
    rules = [
        {"dest": "15005550011", "answer": "error", "status": 0x0B},
        {"dest": "15005550058", "answer": "error", "status": 0x58},
        {"dest": "15005550002", "receipts": [{"after_ms": 1, "state": "UNDELIV", "error": "030", "form": "tlv"}]},
        {"dest": "15005550003", "receipts": [{"after_ms": 1, "form": "both"}]},
    ]
    brought = [{"source": PHONE, "dest": OURS, "text": text, "after_ms": 50} for text in ("Hi", EMOJI)]
    async with scripted_smsc(rule=rules, inbound=brought) as (smsc, port):
        file, answers = tmp_path / "lo.pcapng", Counter[bool]()
        async with captured(file, port):
            for number, shape in enumerate(SHAPES):
                takers = Takers()
                async with bound(port, takers, **shape) as carrier:
                    for at, text in enumerate(TEXTS):
                        dst = f"1500555000{at}"
                        one = outbound(text, dst=dst, src=["Ringback", "15005550100", "12345"][at % 3], number=number)
                        answers[isinstance(await carrier.submit(one), Accepted)] += 1
                    for dst in ("15005550011", "15005550058"):
                        answers[isinstance(await carrier.submit(outbound(dst=dst)), Accepted)] += 1
                    async with asyncio.timeout(60):
                        while smsc._tasks:
                            await asyncio.wait(smsc._tasks)
        submitted = list(smsc.submitted)
    pdus = dissected(file, port)
    without_complaint(pdus)
    by_command: dict[int, list[Dissected]] = {}
    for pdu in pdus:
        by_command.setdefault(pdu.command, []).append(pdu)
    assert answers == {True: len(SHAPES) * len(TEXTS), False: len(SHAPES) * 2}
    submits = [told(pdu) for pdu in by_command[Command.SUBMIT_SM]]
    taken = Counter(each for each in submits if each[1] not in {"15005550011", "15005550058"})
    assert taken == Counter(map(meant, submitted))
    statuses = Counter(int(pdu["command_status"], 16) for pdu in by_command[Command.SUBMIT_SM | RESPONSE])
    assert statuses == {names.OK: len(submitted), 0x0B: len(SHAPES), 0x58: len(SHAPES)}
    delivered = by_command[Command.DELIVER_SM]
    assert len(by_command[Command.DELIVER_SM | RESPONSE]) == len(delivered)
    receipts = [pdu for pdu in delivered if pdu["esm.submit.msg_type"] == "0x01"]
    states = Counter(pdu.fields.get("smpp.message_state", ["text"])[0] for pdu in receipts)
    assert len(receipts) == smsc.counts["receipts"] > 0
    assert {"2", "5", "text"} == states.keys()
    assert {told(pdu)[:2] for pdu in delivered if pdu not in receipts} == {(PHONE, OURS)}
    binds = {command: len(by_command.get(command, [])) for command in sorted(names.BINDS)}
    assert binds == {
        Command.BIND_RECEIVER: 1, Command.BIND_TRANSMITTER: 1, Command.BIND_TRANSCEIVER: len(SHAPES) - 1,
    }  # fmt: skip
    assert len(by_command[Command.UNBIND]) == len(by_command[Command.UNBIND | RESPONSE]) == len(SHAPES) + 1


async def test_every_other_request_and_what_cannot_be_understood(tmp_path: Path) -> None:
    asked: list[tuple[Command, Body]] = [
        (Command.BIND_TRANSCEIVER, BIND),
        (Command.BIND_RECEIVER, BIND),
        (Command.ENQUIRE_LINK, Nothing()),
        (Command.DATA_SM, DataSm(source=OURS, dest=PHONE, tlvs=((names.MESSAGE_PAYLOAD, b"hello"),))),
        (Command.QUERY_SM, Query(message_id="1", source=OURS)),
        (Command.CANCEL_SM, Cancel(message_id="1", source=OURS, dest=PHONE)),
        (Command.REPLACE_SM, Replace(message_id="1", source=OURS, short_message=b"other")),
        (Command.DELIVER_SM, ShortMessage(source=OURS, dest=PHONE, short_message=b"the wrong way")),
    ]
    async with scripted_smsc() as (_, port):
        file = tmp_path / "lo.pcapng"
        async with captured(file, port):
            client = await raw_client(port)
            for sequence, (command, body) in enumerate(asked, 1):
                await client.ask(encode(Pdu(command, sequence, body)))
            unknown = bytes.fromhex("00000010 00000077 00000000 00000063")
            await client.ask(unknown, CUT_SHORT)
            await client.ask(bytes.fromhex("0000000f 00000004 00000000 00000065"))
            await client.close()
            polite = await raw_client(port)
            await polite.ask(encode(Pdu(Command.BIND_TRANSMITTER, 1, BIND)))
            await polite.ask(encode(Pdu(Command.UNBIND, 2)))
            await polite.close()
    pdus = dissected(file, port)
    ours = [pdu for pdu in pdus if pdu.port == port]
    without_complaint(ours)
    # What was sent broken on purpose apart, tshark finds nothing wrong with what this test says either.
    theirs = [pdu for pdu in pdus if pdu.port != port and pdu.fields]
    without_complaint([pdu for pdu in theirs if pdu.command in {each for each, _ in asked}])
    answered = [(pdu.command, int(pdu["sequence_number"]), int(pdu["command_status"], 16)) for pdu in ours]
    assert answered == [
        (Command.BIND_TRANSCEIVER | RESPONSE, 1, names.OK),
        (Command.BIND_RECEIVER | RESPONSE, 2, names.ALREADY_BOUND),
        (Command.ENQUIRE_LINK | RESPONSE, 3, names.OK),
        (Command.DATA_SM | RESPONSE, 4, names.OK),
        (Command.QUERY_SM | RESPONSE, 5, names.INVALID_COMMAND),
        (Command.CANCEL_SM | RESPONSE, 6, names.INVALID_COMMAND),
        (Command.REPLACE_SM | RESPONSE, 7, names.INVALID_COMMAND),
        (Command.DELIVER_SM | RESPONSE, 8, names.INVALID_COMMAND),
        (Command.GENERIC_NACK, 99, names.INVALID_COMMAND),
        (Command.SUBMIT_SM | RESPONSE, 100, names.INVALID_COMMAND_LENGTH),
        (Command.GENERIC_NACK, 0, names.INVALID_COMMAND_LENGTH),
        (Command.BIND_TRANSMITTER | RESPONSE, 1, names.OK),
        (Command.UNBIND | RESPONSE, 2, names.OK),
    ]


async def test_tshark_would_say_so(tmp_path: Path) -> None:
    async with scripted_smsc() as (_, port):
        async with captured(tmp_path / "lo.pcapng", port):
            client = await raw_client(port)
            await client.ask(encode(Pdu(Command.BIND_TRANSMITTER, 1, BIND)))
            await client.ask(CUT_SHORT)
            await client.close()
        pdus = dissected(tmp_path / "lo.pcapng", port)
    assert {pdu.port == port for pdu in pdus if pdu.complaints} == {False}
