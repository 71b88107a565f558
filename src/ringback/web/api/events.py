"""Received events for programs that fetch them: ``GET /events`` by a cursor, ``GET /events/stream`` as they come.

Both give the same objects in the same order, and both go on from a cursor, so a reader that was away misses nothing.
An account reads the sources that name it in ``account`` or ``auth_id``.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Final
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ringback.model.errors import InvalidRequest, NotAuthenticated, StoreUnavailable
from ringback.receiver import reader
from ringback.receiver.reader import Batch
from ringback.runtime import Clock
from ringback.settings import SourceSettings
from ringback.store import received_log
from ringback.store.port import Store
from ringback.store.wakeups import Listener, Wakeups
from ringback.web.api.auth import Authenticator
from ringback.web.errors import guarded, json_response

MOST: Final = 1_000
USUAL: Final = 100
STREAMED: Final = 200
RETRY_MS: Final = 1_500
HEARTBEAT_S: Final = 15.0
AWAY_S: Final = 2.0

_encode = msgspec.json.Encoder().encode


class EventApi:
    """The endpoints under ``/events``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        authenticator: Authenticator,
        sources: Mapping[str, SourceSettings],
        stopping: asyncio.Event,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._sources = sources
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/events", guarded(self.page), methods=["GET"]),
            Route("/events/stream", guarded(self.stream), methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Give events after a cursor, and the cursor to go on from."""
        names = await self._names(request)
        after = cursor_of(request.query_params.get("after", "0"))
        limit = whole_of(request.query_params.get("limit", str(USUAL)), "limit", most=MOST)
        batch = await self._read(names, after, limit)
        return json_response(
            {"api_id": str(uuid4()), "events": batch.events, "after": batch.cursor, "has_more": batch.has_more}
        )

    async def stream(self, request: Request) -> Response:
        """Send events as they come, as server-sent events whose ids are cursors.

        Begins after ``Last-Event-ID``, else after ``after``, else with what comes from now on.
        """
        await self._names(request)
        begin = request.headers.get("last-event-id") or request.query_params.get("after")
        if begin is None:
            after = await self._store.read(received_log.last_position)
        else:
            after = cursor_of(begin)
        return StreamingResponse(
            self._frames(request, after), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    async def _frames(self, request: Request, after: int) -> AsyncGenerator[bytes, None]:
        listener = self._wakeups.listen("received")
        watcher = asyncio.create_task(self._end(listener))
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not self._stopping.is_set():
                try:
                    # Asked anew at every look: who has lost the credentials sees nothing more.
                    batch = await self._read(await self._names(request), after, STREAMED)
                except NotAuthenticated:
                    return
                except StoreUnavailable:
                    yield b": the database is away\n\n"
                    await listener.wait(AWAY_S)
                    continue
                for event in batch.events:
                    yield b"id: %d\nevent: event\ndata: %b\n\n" % (event["cursor"], _encode(event))
                after = batch.cursor
                if not batch.has_more and not await listener.wait(HEARTBEAT_S):
                    # With the cursor: what was looked at and is for others need not be looked at again.
                    yield b"id: %d\n: still here\n\n" % after
        finally:
            listener.close()
            watcher.cancel()

    async def _end(self, listener: Listener) -> None:
        await self._stopping.wait()
        listener.wake()

    async def _read(self, names: list[str], after: int, limit: int) -> Batch:
        return await self._store.read(lambda tx: reader.read(tx, self._sources, names=names, after=after, limit=limit))

    async def _names(self, request: Request) -> list[str]:
        account = await self._authenticator.caller(request)
        names = reader.sources_of(account.auth_id, self._sources)
        wanted = request.query_params.get("source")
        return names if wanted is None else [name for name in names if name == wanted]


def cursor_of(text: str) -> int:
    """Read a cursor. Raises ``InvalidRequest``."""
    return whole_of(text, "after", least=0, most=2**62)


def whole_of(text: str, name: str, *, least: int = 1, most: int) -> int:
    """Read a number of the query. Raises ``InvalidRequest``."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidRequest(f"{name} parameter must be a whole number from {least} to {most}")
    return int(text)
