"""Numbers that an account owns."""

from typing import Any

from ringback.store import number_standins
from ringback.store.number_standins import OwnedNumber
from ringback.store.port import Store

OURS = "14155550100"


async def own_number(store: Store, account_id: str, number: str = OURS, **application: Any) -> None:
    """Give a number to an account, with an application whose ``message_url`` and the rest are as given."""
    owned = OwnedNumber(number=number, account_id=account_id, **application)
    await store.write(lambda tx: number_standins.put(tx, owned))
