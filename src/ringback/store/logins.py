"""Login links that work once, and the sessions that they and passwords open; only hashes of their secrets are kept."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import accounts, logins
from ringback.store.schema_access import sessions, users

OpenedBy = Literal["link", "password"]

_MAIN = accounts.alias("main")


class Link(msgspec.Struct, frozen=True):
    """Whom a login link lets in: a user, or somebody of an account, or an operator without both."""

    user_id: str | None = None
    account_id: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is logged in."""

    id: str
    user_id: str | None
    """``None`` of who came with a link that names no user."""
    account_id: str | None
    """``None`` of operators."""
    opened_by: str
    created_at_us: int
    seen_at_us: int
    expires_at_us: int
    address: str
    browser: str


def add_link(tx: Transaction, secret: str, link: Link, *, now_us: int, expires_at_us: int) -> None:
    """Remember a link until ``expires_at_us``, and forget those that have expired."""
    tx.execute(logins.delete().where(logins.c.expires_at_us <= now_us))
    tx.execute(
        logins.insert().values(
            secret_hash=_hash(secret),
            kind="link",
            created_at_us=now_us,
            expires_at_us=expires_at_us,
            user_id=link.user_id,
            account_id=link.account_id,
        )
    )


def use_link(tx: Transaction, secret: str, now_us: int) -> Link | None:
    """Use up a login link. Returns whom it lets in, ``None`` when it is no good; it never is again."""
    is_good = sa.and_(logins.c.secret_hash == _hash(secret), logins.c.kind == "link", logins.c.expires_at_us > now_us)
    row = tx.execute(sa.select(logins.c.user_id, logins.c.account_id).where(is_good)).one_or_none()
    # Of two who use it at a time, one finds it gone.
    gone = tx.execute(logins.delete().where(is_good)).rowcount
    return Link(row.user_id, row.account_id) if row is not None and gone == 1 else None


def open_session(tx: Transaction, secret: str, session: Session) -> None:
    """Store a session, and forget those that have expired."""
    tx.execute(sessions.delete().where(sessions.c.expires_at_us <= session.created_at_us))
    columns = msgspec.structs.asdict(session)
    columns |= {"address": session.address[:64], "browser": session.browser.replace("\x00", "")[:200]}
    tx.execute(sessions.insert().values(secret_hash=_hash(secret), **columns))


def find_session(tx: Transaction, secret: str, now_us: int, *, idle_us: int) -> Session | None:
    """Return the session of a secret, if it is open.

    It is not when it has expired, was not used for ``idle_us``, or its user is disabled or gone.
    """
    query = (
        sa.select(sessions)
        .outerjoin(users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.secret_hash == _hash(secret),
            sessions.c.expires_at_us > now_us,
            sessions.c.seen_at_us > now_us - idle_us,
            sa.or_(sessions.c.user_id.is_(None), sa.and_(users.c.id.is_not(None), users.c.disabled_at_us.is_(None))),
        )
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else _session(row)


def seen_accounts(tx: Transaction, account_id: str) -> frozenset[str]:
    """Return the accounts that people of one see: itself and its subaccounts, also those that were deleted.

    None when the account is disabled or gone, or its main account is.
    """
    whose = (
        sa.select(accounts.c.auth_id)
        .outerjoin(_MAIN, _MAIN.c.auth_id == accounts.c.parent_id)
        .where(
            accounts.c.auth_id == account_id,
            accounts.c.enabled.is_(True),
            accounts.c.deleted_at_us.is_(None),
            sa.or_(accounts.c.parent_id.is_(None), _MAIN.c.enabled.is_(True)),
        )
    )
    if tx.execute(whose).one_or_none() is None:
        return frozenset()
    below = tx.execute(sa.select(accounts.c.auth_id).where(accounts.c.parent_id == account_id)).scalars()
    return frozenset({account_id, *below})


def use_session(tx: Transaction, session_id: str, now_us: int) -> None:
    """Note that a session is in use."""
    tx.execute(sessions.update().where(sessions.c.id == session_id).values(seen_at_us=now_us))


def change_secret(tx: Transaction, session_id: str, secret: str) -> None:
    """Give a session another secret; the one before opens nothing any more."""
    tx.execute(sessions.update().where(sessions.c.id == session_id).values(secret_hash=_hash(secret)))


def like(tx: Transaction, session: Session, now_us: int) -> Sequence[Session]:
    """Return the sessions of the same person, newest first: the same user's, or all of links for the same account."""
    query = sa.select(sessions).where(_same(session), sessions.c.expires_at_us > now_us)
    return [_session(row) for row in tx.execute(query.order_by(sessions.c.created_at_us.desc(), sessions.c.id))]


def end_session(tx: Transaction, secret: str) -> Session | None:
    """End a session; returns it if there was one."""
    found = tx.execute(sa.select(sessions).where(sessions.c.secret_hash == _hash(secret))).one_or_none()
    tx.execute(sessions.delete().where(sessions.c.secret_hash == _hash(secret)))
    return None if found is None else _session(found)


def end_one(tx: Transaction, session: Session, session_id: str) -> bool:
    """End another session of the same person; says whether there was such a one."""
    return tx.execute(sessions.delete().where(_same(session), sessions.c.id == session_id)).rowcount == 1


def end_others(tx: Transaction, session: Session) -> int:
    """End all other sessions of the same person; returns how many there were."""
    return tx.execute(sessions.delete().where(_same(session), sessions.c.id != session.id)).rowcount


def end_of_user(tx: Transaction, user_id: str) -> int:
    """End all sessions of a user and what links would open; returns how many sessions there were."""
    tx.execute(logins.delete().where(logins.c.user_id == user_id))
    return tx.execute(sessions.delete().where(sessions.c.user_id == user_id)).rowcount


def prune(tx: Transaction, now_us: int) -> int:
    """Forget links and sessions that have expired; returns how many."""
    return sum(
        tx.execute(table.delete().where(table.c.expires_at_us <= now_us)).rowcount for table in (logins, sessions)
    )


def _same(session: Session) -> sa.ColumnElement[bool]:
    if session.user_id is not None:
        return sessions.c.user_id == session.user_id
    return sa.and_(sessions.c.user_id.is_(None), sessions.c.account_id.is_not_distinct_from(session.account_id))


def _session(row: sa.Row[tuple[object, ...]]) -> Session:
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    columns.pop("secret_hash")
    return Session(**columns)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
