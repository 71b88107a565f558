"""Conversions for providers: what is reported once, in which order, and what a lease keeps."""

import asyncio
import threading
from functools import partial

import pytest

from ringback.store import conversions_out
from ringback.store.conversions_out import ConversionOut, NewConversion, State, Verdict
from ringback.store.port import Store, Transaction

NOW_US = 1_764_000_000_000_000
LATER_US = NOW_US + 60_000_000
BOUND_S = 60


def said(message: str, value: str = "CONVERTED", source: str = "a") -> NewConversion:
    return NewConversion(source=source, message_uuid=message, value=value, converted_at_us=NOW_US - 1)


async def add(store: Store, *conversions: NewConversion, now_us: int = NOW_US) -> list[str]:
    return list(await store.write(partial(conversions_out.add, said=conversions, now_us=now_us)))


async def claim(store: Store, *, now_us: int = NOW_US, limit: int = 10, lease: str = "t") -> list[ConversionOut]:
    return await store.write(
        lambda tx: conversions_out.claim(
            tx, "a", now_us=now_us, lease_until_us=now_us + 10, lease_token=lease, limit=limit
        )
    )


def verdict(conversion: ConversionOut, state: State, *, due_at_us: int | None = None) -> Verdict:
    return Verdict(
        conversion=conversion, state=state, attempts_made=conversion.attempts_made + 1, due_at_us=due_at_us,
        tried_at_us=NOW_US, http_status=404 if state == "failed" else 200, error="no" if state == "failed" else None,
    )  # fmt: skip


async def record(store: Store, *verdicts: Verdict) -> int:
    return await store.write(partial(conversions_out.record, verdicts=verdicts))


async def page(store: Store, **wanted: object) -> list[ConversionOut]:
    return await store.read(lambda tx: conversions_out.page(tx, limit=100, **wanted))  # type: ignore[arg-type]


async def test_what_the_last_word_says_is_no_news(store: Store) -> None:
    assert await add(store, said("m"), said("m"), said("n")) == ["new", "duplicate", "new"]
    assert await add(store, said("m"), said("m", source="b")) == ["duplicate", "new"]
    assert await add(store, said("m", "NOT_CONVERTED"), said("m")) == ["new", "new"]
    mine = await page(store, source="a", message_uuid="m")
    assert [each.value for each in mine] == ["CONVERTED", "NOT_CONVERTED", "CONVERTED"]


async def test_two_that_report_the_same_at_once_report_one(store: Store) -> None:
    both = threading.Barrier(2)

    def work(tx: Transaction) -> list[str]:
        if tx.dialect.name != "sqlite":
            both.wait(BOUND_S)
        return list(conversions_out.add(tx, [said("m")], now_us=NOW_US))

    taken = await asyncio.gather(store.write(work), store.write(work))
    assert sorted(taken) == [["duplicate"], ["new"]]


async def test_those_of_one_message_go_one_after_the_other(store: Store) -> None:
    await add(store, said("m"), said("m", "NOT_CONVERTED"), said("n"))
    first = await claim(store)
    assert [(each.message_uuid, each.value) for each in first] == [("m", "CONVERTED"), ("n", "CONVERTED")]
    assert await claim(store, now_us=NOW_US + 5) == []
    assert await record(store, verdict(first[0], "pending", due_at_us=LATER_US), verdict(first[1], "sent")) == 2
    # The later word waits for the earlier one, however long that takes.
    assert await claim(store, now_us=LATER_US - 1) == []
    [again] = await claim(store, now_us=LATER_US)
    assert (again.value, again.attempts_made) == ("CONVERTED", 1)
    await record(store, verdict(again, "failed"))
    [last] = await claim(store, now_us=LATER_US)
    assert last.value == "NOT_CONVERTED"


async def test_a_lease_runs_out_and_whoever_lost_it_records_nothing(store: Store) -> None:
    await add(store, said("m"))
    [lost] = await claim(store, lease="first")
    assert await store.read(partial(conversions_out.next_due_at_us, source="a")) == NOW_US + 10
    [held] = await claim(store, now_us=NOW_US + 10, lease="second")
    assert await record(store, verdict(lost, "failed")) == 0
    assert await record(store, verdict(held, "sent")) == 1
    assert await claim(store, now_us=LATER_US) == []
    assert await store.read(partial(conversions_out.next_due_at_us, source="a")) is None
    assert [(each.state, each.lease_token) for each in await page(store)] == [("sent", None)]


@pytest.mark.parametrize("how", ["reported again", "retried"])
async def test_what_has_failed_can_be_tried_once_more(store: Store, how: str) -> None:
    await add(store, said("m"))
    await record(store, verdict((await claim(store))[0], "failed"))
    assert [each.error for each in await page(store, state="failed")] == ["no"]
    if how == "reported again":
        assert await add(store, said("m"), now_us=LATER_US) == ["again"]
    else:
        retry = partial(conversions_out.retry_failed, source="a", message_uuid=None, now_us=LATER_US, limit=10)
        assert await store.write(retry) == 1
        assert await store.write(retry) == 0
    [each] = await claim(store, now_us=LATER_US)
    assert each.attempts_made == 0


async def test_an_earlier_word_is_not_retried_after_a_later_one(store: Store) -> None:
    await add(store, said("m"))
    await record(store, verdict((await claim(store))[0], "failed"))
    await add(store, said("m", "NOT_CONVERTED"))
    retry = partial(conversions_out.retry_failed, source=None, message_uuid=None, now_us=LATER_US, limit=10)
    assert await store.write(retry) == 0
    assert [each.value for each in await claim(store)] == ["NOT_CONVERTED"]


async def test_nothing_is_due_while_an_earlier_one_waits(store: Store) -> None:
    """Whoever looks for work would look without a pause."""
    await add(store, said("m"), said("m", "NOT_CONVERTED"))
    [first] = await claim(store)
    await record(store, verdict(first, "pending", due_at_us=LATER_US))
    assert await store.read(partial(conversions_out.next_due_at_us, source="a")) == LATER_US


async def test_pages_totals_and_the_standing_word(store: Store) -> None:
    await add(store, said("m"), said("n"), said("m", "NOT_CONVERTED"), said("m", source="b"))
    await record(store, verdict((await claim(store, limit=1))[0], "sent"))
    newest = await page(store, newest=True)
    assert [each.id for each in newest] == sorted((each.id for each in newest), reverse=True)
    assert [each.message_uuid for each in await page(store, after=newest[-1].id, sources=["a"])] == ["n", "m"]
    assert await page(store, sources=[]) == []
    totals = await store.read(conversions_out.totals)
    assert totals == {"a": {"sent": 1, "pending": 2}, "b": {"pending": 1}}
    standing = await store.read(partial(conversions_out.standing, message_uuids=["m"]))
    assert {source: each.value for (source, _), each in standing.items()} == {"a": "NOT_CONVERTED", "b": "CONVERTED"}


async def test_pruning_leaves_what_is_still_to_be_reported(store: Store) -> None:
    await add(store, said("m"), said("n"), said("o"))
    for each in await claim(store, limit=2):
        await record(store, verdict(each, "sent"))
    prune = partial(conversions_out.prune, before_us=LATER_US, limit=1)
    assert [await store.write(prune) for _ in range(3)] == [1, 1, 0]
    assert [each.message_uuid for each in await page(store)] == ["o"]
    # Ids are never given twice: readers go on from them.
    await add(store, said("p"))
    assert [each.id for each in await page(store)] == sorted(each.id for each in await page(store))
