"""The role ``analytics``: who has the file, and who asks it. DuckDB is loaded by those who have the role only.

One process has the file. Another one with the role asks it, and tries to open the file every ``TRY_S``: DuckDB's lock
ends with the process that has it, however it ends, and of several that wait one gets it. It then answers at the door,
where it goes on asking too.
"""

import asyncio
import contextlib
import secrets
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import structlog

from ringback.analytics.days import Days
from ringback.analytics.door import open_door
from ringback.analytics.engine import Engine, FileIsHeld
from ringback.analytics.remote import RemoteEngine
from ringback.model.errors import AnalyticsAway
from ringback.runtime import Worker
from ringback.settings import Settings
from ringback.store import keys
from ringback.store.port import Store

log = structlog.stdlib.get_logger("ringback.wiring")

_DUCK: Final = "ringback.analytics.duck"
_PROJECTING: Final = "ringback.wiring.projecting"
TRY_S: Final = 5.0


def directory_of(settings: Settings) -> Path:
    """Return where the analytics file is."""
    return settings.analytics.dir or settings.store.data_dir / "analytics"


async def open_engine(settings: Settings, stack: AsyncExitStack) -> Engine:
    """Open who answers questions: the file in this process, or whoever has it."""
    directory = directory_of(settings)
    if "analytics" in settings.roles:
        duck: Any = import_module(_DUCK)
        try:
            file: Engine = await stack.enter_async_context(duck.DuckEngine(directory, settings.analytics))
        except FileIsHeld as error:
            log.warning(
                "analytics_file_is_held", error=str(error), consequence="the other process fills it until it ends"
            )
        else:
            await stack.enter_async_context(open_door(file, directory))
            return file
    return await stack.enter_async_context(RemoteEngine(directory))


async def projecting(core: Any) -> list[Worker]:
    """Return what keeps the file up to date that ``core.Core`` has, or will do so once no other process has it."""
    if "analytics" not in core.settings.roles:
        return []
    if isinstance(core.engine, RemoteEngine):
        return [Successor(core)]
    return [await _projection_for(core, core.engine)]


async def _projection_for(core: Any, file: Engine) -> Worker:
    worker: Worker = await import_module(_PROJECTING).projection_for(
        core.settings, file, store=core.store, clock=core.clock, wakeups=core.wakeups, metrics=core.metrics
    )
    return worker


class Successor:
    """Waits for the file, then does what the process before has done. A ``runtime.Worker``."""

    name = "analytics"

    def __init__(self, core: Any) -> None:
        """``core`` is a ``core.Core``."""
        self._core = core
        self._stopping = asyncio.Event()
        self._projection: Worker | None = None

    async def run(self) -> None:
        """Try until the file is this process's, and keep it up to date."""
        async with AsyncExitStack() as stack:
            while not self._stopping.is_set():
                if (file := await self._opened(stack)) is not None:
                    self._projection = await _projection_for(self._core, file)
                    if not self._stopping.is_set():
                        log.info("analytics_file_is_taken_over")
                        await self._projection.run()
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TRY_S):
                        await self._stopping.wait()

    def stop(self) -> None:
        """Try no more, and begin no further batch."""
        self._stopping.set()
        if self._projection is not None:
            self._projection.stop()

    async def _opened(self, stack: AsyncExitStack) -> Engine | None:
        directory = directory_of(self._core.settings)
        duck: Any = import_module(_DUCK)
        try:
            file: Engine = await stack.enter_async_context(duck.DuckEngine(directory, self._core.settings.analytics))
        except FileIsHeld:
            return None
        except AnalyticsAway as error:
            log.warning("analytics_file_is_not_taken_over", error=str(error))
            return None
        await stack.enter_async_context(open_door(file, directory))
        return file


async def identity_of(store: Store) -> str:
    """Return what tells this database from every other one."""
    return await store.write(lambda tx: keys.ensure(tx, "analytics", secrets.token_hex(8)))


def days_of(settings: Settings, identity: str) -> Days:
    """Return where the days of a database are sealed."""
    return Days(directory_of(settings) / "days" / identity)
