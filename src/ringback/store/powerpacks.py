"""Powerpacks, the numbers of their pools, and which of them a recipient has had."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest
from ringback.model.inventory import SHORTCODE, Number, types_meant
from ringback.model.powerpack import MMS, Candidate, Powerpack, Priority
from ringback.store import bulk
from ringback.store import numbers as inventory
from ringback.store.numbers import IN_USE
from ringback.store.port import Transaction
from ringback.store.schema_numbers import numbers, powerpacks, sticky_senders
from ringback.store.scope import Scope

POOL_COLUMNS: Final = tuple(name for name in IN_USE if name.startswith("pool") or name == "powerpack_uuid")


class PoolFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which numbers of a pool to list; ``None`` takes all."""

    kind: str
    """``number`` (all but short codes), ``tollfree`` or ``shortcode``."""
    prefixes: tuple[str, ...] = ()
    country: str | None = None
    type: str | None = None
    service: str | None = None


_CANDIDATES: Final = (
    sa.select(
        numbers.c.number,
        numbers.c.country,
        numbers.c.type,
        numbers.c.area_code,
        numbers.c.sms_enabled.label("does_sms"),
        sa.and_(numbers.c.mms_enabled, numbers.c.pool_service == MMS).label("does_mms"),
        numbers.c.pool_load.label("load"),
    )
    .where(numbers.c.powerpack_uuid == sa.bindparam("uuid"))
    .order_by(numbers.c.number)
)
_KEPT: Final = sa.select(sticky_senders).where(
    sticky_senders.c.powerpack_uuid == sa.bindparam("uuid"),
    sticky_senders.c.recipient.in_(sa.bindparam("recipients", expanding=True)),
)
_FORGET: Final = sticky_senders.delete().where(
    sticky_senders.c.powerpack_uuid == sa.bindparam("uuid"),
    sticky_senders.c.recipient.in_(sa.bindparam("recipients", expanding=True)),
)


# ---- powerpacks ----


def create(tx: Transaction, new: Powerpack) -> None:
    """Store a new powerpack."""
    tx.execute(powerpacks.insert().values(**{**msgspec.structs.asdict(new), "priorities": stored(new.priorities)}))


def stored(priorities: Sequence[Priority]) -> str:
    """Return priorities as their column has them."""
    return msgspec.json.encode(priorities).decode()


def find(tx: Transaction, scope: Scope, uuid: str, *, lock: bool = False) -> Powerpack | None:
    """Return a powerpack, or ``None`` when there is none of that id in the scope.

    With ``lock`` it is there, and nobody else's who locks it, until the end of the transaction.
    """
    query = sa.select(powerpacks).where(powerpacks.c.uuid == uuid, *scope.conditions(powerpacks))
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    return _powerpack(row) if row else None


def page(tx: Transaction, scope: Scope, *, service: str | None, limit: int, offset: int) -> tuple[int, list[Powerpack]]:
    """Return how many powerpacks there are, and some of them, newest first.

    With ``service`` those that have a number for it.
    """
    conditions = scope.conditions(powerpacks)
    if service is not None:
        able = sa.select(numbers.c.number).where(numbers.c.powerpack_uuid == powerpacks.c.uuid, *_does(service))
        conditions.append(able.exists())
    query = (
        sa.select(powerpacks)
        .where(*conditions)
        .order_by(powerpacks.c.created_at_us.desc(), powerpacks.c.uuid)
        .limit(limit)
        .offset(offset)
    )
    total = tx.execute(sa.select(sa.func.count()).select_from(powerpacks).where(*conditions)).scalar_one()
    return total, [_powerpack(row) for row in tx.execute(query)]


def update(tx: Transaction, scope: Scope, uuid: str, changes: Mapping[str, Any]) -> Powerpack | None:
    """Set fields of a powerpack and return it; ``None`` when there is no such one."""
    found = find(tx, scope, uuid, lock=True)
    if found is None or not changes:
        return found
    columns = {**changes, "priorities": stored(changes.get("priorities", found.priorities))}
    tx.execute(powerpacks.update().where(powerpacks.c.uuid == uuid).values(**columns))
    return msgspec.structs.replace(found, **changes)


def delete(tx: Transaction, scope: Scope, uuid: str, *, unrents: bool) -> bool:
    """Remove a powerpack; its numbers are in no pool then, or given up. Says whether there was such a one."""
    gone = powerpacks.delete().where(powerpacks.c.uuid == uuid, *scope.conditions(powerpacks))
    if tx.execute(gone).rowcount == 0:
        return False
    if unrents:
        inventory.unrent_pool(tx, uuid)
    else:
        pool = numbers.c.powerpack_uuid == uuid
        tx.execute(numbers.update().where(pool).values(dict.fromkeys(POOL_COLUMNS)))
    tx.execute(sticky_senders.delete().where(sticky_senders.c.powerpack_uuid == uuid))
    return True


def _powerpack(row: Any) -> Powerpack:
    columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    columns["priorities"] = msgspec.json.decode(columns["priorities"], type=tuple[Priority, ...])
    return Powerpack(**columns)


# ---- pools ----


def put_in(tx: Transaction, scope: Scope, uuid: str, number: Number, *, service: str, now_us: int) -> None:
    """Put a number that the scope has into the pool of a powerpack that is locked. Raises ``InvalidRequest``."""
    least = sa.select(sa.func.min(numbers.c.pool_load)).where(numbers.c.powerpack_uuid == uuid)
    # As much as the least used: with less it would get everything until it has caught up.
    load = tx.execute(least).scalar_one() or 0
    mine = (numbers.c.number == number.number, numbers.c.powerpack_uuid.is_(None), *scope.conditions(numbers))
    values = {"powerpack_uuid": uuid, "pool_service": service, "pool_load": load, "pooled_at_us": now_us}
    if tx.execute(numbers.update().where(*mine).values(**values)).rowcount == 0:
        raise InvalidRequest(f"{number.number} is in a powerpack already: take it out there first")


def take_out(tx: Transaction, uuid: str, number: str) -> None:
    """Take a number out of a pool."""
    there = (numbers.c.number == number, numbers.c.powerpack_uuid == uuid)
    tx.execute(numbers.update().where(*there).values(dict.fromkeys(POOL_COLUMNS)))


def pool_page(tx: Transaction, uuid: str, wanted: PoolFilter, *, limit: int, offset: int) -> tuple[int, list[Number]]:
    """Return how many numbers a pool has, and some of them, by number."""
    conditions = [numbers.c.powerpack_uuid == uuid, _is_kind(wanted.kind)]
    if wanted.country is not None:
        conditions.append(numbers.c.country == wanted.country)
    if wanted.type is not None:
        conditions.append(numbers.c.type.in_(types_meant(wanted.type)))
    if wanted.service is not None:
        conditions += _does(wanted.service)
    if wanted.prefixes:
        conditions.append(sa.or_(*(inventory.begins_with(prefix) for prefix in wanted.prefixes)))
    return inventory.matching(tx, conditions, limit=limit, offset=offset)


def in_pool(tx: Transaction, uuid: str, kind: str, number: str) -> Number | None:
    """Return a number of a pool; ``kind`` as in ``PoolFilter``."""
    there = (numbers.c.number == number, numbers.c.powerpack_uuid == uuid, _is_kind(kind))
    _, found = inventory.matching(tx, there, limit=1, offset=0)
    return found[0] if found else None


def _is_kind(kind: str) -> sa.ColumnElement[bool]:
    return numbers.c.type != SHORTCODE if kind == "number" else numbers.c.type == kind


def _does(service: str) -> list[sa.ColumnElement[bool]]:
    able: list[sa.ColumnElement[bool]] = [numbers.c[f"{service}_enabled"]]
    return [*able, numbers.c.pool_service == MMS] if service == MMS else able


# ---- choosing ----


def candidates(tx: Transaction, uuid: str) -> list[Candidate]:
    """Return the numbers of a pool to choose from."""
    return [
        Candidate(**{**row._mapping, "does_mms": bool(row.does_mms)})  # noqa: SLF001
        for row in tx.execute(_CANDIDATES, {"uuid": uuid})
    ]


def kept_numbers(tx: Transaction, uuid: str, recipients: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return the number that each recipient had last, and when that was noted."""
    rows = tx.execute(_KEPT, {"uuid": uuid, "recipients": list(recipients)})
    return {row.recipient: (row.number, row.used_at_us) for row in rows}


def keep_numbers(tx: Transaction, uuid: str, chosen: Mapping[str, str], *, now_us: int) -> None:
    """Note the number of each recipient, of a powerpack that is locked."""
    if not chosen:
        return
    tx.execute(_FORGET, {"uuid": uuid, "recipients": list(chosen)})
    bulk.insert(
        tx,
        sticky_senders,
        [
            {"powerpack_uuid": uuid, "recipient": recipient, "number": number, "used_at_us": now_us}
            for recipient, number in chosen.items()
        ],
    )


def set_loads(tx: Transaction, loads: Mapping[str, int]) -> None:
    """Note how much numbers have sent, of a powerpack that is locked."""
    rows = [{"number": number, "pool_load": load} for number, load in sorted(loads.items())]
    bulk.update(tx, numbers, rows, key="number")


def prune_kept(tx: Transaction, *, before_us: int, limit: int) -> int:
    """Forget up to ``limit`` recipients that nothing was sent to since ``before_us``; returns how many."""
    query = (
        sa.select(sticky_senders.c.powerpack_uuid, sticky_senders.c.recipient)
        .where(sticky_senders.c.used_at_us < before_us)
        .order_by(sticky_senders.c.used_at_us)
        .limit(limit)
    )
    old = [(row.powerpack_uuid, row.recipient) for row in tx.execute(query)]
    if not old:
        return 0
    key = sa.tuple_(sticky_senders.c.powerpack_uuid, sticky_senders.c.recipient)
    return tx.execute(sticky_senders.delete().where(key.in_(old), sticky_senders.c.used_at_us < before_us)).rowcount
