"""Secrets that Ringback makes for itself, once for all its processes."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ringback.store.port import Transaction
from ringback.store.schema import keys


def ensure(tx: Transaction, name: str, fresh: str) -> str:
    """Return the secret of that name; ``fresh`` becomes it if there is none yet."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    tx.execute(dialect.insert(keys).values(name=name, secret=fresh).on_conflict_do_nothing())
    return str(tx.execute(sa.select(keys.c.secret).where(keys.c.name == name)).scalar_one())


def find(tx: Transaction, name: str) -> str | None:
    """Return the secret of that name, if there is one."""
    secret = tx.execute(sa.select(keys.c.secret).where(keys.c.name == name)).scalar_one_or_none()
    return None if secret is None else str(secret)


def note_written(tx: Transaction, now_us: int) -> None:
    """Write something that nobody needs: it fails where everything else would."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"name": "last written", "secret": str(now_us)}
    tx.execute(dialect.insert(keys).values(row).on_conflict_do_update(index_elements=["name"], set_=row))


def replace(tx: Transaction, name: str, secret: str) -> None:
    """Store a secret in the place of the one of that name."""
    tx.execute(keys.delete().where(keys.c.name == name))
    tx.execute(keys.insert().values(name=name, secret=secret))
