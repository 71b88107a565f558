"""Hints between processes: here two workers with wake-ups of their own, on one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
import structlog

from ringback.store import messages, notify
from ringback.store.notify import Notifications
from ringback.store.wakeups import Listener, Wakeups
from tests.conformance.conftest import Database
from tests.fakes.messages import message
from tests.fakes.postgres import PostgresServer

BOUND_S = 60
QUIET_S = 0.2
LOOK_AGAIN_S = 0.02
SOON_S = 8
"""Less than the ten seconds that the driver would wait for a statement that it has cancelled."""
TURNS = 10
"""Turns of the loop in which a signal becomes a statement under way."""


@asynccontextmanager
async def connected(url: str, *, longest_s: float = BOUND_S) -> AsyncIterator[tuple[Wakeups, Listener]]:
    """Run a worker that is connected; gives its wake-ups, and a listener to the topic ``callbacks``."""
    wakeups = Wakeups()
    listener = wakeups.listen("callbacks")
    worker = Notifications(
        lambda: psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=2),
        wakeups,
        longest_s=longest_s,
        reconnect_pause_s=0.02,
    )
    running = asyncio.create_task(worker.run())
    assert await listener.wait(BOUND_S), "connecting signals everything"
    try:
        yield wakeups, listener
    finally:
        worker.stop()
        async with asyncio.timeout(BOUND_S):
            await running


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.url(server.create_database())


async def test_a_signal_reaches_the_other_process_and_is_not_sent_back(url: str) -> None:
    async with connected(url) as (here, listener_here), connected(url) as (_, listener_there):
        here.signal("callbacks")
        assert await listener_there.wait(BOUND_S)
        assert await listener_here.wait(BOUND_S)
        # An echo would come at once, and over and over.
        assert not await listener_there.wait(QUIET_S)
        assert not await listener_here.wait(0)


async def test_what_another_topic_is_signalled_for_wakes_nobody(url: str) -> None:
    async with connected(url) as (here, _), connected(url) as (_, listener_there):
        here.signal("events")
        here.signal("callbacks" * 3)
        assert not await listener_there.wait(QUIET_S)


async def test_many_signals_make_few_notifications(url: str) -> None:
    heard: list[str] = []
    async with connected(url) as (here, _), await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute(f"LISTEN {notify.CHANNEL}")
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for _ in range(50):
            for topic in ("callbacks", "events"):
                here.signal(topic)
            await asyncio.sleep(0.001)
        rounds = (loop.time() - started_s) / notify.TELL_INTERVAL_S + 2
        async with asyncio.timeout(BOUND_S):
            while set(heard) != {"callbacks", "events"}:
                heard += [notification.payload async for notification in other.notifies(timeout=QUIET_S)]
        heard += [notification.payload async for notification in other.notifies(timeout=QUIET_S)]
    assert len(heard) <= 2 * rounds


@pytest.mark.parametrize("restart", [True, False], ids=["server", "sessions"])
async def test_a_lost_connection_is_made_anew_and_everybody_looks(
    server: PostgresServer,
    url: str,
    restart: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async with connected(url) as (here, listener_here), connected(url) as (_, listener_there):
        if restart:
            server.stop()
            # Nobody is there to be told: the caller does not learn of it.
            here.signal("callbacks")
            assert await listener_here.wait(BOUND_S)
            server.start()
        else:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname <> 'postgres'")
        assert await listener_here.wait(BOUND_S)
        assert await listener_there.wait(BOUND_S)
        # What was signalled meanwhile may come late; then a new one comes through.
        while await listener_there.wait(QUIET_S):
            pass
        here.signal("callbacks")
        assert await listener_there.wait(BOUND_S)


async def test_stopping_ends_it_also_while_the_server_is_away() -> None:
    worker = Notifications(
        lambda: psycopg.AsyncConnection.connect("postgresql://postgres@127.0.0.1:1/postgres"), Wakeups()
    )
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    worker.stop()
    async with asyncio.timeout(BOUND_S):
        await running


async def test_a_frozen_server_is_given_up(server: PostgresServer, url: str) -> None:
    async with connected(url, longest_s=0.1) as (here, listener):
        with server.frozen(), structlog.testing.capture_logs() as lines:
            here.signal("callbacks")
            assert await listener.wait(BOUND_S)
            async with asyncio.timeout(BOUND_S):
                while not lines:
                    await listener.wait(LOOK_AGAIN_S)
        assert lines[0]["event"] == "hints_from_other_processes_interrupted"
        # The connections are made anew, and everybody looks.
        assert await listener.wait(BOUND_S)


async def test_stopping_does_not_wait_for_a_frozen_server(server: PostgresServer, url: str) -> None:
    wakeups = Wakeups()
    listener = wakeups.listen("callbacks")
    worker = Notifications(lambda: psycopg.AsyncConnection.connect(url, autocommit=True), wakeups)
    running = asyncio.create_task(worker.run())
    assert await listener.wait(BOUND_S)
    with server.frozen():
        wakeups.signal("callbacks")
        for _ in range(TURNS):
            await asyncio.sleep(0)
        worker.stop()
        async with asyncio.timeout(SOON_S):
            await running


async def test_a_store_watches_for_what_other_processes_do(prepared: Database) -> None:
    """SQLite's sees the commit, PostgreSQL's is told of the topic."""
    stores = [prepared.open() for _ in range(2)]
    wakeups = [Wakeups() for _ in range(2)]
    listeners = [one.listen("callbacks") for one in wakeups]
    workers = [store.watch(one) for store, one in zip(stores, wakeups, strict=True)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    for listener in listeners:
        assert await listener.wait(BOUND_S)
    while await listeners[1].wait(QUIET_S):
        pass
    await stores[0].write(lambda tx: messages.insert(tx, [message()]))
    wakeups[0].signal("callbacks")
    assert await listeners[1].wait(BOUND_S)
    for worker in workers:
        worker.stop()
    async with asyncio.timeout(BOUND_S):
        await asyncio.gather(*running)
    for store in stores:
        await store.close()
