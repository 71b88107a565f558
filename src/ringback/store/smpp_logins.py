"""Logins by which accounts bind over SMPP; of their passwords only a hash is kept."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import accounts
from ringback.store.schema_smpp import smpp_logins, smpp_owed


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A login."""

    id: str
    system_id: str
    account_id: str
    password_hash: str
    allow: str = ""
    """Networks with commas between that it may bind from; empty for any."""
    takes_inbound: bool = False
    log: str = "true"
    created_at_us: int
    disconnected_at_us: int = 0
    """Binds from before then are ended."""


_BY_NAME: Final = sa.select(smpp_logins).where(smpp_logins.c.system_id == sa.bindparam("system_id"))
_BY_ID: Final = sa.select(smpp_logins).where(smpp_logins.c.id.in_(sa.bindparam("ids", expanding=True)))
_TAKING: Final = (
    sa.select(smpp_logins.c.account_id, smpp_logins.c.id)
    .where(
        smpp_logins.c.account_id.in_(sa.bindparam("account_ids", expanding=True)),
        smpp_logins.c.takes_inbound.is_(True),
    )
    .order_by(smpp_logins.c.id)
)


def add(tx: Transaction, login: Login) -> None:
    """Add a login. Raises ``NotFound`` without its account, ``InvalidRequest`` when its name is taken."""
    one_at_a_time(tx, "smpp logins")
    known = sa.select(accounts.c.auth_id).where(
        accounts.c.auth_id == login.account_id, accounts.c.deleted_at_us.is_(None)
    )
    if tx.execute(known).first() is None:
        raise NotFound(f"there is no account {login.account_id}: ringback account list shows them")
    if find(tx, login.system_id) is not None:
        raise InvalidRequest(f"system id {login.system_id} is taken: choose another")
    tx.execute(smpp_logins.insert().values(msgspec.structs.asdict(login)))


def find(tx: Transaction, system_id: str) -> Login | None:
    """Return the login of a name."""
    row = tx.execute(_BY_NAME, {"system_id": system_id}).one_or_none()
    return None if row is None else Login(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def by_id(tx: Transaction, ids: Collection[str]) -> dict[str, Login]:
    """Return those logins that there are."""
    rows = tx.execute(_BY_ID, {"ids": sorted(ids)})
    return {row.id: Login(**row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name


def list_all(tx: Transaction, account_id: str | None = None) -> list[Login]:
    """Return the logins of an account, or all, by name."""
    query = sa.select(smpp_logins).order_by(smpp_logins.c.system_id)
    if account_id is not None:
        query = query.where(smpp_logins.c.account_id == account_id)
    return [Login(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


def change(tx: Transaction, system_id: str, changes: dict[str, Any]) -> Login:
    """Set some columns of a login; returns it as it is then. Raises ``NotFound``."""
    if changes:
        tx.execute(smpp_logins.update().where(smpp_logins.c.system_id == system_id).values(changes))
    found = find(tx, system_id)
    if found is None:
        raise NotFound(f"there is no SMPP login {system_id}: ringback account smpp list shows them")
    return found


def remove(tx: Transaction, system_id: str) -> int:
    """Remove a login with what it is owed; returns how much that was. Raises ``NotFound``."""
    login = change(tx, system_id, {})
    tx.execute(smpp_logins.delete().where(smpp_logins.c.id == login.id))
    return tx.execute(smpp_owed.delete().where(smpp_owed.c.login_id == login.id)).rowcount


def taking_inbound(tx: Transaction, account_ids: Collection[str]) -> dict[str, list[str]]:
    """Return by account the logins that take messages to its numbers."""
    found: dict[str, list[str]] = {}
    if account_ids:
        for row in tx.execute(_TAKING, {"account_ids": sorted(account_ids)}):
            found.setdefault(row.account_id, []).append(row.id)
    return found
