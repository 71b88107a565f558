"""A scripted SMSC: takes binds, answers by a script, sends receipts and messages from phones until they are taken."""

import asyncio
import hmac
import itertools
from collections import Counter
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from ringback.carriers.smpp import coding, names
from ringback.carriers.smpp.connection import Answer, Connection
from ringback.carriers.smpp.link import Listener
from ringback.carriers.smpp.names import RESPONSE, Command
from ringback.carriers.smpp.pdu import Bind, Body, DataSm, MessageResp, Pdu, ShortMessage
from ringback.carriers.smpp.receipts import IS_RECEIPT
from ringback.carriers.smpp.session import State, Timers
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.carriers.smsc.script import InboundRule, ReceiptRule, Rule, Rules, Script
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.smsc")

AGAIN_S: Final = 0.5
"""After so long a receipt that was not taken is offered again."""
_STATES: Final = {"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7,
                  "REJECTD": 8}  # fmt: skip


_LISTENING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})


class ScriptedSmsc:
    """An SMSC for tests and for trying out. A ``runtime.Worker`` once ``open`` has been awaited."""

    name = "smsc"

    def __init__(self, script: Script, *, clock: Clock, timers: Timers = Timers()) -> None:  # noqa: B008 - frozen
        self.submitted: list[ShortMessage] = []
        """What was taken, in order; kept as long as ``keeps`` says."""
        self.keeps = 10_000
        self.counts: Counter[str] = Counter()
        self._script = script
        self._rules = Rules(script)
        self._clock = clock
        self._numbers = itertools.count(1)
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
        return names.OK

    async def _asked(self, connection: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        body = pdu.body
        if pdu.command not in {Command.SUBMIT_SM, Command.DATA_SM} or not isinstance(body, ShortMessage | DataSm):
            return names.INVALID_COMMAND, None
        data = body.short_message if isinstance(body, ShortMessage) else b""
        rule = self._rules.decide(body.source, body.dest, coding.decode(data, body.data_coding, "gsm"))
        self.counts[rule.answer] += 1
        if rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        return await self._answer(connection, pdu, body, rule)

    async def _answer(
        self, connection: Connection, pdu: Pdu, body: ShortMessage | DataSm, rule: Rule
    ) -> tuple[int, Body | None]:
        if rule.answer == "close":
            connection.abort("the script closes the connection")
        if rule.answer == "garbage":
            connection.write_raw(b"\x00\x00\x00\x12" + (pdu.command | RESPONSE).to_bytes(4, "big") + bytes(4)
                                 + pdu.sequence.to_bytes(4, "big") + b"no")  # fmt: skip
        if rule.answer in {"close", "garbage", "drop"}:
            # The answer never comes: this one is waited for until the connection ends.
            await asyncio.shield(connection.closed)
            return names.SYSTEM_ERROR, None
        if rule.answer == "error":
            return rule.status, None
        number = next(self._numbers)
        if isinstance(body, ShortMessage) and len(self.submitted) < self.keeps:
            self.submitted.append(body)
        if body.registered_delivery & 0x03:
            for receipt in rule.receipts:
                told = self._tell(receipt, body, number, connection)
                if receipt.early:
                    await told
                else:
                    self._later(told)
        return names.OK, MessageResp(message_id=self._named(number))

    def _named(self, number: int) -> str:
        return f"{number:x}" if self._script.ids == "hex" else str(number)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, rule: ReceiptRule, body: ShortMessage | DataSm, number: int, submitter: Connection) -> None:
        if not rule.early:
            await asyncio.sleep(rule.after_ms / 1000)
        name = f"{number:010d}" if self._script.ids == "padded" else str(number)
        delivered = int(rule.state == "DELIVRD")
        text = (
            f"id:{name} sub:001 dlvrd:00{delivered} submit date:2601010000 done date:2601010000 "
            f"stat:{rule.state} err:{rule.error} text:"
        )
        tlvs: tuple[tuple[int, bytes], ...] = ()
        if rule.form != "text":
            tlvs = (
                (names.RECEIPTED_MESSAGE_ID, name.encode() + b"\0"),
                (names.MESSAGE_STATE, bytes((_STATES.get(rule.state, 7),))),
                (names.NETWORK_ERROR_CODE, b"\x03" + int(rule.error or "0").to_bytes(2, "big")),
            )
        receipt = ShortMessage(
            source_ton=body.dest_ton, source_npi=body.dest_npi, source=body.dest,
            dest_ton=body.source_ton, dest_npi=body.source_npi, dest=body.source,
            esm_class=IS_RECEIPT, short_message=b"" if rule.form == "tlv" else text.encode(), tlvs=tlvs,
        )  # fmt: skip
        for _ in range(rule.times):
            await self._deliver(receipt, "receipts", submitter)

    async def _bring(self, rule: InboundRule) -> None:
        await asyncio.sleep(rule.after_ms / 1000)
        for part in shaped(uuid=rule.text, src=rule.source, dst=rule.dest, text=rule.text, shape=Shape()):
            await self._deliver(part, "inbound", None)

    async def _deliver(self, body: ShortMessage, what: str, first: Connection | None) -> None:
        """Offer something until it is taken, to whoever submitted it or, where that is gone, to anybody who listens."""
        connection = first
        while True:
            if connection is None or connection.session.state not in _LISTENING:
                listening = (each for each in self.listener.connections if each.session.state in _LISTENING)
                connection = next(listening, None)
            if connection is not None:
                outcome = await connection.request(Command.DELIVER_SM, body)
                if isinstance(outcome, Answer) and outcome.status == names.OK:
                    self.counts[what] += 1
                    return
                self.counts[f"{what} not taken"] += 1
            await asyncio.sleep(AGAIN_S)
