"""The process with the analytics file, killed at random moments under load: every event is in it once.

A process of the other roles sends messages all the time; conversions come too. The one with the role analytics is
killed with SIGKILL and started again. In the end the file must hold exactly what a plain reading of the database says.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Limits
from ringback.metrics import Metrics
from ringback.store import messages
from ringback.store.wakeups import Wakeups
from ringback.wiring.backbone import open_backbone
from ringback.wiring.projecting import projection_for
from tests.fakes import analytics_reference as reference
from tests.fakes.clock import FakeClock
from tests.fakes.platform import settings_for
from tests.fakes.postgres import postgres_server
from tests.fakes.process import Served, create_account, served

ALL = Limits(timeout_s=60, rows=10_000_000)
KILLS = int(os.environ.get("ANALYTICS_KILLS", "10"))
SENDERS = 4
LATER_S = 120
"""When everything has been looked at once more."""
OTHERS = ("--role", "web", "--role", "submit", "--role", "deliver")
SPEED = {
    "RINGBACK_SIMULATOR__SPEED": "20",
    "RINGBACK_ANALYTICS__INTERVAL_S": "0.05",
    "RINGBACK_ANALYTICS__BATCH": "50",
    # Every send is to be taken, and every process to end in order, however busy the machine is.
    "RINGBACK_STORE__BUSY_TIMEOUT_S": "30",
    "RINGBACK_DRAIN_S": "50",
}


@asynccontextmanager
async def _database(kind: str) -> AsyncIterator[dict[str, str]]:
    if kind == "sqlite":
        yield {}
        return
    with postgres_server() as server:
        yield {"RINGBACK_STORE__URL": server.url(server.create_database())}


async def _send(main: Served, http: aiohttp.ClientSession) -> None:
    account = main.account
    auth = {"Authorization": aiohttp.encode_basic_auth(account["auth_id"], account["auth_token"])}
    while True:
        status, answer = await main.send(http, trackable=True)
        assert status == 202, answer
        uuid = answer["message_uuid"][0]
        url = f"{main.url}/v1/Account/{account['auth_id']}/Message/{uuid}/Conversion/"
        said = {"status": random.choice(("CONVERTED", "NOT_CONVERTED")), "timestamp": "2026-01-31T12:00:00Z"}
        async with http.post(url, json=said, headers=auth) as response:
            assert response.status < 300, await response.text()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_event_is_in_the_file_once(tmp_path: Path, kind: str) -> None:
    async with _database(kind) as environment:
        account = create_account(tmp_path, **environment)
        start = partial(served, tmp_path, account, "--role", "analytics", **SPEED, **environment)
        async with (
            served(tmp_path, account, *OTHERS, **SPEED, **environment) as main,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as http,
        ):
            senders = [asyncio.create_task(_send(main, http)) for _ in range(SENDERS)]
            for _ in range(KILLS):
                async with start() as owner:
                    await asyncio.wait(senders, timeout=random.uniform(0, 3))
                    await owner.kill()
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
            assert all(sender.cancelled() for sender in senders)
            async with start() as owner:
                await asyncio.wait([asyncio.create_task(main.terminate())])
                assert await owner.terminate() == 0
        await _check(tmp_path, environment)


async def _check(data_dir: Path, environment: dict[str, str]) -> None:
    url = environment.get("RINGBACK_STORE__URL", "")
    settings = settings_for(data_dir, store={"data_dir": data_dir, "url": url})
    async with (
        open_backbone(settings) as (store, clock),
        DuckEngine(data_dir / "analytics", settings.analytics) as engine,
    ):
        assert engine.begun_anew is None
        later = FakeClock(clock.now_us() + LATER_S * 1_000_000)
        projection = await projection_for(
            settings, engine, store=store, clock=later, wakeups=Wakeups(), metrics=Metrics()
        )
        before = (await engine.ask("SELECT count(*) FROM events")).rows[0][0]
        await projection.catch_up()
        assert before > 0
        assert await store.read(messages.last_offset) >= before
        found = (await engine.ask(reference.EVENTS_SQL, limits=ALL)).rows
        assert list(found) == await store.read(reference.platform_events)
        rows = (await engine.ask(reference.MESSAGES_SQL, limits=ALL)).rows
        assert list(rows) == await store.read(reference.platform_messages)
