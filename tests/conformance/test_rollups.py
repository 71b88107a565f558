"""Counts by hour."""

from collections import Counter
from functools import partial

from ringback.store import rollups
from ringback.store.port import Store
from ringback.store.rollups import HOUR_US, Key, Summary, key
from tests.fakes.messages import QUEUED_AT_US

A, B = "MAAAAAAAAAAAAAAAAAAA", "MABBBBBBBBBBBBBBBBBB"
LATER_US = QUEUED_AT_US + HOUR_US
HOUR_AT_US = QUEUED_AT_US // HOUR_US * HOUR_US


async def test_counts_add_up(store: Store) -> None:
    changes: list[Counter[Key]] = [
        Counter({key(A, QUEUED_AT_US, "status", "queued"): 5, key(B, QUEUED_AT_US, "status", "queued"): 1}),
        Counter(
            {
                key(A, QUEUED_AT_US, "status", "queued"): -3,
                key(A, QUEUED_AT_US, "status", "delivered"): 2,
                key(A, QUEUED_AT_US, "status", "failed"): 1,
                key(A, QUEUED_AT_US, "error", "30"): 1,
                key(A, QUEUED_AT_US, "delivered_in", "7"): 2,
                key(A, QUEUED_AT_US, "status", "sent"): 0,
            }
        ),
        Counter({key(A, LATER_US, "status", "queued"): 2**40}),
        Counter({key(A, LATER_US, "status", "sent"): 1}),
        Counter({key(A, LATER_US, "status", "sent"): -1}),
        Counter(),
    ]
    for change in changes:
        await store.write(partial(rollups.add, changes=change))
    assert await store.read(lambda tx: rollups.summary(tx, since_us=QUEUED_AT_US, only=[A])) == Summary(
        by_status={"queued": 2**40 + 2, "delivered": 2, "failed": 1}, by_error={"30": 1}, delivery_latency={7: 2}
    )
    assert await store.read(lambda tx: rollups.summary(tx, since_us=LATER_US)) == Summary(
        by_status={"queued": 2**40}, by_error={}, delivery_latency={}
    )
    hours = await store.read(lambda tx: rollups.hourly(tx, since_us=QUEUED_AT_US))
    assert [hour for hour, _, _ in hours] == sorted(hour for hour, _, _ in hours)
    assert set(hours) == {
        (HOUR_AT_US, "queued", 3),
        (HOUR_AT_US, "delivered", 2),
        (HOUR_AT_US, "failed", 1),
        (HOUR_AT_US + HOUR_US, "queued", 2**40),
    }
    assert all(type(total) is int for _, _, total in hours)
