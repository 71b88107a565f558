"""Accounts, their tokens, and login links."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa

from ringback.model.ids import AccountId
from ringback.store import accounts, logins
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


async def remember(store: Store, secret: str, kind: logins.Kind, now_us: int) -> None:
    await store.write(lambda tx: logins.add(tx, secret, kind, now_us=now_us, expires_at_us=now_us + 60_000_000))


async def test_a_link_is_good_once(store: Store, clock: FakeClock) -> None:
    now_us = clock.now_us()
    await remember(store, "link", "link", now_us)
    await remember(store, "session", "session", now_us)
    for secret in ("unknown", "session"):
        assert not await store.write(partial(logins.use_link, secret=secret, now_us=now_us))
    used = await asyncio.gather(*(store.write(lambda tx: logins.use_link(tx, "link", now_us)) for _ in range(5)))
    assert sorted(used) == [False, False, False, False, True]


@pytest.mark.parametrize(("after_s", "is_good"), [(0, True), (59.999999, True), (60, False)])
async def test_links_and_sessions_expire(store: Store, clock: FakeClock, after_s: float, is_good: bool) -> None:  # noqa: FBT001
    await remember(store, "link", "link", clock.now_us())
    await remember(store, "session", "session", clock.now_us())
    now_us = clock.advance(after_s)
    assert await store.read(lambda tx: logins.session_is_open(tx, "session", now_us)) == is_good
    assert await store.write(lambda tx: logins.use_link(tx, "link", now_us)) == is_good


async def test_a_session_ends(store: Store, clock: FakeClock) -> None:
    now_us = clock.now_us()
    for secret in ("one", "two"):
        await remember(store, secret, "session", now_us)
    await store.write(lambda tx: logins.end_session(tx, "one"))
    state = await store.read(lambda tx: [logins.session_is_open(tx, secret, now_us) for secret in ("one", "two")])
    assert state == [False, True]
