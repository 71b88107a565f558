"""What every page says first: that endpoints are in trouble, and which."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction

NAMED: Final = 3


class Trouble(msgspec.Struct, frozen=True):
    """Endpoints to which callbacks do not simply go out."""

    named: Sequence[Endpoint]
    more: bool
    now_us: int


NONE: Final = Trouble((), more=False, now_us=0)


def trouble(tx: Transaction, now_us: int, only: Collection[str] | None) -> Trouble:
    """Return the first few that are in trouble, ``only`` of some accounts."""
    found = endpoints.troubled(tx, limit=NAMED + 1, only=only)
    return Trouble(found[:NAMED], len(found) > NAMED, now_us)
