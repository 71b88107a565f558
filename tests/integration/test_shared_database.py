"""Whole Ringbacks over one PostgreSQL server: one that freezes, and machines whose clocks differ."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ringback.settings import Settings
from ringback.store import callbacks, submissions
from ringback.wiring.backbone import create_account
from ringback.wiring.platform import open_platform
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.postgres import PostgresServer, postgres_server

BUSY_TIMEOUT_S = 1.0
BOUND_S = 60
DRAIN_S = 1.0
HTTP_BOUND_S = 30
SENDS = 30
HOUR_NS = 3_600_000_000_000
RETRY_DELAYS_S = [1.0, 1.0]
HALF_AN_HOUR_S = 1_800
"""More than an attempt is ever late, and less than a clock is off."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as started:
        yield started


@pytest.fixture
def settings(server: PostgresServer, tmp_path: Path) -> Settings:
    return settings_for(
        tmp_path,
        store={
            "data_dir": tmp_path,
            "url": server.url(server.create_database()),
            "busy_timeout_s": BUSY_TIMEOUT_S,
        },
        # Nobody is parked, so that every attempt is made.
        delivery={"retry_delays_s": RETRY_DELAYS_S, "park_after_failures": 1000},
    )


async def readiness(ringback: Running) -> int:
    async with ringback.http.get(f"{ringback.url}/readyz") as answer:
        return answer.status


async def until_taken(ringback: Running) -> None:
    """Send until a message is taken: with so short a timeout one may be refused for no more than a slow disk."""
    async with asyncio.timeout(BOUND_S):
        while (await ringback.send())[0] != 202:
            pass


async def test_a_frozen_server_refuses_in_time_and_is_taken_back(settings: Settings, server: PostgresServer) -> None:
    async with running(settings) as ringback:
        await until_taken(ringback)
        threads = threading.active_count()
        with server.frozen():
            async with asyncio.timeout(BOUND_S):
                answers, ready = await asyncio.gather(
                    asyncio.gather(*(ringback.send() for _ in range(SENDS))), readiness(ringback)
                )
            assert {status for status, _ in answers} == {503}
            assert ready == 503
            # A few for looking names up; none for each who waits.
            assert threading.active_count() - threads < SENDS / 2
        async with asyncio.timeout(BOUND_S):
            while await readiness(ringback) != 200:
                pass
        await until_taken(ringback)


async def test_the_end_does_not_wait_for_a_frozen_server(settings: Settings, server: PostgresServer) -> None:
    """What is in hand is cut off at the drain bound, and the database is let go of."""
    with ExitStack() as freezing:
        async with (
            asyncio.timeout(BOUND_S),
            open_platform(msgspec.structs.replace(settings, drain_s=DRAIN_S)) as platform,
        ):
            account = await create_account(platform.store, platform.clock, "test")
            ending = asyncio.create_task(platform.supervisor.run())
            async with aiohttp.ClientSession() as http:
                ringback = Running(platform, account, http)
                await until_taken(ringback)
                freezing.enter_context(server.frozen())
                assert (await ringback.send())[0] == 503
            loop = asyncio.get_running_loop()
            stopped_s = loop.time()
            platform.supervisor.stop()
            await ending
            assert loop.time() - stopped_s < DRAIN_S + HTTP_BOUND_S


async def test_machines_whose_clocks_differ_by_hours_share_the_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each callback is tried as often as planned, at no time early, whoever of them makes which attempt."""
    # Nothing freezes here, so that whatever is refused is a failure.
    patient = msgspec.structs.replace(settings.store, busy_timeout_s=30.0)
    settings = msgspec.structs.replace(settings, store=patient)
    tried: Counter[tuple[str, str]] = Counter()

    async def refuse(request: web.Request) -> web.StreamResponse:
        said = dict(parse_qsl((await request.read()).decode()))
        tried[said["MessageUUID"], said["Status"]] += 1
        return web.Response(status=500)

    true_ns = time.time_ns
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(recording_endpoint())
        endpoint.answer_always(refuse)
        nodes: list[Running] = []
        for off_ns in (0, HOUR_NS, -HOUR_NS):
            # Only one may have the carrier.
            chosen = msgspec.structs.replace(settings, roles=("web", "deliver")) if nodes else settings
            with monkeypatch.context() as patched:
                patched.setattr(time, "time_ns", partial(shifted, true_ns, off_ns))
                account = nodes[0].account if nodes else None
                nodes.append(await stack.enter_async_context(running(chosen, account=account)))
        sent = await asyncio.gather(*(node.send(url=endpoint.url) for node in nodes for _ in range(SENDS // 3)))
        assert {status for status, _ in sent} == {202}
        await nodes[0].until(lambda tx: callbacks.waiting(tx) == 0 == submissions.waiting(tx), timeout_s=BOUND_S)
        read = nodes[0].platform.store.read
        made = [await read(partial(callbacks.of_message, uuid=answer["message_uuid"][0])) for _, answer in sent]
    tries = 1 + len(RETRY_DELAYS_S)
    assert Counter(tried.values()) == {tries: len(sent) * 3}
    # Due by one's clock and made by another's: where these were not the same, one would be early or hours late.
    begun = [[attempt.started_at_us for attempt in attempts] for found in made for _, attempts in found]
    assert Counter(map(len, begun)) == {tries: len(sent) * 3}
    gaps_s = [(later - earlier) / 1_000_000 for at_us in begun for earlier, later in pairwise(at_us)]
    assert min(RETRY_DELAYS_S) <= min(gaps_s) <= max(gaps_s) < HALF_AN_HOUR_S


def shifted(true_ns: Callable[[], int], off_ns: int) -> int:
    """Tell the time of a clock that is off."""
    return true_ns() + off_ns
