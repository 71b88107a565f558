"""Processes killed at random moments while a customer submits over SMPP and takes receipts.

Every message, and every part of one, that was answered with ``ESME_ROK`` must have its receipt in the end, or wait on
disk for the parts that its sender never got an answer for. A receipt may come twice, where its answer was lost.
"""

import asyncio
import random
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import ShortMessage
from ringback.carriers.smpp.session import Timers
from ringback.carriers.smpp.shape import Shape, shaped
from ringback.store import postgres, sqlite
from ringback.store.port import Store
from tests.fakes.esme import PASSWORD, Esme, bind, connect, receipt
from tests.fakes.ports import free_port
from tests.fakes.process import create_account, run, served
from tests.integration.crash.test_crash import BUSY_S, KILLS, PATIENCE_S, SETTINGS, Station, server  # noqa: F401 - a fixture

KILLS_HERE = max(4, KILLS // 10)
CREW = (("--role", "web"), ("--role", "submit"))
CUSTOMERS = 3
LONG = "One message in three parts, which come one after the other whatever happens. " * 5


class Customer:
    """Submits one message after the other, now and then one in parts, over binds that it makes anew when they end."""

    def __init__(self, port: int, number: int, acknowledged: set[str], told: Counter[str], news: asyncio.Event) -> None:
        self._port, self._number = port, number
        self._acknowledged, self._told, self._news = acknowledged, told, news
        self._is_done = False
        self.connection_made = 0

    def finish(self) -> None:
        """Submit no more, and go on taking receipts."""
        self._is_done = True

    async def run(self) -> None:
        """Bind, submit, and bind again, until cancelled."""
        queue: list[ShortMessage] = []
        turn = 0
        while True:
            esme = await self._bound()
            if esme is None:
                await asyncio.sleep(0.1)
                continue
            while not esme.connection.closed.done():
                if self._is_done and not queue:
                    await asyncio.wait([esme.connection.closed])
                    break
                if not queue:
                    turn += 1
                    queue = self._message(turn)
                outcome = await esme.connection.request(Command.SUBMIT_SM, queue[0])
                if isinstance(outcome, Answer):
                    assert outcome.status == names.OK, names.status_name(outcome.status)
                    self._acknowledged.add(outcome.message_id)
                    self._news.set()
                    queue.pop(0)
                # Of whatever else nobody knows what became: it is submitted again.

    def _message(self, turn: int) -> list[ShortMessage]:
        text = LONG if turn % 4 == 0 else f"message {turn}"
        name = f"{self._number} {turn}"
        shape = Shape(concatenation="sar")
        return shaped(uuid=name, src=f"1500555010{self._number}", dst="15005550001", text=text, shape=shape)

    async def _bound(self) -> Esme | None:
        try:
            esme = await connect(self._port, timers=Timers(response_s=5, enquire_link_s=5))
        except OSError:
            return None
        taken = esme.take

        async def take(connection: object, pdu: object) -> object:
            answer = await taken(connection, pdu)  # type: ignore[arg-type]
            self._told[receipt(esme.told[-1])["id"]] += 1
            self._news.set()
            return answer

        esme.connection._handler = take  # type: ignore[assignment]
        outcome = await bind(esme)
        return esme if isinstance(outcome, Answer) and outcome.status == names.OK else None


def _waiting_parts(tx: sa.Connection) -> set[str]:
    rows = tx.execute(sa.text("SELECT message_uuid, number FROM smpp_parts"))
    return {f"{row.message_uuid}-{row.number}" for row in rows}


def _unfinished(tx: sa.Connection) -> int:
    return int(tx.execute(sa.text("SELECT count(*) FROM smpp_owed")).scalar_one()) + int(
        tx.execute(sa.text("SELECT count(*) FROM messages WHERE status <> 'delivered'")).scalar_one()
    )


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_nothing_that_a_customer_was_told_is_lost(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    settings = {
        **SETTINGS,
        "RINGBACK_SMPP_SERVER__PORT": str(port),
        "RINGBACK_SMPP_SERVER__RESPONSE_S": "2",
        # No submit is to be refused because another process of a busy machine holds the database.
        "RINGBACK_STORE__BUSY_TIMEOUT_S": str(BUSY_S),
    }
    if driver == "postgres":
        running = request.getfixturevalue("server")
        settings["RINGBACK_STORE__URL"] = running.url(running.create_database())
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    account = create_account(tmp_path, **settings)
    made = run(
        "account", "smpp", "create", account["auth_id"], "acme", "--password", PASSWORD, "--data-dir", str(tmp_path),
        **settings,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    acknowledged: set[str] = set()
    told: Counter[str] = Counter()
    news, dice, kills = asyncio.Event(), random.Random(20261129), 0
    stations = [Station(partial(served, tmp_path, account, *flags, **settings)) for flags in CREW]
    crew = [asyncio.create_task(station.keep_running()) for station in stations]
    await asyncio.gather(*(station.up.wait() for station in stations))
    customers = [Customer(port, number, acknowledged, told, news) for number in range(CUSTOMERS)]
    at_work = [asyncio.create_task(customer.run()) for customer in customers]
    try:
        while kills < KILLS_HERE:
            goal = len(acknowledged) + dice.randint(5, 40)
            async with asyncio.timeout(PATIENCE_S):
                while len(acknowledged) < goal:
                    await _something(news)
            victims = dice.sample(stations, dice.randint(1, len(stations)))
            await asyncio.gather(*(victim.kill() for victim in victims))
            kills += len(victims)
        for customer in customers:
            customer.finish()
        async with asyncio.timeout(PATIENCE_S):
            while await store.read(_unfinished) or acknowledged - set(told) - await store.read(_waiting_parts):
                await _something(news)
    finally:
        for task in (*at_work, *crew):
            task.cancel()
        ended = await asyncio.gather(*at_work, *crew, return_exceptions=True)
        waiting = await store.read(_waiting_parts)
        await store.close()
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
    lost = acknowledged - set(told) - waiting
    assert lost == set()
    twice = sum(times - 1 for times in told.values())
    with capsys.disabled():
        sys.stderr.write(
            f"\n{driver}, customers over SMPP: {kills} kills: {len(acknowledged)} submits acknowledged, "
            f"{sum(told.values())} receipts, {twice} twice, {len(waiting)} parts wait for others, 0 lost\n"
        )


async def _something(news: asyncio.Event) -> None:
    """Wait for the next answer or receipt, for a moment at most."""
    news.clear()
    try:
        async with asyncio.timeout(0.5):
            await news.wait()
    except TimeoutError:
        return
