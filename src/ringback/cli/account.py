"""``ringback account``: create accounts, list them, let them in or not, give them another token or a retry plan."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.options import ConfigFile, DataDir, Json, RetryDelays, settings_from
from ringback.model.retry import NO_DELAYS, RetryPlan, stored_plan
from ringback.settings import Settings
from ringback.store import accounts
from ringback.store.accounts import Account
from ringback.store.port import Transaction
from ringback.wiring import create_account, open_backbone, rotate_token

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
        typer.echo(json.dumps([_shown(item) for item in found]))
        return
    if not found:
        typer.echo("no accounts yet: ringback account create NAME", err=True)
        return
    table = Table("auth id", "name", "enabled", "retry delays (s)")
    for item in found:
        table.add_row(item.auth_id, item.name, "yes" if item.enabled else "no", _delays(item))
    Console().print(table)


@app.command("rotate-token")
def rotate(
    auth_id: str,
    *,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=48, help="For how long the tokens before it stay valid, at most 48.")
    ] = 24,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give an account a new token and print it; the old ones stay valid for a while."""
    settings = settings_from(config=config, data_dir=data_dir)
    token, until_us = asyncio.run(_rotate(settings, auth_id.upper(), overlap_hours * 3600))
    until = datetime.fromtimestamp(until_us // 1_000_000, UTC).isoformat(sep=" ")
    if as_json:
        typer.echo(json.dumps({"auth_id": auth_id.upper(), "auth_token": token, "old_tokens_valid_until": until}))
        return
    typer.echo(f"auth id     {auth_id.upper()}\nauth token  {token}")
    typer.echo(f"the tokens before it are valid until {until}", err=True)


@app.command()
def disable(auth_id: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Refuse an account's API calls; its callbacks still go out."""
    asyncio.run(_enable(settings_from(config=config, data_dir=data_dir), auth_id.upper(), enabled=False))
    typer.echo(f"{auth_id.upper()} is disabled", err=True)


@app.command()
def enable(auth_id: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let an account use the API again."""
    asyncio.run(_enable(settings_from(config=config, data_dir=data_dir), auth_id.upper(), enabled=True))
    typer.echo(f"{auth_id.upper()} is enabled", err=True)


@app.command("set")
def set_account(
    auth_id: str,
    *,
    retry_delays: RetryDelays,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give an account a retry plan of its own; it holds for endpoints and messages that have none."""
    plan = RetryPlan.of_text(retry_delays, name="--retry-delays") if retry_delays else None
    changed = asyncio.run(_set(settings_from(config=config, data_dir=data_dir), auth_id.upper(), plan))
    if as_json:
        typer.echo(json.dumps(_shown(changed)))
        return
    typer.echo(f"auth id       {changed.auth_id}\nretry delays  {_delays(changed)}")


def _shown(account: Account) -> dict[str, Any]:
    return {
        "auth_id": account.auth_id,
        "name": account.name,
        "enabled": account.enabled,
        "retry_delays_s": None if account.retry_delays is None else stored_plan(account.retry_delays).delays_s,
    }


def _delays(account: Account) -> str:
    if account.retry_delays is None:
        return "as the settings say"
    return ", ".join(f"{delay_s:g}" for delay_s in stored_plan(account.retry_delays).delays_s) or NO_DELAYS


async def _set(settings: Settings, auth_id: str, plan: RetryPlan | None) -> Account:
    async with open_backbone(settings) as (store, clock):
        now_us = clock.now_us()

        def work(tx: Transaction) -> Account | None:
            accounts.set_retry_delays(tx, auth_id, plan.stored() if plan else None)
            return accounts.find(tx, auth_id, now_us)

        changed = await store.write(work)
    if changed is None:
        raise RuntimeError("an account that was changed is not there")
    return changed


async def _rotate(settings: Settings, auth_id: str, overlap_s: int) -> tuple[str, int]:
    async with open_backbone(settings) as (store, clock):
        return await rotate_token(store, clock, auth_id, overlap_s=overlap_s)


async def _enable(settings: Settings, auth_id: str, *, enabled: bool) -> None:
    async with open_backbone(settings) as (store, _):
        await store.write(lambda tx: accounts.set_enabled(tx, auth_id, enabled=enabled))


async def _create(settings: Settings, name: str) -> Account:
    async with open_backbone(settings) as (store, clock):
        return await create_account(store, clock, name)


async def _list(settings: Settings) -> list[Account]:
    async with open_backbone(settings) as (store, clock):
        return await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))
