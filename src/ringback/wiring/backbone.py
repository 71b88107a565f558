"""What every command needs: the store, the clock, and the accounts in it."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog

from ringback.model.ids import AccountId, auth_id
from ringback.runtime import SystemClock
from ringback.settings import Settings
from ringback.store import accounts, messages, postgres, sqlite
from ringback.store.accounts import Account
from ringback.store.port import Store
from ringback.wiring.chance import new_token

log = structlog.stdlib.get_logger("ringback.wiring")

CLOCK_OFF_US: Final = 1_000_000
"""A machine whose clock is further off is named in the log."""


@asynccontextmanager
async def open_backbone(settings: Settings) -> AsyncIterator[tuple[Store, SystemClock]]:
    """Open what every command needs: the store, and a clock that does not start before its newest event."""
    async with AsyncExitStack() as stack:
        store = _open_store(settings)
        stack.push_async_callback(store.close)
        newest_us = await store.read(messages.newest_time_us)
        ahead_us = await store.clock_ahead_us(SystemClock())
        if abs(ahead_us) > CLOCK_OFF_US:
            log.warning(
                "machine_clock_is_off", behind_s=ahead_us // 1_000_000, consequence="times go by the database's clock"
            )
        clock = SystemClock(newest_us, ahead_us=ahead_us)
        behind_s = (newest_us - SystemClock(ahead_us=ahead_us).now_us()) // 1_000_000
        if behind_s > 0:
            log.warning(
                "system_clock_is_behind_the_newest_event",
                behind_s=behind_s,
                consequence="times go on from the newest event; set the system clock, then restart",
            )
        yield store, clock


def _open_store(settings: Settings) -> Store:
    if settings.store.url:
        return postgres.open_store(settings.store.url, busy_timeout_s=settings.store.busy_timeout_s)
    return sqlite.open_store(
        settings.store.data_dir,
        busy_timeout_s=settings.store.busy_timeout_s,
        shares_process="web" in settings.roles,
    )


def base_url(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the URL under which a client on this machine reaches the server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{reachable}:{port}"


async def create_account(store: Store, clock: SystemClock, name: str) -> Account:
    """Create a main account with fresh credentials."""
    now_us = clock.now_us()
    account_id: AccountId = auth_id(os.urandom(18))
    token = new_token()
    await store.write(lambda tx: accounts.create(tx, auth_id=account_id, token=token, name=name, now_us=now_us))
    created = await store.read(lambda tx: accounts.find(tx, account_id, now_us))
    if created is None:
        raise RuntimeError("an account that was committed is not there")
    return created


async def rotate_token(store: Store, clock: SystemClock, auth_id: str, *, overlap_s: int) -> tuple[str, int]:
    """Give an account a new token; the ones before expire after ``overlap_s``. Raises ``NotFound``.

    Returns the token, and when the others end.
    """
    now_us, token = clock.now_us(), new_token()
    old_until_us = now_us + overlap_s * 1_000_000
    await store.write(lambda tx: accounts.rotate_token(tx, auth_id, token, now_us=now_us, old_until_us=old_until_us))
    return token, old_until_us
