"""An SMSC and an endpoint as processes that may be killed: they write down what they take before they say so.

``python -m tests.fakes.journal smsc PORT FILE`` takes submissions and offers a receipt for each until it is taken, also
those that a killed one owed. ``… endpoint PORT FILE`` takes callbacks. Times in both are of the clock that all
processes of a machine share.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer, Connection
from ringback.carriers.smpp.link import Listener
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import Bind, Body, MessageResp, Pdu, ShortMessage
from ringback.carriers.smpp.session import Timers
from ringback.runtime import SystemClock
from tests.fakes.process import READY_S, Served

RECEIPT_AFTER_S: Final = 0.15
AGAIN_S: Final = 0.3


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was taken: a submission, a receipt, a callback."""

    what: str
    name: str
    """The SMSC's name of a message, or a callback's status."""
    message: str = ""
    """Of a submission its text, of a callback the message's uuid."""
    source: str = ""
    dest: str = ""
    at_s: float = msgspec.field(default_factory=time.monotonic)


class Journal:
    """A file of lines. One that is written survives whoever wrote it, though not the machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0

    def write(self, line: Line) -> None:
        """Append a line, with one write."""
        with self.path.open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(line) + b"\n")

    def news(self) -> Iterator[Line]:
        """Give what has been written since this was asked last."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                self._read += len(raw)
                yield msgspec.json.decode(raw, type=Line)


class JournallingSmsc:
    """Takes everything, and says so when it is written down."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        owed: dict[str, Line] = {}
        last = 0
        for line in journal.news():
            if line.what == "submission":
                owed[line.name] = line
                last = max(last, int(line.name))
            else:
                owed.pop(line.name, None)
        self._numbers = itertools.count(last + 1)
        self._owed = owed
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(
            name="journal", clock=SystemClock(), authenticate=self._authenticate, handler=self._asked,
            timers=Timers(response_s=10), window=100,
        )  # fmt: skip

    async def serve(self, port: int) -> None:
        """Serve until killed."""
        await self._listener.open("127.0.0.1", port)
        for line in self._owed.values():
            self._later(line)
        ready()
        await self._listener.run()

    async def _authenticate(self, _: Bind) -> int:
        return names.OK

    async def _asked(self, _: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        body = pdu.body
        assert isinstance(body, ShortMessage)
        line = Line(
            what="submission", name=str(next(self._numbers)), message=body.short_message.decode(),
            source=body.source, dest=body.dest,
        )  # fmt: skip
        self._journal.write(line)
        self._later(line)
        return names.OK, MessageResp(message_id=line.name)

    def _later(self, line: Line) -> None:
        task = asyncio.create_task(self._tell(line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, line: Line) -> None:
        text = (
            f"id:{line.name} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:"
        )
        receipt = ShortMessage(source=line.dest, dest=line.source, esm_class=4, short_message=text.encode())
        pause_s = RECEIPT_AFTER_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = AGAIN_S
            for connection in self._listener.connections:
                if connection.is_bound:
                    outcome = await connection.request(Command.DELIVER_SM, receipt)
                    if isinstance(outcome, Answer) and outcome.status == names.OK:
                        self._journal.write(Line(what="receipt", name=line.name))
                        return
                    break


async def serve_endpoint(journal: Journal, port: int) -> None:
    """Take callbacks until killed."""

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        said = dict(parse_qsl((await request.read()).decode()))
        journal.write(Line(what="callback", name=said["Status"], message=said["MessageUUID"]))
        return web.Response()

    runner = web.ServerRunner(web.Server(take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    ready()
    await asyncio.Event().wait()


def ready() -> None:
    """Tell whoever started this."""
    sys.stderr.write("ready\n")
    sys.stderr.flush()


@asynccontextmanager
async def journalling(kind: str, port: int, file: Path) -> AsyncIterator[Served]:
    """Run one, on a port of the caller's; what it says besides goes to a file beside its journal."""
    process = await asyncio.create_subprocess_exec(
        "setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.fakes.journal", kind, str(port), str(file),
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    drain: asyncio.Task[None] | None = None
    try:
        assert process.stderr is not None
        async with asyncio.timeout(READY_S):
            while (line := await process.stderr.readline()) != b"ready\n":
                assert line, f"the {kind} ended before it was ready"
        drain = asyncio.create_task(_drain(process.stderr))
        yield Served(process, "", {}, [])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if drain is not None:
            await drain


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


def main() -> None:
    """Run one."""
    kind, port, file = sys.argv[1:]
    journal = Journal(Path(file))
    asyncio.run(JournallingSmsc(journal).serve(int(port)) if kind == "smsc" else serve_endpoint(journal, int(port)))


if __name__ == "__main__":
    main()
