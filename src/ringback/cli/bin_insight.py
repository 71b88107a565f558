"""``ringback bin schema`` and ``bin explain``: what captures have in common, and why a signature fits or does not."""

import asyncio
import json
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.bins import Name, run_with_keeper
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.cli.received import print_explanation
from ringback.cli.tokens import TokenEnv, tokens_of
from ringback.inspector.keep import BinKeeper
from ringback.inspector.schema import PartSchema, infer
from ringback.model.errors import InvalidRequest
from ringback.receiver.explain import Explanation
from ringback.receiver.explained import known_tokens
from ringback.receiver.source import named
from ringback.runtime import SystemClock
from ringback.store import captures
from ringback.store.port import Store
from ringback.web.signed import MOST_TOKENS, Keys, explained

MOST_BYTES: Final = 20_000_000

Most = Annotated[int, typer.Option("--captures", min=1, max=10_000, help="How many of the newest captures to read.")]
Number = Annotated[int, typer.Argument(help="The capture's number.", min=1, show_default=False)]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url", help="Scheme, host and port that the sender calls.  [default: as the request says]",
        show_default=False,
    ),
]  # fmt: skip


def schema(
    name: Name,
    *,
    most: Most = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Schema, one for each part of requests.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Infer what the requests to a bin have in common: fields, types, how often each is there."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def work(keeper: BinKeeper, store: Store, _: SystemClock) -> list[PartSchema]:
        found = await keeper.find(name)
        items = await store.read(lambda tx: captures.newest_whole(tx, found.id, limit=most, max_bytes=MOST_BYTES))
        return infer(items)

    parts = run_with_keeper(settings, work)
    if as_json:
        typer.echo(json.dumps({part.part: part.schema for part in parts}, indent=2, ensure_ascii=False))
        return
    if not parts:
        typer.echo(f"no capture of {name} has a query, a form or JSON", err=True)
    for part in parts:
        table = Table("field", "type", "seen", "values", title=f"{part.part} of {part.captures} captures")
        for field in part.fields:
            values = " ".join(field.words) if field.words else field.example
            table.add_row(field.name, field.kind, f"{field.seen} of {field.of}", values)
        Console(markup=False).print(table)


def explain(
    name: Name,
    number: Number,
    *,
    token_env: TokenEnv = None,
    public_url: PublicUrl = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Say why the signature of a capture fits or does not: with --token-env, else with all tokens known here."""
    settings = settings_from(config=config, data_dir=data_dir)
    given = named(tokens_of(token_env or []))

    async def work(keeper: BinKeeper, store: Store, clock: SystemClock) -> Explanation | None:
        found = await keeper.find(name)
        item = await store.read(lambda tx: captures.one(tx, found.id, number))
        if item is None:
            raise InvalidRequest(f"bin {name} holds no capture {number}")
        tokens = given or await known_tokens(store, clock, settings.sources, most=MOST_TOKENS)
        url = public_url or settings.server.public_base_url
        return await asyncio.to_thread(explained, item, Keys(tokens, (url,) if url else ()))

    told = run_with_keeper(settings, work)
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(told)))
    elif told is None:
        typer.echo("this request carries no signature")
    else:
        typer.echo(f"verdict: {told.verdict}")
        print_explanation(told)
