"""``ringback conversion``: tell a provider whether its messages have served their purpose, and see what came of it.

It writes to the database; a running Ringback with the role deliver does the reporting.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ringback.cli.acting import noted
from ringback.cli.callbacks import shown_time, with_store
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.receiver import conversions
from ringback.runtime import SystemClock
from ringback.settings import SourceSettings
from ringback.store import conversions_out
from ringback.store.conversions_out import STATES, ConversionOut, NewConversion
from ringback.store.port import Store

AT_ONCE: Final = 500
COMPLAINTS: Final = 20
FIELDS: Final = ("message_uuid", "value", "timestamp", "source")

app = typer.Typer(help="Conversions for providers: what messages have led to.", no_args_is_help=True)

Message = Annotated[str | None, typer.Argument(help="The message's id at the provider.", show_default=False)]
SourceName = Annotated[
    str | None, typer.Option("--source", help="Name of the source.  [default: the only one]", show_default=False)
]
Value = Annotated[str, typer.Option("--value", help="converted, not-converted or converted-with-others.")]
At = Annotated[
    str | None,
    typer.Option("--at", help="When, ISO 8601, such as 2026-01-31T12:00:00Z.  [default: now]", show_default=False),
]
File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        help="Many of them: NDJSON, or CSV with a first line of names: message_uuid, value, timestamp, source. - is "
        "standard input.",
        show_default=False,
    ),
]
State = Annotated[str | None, typer.Option("--state", help="pending, sent or failed.", show_default=False)]
OfMessage = Annotated[str | None, typer.Option("--message", help="Only of this message.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]


class Tally:
    """What became of the lines of a file."""

    def __init__(self) -> None:
        self.counts = {"new": 0, "again": 0, "duplicate": 0, "refused": 0}

    def refuse(self, number: int, why: str) -> None:
        """Count a line that says nothing that can be reported; the first ones are told of."""
        self.counts["refused"] += 1
        if self.counts["refused"] <= COMPLAINTS:
            typer.echo(f"line {number}: {why}", err=True)


@app.command()
def report(
    message_uuid: Message = None,
    *,
    source: SourceName = None,
    value: Value = "converted",
    at: At = None,
    file: File = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Report a conversion, or a file of them. It is on disk when this ends; saying it twice is saying it once."""
    if (message_uuid is None) == (file is None):
        raise ConfigInvalid("name either a message or, with --file, a file of conversions")
    sources = settings_from(config=config, data_dir=data_dir).sources
    told: dict[str, Any] = {"message_uuid": message_uuid, "value": value, "timestamp": at, "source": source}
    if file is None:
        taken = with_store(partial(_report_one, told=told, sources=sources), config=config, data_dir=data_dir)
        typer.echo(json.dumps({"message_uuid": message_uuid, "taken": taken}) if as_json else taken)
        return
    tally = with_store(partial(_report_many, file=file, told=told, sources=sources), config=config, data_dir=data_dir)
    shown = ", ".join(f"{total} {name}" for name, total in tally.counts.items())
    typer.echo(json.dumps(tally.counts) if as_json else shown)
    if tally.counts["refused"]:
        raise typer.Exit(1)


async def _report_one(
    store: Store, clock: SystemClock, *, told: Mapping[str, Any], sources: Mapping[str, SourceSettings]
) -> str:
    now_us = clock.now_us()
    said = conversions.conversion_of(told, sources, now_us=now_us)
    [taken] = await store.write(lambda tx: conversions_out.add(tx, [said], now_us=now_us))
    return taken


async def _report_many(
    store: Store, clock: SystemClock, *, file: Path, told: Mapping[str, Any], sources: Mapping[str, SourceSettings]
) -> Tally:
    tally = Tally()
    columns = (TextColumn("taking in"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[lines]} lines"),
               TimeElapsedColumn())  # fmt: skip
    with (
        _opened(file) as (lines, size),
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        task = progress.add_task("conversions", total=size, lines=0)
        waiting: list[NewConversion] = []
        read = 0
        for number, entry in _entries(_measured(lines, lambda count: progress.advance(task, count)), tally):
            given = {**told, **{name: entry[name] for name in FIELDS if entry.get(name)}}
            try:
                waiting.append(conversions.conversion_of(given, sources, now_us=clock.now_us()))
            except InvalidRequest as error:
                tally.refuse(number, str(error))
            read += 1
            if len(waiting) >= AT_ONCE:
                await _store(store, clock, waiting, tally)
                progress.update(task, lines=read)
        await _store(store, clock, waiting, tally)
        progress.update(task, lines=read)
    return tally


async def _store(store: Store, clock: SystemClock, waiting: list[NewConversion], tally: Tally) -> None:
    if not waiting:
        return
    now_us = clock.now_us()
    said = list(waiting)
    for taken in await store.write(lambda tx: conversions_out.add(tx, said, now_us=now_us)):
        tally.counts[taken] += 1
    waiting.clear()


@contextmanager
def _opened(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a file, or standard input for ``-``; gives its size too, where it has one."""
    if str(file) == "-":
        yield sys.stdin.buffer, None
        return
    try:
        lines = file.open("rb")
    except OSError as error:
        raise ConfigInvalid(f"cannot read {file}: {error.strerror}") from error
    with lines:
        yield lines, file.stat().st_size


def _measured(lines: BinaryIO, tell: Any) -> Iterator[str]:
    for line in lines:
        tell(len(line))
        yield line.decode("utf-8", "replace")


def _entries(lines: Iterator[str], tally: Tally) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Give number and content of every line that has some: JSON objects, or rows of CSV after their names."""
    names: Sequence[str] | None = None
    for number, line in enumerate(lines, 1):
        text = line.lstrip("\ufeff").strip()
        if not text:
            continue
        if names is None and text.startswith("{"):
            try:
                entry = json.loads(text)
            except ValueError as error:
                tally.refuse(number, f"is no JSON: {error}")
                continue
            yield number, entry
            continue
        [row] = csv.reader([text])
        cells = [cell.strip() for cell in row]
        if names is None:
            if "message_uuid" not in cells:
                raise ConfigInvalid(
                    f"line {number} is neither JSON nor the names of CSV: message_uuid has to be among them"
                )
            names = cells
            continue
        yield number, dict(zip(names, cells, strict=False))


@app.command("list")
def list_conversions(
    *,
    state: State = None,
    source: SourceName = None,
    message: OfMessage = None,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List conversions, newest first, and why they have failed; with --json one object a line."""
    if state is not None and state not in STATES:
        raise ConfigInvalid(f"--state must be one of {', '.join(STATES)}")

    async def work(store: Store, _: SystemClock) -> list[ConversionOut]:
        return await store.read(
            lambda tx: conversions_out.page(
                tx, source=source, message_uuid=message, state=state, newest=True, limit=limit
            )
        )

    found = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        for each in found:
            typer.echo(json.dumps(conversions.shown(each)))
        return
    table = Table("recorded at (UTC)", "source", "value", "state", "attempts", "message")
    for each in found:
        table.add_row(
            shown_time(each.recorded_at_us),
            each.source,
            each.value.lower(),
            each.state,
            str(each.attempts_made),
            each.message_uuid,
        )
    Console().print(table)
    for each in found:
        if each.error:
            then = "" if each.due_at_us is None else f"; tried again at {shown_time(each.due_at_us)}"
            typer.echo(f"{each.message_uuid}: {each.error}{then}")


@app.command()
def retry(
    *,
    source: SourceName = None,
    message: OfMessage = None,
    limit: Limit = 100_000,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Report once more what has failed, oldest first."""

    async def work(store: Store, clock: SystemClock) -> int:
        now_us = clock.now_us()
        retrying = noted(
            lambda tx, at_us: conversions_out.retry_failed(
                tx, source=source, message_uuid=message, now_us=at_us, limit=limit
            ),
            "conversion retry",
            message or source or "all",
        )
        return await store.write(lambda tx: retrying(tx, now_us))

    again = with_store(work, config=config, data_dir=data_dir)
    typer.echo(json.dumps({"again": again}) if as_json else f"{again} are reported once more")
