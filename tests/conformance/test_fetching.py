"""From accepting an MMS to what its carrier gets, on both databases; a host that a test speaks for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from ringback.dialect import send
from ringback.messaging.fetch import LEASE_S, MediaFetcher
from ringback.messaging.media_http import Fetched, MediaHttp, Unreachable, Unusable
from ringback.messaging.submit import Submitter
from ringback.metrics import Metrics
from ringback.model.errors import OutOfSpace
from ringback.model.ids import AccountId
from ringback.settings import MessagingSettings, RetentionSettings
from ringback.store import fetches, media, messages
from ringback.store.accounts import Account
from ringback.store.fetches import Fetch
from ringback.store.media import MediaRoom
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from tests.data.media import PNG
from tests.fakes.acceptor import acceptor as make_acceptor
from tests.fakes.clock import FakeClock
from tests.fakes.connector import ScriptedConnector
from tests.fakes.ids import counting_ids

ACCOUNT = Account(AccountId("MAAAAAAAAAAAAAAAAAAA"), "tests", True, None, ("token",), ("token",))
EXPIRED = "420"


class Host:
    """Stands for ``MediaHttp``: brings a picture to disk, or fails as told."""

    def __init__(self) -> None:
        self.fails: list[Exception] = []
        self.asked = 0

    async def fetch(self, _: str, *, files: MediaFiles, media_id: str, **__: Any) -> Fetched:
        """Bring it."""
        self.asked += 1
        if self.fails:
            raise self.fails.pop(0)
        draft = files.begin()
        await draft.write(PNG)
        await draft.keep(media_id)
        return Fetched("image/png", "a.png", len(PNG))


class Mms:
    """Accepting, fetching and handing over, on one clock."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.clock = FakeClock()
        self.host = Host()
        self.files = MediaFiles(directory)
        self.files.prepare()
        self.connector = ScriptedConnector()
        shared: dict[str, Any] = {
            "store": store,
            "clock": self.clock,
            "new_id": counting_ids(),
            "wakeups": Wakeups(),
            "metrics": Metrics(),
        }
        self.acceptor = make_acceptor(**shared, max_waiting=9)
        self.submitter = Submitter(
            **shared, settings=MessagingSettings(), connector=self.connector, media_path=self.files.path
        )
        self.fetcher = MediaFetcher(
            **shared,
            http=cast("MediaHttp", self.host),
            files=self.files,
            room=MediaRoom(store, self.clock, max_bytes=10**9),
            retention=RetentionSettings(),
        )

    async def accept(self) -> list[str]:
        """Accept a request of two messages and two URLs."""
        fields = {"src": "15005550100", "dst": "14155550123<14155550124", "type": "mms", "text": "look"}
        request = send.parse({**fields, "media_urls": ["https://example.com/a", "https://example.com/b"]})
        return await self.acceptor.accept(ACCOUNT, request, requester_ip="203.0.113.7")

    async def claim(self) -> list[Fetch]:
        """Lease what is due to be fetched."""
        return list((await self.fetcher.claim(9))[0])

    async def hand_over(self) -> int:
        """Hand over what is due; gives how many messages the carrier has."""
        for turn in (await self.submitter.claim(9))[0]:
            await self.submitter.submit(turn)
        return len(self.connector.submitted)

    async def outcome(self, uuid: str) -> tuple[str, str | None]:
        """Give a message's status and code."""
        found = (await self.store.read(lambda tx: messages.by_uuid(tx, [uuid])))[uuid]
        return found.status, found.error_code


@pytest.fixture
async def mms(store: Store, tmp_path: Path) -> AsyncIterator[Mms]:
    made = Mms(store, tmp_path / "media")
    yield made
    made.files.close()


async def test_messages_go_when_their_media_are_there(mms: Mms) -> None:
    uuids = await mms.accept()
    assert await mms.hand_over() == 0
    [fetch] = await mms.claim()
    assert await mms.claim() == []
    await mms.fetcher.fetch(fetch)
    assert await mms.hand_over() == 2
    for outbound in mms.connector.submitted:
        assert [each.path.read_bytes() for each in outbound.media] == [PNG, PNG]
    assert mms.host.asked == 2
    assert [await mms.outcome(uuid) for uuid in uuids] == [("sent", None)] * 2
    assert len(await mms.store.read(lambda tx: media.of_message(tx, uuids[1]))) == 2


@pytest.mark.parametrize(
    ("error", "code", "times"),
    [(Unusable("no"), "10", 1), (Unusable("no", is_too_large=True), "120", 1), (Unreachable("no"), "20", 3)],
)
async def test_messages_fail_with_their_media(mms: Mms, error: Exception, code: str, times: int) -> None:
    uuids = await mms.accept()
    mms.host.fails = [error] * times
    for attempt in range(times):
        assert await mms.outcome(uuids[0]) == ("queued", None), attempt
        mms.clock.advance(30)
        [fetch] = await mms.claim()
        await mms.fetcher.fetch(fetch)
    assert [await mms.outcome(uuid) for uuid in uuids] == [("failed", code)] * 2
    mms.clock.advance(20_000)
    assert (await mms.claim(), await mms.hand_over()) == ([], 0)


async def test_a_full_disk_fails_nothing_before_its_time(mms: Mms) -> None:
    uuids = await mms.accept()
    for _ in range(9):
        mms.host.fails = [OutOfSpace("full")]
        mms.clock.advance(30)
        [fetch] = await mms.claim()
        await mms.fetcher.fetch(fetch)
    assert await mms.outcome(uuids[0]) == ("queued", None)
    mms.clock.advance(10_800)
    assert await mms.hand_over() == 0
    assert await mms.outcome(uuids[0]) == ("failed", EXPIRED)
    [fetch] = await mms.claim()
    await mms.fetcher.fetch(fetch)
    assert await mms.outcome(uuids[0]) == ("failed", EXPIRED)
    assert await mms.store.read(fetches.waiting) == 0


async def test_a_fetch_of_a_process_that_died_is_made_again(mms: Mms) -> None:
    uuids = await mms.accept()
    [lost] = await mms.claim()
    mms.clock.advance(LEASE_S)
    [again] = await mms.claim()
    await mms.fetcher.fetch(again)
    # The first one was not dead after all: it finds nothing to do, and takes no file away.
    mms.host.fails = [Unusable("no")]
    await mms.fetcher.fetch(lost)
    assert await mms.hand_over() == 2
    assert all(each.path.is_file() for each in mms.connector.submitted[0].media)
    assert await mms.outcome(uuids[0]) == ("sent", None)


async def test_a_message_that_failed_has_nothing_made_of_it_twice(mms: Mms) -> None:
    uuids = await mms.accept()
    [fetch] = await mms.claim()
    mms.clock.advance(10_800)
    # Its time is over while it is being fetched.
    await mms.hand_over()
    mms.host.fails = [Unusable("no")]
    await mms.fetcher.fetch(fetch)
    events = await mms.store.read(lambda tx: messages.timeline(tx, uuids[0]))
    assert [(event.status, event.error_code) for event in events] == [("queued", None), ("failed", EXPIRED)]
