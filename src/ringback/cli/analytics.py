"""``ringback analytics``: how far the analytics file is, make it anew, take its rows away."""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ringback.analytics.days import REBUILD_WANTED, Days
from ringback.analytics.engine import EXPORT_LIMITS, Engine, FileIsHeld, Standing
from ringback.analytics.exports import EXPORT_TYPES
from ringback.analytics.remote import RemoteEngine
from ringback.cli.asking import engine_for
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from, time_of
from ringback.metrics import Metrics
from ringback.model.errors import AnalyticsAway, ConfigInvalid
from ringback.runtime import SystemClock, configure_logging
from ringback.settings import Settings
from ringback.store.wakeups import Wakeups
from ringback.wiring.analytics import directory_of
from ringback.wiring.backbone import open_backbone

LOOK_S: Final = 0.2
_TABLES: Final = {"messages": "queued_at", "events": '"at"'}

app = typer.Typer(help="The analytics file: how far it is, making it anew, its rows as files.", no_args_is_help=True)

Since = Annotated[str, typer.Option("--since", help="So long ago, such as 24h or 7d, or UTC in ISO 8601.")]
Until = Annotated[str, typer.Option("--until", help="The end of it, in the same way.")]
Format = Annotated[str, typer.Option("--format", help="parquet, csv or ndjson.")]
What = Annotated[str, typer.Option("--what", help="messages, by when they were queued, or events.")]
Out = Annotated[Path, typer.Option("--out", help="The file to write.", show_default=False)]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What ``status`` prints."""

    state: str
    """As ``Standing`` has it; ``stopped`` while no process fills the file."""
    events: int
    behind: int
    as_of_us: int
    per_s: float
    messages: int
    open_messages: int
    sealed_days: int
    bytes: int
    directory: str


@app.command("status")
def status(*, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Say how far the analytics are, and how large."""
    settings = settings_from(config=config, data_dir=data_dir)
    found = asyncio.run(_status(settings))
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(found)))
        return
    for name, value in msgspec.structs.asdict(found).items():
        typer.echo(f"{name:<14} {value}")


async def _status(settings: Settings) -> Status:
    directory = directory_of(settings)
    async with engine_for(settings) as engine:
        is_running = isinstance(engine, RemoteEngine)
        standing = await engine.standing()
        (row,) = (
            await engine.ask(
                "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM open_messages), "
                "(SELECT count(*) FROM sealed_days), (SELECT count(*) FROM events)"
            )
        ).rows
    return Status(
        state=standing.state if is_running else "stopped",
        events=row[3],
        behind=standing.behind,
        as_of_us=standing.as_of_us,
        per_s=standing.per_s,
        messages=row[0],
        open_messages=row[1],
        sealed_days=row[2],
        bytes=Days(directory / "days" / "all").size_bytes(),
        directory=str(directory),
    )


@app.command("rebuild")
def rebuild(*, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Make the analytics file anew from the event log, and from sealed days what the log has no longer.

    A running Ringback does it, if there is one: until it is done, figures are of what is in already.
    """
    settings = settings_from(config=config, data_dir=data_dir)
    configure_logging("warning")
    events = asyncio.run(_rebuild(settings))
    typer.echo(f"rebuilt from {events} events", err=True)


async def _rebuild(settings: Settings) -> int:
    async with RemoteEngine(directory_of(settings)) as owner:
        try:
            await owner.standing()
        except AnalyticsAway:
            return await _rebuild_here(settings)
        wish = directory_of(settings) / REBUILD_WANTED
        wish.touch()
        with _progress() as progress:
            while wish.exists():  # noqa: ASYNC110 - another process removes it
                await asyncio.sleep(LOOK_S)
            return await _watched(owner, progress)


async def _rebuild_here(settings: Settings) -> int:
    duck: Any = import_module("ringback.analytics.duck")
    projecting: Any = import_module("ringback.wiring.projecting")
    async with open_backbone(settings) as (store, clock), AsyncExitStack() as stack:
        try:
            file = await stack.enter_async_context(duck.DuckEngine(directory_of(settings), settings.analytics))
        except FileIsHeld as error:
            raise AnalyticsAway(f"{error}: it does not answer, so stop it first") from error
        projection = await projecting.projection_for(
            settings, file, store=store, clock=clock, wakeups=Wakeups(), metrics=Metrics()
        )
        with _progress() as progress:
            work = asyncio.create_task(projection.make_anew("asked_for"))
            watching = asyncio.create_task(_watched(file, progress))
            await work
            watching.cancel()
            return int((await file.standing()).events)


async def _watched(engine: Engine, progress: Progress) -> int:
    """Show how far a rebuild is until it is done."""
    task = progress.add_task("rebuilding", total=None, per_s="")
    while True:
        now = await engine.standing()
        _show(progress, task, now)
        if now.state == "current":
            return now.events
        await asyncio.sleep(LOOK_S)


def _show(progress: Progress, task: Any, now: Standing) -> None:
    progress.update(task, completed=now.events, total=now.events + now.behind, per_s=f"{now.per_s:,.0f} events/s")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[per_s]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


@app.command("export")
def export(
    *,
    out: Out,
    since: Since = "24h",
    until: Until = "0s",
    kind: Format = "parquet",
    what: What = "messages",
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write messages or events to a file, for other tools."""
    if kind not in EXPORT_TYPES:
        raise ConfigInvalid(f"--format must be one of {', '.join(EXPORT_TYPES)}")
    if what not in _TABLES:
        raise ConfigInvalid(f"--what must be one of {', '.join(_TABLES)}")
    settings = settings_from(config=config, data_dir=data_dir)
    now_us = SystemClock().now_us()
    given = [time_of(since, "--since", now_us=now_us), time_of(until, "--until", now_us=now_us)]
    written = asyncio.run(_export(settings, out, kind, what, given))
    typer.echo(f"{out}: {written:,} bytes", err=True)


async def _export(settings: Settings, out: Path, kind: Any, what: str, given: list[int]) -> int:
    column = _TABLES[what]
    sql = (
        f"SELECT * FROM {what} WHERE {column} >= make_timestamp(CAST(? AS BIGINT)) "  # noqa: S608 - own names
        f"AND {column} < make_timestamp(CAST(? AS BIGINT)) ORDER BY {column}"
    )
    unfinished = out.with_name(f".{out.name}.unfinished")
    written = 0
    async with engine_for(settings) as engine:
        with unfinished.open("wb") as file:
            async for chunk in engine.export(sql, given, kind=kind, limits=EXPORT_LIMITS):
                written += await asyncio.to_thread(file.write, chunk)
    unfinished.rename(out)
    return written
