"""A bin of a running platform, and raw sockets to talk to it with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from ringback.inspector.keep import BinKeeper
from ringback.store import bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Capture
from ringback.store.port import Transaction
from ringback.wiring.chance import new_id
from tests.fakes.platform import Running


def keeper(ringback: Running) -> BinKeeper:
    """Return what makes bins in a running platform."""
    platform = ringback.platform
    return BinKeeper(
        store=platform.store,
        clock=platform.clock,
        new_id=new_id,
        new_salt=lambda: b"0123456789abcdef",
        wakeups=platform.wakeups,
        settings=platform.settings.bins,
    )


async def make_bin(ringback: Running, name: str = "t", *, account_id: str | None = None, **fields: Any) -> Bin:
    """Make a bin."""
    return await keeper(ringback).create(name, fields, account_id=account_id)


async def captured(ringback: Running, name: str = "t") -> list[Capture]:
    """Return all that a bin holds, oldest first."""

    def look(tx: Transaction) -> list[Capture]:
        found = bins.find(tx, name)
        return captures.whole_after(tx, found.id, 0, limit=10_000) if found else []

    return await ringback.platform.store.read(look)


async def until_captured(ringback: Running, name: str = "t", *, count: int = 1) -> list[Capture]:
    """Wait until so many captures are there, and return them."""
    return await _until(ringback, name, lambda found: len(found) >= count)


async def until_ended(ringback: Running, name: str = "t", *, count: int = 1) -> list[Capture]:
    """Wait until so many captures are there and all are answered, and return them."""
    return await _until(ringback, name, lambda found: len(found) >= count and all(item.outcome for item in found))


async def _until(ringback: Running, name: str, enough: Callable[[list[Capture]], bool]) -> list[Capture]:
    hint = ringback.platform.wakeups.listen("captures")
    try:
        async with asyncio.timeout(60):
            while not enough(found := await captured(ringback, name)):
                await hint.wait(1)
    finally:
        hint.close()
    return found


@asynccontextmanager
async def connection(ringback: Running) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a socket to a running platform."""
    parts = urlsplit(ringback.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def exchange(ringback: Running, request: bytes) -> bytes:
    """Send bytes, and read until the server hangs up."""
    async with connection(ringback) as (reader, writer), asyncio.timeout(60):
        writer.write(request)
        return await reader.read()
