"""The live stream: server-sent events whose ids are offsets in the event log.

A page says in its address up to which offset it was drawn; a browser that reconnects sends the last id it saw.
Either way the stream begins right after that offset and every frame covers the events from there to its own id,
so nothing between is missed, however long the break. Each look at the log also asks whether the session is
still open and whose it is, in the same read: a session that ended sees nothing more, and somebody of an account only
what is of that account.

Frames carry messages as rows ready to be put into the list. A frame that covers more messages than
``MOST_ROWS`` carries the newest ones and says how many it left out.

A bin's stream begins with what its page shows, and goes on with what changes of it: captures are few enough, and
nobody minds those that a break has let pass the page's end.

Replays leave no events. Their stream tells only that something about them is not as it was drawn, and its ids are
checksums of what is shown. Nobody signals how far a replay has come, so while one runs they are looked at every second.
"""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ringback.dialect.codes import NONE
from ringback.inspector.capture import TOPIC
from ringback.model.errors import NotFound, StoreUnavailable
from ringback.model.message import Event, Message
from ringback.store import bins, captures, feed, messages, replays
from ringback.store.bins import Bin
from ringback.store.captures import Head
from ringback.store.narrowing import NoReceipt
from ringback.store.port import Transaction
from ringback.store.replays import RUNNING, Replay
from ringback.store.wakeups import Listener
from ringback.web.dashboard.bins import MAX_TEXT, capture_rows
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.listing import PAGE_ROWS, Row, Wanted, narrowed, read_wanted, row, without_receipt
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import inside, secret_of
from ringback.web.dashboard.viewer import Viewer, viewer_of

EVENTS_PER_FRAME: Final = 2_000
MOST_ROWS: Final = 2 * PAGE_ROWS
RETRY_MS: Final = 1_500
LOOK_AT_REPLAYS_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.1
_PAUSE_AWAY_S: Final = 2.0

Seen = TypeVar("Seen")


class Look(msgspec.Struct, frozen=True):
    """What one look at the event log found."""

    events: Sequence[Event]
    messages: dict[str, Message]
    left_out: int
    """Messages that changed and are not among ``messages``."""


class Live:
    """The endpoint of the stream."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def stream(self, request: Request) -> Response:
        """Stream what changes; filters as in the list, ``rows=none`` for the bare fact that something did.

        With ``rows=events`` the rows are the events themselves, of messages that the filters take.
        ``rows=replays`` is about replays instead, ``rows=captures`` about what a bin holds.
        """
        begin = request.headers.get("last-event-id") or request.query_params.get("after", "")
        offset = int(begin) if begin.isascii() and begin.isdigit() and len(begin) < 19 else None
        session, viewer = secret_of(request), viewer_of(request)
        if request.query_params.get("rows") == "replays":
            return EventStream(self._context, _ReplayFrames(self._context, session, offset))
        if request.query_params.get("rows") == "captures":
            if not viewer.is_operator:
                raise NotFound
            name = request.query_params.get("bin", "").replace("\x00", "")
            text = request.query_params.get("q", "").replace("\x00", "")[:MAX_TEXT]
            return EventStream(self._context, _CaptureFrames(self._context, self._pages, session, name, text))
        if offset is None:
            offset = await feed.complete_to(self._context.store)
        wanted = (
            None if request.query_params.get("rows") == "none" else narrowed(read_wanted(request.query_params), viewer)
        )
        frames = _EventFrames(self._context, self._pages, session, wanted, offset)
        frames.shows_events = request.query_params.get("rows") == "events"
        return EventStream(self._context, frames)


class _Frames(Generic[Seen]):
    """The content of one stream."""

    topic: str
    """What is signalled when a look is worth it."""

    def __init__(self, context: DashboardContext, session: str) -> None:
        self._context = context
        self._session = session
        self._patience_s = context.heartbeat_s
        self.interval_s = context.frame_interval_s
        """The shortest time between two frames."""

    async def prepare(self) -> None:
        """Learn what has to be known before a look."""

    def find(self, tx: Transaction, viewer: Viewer) -> Seen:
        """Look at what there is for somebody to see."""
        raise NotImplementedError

    def frame(self, seen: Seen) -> bytes:
        """Write down what is new, ``b""`` when nothing is."""
        raise NotImplementedError

    async def parts(self, listener: Listener, ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
        """Give what is to be sent, until ``ended`` is set or the session is over."""
        yield f"retry: {RETRY_MS}\n\n".encode()
        while not ended.is_set():
            try:
                await self.prepare()
                look = await self._context.store.read(self._look)
            except StoreUnavailable:
                yield b": the database is away\n\n"
                await _wait(ended, _PAUSE_AWAY_S)
                continue
            if look is None:
                yield b"event: over\ndata: session\n\n"
                return
            if frame := self.frame(look):
                yield frame
                await _wait(ended, self.interval_s)
            elif not await listener.wait(self._patience_s):
                yield b": still here\n\n"

    def _look(self, tx: Transaction) -> Seen | None:
        found = inside(tx, self._session, self._context.clock.now_us(), self._context.settings)
        return None if found is None else self.find(tx, found.viewer)


class _EventFrames(_Frames[Look]):
    """What has happened to messages."""

    topic = "events"
    shows_events = False
    """Whether the rows are the events, and not the messages as they stand."""

    def __init__(
        self, context: DashboardContext, pages: Pages, session: str, wanted: Wanted | None, offset: int
    ) -> None:
        super().__init__(context, session)
        self._pages = pages
        self._wanted = wanted
        self._offset = offset
        self._complete_to = offset

    async def prepare(self) -> None:
        """See ``_Frames``."""
        self._complete_to = await feed.complete_to(self._context.store)

    def find(self, tx: Transaction, viewer: Viewer) -> Look:
        """See ``_Frames``."""
        every = messages.events_after(tx, self._offset, up_to=self._complete_to, limit=EVENTS_PER_FRAME)
        found = [event for event in every if viewer.sees(event.account_id)]
        if every and not found:
            # Nothing for this viewer: the next look begins behind it.
            self._offset = every[-1].id
        # Somebody holds newer ones up, and tells nobody if it gives up; or there is more to be looked through.
        held_up = messages.last_offset(tx) > self._complete_to or len(every) == EVENTS_PER_FRAME
        self._patience_s = LOOK_AGAIN_S if held_up else self._context.heartbeat_s
        if self._wanted is None:
            return Look(found, {}, 0)
        changed = list(dict.fromkeys(event.message_uuid for event in reversed(found)))
        return Look(found, messages.by_uuid(tx, changed[:MOST_ROWS]), len(changed[MOST_ROWS:]))

    def frame(self, look: Look) -> bytes:
        """See ``_Frames``."""
        if not look.events:
            return b""
        self._offset = look.events[-1].id
        content: dict[str, Any] = {"events": len(look.events)}
        if self._wanted is not None and self.shows_events:
            happened = event_rows(look.events, look.messages, self._wanted, without_receipt(self._context))
            content["rows"] = [
                {"id": item.id, "key": item.key, "html": self._pages.text("_event_rows.html", rows=[item]).strip()}
                for item in happened[-MOST_ROWS:]
            ]
            content["gone"] = []
            content["left_out"] = look.left_out + len(happened[:-MOST_ROWS])
        elif self._wanted is not None:
            no_receipt = without_receipt(self._context)
            shown = [message for message in look.messages.values() if self._wanted.takes(message, no_receipt)]
            content["rows"] = [
                {"id": item.uuid, "key": item.key, "html": self._pages.text("_rows.html", rows=[item]).strip()}
                for item in sorted(map(row, shown), key=lambda item: item.key)
            ]
            content["gone"] = sorted(set(look.messages) - {message.uuid for message in shown})
            content["left_out"] = look.left_out
        return b"id: %d\nevent: changes\ndata: %b\n\n" % (self._offset, msgspec.json.encode(content))


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the live page shows it."""

    id: int
    key: str
    """Sorts as events were recorded, as text."""
    at_us: int
    status: str
    flag: str | None
    error: str
    shown: Row
    """Its message."""
    country: str
    network: str


def event_rows(
    events: Sequence[Event], known: Mapping[str, Message], wanted: Wanted, no_receipt: NoReceipt
) -> list[EventRow]:
    """Return the events of messages that a list takes, as they were recorded."""
    return [
        EventRow(
            id=event.id,
            key=f"{event.id:019d}",
            at_us=event.at_us,
            status=event.status,
            flag=event.flag,
            error=event.error_code if event.error_code not in (None, NONE) else "",
            shown=row(message),
            country=message.country,
            network=message.network or "",
        )
        for event in events
        if (message := known.get(event.message_uuid)) is not None and wanted.takes(message, no_receipt)
    ]


class _ReplayFrames(_Frames[Sequence[Replay]]):
    """That replays are not as they were."""

    topic = "replays"

    def __init__(self, context: DashboardContext, session: str, mark: int | None) -> None:
        super().__init__(context, session)
        self._mark = mark

    def find(self, tx: Transaction, viewer: Viewer) -> Sequence[Replay]:
        """See ``_Frames``."""
        return replays.page(tx, account_id=viewer.account_id, limit=PAGE_ROWS)

    def frame(self, found: Sequence[Replay]) -> bytes:
        """See ``_Frames``."""
        runs = any(replay.state == RUNNING for replay in found)
        self._patience_s = min(LOOK_AT_REPLAYS_S, self._context.heartbeat_s) if runs else self._context.heartbeat_s
        mark = mark_of(found)
        if mark == self._mark:
            return b""
        self._mark = mark
        return b"id: %d\nevent: changes\ndata: {}\n\n" % mark


class Held(msgspec.Struct, frozen=True):
    """What one look at a bin found."""

    bin: Bin | None
    new: Sequence[Head]
    """Since the look before, newest first."""
    answered: Sequence[Head]
    """Those of the looks before that were not answered then."""
    oldest: int


class _CaptureFrames(_Frames[Held]):
    """What a bin holds: rows that are new or not as they were, and the numbers of all that the list shows."""

    topic = TOPIC

    def __init__(self, context: DashboardContext, pages: Pages, session: str, name: str, text: str) -> None:
        super().__init__(context, session)
        self._pages = pages
        self._name = name
        self._text = text
        self._shown: dict[int, Head] = {}
        self._looked_to: int | None = None
        self._contents: tuple[int, int] | None = None
        self.interval_s = context.capture_interval_s

    def find(self, tx: Transaction, viewer: Viewer) -> Held:
        """See ``_Frames``."""
        found = bins.find(tx, self._name) if viewer.is_operator else None
        if found is None:
            return Held(None, [], [], 0)
        new = captures.newest(tx, found.id, after=self._looked_to, text=self._text, limit=PAGE_ROWS)
        waiting = [number for number, head in self._shown.items() if not head.outcome]
        return Held(found, new, captures.heads(tx, found.id, waiting), captures.oldest_number(tx, found.id))

    def frame(self, held: Held) -> bytes:
        """See ``_Frames``."""
        shown = {head.number: head for head in held.new}
        if held.oldest:
            shown |= {number: head for number, head in self._shown.items() if number >= held.oldest}
        shown |= {head.number: head for head in held.answered}
        shown = {number: shown[number] for number in sorted(shown, reverse=True)[:PAGE_ROWS]} if held.bin else {}
        contents = (held.bin.captures, held.bin.bytes) if held.bin is not None else (0, 0)
        changed = [head for number, head in shown.items() if self._shown.get(number) != head]
        is_news = bool(changed) or shown.keys() != self._shown.keys() or contents != self._contents
        self._shown, self._contents = shown, contents
        self._looked_to = 0 if held.bin is None else held.bin.last_number
        if not is_news:
            return b""
        content = {
            "shown": list(shown),
            "rows": [
                {"id": head.number, "html": self._pages.text("_capture_rows.html", bin=held.bin, rows=[row]).strip()}
                for head, row in zip(changed, capture_rows(self._name, changed), strict=True)
            ],
            "held": f"{contents[0]:,} in {contents[1]:,} bytes",
        }
        return b"id: %d\nevent: changes\ndata: %b\n\n" % (self._looked_to, msgspec.json.encode(content))


def mark_of(found: Sequence[Replay]) -> int:
    """Return a number that is another one as soon as the list of replays shows anything else."""
    return zlib.crc32(msgspec.json.encode([(replay.id, replay.state, replay.done) for replay in found]))


class EventStream(Response):
    """A response that ends when the reader goes, the server stops, or the content does."""

    def __init__(self, context: DashboardContext, frames: _Frames[Any]) -> None:
        self._context = context
        self._frames = frames
        self.status_code = 200
        self.background = None
        self.media_type = "text/event-stream"
        # Proxies that collect answers before passing them on would hold the stream up.
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        listener = self._context.wakeups.listen(self._frames.topic)
        ended = asyncio.Event()
        watchers = [
            asyncio.create_task(_then_end(self._context.stopping.wait, ended, listener)),
            asyncio.create_task(_then_end(lambda: _disconnected(receive), ended, listener)),
        ]
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with contextlib.aclosing(self._frames.parts(listener, ended)) as parts:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            # The reader has gone: there is nobody to tell.
            return
        finally:
            listener.close()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)


async def _then_end(condition: Callable[[], Awaitable[object]], ended: asyncio.Event, listener: Listener) -> None:
    await condition()
    ended.set()
    listener.wake()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(ended: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await ended.wait()
