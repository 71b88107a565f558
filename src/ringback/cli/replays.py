"""``ringback callbacks replay``, ``replays`` and ``cancel``: send once more whatever matches, and follow it.

A replay is work in the database that a server with the role ``deliver`` does. The command only watches it.
"""

import asyncio
import json
import sys
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ringback.cli.acting import actor, noted
from ringback.cli.callbacks import (
    Account,
    Endpoint,
    Message,
    Since,
    Until,
    filter_of,
    shown_callback,
    shown_time,
    with_store,
)
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.delivery import replay as replaying
from ringback.delivery.replay import DEFAULT_RATE_PER_S, LEAST_RATE_PER_S, MOST_RATE_PER_S, Preview
from ringback.model.errors import ConfigInvalid
from ringback.runtime import SystemClock
from ringback.store import audit, replays
from ringback.store.port import Store, Transaction
from ringback.store.replays import RUNNING, Replay
from ringback.store.resends import Filter
from ringback.wiring.chance import new_id

LOOK_S: Final = 0.2
ENDED: Final = ("delivered", "given_up", "any")
UNATTENDED: Final = (
    "nothing happens: no process with the role deliver seems to work on this database; the replay goes on as soon as "
    "one does, such as ringback serve --role deliver"
)
INTERRUPTED: Final = 130
"""The exit code of what SIGINT has ended, as shells have it."""

State = Annotated[str, typer.Option("--state", help="delivered, given_up or any.")]
Rate = Annotated[float, typer.Option("--rate", min=LEAST_RATE_PER_S, max=MOST_RATE_PER_S, help="Callbacks per second.")]
Again = Annotated[bool, typer.Option("--again", help="Also what was sent once more already, and such copies.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many there are, and show the first.")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait for its end.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


def replay(
    *,
    account: Account = None,
    message: Message = None,
    endpoint: Endpoint = None,
    state: State = "given_up",
    since: Since = None,
    until: Until = None,
    again: Again = False,
    rate: Rate = DEFAULT_RATE_PER_S,
    dry_run: DryRun = False,
    detach: Detach = False,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Send once more whatever matches, oldest first.

    A running server does it. Ctrl-C only ends the watching and says how to cancel.
    """
    if state not in ENDED:
        raise ConfigInvalid(f"--state must be one of {', '.join(ENDED)}")
    known = None if state == "any" else state
    wanted = msgspec.structs.replace(
        filter_of(account=account, message=message, endpoint=endpoint, state=known, since=since, until=until),
        not_resent=not again,
    )
    if dry_run:
        _preview(wanted, rate, as_json=as_json, config=config, data_dir=data_dir)
        return
    begun: list[str] = []

    async def work(store: Store, clock: SystemClock) -> Replay:
        now_us = clock.now_us()

        def note(tx: Transaction, replay: Replay) -> None:
            # It goes on once this is committed, whether this process comes to hear of it or not.
            begun[:] = [replay.id]
            audit.note(tx, actor(), "replay start", replay.id, now_us=now_us)

        started = await replaying.start(
            store, wanted, rate_per_s=rate, account_id=None, new_id=new_id, now_us=now_us, also=note
        )
        return started if detach else await _watch(store, clock, started)

    try:
        followed = with_store(work, config=config, data_dir=data_dir)
    except KeyboardInterrupt:
        if begun:
            typer.echo(f"replay {begun[0]} goes on; to end it: ringback callbacks cancel {begun[0]}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print_one(followed, as_json=as_json)


def list_replays(
    *, limit: Limit = 20, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """List replays, newest first; with --json one object a line."""

    async def work(store: Store, _: SystemClock) -> list[Replay]:
        return await store.read(lambda tx: replays.page(tx, limit=limit))

    found = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        for each in found:
            typer.echo(json.dumps(_shown(each)))
        return
    table = Table("id", "started at (UTC)", "account", "state", "done", "of")
    for each in found:
        account = each.wanted.account_id or ""
        total = _total(each.total, counted_all=each.counted_all)
        table.add_row(each.id, shown_time(each.created_at_us), account, each.state, str(each.done), total)
    Console().print(table)


def cancel(replay_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """End a replay where it is; what it has sent stays sent."""

    async def work(store: Store, clock: SystemClock) -> Replay:
        now_us = clock.now_us()
        cancelling = noted(lambda tx, at_us: replaying.cancel(tx, replay_id, now_us=at_us), "replay cancel", replay_id)
        return await store.write(lambda tx: cancelling(tx, now_us))

    _print_one(with_store(work, config=config, data_dir=data_dir), as_json=as_json)


def _preview(wanted: Filter, rate: float, *, as_json: bool, config: Any, data_dir: Any) -> None:
    async def work(store: Store, clock: SystemClock) -> Preview:
        now_us = clock.now_us()
        return await store.read(lambda tx: replaying.dry_run(tx, wanted, now_us=now_us))

    seen = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        first = [shown_callback(callback) for callback in seen.first]
        counted = _shown_total(seen.total, counted_all=seen.counted_all)
        typer.echo(json.dumps({"dry_run": True, **counted, "first": first}))
        return
    if seen.first:
        table = Table("the first of them", "owed at (UTC)", "state", "endpoint")
        for callback in seen.first:
            table.add_row(callback.id, shown_time(callback.created_at_us), callback.state, callback.endpoint)
        Console().print(table)
    total = _total(seen.total, counted_all=seen.counted_all)
    at_least = "" if seen.counted_all else "at least "
    typer.echo(f"{total} callbacks match; without --dry-run they take {at_least or 'about '}{seen.total / rate:.0f} s")


async def _watch(store: Store, clock: SystemClock, started: Replay) -> Replay:
    columns = (TextColumn("sending once more"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replay", total=started.total if started.counted_all else None)
        seen, has_warned = started, False
        while seen.state == RUNNING:
            await asyncio.sleep(LOOK_S)
            seen = await store.read(lambda tx: replays.find(tx, started.id))
            progress.update(task, completed=seen.done)
            if not has_warned and replaying.is_unattended(seen, clock.now_us()):
                has_warned = True
                typer.echo(UNATTENDED, err=True)
    return seen


def _print_one(found: Replay, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_shown(found)))
    else:
        total = _total(found.total, counted_all=found.counted_all)
        typer.echo(f"replay {found.id} {found.state}: {found.done} of {total} callbacks sent once more")


def _total(total: int, *, counted_all: bool) -> str:
    return str(total) if counted_all else f"at least {total}"


def _shown_total(total: int, *, counted_all: bool) -> dict[str, int | None]:
    return {"total": total if counted_all else None, "total_at_least": total}


def _shown(found: Replay) -> dict[str, Any]:
    shown = msgspec.structs.asdict(found)
    shown["filter"] = msgspec.to_builtins(shown.pop("wanted"))
    shown |= _shown_total(found.total, counted_all=shown.pop("counted_all"))
    return {name: value for name, value in shown.items() if name not in {"after_id", "due_at_us"}}
