"""What every page says first: that deliveries are not as they were, that endpoints are in trouble, and which."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ringback.model.alerts import Alert
from ringback.store import alerts, endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction

NAMED: Final = 3


class Trouble(msgspec.Struct, frozen=True):
    """Endpoints to which callbacks do not simply go out, and alerts that nobody sees to."""

    named: Sequence[Endpoint]
    more: bool
    now_us: int
    alerts: Sequence[Alert] = ()
    more_alerts: bool = False


NONE: Final = Trouble((), more=False, now_us=0)


def trouble(tx: Transaction, now_us: int, only: Collection[str] | None) -> Trouble:
    """Return the first few that are in trouble, ``only`` of some accounts: alerts are the operator's."""
    found = endpoints.troubled(tx, limit=NAMED + 1, only=only)
    news = alerts.news(tx, now_us, limit=NAMED + 1) if only is None else []
    return Trouble(found[:NAMED], len(found) > NAMED, now_us, news[:NAMED], len(news) > NAMED)
