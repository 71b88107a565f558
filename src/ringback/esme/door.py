"""Who may bind: login and password, address, account, and how many there are already.

Whether there is a login of a name is not told: an unknown one costs as much time and gets the same answer as a wrong
password. One guess of an address is checked at a time, so that those of many connections count one after the other.
"""

import asyncio
import ipaddress
from typing import Final
from weakref import WeakValueDictionary

import structlog

from ringback.carriers.smpp import names
from ringback.carriers.smpp.pdu import Bind
from ringback.esme.binds import Binds
from ringback.esme.guesses import Guesses, origin_of
from ringback.model.errors import PduRefused
from ringback.model.passwords import fits, hashed
from ringback.runtime import Clock
from ringback.store import smpp_binds, smpp_logins
from ringback.store.accounts import AccountCache
from ringback.store.port import Store
from ringback.store.smpp_logins import Login

log = structlog.stdlib.get_logger("ringback.esme")

AT_ONCE: Final = 2
"""Passwords that are checked at a time: each takes a core for 50 ms and 16 MB."""


class Door:
    """Checks binds."""

    def __init__(
        self, *, store: Store, clock: Clock, accounts: AccountCache, binds: Binds, node: str, binds_per_account: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._binds = binds
        self._node = node
        self._binds_per_account = binds_per_account
        self._guesses = Guesses()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._checks = asyncio.Semaphore(AT_ONCE)
        # What passwords for logins that there are not are compared with.
        self._nobody = hashed("", bytes(16))

    async def admit(self, bind: Bind, address: str) -> Login:
        """Return whose bind it is. Raises ``PduRefused``, or ``StoreUnavailable``."""
        origin = origin_of(address)
        turn = self._turns.get(origin)
        if turn is None:
            turn = self._turns[origin] = asyncio.Lock()
        async with turn:
            login = await self._known(bind, address)
        await self._check_rest(login, address)
        return login

    async def _known(self, bind: Bind, address: str) -> Login:
        if self._guesses.is_locked(address, self._clock.now_us()):
            raise PduRefused("too many wrong passwords from this address", status=names.BIND_FAILED)
        login = await self._store.read(lambda tx: smpp_logins.find(tx, bind.system_id))
        async with self._checks:
            is_right = await asyncio.to_thread(fits, bind.password, login.password_hash if login else self._nobody)
        if login is None or not is_right:
            self._guesses.failed(address, self._clock.now_us())
            raise PduRefused("system id or password is wrong", status=names.INVALID_PASSWORD)
        self._guesses.succeeded(address)
        return login

    async def _check_rest(self, login: Login, address: str) -> None:
        if not may_come_from(login, address):
            raise PduRefused("this login may not bind from this address", status=names.BIND_FAILED)
        now_us = self._clock.now_us()
        account = await self._accounts.get(login.account_id, now_us)
        if account is None or not account.may_use_api:
            raise PduRefused("the account is disabled", status=names.BIND_FAILED)
        others = await self._store.read(
            lambda tx: smpp_binds.elsewhere(tx, self._node, login.account_id, self._clock.now_us())
        )
        # Counted after the wait: others may have been admitted meanwhile.
        if others + self._binds.of_account(login.account_id) >= self._binds_per_account:
            raise PduRefused("the account has as many binds as it may", status=names.BIND_FAILED)


def may_come_from(login: Login, address: str) -> bool:
    """Say whether a login may bind from an address."""
    if not login.allow:
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(network) for network in login.allow.split(","))
