"""Who may log in to the dashboard with a name and a password: operators, and people of one account each."""

import re
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.store import logins
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema import accounts
from ringback.store.schema_access import users

Kind = Literal["operator", "account"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    name: str
    kind: str
    account_id: str | None
    """Of which account; ``None`` of operators."""
    password_hash: str | None = None
    """As ``model.passwords`` has it; ``None`` until one is set."""
    created_at_us: int
    last_login_at_us: int | None = None
    disabled_at_us: int | None = None


def as_name(text: str) -> str:
    """Return a user's name as it is kept: small letters. Raises ``InvalidRequest``."""
    name = text.strip().lower()
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest("a user's name has up to 64 letters, digits and ._@+- and begins with a letter or digit")
    return name


def add(tx: Transaction, user: User) -> None:
    """Add a user. Raises ``NotFound`` without the account, ``InvalidRequest`` when the name is taken."""
    one_at_a_time(tx, "users")
    if user.account_id is not None:
        known = sa.select(accounts.c.auth_id).where(
            accounts.c.auth_id == user.account_id, accounts.c.deleted_at_us.is_(None)
        )
        if tx.execute(known).first() is None:
            raise NotFound(f"there is no account {user.account_id[:20]}: ringback account list shows them")
    if find(tx, user.name) is not None:
        raise InvalidRequest(f"there is a user {user.name} already: choose another name")
    tx.execute(users.insert().values(msgspec.structs.asdict(user)))


def find(tx: Transaction, name: str) -> User | None:
    """Return the user of a name."""
    row = tx.execute(sa.select(users).where(users.c.name == name)).one_or_none()
    return None if row is None else User(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def known(tx: Transaction, name: str) -> User:
    """Return the user of a name. Raises ``NotFound``."""
    found = find(tx, name)
    if found is None:
        raise NotFound(f"there is no user {name[:64]}: ringback users ls shows them")
    return found


def by_id(tx: Transaction, user_id: str) -> User | None:
    """Return a user."""
    row = tx.execute(sa.select(users).where(users.c.id == user_id)).one_or_none()
    return None if row is None else User(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def list_all(tx: Transaction) -> list[User]:
    """Return all users by name."""
    return [User(**row._mapping) for row in tx.execute(sa.select(users).order_by(users.c.name))]  # noqa: SLF001


def set_password(tx: Transaction, name: str, password_hash: str) -> User:
    """Set a password; sessions and links of the user end. Raises ``NotFound``."""
    user = known(tx, name)
    tx.execute(users.update().where(users.c.id == user.id).values(password_hash=password_hash))
    logins.end_of_user(tx, user.id)
    return user


def keep_anew(tx: Transaction, user: User, password_hash: str) -> None:
    """Keep another hash of the same password, unless it was changed meanwhile."""
    same = users.c.password_hash == user.password_hash
    tx.execute(users.update().where(users.c.id == user.id, same).values(password_hash=password_hash))


def disable(tx: Transaction, name: str, now_us: int) -> User:
    """Keep a user from logging in; sessions and links end. Raises ``NotFound``."""
    user = known(tx, name)
    if user.disabled_at_us is None:
        tx.execute(users.update().where(users.c.id == user.id).values(disabled_at_us=now_us))
    logins.end_of_user(tx, user.id)
    return user


def enable(tx: Transaction, name: str) -> User:
    """Let a user log in again. Raises ``NotFound``."""
    user = known(tx, name)
    tx.execute(users.update().where(users.c.id == user.id).values(disabled_at_us=None))
    return user


def remove(tx: Transaction, name: str) -> User:
    """Remove a user with all sessions and links. Raises ``NotFound``."""
    user = known(tx, name)
    logins.end_of_user(tx, user.id)
    tx.execute(users.delete().where(users.c.id == user.id))
    return user


def logged_in(tx: Transaction, user_id: str, now_us: int) -> None:
    """Note when a user logged in last."""
    tx.execute(users.update().where(users.c.id == user_id).values(last_login_at_us=now_us))
