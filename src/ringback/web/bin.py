"""Where bins take requests: ``/bin/<name>`` and everything below it, by any method that HTTP's parser knows.

A request is read up to the caps, stored, then answered by what its capture says. Answers of bins are made by whoever
may write scripts, and come from the host that the dashboard is on: so a browser gets them as a page of no origin, which
may run and send nothing.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ringback.inspector.capture import REFUSED, Captured, Incoming, Inspector
from ringback.inspector.script import HANG_S, SLOW_BODY, SLOW_S, Step
from ringback.model.errors import NotFound, RingbackError, TryLater
from ringback.runtime import Clock
from ringback.settings import BinsSettings
from ringback.store.captures import Cut
from ringback.web.errors import error_response, to_response
from ringback.web.peers import Peers
from ringback.web.wire import wire_of, written_headers

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

SAFE: Final = (
    (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer of a bin, whatever its script says."""

PIECES_PER_S: Final = 4
DRAIN_BYTES: Final = 4_000_000
DRAIN_S: Final = 1.0
"""Of a body that is over the cap so much more is read and let go, so that its sender is still there for the answer."""

_REFUSALS: Final = {
    "too_large": "request body is over the limit of {} bytes; it is captured up to there",
    "timeout": "request body did not come in time; it is captured as far as it came",
}


class BinRoute(Route):
    """All that is at or below ``/bin/<name>``, whatever its method."""

    def __init__(self, door: "BinDoor") -> None:
        super().__init__("/bin/{bin}", door)
        self.path_regex = re.compile(r"^/bin/(?P<bin>[^/]+)(?:/.*)?\Z", re.DOTALL)


class BinDoor:
    """Takes requests in and answers them. An ASGI application."""

    def __init__(
        self,
        inspector: Inspector,
        *,
        settings: BinsSettings,
        clock: Clock,
        peers: Peers,
        stopping: asyncio.Event,
    ) -> None:
        self._inspector = inspector
        self._settings = settings
        self._clock = clock
        self._peers = peers
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        started_us = self._clock.now_us()
        request = Request(scope, receive)
        name = request.path_params["bin"].lower()
        peer = self._peers.of(request)
        body = Body(receive, self._inspector, self._settings)
        try:
            if not NAME.fullmatch(name):
                raise NotFound("there is no bin of this name")
            self._inspector.admit(name, peer)
            await body.read()
            captured = await self._inspector.take(
                Incoming(
                    bin=name,
                    received_at_us=started_us,
                    method=request.method,
                    path=scope["raw_path"].decode("latin-1"),
                    query=scope["query_string"].decode("latin-1"),
                    headers=written_headers(scope),
                    body=bytes(body.content),
                    cut=body.cut,
                    peer=peer,
                )
            )
        except RingbackError as error:
            answer = to_response(error)
            # What was not read would be taken for the next request.
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
            return
        finally:
            body.let_go()
        outcome = await self._answer(captured, body.cut, scope, receive, send)
        await self._inspector.note(captured, duration_us=self._clock.now_us() - started_us, outcome=outcome)

    async def _answer(self, captured: Captured, cut: Cut, scope: Scope, receive: Receive, send: Send) -> str:
        if captured.step is not None:
            return await Performance(self, scope, receive, send).perform(captured.step)
        status = REFUSED[cut]
        if status is None:
            return "gone"
        answer = error_response(status, _REFUSALS[cut].format(self._settings.max_body_bytes))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, send)
        return "answered"

    @property
    def inspector(self) -> Inspector:
        """What takes the requests in."""
        return self._inspector

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the server stops: answers that are held back end then."""
        return self._stopping


class Body:
    """A request's body as it comes, bounded in size, time, and by what all bodies together take."""

    def __init__(self, receive: Receive, inspector: Inspector, settings: BinsSettings) -> None:
        self._receive = receive
        self._room = inspector.room
        self._settings = settings
        self._taken = 0
        self.content = bytearray()
        self.cut: Cut = ""
        self._no_room = False

    async def read(self) -> None:
        """Read it; ``cut`` says why when it is not whole. Raises ``TryLater`` when there is no room."""
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                await self._read()
        except TimeoutError:
            self.cut = "timeout"
        if self.cut == "too_large" or self._no_room:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._drain()
        if self._no_room:
            raise TryLater("too many bodies are in memory, send again in a moment")

    async def _read(self) -> None:
        most = self._settings.max_body_bytes
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.cut = "disconnected"
                return
            part = message.get("body", b"")[: most + 1 - len(self.content)]
            if not self._room.take(len(part)):
                self._no_room = True
                return
            self._taken += len(part)
            self.content += part
            if len(self.content) > most:
                del self.content[most:]
                self.cut = "too_large"
                return
            if not message.get("more_body", False):
                return

    async def _drain(self) -> None:
        size = 0
        while size < DRAIN_BYTES:
            message = await self._receive()
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                return

    def let_go(self) -> None:
        """Give the room back."""
        self._room.give_back(self._taken)
        self._taken = 0


class Performance:
    """One answer of a script."""

    def __init__(self, door: BinDoor, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send = send

    async def perform(self, step: Step) -> str:
        """Do what the step says; returns how it ended: as its kind, or ``gone``, ``stopped`` or ``overloaded``."""
        if not step.delay_s and step.kind in {"answer", "reset"}:
            return await self._perform(step)
        held = self._door.inspector.held
        if not held.take(1):
            answer = error_response(503, "the request is captured; too many answers are held back already")
            await answer(self._scope, self._receive, self._send)
            return "overloaded"
        try:
            if step.delay_s and (ended := await self._pause(step.delay_s)):
                return await self._end(ended)
            return await self._perform(step)
        finally:
            held.give_back(1)

    async def _perform(self, step: Step) -> str:
        kinds: dict[str, Callable[[Step], Awaitable[str]]] = {
            "answer": self._plain, "hang": self._hang, "reset": self._reset, "slow": self._slow,
        }  # fmt: skip
        return await kinds[step.kind](step)

    async def _plain(self, step: Step) -> str:
        await self._start(step, step.content)
        await self._send({"type": "http.response.body", "body": step.content})
        return "answered"

    async def _hang(self, step: Step) -> str:
        ended = await self._pause(HANG_S if step.seconds is None else step.seconds)
        return await self._end(ended or "hung up")

    async def _reset(self, _: Step) -> str:
        wire_of(self._scope).reset()
        return await self._end("reset")

    async def _slow(self, step: Step) -> str:
        content = step.content or SLOW_BODY
        seconds = SLOW_S if step.seconds is None else step.seconds
        pieces = max(1, min(len(content), round(seconds * PIECES_PER_S)))
        size = -(-len(content) // pieces)
        await self._start(step, content)
        for at in range(0, len(content), size):
            if ended := await self._pause(seconds * size / len(content)):
                return await self._end(ended)
            is_last = at + size >= len(content)
            await self._send({"type": "http.response.body", "body": content[at : at + size], "more_body": not is_last})
        return "answered"

    async def _start(self, step: Step, content: bytes) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in step.headers]
        if content and all(name.lower() != "content-type" for name, _ in step.headers):
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        if step.status not in {204, 304}:
            headers.append((b"content-length", b"%d" % len(content)))
        start: dict[str, Any] = {"type": "http.response.start", "status": step.status, "headers": [*headers, *SAFE]}
        await self._send(start)

    async def _pause(self, seconds: float) -> str:
        """Wait; returns ``""``, or why there is no sense in waiting longer."""
        watched = {
            "gone": asyncio.create_task(self._disconnected()),
            "stopped": asyncio.create_task(self._door.stopping.wait()),
        }
        try:
            done, _ = await asyncio.wait(watched.values(), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return next((why for why, task in watched.items() if task in done), "")
        finally:
            for task in watched.values():
                task.cancel()
            await asyncio.gather(*watched.values(), return_exceptions=True)

    async def _end(self, ended: str) -> str:
        wire_of(self._scope).hang_up()
        # Until the server knows that the connection is gone it wants an answer.
        await self._disconnected()
        return ended

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def bin_routes(door: BinDoor) -> list[Route]:
    """Return the route of bins."""
    return [BinRoute(door)]
