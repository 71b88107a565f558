"""Processes killed at random moments while MMS go out, and inbound messages come in and are answered with XML.

Every inbound message that the carrier was told is taken must reach its application, and what the application answers
must be sent: once, however often the application was asked. MMS must have every status delivered as texts do.
"""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web

from ringback.runtime import SystemClock
from ringback.store import inbound, postgres, sqlite
from ringback.store.inbound import Request
from ringback.store.port import Store
from ringback.wiring.chance import new_id
from tests.data.media import PNG
from tests.fakes.numbers import OURS, own_number
from tests.fakes.process import Served
from tests.integration.crash.test_crash import (
    AT_ONCE,
    BUSY_S,
    KILLS,
    PATIENCE_S,
    Station,
    Traffic,
    _unfinished,
    at_work,
    server,  # noqa: F401 - a fixture
    stop_sending,
)

PHONE = "15005550001"
"""The simulated carrier delivers to it."""
REPLY = f'<Response><Message src="{OURS}" dst="{PHONE}">hi</Message></Response>'
PAUSE_S = 0.05
KILLS_HERE = max(AT_ONCE, KILLS // 5)
"""Fewer than of texts alone: an inbound message that was in hand at a kill waits for half a minute."""


class Conversation(Traffic):
    """Texts and MMS by turns, and what comes in."""

    def __init__(self, station: Station, url: str) -> None:
        super().__init__(station, url)
        self.media_id: str | None = None
        self.asked: Counter[str] = Counter()
        self._turn = 0

    def fields(self) -> dict[str, object]:
        """Make every second message an MMS, once there is a picture."""
        self._turn += 1
        return {"type": "mms", "media_ids": [self.media_id]} if self.media_id and self._turn % 2 else {}

    async def arrive(self, request: web.Request) -> web.StreamResponse:
        """Answer what came in, and note what is told of messages that went out."""
        if request.path != "/in":
            return await super().arrive(request)
        said = dict(parse_qsl((await request.read()).decode()))
        self.asked[said["MessageUUID"]] += 1
        return web.Response(text=REPLY, content_type="application/xml")

    async def bring(self, store: Store) -> None:
        """Have one inbound message after the other brought, until cancelled."""
        clock = SystemClock()
        while True:
            now_us = clock.now_us()
            wanted = Request(
                id=new_id(now_us), src=PHONE, dst=OURS, type="sms", text="Hello", media_urls=(), requested_at_us=now_us
            )
            await store.write(lambda tx, wanted=wanted: inbound.request(tx, wanted))  # type: ignore[misc]
            await self.something_arrives(within_s=PAUSE_S)


async def upload(served: Served) -> str:
    """Upload a picture; gives its id."""
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="dot.png", content_type="image/png")
    auth = aiohttp.encode_basic_auth(served.account["auth_id"], served.account["auth_token"])
    url = f"{served.url}/v1/Account/{served.account['auth_id']}/Media/"
    async with aiohttp.ClientSession() as http, http.post(url, data=form, headers={"Authorization": auth}) as response:
        assert response.status < 300
        return str((await response.json())["objects"][0]["media_id"])


def _open_requests(tx: sa.Connection) -> int:
    statement = "SELECT count(*) FROM inbound_requests WHERE due_at_us IS NOT NULL"
    return int(tx.execute(sa.text(statement)).scalar_one()) + _unfinished(tx)


def _told(tx: sa.Connection) -> tuple[set[str], int, int, int]:
    """Return the inbound messages, those that were refused, how many replies there are, and how many MMS."""

    def ask(statement: str) -> int:
        return int(tx.execute(sa.text(statement)).scalar_one())

    came = tx.execute(sa.text("SELECT uuid FROM messages WHERE direction = 'inbound'")).scalars()
    return (
        set(came),
        ask("SELECT count(*) FROM inbound_requests WHERE message_uuid IS NULL"),
        ask(f"SELECT count(*) FROM messages WHERE direction = 'outbound' AND src = '{OURS}'"),  # noqa: S608 - ours
        ask("SELECT count(*) FROM messages WHERE type = 'mms'"),
    )


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_conversations_survive_kills(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, str] = {}
    if driver == "postgres":
        running = request.getfixturevalue("server")
        settings = {"RINGBACK_STORE__URL": running.url(running.create_database())}
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_S)
    dice, kills = random.Random(20261124), 0
    async with at_work(tmp_path, settings, Conversation) as (stations, traffic, senders):
        assert stations[0].now is not None
        await own_number(store, stations[0].now.account["auth_id"], message_url=f"{traffic.url}/in")
        traffic.media_id = await upload(stations[0].now)
        senders.append(asyncio.create_task(traffic.bring(store)))
        while kills < KILLS_HERE:
            goal = len(traffic.accepted) + dice.randint(3, 25)
            async with asyncio.timeout(PATIENCE_S):
                while len(traffic.accepted) < goal:
                    await traffic.something_arrives(within_s=5)
            await asyncio.gather(*(victim.kill() for victim in dice.sample(stations, AT_ONCE)))
            kills += AT_ONCE
        await stop_sending(senders)
        await traffic.until_complete()
        # A request for an inbound message is leased for half a minute.
        async with asyncio.timeout(PATIENCE_S):
            while await store.read(_open_requests):
                await traffic.something_arrives(within_s=0.2)
    came, refused, replies, mms = await store.read(_told)
    await store.close()
    assert (came, refused) == (set(traffic.asked), 0)
    assert replies == len(came) > 0
    assert mms > 0
    told = f"{kills} kills: {len(came)} inbound messages, {traffic.asked.total()} requests to their application, "
    with capsys.disabled():
        sys.stderr.write(f"\n{driver}: {told}{replies} replies, {mms} MMS, 0 lost\n")
