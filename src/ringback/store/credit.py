"""Credit of prepaid accounts: charging it, adding to it, and the ledger that explains a balance.

A subaccount pays from its main account's credit. Balance and ledger change in one transaction, so the totals of an
account's entries always add up to its balance.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest
from ringback.store import bulk, profiles
from ringback.store.port import Transaction
from ringback.store.rollups import HOUR_US
from ringback.store.schema import accounts
from ringback.store.schema_accounts import balances, ledger
from ringback.store.submissions import Submission


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger: credit that was added, or an hour's charges."""

    at_us: int
    kind: str
    reference: str
    total: int
    note: str | None


_PAYER: Final = accounts.alias("payer")
_PAYERS: Final = (
    sa.select(accounts.c.auth_id, _PAYER.c.auth_id.label("payer_id"), _PAYER.c.billing_mode, balances.c.balance)
    .join(_PAYER, _PAYER.c.auth_id == sa.func.coalesce(accounts.c.parent_id, accounts.c.auth_id))
    .outerjoin(balances, balances.c.account_id == _PAYER.c.auth_id)
    .where(accounts.c.auth_id.in_(sa.bindparam("auth_ids", expanding=True)))
)
_REFUSE: Final = (
    balances.update()
    .where(balances.c.account_id == sa.bindparam("payer_id"))
    .values(refused_until_us=sa.bindparam("until_us"))
)


def charge(tx: Transaction, amounts: Mapping[str, int], *, now_us: int) -> None:
    """Charge what accounts owe for messages that were handed over; each pays by itself or through its main account.

    One that is prepaid no more owes nothing. Many transactions want to do this at once: call it last, to hold the rows
    shortly.
    """
    if not amounts:
        return
    found = tx.execute(_PAYERS, {"auth_ids": list(amounts)})
    payers = {row.auth_id: row.payer_id for row in found if row.billing_mode == "prepaid"}
    owed = [(payers[auth_id], auth_id, amount) for auth_id, amount in sorted(amounts.items()) if auth_id in payers]
    totals: dict[str, int] = defaultdict(int)
    for payer_id, _, amount in owed:
        totals[payer_id] -= amount
    # In one order for everybody: two that charge the same accounts never wait for each other.
    rows = [{"account_id": payer_id, "balance": total} for payer_id, total in sorted(totals.items())]
    bulk.add(tx, balances, rows, total="balance")
    hour_at_us = now_us // HOUR_US * HOUR_US
    bulk.add(
        tx,
        ledger,
        [
            {"account_id": payer_id, "at_us": hour_at_us, "kind": "charge", "reference": auth_id, "total": -amount}
            for payer_id, auth_id, amount in sorted(owed)
        ],
        total="total",
    )


def unpaid(tx: Transaction, wanted: Sequence[Submission], *, refuse_until_us: int) -> list[str]:
    """Return the uuids of messages for which their accounts' credit does not suffice, one after the other in order.

    The accounts of those get no new messages in until ``refuse_until_us``. What other transactions have leased and not
    yet charged is not counted: a balance can fall below zero by as much as is in flight.
    """
    priced = [(each, each.price) for each in wanted if each.price is not None]
    if not priced:
        return []
    found = tx.execute(_PAYERS, {"auth_ids": list({each.account_id for each, _ in priced})}).all()
    payers = {row.auth_id: row.payer_id for row in found}
    left = {row.payer_id: row.balance or 0 for row in found if row.billing_mode == "prepaid"}
    refused: list[str] = []
    broke: set[str] = set()
    for each, price in priced:
        payer_id = payers[each.account_id]
        if payer_id not in left:
            continue
        if left[payer_id] < price:
            refused.append(each.message_uuid)
            broke.add(payer_id)
        else:
            left[payer_id] -= price
    for payer_id in sorted(broke):
        tx.execute(_REFUSE, {"payer_id": payer_id, "until_us": refuse_until_us})
    return refused


def add(tx: Transaction, account_id: str, amount: int, *, entry_id: str, note: str | None, now_us: int) -> int:
    """Add to an account's credit, or take from it; returns the balance. Raises ``NotFound``, ``InvalidRequest``."""
    found = profiles.profile(tx, account_id)
    if found.parent_id:
        raise InvalidRequest(f"{account_id} pays from its main account's credit: add to that of {found.parent_id}")
    bulk.add(tx, balances, [{"account_id": account_id, "balance": amount}], total="balance")
    entry = {"account_id": account_id, "at_us": now_us, "kind": "credit", "reference": entry_id}
    tx.execute(ledger.insert().values(**entry, total=amount, note=note))
    balance: int = tx.execute(sa.select(balances.c.balance).where(balances.c.account_id == account_id)).scalar_one()
    if balance > 0:
        tx.execute(_REFUSE, {"payer_id": account_id, "until_us": None})
    return balance


def entries(tx: Transaction, account_id: str, *, limit: int) -> list[Entry]:
    """Return an account's ledger, newest first."""
    query = (
        sa.select(ledger.c.at_us, ledger.c.kind, ledger.c.reference, ledger.c.total, ledger.c.note)
        .where(ledger.c.account_id == account_id)
        .order_by(ledger.c.at_us.desc(), ledger.c.kind, ledger.c.reference)
        .limit(limit)
    )
    return [Entry(**row._mapping) for row in tx.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
