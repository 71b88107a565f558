"""Media, the messages that have them, and what is still to be fetched."""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from ringback.model.errors import OutOfSpace
from ringback.store import fetches, keys, media, messages, pruning, submissions
from ringback.store.fetches import Fetch, Wanted
from ringback.store.media import Media, MediaRoom
from ringback.store.port import Store
from tests.fakes.clock import FakeClock
from tests.fakes.messages import message, message_uuid

ACCOUNT = "MAAAAAAAAAAAAAAAAAAA"
STRANGER = "MABBBBBBBBBBBBBBBBBB"
NOW_US = 1_764_000_000_000_000
MB = 1_048_576


def medium(number: int, **changes: Any) -> Media:
    return Media(
        **{
            "id": f"019ab000-0000-7000-9000-{number:012d}",
            "account_id": ACCOUNT,
            "source": "upload",
            "content_type": "image/png",
            "file_name": "é.png",
            "size_bytes": MB,
            "created_at_us": NOW_US,
            "expires_at_us": NOW_US + 10,
            **changes,
        }
    )


async def add(store: Store, *new: Media) -> list[str]:
    await store.write(partial(media.add, new=new))
    return [each.id for each in new]


async def test_uploads_are_listed_newest_first_by_account(store: Store) -> None:
    await add(
        store,
        *(medium(number) for number in range(3)),
        medium(3, account_id=STRANGER),
        medium(4, source="fetch"),
        medium(5, expires_at_us=NOW_US),
        medium(6, expires_at_us=None),
    )
    total, page = await store.read(lambda tx: media.uploads(tx, ACCOUNT, now_us=NOW_US, limit=2, offset=1))
    assert (total, page) == (4, [medium(2), medium(1)])
    assert await store.read(lambda tx: media.upload(tx, ACCOUNT, medium(1).id)) == medium(1)
    assert await store.read(lambda tx: media.upload(tx, STRANGER, medium(1).id)) is None
    assert await store.read(lambda tx: media.upload(tx, ACCOUNT, medium(4).id)) is None
    assert await store.read(media.total_bytes) == 7 * MB


async def test_only_own_uploads_that_have_not_expired_are_attached(store: Store) -> None:
    [mine, theirs, old] = await add(store, medium(1), medium(2, account_id=STRANGER), medium(3, expires_at_us=NOW_US))

    async def attach(*ids: str) -> bool:
        return await store.write(lambda tx: media.attach(tx, ACCOUNT, ids, now_us=NOW_US, expires_at_us=NOW_US + 99))

    assert not await attach(mine, theirs)
    assert not await attach(mine, old)
    assert not await attach(mine, medium(9).id)
    assert (await store.read(lambda tx: media.by_id(tx, [mine])))[mine].expires_at_us == NOW_US + 10
    assert await attach(mine, mine)
    assert (await store.read(lambda tx: media.by_id(tx, [mine])))[mine].expires_at_us == NOW_US + 99


async def test_media_go_when_the_last_message_has(store: Store) -> None:
    first, second = message_uuid(1), message_uuid(2)
    ids = await add(store, medium(1, expires_at_us=None), medium(2, expires_at_us=None))
    await store.write(lambda tx: media.link(tx, [first], ids))
    await store.write(lambda tx: media.link(tx, [second], ids[1:]))
    assert [each.id for each in await store.read(lambda tx: media.of_message(tx, first))] == ids
    await store.write(lambda tx: media.unlink(tx, [first]))
    assert await store.read(lambda tx: media.of_message(tx, first)) == []
    assert await store.write(lambda tx: media.prune(tx, now_us=NOW_US, limit=9)) == ids[:1]
    await store.write(lambda tx: media.unlink(tx, [first, second]))
    assert await store.write(lambda tx: media.prune(tx, now_us=NOW_US, limit=9)) == ids[1:]
    assert await store.read(media.total_bytes) == 0


async def test_pruning_takes_what_has_expired_oldest_first(store: Store) -> None:
    await add(
        store, *(medium(number, expires_at_us=NOW_US + number) for number in range(4)), medium(9, expires_at_us=None)
    )
    await store.write(lambda tx: media.link(tx, [message_uuid(1)], [medium(0).id, medium(3).id]))
    assert await store.write(lambda tx: media.prune(tx, now_us=NOW_US + 2, limit=2)) == [medium(0).id, medium(1).id]
    assert await store.write(lambda tx: media.prune(tx, now_us=NOW_US + 2, limit=2)) == [medium(2).id]
    assert [each.id for each in await store.read(lambda tx: media.of_message(tx, message_uuid(1)))] == [medium(3).id]


async def test_a_message_that_is_pruned_takes_its_media_along(store: Store) -> None:
    [kept] = await add(store, medium(1, expires_at_us=None))
    old, newest = message(), message(uuid=message_uuid(2), queued_at_us=NOW_US + 5)
    event = {"account_id": ACCOUNT, "sequence": 1, "status": "queued", "flag": "", "error_code": None, "detail": None}
    await store.write(partial(messages.insert, new=[old, newest]))
    for each in (old, newest):
        row = {"message_uuid": each.uuid, "at_us": each.queued_at_us, **event}
        await store.write(partial(messages.add_events, rows=[row]))
    await store.write(lambda tx: media.link(tx, [old.uuid], [kept]))
    await store.write(
        lambda tx: pruning.prune_messages(
            tx, before_us=NOW_US + 1, give_up_before_us=0, after=pruning.BEGINNING, limit=9
        )
    )
    assert await store.read(lambda tx: media.linked(tx, [kept])) == set()
    assert await store.write(lambda tx: media.prune(tx, now_us=NOW_US, limit=9)) == [kept]


def wanted(number: int, *, account_id: str = ACCOUNT) -> Fetch:
    return Fetch(
        id=f"019ab000-0000-7000-a000-{number:012d}",
        account_id=account_id,
        wanted=(Wanted(medium(number).id, "https://example.com/é?a=[1]"),),
        message_uuids=(message_uuid(number), message_uuid(number + 100)),
        size_bytes=7,
        attempts_made=0,
        lease_token="",
    )


async def claim(store: Store, now_us: int, lease: str = "t", *, shares: Counter[str] | None = None) -> list[Fetch]:
    return await store.write(
        lambda tx: fetches.claim(
            tx,
            now_us=now_us,
            lease_until_us=now_us + 100,
            lease_token=lease,
            limit=9,
            shares=shares or Counter(),
            most=2,
        )
    )


async def test_fetches_are_leased_in_turn_and_shared_between_accounts(store: Store) -> None:
    for number in range(4):
        await store.write(partial(fetches.add, fetch=wanted(number), due_at_us=NOW_US + number))
    await store.write(partial(fetches.add, fetch=wanted(8, account_id=STRANGER), due_at_us=NOW_US + 8))
    assert await claim(store, NOW_US - 1) == []
    assert await store.read(fetches.next_due_at_us) == NOW_US
    taken = await claim(store, NOW_US + 9)
    assert [each.id[-1] for each in taken] == ["0", "1", "8"]
    assert (taken[0].wanted, taken[0].message_uuids, taken[0].lease_token) == (
        wanted(0).wanted,
        wanted(0).message_uuids,
        "t",
    )
    assert await claim(store, NOW_US + 9, shares=Counter({ACCOUNT: 2})) == []
    assert [each.id[-1] for each in await claim(store, NOW_US + 9, shares=Counter({ACCOUNT: 1}))] == ["2"]


async def test_who_lost_the_lease_changes_nothing(store: Store) -> None:
    await store.write(partial(fetches.add, fetch=wanted(1), due_at_us=NOW_US))
    [first] = await claim(store, NOW_US, "first")
    [second] = await claim(store, NOW_US + 100, "second")
    assert not await store.write(partial(fetches.finish, fetch=first))
    await store.write(partial(fetches.put_back, fetch=first, due_at_us=NOW_US, attempts_made=9))
    assert await claim(store, NOW_US + 150) == []
    await store.write(partial(fetches.put_back, fetch=second, due_at_us=NOW_US + 160, attempts_made=1))
    [third] = await claim(store, NOW_US + 160, "third")
    assert third.attempts_made == 1
    assert await store.write(partial(fetches.finish, fetch=third))
    assert await store.read(fetches.waiting) == 0


async def test_messages_are_made_due_unless_somebody_has_them(store: Store) -> None:
    rows = [
        {
            "message_uuid": uuid,
            "account_id": ACCOUNT,
            "src": "1",
            "dst": "2",
            "text": "",
            "attempts_made": 0,
            "expires_at_us": NOW_US + 1_000,
            "due_at_us": due_at_us,
            "lease_token": token,
            "media": '["a"]',
        }
        for uuid, due_at_us, token in zip(
            wanted(1).message_uuids, (NOW_US + 1_000, NOW_US + 500), (None, "x"), strict=True
        )
    ]
    await store.write(lambda tx: submissions.add(tx, rows))
    waiting = await store.write(lambda tx: fetches.take_submissions(tx, wanted(1)))
    assert list(waiting) == [message_uuid(1)]
    await store.write(lambda tx: fetches.release(tx, wanted(1), waiting, now_us=NOW_US))
    [due] = await store.write(
        lambda tx: submissions.claim(tx, now_us=NOW_US, lease_until_us=NOW_US + 9, lease_token="y", limit=9)
    )
    assert (due.message_uuid, due.media) == (message_uuid(1), '["a"]')


async def test_a_key_is_made_once(store: Store) -> None:
    assert await store.write(lambda tx: keys.ensure(tx, "one", "first")) == "first"
    assert await store.write(lambda tx: keys.ensure(tx, "one", "second")) == "first"
    assert await store.write(lambda tx: keys.ensure(tx, "other", "second")) == "second"


async def test_room_is_bounded_by_what_is_stored_and_promised(store: Store) -> None:
    room = MediaRoom(store, FakeClock(), max_bytes=3 * MB)
    async with room.promised(2 * MB):
        with pytest.raises(OutOfSpace, match="used up"):
            async with room.promised(2 * MB):
                pytest.fail("there is no room")
        async with room.promised(MB):
            pass
    await add(store, medium(1), medium(2))
    with pytest.raises(OutOfSpace):
        async with room.promised(2 * MB):
            pytest.fail("there is no room")
    async with room.promised(MB):
        pass
