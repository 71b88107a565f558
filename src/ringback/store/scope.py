"""Whose things a caller sees: a main account all of its own, a subaccount those that are for it.

Applications, numbers and powerpacks carry ``account_id``, the main account, and ``subaccount_id``.
"""

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest
from ringback.store.accounts import Account
from ringback.store.port import Transaction
from ringback.store.schema import accounts
from ringback.store.schema_numbers import applications, numbers, powerpacks


class Scope(msgspec.Struct, frozen=True):
    """A main account, or one subaccount of it."""

    account_id: str
    subaccount_id: str | None

    @classmethod
    def of(cls, account: Account) -> "Scope":
        """Return what an account sees."""
        if account.parent_id is None:
            return cls(account.auth_id, None)
        return cls(account.parent_id, account.auth_id)

    def conditions(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Return what rows of ``table`` must be to be seen."""
        found: list[sa.ColumnElement[bool]] = [table.c.account_id == self.account_id]
        if self.subaccount_id is not None:
            found.append(table.c.subaccount_id == self.subaccount_id)
        return found


def subaccount(tx: Transaction, scope: Scope, auth_id: str | None) -> str | None:
    """Return the subaccount that something is for: the one named, or the caller itself. Raises ``InvalidRequest``."""
    if auth_id is None or auth_id == scope.subaccount_id:
        return scope.subaccount_id
    query = sa.select(accounts.c.auth_id).where(accounts.c.auth_id == auth_id, accounts.c.parent_id == scope.account_id)
    if scope.subaccount_id is not None or tx.execute(query).first() is None:
        raise InvalidRequest(f"subaccount {auth_id[:20]} is not a subaccount of yours")
    return auth_id


def give_back(tx: Transaction, subaccount_id: str) -> None:
    """Leave to the main account what is for a subaccount that goes away."""
    for table in (applications, powerpacks, numbers):
        back: dict[str, object] = {"subaccount_id": None}
        if table is applications:
            # The main account has a default of its own, or wants none.
            back["is_default_number_app"] = False
        tx.execute(table.update().where(table.c.subaccount_id == subaccount_id).values(**back))
