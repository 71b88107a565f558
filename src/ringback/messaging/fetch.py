"""Fetching the media that messages name by URL, before the messages are handed over.

One fetch serves all messages of a request. What it brings is on disk before the transaction that records it, and
that transaction makes the messages due. A host that does not answer is asked three times; what cannot be used fails
the messages at once. Messages whose time is over fail by themselves (``messaging.submit``), fetched or not.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from ringback.dialect.media import MAX_MESSAGE_BYTES
from ringback.messaging.media_http import Fetched, MediaHttp, Unreachable, Unusable
from ringback.messaging.mms import TOO_LARGE, UNUSABLE, expires_at_us
from ringback.messaging.progress import Change, Progress
from ringback.metrics import Metrics
from ringback.model.errors import OutOfSpace, StoreUnavailable
from ringback.model.ids import NewId
from ringback.model.status import Status
from ringback.runtime import Clock, WorkLoop, persist
from ringback.settings import RetentionSettings
from ringback.store import fetches, media, messages, submissions
from ringback.store.fetches import Fetch
from ringback.store.media import Media, MediaRoom
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups

CONCURRENCY: Final = 32
ACCOUNT_SHARE: Final = 8
"""Fetches of one account at a time: hosts that are slow hold up nobody else's."""
LEASE_S: Final = 300.0
RETRY_DELAYS_S: Final = (10.0, 30.0)
ROOM_AGAIN_S: Final = 30.0
NETWORK_ERROR: Final = "20"


class Failure(msgspec.Struct, frozen=True):
    """Why messages fail for their media."""

    error_code: str
    detail: str


class MediaFetcher:
    """Works through what is to be fetched."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        http: MediaHttp,
        files: MediaFiles,
        room: MediaRoom,
        retention: RetentionSettings,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._http = http
        self._files = files
        self._room = room
        self._retention = retention
        self._metrics = metrics
        self._in_hand: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    def worker(self) -> WorkLoop[Fetch]:
        """Return the worker that does the fetching: a slow host must not hold up its end."""
        return WorkLoop(
            "media",
            claim=self.claim,
            work=self.fetch,
            hint=self._wakeups.listen("media"),
            capacity=CONCURRENCY,
            retry_on=StoreUnavailable,
            on_stop=self._stopping.set,
        )

    async def claim(self, limit: int) -> tuple[Sequence[Fetch], float | None]:
        """Lease fetches that are due; also returns the seconds until the next one is."""
        now_us = self._clock.now_us()
        token = self._new_id(now_us)

        def work(tx: Transaction) -> tuple[list[Fetch], int | None]:
            taken = fetches.claim(
                tx,
                now_us=now_us,
                lease_until_us=now_us + round(LEASE_S * 1_000_000),
                lease_token=token,
                limit=limit,
                shares=self._in_hand,
                most=ACCOUNT_SHARE,
            )
            return taken, fetches.next_due_at_us(tx)

        # Most of the time there is nothing: whoever only looks keeps nobody from writing.
        next_due_at_us = await self._store.read(fetches.next_due_at_us)
        taken: list[Fetch] = []
        if next_due_at_us is not None and next_due_at_us <= now_us:
            taken, next_due_at_us = await self._store.write(work, durable=False)
            self._in_hand.update(fetch.account_id for fetch in taken)
        if next_due_at_us is None:
            return taken, None
        # What is due already belongs to an account that has its share: it is looked for again when that ends.
        return taken, (next_due_at_us - now_us) / 1_000_000 if next_due_at_us > now_us else None

    async def fetch(self, fetch: Fetch) -> None:
        """Fetch the media of one request's messages, and record what came of it."""
        try:
            working = asyncio.create_task(self._fetch_all(fetch))
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not working.done():
                    working.cancel()
                    await asyncio.wait({working})
                    await self._put_back(fetch, after_s=0.0, attempts_made=fetch.attempts_made)
                    return
            finally:
                stopping.cancel()
                working.cancel()
            await self._settle(fetch, working)
        finally:
            self._in_hand -= Counter([fetch.account_id])

    async def _settle(self, fetch: Fetch, working: "asyncio.Task[list[Media]]") -> None:
        try:
            await self._record(partial(_succeed, fetch=fetch, new=working.result(), now_us=self._clock.now_us()))
        except (OutOfSpace, StoreUnavailable):
            await self._put_back(fetch, after_s=ROOM_AGAIN_S, attempts_made=fetch.attempts_made)
        except Unreachable as error:
            if fetch.attempts_made < len(RETRY_DELAYS_S):
                after_s = RETRY_DELAYS_S[fetch.attempts_made]
                await self._put_back(fetch, after_s=after_s, attempts_made=fetch.attempts_made + 1)
            else:
                await self._fail(fetch, Failure(NETWORK_ERROR, str(error)))
        except Unusable as error:
            await self._fail(fetch, Failure(TOO_LARGE if error.is_too_large else UNUSABLE, str(error)))

    async def _fetch_all(self, fetch: Fetch) -> list[Media]:
        """Bring everything to disk. Raises ``Unusable``, ``Unreachable`` or ``OutOfSpace``."""
        total, new = fetch.size_bytes, []
        if total > MAX_MESSAGE_BYTES:
            raise Unusable("the media are larger than 5 MB together", is_too_large=True)
        for number, wanted in enumerate(fetch.wanted, 1):
            fetched: Fetched = await self._http.fetch(
                wanted.url, name=f"media URL {number}", files=self._files, room=self._room, media_id=wanted.media_id
            )
            total += fetched.size_bytes
            now_us = self._clock.now_us()
            new.append(
                Media(
                    id=wanted.media_id,
                    account_id=fetch.account_id,
                    source="fetch",
                    content_type=fetched.content_type,
                    file_name=fetched.file_name,
                    size_bytes=fetched.size_bytes,
                    created_at_us=now_us,
                    expires_at_us=expires_at_us(self._retention, now_us),
                )
            )
            if total > MAX_MESSAGE_BYTES:
                raise Unusable("the media are larger than 5 MB together", is_too_large=True)
        return new

    async def _fail(self, fetch: Fetch, failure: Failure) -> None:
        now_us = self._clock.now_us()
        work = partial(_fail, fetch=fetch, failure=failure, now_us=now_us, new_id=self._new_id)
        if await self._record(work) is not None:
            # If that fails, the sweep removes them.
            with contextlib.suppress(StoreUnavailable):
                await self._files.remove([wanted.media_id for wanted in fetch.wanted])

    async def _put_back(self, fetch: Fetch, *, after_s: float, attempts_made: int) -> None:
        due_at_us = self._clock.now_us() + round(after_s * 1_000_000)
        work = partial(fetches.put_back, fetch=fetch, due_at_us=due_at_us, attempts_made=attempts_made)
        # If that fails, the lease runs out.
        with contextlib.suppress(StoreUnavailable):
            await self._store.write(work)

    async def _record(self, work: Callable[[Transaction], int | None]) -> int | None:
        """Write what came of a fetch; returns how many messages failed, ``None`` if somebody else has the lease."""
        failed = await persist(lambda: self._store.write(work), retry_on=StoreUnavailable)
        if failed:
            self._metrics.status_changes.add(Status.FAILED.value, count=failed)
        for topic in ("submissions", "callbacks", "events"):
            self._wakeups.signal(topic)
        return failed


def _succeed(tx: Transaction, *, fetch: Fetch, new: Sequence[Media], now_us: int) -> int | None:
    if not fetches.finish(tx, fetch):
        return None
    # A customer may have deleted a message's media before they came.
    wanted = media.linked(tx, [each.id for each in new])
    media.add(tx, [each if each.id in wanted else msgspec.structs.replace(each, expires_at_us=0) for each in new])
    fetches.release(tx, fetch, fetches.take_submissions(tx, fetch), now_us=now_us)
    return 0


def _fail(tx: Transaction, *, fetch: Fetch, failure: Failure, now_us: int, new_id: NewId) -> int | None:
    if not fetches.finish(tx, fetch):
        return None
    uuids = fetches.take_submissions(tx, fetch)
    progress = Progress(new_id)
    change = Change(status=Status.FAILED, at_us=now_us, error_code=failure.error_code, detail=failure.detail)
    for message in messages.by_uuid(tx, uuids, lock=True).values():
        progress.change(message, change)
    submissions.finish(tx, uuids)
    progress.write(tx)
    return progress.judged[Status.FAILED, ""]
