"""Who is bound over SMPP, as the processes that have the binds last said."""

from collections.abc import Iterable
from typing import Final

import msgspec
import sqlalchemy as sa

from ringback.store import bulk
from ringback.store.port import Transaction
from ringback.store.schema_smpp import smpp_binds

FRESH_US: Final = 10_000_000
"""What a process has not said again for so long is not there any more: the process has ended."""


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """One bind. Nothing here is secret."""

    node: str
    number: int
    system_id: str
    account_id: str
    kind: str
    """``transmitter``, ``receiver`` or ``transceiver``."""
    address: str
    since_us: int
    in_hand: int = 0
    """Its requests that are not answered yet."""
    window_used: int = 0
    """What it was sent and has not answered."""
    window_allowed: int = 0
    submits_per_s: float = 0.0


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Bind).decode


def note(tx: Transaction, node: str, binds: Iterable[Bind], *, now_us: int) -> None:
    """Store what a process has now; what it and others who are gone have said before is forgotten."""
    old = (smpp_binds.c.node == node) | (smpp_binds.c.at_us < now_us - FRESH_US)
    tx.execute(smpp_binds.delete().where(old))
    rows = [
        {
            "node": node,
            "number": bind.number,
            "account_id": bind.account_id,
            "at_us": now_us,
            "snapshot": _encode(bind).decode(),
        }
        for bind in binds
    ]
    bulk.insert(tx, smpp_binds, rows)


def now(tx: Transaction, now_us: int) -> list[Bind]:
    """Return all binds, by name."""
    query = sa.select(smpp_binds.c.snapshot).where(smpp_binds.c.at_us >= now_us - FRESH_US)
    found = [_decode(row.snapshot) for row in tx.execute(query)]
    return sorted(found, key=lambda bind: (bind.system_id, bind.node, bind.number))


def elsewhere(tx: Transaction, node: str, account_id: str, now_us: int) -> int:
    """Return how many binds of an account other processes have."""
    query = sa.select(sa.func.count()).where(
        smpp_binds.c.account_id == account_id, smpp_binds.c.node != node, smpp_binds.c.at_us >= now_us - FRESH_US
    )
    return tx.execute(query).scalar_one()
