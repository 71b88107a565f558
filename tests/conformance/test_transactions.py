"""What ``store.port`` promises of every driver."""

import asyncio
import threading
from collections import Counter
from functools import partial

import pytest
import sqlalchemy as sa

from ringback.model.errors import RingbackError, StoreUnavailable
from ringback.store import messages, rollups
from ringback.store.port import Store, Transaction
from ringback.store.schema import messages as messages_table
from tests.conformance.conftest import Database
from tests.fakes.messages import QUEUED_AT_US, message, message_uuid

BOUND_S = 60


def count(tx: Transaction) -> int:
    return messages.count(tx, messages.Filter())


def insert(tx: Transaction, number: int) -> None:
    messages.insert(tx, [message(uuid=message_uuid(number))])


class WorkFailed(Exception):
    """What a test's function raises."""


async def test_a_commit_is_there_for_the_next_read(store: Store) -> None:
    for number in range(1, 6):
        await store.write(partial(insert, number=number))
        assert await store.read(count) == number


@pytest.mark.parametrize("error", [WorkFailed, RingbackError, asyncio.CancelledError])
async def test_a_function_that_raises_leaves_nothing(store: Store, error: type[BaseException]) -> None:
    def work(tx: Transaction) -> None:
        insert(tx, 1)
        assert count(tx) == 1
        raise error

    with pytest.raises(error):
        await store.write(work)
    assert await store.read(count) == 0


async def test_what_a_constraint_refuses_is_an_error_of_the_program_and_leaves_nothing(store: Store) -> None:
    def work(tx: Transaction) -> None:
        insert(tx, 1)
        insert(tx, 1)

    with pytest.raises(sa.exc.IntegrityError):
        await store.write(work)
    assert await store.read(count) == 0


@pytest.mark.parametrize("text", ["of nobody's business", None])
async def test_errors_do_not_quote_what_was_bound(store: Store, text: str | None) -> None:
    bad = message(text="of nobody's business", country=None) if text else message(requester_ip=None, text="business")
    with pytest.raises(sa.exc.IntegrityError) as caught:
        await store.write(lambda tx: messages.insert(tx, [bad]))
    assert "business" not in str(caught.value)


async def test_a_read_cannot_change(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        await store.read(lambda tx: insert(tx, 1))
    assert await store.read(count) == 0


async def test_a_read_sees_one_state(store: Store) -> None:
    looked, committed = threading.Event(), threading.Event()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        first = count(tx)
        looked.set()
        committed.wait(BOUND_S)
        return first, count(tx)

    reading = asyncio.create_task(store.read(look_twice))
    await asyncio.to_thread(looked.wait, BOUND_S)
    await store.write(lambda tx: insert(tx, 1))
    committed.set()
    assert await reading == (0, 0)
    assert await store.read(count) == 1


async def test_what_is_not_committed_is_not_seen(store: Store) -> None:
    written, seen = threading.Event(), threading.Event()

    def write(tx: Transaction) -> None:
        insert(tx, 1)
        written.set()
        seen.wait(BOUND_S)

    writing = asyncio.create_task(store.write(write))
    await asyncio.to_thread(written.wait, BOUND_S)
    assert await store.read(count) == 0
    seen.set()
    await writing
    assert await store.read(count) == 1


async def test_concurrent_writers_all_land(store: Store) -> None:
    key = rollups.key("MAAAAAAAAAAAAAAAAAAA", QUEUED_AT_US, "status", "queued")

    def work(tx: Transaction, number: int) -> None:
        insert(tx, number)
        rollups.add(tx, Counter({key: 1}))

    await asyncio.gather(*(store.write(partial(work, number=number)) for number in range(40)))
    assert await store.read(count) == 40
    summary = await store.read(lambda tx: rollups.summary(tx, since_us=QUEUED_AT_US))
    assert summary.by_status == {"queued": 40}


async def test_writers_that_would_block_each_other_both_land(store: Store) -> None:
    await store.write(lambda tx: messages.insert(tx, [message(uuid=message_uuid(number)) for number in (1, 2)]))
    both_hold_one, one_has_landed = threading.Barrier(2), threading.Event()
    begun: Counter[tuple[int, int]] = Counter()

    def work(tx: Transaction, order: tuple[int, int]) -> None:
        begun[order] += 1
        # Whoever had to give way begins anew, alone: otherwise it may have its first row again before the other has it.
        assert begun[order] == 1 or one_has_landed.wait(BOUND_S)
        for number in order:
            tx.execute(
                messages_table.update()
                .where(messages_table.c.uuid == message_uuid(number))
                .values(units=messages_table.c.units + 1)
            )
            if number == order[0] and begun[order] == 1 and tx.dialect.name != "sqlite":
                both_hold_one.wait(BOUND_S)

    async def write(order: tuple[int, int]) -> None:
        await store.write(partial(work, order=order))
        one_has_landed.set()

    await asyncio.gather(*(write(order) for order in ((1, 2), (2, 1))))
    found = await store.read(lambda tx: messages.by_uuid(tx, [message_uuid(1), message_uuid(2)]))
    assert [item.units for item in found.values()] == [3, 3]


async def test_only_leases_need_not_be_on_disk(store: Store) -> None:
    """Asked of the database itself, as nobody can cut its power here."""

    def how(tx: Transaction) -> object:
        if tx.dialect.name == "sqlite":
            return {2: "on", 1: "off"}[tx.exec_driver_sql("PRAGMA synchronous").scalar_one()]
        return tx.exec_driver_sql("SHOW synchronous_commit").scalar_one()

    seen = [await store.write(how, durable=durable) for durable in (True, False, True, False)]
    assert seen == ["on", "off", "on", "off"]
    assert await store.write(how) == "on"


async def test_closing_finishes_what_runs(prepared: Database) -> None:
    store = prepared.open()
    started, go_on = threading.Event(), threading.Event()

    def work(tx: Transaction) -> int:
        started.set()
        go_on.wait(BOUND_S)
        insert(tx, 1)
        return count(tx)

    writing = asyncio.create_task(store.write(work))
    await asyncio.to_thread(started.wait, BOUND_S)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert await writing == 1
