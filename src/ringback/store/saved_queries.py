"""Questions in SQL that somebody keeps under a name: each account has its own, and the operators have theirs."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_saved_queries import saved_queries

MOST: Final = 500
"""Of one account, or of the operators."""
LONGEST_NAME: Final = 60


class SavedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One of them."""

    account_id: str | None
    """``None`` for the operators'."""
    name: str
    sql: str
    saved_by: str
    saved_at_us: int


def save(tx: Transaction, query: SavedQuery) -> bool:
    """Keep a query, in place of one of the same name; returns whether there was one.

    Raises ``InvalidRequest`` when there are ``MOST`` already.
    """
    if not query.name.strip() or len(query.name) > LONGEST_NAME or not query.name.isprintable():
        raise InvalidRequest(f"the name of a query has 1 to {LONGEST_NAME} characters, all of them printable")
    if not query.sql.strip():
        raise InvalidRequest("there is no question to save")
    one_at_a_time(tx, "saved queries")
    is_there = remove(tx, query.account_id, query.name)
    theirs = saved_queries.c.account_id == _owner(query.account_id)
    if (tx.execute(sa.select(sa.func.count()).select_from(saved_queries).where(theirs)).scalar() or 0) >= MOST:
        raise InvalidRequest(f"there are {MOST} saved queries already: delete one first")
    tx.execute(saved_queries.insert(), [msgspec.structs.asdict(query) | {"account_id": _owner(query.account_id)}])
    return is_there


def find(tx: Transaction, account_id: str | None, name: str) -> SavedQuery | None:
    """Return the query of a name."""
    row = tx.execute(sa.select(saved_queries).where(*_of(account_id, name))).one_or_none()
    return _query(row) if row else None


def every(tx: Transaction, account_id: str | None) -> list[SavedQuery]:
    """Return an account's, or with ``None`` the operators', by name."""
    query = sa.select(saved_queries).where(saved_queries.c.account_id == _owner(account_id))
    return [_query(row) for row in tx.execute(query.order_by(saved_queries.c.name))]


def remove(tx: Transaction, account_id: str | None, name: str) -> bool:
    """Forget a query; returns whether there was one."""
    return tx.execute(saved_queries.delete().where(*_of(account_id, name))).rowcount > 0


def _of(account_id: str | None, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return saved_queries.c.account_id == _owner(account_id), saved_queries.c.name == name


def _owner(account_id: str | None) -> str:
    return account_id or ""


def _query(row: Any) -> SavedQuery:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return SavedQuery(**fields | {"account_id": row.account_id or None})
