"""Receipts and inbound messages that SMPP logins are owed, until they acknowledge them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import msgspec
import sqlalchemy as sa

from ringback.model.ids import uuid7
from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema_smpp import smpp_owed

COUNT_UP_TO: Final = 100_000


class ReceiptContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says; the numbers are those of the message that it is about."""

    message_id: str
    src: str
    dst: str
    status: str
    error_code: str | None
    submitted_at_us: int
    done_at_us: int


class InboundContent(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote to a number of the account."""

    src: str
    dst: str
    text: str


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is owed, leased under ``lease_token``."""

    id: str
    login_id: str
    message_uuid: str
    kind: Literal["receipt", "inbound"]
    content: str
    attempts_made: int = 0
    due_at_us: int
    lease_token: str | None = None


_DUE: Final = (
    sa.select(smpp_owed)
    .where(smpp_owed.c.login_id == sa.bindparam("login"), smpp_owed.c.due_at_us <= sa.bindparam("now_us"))
    .order_by(smpp_owed.c.due_at_us, smpp_owed.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_LEASE: Final = (
    smpp_owed.update()
    .where(smpp_owed.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(due_at_us=sa.bindparam("until_us"), lease_token=sa.bindparam("token"))
)
_NEXT_DUE: Final = sa.select(sa.func.min(smpp_owed.c.due_at_us)).where(smpp_owed.c.login_id == sa.bindparam("login"))
_HELD: Final = (
    sa.select(smpp_owed.c.id, smpp_owed.c.lease_token)
    .where(smpp_owed.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(smpp_owed.c.id)
    .with_for_update()
)


def add(tx: Transaction, new: Sequence[Owed]) -> None:
    """Store what has become owed."""
    bulk.insert(tx, smpp_owed, [msgspec.structs.asdict(each) for each in new])


def next_due_at_us(tx: Transaction, login_ids: Collection[str]) -> dict[str, int]:
    """Return when the next thing of each login is due, of those that are owed anything."""
    found = {login: tx.execute(_NEXT_DUE, {"login": login}).scalar_one() for login in sorted(login_ids)}
    return {login: due_at_us for login, due_at_us in found.items() if due_at_us is not None}


def claim(tx: Transaction, limits: Mapping[str, int], *, now_us: int, lease_until_us: int, token: str) -> list[Owed]:
    """Lease what is due to some logins, up to so much for each, what is due longest first."""
    found: list[Owed] = []
    for login in sorted(limits):
        rows = tx.execute(_DUE, {"login": login, "now_us": now_us, "limit": limits[login]})
        found += [Owed(**{**row._mapping, "lease_token": token}) for row in rows]  # noqa: SLF001 - public name
    if found:
        tx.execute(_LEASE, {"ids": [each.id for each in found], "until_us": lease_until_us, "token": token})
    return found


def held(tx: Transaction, leased: Sequence[Owed]) -> list[bool]:
    """Say of each whether its lease is still the given one; whoever has lost it changes nothing."""
    tokens = {row.id: row.lease_token for row in tx.execute(_HELD, {"ids": [each.id for each in leased]})}
    return [tokens.get(each.id) == each.lease_token for each in leased]


def finish(tx: Transaction, ids: Sequence[str]) -> None:
    """Remove what is owed no more."""
    if ids:
        tx.execute(smpp_owed.delete().where(smpp_owed.c.id.in_(list(ids))))


def put_back(tx: Transaction, due: Sequence[tuple[Owed, int]]) -> None:
    """Give up leases; each is due again at its time."""
    rows = [
        {"id": owed.id, "due_at_us": at_us, "attempts_made": owed.attempts_made + 1, "lease_token": None}
        for owed, at_us in due
    ]
    bulk.update(tx, smpp_owed, rows, key="id")


def waiting(tx: Transaction) -> dict[str, int]:
    """Return by login how much is owed, counted up to ``COUNT_UP_TO`` in all."""
    some = sa.select(smpp_owed.c.login_id).limit(COUNT_UP_TO).subquery()
    query = sa.select(some.c.login_id, sa.func.count().label("owed")).group_by(some.c.login_id)
    return {row.login_id: row.owed for row in tx.execute(query)}


def prune(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Remove up to ``limit`` things that became owed before ``before_us``; returns how many."""
    query = (
        sa.select(smpp_owed.c.id)
        .where(smpp_owed.c.id < uuid7(max(before_us, 0), bytes(8)))
        .order_by(smpp_owed.c.id)
        .limit(limit)
    )
    ids = tx.execute(query).scalars().all()
    finish(tx, ids)
    return len(ids)
