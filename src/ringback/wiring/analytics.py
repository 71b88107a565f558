"""The role ``analytics``: the file, who asks it, and what fills it."""

import secrets
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from ringback.analytics.door import open_door
from ringback.analytics.duck import DuckEngine, FileIsHeld
from ringback.analytics.engine import Engine
from ringback.analytics.remote import RemoteEngine
from ringback.analytics.sealing import Days
from ringback.settings import Settings
from ringback.store import keys
from ringback.store.port import Store

log = structlog.stdlib.get_logger("ringback.wiring")


def directory_of(settings: Settings) -> Path:
    """Return where the analytics file is."""
    return settings.analytics.dir or settings.store.data_dir / "analytics"


async def open_analytics(settings: Settings, stack: AsyncExitStack) -> tuple[Engine, DuckEngine | None]:
    """Open who answers questions, and, where this process has the file, what it is written through."""
    directory = directory_of(settings)
    if "analytics" in settings.roles:
        try:
            file = await stack.enter_async_context(DuckEngine(directory, settings.analytics))
        except FileIsHeld as error:
            log.warning("analytics_file_is_held", error=str(error), consequence="the other process fills it")
        else:
            await stack.enter_async_context(open_door(file, directory))
            return file, file
    return await stack.enter_async_context(RemoteEngine(directory)), None


async def identity_of(store: Store) -> str:
    """Return what tells this database from every other one."""
    return await store.write(lambda tx: keys.ensure(tx, "analytics", secrets.token_hex(8)))


def days_of(settings: Settings, identity: str) -> Days:
    """Return where the days of a database are sealed."""
    return Days(directory_of(settings) / "days" / identity)
