"""Accounts, their tokens, and login links."""

from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa

from ringback.model.ids import AccountId
from ringback.store import accounts
from ringback.store.accounts import Account, AccountCache
from ringback.store.port import Store, Transaction
from ringback.store.schema import accounts as accounts_table
from ringback.store.schema import auth_tokens
from tests.fakes.clock import FakeClock

MAIN, SUB, OTHER = (AccountId(f"{kind}{letter * 18}") for kind, letter in (("MA", "A"), ("SA", "B"), ("MA", "C")))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def create(store: Store, clock: FakeClock, auth_id: AccountId, token: str) -> None:
    now_us = clock.now_us()
    await store.write(lambda tx: accounts.create(tx, auth_id=auth_id, token=token, name="Näme", now_us=now_us))


async def find(store: Store, clock: FakeClock, auth_id: AccountId) -> Account | None:
    now_us = clock.now_us()
    return await store.read(lambda tx: accounts.find(tx, auth_id, now_us))


def add_token(
    account_id: AccountId, token: str, *, now_us: int, expires_at_us: int | None
) -> Callable[[Transaction], None]:
    row = {"token": token, "account_id": account_id, "created_at_us": now_us, "expires_at_us": expires_at_us}
    return lambda tx: tx.execute(auth_tokens.insert().values(**row)).close()


async def test_create_find_and_list(store: Store, clock: FakeClock) -> None:
    assert await find(store, clock, MAIN) is None
    for auth_id, token in ((OTHER, "t-other"), (MAIN, "t-main")):
        await create(store, clock, auth_id, token)
        clock.advance(1)
    expected = [
        Account(auth_id, "Näme", enabled=True, parent_id=None, tokens=(token,), main_tokens=(token,))
        for auth_id, token in ((OTHER, "t-other"), (MAIN, "t-main"))
    ]
    assert await find(store, clock, MAIN) == expected[1]
    assert await store.read(lambda tx: accounts.list_all(tx, clock.now_us())) == expected
    assert await store.read(lambda tx: accounts.names(tx, limit=1)) == [(OTHER, "Näme")]
    with pytest.raises(sa.exc.IntegrityError):
        await create(store, clock, MAIN, "another")
    assert await find(store, clock, MAIN) == expected[1]


async def test_lists_keep_their_order_whatever_is_changed(store: Store, clock: FakeClock) -> None:
    """Both were made in the same microsecond: a changed row lies elsewhere in a table of PostgreSQL."""
    for auth_id in (MAIN, OTHER):
        await create(store, clock, auth_id, f"z-{auth_id}")
        await store.write(add_token(auth_id, f"a-{auth_id}", now_us=clock.now_us(), expires_at_us=None))

    def lists(tx: Transaction) -> tuple[list[AccountId], list[str], tuple[str, ...]]:
        listed = accounts.list_all(tx, clock.now_us())
        return [each.auth_id for each in listed], [name for name, _ in accounts.names(tx, limit=2)], listed[0].tokens

    for auth_id in (MAIN, OTHER, MAIN):
        await store.write(partial(accounts.set_enabled, auth_id=auth_id, enabled=False))
        assert await store.read(lists) == ([MAIN, OTHER], [MAIN, OTHER], (f"a-{MAIN}", f"z-{MAIN}"))


async def test_tokens_are_newest_first_until_they_expire(store: Store, clock: FakeClock) -> None:
    await create(store, clock, MAIN, "old")
    now_us = clock.advance(1)
    await store.write(add_token(MAIN, "passing", now_us=now_us, expires_at_us=now_us + 1_000_000))
    for seconds, tokens in ((0, ("passing", "old")), (0.999999, ("passing", "old")), (0.000001, ("old",))):
        clock.advance(seconds)
        found = await find(store, clock, MAIN)
        assert found
        assert found.tokens == tokens


async def test_a_subaccount_has_its_parents_tokens_beside_its_own(store: Store, clock: FakeClock) -> None:
    await create(store, clock, MAIN, "t-main")
    now_us = clock.now_us()
    row = {"auth_id": SUB, "parent_id": MAIN, "name": "sub", "enabled": False, "created_at_us": now_us}
    await store.write(lambda tx: tx.execute(accounts_table.insert().values(**row)).close())
    await store.write(add_token(SUB, "t-sub", now_us=now_us, expires_at_us=None))
    assert await find(store, clock, SUB) == Account(
        SUB, "sub", enabled=False, parent_id=MAIN, tokens=("t-sub",), main_tokens=("t-main",)
    )


async def test_the_cache_is_no_older_than_it_says(store: Store, clock: FakeClock) -> None:
    cache = AccountCache(store, ttl_s=2)
    assert await cache.get(MAIN, clock.now_us()) is None
    await create(store, clock, MAIN, "t-main")
    assert await cache.get(MAIN, clock.advance(1.9)) is None
    found = await cache.get(MAIN, clock.advance(0.1))
    assert found == await find(store, clock, MAIN)
