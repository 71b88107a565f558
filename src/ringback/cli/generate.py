"""``ringback generate``: history of very many messages that nobody has sent, to look at and to measure with."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ringback.cli.history import CONVERSION_COLUMNS, EVENT_COLUMNS, MESSAGE_COLUMNS, Part, Wish, history
from ringback.cli.history_world import World, world
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from, time_of
from ringback.model.errors import InvalidRequest
from ringback.runtime import SystemClock, configure_logging
from ringback.settings import Settings
from ringback.store import accounts, loading, rollups, sqlite
from ringback.store import messages as message_store
from ringback.store.port import Transaction
from ringback.store.schema import conversions, events, messages
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_token

BATCH: Final = 50_000
"""Events of one write; with their messages about 50 MB."""

Messages = Annotated[int, typer.Option("--messages", min=1, max=1_000_000_000, help="How many messages.")]
Days = Annotated[int, typer.Option("--days", min=1, max=3_650, help="Over how many days.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed and end make the same history, but for auth tokens.")]
Until = Annotated[
    str | None,
    typer.Option("--until", help="When it ends: UTC, or so long ago.  [default: now]", show_default=False),
]
Add = Annotated[bool, typer.Option("--add", help="Add it to a database that has messages already.")]


class Made(msgspec.Struct, kw_only=True):
    """What has been made so far."""

    messages: int = 0
    events: int = 0
    conversions: int = 0
    rows_s: float = 0.0
    index_s: float = 0.0


def generate(
    *,
    count: Messages = 100_000,
    days: Days = 30,
    seed: Seed = 1,
    until: Until = None,
    add: Add = False,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Fill a database with made-up history: whole lives of messages, in the order of time, without texts."""
    settings = settings_from(config=config, data_dir=data_dir)
    configure_logging("warning")
    now_us = SystemClock().now_us()
    wish = Wish(
        messages=count,
        days=days,
        seed=seed,
        until_us=time_of(until, "--until", now_us=now_us) if until else now_us,
    )
    if wish.until_us > now_us:
        raise InvalidRequest("--until is in the future: history ends now at the latest")
    asyncio.run(_generate(settings, wish, add=add, as_json=as_json))


async def _generate(settings: Settings, wish: Wish, *, add: bool, as_json: bool) -> None:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=as_json or not sys.stderr.isatty()) as bar:
        show = _Shown(bar, bar.add_task("messages", total=wish.messages, rate=""))
        where = world(wish.seed)
        if settings.store.url or (settings.store.data_dir / sqlite.FILE_NAME).exists():
            await _into_existing(settings, wish, where, show, add=add)
        else:
            await asyncio.to_thread(_into_new_file, settings, wish, where, show)
    _print(show.made, wish, where, as_json=as_json)


class _Shown:
    """Counts what is made, and shows it."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.made = Made()
        self._bar = bar
        self._task = task
        self._begun_s = time.monotonic()

    def wrote(self, part: Part) -> None:
        """Count rows that are written."""
        made = self.made
        made.messages += len(part.messages)
        made.events += len(part.events)
        made.conversions += len(part.conversions)
        made.rows_s = time.monotonic() - self._begun_s
        rate = f"{made.messages / made.rows_s:,.0f} messages/s"
        self._bar.update(self._task, completed=made.messages, rate=rate)

    def indexes(self, name: str) -> None:
        """Say which index is made."""
        self._bar.update(self._task, description="index", rate=name)

    def indexed(self) -> None:
        """Count the time of the indexes."""
        self.made.index_s = time.monotonic() - self._begun_s - self.made.rows_s


def _into_new_file(settings: Settings, wish: Wish, where: World, show: _Shown) -> None:
    with loading.new_file(settings.store.data_dir) as file:
        _accounts(file.connection, where, wish)
        for part in _batches(history(wish, where)):
            _write(file.connection, part)
            show.wrote(part)
        for name in file.index():
            show.indexes(name)
    show.indexed()


async def _into_existing(settings: Settings, wish: Wish, where: World, show: _Shown, *, add: bool) -> None:
    async with open_backbone(settings) as (store, _):
        if not add and await store.read(loading.has_any):
            raise InvalidRequest("the database has messages: add to them with --add, or choose another --data-dir")
        await store.write(lambda tx: _accounts(tx, where, wish))
        is_first = True
        for part in _batches(history(wish, where)):
            if is_first:
                await _refuse_twice(store.read, part)
                is_first = False
            await store.write(lambda tx, part=part: _write(tx, part))  # type: ignore[misc]
            show.wrote(part)


async def _refuse_twice(
    read: Callable[[Callable[[Transaction], bool]], Awaitable[bool]],
    part: Part,
) -> None:
    first: str = part.messages[0][0]
    if await read(lambda tx: first in message_store.by_uuid(tx, [first])):
        raise InvalidRequest("this history is in the database already: choose another --seed or --until")


def _accounts(tx: Transaction, where: World, wish: Wish) -> None:
    begin_us = wish.until_us - wish.days * 24 * rollups.HOUR_US
    for number, account_id in enumerate(where.accounts, 1):
        # Tokens come from no seed: nobody who knows the seed may know them.
        tokens = [new_token()]
        accounts.ensure(tx, auth_id=account_id, tokens=tokens, name=f"generated {number}", now_us=begin_us)


def _batches(parts: Iterator[Part]) -> Iterator[Part]:
    batch = Part([], [], [], Counter())
    for part in parts:
        batch.messages.extend(part.messages)
        batch.events.extend(part.events)
        batch.conversions.extend(part.conversions)
        batch.counts.update(part.counts)
        if len(batch.events) >= BATCH:
            yield batch
            batch = Part([], [], [], Counter())
    if batch.messages:
        yield batch


def _write(tx: Transaction, part: Part) -> None:
    loading.append(tx, messages, MESSAGE_COLUMNS, part.messages)
    loading.append(tx, events, EVENT_COLUMNS, part.events)
    loading.append(tx, conversions, CONVERSION_COLUMNS, part.conversions)
    rollups.add(tx, part.counts)


def _print(made: Made, wish: Wish, where: World, *, as_json: bool) -> None:
    took_s = made.rows_s + made.index_s
    if as_json:
        figures = msgspec.to_builtins(made) | {
            "events_per_s": round(made.events / took_s),
            "accounts": list(where.accounts),
            "seed": wish.seed,
            "until_us": wish.until_us,
        }
        typer.echo(json.dumps(figures))
        return
    typer.echo(
        f"{made.messages:,} messages with {made.events:,} events and {made.conversions:,} conversions of "
        f"{len(where.accounts)} accounts over {wish.days} days, in {took_s:.0f} s "
        f"({made.events / took_s:,.0f} events/s)."
    )
