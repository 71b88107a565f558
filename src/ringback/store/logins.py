"""One-time login links and the sessions they open; only hashes of their secrets are kept."""

import hashlib
from typing import Literal

import sqlalchemy as sa

from ringback.store.port import Transaction
from ringback.store.schema import logins

Kind = Literal["link", "session"]


def add(tx: Transaction, secret: str, kind: Kind, *, now_us: int, expires_at_us: int) -> None:
    """Remember a secret until ``expires_at_us``, and forget those that have expired."""
    tx.execute(logins.delete().where(logins.c.expires_at_us <= now_us))
    tx.execute(
        logins.insert().values(secret_hash=_hash(secret), kind=kind, created_at_us=now_us, expires_at_us=expires_at_us)
    )


def use_link(tx: Transaction, secret: str, now_us: int) -> bool:
    """Use up a login link. Returns whether it was good; it never is again."""
    gone = tx.execute(
        logins.delete().where(
            logins.c.secret_hash == _hash(secret), logins.c.kind == "link", logins.c.expires_at_us > now_us
        )
    )
    return gone.rowcount == 1


def session_is_open(tx: Transaction, secret: str, now_us: int) -> bool:
    """Say whether a session's secret is known and not expired."""
    query = sa.select(logins.c.secret_hash).where(
        logins.c.secret_hash == _hash(secret), logins.c.kind == "session", logins.c.expires_at_us > now_us
    )
    return tx.execute(query).first() is not None


def end_session(tx: Transaction, secret: str) -> None:
    """Forget a session."""
    tx.execute(logins.delete().where(logins.c.secret_hash == _hash(secret), logins.c.kind == "session"))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
