"""``ringback bin``: bins of the request inspector, of everybody."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import actor
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.inspector import exports, script
from ringback.inspector.keep import BinKeeper
from ringback.model.errors import InvalidRequest
from ringback.runtime import SystemClock
from ringback.settings import Settings
from ringback.store import audit, bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Capture
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.bins import FORMATS, bin_record, write
from ringback.wiring.backbone import base_url, open_backbone
from ringback.wiring.serving import bin_keeper

T = TypeVar("T")

app = typer.Typer(help="Bins that capture requests: make, read, wait for, export.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The bin's name.", show_default=False)]
After = Annotated[int, typer.Option("--after", help="Only what comes after the capture of this number.", min=0)]
Number = Annotated[int | None, typer.Option("--number", help="One capture, by its number.", min=1, show_default=False)]
AccountId = Annotated[
    str | None, typer.Option("--account", help="Auth id of whoever may use it by the API.", show_default=False)
]
ScriptLine = Annotated[
    str | None,
    typer.Option("--script", help="What it answers, such as 500x2,200 or callback:503,hang:20,200; or JSON."),
]
NewName = Annotated[str, typer.Argument(help="Letters, digits, - and _; one is found when there is none.")]


@app.command("new")
def new_bin(
    name: NewName = "",
    *,
    answers: ScriptLine = None,
    captures: Annotated[int | None, typer.Option(help="How many captures it holds.")] = None,
    megabytes: Annotated[int | None, typer.Option(help="How much it holds.")] = None,
    retention_hours: Annotated[int | None, typer.Option(help="How long it keeps a capture.")] = None,
    account: AccountId = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a bin and print where it takes requests."""
    settings = settings_from(config=config, data_dir=data_dir)
    given = {"captures": captures, "megabytes": megabytes, "retention_hours": retention_hours, "script": answers}
    said = {key: value for key, value in given.items() if value is not None}

    async def work(keeper: BinKeeper, store: Store, clock: SystemClock) -> Bin:
        made = await keeper.create(name, said, account_id=account)
        await _tell(store, clock, "bin create", made.name)
        return made

    made = bin_record(run_with_keeper(settings, work), _url(settings))
    typer.echo(json.dumps(made) if as_json else made["url"])


@app.command("list")
def list_bins(*, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """List bins; with --json one object a line."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(_: BinKeeper, store: Store) -> list[Bin]:
        return await store.read(lambda tx: bins.page(tx, limit=10_000))

    found = _run(settings, work)
    if as_json:
        for item in found:
            typer.echo(json.dumps(bin_record(item, _url(settings))))
        return
    table = Table("name", "captures", "bytes", "answers", "account")
    for item in found:
        answers = script.in_words(script.decode(item.script))
        table.add_row(item.name, str(item.captures), str(item.bytes), answers, item.account_id or "")
    Console().print(table)


@app.command("show")
def show_bin(
    name: Name, *, number: Number = None, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Show a bin with its newest captures, or one capture."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(keeper: BinKeeper, store: Store) -> dict[str, Any]:
        found = await keeper.find(name)
        if number is not None:
            item = await store.read(lambda tx: captures.one(tx, found.id, number))
            if item is None:
                raise InvalidRequest(f"bin {name} holds no capture {number}")
            return exports.record(item, item.body)
        newest = await store.read(lambda tx: captures.newest(tx, found.id, limit=20))
        return {**bin_record(found, _url(settings)), "newest": [exports.record(head) for head in newest]}

    shown = json.dumps(_run(settings, work))
    if as_json:
        typer.echo(shown)
    else:
        Console().print_json(shown)


@app.command("wait")
def wait_for(
    name: Name,
    *,
    count: Annotated[int, typer.Option(min=1, help="How many captures.")] = 1,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")] = 30,
    after: After = 0,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Wait until there are so many captures, print them one a line; exit code 1 when they do not come."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(keeper: BinKeeper, _: Store) -> list[captures.Head]:
        found = await keeper.find(name)
        return await keeper.wait(found, after=after, count=count, timeout_s=timeout_s)

    heads = _run(settings, work)
    for head in heads:
        typer.echo(json.dumps(exports.record(head)))
    if len(heads) < count:
        raise typer.Exit(1)


@app.command("export")
def export(
    name: Name,
    *,
    kind: Annotated[str, typer.Option("--format", help="curl, har, ndjson or pytest.")] = "ndjson",
    number: Number = None,
    after: After = 0,
    output: Annotated[Path | None, typer.Option("--output", help="File to write to.", show_default=False)] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write captures for another tool."""
    if kind not in FORMATS:
        raise InvalidRequest(f"--format must be one of {', '.join(FORMATS)}")
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(keeper: BinKeeper, store: Store) -> list[Capture]:
        found = await keeper.find(name)
        first, limit = (after, 100_000) if number is None else (number - 1, 1)
        return await store.read(lambda tx: captures.whole_after(tx, found.id, first, limit=limit))

    items = [item for item in _run(settings, work) if number in {None, item.number}]
    text = write(items, kind, name, _url(settings))
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)


@app.command("delete")
def delete(name: Name, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove a bin with all that it holds."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(keeper: BinKeeper, store: Store, clock: SystemClock) -> int:
        removed = await keeper.delete(name)
        await _tell(store, clock, "bin delete", name)
        return removed

    typer.echo(f"removed {name} and {run_with_keeper(settings, work)} captures", err=True)


async def _tell(store: Store, clock: SystemClock, action: str, target: str) -> None:
    """Tell the audit log of what was done: bins are changed in transactions of their keeper's."""
    now_us = clock.now_us()
    await store.write(lambda tx: audit.note(tx, actor(), action, target, now_us=now_us))


def run_with_keeper(settings: Settings, work: Callable[[BinKeeper, Store, SystemClock], Awaitable[T]]) -> T:
    """Do what needs bins and the database."""

    async def run() -> T:
        async with open_backbone(settings) as (store, clock):
            return await work(bin_keeper(store, clock, Wakeups(), settings), store, clock)

    return asyncio.run(run())


def _run(settings: Settings, work: Callable[[BinKeeper, Store], Awaitable[T]]) -> T:
    return run_with_keeper(settings, lambda keeper, store, _: work(keeper, store))


def _url(settings: Settings) -> str:
    server = settings.server
    return (server.public_base_url or base_url(server.host, server.port)).rstrip("/")
