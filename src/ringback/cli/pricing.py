"""``ringback pricing``: the table of what messages cost by country."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import change
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.model.errors import InvalidRequest
from ringback.model.pricing import COLUMNS, Price, read_csv
from ringback.settings import Settings
from ringback.store import prices
from ringback.wiring.backbone import open_backbone

app = typer.Typer(help="What messages and numbers cost by country.", no_args_is_help=True)


@app.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(help=f"CSV with the columns {', '.join(COLUMNS)}.", metavar="FILE")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Load a table in the place of the one before; if anything is wrong with the file, nothing is loaded."""
    found = read_csv(_read(file))
    lines = f"{len(found)} line{'' if len(found) == 1 else 's'}"
    change(lambda tx, _: prices.replace(tx, found), "pricing import", lines, config, data_dir)
    typer.echo(json.dumps({"lines": len(found)}) if as_json else f"{len(found)} lines of prices")


@app.command("list")
def list_prices(*, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the table; what is empty costs what the settings say, or nothing."""
    found = asyncio.run(_list(settings_from(config=config, data_dir=data_dir)))
    if as_json:
        typer.echo(json.dumps([msgspec.structs.asdict(price) for price in found]))
        return
    if not found:
        typer.echo("no prices yet, every unit costs messaging.default_rate: ringback pricing import FILE", err=True)
        return
    table = Table(*COLUMNS)
    for price in found:
        table.add_row(*(getattr(price, name) or "" for name in COLUMNS))
    Console().print(table)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{file} is no text in UTF-8: save it as such") from error


async def _list(settings: Settings) -> list[Price]:
    async with open_backbone(settings) as (store, _):
        return await store.read(prices.read)
