"""A customer's endpoint: records every request byte for byte, and answers as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Recorded(msgspec.Struct, frozen=True):
    """One request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Give a header's value, empty when it is not there."""
        return {key.lower(): value for key, value in self.headers}.get(name.lower(), "")


class RecordingEndpoint:
    """Listens on a free loopback port."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.url = ""
        self._answers: list[Answer] = []
        self._otherwise: Answer | None = None
        self._changed = asyncio.Condition()

    def answer_next(self, *answers: Answer) -> None:
        """Answer the next requests so, in this order; further ones get 200."""
        self._answers.extend(answers)

    def answer_always(self, answer: Answer) -> None:
        """Answer every request so that nothing else was said about, and keep none: for load."""
        self._otherwise = answer

    async def wait_for(self, count: int, *, timeout_s: float = 60) -> list[Recorded]:
        """Wait until so many requests have arrived, and give them."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self._otherwise is not None and not self._answers:
            return await self._otherwise(request)
        body = await request.read()
        self.requests.append(Recorded(request.method, request.path_qs, list(request.headers.items()), body))
        answer = self._answers.pop(0) if self._answers else _ok
        async with self._changed:
            self._changed.notify_all()
        return await answer(request)


async def _ok(_: web.Request) -> web.StreamResponse:
    return web.Response(text="thanks")


def status(code: int, **headers: str) -> Answer:
    """Answer with a status."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, text=f"answer {code}")

    return answer


def hang(release: asyncio.Event) -> Answer:
    """Answer only when released."""

    async def answer(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    return answer


async def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection off without an answer."""
    transport = request.transport
    assert transport is not None
    transport.abort()
    return web.Response()


@asynccontextmanager
async def recording_endpoint(**options: Any) -> AsyncIterator[RecordingEndpoint]:
    """Run an endpoint for as long as the block lasts."""
    endpoint = RecordingEndpoint()
    server = web.Server(endpoint._handle, **options)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    endpoint.url = f"http://{host}:{port}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()
