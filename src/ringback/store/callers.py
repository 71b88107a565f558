"""Numbers that belong to whoever uses an account: sandbox numbers, added by the operator, and caller ids, which a code
that was sent there has proved.

An account of type developer may send to either kind, and to nobody else.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.store import profiles
from ringback.store.accounts import Account
from ringback.store.order import one_at_a_time
from ringback.store.port import Store, Transaction
from ringback.store.schema_accounts import caller_ids, sandbox_numbers, verifications

MOST_TRIES: Final = 5
"""So often may a wrong code be given; then the right one is none any more."""

VALID_US: Final = 900_000_000
"""How long a code is good."""
APART_US: Final = 60_000_000
"""The least time between two codes to one number."""
MOST_OPEN: Final = 20
"""So many codes of an account may be good at a time: they go to numbers of which nobody knows yet whose they are."""


class CallerId(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is verified."""

    account_id: str
    number: str
    alias: str
    country: str
    subaccount: str
    verification_uuid: str
    created_at_us: int
    modified_at_us: int


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """A code on its way to a number."""

    uuid: str
    account_id: str
    number: str
    alias: str
    country: str
    subaccount: str
    expires_at_us: int


def begin(tx: Transaction, new: Verification, code: str, *, now_us: int) -> None:
    """Remember a code; the one that was sent to the number before, and all that have expired, are forgotten.

    Raises ``InvalidRequest`` when the account sends codes too often.
    """
    _alone(tx, new.account_id)
    tx.execute(verifications.delete().where(verifications.c.expires_at_us <= now_us))
    query = sa.select(verifications.c.number, verifications.c.expires_at_us)
    good = {row.number: row for row in tx.execute(query.where(verifications.c.account_id == new.account_id))}
    before = good.get(new.number)
    if before is not None and before.expires_at_us > now_us + VALID_US - APART_US:
        raise InvalidRequest(
            f"a code was sent to {new.number} a moment ago: wait {APART_US // 1_000_000} s for another"
        )
    if before is None and len(good) >= MOST_OPEN:
        raise InvalidRequest(
            f"{MOST_OPEN} codes are waiting to be entered: enter them, or wait until they have expired"
        )
    of_number = (verifications.c.account_id == new.account_id, verifications.c.number == new.number)
    tx.execute(verifications.delete().where(*of_number))
    row = msgspec.structs.asdict(new)
    tx.execute(verifications.insert().values(**row, code_hash=_hash(new.uuid, code), tries=0))


def verify(tx: Transaction, account_id: str, uuid: str, code: str, *, now_us: int) -> CallerId | None:
    """Take a code: returns the number as verified, or ``None`` when the code is wrong, which is counted.

    Raises ``NotFound`` when there is no such verification, or not any more.
    """
    _alone(tx, account_id)
    query = sa.select(verifications).where(verifications.c.uuid == uuid).with_for_update()
    row = tx.execute(query).one_or_none()
    if row is None or row.account_id != account_id or row.expires_at_us <= now_us or row.tries >= MOST_TRIES:
        raise NotFound("not found")
    if not hmac.compare_digest(_hash(uuid, code), row.code_hash):
        tx.execute(verifications.update().where(verifications.c.uuid == uuid).values(tries=row.tries + 1))
        return None
    tx.execute(verifications.delete().where(verifications.c.uuid == uuid))
    known = tx.execute(_one(account_id, row.number)).one_or_none()
    tx.execute(caller_ids.delete().where(*_is(account_id, row.number)))
    verified = CallerId(
        account_id=account_id,
        number=row.number,
        alias=row.alias,
        country=row.country,
        subaccount=row.subaccount,
        verification_uuid=uuid,
        created_at_us=known.created_at_us if known else now_us,
        modified_at_us=now_us,
    )
    tx.execute(caller_ids.insert().values(**msgspec.structs.asdict(verified)))
    return verified


def find(tx: Transaction, account_id: str, number: str) -> CallerId:
    """Return a verified number. Raises ``NotFound``."""
    row = tx.execute(_one(account_id, number)).one_or_none()
    if row is None:
        raise NotFound("not found")
    return _caller_id(row)


def page(
    tx: Transaction, account_id: str, equal: dict[str, str], *, limit: int, offset: int
) -> tuple[int, list[CallerId]]:
    """Return how many verified numbers there are whose columns equal the given values, and a page, newest first."""
    conditions = [caller_ids.c.account_id == account_id, *(caller_ids.c[name] == equal[name] for name in equal)]
    total = tx.execute(sa.select(sa.func.count()).select_from(caller_ids).where(*conditions)).scalar_one()
    query = (
        sa.select(caller_ids)
        .where(*conditions)
        .order_by(caller_ids.c.created_at_us.desc(), caller_ids.c.number)
        .limit(limit)
        .offset(offset)
    )
    return total, [_caller_id(row) for row in tx.execute(query)]


def change(tx: Transaction, account_id: str, number: str, changes: dict[str, str], *, now_us: int) -> CallerId:
    """Change alias or subaccount. Raises ``NotFound``."""
    tx.execute(caller_ids.update().where(*_is(account_id, number)).values(**changes, modified_at_us=now_us))
    return find(tx, account_id, number)


def delete(tx: Transaction, account_id: str, number: str) -> None:
    """Forget a verified number. Raises ``NotFound``."""
    if not tx.execute(caller_ids.delete().where(*_is(account_id, number))).rowcount:
        raise NotFound("not found")


def add_sandbox(tx: Transaction, account_id: str, number: str, *, now_us: int) -> None:
    """Let an account of type developer send to a number. Raises ``NotFound``, ``InvalidRequest``."""
    profiles.profile(tx, account_id)
    if number in sandbox(tx, account_id):
        raise InvalidRequest(f"{number} is a sandbox number of {account_id} already")
    tx.execute(sandbox_numbers.insert().values(account_id=account_id, number=number, created_at_us=now_us))


def remove_sandbox(tx: Transaction, account_id: str, number: str) -> None:
    """Take a sandbox number away. Raises ``InvalidRequest``."""
    mine = (sandbox_numbers.c.account_id == account_id, sandbox_numbers.c.number == number)
    if not tx.execute(sandbox_numbers.delete().where(*mine)).rowcount:
        raise InvalidRequest(f"{number} is no sandbox number of {account_id}: ringback sandbox list shows them")


def sandbox(tx: Transaction, account_id: str) -> list[str]:
    """Return an account's sandbox numbers, oldest first."""
    query = (
        sa.select(sandbox_numbers.c.number)
        .where(sandbox_numbers.c.account_id == account_id)
        .order_by(sandbox_numbers.c.created_at_us, sandbox_numbers.c.number)
    )
    return list(tx.execute(query).scalars())


class Reach:
    """Whom accounts of type developer may send to, as last read, at most ``ttl_s`` old."""

    def __init__(self, store: Store, *, ttl_s: float = 2.0) -> None:
        self._store = store
        self._ttl_us = round(ttl_s * 1_000_000)
        self._known: dict[str, tuple[int, frozenset[str]]] = {}

    async def of(self, account: Account, now_us: int) -> frozenset[str]:
        """Return the numbers of an account and of its parent. Raises ``StoreUnavailable``."""
        known = self._known.get(account.auth_id)
        if known and now_us - known[0] < self._ttl_us:
            return known[1]
        owners = [each for each in (account.auth_id, account.parent_id) if each]
        found = await self._store.read(lambda tx: _reachable(tx, owners))
        self._known[account.auth_id] = (now_us, found)
        return found


def _reachable(tx: Transaction, owners: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for table in (sandbox_numbers, caller_ids):
        found.update(tx.execute(sa.select(table.c.number).where(table.c.account_id.in_(owners))).scalars())
    return frozenset(found)


def _alone(tx: Transaction, account_id: str) -> None:
    one_at_a_time(tx, f"caller ids of {account_id}")


def _is(account_id: str, number: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return caller_ids.c.account_id == account_id, caller_ids.c.number == number


def _one(account_id: str, number: str) -> sa.Select[Any]:
    return sa.select(caller_ids).where(*_is(account_id, number))


def _caller_id(row: Any) -> CallerId:
    return CallerId(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _hash(uuid: str, code: str) -> str:
    return hashlib.sha256(f"{uuid} {code}".encode()).hexdigest()
