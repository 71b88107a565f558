"""A scripted SMSC: takes binds, answers by a script, sends receipts and messages from phones until they are taken."""

import asyncio
import hmac
import itertools
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from ringback.carriers.simulator.script import BUILT_IN
from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer, Connection
from ringback.carriers.smpp.inbound import text_of
from ringback.carriers.smpp.link import Listener
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import Bind, Body, DataSm, Pdu, ShortMessage
from ringback.carriers.smpp.session import State, Timers
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.carriers.smsc.fates import Fates
from ringback.carriers.smsc.script import InboundRule, ReceiptRule, Rule, Rules, Script
from ringback.carriers.smsc.told import named, wanted, written
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.smsc")

GATHER_S: Final = 0.2
"""After so long answers to be reordered go as they are."""
AGAIN_S: Final = 0.5
"""After so long a receipt that was not taken is offered again."""
_LISTENING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})


class ScriptedSmsc:
    """An SMSC for tests and for trying out. A ``runtime.Worker`` once ``open`` has been awaited."""

    name = "smsc"

    def __init__(
        self,
        script: Script,
        *,
        clock: Clock,
        timers: Timers = Timers(),  # noqa: B008 - a frozen value
        fates: Fates | None = None,
    ) -> None:
        """``fates`` decides on messages that no rule of the script fits, in place of ``script.simulator``."""
        self.submitted: list[ShortMessage] = []
        """What was taken, in order; kept as long as ``keeps`` says."""
        self.keeps = 10_000
        self.counts: Counter[str] = Counter()
        self._script = script
        if fates is None and script.simulator:
            fates = Fates(BUILT_IN, seed=script.seed, speed=script.speed)
        self._rules = Rules(script, fates.decide) if fates else Rules(script)
        self._clock = clock
        self._numbers = itertools.count(script.first_id)
        self._gathered: dict[int, list[asyncio.Future[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.listener = Listener(
            name="ringback-smsc", clock=clock, authenticate=self._authenticate, handler=self._asked, timers=timers,
            window=1000,
        )  # fmt: skip

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises ``OSError``."""
        return await self.listener.open(host, port)

    async def run(self) -> None:
        """Serve until stopped."""
        await self.listener.run()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Unbind from everybody."""
        self.listener.stop()

    @property
    def pending(self) -> int:
        """Receipts and messages from phones that are still to be taken."""
        return len(self._tasks)

    async def _authenticate(self, bind: Bind) -> int:
        script = self._script
        self.counts["binds"] += 1
        if script.system_id and bind.system_id != script.system_id:
            return names.INVALID_SYSTEM_ID
        if script.password and not hmac.compare_digest(bind.password.encode(), script.password.encode()):
            return names.INVALID_PASSWORD
        for inbound in script.inbound:
            self._later(self._bring(inbound))
        if script.unbind_after_ms:
            asyncio.get_running_loop().call_later(script.unbind_after_ms / 1000, self._unbind_all)
        return names.OK

    def _unbind_all(self) -> None:
        for connection in self.listener.connections:
            connection.unbind()

    async def _asked(self, connection: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        body = pdu.body
        if pdu.command not in {Command.SUBMIT_SM, Command.DATA_SM} or not isinstance(body, ShortMessage | DataSm):
            return names.INVALID_COMMAND, None
        text, _ = text_of(body, "gsm")
        rule = self._rules.decide(body, text, now_us=self._clock.now_us())
        self.counts[rule.answer] += 1
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule.answer not in {"ok", "error"}:
            return await _misbehave(connection, pdu, rule)
        if rule.answer == "error":
            await self._in_turn(rule)
            return rule.status, None
        return await self._take(connection, body, rule)

    async def _take(self, connection: Connection, body: ShortMessage | DataSm, rule: Rule) -> tuple[int, Body | None]:
        number = next(self._numbers)
        if isinstance(body, ShortMessage) and len(self.submitted) < self.keeps:
            self.submitted.append(body)
        for receipt in wanted(rule.receipts, body):
            told = self._tell(receipt, body, number, connection)
            if receipt.early:
                await told
            else:
                self._later(told)
        await self._in_turn(rule)
        return names.OK, named(number, rule, self._script)

    async def _in_turn(self, rule: Rule) -> None:
        """Wait until as many answers of a rule have gathered as it wants; the last goes first."""
        if rule.reorder == 1:
            return
        gathered = self._gathered.setdefault(id(rule), [])
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gathered.append(turn)
        if len(gathered) >= rule.reorder:
            _let_go(gathered)
        elif len(gathered) == 1:
            asyncio.get_running_loop().call_later(GATHER_S, _let_go, gathered)
        await turn

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, rule: ReceiptRule, body: ShortMessage | DataSm, number: int, submitter: Connection) -> None:
        if not rule.early:
            await asyncio.sleep(rule.after_ms / 1000)
        receipt = written(rule, body, number, self._script)
        for _ in range(rule.times):
            await self._deliver(receipt, "receipts", submitter)

    async def _bring(self, rule: InboundRule) -> None:
        await asyncio.sleep(rule.after_ms / 1000)
        shape = Shape(concatenation=rule.concatenation)
        for part in shaped(uuid=rule.text, src=rule.source, dst=rule.dest, text=rule.text, shape=shape):
            await self._deliver(part, "inbound", None)

    async def _deliver(self, body: ShortMessage | DataSm, what: str, first: Connection | None) -> None:
        """Offer something until it is taken, to whoever submitted it or, where that is gone, to anybody who listens."""
        connection = first
        while True:
            if connection is None or connection.session.state not in _LISTENING:
                listening = (each for each in self.listener.connections if each.session.state in _LISTENING)
                connection = next(listening, None)
            if connection is not None:
                command = Command.DATA_SM if isinstance(body, DataSm) else Command.DELIVER_SM
                outcome = await connection.request(command, body)
                if isinstance(outcome, Answer) and outcome.status == names.OK:
                    self.counts[what] += 1
                    return
                self.counts[f"{what} not taken"] += 1
            await asyncio.sleep(AGAIN_S)


def _let_go(gathered: list[asyncio.Future[None]]) -> None:
    for turn in reversed(gathered):
        if not turn.done():
            turn.set_result(None)
    gathered.clear()


async def _misbehave(connection: Connection, pdu: Pdu, rule: Rule) -> tuple[int, Body | None]:
    if rule.answer == "unbind":
        # After this answer.
        asyncio.get_running_loop().call_soon(connection.unbind)
        return names.TEMPORARY_ERROR, None
    if rule.answer == "close":
        connection.abort("the script closes the connection")
    if rule.answer == "garbage":
        connection.write_raw(b"\x00\x00\x00\x12" + (pdu.command | RESPONSE).to_bytes(4, "big") + bytes(4)
                             + pdu.sequence.to_bytes(4, "big") + b"no")  # fmt: skip
    # The answer never comes: this one is waited for until the connection ends.
    await asyncio.shield(connection.closed)
    return names.SYSTEM_ERROR, None
