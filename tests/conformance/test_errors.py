"""A database that is locked, full, away or wrong: an error with a name, in time, and then it works again."""

import asyncio
import sqlite3
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest

from ringback.model.errors import DatabaseUnusable, StoreUnavailable
from ringback.store import messages, postgres, sqlite
from ringback.store.port import Store, Transaction
from tests.fakes.messages import message, message_uuid
from tests.fakes.ports import held_port
from tests.fakes.postgres import GUARDED, PostgresServer

BUSY_TIMEOUT_S = 1
"""A busy machine may stop what is to succeed for seconds: a statement, or what comes between two, may take five."""
PATIENT_S = 30
SOON_S = 60
SECRET = "s3cret"


def count(tx: Transaction) -> int:
    return messages.count(tx, messages.Filter())


def insert(tx: Transaction, number: int = 1, text: str = "hello") -> None:
    messages.insert(tx, [message(uuid=message_uuid(number), text=text)])


@pytest.fixture
async def file_store(tmp_path: Path) -> AsyncIterator[Store]:
    store = sqlite.open_store(tmp_path, busy_timeout_s=BUSY_TIMEOUT_S)
    yield store
    await store.close()


@pytest.fixture
def url(server: PostgresServer, template: str) -> str:
    return server.url(server.create_database(template=template))


@pytest.fixture
async def server_store(url: str) -> AsyncIterator[Store]:
    store = postgres.open_store(url, busy_timeout_s=BUSY_TIMEOUT_S)
    yield store
    await store.close()


async def refused(store: Store, work: Callable[[Transaction], object]) -> str:
    """Write, and return the one line that says why it was not taken."""
    with pytest.raises(StoreUnavailable) as caught:
        async with asyncio.timeout(SOON_S):
            await store.write(work)
    line = str(caught.value)
    assert "\n" not in line
    return line


async def test_a_file_that_another_process_holds(file_store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / sqlite.FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "locked" in await refused(file_store, insert)
        assert await file_store.read(count) == 0
        other.execute("ROLLBACK")
    await file_store.write(insert)
    assert await file_store.read(count) == 1


async def test_a_file_that_is_full(file_store: Store) -> None:
    def bound(tx: Transaction, pages: int) -> None:
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await file_store.write(insert)
    await file_store.write(lambda tx: bound(tx, 1))
    line = await refused(file_store, lambda tx: insert(tx, 2, "x" * 10**6))
    assert "full" in line
    assert await file_store.read(count) == 1
    await file_store.write(lambda tx: bound(tx, 10**6))
    await file_store.write(lambda tx: insert(tx, 2, "x" * 10**6))
    assert await file_store.read(count) == 2


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT * FROM messages FOR UPDATE",
        "LOCK TABLE messages IN EXCLUSIVE MODE",
        "LOCK TABLE messages IN ACCESS EXCLUSIVE MODE",
    ],
)
async def test_rows_that_another_process_holds(server_store: Store, url: str, lock: str) -> None:
    def change(tx: Transaction) -> None:
        insert(tx, 2)
        messages.update(tx, [message(status="sent")])

    await server_store.write(insert)
    with psycopg.connect(url) as other:
        other.execute(lock.encode())
        assert "lock timeout" in await refused(server_store, change)
        other.rollback()
    assert await server_store.read(count) == 1
    await server_store.write(change)
    assert await server_store.read(count) == 2


async def test_a_statement_that_takes_too_long(server_store: Store) -> None:
    line = await refused(server_store, lambda tx: tx.exec_driver_sql("SELECT pg_sleep(60)").close())
    assert "statement timeout" in line
    await server_store.write(insert)


async def test_a_session_that_the_operator_ends(server_store: Store, server: PostgresServer) -> None:
    await server_store.write(insert)

    def end_oneself(tx: Transaction) -> None:
        insert(tx, 2)
        tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())").close()

    assert "administrator" in await refused(server_store, end_oneself)
    await server_store.write(lambda tx: insert(tx, 3))
    assert await server_store.read(count) == 2


@pytest.mark.parametrize("end", [PostgresServer.stop, PostgresServer.kill])
async def test_a_server_that_goes_and_comes_back(
    server_store: Store, server: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    # As many as there are connections, so that each has one to lose.
    numbers = range(postgres.WRITERS)
    await asyncio.gather(*(server_store.write(partial(insert, number=number)) for number in numbers))
    end(server)
    try:
        for _ in range(2):
            await refused(server_store, lambda tx: insert(tx, 100))
        with pytest.raises(StoreUnavailable):
            await server_store.read(count)
    finally:
        server.start()
    await server_store.write(lambda tx: insert(tx, 200))
    assert await server_store.read(count) == postgres.WRITERS + 1


async def test_a_server_that_is_frozen(server_store: Store, server: PostgresServer) -> None:
    """Nothing ends the wait then but a clock on this side: TCP has nothing to complain about."""
    numbers = range(postgres.WRITERS)
    await asyncio.gather(*(server_store.write(partial(insert, number=number)) for number in numbers))
    await server_store.read(count)
    with server.frozen():
        waits = [server_store.write(partial(insert, number=100 + number)) for number in numbers]
        waits.append(server_store.write(count, durable=False))
        async with asyncio.timeout(SOON_S):
            outcomes = await asyncio.gather(*waits, server_store.read(count), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * len(outcomes)
    await server_store.write(lambda tx: insert(tx, 200))
    assert await server_store.read(count) == postgres.WRITERS + 1


async def test_closing_while_the_server_is_frozen(url: str, server: PostgresServer) -> None:
    store = postgres.open_store(url, busy_timeout_s=BUSY_TIMEOUT_S)
    await store.write(insert)
    with server.frozen():
        writing = asyncio.create_task(store.write(lambda tx: insert(tx, 2)))
        await asyncio.sleep(0)
        async with asyncio.timeout(SOON_S):
            await store.close()
        with pytest.raises(StoreUnavailable):
            await writing


async def test_a_statement_whose_failure_is_hidden_does_not_pass_for_a_commit(server_store: Store) -> None:
    def work(tx: Transaction) -> None:
        insert(tx)
        try:
            insert(tx)
        except Exception:  # noqa: BLE001 - what the test is about
            return

    with pytest.raises(RuntimeError, match="was not passed on"):
        await server_store.write(work)
    assert await server_store.read(count) == 0


async def test_what_the_database_cannot_hold_does_not_fail_the_write(server_store: Store) -> None:
    await server_store.write(lambda tx: insert(tx, 1, "a\x00b"))
    [kept] = await server_store.read(lambda tx: messages.page(tx, messages.Filter(), limit=1, offset=0))
    assert kept.text == "a\ufffdb"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("synchronous_commit", "on"),
        ("TimeZone", "UTC"),
        ("lock_timeout", "1s"),
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "5s"),
    ],
)
async def test_settings_of_a_session(
    server_store: Store, server: PostgresServer, url: str, name: str, value: str
) -> None:
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    for transact in (server_store.write, server_store.read):
        assert await transact(lambda tx: tx.exec_driver_sql(f"SHOW {name}").scalar_one()) == value


@pytest.mark.parametrize(
    ("isolation", "read_only", "transact"),
    [("read committed", "off", postgres.PostgresStore.write), ("repeatable read", "on", postgres.PostgresStore.read)],
)
async def test_transactions_are_what_the_port_says(
    server_store: Store, isolation: str, read_only: str, transact: Callable[..., Awaitable[list[str]]]
) -> None:
    def look(tx: Transaction) -> list[str]:
        return [tx.exec_driver_sql(f"SHOW transaction_{name}").scalar_one() for name in ("isolation", "read_only")]

    assert await transact(server_store, look) == [isolation, read_only]


def why_unusable(url: str, busy_timeout_s: float = PATIENT_S) -> str:
    """Open a database that cannot be opened, and return the line that says why."""
    with pytest.raises(DatabaseUnusable) as caught:
        postgres.open_store(url, busy_timeout_s=busy_timeout_s)
    everything = "".join(traceback.format_exception(caught.value))
    assert SECRET not in everything
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://{guarded}:{secret}@127.0.0.1:{port}/postgres", "refuses the password"),
        ("postgresql://{guarded}@127.0.0.1:{port}/postgres", "asks for a password"),
        ("postgresql://postgres:{secret}@127.0.0.1:{port}/absent", "does not exist: create it"),
        ("postgresql://nobody:{secret}@127.0.0.1:{port}/postgres", "does not know this user"),
        ("postgresql://poor:{secret}@127.0.0.1:{port}/postgres", "lets this user create no tables"),
        ("postgresql://postgres:{secret}@127.0.0.1:{port}/latin", "is encoded in LATIN1: create a database"),
        ("postgresql://postgres:{secret}@127.0.0.1:1/postgres", "cannot be reached: start the server"),
        ("postgresql://postgres:{secret}@127.0.0.1:{port}/postgres?frobnicate={secret}", "cannot be opened"),
        ("postgresql://postgres:{secret}@127.0.0.1:{port}", "names no database"),
        ("postgresql://postgres:{secret}@127.0.0.1:port/postgres", "cannot be read: write it as"),
        ("mysql://postgres:{secret}@127.0.0.1:{port}/postgres", "no driver: write it as"),
        ("{secret}", "cannot be read: write it as"),
    ],
)
def test_a_database_that_cannot_be_opened_says_what_to_do(wrong: PostgresServer, url: str, advice: str) -> None:
    assert advice in why_unusable(url.format(secret=SECRET, port=wrong.port, guarded=GUARDED))


@pytest.fixture(scope="module")
def wrong(server: PostgresServer) -> PostgresServer:
    """The server with a user who needs a password, one who may do nothing, and a database that is not UTF-8."""
    server.execute(f"CREATE ROLE {GUARDED} LOGIN PASSWORD 'right'")
    server.execute("CREATE ROLE poor LOGIN")
    server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C'")
    return server


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with held_port() as port:
        url = f"postgresql://postgres:{SECRET}@127.0.0.1:{port}/postgres"
        assert "cannot be reached" in why_unusable(url, BUSY_TIMEOUT_S)


def test_tables_of_somebody_else_are_left_alone(server: PostgresServer) -> None:
    name = server.create_database()
    server.execute("CREATE TABLE messages (id INTEGER)", database=name)
    assert "has tables of the same names" in why_unusable(server.url(name))
