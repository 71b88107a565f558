"""``ringback reconcile``: compare received events with the provider's list of messages, and fill in what is missing."""

import asyncio
import json
import sys
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ringback.cli.acting import noted
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from, time_of
from ringback.cli.replays import INTERRUPTED
from ringback.model.errors import ConfigInvalid, NotFound
from ringback.receiver.forward import iso
from ringback.receiver.reconcile import Reconciler, new_run
from ringback.receiver.rest import RestClient
from ringback.receiver.sources.provider_api import LISTS_A_MINUTE
from ringback.receiver.sources.upstream import Upstream, upstream_of
from ringback.settings import Settings
from ringback.store import reconciliations
from ringback.store.port import Store
from ringback.store.reconciliations import Finding, Run
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id

SHOWN: Final = 20
IN_JSON: Final = 1_000

SourceName = Annotated[str, typer.Option("--source", help="Name of the source.", show_default=False)]
Since = Annotated[
    str, typer.Option("--since", help="Messages sent since: 90m, 24h or 7d ago, or UTC such as 2026-01-31T12:00.")
]
Until = Annotated[
    str,
    typer.Option("--until", help="Messages sent before then. Callbacks of younger ones may be on their way still."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Compare, and fill in nothing.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run of this source that was cut off.")]
Rate = Annotated[
    float, typer.Option("--rate", min=0.1, max=100_000, help="Pages a minute, of 20 messages each, that are asked for.")
]
Subaccount = Annotated[
    str, typer.Option("--subaccount", help="Only messages of this subaccount at the provider.", show_default=False)
]


def reconcile(
    *,
    source: SourceName,
    since: Since = "24h",
    until: Until = "10m",
    dry_run: DryRun = False,
    resume: Resume = False,
    rate: Rate = LISTS_A_MINUTE,
    subaccount: Subaccount = "",
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Compare received events with the provider's list of messages, and fill in what no callback has brought.

    Ctrl-C ends it; --resume goes on.
    """
    settings = settings_from(config=config, data_dir=data_dir)
    if source not in settings.sources:
        raise ConfigInvalid(f"--source must be one of {', '.join(settings.sources) or 'the sources in the settings'}")
    upstream = upstream_of(source, settings.sources[source])

    async def prepared(store: Store, now_us: int) -> Run:
        left = await store.read(lambda tx: reconciliations.unfinished(tx, source))
        if resume:
            if left is None:
                raise NotFound(f"no reconciliation of {source} was cut off: leave --resume out to begin one")
            return left
        if left is not None:
            typer.echo(f"the run since {iso(left.since_us)} was cut off; --resume would have gone on with it", err=True)
        run = new_run(
            new_id(now_us), source, now_us=now_us, dry_run=dry_run, subaccount=subaccount,
            since_us=time_of(since, "--since", now_us=now_us), until_us=time_of(until, "--until", now_us=now_us),
        )  # fmt: skip
        beginning = noted(lambda tx, _: reconciliations.begin(tx, run), "reconcile start", f"{source} {run.id}")
        await store.write(lambda tx: beginning(tx, now_us))
        return run

    try:
        run, found = asyncio.run(_reconcile(settings, upstream, prepared, rate))
    except KeyboardInterrupt:
        typer.echo(f"cut off; to go on: ringback reconcile --source {source} --resume", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(_shown(run, found)))
    else:
        _print(run, found)


async def _reconcile(settings: Settings, upstream: Upstream, prepared: Any, rate: float) -> tuple[Run, list[Finding]]:
    async with open_backbone(settings) as (store, clock), RestClient(settings.delivery, clock) as rest:
        run: Run = await prepared(store, clock.now_us())
        with Progress(*_columns(), console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            ended = await Reconciler(
                store=store,
                clock=clock,
                new_id=new_id,
                rest=rest,
                upstream=upstream,
                sources=settings.sources,
                lists_per_minute=rate,
                pause=asyncio.sleep,
                watcher=Bar(progress, run),
            ).run(run)
        return ended, await store.read(lambda tx: reconciliations.findings(tx, ended.id, limit=IN_JSON))


class Speed(ProgressColumn):
    """Messages a second."""

    def render(self, task: Task) -> Text:
        """Return what stands in the column."""
        return Text(f"{task.speed or 0:.1f}/s")


def _columns() -> list[ProgressColumn]:
    found = TextColumn("{task.fields[found]}")
    return [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn(), found]


class Bar:
    """Shows how far a run is, to a person; a program's log gets only what it waits for."""

    def __init__(self, progress: Progress, run: Run) -> None:
        self._progress = progress
        self._task = progress.add_task("messages looked at", total=run.place.total, found="")

    def moved(self, run: Run) -> None:
        """Show where it is."""
        counts = run.counts
        description = "asking for our own" if run.place.listed else "messages looked at"
        self._progress.update(
            self._task,
            completed=counts.looked_at,
            total=run.place.total,
            description=description,
            found=f"{counts.missing} missing, {counts.behind} behind",
        )

    def waits(self, why: str, wait_s: float) -> None:
        """Say what it waits for."""
        self._progress.console.print(f"{why}; again in {wait_s:g} s", markup=False, highlight=False)


def _shown(run: Run, found: list[Finding]) -> dict[str, Any]:
    return {
        "id": run.id,
        "source": run.source,
        "since": iso(run.since_us),
        "until": iso(run.until_us),
        "dry_run": run.dry_run,
        "state": run.state,
        **msgspec.to_builtins(run.counts),
        "findings": msgspec.to_builtins(found),
    }


SAYS: Final = {
    "looked_at": "messages looked at",
    "same": "as received",
    "missing": "of which nothing was received",
    "behind": "further on than received",
    "ahead": "received further on than the provider says",
    "differs": "ended otherwise than received",
    "unknown": "received, and not known to the provider",
    "filled": "events filled in",
    "unreadable": "records that say nothing",
    "asked": "requests to the provider",
}


def _print(run: Run, found: list[Finding]) -> None:
    counts = msgspec.to_builtins(run.counts)
    table = Table("", f"{run.source}, {iso(run.since_us)} to {iso(run.until_us)}")
    for name, says in SAYS.items():
        table.add_row(says, str(counts[name]))
    Console().print(table)
    for each in found[:SHOWN]:
        ours, theirs = each.ours or "nothing", each.theirs or "nothing"
        typer.echo(f"{each.finding}: {each.message_uuid}, received {ours}, provider {theirs}")
    if run.dry_run and counts["missing"] + counts["behind"]:
        typer.echo("nothing was filled in: leave --dry-run out for that")
