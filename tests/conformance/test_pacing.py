"""Slots of limited accounts and senders over a real database, also from several processes at a time."""

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from ringback.store import pacing
from ringback.store.pacing import Lane, Wanted
from ringback.store.port import Store, Transaction
from tests.conformance.conftest import Database

S = 1_000_000
BOUND_S = 60
ACCOUNT = Lane("MAAAAAAAAAAAAAAAAAAA sms", S // 5)


def wanted(at_us: int = 100 * S, *, source: str | None = None, expiry_s: int = 10_800, fast: bool = False) -> Wanted:
    lane = Lane(f"MAAAAAAAAAAAAAAAAAAA sms {source}", S) if source else None
    return Wanted(at_us=at_us, until_us=at_us + expiry_s * S, account=None if fast else ACCOUNT, source=lane)


async def reserve(store: Store, *messages: Wanted) -> list[int]:
    return await store.write(lambda tx: pacing.reserve(tx, messages))


async def test_messages_get_slots_in_their_order_and_go_on_from_there(store: Store) -> None:
    first = await reserve(store, *(wanted() for _ in range(3)))
    assert [slot - 100 * S for slot in first] == [0, S // 5, 2 * S // 5]
    assert await reserve(store, wanted(100 * S + 1)) == [100 * S + 3 * S // 5]
    assert await reserve(store, wanted(200 * S)) == [200 * S]


async def test_a_slow_sender_holds_up_no_other(store: Store) -> None:
    slow = await reserve(store, *(wanted(source="a") for _ in range(4)))
    assert [slot - 100 * S for slot in slow] == [0, S, 2 * S, 3 * S]
    other = await reserve(store, *(wanted(source="b") for _ in range(2)))
    assert [slot - 100 * S for slot in other] == [S // 5, S // 5 + S]
    slots = sorted([*slow, *other])
    assert min(later - earlier for earlier, later in itertools.pairwise(slots)) >= S // 5


async def test_one_that_would_wait_beyond_its_expiry_takes_no_slot(store: Store) -> None:
    await reserve(store, *(wanted() for _ in range(50)))
    assert await reserve(store, wanted(expiry_s=5)) == [105 * S]
    assert await reserve(store, wanted()) == [110 * S]


async def test_a_sender_may_be_limited_where_the_account_is_not(store: Store) -> None:
    slots = await reserve(store, wanted(source="a", fast=True), wanted(source="a", fast=True))
    assert [slot - 100 * S for slot in slots] == [0, S]


async def test_processes_that_accept_at_a_time_never_give_one_slot_twice(prepared: Database) -> None:
    stores = [prepared.open() for _ in range(3)]
    try:
        given = await asyncio.gather(
            *(reserve(store, *(wanted(source=f"s{at % 4}") for _ in range(3))) for store in stores for at in range(8))
        )
    finally:
        for store in stores:
            await store.close()
    slots = sorted(slot for batch in given for slot in batch)
    assert len(slots) == 72
    assert min(later - earlier for earlier, later in itertools.pairwise(slots)) >= S // 5
    assert all(batch == sorted(batch) for batch in given)


async def test_those_who_begin_a_calendar_together_never_wait_for_each_other(
    prepared: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has found no calendar; then the account's is there, and another one comes who finds that."""
    if prepared.driver == "sqlite":
        pytest.skip("there one writes at a time")
    store: Store = prepared.open()
    loop = asyncio.get_running_loop()
    begun, looks = Counter[str](), Counter[str]()
    of_first: set[Transaction] = set()
    other_begins, other_has_account = threading.Event(), threading.Event()
    others: list[Any] = []
    read = pacing._read

    def begin(who: str, message: Wanted) -> Any:
        def work(tx: Transaction) -> list[int]:
            begun[who] += 1
            if who == "first":
                of_first.add(tx)
            return pacing.reserve(tx, [message])

        return asyncio.run_coroutine_threadsafe(store.write(work), loop)

    def look(tx: Transaction, ordered: Sequence[str]) -> Any:
        who = "first" if tx in of_first else "other"
        looks[who] += 1
        if (who, looks[who]) == ("first", 2):
            other_begins.set()
            others.append(begin("other", wanted(source="a")))
            assert other_has_account.wait(BOUND_S)
        found = read(tx, ordered)
        if (who, looks[who]) == ("first", 1):
            begin("account", wanted()).result(BOUND_S)
        elif who == "other" and ACCOUNT.key in found and other_begins.is_set():
            other_has_account.set()
        return found

    monkeypatch.setattr(pacing, "_read", look)
    try:
        await asyncio.wrap_future(begin("first", wanted(source="a")))
        await asyncio.wrap_future(others[0])
    finally:
        await store.close()
    # Nobody had to give way and begin anew.
    assert begun == {"first": 1, "account": 1, "other": 1}


async def test_calendars_that_nobody_uses_go(store: Store) -> None:
    await reserve(store, wanted(100 * S, source="a"))
    await reserve(store, wanted(900 * S, source="b"))
    assert await store.write(lambda tx: pacing.prune(tx, before_us=500 * S, after="", limit=2)) == (
        1,
        "MAAAAAAAAAAAAAAAAAAA sms a",
    )
    assert await store.write(lambda tx: pacing.prune(tx, before_us=1000 * S, after="", limit=10)) == (2, None)
