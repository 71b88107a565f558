"""``ringback account``: create accounts, list them."""

import asyncio
import json

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.settings import Settings
from ringback.store import accounts
from ringback.store.accounts import Account
from ringback.wiring import create_account, open_backbone

app = typer.Typer(help="Accounts that may use the API.", no_args_is_help=True)


@app.command()
def create(name: str, *, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Create an account and print its credentials."""
    created = asyncio.run(_create(settings_from(config=config, data_dir=data_dir), name))
    if as_json:
        typer.echo(json.dumps({"auth_id": created.auth_id, "auth_token": created.tokens[0], "name": created.name}))
        return
    typer.echo(f"auth id     {created.auth_id}\nauth token  {created.tokens[0]}")


@app.command("list")
def list_accounts(*, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List accounts; tokens are not shown."""
    found = asyncio.run(_list(settings_from(config=config, data_dir=data_dir)))
    if as_json:
        shown = [{"auth_id": item.auth_id, "name": item.name, "enabled": item.enabled} for item in found]
        typer.echo(json.dumps(shown))
        return
    if not found:
        typer.echo("no accounts yet: ringback account create NAME", err=True)
        return
    table = Table("auth id", "name", "enabled")
    for item in found:
        table.add_row(item.auth_id, item.name, "yes" if item.enabled else "no")
    Console().print(table)


async def _create(settings: Settings, name: str) -> Account:
    async with open_backbone(settings) as (store, clock):
        return await create_account(store, clock, name)


async def _list(settings: Settings) -> list[Account]:
    async with open_backbone(settings) as (store, clock):
        return await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))
