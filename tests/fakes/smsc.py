"""A scripted SMSC on a free port, for as long as a test needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from ringback.carriers.smpp.session import Timers
from ringback.carriers.smsc.script import Script
from ringback.carriers.smsc.server import ScriptedSmsc
from ringback.runtime import SystemClock


@asynccontextmanager
async def scripted_smsc(*, port: int = 0, **script: Any) -> AsyncIterator[tuple[ScriptedSmsc, int]]:
    """Run one; gives it and its port."""
    server = ScriptedSmsc(msgspec.convert(script, Script), clock=SystemClock(), timers=Timers(bind_s=60))
    taken = await server.open("127.0.0.1", port)
    running = asyncio.create_task(server.run())
    try:
        yield server, taken
    finally:
        server.stop()
        await running
