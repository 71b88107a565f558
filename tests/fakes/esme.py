"""Customers who bind to a platform: logins, and a client of ours that keeps what it is told."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer, Connection, Outcome
from ringback.carriers.smpp.link import _COMMANDS, BindType
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import (
    Bind,
    Body,
    Frame,
    Framer,
    MessageResp,
    Nothing,
    Pdu,
    ShortMessage,
    decode,
    encode,
)
from ringback.carriers.smpp.session import Session, Timers
from ringback.carriers.smpp.window import Window
from ringback.esme.logins import made
from ringback.runtime import SystemClock
from ringback.store import smpp_logins
from ringback.store.port import Store
from ringback.wiring.chance import new_id

PASSWORD = "s3cret"


async def add_login(store: Store, account_id: str, system_id: str = "acme", **more: Any) -> smpp_logins.Login:
    """Give an account a login."""
    login = made(
        system_id, account_id, PASSWORD, now_us=SystemClock().now_us(), new_id=new_id, salt=os.urandom(16), **more
    )
    await store.write(lambda tx: smpp_logins.add(tx, login))
    return login


class Esme:
    """One connection of a customer."""

    def __init__(self) -> None:
        self.told: list[ShortMessage] = []
        """What it has taken."""
        self.offered = 0
        self.answers: Callable[[ShortMessage], int] = lambda _: names.OK
        """Status of the answer to each thing it is told."""
        self.news = asyncio.Event()
        self.connection: Connection

    async def take(self, _: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        """Take what the server sends."""
        assert isinstance(pdu.body, ShortMessage)
        self.offered += 1
        status = self.answers(pdu.body)
        if status == names.OK:
            self.told.append(pdu.body)
        self.news.set()
        return status, MessageResp() if status == names.OK else None

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
        """Wait until ``condition()`` is true, looking after each thing that it is told."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self.news.wait()
                self.news.clear()

    async def submit(self, text: str | bytes = b"hello", **more: Any) -> Outcome:
        """Submit a message; its answer."""
        raw = text.encode("ascii") if isinstance(text, str) else text
        fields = {"source": "15005550100", "dest": "15005550001", "registered_delivery": 1, **more}
        return await self.connection.request(Command.SUBMIT_SM, ShortMessage(short_message=raw, **fields))

    async def submitted(self, text: str | bytes = b"hello", **more: Any) -> str:
        """Submit a message that is taken; its id."""
        outcome = await self.submit(text, **more)
        assert isinstance(outcome, Answer), outcome
        assert outcome.status == names.OK, names.status_name(outcome.status)
        return outcome.message_id


async def connect(port: int, *, window: int = 100, timers: Timers | None = None) -> Esme:
    """Open a connection that is not bound yet."""
    esme, clock = Esme(), SystemClock()
    session = Session("esme", timers or Timers(response_s=60, bind_s=60), now_us=clock.now_us())
    _, esme.connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(session, clock=clock, handler=esme.take, window=Window(window)), "127.0.0.1", port
    )
    return esme


async def bind(
    esme: Esme, *, kind: BindType = "transceiver", system_id: str = "acme", password: str = PASSWORD
) -> Outcome:
    """Bind."""
    return await esme.connection.bind(_COMMANDS[kind], Bind(system_id=system_id, password=password))


@asynccontextmanager
async def bound_esme(port: int, *, window: int = 100, **login: Any) -> AsyncIterator[Esme]:
    """Give a customer who is bound; unbinds at the end."""
    esme = await connect(port, window=window)
    outcome = await bind(esme, **login)
    assert isinstance(outcome, Answer), outcome
    assert outcome.status == names.OK, names.status_name(outcome.status)
    try:
        yield esme
    finally:
        if not esme.connection.closed.done():
            esme.connection.unbind()
            async with asyncio.timeout(60):
                await asyncio.shield(esme.connection.closed)


class RawEsme:
    """A customer who writes and reads PDUs, or whatever else, as the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._framer = Framer()
        self._frames: list[Frame] = []

    def send(self, command: int, body: Body = Nothing(), *, sequence: int = 1) -> None:  # noqa: B008 - frozen
        """Write one PDU."""
        self.writer.write(encode(Pdu(command, sequence, body)))

    async def read(self) -> Pdu | None:
        """Read one PDU; ``None`` when the connection has ended."""
        async with asyncio.timeout(60):
            while not self._frames:
                data = await self.reader.read(65_536)
                if not data:
                    return None
                self._frames += self._framer.feed(data)
        return decode(self._frames.pop(0))

    async def bind(self) -> int:
        """Bind as a transceiver; the status of the answer."""
        self.send(Command.BIND_TRANSCEIVER, Bind(system_id="acme", password=PASSWORD))
        answer = await self.read()
        assert answer is not None
        return answer.status


@asynccontextmanager
async def raw_esme(port: int) -> AsyncIterator[RawEsme]:
    """Open a connection for a test to write to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawEsme(reader, writer)
    finally:
        writer.transport.abort()


def receipt(body: ShortMessage) -> dict[str, str]:
    """Read the text of a receipt."""
    words = body.short_message.decode().replace("submit date", "submitted").replace("done date", "done").split()
    return dict(word.split(":", 1) for word in words)


def states(esme: Esme) -> dict[str, list[str]]:
    """Return by message id what receipts said, in order."""
    found: dict[str, list[str]] = {}
    for body in esme.told:
        if body.esm_class:
            said = receipt(body)
            found.setdefault(said["id"], []).append(said["stat"])
    return found
