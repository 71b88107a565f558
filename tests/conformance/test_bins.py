"""Bins and what they capture: numbers in the order of commits, caps that hold, nothing evicted too early."""

import asyncio
from functools import partial
from typing import Any

import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.store import bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Answered, NewCapture, Planned
from ringback.store.port import Store, Transaction
from tests.fakes.messages import QUEUED_AT_US, message_uuid

DAY_S = 86_400


def a_bin(number: int = 1, **changes: Any) -> Bin:
    fields: dict[str, Any] = {
        "id": message_uuid(number), "name": f"bin-{number}", "account_id": None, "created_at_us": QUEUED_AT_US,
        "max_captures": 100, "max_bytes": 1_000_000, "retention_s": DAY_S, "password_hash": None, "script": None,
        "script_from": 0,
    }  # fmt: skip
    return Bin(**fields | changes)


def a_capture(number: int = 1, **changes: Any) -> NewCapture:
    fields: dict[str, Any] = {
        "bin": "bin-1", "received_at_us": QUEUED_AT_US + number, "method": "POST", "path": "/bin/bin-1/a%2Fb",
        "query": "x=%20", "headers": '[["b","1"],["a","2"],["b","3"]]', "body": b"\x00\xff" + str(number).encode(),
        "cut": "", "peer": "127.0.0.1", "group_key": f"k{number}",
    }  # fmt: skip
    return NewCapture(**fields | changes)


def by_position(_: Bin, position: int, attempt: int, __: NewCapture) -> Planned:
    return Planned("answer", 200 + position + 10 * (attempt - 1))


async def make(store: Store, *new: Bin) -> None:
    for item in new:
        await store.write(partial(bins.create, new=item, most=1000))


async def put(store: Store, *new: NewCapture) -> list[captures.Stored | None]:
    return await store.write(partial(captures.store, new=new, decide=by_position))


async def held(store: Store, name: str = "bin-1") -> tuple[Bin, list[captures.Head]]:
    def look(tx: Transaction) -> tuple[Bin, list[captures.Head]]:
        found = bins.find(tx, name)
        assert found is not None
        return found, captures.after(tx, found.id, 0, limit=10_000)

    return await store.read(look)


async def test_a_capture_is_kept_as_it_came(store: Store) -> None:
    await make(store, a_bin())
    (stored,) = await put(store, a_capture())
    assert stored is not None
    assert (stored.number, stored.attempt, stored.planned) == (1, 1, Planned("answer", 200))
    found = await store.read(lambda tx: captures.one(tx, message_uuid(1), 1))
    assert found is not None
    assert (found.body, found.headers, found.path, found.query) == (
        b"\x00\xff1", '[["b","1"],["a","2"],["b","3"]]', "/bin/bin-1/a%2Fb", "x=%20",
    )  # fmt: skip
    assert (found.body_size, found.duration_us, found.outcome, found.answered_status) == (3, None, "", 200)


async def test_numbers_go_on_and_attempts_are_counted_by_what_is_said(store: Store) -> None:
    await make(store, a_bin(), a_bin(2))
    await put(store, a_capture(1, group_key="same"), a_capture(2), a_capture(3, bin="bin-2", group_key="same"))
    stored = await put(store, a_capture(4, group_key="same"), a_capture(5, group_key="same"))
    assert [(item.number, item.attempt, item.planned.status) for item in stored if item] == [(3, 2, 212), (4, 3, 223)]
    _, heads = await held(store)
    assert [head.number for head in heads] == [1, 2, 3, 4]
    same = await store.read(lambda tx: captures.group(tx, message_uuid(1), "same", limit=10))
    assert [(head.number, head.attempt) for head in same] == [(1, 1), (3, 2), (4, 3)]


async def test_of_a_bin_that_is_not_there_nothing_is_stored(store: Store) -> None:
    await make(store, a_bin())
    stored = await put(store, a_capture(1, bin="gone"), a_capture(2))
    assert stored[0] is None
    assert stored[1] is not None


async def test_the_oldest_are_evicted_by_count(store: Store) -> None:
    await make(store, a_bin(max_captures=3), a_bin(2))
    await put(store, a_capture(9, bin="bin-2"))
    for number in range(1, 6):
        await put(store, a_capture(number))
    await put(store, *(a_capture(number) for number in range(6, 12)))
    found, heads = await held(store)
    assert [head.number for head in heads] == [9, 10, 11]
    assert (found.captures, found.last_number) == (3, 11)
    assert found.bytes == sum(head.size for head in heads)
    assert (await held(store, "bin-2"))[0].captures == 1


async def test_the_oldest_are_evicted_by_bytes_and_the_newest_always_stays(store: Store) -> None:
    size = a_capture(body=bytes(1000)).size
    await make(store, a_bin(max_bytes=3 * size))
    for number in range(1, 6):
        await put(store, a_capture(number, body=bytes(1000)))
    found, heads = await held(store)
    assert [head.number for head in heads] == [3, 4, 5]
    assert found.bytes == 3 * size
    await put(store, a_capture(6, body=bytes(9000)))
    found, heads = await held(store)
    assert [head.number for head in heads] == [6]
    assert found.bytes == heads[0].size


async def test_more_are_evicted_than_one_look_takes(store: Store) -> None:
    await make(store, a_bin(max_captures=2000))
    await put(store, *(a_capture(number) for number in range(1, 1501)))
    await store.write(lambda tx: bins.change(tx, "bin-1", {"max_captures": 10}))
    await put(store, a_capture(1501))
    found, heads = await held(store)
    assert [head.number for head in heads] == list(range(1492, 1502))
    assert found.bytes == sum(head.size for head in heads)


async def test_writers_at_once_make_no_gaps_and_no_doubles(store: Store) -> None:
    await make(store, a_bin(max_captures=40), a_bin(2))
    both = [put(store, a_capture(n, bin=f"bin-{n % 2 + 1}"), a_capture(n, bin=f"bin-{2 - n % 2}")) for n in range(60)]
    await asyncio.gather(*both)
    for name, kept in (("bin-1", 40), ("bin-2", 60)):
        found, heads = await held(store, name)
        assert [head.number for head in heads] == list(range(61 - kept, 61))
        assert found.bytes == sum(head.size for head in heads)


async def test_names_are_unique_and_bins_are_few(store: Store) -> None:
    await make(store, a_bin())
    with pytest.raises(InvalidRequest, match="is taken"):
        await make(store, a_bin(2, name="bin-1"))
    with pytest.raises(InvalidRequest, match="there are 1 bins already"):
        await store.write(partial(bins.create, new=a_bin(2), most=1))


async def test_changes(store: Store) -> None:
    await make(store, a_bin())
    await put(store, a_capture(1), a_capture(2))
    changed = await store.write(lambda tx: bins.change(tx, "bin-1", {"script": "{}", "retention_s": 5}))
    assert (changed.script, changed.script_from, changed.retention_s) == ("{}", 2, 5)
    (stored,) = await put(store, a_capture(3))
    assert stored is not None
    assert stored.planned.status == 200, "the steps begin anew with a script"
    with pytest.raises(NotFound):
        await store.write(lambda tx: bins.change(tx, "other", {"retention_s": 5}))


async def test_lists_by_account_and_name(store: Store) -> None:
    await make(store, a_bin(3), a_bin(1, account_id="MA1"), a_bin(2, account_id="MA1"))
    everyone = await store.read(lambda tx: bins.page(tx, limit=10))
    assert [item.name for item in everyone] == ["bin-1", "bin-2", "bin-3"]
    own = await store.read(lambda tx: bins.page(tx, account_id="MA1", after="bin-1", limit=10))
    assert [item.name for item in own] == ["bin-2"]


async def test_a_cleared_bin_can_be_removed_and_goes_on_counting_until_then(store: Store) -> None:
    await make(store, a_bin())
    await put(store, *(a_capture(number) for number in range(5)))
    assert not await store.write(lambda tx: bins.remove(tx, "bin-1"))
    assert await store.write(lambda tx: captures.clear(tx, "bin-1", limit=3)) == 3
    assert await store.write(lambda tx: captures.clear(tx, "bin-1", limit=3)) == 2
    found, heads = await held(store)
    assert (found.captures, found.bytes, heads) == (0, 0, [])
    (stored,) = await put(store, a_capture(6))
    assert stored is not None
    assert stored.number == 6
    await store.write(lambda tx: captures.clear(tx, "bin-1", limit=3))
    assert await store.write(lambda tx: bins.remove(tx, "bin-1"))
    assert await store.write(lambda tx: captures.clear(tx, "bin-1", limit=3)) == 0


async def test_what_is_older_than_its_bin_keeps_it_goes(store: Store) -> None:
    await make(store, a_bin(retention_s=10), a_bin(2, retention_s=0), a_bin(3, retention_s=20))
    now_us = QUEUED_AT_US + 15_000_000
    for name in ("bin-1", "bin-2", "bin-3"):
        await put(store, *(a_capture(number, bin=name) for number in range(4)), a_capture(14_000_000, bin=name))
    assert await store.write(partial(captures.prune, now_us=now_us, limit=3)) == 3
    assert await store.write(partial(captures.prune, now_us=now_us, limit=3)) == 1
    assert await store.write(partial(captures.prune, now_us=now_us, limit=3)) == 0
    assert await store.write(partial(captures.prune, now_us=now_us + 10_000_000, limit=100)) == 1 + 4
    for name, kept in (("bin-1", 0), ("bin-2", 5), ("bin-3", 1)):
        found, heads = await held(store, name)
        assert (found.captures, len(heads), found.bytes) == (kept, kept, sum(head.size for head in heads))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("needle", [4, 2, 1]), ("+1415", [3]), ('q"uote', [5]), ("Ünï", [6]), ("%_", []), ("a%2Fb", [6, 5, 4, 3, 2, 1]),
        ("x=%20", [6, 5, 4, 3, 2, 1]),
    ],
)  # fmt: skip
async def test_search(store: Store, text: str, numbers: list[int]) -> None:
    await make(store, a_bin(), a_bin(2))
    await put(
        store,
        a_capture(1, body=b"\x00\xffneedle"),
        a_capture(2, headers='[["x","a needle"]]'),
        a_capture(3, body=b"To=%2B1415"),
        a_capture(4, query="x=%20&needle"),
        a_capture(5, headers='[["x","q\\"uote"]]'),
        a_capture(6, body="Ünïcode".encode()),
        a_capture(7, bin="bin-2", body=b"needle %_"),
    )
    found = await store.read(lambda tx: captures.newest(tx, message_uuid(1), text=text, limit=10))
    assert [head.number for head in found] == numbers


async def test_pages_of_the_newest_and_counts(store: Store) -> None:
    await make(store, a_bin())
    await put(store, *(a_capture(number) for number in range(1, 8)))

    def look(tx: Transaction) -> tuple[list[int], int, int]:
        newest = captures.newest(tx, message_uuid(1), before=5, limit=3)
        count = partial(captures.count_after, tx, message_uuid(1), 3)
        return [head.number for head in newest], count(most=100), count(most=2)

    assert await store.read(look) == ([4, 3, 2], 4, 2)


async def test_how_answering_ended_is_noted(store: Store) -> None:
    await make(store, a_bin())
    await put(store, a_capture(1), a_capture(2))
    ended = [
        Answered(bin_id=message_uuid(1), number=number, duration_us=number * 10, outcome="answered")
        for number in (2, 1, 7)
    ]
    await store.write(partial(captures.note_answered, answered=ended), durable=False)
    _, heads = await held(store)
    assert [(head.duration_us, head.outcome) for head in heads] == [(10, "answered"), (20, "answered")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*", [3]), ("?a[", [3]), ("[^x]", [4]), ("ü", [5]), ('x-"q"', [5]), ("%2B1415", [6]),
        ("+1415", [6]), ("\xff", []), ("\ufffd", []),
    ],
)  # fmt: skip
async def test_texts_are_found_as_they_stand(store: Store, text: str, found: list[int]) -> None:
    await make(store, a_bin())
    plain: dict[str, Any] = {"query": "", "headers": "[]", "path": "/bin/bin-1", "body": b"\xff\x00"}
    await put(
        store,
        a_capture(1, **plain),
        a_capture(2, **plain | {"query": "a=b"}),
        a_capture(3, **plain | {"query": "x*y?a[b"}),
        a_capture(4, **plain | {"path": "/bin/bin-1/[^x]"}),
        a_capture(5, **plain | {"headers": '[["A","\u00c3\u00bc"],["B","x-\\"q\\""]]'}),
        a_capture(6, **plain | {"body": b"\x00To=%2B14155550123"}),
    )
    bin_, _ = await held(store)
    heads = await store.read(partial(captures.newest, bin_id=bin_.id, text=text, limit=10))
    assert [head.number for head in heads] == found


async def test_the_newest_since_a_number_and_their_bodies(store: Store) -> None:
    await make(store, a_bin())
    bin_, _ = await held(store)
    assert await store.read(partial(captures.oldest_number, bin_id=bin_.id)) == 0
    await put(store, *(a_capture(number, body=b"x" * 100) for number in range(1, 7)))
    heads = await store.read(partial(captures.newest, bin_id=bin_.id, after=3, limit=2))
    assert [head.number for head in heads] == [6, 5]
    heads = await store.read(partial(captures.heads, bin_id=bin_.id, numbers=[2, 5, 9]))
    assert sorted(head.number for head in heads) == [2, 5]
    assert await store.read(partial(captures.heads, bin_id=bin_.id, numbers=[])) == []
    assert await store.read(partial(captures.oldest_number, bin_id=bin_.id)) == 1
    size = heads[0].size
    for limit, max_bytes, numbers in ((3, 10**6, [4, 5, 6]), (10, 2 * size, [5, 6]), (10, size - 1, [])):
        items = await store.read(partial(captures.newest_whole, bin_id=bin_.id, limit=limit, max_bytes=max_bytes))
        assert [item.number for item in items] == numbers
        assert all(item.body == b"x" * 100 for item in items)
