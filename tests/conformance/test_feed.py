"""Following the event log by offset, while several write."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from ringback.model.message import Event
from ringback.store import feed, messages, postgres
from ringback.store.port import Store, Transaction
from tests.fakes.messages import QUEUED_AT_US, message_uuid
from tests.fakes.postgres import PostgresServer

BOUND_S = 60
WRITERS = 4
WRITES = 30


class GivenUpError(Exception):
    """Somebody rolls back."""


class Follower:
    """Reads on from where it was."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = 0

    async def news(self, *, limit: int = 1000) -> list[int]:
        """Say of which messages there are new events."""
        up_to = await feed.complete_to(self._store)
        found: list[Event] = await self._store.read(
            lambda tx: messages.events_after(tx, self._offset, up_to=up_to, limit=limit)
        )
        if found:
            self._offset = found[-1].id
        return [int(event.message_uuid[-12:]) for event in found]


def add(tx: Transaction, number: int) -> None:
    row = {
        "message_uuid": message_uuid(number), "account_id": "MAAAAAAAAAAAAAAAAAAA", "sequence": 1, "status": "queued",
        "flag": "", "at_us": QUEUED_AT_US, "error_code": None, "detail": None,
    }  # fmt: skip
    messages.add_events(tx, [row])


@asynccontextmanager
async def open_after_adding(store: Store, number: int, *, then_give_up: bool = False) -> AsyncIterator[None]:
    """Have a transaction open that has added an event, for as long as the block runs."""
    added, may_end = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        add(tx, number)
        added.set()
        assert may_end.wait(BOUND_S)
        if then_give_up:
            raise GivenUpError

    writing = asyncio.create_task(store.write(work))
    assert await asyncio.to_thread(added.wait, BOUND_S)
    try:
        yield
    finally:
        may_end.set()
        await asyncio.wait([writing])
        assert isinstance(writing.exception(), GivenUpError) == then_give_up


@pytest.fixture
async def servers_store(server: PostgresServer, template: str) -> AsyncIterator[Store]:
    """On a server, where several write at a time."""
    opened = postgres.open_store(server.url(server.create_database(template=template)), busy_timeout_s=30)
    yield opened
    await opened.close()


async def test_who_commits_late_is_not_skipped(servers_store: Store) -> None:
    follower = Follower(servers_store)
    await servers_store.write(partial(add, number=1))
    async with open_after_adding(servers_store, 2):
        await servers_store.write(partial(add, number=3))
        assert await servers_store.read(messages.last_offset) == 3
        assert await follower.news() == [1]
        assert await follower.news() == []
    assert await follower.news() == [2, 3]


async def test_who_gives_up_holds_nobody_up_any_more(servers_store: Store) -> None:
    follower = Follower(servers_store)
    async with open_after_adding(servers_store, 1, then_give_up=True):
        await servers_store.write(partial(add, number=2))
        assert await follower.news() == []
    assert await follower.news() == [2]


async def test_those_who_came_before_are_shown_while_somebody_writes(servers_store: Store) -> None:
    follower = Follower(servers_store)
    async with open_after_adding(servers_store, 1), open_after_adding(servers_store, 2):
        assert await follower.news() == []
    await servers_store.write(partial(add, number=3))
    async with open_after_adding(servers_store, 4):
        assert await follower.news() == [1, 2, 3]


async def test_a_follower_among_many_writers_meets_each_event_once(store: Store) -> None:
    follower = Follower(store)
    seen: list[int] = []

    async def write(numbers: Iterator[int]) -> None:
        for number in numbers:
            await store.write(partial(add, number=number))

    numbers = iter(range(WRITERS * WRITES))
    writing = [asyncio.create_task(write(numbers)) for _ in range(WRITERS)]
    async with asyncio.timeout(BOUND_S):
        while not all(task.done() for task in writing):
            seen += await follower.news()
        seen += await follower.news()
    assert sorted(seen) == list(range(WRITERS * WRITES))
