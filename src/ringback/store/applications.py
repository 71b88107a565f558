"""Applications. Who binds something to one locks it, so that it is not deleted meanwhile.

Locks are taken in this order: applications, powerpacks, numbers.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from ringback.model.application import Application
from ringback.model.errors import InvalidRequest
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_numbers import applications, numbers, powerpacks
from ringback.store.scope import Scope


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which applications to list; ``None`` takes all."""

    subaccount_id: str | None = None
    name_prefix: str | None = None


def create(tx: Transaction, new: Application) -> None:
    """Store a new application."""
    if new.is_default_number_app:
        _only_default(tx, Scope(new.account_id, new.subaccount_id), new.app_id)
    tx.execute(applications.insert().values(**msgspec.structs.asdict(new)))


def find(tx: Transaction, scope: Scope, app_id: str) -> Application | None:
    """Return an application, or ``None`` when there is none of that id in the scope."""
    query = sa.select(applications).where(applications.c.app_id == app_id, *scope.conditions(applications))
    row = tx.execute(query).one_or_none()
    return Application(**row._mapping) if row else None  # noqa: SLF001 - SQLAlchemy's public name


def page(tx: Transaction, scope: Scope, wanted: Filter, *, limit: int, offset: int) -> tuple[int, list[Application]]:
    """Return how many applications there are, and some of them, newest first."""
    conditions = scope.conditions(applications)
    if wanted.subaccount_id is not None:
        conditions.append(applications.c.subaccount_id == wanted.subaccount_id)
    if wanted.name_prefix is not None:
        conditions.append(applications.c.name.startswith(wanted.name_prefix, autoescape=True))
    query = (
        sa.select(applications)
        .where(*conditions)
        .order_by(applications.c.created_at_us.desc(), applications.c.app_id)
        .limit(limit)
        .offset(offset)
    )
    total = tx.execute(sa.select(sa.func.count()).select_from(applications).where(*conditions)).scalar_one()
    return total, [Application(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001


def update(tx: Transaction, scope: Scope, app_id: str, changes: Mapping[str, Any]) -> bool:
    """Set fields of an application; says whether there is such a one."""
    # Before the row is locked: whoever makes another one the default locks this row after that.
    one_at_a_time(tx, f"applications {scope.account_id}")
    query = sa.select(applications).where(applications.c.app_id == app_id, *scope.conditions(applications))
    row = tx.execute(query.with_for_update()).one_or_none()
    if row is None:
        return False
    subaccount_id = changes.get("subaccount_id", row.subaccount_id)
    if changes.get("is_default_number_app", row.is_default_number_app):
        _only_default(tx, Scope(row.account_id, subaccount_id), app_id)
    if changes:
        tx.execute(applications.update().where(applications.c.app_id == app_id).values(**changes))
    return True


def delete(tx: Transaction, scope: Scope, app_id: str) -> bool:
    """Remove an application, and unbind what is bound to it; says whether there was such a one."""
    gone = applications.delete().where(applications.c.app_id == app_id, *scope.conditions(applications))
    if tx.execute(gone).rowcount == 0:
        return False
    for table in (powerpacks, numbers):
        tx.execute(table.update().where(table.c.app_id == app_id).values(app_id=None))
    return True


def bindable(tx: Transaction, scope: Scope, app_id: str) -> str:
    """Return ``app_id`` when something may be bound to it: it stays there until the end of the transaction.

    Raises ``InvalidRequest``.
    """
    query = sa.select(applications.c.app_id).where(applications.c.app_id == app_id, *scope.conditions(applications))
    if tx.execute(query.with_for_update(read=True)).first() is None:
        raise InvalidRequest(f"there is no application {app_id[:32]} of yours")
    return app_id


def default_for_numbers(tx: Transaction, scope: Scope) -> str | None:
    """Return the application for numbers that are rented without naming one."""
    query = sa.select(applications.c.app_id).where(
        applications.c.account_id == scope.account_id,
        applications.c.subaccount_id.is_not_distinct_from(scope.subaccount_id),
        applications.c.is_default_number_app,
    )
    app_id: str | None = tx.execute(query.with_for_update(read=True)).scalar_one_or_none()
    return app_id


def _only_default(tx: Transaction, scope: Scope, app_id: str) -> None:
    one_at_a_time(tx, f"applications {scope.account_id}")
    tx.execute(
        applications.update()
        .where(
            applications.c.account_id == scope.account_id,
            applications.c.subaccount_id.is_not_distinct_from(scope.subaccount_id),
            applications.c.is_default_number_app,
            applications.c.app_id != app_id,
        )
        .values(is_default_number_app=False)
    )
