"""Numbers that an account owns."""

import itertools
from typing import Any

import msgspec

from ringback.model.application import Application
from ringback.model.inventory import new_number
from ringback.store import applications, numbers
from ringback.store.port import Store, Transaction
from ringback.store.schema_numbers import numbers as numbers_table

OURS = "14155550100"
_app_ids = (str(number) for number in itertools.count(20_000_000_000_000_000))


async def own_number(store: Store, account_id: str, number: str = OURS, **application: Any) -> None:
    """Give a number to an account, with an application whose ``message_url`` and the rest are as given."""

    def work(tx: Transaction) -> None:
        app_id = next(_app_ids)
        given = {name: value for name, value in application.items() if value is not None}
        applications.create(
            tx,
            Application(
                app_id=app_id, account_id=account_id, subaccount_id=None, name=app_id, created_at_us=0, **given
            ),
        )
        tx.execute(numbers_table.delete().where(numbers_table.c.number == number))
        offered = new_number(number, carrier="Ringback")
        numbers.add(tx, [msgspec.structs.replace(offered, account_id=account_id, app_id=app_id)])

    await store.write(work)
