"""A scripted SMSC on a free port, for as long as a test needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from ringback.carriers.smpp.session import Timers
from ringback.carriers.smsc.script import Script
from ringback.carriers.smsc.server import ScriptedSmsc
from ringback.runtime import Clock, SystemClock


@asynccontextmanager
async def scripted_smsc(
    *, port: int = 0, clock: Clock | None = None, **script: Any
) -> AsyncIterator[tuple[ScriptedSmsc, int]]:
    """Run one, by the system's clock if none is given; gives it and its port."""
    rules = msgspec.convert(script, Script)
    server = ScriptedSmsc(rules, clock=clock or SystemClock(), timers=Timers(bind_s=60))
    taken = await server.open("127.0.0.1", port)
    running = asyncio.create_task(server.run())
    try:
        yield server, taken
    finally:
        server.stop()
        await running
