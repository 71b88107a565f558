"""Giving an account another token, and letting it in or not."""

import asyncio
from functools import partial

import pytest

from ringback.model.errors import NotFound
from ringback.model.ids import AccountId
from ringback.store import accounts
from ringback.store.port import Store
from tests.fakes.clock import FakeClock

MAIN, OTHER = (AccountId(f"MA{letter * 18}") for letter in "AB")
HOUR_US = 3_600_000_000


@pytest.fixture
async def clock(store: Store) -> FakeClock:
    """A clock, after two accounts were made."""
    clock = FakeClock()
    for auth_id in (MAIN, OTHER):
        work = partial(accounts.create, auth_id=auth_id, token=f"first of {auth_id}", name="", now_us=clock.now_us())
        await store.write(work)
    return clock


async def rotate(store: Store, clock: FakeClock, token: str, *, overlap_us: int) -> None:
    now_us = clock.now_us()
    await store.write(
        lambda tx: accounts.rotate_token(tx, MAIN, token, now_us=now_us, old_until_us=now_us + overlap_us)
    )


async def tokens(store: Store, auth_id: str, now_us: int) -> tuple[str, ...]:
    account = await store.read(lambda tx: accounts.find(tx, auth_id, now_us))
    assert account
    return account.tokens


async def test_the_old_token_ends_after_the_overlap_and_not_before(store: Store, clock: FakeClock) -> None:
    clock.advance(1)
    await rotate(store, clock, "second", overlap_us=HOUR_US)
    assert await tokens(store, MAIN, clock.now_us()) == ("second", f"first of {MAIN}")
    assert await tokens(store, MAIN, clock.advance(3599.999999)) == ("second", f"first of {MAIN}")
    assert await tokens(store, MAIN, clock.advance(0.000001)) == ("second",)
    assert await tokens(store, OTHER, clock.now_us()) == (f"first of {OTHER}",)


async def test_a_further_rotation_never_lets_a_token_live_longer(store: Store, clock: FakeClock) -> None:
    clock.advance(1)
    await rotate(store, clock, "second", overlap_us=HOUR_US)
    clock.advance(1)
    await rotate(store, clock, "third", overlap_us=48 * HOUR_US)
    assert await tokens(store, MAIN, clock.advance(3598)) == ("third", "second", f"first of {MAIN}")
    assert await tokens(store, MAIN, clock.advance(1)) == ("third", "second")
    await rotate(store, clock, "fourth", overlap_us=0)
    assert await tokens(store, MAIN, clock.now_us()) == ("fourth",)


async def test_of_rotations_at_once_one_token_has_no_end(store: Store, clock: FakeClock) -> None:
    now_us = clock.advance(1)
    await asyncio.gather(*(rotate(store, clock, f"token {number}", overlap_us=HOUR_US) for number in range(4)))
    assert len(await tokens(store, MAIN, now_us)) == 5
    assert len(await tokens(store, MAIN, now_us + HOUR_US)) == 1


async def test_accounts_are_disabled_and_enabled(store: Store, clock: FakeClock) -> None:
    for enabled in (False, False, True):
        await store.write(partial(accounts.set_enabled, auth_id=MAIN, enabled=enabled))
        found = await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))
        assert {account.auth_id: account.enabled for account in found} == {MAIN: enabled, OTHER: True}


async def test_an_account_that_is_not_there(store: Store, clock: FakeClock) -> None:
    unknown = AccountId("MA" + "X" * 18)
    with pytest.raises(NotFound, match="there is no account MAXX"):
        await store.write(partial(accounts.set_enabled, auth_id=unknown, enabled=True))
    with pytest.raises(NotFound):
        await store.write(partial(accounts.rotate_token, auth_id=unknown, token="t", now_us=1, old_until_us=2))
