"""A connection that is lost at the very COMMIT: what was carried out is said to be, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from ringback.model.errors import OutcomeUnknown, StoreUnavailable
from ringback.store import messages, outcome, postgres
from ringback.store.port import Store, Transaction
from tests.fakes.messages import message, message_uuid
from tests.fakes.postgres import PostgresServer
from tests.fakes.proxy import CommitBreaker, When, commit_breaker

PATIENT_S = 30
"""A server that is there answers within it, also on a busy machine."""
HASTY_S = 1
BOUND_S = 60


@pytest.fixture
def breaker(server: PostgresServer) -> Iterator[CommitBreaker]:
    with commit_breaker(server.port) as standing:
        yield standing


@pytest.fixture
async def store(
    request: pytest.FixtureRequest, server: PostgresServer, template: str, breaker: CommitBreaker
) -> AsyncIterator[Store]:
    """A store that asks about a lost commit for as long as its parameter says."""
    name = server.create_database(template=template)
    url = f"postgresql://postgres@127.0.0.1:{breaker.port}/{name}"
    opened = postgres.open_store(url, busy_timeout_s=getattr(request, "param", PATIENT_S))
    yield opened
    async with asyncio.timeout(BOUND_S):
        await opened.close()


def insert(tx: Transaction, number: int = 1) -> int:
    messages.insert(tx, [message(uuid=message_uuid(number))])
    return number


async def count(store: Store) -> int:
    return await store.read(lambda tx: messages.count(tx, messages.Filter()))


async def test_a_commit_that_was_carried_out_is_a_commit(store: Store, breaker: CommitBreaker) -> None:
    breaker.break_next("after")
    assert await store.write(insert) == 1
    assert breaker.has_broken
    assert await count(store) == 1
    assert await store.write(lambda tx: insert(tx, 2)) == 2


async def test_a_commit_that_was_not_carried_out_is_none(store: Store, breaker: CommitBreaker) -> None:
    breaker.break_next("before")
    with pytest.raises(StoreUnavailable, match="did not take the transaction") as caught:
        await store.write(insert)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert breaker.has_broken
    assert await count(store) == 0
    assert await store.write(insert) == 1


@pytest.mark.parametrize("store", [HASTY_S], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_nobody_can_tell_is_said_to_be_unknown(store: Store, breaker: CommitBreaker, when: When) -> None:
    breaker.break_next(when, and_stay_away=True)
    with pytest.raises(OutcomeUnknown, match="not known whether") as caught:
        async with asyncio.timeout(BOUND_S):
            await store.write(insert)
    assert "\n" not in str(caught.value)
    breaker.come_back()
    assert await count(store) == (1 if when == "after" else 0)
    assert await store.write(lambda tx: insert(tx, 2)) == 2


@pytest.mark.parametrize(
    ("end", "told"), [(PostgresServer.stop, outcome.ABORTED), (PostgresServer.kill, outcome.OTHER_HISTORY)]
)
async def test_a_server_that_crashed_is_not_believed(
    server: PostgresServer, template: str, end: Callable[[PostgresServer], None], told: str
) -> None:
    """It may have given the id of a transaction that it has lost to another one."""
    url = server.url(server.create_database(template=template))
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        begun = outcome.begin(connection, outcome.history(connection))
        end(server)
    server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        assert outcome.status(connection, begun) == told


async def test_a_server_of_another_timeline_is_not_believed(server: PostgresServer, template: str) -> None:
    url = server.url(server.create_database(template=template))
    with psycopg.connect(url, autocommit=True) as connection:
        _, _, rest = outcome.history(connection).partition(" ")
        begun = outcome.begin(connection, f"FFFFFFFF {rest}")
        connection.rollback()
        assert outcome.status(connection, begun) == outcome.OTHER_HISTORY


async def test_a_lease_whose_commit_is_lost_is_no_lease(store: Store, breaker: CommitBreaker) -> None:
    """Nobody asks: whoever does not get a lease finds the work again when it has run out."""
    breaker.break_next("after")
    with pytest.raises(StoreUnavailable):
        await store.write(insert, durable=False)
