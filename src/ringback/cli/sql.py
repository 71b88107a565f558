"""``ringback sql``: questions of your own to the analytics, once or one after the other at a prompt.

What was asked for goes to standard output, what is said about it to standard error.
"""

import asyncio
import contextlib
import json
import readline
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringback.analytics.answers import as_object
from ringback.analytics.engine import Answer, Engine, Limits
from ringback.analytics.exports import Kind
from ringback.analytics.remote import RemoteEngine
from ringback.cli.asking import engine_for
from ringback.cli.callbacks import with_store
from ringback.cli.options import ConfigFile, DataDir, settings_from
from ringback.model.errors import ConfigInvalid, NotFound, RingbackError
from ringback.settings import Settings
from ringback.store import saved_queries

HISTORY: Final = "sql_history"
_LEAVE: Final = frozenset({"exit", "quit", "\\q", "exit;", "quit;"})

Question = Annotated[
    str | None, typer.Argument(help="The question; without one it is read from standard input, or at a prompt.")
]
FromFile = Annotated[
    Path | None, typer.Option("--file", "-f", help="File with the question.", show_default=False, dir_okay=False)
]
Saved = Annotated[
    str | None, typer.Option("--saved", help="Name of a question that an operator has saved.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object: columns, types, rows, cut, took_ms.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")]
AsNdjson = Annotated[bool, typer.Option("--ndjson", help="Print one JSON object a row.")]
AsParquet = Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file.", show_default=False)]
Rows = Annotated[
    int | None,
    typer.Option(
        "--limit", min=1, help="At most so many rows; never more than analytics.query_rows.", show_default=False
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.1, help="Seconds; never more than analytics.query_timeout_s.", show_default=False),
]


def sql(
    question: Question = None,
    *,
    file: FromFile = None,
    saved: Saved = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_ndjson: AsNdjson = False,
    parquet: AsParquet = None,
    limit: Rows = None,
    timeout: Timeout = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Ask the analytics in SQL: one SELECT, read only, about the tables messages and events (docs/ask.md)."""
    if sum((question is not None, file is not None, saved is not None)) > 1:
        raise ConfigInvalid("give one of a question, --file and --saved")
    if sum((as_json, as_csv, as_ndjson, parquet is not None)) > 1:
        raise ConfigInvalid("give one of --json, --csv, --ndjson and --parquet")
    settings = settings_from(config=config, data_dir=data_dir)
    limits = Limits(
        timeout_s=timeout or settings.analytics.query_timeout_s, rows=limit or settings.analytics.query_rows
    )
    asked = partial(_ask, settings, limits=limits, as_json=as_json, kind=_kind(as_csv, as_ndjson), parquet=parquet)
    if saved is not None:
        asked(_saved(saved, config, data_dir))
    elif file is not None:
        asked(_read(file))
    elif question is not None:
        asked(question)
    elif sys.stdin.isatty():
        for typed in _typed(settings.store.data_dir / HISTORY):
            try:
                asked(typed)
            except RingbackError as error:
                typer.echo(str(error), err=True)
            except KeyboardInterrupt:
                typer.echo("cut off", err=True)
    else:
        asked(sys.stdin.read())


def _kind(as_csv: bool, as_ndjson: bool) -> Kind | None:  # noqa: FBT001 - as the flags are
    return "csv" if as_csv else "ndjson" if as_ndjson else None


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file} cannot be read: {error}") from error


def _saved(name: str, config: Path | None, data_dir: Path | None) -> str:
    find = partial(saved_queries.find, account_id=None, name=name)
    query = with_store(lambda store, _: store.read(find), config=config, data_dir=data_dir)
    if query is None:
        raise NotFound(f"no saved question is called {name}")
    return query.sql


def _typed(history: Path) -> Iterator[str]:
    """Give each question that ends with ``;`` or an empty line, until the end of input."""
    with _remembered(history):
        lines: list[str] = []
        while True:
            try:
                line = input("...> " if lines else "sql> ")
            except EOFError:
                typer.echo(err=True)
                return
            except KeyboardInterrupt:
                typer.echo(err=True)
                lines = []
                continue
            if not lines and line.strip().lower() in _LEAVE:
                return
            if line.strip():
                lines.append(line)
            if lines and (not line.strip() or line.rstrip().endswith(";")):
                yield "\n".join(lines)
                lines = []


@contextlib.contextmanager
def _remembered(history: Path) -> Iterator[None]:
    """Let the prompt have the questions of other days, as far as they can be kept."""
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(1_000)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            readline.write_history_file(history)
            history.chmod(0o600)


def _ask(
    settings: Settings, question: str, *, limits: Limits, as_json: bool, kind: Kind | None, parquet: Path | None
) -> None:
    async def run() -> Answer | None:
        async with engine_for(settings) as engine:
            if not isinstance(engine, RemoteEngine):
                _say_how_old(settings)
            if parquet is not None:
                await _write(engine, question, limits, parquet)
            elif kind is not None:
                await _print(engine, question, limits, kind)
            else:
                return await engine.own(question, account_id=None, limits=limits)
        return None

    answer = asyncio.run(run())
    if answer is None:
        return
    if as_json:
        typer.echo(json.dumps(as_object(answer), ensure_ascii=False))
    else:
        _show(answer)


def _show(answer: Answer) -> None:
    table = Table()
    for column in answer.columns:
        table.add_column(Text(column))
    for row in answer.rows:
        table.add_row(*("" if value is None else Text(str(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    rows = f"{len(answer.rows)} row{'' if len(answer.rows) == 1 else 's'}"
    cut = f", cut at {len(answer.rows)}" if answer.cut else ""
    typer.echo(f"{rows}{cut}, took {answer.took_ms:.1f} ms", err=True)


async def _print(engine: Engine, question: str, limits: Limits, kind: Kind) -> None:
    async with contextlib.aclosing(engine.export_own(question, account_id=None, kind=kind, limits=limits)) as chunks:
        async for chunk in chunks:
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


async def _write(engine: Engine, question: str, limits: Limits, path: Path) -> None:
    content = bytearray()
    async with contextlib.aclosing(
        engine.export_own(question, account_id=None, kind="parquet", limits=limits)
    ) as chunks:
        async for chunk in chunks:
            content += chunk
    try:
        await asyncio.to_thread(path.write_bytes, content)
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be written: {error}") from error
    typer.echo(f"wrote {path}", err=True)


def _say_how_old(settings: Settings) -> None:
    directory = settings.analytics.dir or settings.store.data_dir / "analytics"
    newest = max(path.stat().st_mtime for path in directory.glob("analytics.duckdb*"))
    at = datetime.fromtimestamp(newest, UTC)
    typer.echo(f"no Ringback runs here: this is the file as it was left at {at:%Y-%m-%d %H:%M:%S} UTC", err=True)
