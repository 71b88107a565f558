"""Processes killed at random moments while messages go out through an account of another Ringback, which calls back.

The one above lives. It calls back until it is answered 200, and then no more; nobody asks it what became of a message.
So a receipt that was answered and lost would leave its message ``sent`` for ever, and a message from a phone that was
answered and lost would never reach its application.
"""

import asyncio
import itertools
import random
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from aiohttp import web

from ringback.runtime import SystemClock
from ringback.store import inbound, postgres, sqlite
from ringback.store.inbound import Request
from ringback.store.port import Store
from ringback.wiring.chance import new_id
from tests.fakes.numbers import OURS, own_number
from tests.fakes.process import create_account, served
from tests.fakes.upstream import nowhere
from tests.integration.crash.test_crash import (
    AT_ONCE,
    BUSY_S,
    KILLS,
    PATIENCE_S,
    Station,
    Traffic,
    _unfinished,
    account_for,
    at_work,
    check_database,
    server,  # noqa: F401 - a fixture
    stop_sending,
)

KILLS_HERE = max(AT_ONCE, KILLS // 4)
PHONE = "15005550001"
PATIENT = {
    "RINGBACK_SIMULATOR__SPEED": "20",
    "RINGBACK_DELIVERY__RETRY_DELAYS_S": ",".join(["1"] * 60),
    "RINGBACK_DELIVERY__DEADLINE_S": "3",
    "RINGBACK_DELIVERY__PARK_AFTER_FAILURES": "1000000",
}


class BothWays(Traffic):
    """Messages out, and messages from phones."""

    def __init__(self, station: Station, url: str) -> None:
        super().__init__(station, url)
        self.came: set[str] = set()

    async def arrive(self, request: web.Request) -> web.StreamResponse:
        """Note a callback, or what came in."""
        if request.path != "/in":
            return await super().arrive(request)
        self.came.add(dict(parse_qsl((await request.read()).decode()))["Text"])
        return web.Response()

    async def bring(self, upstream: Store) -> None:
        """Have the one above bring a message for every fourth that goes out, until cancelled."""
        clock = SystemClock()
        for number in itertools.count(1):
            while number * 4 > len(self.accepted):
                await self.something_arrives(within_s=1)
            now_us = clock.now_us()
            wanted = Request(
                id=new_id(now_us), src=PHONE, dst=OURS, type="sms", text=f"Hello {number}", media_urls=(),
                requested_at_us=now_us,
            )  # fmt: skip
            await upstream.write(lambda tx, wanted=wanted: inbound.request(tx, wanted))  # type: ignore[misc]


def _still_to_be_told(tx: sa.Connection) -> int:
    statements = (
        "SELECT count(*) FROM inbound_requests WHERE due_at_us IS NOT NULL",
        "SELECT count(*) FROM callback_queue",
        "SELECT count(*) FROM messages WHERE status NOT IN ('delivered', 'undelivered')",
    )
    return sum(int(tx.execute(sa.text(statement)).scalar_one()) for statement in statements)


def _inbound(tx: sa.Connection) -> list[tuple[str, str]]:
    found = tx.execute(sa.text("SELECT carrier_ref, text FROM messages WHERE direction = 'inbound'"))
    return [(row.carrier_ref, row.text) for row in found]


def _taken(tx: sa.Connection) -> list[tuple[str, str]]:
    """Messages from phones that were answered 200."""
    statement = "SELECT uuid, text FROM messages WHERE direction = 'inbound' AND status = 'delivered'"
    return [(f"mo:{row.uuid}", row.text) for row in tx.execute(sa.text(statement))]


@pytest.mark.parametrize("driver", ["sqlite", "postgres"])
async def test_nothing_is_lost_between_two_platforms(
    tmp_path: Path, driver: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, str] = {}
    directory = tmp_path / "ours"
    if driver == "postgres":
        below = request.getfixturevalue("server")
        settings = {"RINGBACK_STORE__URL": below.url(below.create_database())}
        store: Store = postgres.open_store(settings["RINGBACK_STORE__URL"], busy_timeout_s=BUSY_S)
    else:
        store = sqlite.open_store(directory, busy_timeout_s=BUSY_S)
    public_url = nowhere()
    web_flags = ("--port", str(urlsplit(public_url).port))
    dice, kills = random.Random(20261129), 0
    above = tmp_path / "upstream"
    upstream = sqlite.open_store(above, busy_timeout_s=BUSY_S)
    account = create_account(above)
    async with served(above, account, **PATIENT) as station:
        settings |= {
            "RINGBACK_MESSAGING__SUBMIT_LEASE_S": "16",
            "RINGBACK_PLIVO__AUTH_ID": account["auth_id"],
            "RINGBACK_PLIVO__AUTH_TOKEN": account["auth_token"],
            "RINGBACK_PLIVO__BASE_URL": station.url,
            "RINGBACK_PLIVO__PUBLIC_URL": public_url,
            "RINGBACK_PLIVO__POLL_PER_S": "0",
            "RINGBACK_PLIVO__DEADLINE_S": "5",
        }
        async with at_work(directory, settings, BothWays, web_flags) as (stations, traffic, senders):
            assert stations[0].now is not None
            hook = f"{public_url}/hooks/carriers/plivo/sms_inbound"
            await own_number(upstream, account["auth_id"], message_url=hook)
            ours = stations[0].now.account["auth_id"]
            await own_number(store, ours, message_url=f"{traffic.url}/in")
            senders.append(asyncio.create_task(traffic.bring(upstream)))
            while kills < KILLS_HERE:
                goal = len(traffic.accepted) + dice.randint(3, 25)
                async with asyncio.timeout(PATIENCE_S):
                    while len(traffic.accepted) < goal:
                        await traffic.something_arrives(within_s=5)
                await asyncio.gather(*(victim.kill() for victim in dice.sample(stations, AT_ONCE)))
                kills += AT_ONCE
            await stop_sending(senders)
            await traffic.until_complete()
            async with asyncio.timeout(PATIENCE_S):
                while await upstream.read(_still_to_be_told) or await store.read(_unfinished):
                    await traffic.something_arrives(within_s=0.2)
            duplicates = await account_for(traffic, stations, store)
        there, answered = await store.read(_inbound), await upstream.read(_taken)
        handed_over = await upstream.read(
            lambda tx: tx.execute(sa.text("SELECT count(*) FROM messages WHERE direction = 'outbound'")).scalar_one()
        )
    await upstream.close()
    await check_database(store, traffic)
    assert answered
    assert sorted(there) == sorted(answered), "each message from a phone that was answered 200 is there, once"
    assert {text for _, text in answered} <= traffic.came
    told = f"{len(traffic.accepted)} messages accepted, {handed_over} handed over, {len(answered)} from phones, "
    with capsys.disabled():
        sys.stderr.write(f"\n{driver}: {kills} kills: {told}{duplicates} callbacks twice, 0 lost\n")
