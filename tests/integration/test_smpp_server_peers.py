"""The SMPP server and peers that are not ours: another library, and those that do not do what they should."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import smpp34

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import MOST_BYTES, Bind, Pdu, Query, ShortMessage, encode
from ringback.store import messages
from tests.fakes.esme import PASSWORD, bound_esme, raw_esme
from tests.fakes.tls import certificates
from tests.integration.test_smpp_server import DELIVERED, serving

HELLO = ShortMessage(source="15005550100", dest=DELIVERED, short_message=b"hello")


@pytest.mark.parametrize("bind_type", ["TX", "RX", "TRX"])
async def test_their_client_with_our_server(tmp_path: Path, bind_type: str) -> None:
    async with serving(tmp_path) as (_, port):
        client = smpp34.Client("127.0.0.1", port, "acme", PASSWORD, bind_type=bind_type)
        session = await client.connect()
        if bind_type != "RX":
            taken = await session.submit_sm(DELIVERED, b"hello", source_addr="15005550100", registered_delivery=1)
            assert taken.is_success
        if bind_type == "TRX":
            heard = await session.next()
            assert isinstance(heard, smpp34.DeliverSmEvent)
            assert f"id:{taken.message_id} ".encode() in heard.short_message
            refused = await session.submit_sm("12", b"no", source_addr="15005550100")
            assert refused.command_status == smpp34.ESME_RINVDSTADR
        await session.unbind()
        await client.stop()


async def test_their_client_with_a_wrong_password(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port):
        client = smpp34.Client("127.0.0.1", port, "acme", "wrong", bind_type="TRX")
        with pytest.raises(smpp34.SmppError):
            await client.connect()
        await client.stop()


async def test_tls(tmp_path: Path) -> None:
    files = certificates(tmp_path / "tls")
    server = {"port": None, "tls_port": 0, "tls_certificate": files.certificate, "tls_key": files.key}
    async with serving(tmp_path / "data", smpp_server=server) as (_, port):
        context = ssl.create_default_context(cafile=str(files.authority))
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.write(encode(Pdu(Command.BIND_TRANSCEIVER, 1, Bind(system_id="acme", password=PASSWORD))))
        assert (await reader.readexactly(16))[8:12] == bytes(4)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("garbage", "told"),
    [
        (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", Command.GENERIC_NACK),
        (bytes(64), Command.GENERIC_NACK),
        ((MOST_BYTES + 1).to_bytes(4, "big"), Command.GENERIC_NACK),
        (b"\xff" * 5000, Command.GENERIC_NACK),
        (b"\0\0\0\x10" + (0x9999).to_bytes(4, "big") + bytes(8), Command.GENERIC_NACK),
        (b"\0\0\0\x12" + Command.SUBMIT_SM.to_bytes(4, "big") + bytes(10), Command.SUBMIT_SM | RESPONSE),
    ],
    ids=["http", "zeros", "too long", "ones", "unknown command", "cut off"],
)
@pytest.mark.parametrize("is_bound", [True, False])
async def test_garbage_is_answered_or_ends_the_connection_and_nothing_else(
    tmp_path: Path, garbage: bytes, told: int, *, is_bound: bool
) -> None:
    async with serving(tmp_path) as (ringback, port), bound_esme(port) as other:
        async with raw_esme(port) as raw:
            if is_bound:
                assert await raw.bind() == names.OK
            raw.writer.write(garbage)
            answer = await raw.read()
            assert answer is not None
            assert answer.command == told
        await other.submitted()
        assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 1


async def test_requests_before_a_bind_and_a_bind_after_a_bind(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, port), raw_esme(port) as raw:
        raw.send(Command.SUBMIT_SM, HELLO)
        refused = await raw.read()
        assert refused is not None
        assert refused.status == names.WRONG_BIND_STATE
        credentials = Bind(system_id="acme", password=PASSWORD)
        # The second one comes while the first is being looked at, the third when it has been taken.
        raw.send(Command.BIND_TRANSCEIVER, credentials, sequence=2)
        raw.send(Command.BIND_RECEIVER, credentials, sequence=3)
        answers = [await raw.read() for _ in range(2)]
        raw.send(Command.BIND_TRANSMITTER, credentials, sequence=4)
        answers.append(await raw.read())
        said = {answer.sequence: answer.status for answer in answers if answer is not None}
        assert said == {2: names.OK, 3: names.ALREADY_BOUND, 4: names.ALREADY_BOUND}


async def test_connections_that_never_bind_are_closed_and_further_ones_at_once(tmp_path: Path) -> None:
    server = {"bind_s": 5.0, "max_connections": 1000}
    async with serving(tmp_path, smpp_server=server) as (_, port):
        many = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(1000)))
        async with raw_esme(port) as one_more:
            assert await one_more.reader.read(1) == b""
        async with asyncio.timeout(60):
            assert set(await asyncio.gather(*(reader.read(1) for reader, _ in many))) == {b""}
        for _, writer in many:
            writer.close()
        async with bound_esme(port) as esme:
            await esme.submitted()


async def test_who_asks_for_more_than_the_window_is_throttled(tmp_path: Path) -> None:
    async with serving(tmp_path, smpp_server={"max_in_hand": 10}) as (ringback, port), raw_esme(port) as raw:
        assert await raw.bind() == names.OK
        for sequence in range(2, 202):
            raw.send(Command.SUBMIT_SM, HELLO, sequence=sequence)
        answers = [await raw.read() for _ in range(200)]
        statuses = [answer.status for answer in answers if answer is not None]
        taken = statuses.count(names.OK)
        assert (set(statuses), len(statuses)) == ({names.OK, names.THROTTLED}, 200)
        assert 10 <= taken < 200
        assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == taken


async def test_who_does_not_read_is_not_heard_and_then_let_go(tmp_path: Path) -> None:
    """A peer that asks and never reads: what waits to be written to it stays bounded, and its silence ends it."""
    server = {"enquire_link_s": 1.0, "response_s": 1.0}
    async with serving(tmp_path, smpp_server=server) as (ringback, port), raw_esme(port) as raw:
        assert await raw.bind() == names.OK
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (listening,) = [each for each in _smpp(ringback).connections if each.is_bound]
        # What the machine itself keeps of what is not read is to be soon full.
        for transport, buffer in ((raw.writer.transport, socket.SO_RCVBUF), (listening._transport, socket.SO_SNDBUF)):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, buffer, 16_384)
        question = encode(Pdu(Command.QUERY_SM, 2, Query(message_id="x" * 60))) * 500
        most, sent = 0, 0
        async with asyncio.timeout(180):
            while not listening.closed.done():
                if raw.writer.transport.get_write_buffer_size() < 1_000_000:
                    raw.writer.write(question)
                    sent += len(question)
                await asyncio.sleep(0.01)
                most = max(most, listening._transport.get_write_buffer_size() if listening._transport else 0)
        assert most < 500_000
        assert sent > 10 * most


def _smpp(ringback: Any) -> Any:
    return next(worker for worker in ringback.platform.supervisor._workers if worker.name == "smpp")


async def test_an_answer_that_never_comes_keeps_what_was_told(tmp_path: Path) -> None:
    async with serving(tmp_path, smpp_server={"response_s": 1.0}) as (ringback, port):
        async with raw_esme(port) as raw:
            assert await raw.bind() == names.OK
            raw.send(Command.SUBMIT_SM, with_receipt(), sequence=2)
            taken, told = await raw.read(), await raw.read()
            assert taken is not None
            assert told is not None
            assert {taken.command, told.command} == {Command.SUBMIT_SM | RESPONSE, Command.DELIVER_SM}
            await ringback.until(
                lambda tx: tx.exec_driver_sql("SELECT count(*) FROM smpp_owed WHERE attempts_made > 0").scalar_one()
            )
        await ringback.platform.store.write(lambda tx: tx.exec_driver_sql("UPDATE smpp_owed SET due_at_us = 0"))
        async with bound_esme(port) as esme:
            await esme.until(lambda: len(esme.told) == 1)


def with_receipt() -> ShortMessage:
    return ShortMessage(source="15005550100", dest=DELIVERED, short_message=b"hello", registered_delivery=1)


async def test_a_listener_that_answers_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as (ringback, port), raw_esme(port) as raw:
        assert await raw.bind() == names.OK
        raw.send(Command.SUBMIT_SM, with_receipt(), sequence=2)
        told = [await raw.read() for _ in range(2)]
        assert {each.command for each in told if each} == {Command.SUBMIT_SM | RESPONSE, Command.DELIVER_SM}
        # That it drains within its bound, serving() sees.
        ringback.platform.supervisor.stop()
        while await raw.read() is not None:
            pass


async def test_a_slow_listener_delays_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path, smpp_server={"window": 2}) as (_, port):
        async with raw_esme(port) as silent, bound_esme(port) as quick:
            assert await silent.bind() == names.OK
            uuids = [await quick.submitted() for _ in range(30)]
            # Those that the silent one has in its window are its own until it lets go of them.
            await quick.until(lambda: len(quick.told) >= len(uuids) - 2)
        assert isinstance(await _after(port, 30 - len(quick.told)), Answer)


async def _after(port: int, missing: int) -> Answer:
    async with bound_esme(port) as esme:
        await esme.until(lambda: len(esme.told) >= missing, timeout_s=60)
        return Answer(names.OK)
