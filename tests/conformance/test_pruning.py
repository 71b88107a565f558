"""What goes when it is old, what stays all the same, and how much is waiting."""

from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from ringback.model.circuit import Finding
from ringback.model.ids import uuid7
from ringback.store import logins, pruning, received, submissions
from ringback.store.backlog import backlog
from ringback.store.logins import Link
from ringback.store.port import Store, Transaction
from ringback.store.pruning import BEGINNING, Pruned
from ringback.store.schema import metadata
from tests.fakes.aged import DAY_US, age, counts, keep_message, keep_received
from tests.fakes.clock import FakeClock
from tests.fakes.engine import Engine
from tests.fakes.messages import message_uuid
from tests.fakes.people import session

NOW_US = FakeClock().now_us()


async def prune(store: Store, *, days: int = 90, after: pruning.Place = BEGINNING, limit: int = 200) -> Pruned:
    return await store.write(
        partial(
            pruning.prune_messages,
            before_us=NOW_US - days * DAY_US,
            give_up_before_us=NOW_US - 2 * days * DAY_US,
            after=after,
            limit=limit,
        )
    )


async def newest(store: Store) -> None:
    """Something newer than all the rest, so that the rest may go."""
    await keep_message(store, 999, age(0))


async def test_an_old_message_goes_with_all_that_is_its_own(store: Store) -> None:
    await keep_message(store, 1, age(91))
    await keep_message(store, 2, age(89))
    await newest(store)
    before = await counts(store)
    assert await prune(store) == Pruned(messages=1, callbacks_given_up=0, submissions_given_up=0, next_place=None)
    after = await counts(store)
    assert {name: before[name] - after[name] for name in after if before[name] != after[name]} == {
        "messages": 1, "events": 1, "callbacks": 1, "attempts": 1,
    }  # fmt: skip
    assert after["rollups"] == before["rollups"] > 0
    left = await store.read(lambda tx: set(tx.execute(sa.select(metadata.tables["messages"].c.uuid)).scalars()))
    assert left == {message_uuid(2), message_uuid(999)}


@pytest.mark.parametrize("work", ["queued", "waiting"])
async def test_a_message_that_is_still_worked_on_stays_until_twice_the_time(store: Store, work: str) -> None:
    await keep_message(store, 1, age(179), **{work: True})
    await keep_message(store, 2, age(181), **{work: True})
    await keep_message(store, 3, age(180.5))
    await newest(store)
    pruned = await prune(store)
    given_up = (pruned.callbacks_given_up, pruned.submissions_given_up)
    assert given_up == ((1, 0) if work == "queued" else (0, 1))
    assert pruned.messages == 2
    left = await store.read(lambda tx: set(tx.execute(sa.select(metadata.tables["messages"].c.uuid)).scalars()))
    assert left == {message_uuid(1), message_uuid(999)}
    assert (await counts(store))["callback_queue" if work == "queued" else "submissions"] == 1


async def test_the_newest_event_stays_so_that_offsets_and_times_go_on(store: Store) -> None:
    await keep_message(store, 1, age(300), queued=True)
    await keep_message(store, 2, age(299), queued=True)
    assert (await prune(store)).messages == 1
    assert await prune(store) == Pruned(messages=0, callbacks_given_up=0, submissions_given_up=0, next_place=None)
    assert (await counts(store))["callback_queue"] == 1


async def test_batches_go_on_behind_what_stays(store: Store) -> None:
    for number in range(1, 8):
        await keep_message(store, number, age(100), queued=number in {1, 2, 3})
    await newest(store)
    place: pruning.Place | None = BEGINNING
    sizes = []
    while place is not None:
        pruned = await prune(store, after=place, limit=3)
        sizes.append(pruned.messages)
        place = pruned.next_place
    assert sizes == [0, 3, 1]


async def test_received_requests_go_with_what_they_said(store: Store) -> None:
    for number, days in enumerate((91, 90.001, 89.999, 1)):
        await keep_received(store, number, age(days))
    work = partial(pruning.prune_received, before_us=NOW_US - 90 * DAY_US, limit=200)
    assert [await store.write(work), await store.write(work)] == [2, 0]
    left = await store.read(lambda tx: received.newest(tx, limit=10))
    assert [(request.received_at_us, said is not None) for request, said in left] == [
        (age(1), True),
        (age(89.999), True),
    ]


async def test_nothing_is_older_than_time_itself(store: Store) -> None:
    await keep_received(store, 1, age(1))
    assert await store.write(partial(pruning.prune_received, before_us=-5, limit=200)) == 0


async def test_early_receipts_go_oldest_first(store: Store) -> None:
    def keep(tx: Transaction) -> None:
        rows = [
            {"connector": "c", "carrier_ref": str(days), "status": "delivered", "error_code": None,
             "at_us": age(days), "detail": None}
            for days in (6, 8, 9, 10)
        ]  # fmt: skip
        submissions.keep_early_receipts(tx, rows)

    await store.write(keep)
    work = partial(pruning.prune_early_receipts, before_us=NOW_US - 7 * DAY_US, limit=2)
    assert [await store.write(work) for _ in range(3)] == [2, 1, 0]
    taken = await store.write(lambda tx: submissions.take_early_receipts(tx, "c", ["6", "8", "9", "10"]))
    assert [receipt.carrier_ref for receipt in taken] == ["6"]


async def test_logins_and_tokens_go_when_they_are_valid_no_more(store: Store) -> None:
    tokens = metadata.tables["auth_tokens"]

    def keep(tx: Transaction) -> None:
        for name, until_us in (("old", NOW_US), ("overlapping", NOW_US + 1), ("for ever", None)):
            row: dict[str, Any] = {"token": name, "account_id": "MA", "created_at_us": 0, "expires_at_us": until_us}
            tx.execute(tokens.insert().values(**row))
        logins.open_session(tx, "session", session(now_us=NOW_US - 10, expires_at_us=NOW_US))
        logins.add_link(tx, "link", Link(), now_us=NOW_US - 10, expires_at_us=NOW_US + 1)

    await store.write(keep)
    assert await store.write(lambda tx: pruning.prune_expired(tx, NOW_US)) == (1, 1)
    assert await store.write(lambda tx: pruning.prune_expired(tx, NOW_US)) == (0, 0)
    assert await store.read(lambda tx: set(tx.execute(sa.select(tokens.c.token)).scalars())) == {
        "overlapping",
        "for ever",
    }


async def test_the_backlog_counts_what_waits_and_since_when(store: Store) -> None:
    clock = FakeClock()
    engine = Engine(store, clock)
    empty = await store.read(lambda tx: backlog(tx, clock.now_us()))
    assert (empty.callbacks, empty.submissions, empty.given_up, empty.oldest_due_s) == (0, 0, 0, 0.0)
    assert empty.endpoints == {"closed": 0, "open": 0, "half_open": 0, "paused": 0, "disabled": 0}
    await engine.owe(1, 2)
    clock.advance(20)
    await engine.owe(3, origin="https://two.example")
    await keep_message(store, 900, clock.now_us(), waiting=True)
    clock.advance(10)
    found = await store.read(lambda tx: backlog(tx, clock.now_us()))
    assert (found.callbacks, found.submissions, found.oldest_due_s) == (3, 1, 30.0)
    assert found.endpoints["closed"] == 3
    await engine.claim()
    # What is leased is being worked on.
    assert (await store.read(lambda tx: backlog(tx, clock.now_us()))).oldest_due_s == 0.0


async def test_a_parked_endpoints_callbacks_are_not_late(store: Store) -> None:
    clock = FakeClock()
    engine = Engine(store, clock)
    await engine.owe(1, 2, 3, 4)
    from_engine = await engine.claim()
    await engine.end(from_engine, Finding.DOWN)
    assert (await engine.endpoint()).circuit.state == "open"
    clock.advance(400)
    found = await store.read(lambda tx: backlog(tx, clock.now_us()))
    assert (found.endpoints["open"], found.callbacks, found.oldest_due_s) == (1, 4, 0.0)


def test_ids_of_a_time_are_not_before_it() -> None:
    assert uuid7(NOW_US, bytes(8)) <= uuid7(NOW_US, b"\x01" * 8) < uuid7(NOW_US + 1000, bytes(8))
