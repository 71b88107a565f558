"""What an account says of itself, what the operator lays down for it, and its subaccounts."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AccountId
from ringback.store import applications, bulk, numbers, powerpacks, schema_numbers
from ringback.store.port import Transaction
from ringback.store.schema import accounts, auth_tokens
from ringback.store.schema_accounts import balances, caller_ids, sandbox_numbers
from ringback.store.scope import Scope, give_back


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """An account as its resource shows it; credit, type and billing mode of a subaccount are its parent's."""

    auth_id: str
    parent_id: str | None
    name: str
    enabled: bool
    account_type: str
    billing_mode: str
    auto_recharge: bool
    balance: int
    """In the unit of ``model.money``."""
    city: str
    address: str
    state: str
    timezone: str
    created_at_us: int
    modified_at_us: int | None


TEXTS: Final = ("name", "city", "address", "state", "timezone")
"""What an account may change of itself."""

_PAYER: Final = accounts.alias("payer")
_PROFILES: Final = (
    sa.select(
        *(accounts.c[name] for name in ("auth_id", "parent_id", "enabled", *TEXTS, "created_at_us", "modified_at_us")),
        *(_PAYER.c[name] for name in ("account_type", "billing_mode", "auto_recharge")),
        sa.func.coalesce(balances.c.balance, 0).label("balance"),
    )
    .join(_PAYER, _PAYER.c.auth_id == sa.func.coalesce(accounts.c.parent_id, accounts.c.auth_id))
    .outerjoin(balances, balances.c.account_id == _PAYER.c.auth_id)
    .where(accounts.c.deleted_at_us.is_(None))
)


def profile(tx: Transaction, auth_id: str) -> Profile:
    """Return an account. Raises ``NotFound``."""
    row = tx.execute(_PROFILES.where(accounts.c.auth_id == auth_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no account {auth_id}: ringback account list shows them")
    return _profile(row)


def profiles(tx: Transaction) -> list[Profile]:
    """Return all accounts, oldest first."""
    return [_profile(row) for row in tx.execute(_PROFILES.order_by(accounts.c.created_at_us, accounts.c.auth_id))]


def change(tx: Transaction, auth_id: str, changes: dict[str, Any], *, now_us: int) -> None:
    """Change columns of an account. Raises ``NotFound``."""
    changed = tx.execute(
        accounts.update()
        .where(accounts.c.auth_id == auth_id, accounts.c.deleted_at_us.is_(None))
        .values(**changes, modified_at_us=now_us)
    ).rowcount
    if not changed:
        raise NotFound(f"there is no account {auth_id}: ringback account list shows them")


def lay_down(tx: Transaction, auth_id: str, changes: dict[str, Any], *, now_us: int) -> None:
    """Change what only the operator may: type, billing mode. Raises ``NotFound``, ``InvalidRequest``."""
    found = profile(tx, auth_id)
    if found.parent_id:
        raise InvalidRequest(f"{auth_id} is a subaccount and goes by its main account: change {found.parent_id}")
    change(tx, auth_id, changes, now_us=now_us)
    if changes.get("billing_mode") == "prepaid":
        bulk.add(tx, balances, [{"account_id": auth_id, "balance": 0}], total="balance")


def add_subaccount(
    tx: Transaction, parent_id: str, auth_id: AccountId, token: str, *, name: str, enabled: bool, now_us: int
) -> None:
    """Add a subaccount with its first token."""
    tx.execute(
        accounts.insert().values(auth_id=auth_id, parent_id=parent_id, name=name, enabled=enabled, created_at_us=now_us)
    )
    tx.execute(auth_tokens.insert().values(token=token, account_id=auth_id, created_at_us=now_us, expires_at_us=None))


def subaccount(tx: Transaction, parent_id: str, auth_id: str) -> Profile:
    """Return a subaccount of an account. Raises ``NotFound``."""
    query = _PROFILES.where(accounts.c.auth_id == auth_id, accounts.c.parent_id == parent_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound("not found")
    return _profile(row)


def subaccounts(tx: Transaction, parent_id: str, *, limit: int, offset: int) -> tuple[int, list[Profile]]:
    """Return how many subaccounts an account has, and a page of them, newest first."""
    mine = (accounts.c.parent_id == parent_id, accounts.c.deleted_at_us.is_(None))
    total = tx.execute(sa.select(sa.func.count()).select_from(accounts).where(*mine)).scalar_one()
    query = (
        _PROFILES.where(accounts.c.parent_id == parent_id)
        .order_by(accounts.c.created_at_us.desc(), accounts.c.auth_id)
        .limit(limit)
        .offset(offset)
    )
    return total, [_profile(row) for row in tx.execute(query)]


def is_subaccount_of(tx: Transaction, auth_id: str, parent_id: str) -> bool:
    """Say whether one account is, or was, a subaccount of the other."""
    query = sa.select(accounts.c.auth_id).where(accounts.c.auth_id == auth_id, accounts.c.parent_id == parent_id)
    return tx.execute(query).first() is not None


def delete_subaccount(tx: Transaction, parent_id: str, auth_id: str, *, cascade: bool, now_us: int) -> None:
    """Delete a subaccount. Raises ``NotFound``.

    Its row and tokens stay, so that callbacks it is still owed can be signed. Its numbers,
    applications, powerpacks and verified numbers go with it if ``cascade`` says so, else to its parent.
    """
    subaccount(tx, parent_id, auth_id)
    change(tx, auth_id, {"enabled": False, "deleted_at_us": now_us}, now_us=now_us)
    for table in (caller_ids, sandbox_numbers):
        mine = table.c.account_id == auth_id
        if not cascade:
            known = sa.select(table.c.number).where(table.c.account_id == parent_id)
            tx.execute(table.update().where(mine, table.c.number.not_in(known)).values(account_id=parent_id))
        tx.execute(table.delete().where(mine))
    if cascade:
        _give_up(tx, Scope(parent_id, auth_id))
    give_back(tx, auth_id)
    # What the parent has verified for it is for everybody again.
    tx.execute(caller_ids.update().where(caller_ids.c.subaccount == auth_id).values(subaccount=""))


def _give_up(tx: Transaction, scope: Scope) -> None:
    """Remove a subaccount's powerpacks and applications, and give up its numbers."""
    numbers.unrent_all(tx, scope)
    for uuid in tx.execute(
        sa.select(schema_numbers.powerpacks.c.uuid).where(*scope.conditions(schema_numbers.powerpacks))
    ):
        powerpacks.delete(tx, scope, uuid[0], unrents=False)
    for app_id in tx.execute(
        sa.select(schema_numbers.applications.c.app_id).where(*scope.conditions(schema_numbers.applications))
    ):
        applications.delete(tx, scope, app_id[0])


def tokens(tx: Transaction, auth_ids: list[str], now_us: int) -> dict[str, list[str]]:
    """Return the tokens that are valid now by account, newest first."""
    alive = sa.or_(auth_tokens.c.expires_at_us.is_(None), auth_tokens.c.expires_at_us > now_us)
    query = (
        sa.select(auth_tokens.c.account_id, auth_tokens.c.token)
        .where(auth_tokens.c.account_id.in_(auth_ids), alive)
        .order_by(auth_tokens.c.created_at_us.desc(), auth_tokens.c.token)
    )
    found: dict[str, list[str]] = {auth_id: [] for auth_id in auth_ids}
    for row in tx.execute(query):
        found[row.account_id].append(row.token)
    return found


def _profile(row: Any) -> Profile:
    return Profile(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
