"""Credit: charged to the last unit whoever charges, explained by its ledger, and never overdrawn by more than is in
flight."""

import asyncio
import random
from collections import Counter
from functools import partial

import msgspec
import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AccountId
from ringback.store import accounts, credit, profiles, submissions
from ringback.store.port import Store, Transaction
from ringback.store.rollups import HOUR_US
from ringback.store.submissions import Submission
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message_uuid

MAIN, SUB, OTHER = (AccountId(f"{kind}{letter * 18}") for kind, letter in (("MA", "A"), ("SA", "B"), ("MA", "C")))


@pytest.fixture
async def clock(store: Store) -> FakeClock:
    """Time; there are two prepaid accounts, and a subaccount of one."""
    clock = FakeClock()

    def work(tx: Transaction) -> None:
        now_us = clock.now_us()
        for auth_id in (MAIN, OTHER):
            accounts.create(tx, auth_id=auth_id, token=auth_id, name=auth_id, now_us=now_us)
            profiles.lay_down(tx, auth_id, {"billing_mode": "prepaid"}, now_us=now_us)
        profiles.add_subaccount(tx, MAIN, SUB, SUB, name="sub", enabled=True, now_us=now_us)

    await store.write(work)
    return clock


async def add(store: Store, clock: FakeClock, auth_id: str, amount: int, entry_id: str = "e") -> int:
    now_us = clock.now_us()
    return await store.write(
        lambda tx: credit.add(tx, auth_id, amount, entry_id=entry_id, note=f"note of {entry_id}", now_us=now_us)
    )


async def balance(store: Store, auth_id: str) -> int:
    return (await store.read(lambda tx: profiles.profile(tx, auth_id))).balance


async def ledger(store: Store, auth_id: str) -> list[credit.Entry]:
    return await store.read(lambda tx: credit.entries(tx, auth_id, limit=1000))


def priced(number: int, price: int | None, account_id: str = MAIN) -> Submission:
    return Submission(
        message_uuid=message_uuid(number), account_id=account_id, src="1", dst="2", text="", attempts_made=0,
        expires_at_us=1, lease_token="t", price=price,
    )  # fmt: skip


async def test_thousands_of_charges_at_a_time_are_exact(store: Store, clock: FakeClock) -> None:
    chance = random.Random(7)
    total: Counter[str] = Counter()
    added = 0

    async def charge(_: int) -> None:
        amounts = {auth_id: chance.randrange(1, 10**7) for auth_id in chance.sample([MAIN, SUB, OTHER], 2)}
        total.update(amounts)
        at_us = clock.now_us() + chance.randrange(3) * HOUR_US
        await store.write(partial(credit.charge, amounts=amounts, now_us=at_us))

    async def top_up(number: int) -> None:
        nonlocal added
        amount = chance.randrange(1, 10**8)
        added += amount
        await add(store, clock, MAIN, amount, f"entry {number}")

    for _ in range(10):
        await asyncio.gather(*map(charge, range(100)), *map(top_up, range(_ * 3, _ * 3 + 3)))
    expected = {MAIN: added - total[MAIN] - total[SUB], OTHER: -total[OTHER]}
    assert {auth_id: await balance(store, auth_id) for auth_id in expected} == expected
    for auth_id, amount in expected.items():
        assert sum(entry.total for entry in await ledger(store, auth_id)) == amount
    by_sender: Counter[str] = Counter()
    for entry in await ledger(store, MAIN):
        by_sender[entry.reference if entry.kind == "charge" else "added"] += entry.total
    assert by_sender == {MAIN: -total[MAIN], SUB: -total[SUB], "added": added}
    assert await balance(store, SUB) == expected[MAIN]


async def test_a_rolled_back_charge_leaves_nothing(store: Store, clock: FakeClock) -> None:
    def work(tx: Transaction) -> None:
        credit.charge(tx, {MAIN: 5}, now_us=clock.now_us())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.write(work)
    assert (await balance(store, MAIN), await ledger(store, MAIN)) == (0, [])
    await store.write(partial(credit.charge, amounts={}, now_us=0))


async def refused_until(store: Store, clock: FakeClock, auth_id: str) -> int | None:
    found = await store.read(lambda tx: accounts.find(tx, auth_id, clock.now_us()))
    assert found
    return found.refused_until_us


async def unpaid(store: Store, *wanted: Submission) -> list[int]:
    found = await store.write(lambda tx: credit.unpaid(tx, wanted, refuse_until_us=42))
    return [int(uuid[-12:]) for uuid in found]


async def test_what_credit_does_not_cover_is_refused_and_so_is_what_comes_after(store: Store, clock: FakeClock) -> None:
    await add(store, clock, MAIN, 1000)
    batch = [priced(1, 600), priced(2, 600, SUB), priced(3, 400, SUB), priced(4, None, OTHER), priced(5, 1)]
    assert await unpaid(store, *batch[:1], *batch[3:4]) == []
    assert await refused_until(store, clock, MAIN) is None
    assert await unpaid(store, *batch) == [2, 5]
    assert [await refused_until(store, clock, auth_id) for auth_id in (MAIN, SUB, OTHER)] == [42, 42, None]
    await add(store, clock, MAIN, -1000, "e2")
    assert await refused_until(store, clock, MAIN) == 42
    assert await add(store, clock, MAIN, 1, "e3") == 1
    assert await refused_until(store, clock, SUB) is None


async def test_a_postpaid_account_owes_nothing_even_for_what_was_priced_before(store: Store, clock: FakeClock) -> None:
    await store.write(lambda tx: profiles.lay_down(tx, MAIN, {"billing_mode": "postpaid"}, now_us=clock.now_us()))
    assert await unpaid(store, priced(1, 10**6), priced(2, 10**6, SUB)) == []
    await store.write(partial(credit.charge, amounts={MAIN: 5, SUB: 6, OTHER: 7}, now_us=clock.now_us()))
    assert [await balance(store, auth_id) for auth_id in (MAIN, OTHER)] == [0, -7]
    assert await ledger(store, MAIN) == []


async def test_workers_at_a_time_overdraw_by_no_more_than_is_in_flight(store: Store, clock: FakeClock) -> None:
    """Each takes a batch, looks at the credit, hands over, and charges, as the submitter does."""
    chance = random.Random(11)
    prices = [chance.randrange(1, 3000) for _ in range(400)]
    rows = [
        {**msgspec.structs.asdict(priced(number, price)), "due_at_us": clock.now_us(), "lease_token": None}
        for number, price in enumerate(prices)
    ]
    for row in rows:
        # Known from the lease that a row has, and no column of it.
        del row["was_leased"]
    await store.write(lambda tx: submissions.add(tx, rows))
    start = sum(prices) // 2
    await add(store, clock, MAIN, start)
    in_flight = most_in_flight = 0
    spent = 0
    now_us = clock.now_us()

    def claim(tx: Transaction) -> tuple[list[Submission], list[str]]:
        found = submissions.due(tx, lane=submissions.UNROUTED, now_us=now_us, limit=16)
        leased = submissions.lease(tx, found, lane="one", route=None, token="t", until_us=now_us + 1)
        return leased, credit.unpaid(tx, leased, refuse_until_us=now_us)

    async def work() -> None:
        nonlocal in_flight, most_in_flight, spent
        while True:
            leased, refused = await store.write(claim)
            if not leased:
                return
            amount = sum(each.price or 0 for each in leased if each.message_uuid not in refused)
            in_flight += amount
            most_in_flight = max(most_in_flight, in_flight)
            await store.write(
                lambda tx, amount=amount, uuids=[each.message_uuid for each in leased]: (
                    submissions.finish(tx, uuids),
                    credit.charge(tx, {MAIN: amount}, now_us=now_us),
                )
            )
            in_flight -= amount
            spent += amount

    await asyncio.gather(*(work() for _ in range(6)))
    left = await balance(store, MAIN)
    assert left == start - spent == sum(entry.total for entry in await ledger(store, MAIN))
    assert left >= -most_in_flight
    assert left < 3000 * 16, "it was spent"


async def test_credit_is_added_to_main_accounts_that_exist(store: Store, clock: FakeClock) -> None:
    with pytest.raises(InvalidRequest, match=f"add to that of {MAIN}"):
        await add(store, clock, SUB, 1)
    with pytest.raises(NotFound, match="ringback account list"):
        await add(store, clock, "MA" + "Z" * 18, 1)
    assert await ledger(store, MAIN) == []
