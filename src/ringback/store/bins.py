"""Bins of the request inspector: their names, limits and scripts, and how much they hold."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from ringback.model.errors import InvalidRequest, NotFound
from ringback.store.order import one_at_a_time
from ringback.store.port import Transaction
from ringback.store.schema_bins import bins


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """A bin, and how much it holds."""

    id: str
    name: str
    account_id: str | None
    """Whose it is; ``None`` for the operator's own."""
    created_at_us: int
    max_captures: int
    max_bytes: int
    retention_s: int
    """How long a capture is kept; 0 for ever, as far as the caps allow."""
    password_hash: str | None
    script: str | None
    """JSON of how requests are answered; ``None`` for 200."""
    script_from: int
    """The steps of the script are counted from the capture after this one."""
    last_number: int = 0
    captures: int = 0
    bytes: int = 0


CHANGEABLE: Final = frozenset({"max_captures", "max_bytes", "retention_s", "password_hash", "script"})


def create(tx: Transaction, new: Bin, *, most: int) -> None:
    """Store a bin. Raises ``InvalidRequest`` when its name is taken, or when there are ``most`` already."""
    one_at_a_time(tx, "bins")
    if tx.execute(sa.select(bins.c.id).where(bins.c.name == new.name)).first():
        raise InvalidRequest(f"the name {new.name} is taken: choose another")
    if (tx.execute(sa.select(sa.func.count()).select_from(bins)).scalar() or 0) >= most:
        raise InvalidRequest(f"there are {most} bins already: delete one first, or raise bins.max_bins")
    tx.execute(bins.insert(), [msgspec.structs.asdict(new)])


def find(tx: Transaction, name: str) -> Bin | None:
    """Return the bin of a name."""
    row = tx.execute(_BY_NAME, {"wanted": name}).one_or_none()
    return _bin(row) if row else None


def page(tx: Transaction, *, account_id: str | None = None, after: str = "", limit: int) -> list[Bin]:
    """Return bins by name, those of an account or all, up to ``limit`` of those after the name ``after``."""
    query = sa.select(bins).where(bins.c.name > after).order_by(bins.c.name).limit(limit)
    if account_id is not None:
        query = query.where(bins.c.account_id == account_id)
    return [_bin(row) for row in tx.execute(query)]


def change(tx: Transaction, name: str, changes: dict[str, Any]) -> Bin:
    """Set some of ``CHANGEABLE``; with ``script`` its steps begin anew. Raises ``NotFound``."""
    unknown = changes.keys() - CHANGEABLE
    if unknown:
        raise ValueError(f"not to be changed: {sorted(unknown)}")
    values: dict[str, Any] = dict(changes)
    if "script" in changes:
        values["script_from"] = bins.c.last_number
    query = bins.update().where(bins.c.name == name).values(values).returning(*bins.c)
    row = tx.execute(query).one_or_none() if values else tx.execute(_BY_NAME, {"wanted": name}).one_or_none()
    if row is None:
        raise NotFound(f"there is no bin {name}")
    return _bin(row)


def remove(tx: Transaction, name: str) -> bool:
    """Remove a bin that holds no captures; returns whether it is gone."""
    return tx.execute(bins.delete().where(bins.c.name == name, bins.c.captures == 0)).rowcount > 0


def lock(tx: Transaction, names: Sequence[str]) -> dict[str, Bin]:
    """Return the bins of these names by name, nobody else's to change until the transaction ends."""
    query = sa.select(bins).where(bins.c.name.in_(names)).order_by(bins.c.id).with_for_update()
    return {row.name: _bin(row) for row in tx.execute(query)}


def note_contents(tx: Transaction, bin_id: str, *, last_number: int, captures: int, held_bytes: int) -> None:
    """Note how much a bin holds that this transaction has locked."""
    tx.execute(
        _NOTE, {"bin": bin_id, "new_last_number": last_number, "new_captures": captures, "new_bytes": held_bytes}
    )


def _bin(row: Any) -> Bin:
    return Bin(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


_BY_NAME: Final = sa.select(bins).where(bins.c.name == sa.bindparam("wanted"))
_NOTE: Final = (
    bins.update()
    .where(bins.c.id == sa.bindparam("bin"))
    .values(
        last_number=sa.bindparam("new_last_number"),
        captures=sa.bindparam("new_captures"),
        bytes=sa.bindparam("new_bytes"),
    )
)
