"""Accounts, subaccounts and the tokens that authenticate and sign for them."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import NotFound
from ringback.model.ids import AccountId
from ringback.store.port import Store, Transaction
from ringback.store.schema import accounts, auth_tokens
from ringback.store.schema_accounts import balances


class Account(msgspec.Struct, frozen=True):
    """An account with the tokens that are valid now, newest first."""

    auth_id: AccountId
    name: str
    enabled: bool
    parent_id: AccountId | None
    tokens: tuple[str, ...]
    main_tokens: tuple[str, ...]
    """The parent's tokens for a subaccount, else the same as ``tokens``."""
    retry_delays: str | None = None
    """Its own retry plan as stored (``model.retry``); ``None`` when the settings apply."""
    main_enabled: bool = True
    """Whether its parent is enabled, if it has one."""
    account_type: str = "standard"
    """The parent's for a subaccount: ``standard``, or ``developer`` for one that may send to sandbox numbers only."""
    is_prepaid: bool = False
    """Whether its messages are paid from a credit, its own or its parent's."""
    refused_until_us: int | None = None
    """Its credit ran out: new messages are refused until then."""
    reads_only: bool = False
    """Whether it is there to fetch what a source has received, and may change and send nothing."""

    @property
    def may_use_api(self) -> bool:
        """Whether it is enabled, and its parent too."""
        return self.enabled and self.main_enabled


_OLDEST_FIRST: Final = (accounts.c.created_at_us, accounts.c.auth_id)

# Asked for by every API call and every signature, as far as the cache does not know: built once.

_PARENT: Final = accounts.alias("parent")
_FIND: Final = (
    sa.select(
        accounts,
        _PARENT.c.enabled.label("parent_enabled"),
        _PARENT.c.account_type.label("parent_type"),
        _PARENT.c.billing_mode.label("parent_billing_mode"),
        balances.c.refused_until_us,
    )
    .outerjoin(_PARENT, _PARENT.c.auth_id == accounts.c.parent_id)
    .outerjoin(balances, balances.c.account_id == sa.func.coalesce(accounts.c.parent_id, accounts.c.auth_id))
    .where(accounts.c.auth_id == sa.bindparam("auth_id"))
)


def create(tx: Transaction, *, auth_id: AccountId, token: str, name: str, now_us: int) -> None:
    """Add an enabled main account with its first token."""
    tx.execute(accounts.insert().values(auth_id=auth_id, parent_id=None, name=name, enabled=True, created_at_us=now_us))
    tx.execute(auth_tokens.insert().values(token=token, account_id=auth_id, created_at_us=now_us, expires_at_us=None))


def rotate_token(tx: Transaction, auth_id: str, token: str, *, now_us: int, old_until_us: int) -> None:
    """Add a token; those before it are valid until ``old_until_us`` at the longest. Raises ``NotFound``."""
    _known(tx, auth_id)
    tx.execute(
        auth_tokens.update()
        .where(
            auth_tokens.c.account_id == auth_id,
            sa.or_(auth_tokens.c.expires_at_us.is_(None), auth_tokens.c.expires_at_us > old_until_us),
        )
        .values(expires_at_us=old_until_us)
    )
    tx.execute(auth_tokens.insert().values(token=token, account_id=auth_id, created_at_us=now_us, expires_at_us=None))


def ensure(
    tx: Transaction, *, auth_id: AccountId, tokens: Sequence[str], name: str, now_us: int, reads_only: bool = False
) -> None:
    """Let there be an account of this id with these tokens, newest first; what it has besides stays."""
    if tx.execute(sa.select(accounts.c.auth_id).where(accounts.c.auth_id == auth_id)).first() is None:
        tx.execute(
            accounts.insert().values(
                auth_id=auth_id, parent_id=None, name=name, enabled=True, created_at_us=now_us, reads_only=reads_only
            )
        )
    known = set(tx.execute(sa.select(auth_tokens.c.token).where(auth_tokens.c.token.in_(tokens))).scalars())
    for age, token in enumerate(dict.fromkeys(tokens)):
        if token not in known:
            tx.execute(
                auth_tokens.insert().values(
                    token=token, account_id=auth_id, created_at_us=now_us - age, expires_at_us=None
                )
            )


def set_enabled(tx: Transaction, auth_id: str, *, enabled: bool) -> None:
    """Let an account use the API, or not. Raises ``NotFound``."""
    _known(tx, auth_id)
    tx.execute(accounts.update().where(accounts.c.auth_id == auth_id).values(enabled=enabled))


def set_retry_delays(tx: Transaction, auth_id: str, retry_delays: str | None) -> None:
    """Give an account a retry plan of its own, or none. Raises ``NotFound``."""
    _known(tx, auth_id)
    tx.execute(accounts.update().where(accounts.c.auth_id == auth_id).values(retry_delays=retry_delays))


def retry_delays(tx: Transaction, auth_id: str) -> str | None:
    """Return an account's own retry plan as stored."""
    return tx.execute(sa.select(accounts.c.retry_delays).where(accounts.c.auth_id == auth_id)).scalar_one_or_none()


def _known(tx: Transaction, auth_id: str) -> None:
    # Locked, so that two rotations at a time do not each leave the other's token without an end.
    query = (
        sa.select(accounts.c.auth_id)
        .where(accounts.c.auth_id == auth_id, accounts.c.deleted_at_us.is_(None))
        .with_for_update()
    )
    if tx.execute(query).first() is None:
        raise NotFound(f"there is no account {auth_id}: ringback account list shows them")


def find(tx: Transaction, auth_id: str, now_us: int) -> Account | None:
    """Return an account, or ``None`` when there is none of that id; one that was deleted is there, and not enabled."""
    row = tx.execute(_FIND, {"auth_id": auth_id}).one_or_none()
    if row is None:
        return None
    tokens = _tokens(tx, row.auth_id, now_us)
    return Account(
        auth_id=row.auth_id,
        name=row.name,
        enabled=row.enabled,
        parent_id=row.parent_id,
        tokens=tokens,
        main_tokens=_tokens(tx, row.parent_id, now_us) if row.parent_id else tokens,
        retry_delays=row.retry_delays,
        main_enabled=row.parent_enabled is not False,
        account_type=row.parent_type or row.account_type,
        is_prepaid=(row.parent_billing_mode or row.billing_mode) == "prepaid",
        refused_until_us=row.refused_until_us,
        reads_only=row.reads_only,
    )


def list_all(tx: Transaction, now_us: int) -> list[Account]:
    """Return every account that was not deleted, oldest first."""
    query = sa.select(accounts.c.auth_id).where(accounts.c.deleted_at_us.is_(None)).order_by(*_OLDEST_FIRST)
    ids = tx.execute(query).scalars().all()
    return [account for auth_id in ids if (account := find(tx, auth_id, now_us))]


def _tokens(tx: Transaction, auth_id: str, now_us: int) -> tuple[str, ...]:
    alive = sa.or_(auth_tokens.c.expires_at_us.is_(None), auth_tokens.c.expires_at_us > now_us)
    query = (
        sa.select(auth_tokens.c.token)
        .where(auth_tokens.c.account_id == auth_id, alive)
        .order_by(auth_tokens.c.created_at_us.desc(), auth_tokens.c.token)
    )
    return tuple(tx.execute(query).scalars())


class AccountCache:
    """Accounts as last read, at most ``ttl_s`` old: every API call and every signature asks for one."""

    def __init__(self, store: Store, *, ttl_s: float = 2.0) -> None:
        self._store = store
        self._ttl_us = round(ttl_s * 1_000_000)
        self._known: dict[str, tuple[int, Account | None]] = {}
        self._reading: dict[str, asyncio.Task[Account | None]] = {}

    async def get(self, auth_id: str, now_us: int) -> Account | None:
        """Return an account, or ``None`` when there is none of that id. Raises ``StoreUnavailable``."""
        known = self._known.get(auth_id)
        if known and now_us - known[0] < self._ttl_us:
            return known[1]
        reading = self._reading.get(auth_id)
        if reading is None:
            reading = self._reading[auth_id] = asyncio.create_task(self._read(auth_id, now_us))
            # If whoever asked has gone away, nobody wants to hear of a failure.
            reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shared by all who ask meanwhile, one of whom may go away.
        return await asyncio.shield(reading)

    async def _read(self, auth_id: str, now_us: int) -> Account | None:
        task = asyncio.current_task()
        try:
            account = await self._store.read(lambda tx: find(tx, auth_id, now_us))
        finally:
            is_ours = self._reading.get(auth_id) is task
            if is_ours:
                del self._reading[auth_id]
        if len(self._known) > 10_000:
            # Ids come from requests: somebody who tries many must not fill the memory.
            self._known.clear()
        if is_ours:
            self._known[auth_id] = (now_us, account)
        return account

    def forget(self, auth_id: str) -> None:
        """Read an account anew when it is asked for next: it has been changed here."""
        self._known.pop(auth_id, None)
        # Whatever is being read may be what was there before.
        self._reading.pop(auth_id, None)


def names(tx: Transaction, *, limit: int, only: Collection[str] | None = None) -> list[tuple[str, str]]:
    """Return (id, name) of accounts, or ``only`` of some, oldest first."""
    query = sa.select(accounts.c.auth_id, accounts.c.name).order_by(*_OLDEST_FIRST).limit(limit)
    if only is not None:
        query = query.where(accounts.c.auth_id.in_(only))
    return [(row.auth_id, row.name) for row in tx.execute(query)]
