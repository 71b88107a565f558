"""``ringback callbacks``: find callbacks, look into them, send them once more."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.model.errors import ConfigInvalid
from ringback.runtime import SystemClock
from ringback.store import resends
from ringback.store.callbacks import Attempt, Callback
from ringback.store.port import Store
from ringback.store.resends import Filter
from ringback.wiring import new_id, open_backbone

T = TypeVar("T")

app = typer.Typer(help="Callbacks and their attempts, of all accounts.", no_args_is_help=True)

BATCH = 64

Account = Annotated[str | None, typer.Option("--account", help="Auth id.", show_default=False)]
Message = Annotated[str | None, typer.Option("--message", help="Message uuid.", show_default=False)]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help="Scheme, host and port, as ENDPOINT shows.", show_default=False)
]
State = Annotated[str | None, typer.Option("--state", help="pending, delivered or given_up.", show_default=False)]
Since = Annotated[
    datetime | None,
    typer.Option("--since", help="Owed since, UTC, such as 2026-01-31T12:00.", show_default=False),
]
Until = Annotated[datetime | None, typer.Option("--until", help="Owed before then, UTC.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]
Rate = Annotated[float, typer.Option("--rate", min=0.1, max=10_000, help="Callbacks per second.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")]

STATES = ("pending", "delivered", "given_up")


@app.command("list")
def list_callbacks(
    *,
    account: Account = None,
    message: Message = None,
    endpoint: Endpoint = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List callbacks, newest first; with --json one object a line."""
    wanted = _filter(account=account, message=message, endpoint=endpoint, state=state, since=since, until=until)

    async def work(store: Store, _: SystemClock) -> list[Callback]:
        return await store.read(lambda tx: resends.search(tx, wanted, limit=limit))

    found = _with_store(work, config=config, data_dir=data_dir)
    if as_json:
        for callback in found:
            typer.echo(json.dumps(_shown(callback)))
        return
    table = Table("id", "owed at (UTC)", "state", "sequence", "endpoint", "message")
    for callback in found:
        table.add_row(
            callback.id,
            _time(callback.created_at_us),
            callback.state,
            str(callback.sequence),
            callback.endpoint,
            callback.message_uuid,
        )
    Console().print(table)


@app.command()
def show(callback_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show one callback and its attempts."""

    async def work(store: Store, _: SystemClock) -> tuple[Callback, list[Attempt]]:
        return await store.read(lambda tx: resends.find(tx, callback_id))

    callback, made = _with_store(work, config=config, data_dir=data_dir)
    shown = _shown(callback) | {"attempts": [_shown_attempt(attempt) for attempt in made]}
    if as_json:
        typer.echo(json.dumps(shown))
        return
    console = Console()
    console.print_json(json.dumps({name: value for name, value in shown.items() if name != "attempts"}))
    table = Table("attempt", "started at (UTC)", "late", "took", "outcome", "status", "error")
    for attempt in made:
        table.add_row(
            str(attempt.number),
            _time(attempt.started_at_us),
            f"{(attempt.started_at_us - attempt.planned_at_us) / 1000:.0f} ms",
            f"{attempt.duration_us / 1000:.0f} ms",
            attempt.outcome,
            str(attempt.http_status or ""),
            attempt.error or "",
        )
    console.print(table)


@app.command()
def resend(callback_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Send one callback once more, now; prints the id of the new one."""

    async def work(store: Store, clock: SystemClock) -> list[str]:
        now_us = clock.now_us()
        return await store.write(lambda tx: resends.resend(tx, [callback_id], new_id=new_id, now_us=now_us))

    [again] = _with_store(work, config=config, data_dir=data_dir)
    typer.echo(json.dumps({"id": again, "resend_of": callback_id}) if as_json else again)


@app.command()
def replay(
    *,
    account: Account = None,
    message: Message = None,
    endpoint: Endpoint = None,
    state: State = "given_up",
    since: Since = None,
    until: Until = None,
    rate: Rate = 50.0,
    dry_run: DryRun = False,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Send once more whatever matches and was not sent once more yet, oldest first.

    Ctrl-C stops it; the same command goes on where it stopped. A server must run to make the attempts.
    """
    wanted = msgspec.structs.replace(
        _filter(account=account, message=message, endpoint=endpoint, state=state, since=since, until=until),
        not_resent=True,
    )

    async def work(store: Store, clock: SystemClock) -> tuple[int, int]:
        # What becomes owed from now on is none of this replay's business.
        until_us = min(wanted.until_us or clock.now_us(), clock.now_us())
        fixed = msgspec.structs.replace(wanted, until_us=until_us)
        total = await store.read(lambda tx: resends.count(tx, fixed))
        return total, 0 if dry_run else await _replay(store, clock, fixed, total, rate)

    total, done = _with_store(work, config=config, data_dir=data_dir)
    if as_json:
        typer.echo(json.dumps({"matching": total, "resent": done, "dry_run": dry_run}))
    elif dry_run:
        typer.echo(f"{total} callbacks match; without --dry-run they take about {total / rate:.0f} s")
    else:
        typer.echo(f"{done} of {total} callbacks are on their way once more")


async def _replay(store: Store, clock: SystemClock, wanted: Filter, total: int, rate: float) -> int:
    loop = asyncio.get_running_loop()
    begun_s, done = loop.time(), 0
    columns = (TextColumn("sending once more"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("replay", total=total)
        while True:
            now_us = clock.now_us()
            batch = max(1, min(BATCH, round(rate)))
            sent = await store.write(
                lambda tx, now_us=now_us, batch=batch: resends.resend_next(  # type: ignore[misc]
                    tx, wanted, limit=batch, new_id=new_id, now_us=now_us
                )
            )
            if not sent:
                return done
            done += sent
            progress.update(task, completed=done)
            await asyncio.sleep(max(begun_s + done / rate - loop.time(), 0))


def _filter(
    *,
    account: str | None,
    message: str | None,
    endpoint: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Filter:
    if state is not None and state not in STATES:
        raise ConfigInvalid(f"--state must be one of {', '.join(STATES)}")
    return Filter(
        account_id=account,
        message_uuid=message,
        endpoint=endpoint,
        state=state,
        since_us=_us(since),
        until_us=_us(until),
    )


def _with_store(work: Callable[[Store, SystemClock], Awaitable[T]], *, config: Any, data_dir: Any) -> T:
    async def run() -> T:
        async with open_backbone(settings_from(config=config, data_dir=data_dir)) as (store, clock):
            return await work(store, clock)

    return asyncio.run(run())


def _us(at: datetime | None) -> int | None:
    return None if at is None else round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _shown(callback: Callback) -> dict[str, Any]:
    # Without the parameters: they name the other party, whatever the message's log says.
    return {name: value for name, value in msgspec.structs.asdict(callback).items() if name != "params"}


def _shown_attempt(attempt: Attempt) -> dict[str, Any]:
    shown = msgspec.structs.asdict(attempt)
    shown["response_body"] = attempt.response_body.decode("utf-8", "replace")
    for name in ("request_headers", "response_headers"):
        shown[name] = json.loads(shown[name])
    return shown
