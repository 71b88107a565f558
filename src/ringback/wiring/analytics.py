"""The role ``analytics``: who has the file, and who asks it. DuckDB is loaded by those who have the file only."""

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
from ringback.runtime import Worker
from ringback.settings import Settings
from ringback.store import keys
from ringback.store.port import Store

log = structlog.stdlib.get_logger("ringback.wiring")

_DUCK: Final = "ringback.analytics.duck"
_PROJECTING: Final = "ringback.wiring.projecting"


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
            log.warning("analytics_file_is_held", error=str(error), consequence="the other process fills it")
        else:
            await stack.enter_async_context(open_door(file, directory))
            return file
    return await stack.enter_async_context(RemoteEngine(directory))


async def projecting(core: Any) -> list[Worker]:
    """Return what keeps the file up to date that ``core.Core`` has; nothing where another process has it."""
    if isinstance(core.engine, RemoteEngine):
        return []
    worker: Worker = await import_module(_PROJECTING).projection_for(
        core.settings, core.engine, store=core.store, clock=core.clock, wakeups=core.wakeups, metrics=core.metrics
    )
    return [worker]


async def identity_of(store: Store) -> str:
    """Return what tells this database from every other one."""
    return await store.write(lambda tx: keys.ensure(tx, "analytics", secrets.token_hex(8)))


def days_of(settings: Settings, identity: str) -> Days:
    """Return where the days of a database are sealed."""
    return Days(directory_of(settings) / "days" / identity)
