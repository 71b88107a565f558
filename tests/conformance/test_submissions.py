"""The queue of submissions: who gets what, for how long, and what becomes of a lease that ran out."""

import asyncio
from typing import Any

import pytest

from ringback.store import submissions
from ringback.store.port import Store, Transaction
from ringback.store.submissions import Submission
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message_uuid

LEASE_S = 30


def new(number: int, due_at_us: int) -> dict[str, Any]:
    return {
        "message_uuid": message_uuid(number),
        "account_id": "MAAAAAAAAAAAAAAAAAAA",
        "src": "15005550100",
        "dst": "14155550123",
        "text": f"{number} ☎",
        "attempts_made": 0,
        "expires_at_us": due_at_us + 10**9,
        "due_at_us": due_at_us,
        "lease_token": None,
        "media": None,
        "price": None if number % 2 else number * 550,
        "route": None,
        "tried": None,
        "unknowns": 0,
    }


async def claim(store: Store, clock: FakeClock, token: str, *, limit: int = 99) -> list[Submission]:
    now_us = clock.now_us()
    return await store.write(
        lambda tx: submissions.claim(
            tx, now_us=now_us, lease_until_us=now_us + LEASE_S * 1_000_000, lease_token=token, limit=limit
        )
    )


def numbers(claimed: list[Submission]) -> list[int]:
    return [int(item.message_uuid[-12:]) for item in claimed]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def fill(store: Store, clock: FakeClock, ages_s: dict[int, int]) -> None:
    rows = [new(number, clock.now_us() - age_s * 1_000_000) for number, age_s in ages_s.items()]
    await store.write(lambda tx: submissions.add(tx, rows))


async def test_those_due_longest_come_first_and_once(store: Store, clock: FakeClock) -> None:
    await fill(store, clock, {1: 3, 2: 5, 3: 0, 4: -1, 5: 4})
    first = await claim(store, clock, "a", limit=2)
    assert numbers(first) == [2, 5]
    row = new(2, clock.now_us() - 5_000_000)
    assert first[0] == Submission(
        **{name: row[name] for name in Submission.__struct_fields__ if name in row and name != "lease_token"},
        lease_token="a",
    )
    assert numbers(await claim(store, clock, "b")) == [1, 3]
    assert await claim(store, clock, "c") == []
    assert await store.read(submissions.waiting) == 5
    assert await store.read(submissions.next_due_at_us) == clock.now_us() + 1_000_000


async def test_concurrent_claims_share_nothing(store: Store, clock: FakeClock) -> None:
    await fill(store, clock, dict.fromkeys(range(200), 1))
    claimed = await asyncio.gather(*(claim(store, clock, f"token-{number}", limit=20) for number in range(12)))
    everything = [number for one in claimed for number in numbers(one)]
    assert sorted(everything) == sorted(set(everything))
    rest = await claim(store, clock, "last", limit=200)
    assert sorted([*everything, *numbers(rest)]) == list(range(200))


async def test_a_lease_that_runs_out_makes_it_due_again_and_fences_its_holder(store: Store, clock: FakeClock) -> None:
    await fill(store, clock, {1: 0, 2: 0})
    slow = await claim(store, clock, "slow")
    clock.advance(LEASE_S - 1)
    assert await claim(store, clock, "early") == []
    assert await store.write(lambda tx: submissions.held(tx, slow)) == [True, True]
    clock.advance(1)
    assert sorted(numbers(await claim(store, clock, "quick"))) == [1, 2]

    def finish_what_is_held(tx: Transaction) -> None:
        held = submissions.held(tx, slow)
        submissions.finish(tx, [each.message_uuid for each, is_held in zip(slow, held, strict=True) if is_held])

    await store.write(finish_what_is_held)
    assert await store.read(submissions.waiting) == 2


async def test_put_back_and_finish(store: Store, clock: FakeClock) -> None:
    await fill(store, clock, {1: 2, 2: 1, 3: 0})
    claimed = await claim(store, clock, "a")
    later_us = clock.now_us() + 5_000_000
    back = [
        {"message_uuid": item.message_uuid, "due_at_us": later_us, "attempts_made": item.attempts_made + 1}
        for item in claimed[:2]
    ]
    await store.write(lambda tx: submissions.put_back(tx, back))
    await store.write(lambda tx: submissions.finish(tx, [claimed[2].message_uuid]))
    assert await store.write(lambda tx: submissions.held(tx, claimed)) == [False] * 3
    assert await claim(store, clock, "b") == []
    clock.advance(5)
    again = await claim(store, clock, "c")
    assert sorted(numbers(again)) == [1, 2]
    assert [item.attempts_made for item in again] == [1, 1]
    await store.write(lambda tx: submissions.finish(tx, [item.message_uuid for item in again]))
    assert await store.read(submissions.waiting) == 0
    assert await store.read(submissions.next_due_at_us) is None


@pytest.mark.parametrize("work", [submissions.finish, submissions.put_back, submissions.held])
async def test_nothing_to_do_is_nothing_done(store: Store, clock: FakeClock, work: Any) -> None:
    await fill(store, clock, {1: 0})
    await store.write(lambda tx: work(tx, []))
    assert await store.read(submissions.waiting) == 1


async def test_early_receipts_are_taken_once_in_order(store: Store, clock: FakeClock) -> None:
    rows = [
        {
            "connector": connector,
            "carrier_ref": ref,
            "status": "delivered",
            "error_code": None if number else "30",
            "at_us": clock.now_us() - number,
            "detail": None,
        }
        for number, (connector, ref) in enumerate([("x", "1"), ("x", "2"), ("y", "1"), ("x", "1")])
    ]
    await store.write(lambda tx: submissions.keep_early_receipts(tx, rows))
    taken = await store.write(lambda tx: submissions.take_early_receipts(tx, "x", ["1", "9"]))
    assert [(item.carrier_ref, item.at_us, item.error_code) for item in taken] == [
        ("1", clock.now_us(), "30"),
        ("1", clock.now_us() - 3, None),
    ]
    assert await store.write(lambda tx: submissions.take_early_receipts(tx, "x", ["1"])) == []
    rest = await store.write(lambda tx: submissions.take_early_receipts(tx, "x", ["2"]))
    assert [item.carrier_ref for item in rest] == ["2"]
