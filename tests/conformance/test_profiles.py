"""Subaccounts, what operators lay down, and numbers that are verified."""

import asyncio
from functools import partial
from typing import Any

import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AccountId
from ringback.model.pricing import Price
from ringback.store import accounts, callers, prices, profiles
from ringback.store.accounts import Account
from ringback.store.cached import Cached
from ringback.store.callers import Reach, Verification
from ringback.store.port import Store, Transaction
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message_uuid

MAIN, SUB, OTHER = (AccountId(f"{kind}{letter * 18}") for kind, letter in (("MA", "A"), ("SA", "B"), ("MA", "C")))
NUMBER, CODE = "14155550123", "123456"


@pytest.fixture
async def clock(store: Store) -> FakeClock:
    """Time; there are two accounts, and a subaccount of one."""
    clock = FakeClock()

    def work(tx: Transaction) -> None:
        for auth_id in (MAIN, OTHER):
            accounts.create(tx, auth_id=auth_id, token=auth_id, name=auth_id, now_us=clock.now_us())
        profiles.add_subaccount(tx, MAIN, SUB, SUB, name="sub", enabled=True, now_us=clock.now_us())

    await store.write(work)
    return clock


async def find(store: Store, clock: FakeClock, auth_id: str) -> Account:
    found = await store.read(lambda tx: accounts.find(tx, auth_id, clock.now_us()))
    assert found
    return found


async def lay_down(store: Store, clock: FakeClock, auth_id: str, **changes: Any) -> None:
    await store.write(lambda tx: profiles.lay_down(tx, auth_id, changes, now_us=clock.now_us()))


async def test_new_accounts_have_no_limits(store: Store, clock: FakeClock) -> None:
    for auth_id in (MAIN, SUB):
        found = await find(store, clock, auth_id)
        assert (found.account_type, found.is_prepaid, found.refused_until_us) == ("standard", False, None)
        assert found.may_use_api


async def test_a_subaccount_goes_by_its_main_account(store: Store, clock: FakeClock) -> None:
    await lay_down(store, clock, MAIN, account_type="developer", billing_mode="prepaid")
    found = await find(store, clock, SUB)
    assert (found.account_type, found.is_prepaid, found.main_tokens) == ("developer", True, (MAIN,))
    with pytest.raises(InvalidRequest, match=f"change {MAIN}"):
        await lay_down(store, clock, SUB, account_type="standard")
    await store.write(lambda tx: accounts.set_enabled(tx, MAIN, enabled=False))
    found = await find(store, clock, SUB)
    assert (found.enabled, found.may_use_api) == (True, False)


async def test_subaccounts_are_listed_for_their_main_account_only(store: Store, clock: FakeClock) -> None:
    total, found = await store.read(lambda tx: profiles.subaccounts(tx, MAIN, limit=20, offset=0))
    assert (total, [each.auth_id for each in found]) == (1, [SUB])
    assert await store.read(lambda tx: profiles.subaccounts(tx, MAIN, limit=20, offset=1)) == (1, [])
    assert await store.read(lambda tx: profiles.subaccounts(tx, OTHER, limit=20, offset=0)) == (0, [])
    for parent, auth_id in ((OTHER, SUB), (MAIN, OTHER), (MAIN, MAIN)):
        with pytest.raises(NotFound):
            await store.read(partial(profiles.subaccount, parent_id=parent, auth_id=auth_id))


@pytest.mark.parametrize("cascade", [True, False])
async def test_a_deleted_subaccount_signs_and_does_nothing_else(
    store: Store,
    clock: FakeClock,
    cascade: bool,  # noqa: FBT001
) -> None:
    for auth_id, number in ((SUB, "1"), (SUB, "2"), (MAIN, "2")):
        await store.write(partial(callers.add_sandbox, account_id=auth_id, number=number, now_us=clock.now_us()))
    delete = partial(profiles.delete_subaccount, parent_id=MAIN, auth_id=SUB, cascade=cascade, now_us=clock.now_us())
    await store.write(delete)
    found = await find(store, clock, SUB)
    assert (found.may_use_api, found.tokens, found.main_tokens) == (False, (SUB,), (MAIN,))
    assert [each.auth_id for each in await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))] == [
        MAIN,
        OTHER,
    ]
    assert await store.read(lambda tx: profiles.subaccounts(tx, MAIN, limit=20, offset=0)) == (0, [])
    assert await store.read(lambda tx: profiles.is_subaccount_of(tx, SUB, MAIN))
    assert await store.read(lambda tx: callers.sandbox(tx, MAIN)) == (["2"] if cascade else ["1", "2"])
    assert await store.read(lambda tx: callers.sandbox(tx, SUB)) == []
    for work in (delete, partial(accounts.set_enabled, auth_id=SUB, enabled=True)):
        with pytest.raises(NotFound):
            await store.write(work)


async def test_an_account_changes_what_it_says_of_itself(store: Store, clock: FakeClock) -> None:
    now_us = clock.advance(1)
    await store.write(lambda tx: profiles.change(tx, MAIN, {"city": "Köln", "name": "Wir"}, now_us=now_us))
    found = await store.read(lambda tx: profiles.profile(tx, MAIN))
    assert (found.name, found.city, found.address, found.modified_at_us) == ("Wir", "Köln", "", now_us)
    with pytest.raises(NotFound, match="ringback account list"):
        await store.write(lambda tx: profiles.change(tx, "MA", {"city": ""}, now_us=now_us))


# ---- verified numbers ----


def verification(serial: int, clock: FakeClock, **changes: Any) -> Verification:
    fields = {"account_id": MAIN, "number": NUMBER, "alias": "desk", "country": "US", "subaccount": "", **changes}
    return Verification(uuid=message_uuid(serial), expires_at_us=clock.now_us() + 900_000_000, **fields)


async def begin(store: Store, clock: FakeClock, new: Verification) -> None:
    await store.write(lambda tx: callers.begin(tx, new, CODE, now_us=clock.now_us()))


async def verify(store: Store, clock: FakeClock, number: int, code: str = CODE, account_id: str = MAIN) -> Any:
    uuid = message_uuid(number)
    return await store.write(lambda tx: callers.verify(tx, account_id, uuid, code, now_us=clock.now_us()))


async def test_a_code_is_good_once_for_its_account_and_time(store: Store, clock: FakeClock) -> None:
    await begin(store, clock, verification(1, clock))
    with pytest.raises(NotFound):
        await verify(store, clock, 1, account_id=OTHER)
    clock.advance(899.9)
    found = await verify(store, clock, 1)
    assert (found.number, found.alias, found.country, found.verification_uuid) == (
        NUMBER,
        "desk",
        "US",
        message_uuid(1),
    )
    assert await store.read(lambda tx: callers.find(tx, MAIN, NUMBER)) == found
    with pytest.raises(NotFound):
        await verify(store, clock, 1)


async def test_codes_end_by_time_by_tries_and_by_the_next_one(store: Store, clock: FakeClock) -> None:
    await begin(store, clock, verification(1, clock))
    clock.advance(900)
    with pytest.raises(NotFound):
        await verify(store, clock, 1)
    await begin(store, clock, verification(2, clock))
    clock.advance(59)
    with pytest.raises(InvalidRequest, match="wait 60 s for another"):
        await begin(store, clock, verification(3, clock))
    clock.advance(1)
    await begin(store, clock, verification(3, clock))
    with pytest.raises(NotFound):
        await verify(store, clock, 2)
    guesses = await asyncio.gather(*(verify(store, clock, 3, "000000") for _ in range(callers.MOST_TRIES)))
    assert guesses == [None] * callers.MOST_TRIES
    with pytest.raises(NotFound):
        await verify(store, clock, 3)
    with pytest.raises(NotFound):
        await store.read(lambda tx: callers.find(tx, MAIN, NUMBER))


async def test_an_account_sends_a_few_codes_to_strangers_and_no_more(store: Store, clock: FakeClock) -> None:
    for number in range(callers.MOST_OPEN):
        await begin(store, clock, verification(number, clock, number=str(number)))
    one_more = verification(99, clock)
    with pytest.raises(InvalidRequest, match="20 codes are waiting"):
        await begin(store, clock, one_more)
    await begin(store, clock, verification(98, clock, account_id=OTHER))
    await verify(store, clock, 0)
    await begin(store, clock, one_more)
    clock.advance(900)
    await begin(store, clock, verification(97, clock, number="1"))


async def test_verified_again_is_one_number_with_what_was_said_last(store: Store, clock: FakeClock) -> None:
    await begin(store, clock, verification(1, clock))
    first = await verify(store, clock, 1)
    clock.advance(5)
    await begin(store, clock, verification(2, clock, alias="new", subaccount=SUB))
    second = await verify(store, clock, 2)
    assert (second.alias, second.created_at_us) == ("new", first.created_at_us)

    async def page(**equal: str) -> list[str]:
        total, found = await store.read(lambda tx: callers.page(tx, MAIN, equal, limit=20, offset=0))
        assert total == len(found)
        return [each.alias for each in found]

    assert await page() == await page(subaccount=SUB) == await page(country="US", alias="new") == ["new"]
    assert await page(subaccount="SA") == []
    now_us = clock.advance(1)
    changed = await store.write(lambda tx: callers.change(tx, MAIN, NUMBER, {"alias": "x"}, now_us=now_us))
    assert (changed.alias, changed.subaccount, changed.modified_at_us) == ("x", SUB, now_us)
    await store.write(lambda tx: callers.delete(tx, MAIN, NUMBER))
    for work in (callers.delete, callers.find):
        with pytest.raises(NotFound):
            await store.write(partial(work, account_id=MAIN, number=NUMBER))


async def test_reach_is_the_numbers_of_an_account_and_its_main_account(store: Store, clock: FakeClock) -> None:
    reach = Reach(store, ttl_s=2)
    account = await find(store, clock, SUB)
    assert await reach.of(account, clock.now_us()) == frozenset()
    await begin(store, clock, verification(1, clock))
    await verify(store, clock, 1)
    await store.write(lambda tx: callers.add_sandbox(tx, SUB, "1", now_us=clock.now_us()))
    await store.write(lambda tx: callers.add_sandbox(tx, OTHER, "2", now_us=clock.now_us()))
    assert await reach.of(account, clock.advance(1.9)) == frozenset()
    assert await reach.of(account, clock.advance(0.1)) == {NUMBER, "1"}


async def test_sandbox_numbers_are_added_once_and_removed(store: Store, clock: FakeClock) -> None:
    add = partial(callers.add_sandbox, account_id=MAIN, number="1", now_us=clock.now_us())
    await store.write(add)
    with pytest.raises(InvalidRequest, match="already"):
        await store.write(add)
    remove = partial(callers.remove_sandbox, account_id=MAIN, number="1")
    await store.write(remove)
    with pytest.raises(InvalidRequest, match="ringback sandbox list"):
        await store.write(remove)
    with pytest.raises(NotFound):
        await store.write(partial(callers.add_sandbox, account_id="MA", number="1", now_us=1))


# ---- prices ----


async def test_a_table_of_prices_is_replaced_as_a_whole(store: Store) -> None:
    first = [Price(country="US", sms_outbound="0.00650"), Price(country="DE"), Price(country="US", network_group="x")]
    await store.write(lambda tx: prices.replace(tx, first))
    assert await store.read(prices.read) == sorted(first, key=lambda price: (price.country, price.network_group))
    tables = [[Price(country="FR", sms_outbound=f"0.{number:05d}")] for number in range(6)]
    await asyncio.gather(*(store.write(partial(prices.replace, new=table)) for table in tables))
    assert await store.read(prices.read) in tables


async def test_a_cached_table_is_no_older_than_it_says(store: Store, clock: FakeClock) -> None:
    cached = Cached(store, prices.read, ttl_s=2)
    assert await asyncio.gather(*(cached.get(clock.now_us()) for _ in range(3))) == [[], [], []]
    await store.write(lambda tx: prices.replace(tx, [Price(country="US")]))
    assert await cached.get(clock.advance(1.9)) == []
    # The one who comes first after that reads it anew; whoever asks meanwhile does not wait.
    assert await asyncio.gather(*(cached.get(clock.advance(0.1)) for _ in range(2))) == [[Price(country="US")], []]
