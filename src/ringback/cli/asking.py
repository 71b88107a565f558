"""How a command asks the analytics: the running process that has the file, or the file itself while nobody runs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

from ringback.analytics.engine import Engine
from ringback.analytics.questions import Questions
from ringback.analytics.remote import RemoteEngine
from ringback.cli.options import settings_from
from ringback.model.errors import AnalyticsAway
from ringback.runtime import SystemClock
from ringback.settings import Settings

_DUCK: Final = "ringback.analytics.duck"
"""Loaded when it is needed: no other command waits for DuckDB."""

_Found = TypeVar("_Found")


def ask(
    work: Callable[[Questions, SystemClock], Awaitable[_Found]], *, config: Path | None, data_dir: Path | None
) -> _Found:
    """Do ``work`` with questions. Raises ``AnalyticsAway`` when there is no file, or who has it does not answer."""
    settings = settings_from(config=config, data_dir=data_dir)
    clock = SystemClock()

    async def run() -> _Found:
        async with engine_for(settings) as engine:
            return await work(Questions(engine, settings.analytics, clock), clock)

    return asyncio.run(run())


@asynccontextmanager
async def engine_for(settings: Settings) -> AsyncGenerator[Engine, None]:
    """Open who answers. Raises ``AnalyticsAway``."""
    directory = settings.analytics.dir or settings.store.data_dir / "analytics"
    async with RemoteEngine(directory) as owner:
        if await _is_there(owner):
            yield owner
            return
    duck: Any = import_module(_DUCK)
    if not (directory / duck.FILE).exists():
        raise AnalyticsAway(
            f"there are no analytics in {directory}: run ringback serve, which makes them, or name its --data-dir"
        )
    async with duck.DuckEngine(directory, settings.analytics, read_only=True) as file:
        yield file


async def _is_there(owner: RemoteEngine) -> bool:
    try:
        await owner.standing()
    except AnalyticsAway:
        return False
    return True
