"""``ringback account``: create accounts, list them, let them in or not, give them tokens, a type or a retry plan."""

import asyncio
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from ringback.cli.acting import actor, noted
from ringback.cli.options import ConfigFile, DataDir, Json, RetryDelays, settings_from
from ringback.model import money
from ringback.model.errors import InvalidRequest
from ringback.model.retry import NO_DELAYS, RetryPlan, stored_plan
from ringback.settings import Settings
from ringback.store import accounts, audit, profiles
from ringback.store.accounts import Account
from ringback.store.port import Transaction
from ringback.store.profiles import Profile
from ringback.wiring.backbone import create_account, open_backbone, rotate_token

app = typer.Typer(help="Accounts that may use the API.", no_args_is_help=True)


class AccountType(StrEnum):
    """What an account may do."""

    STANDARD = "standard"
    DEVELOPER = "developer"


class BillingMode(StrEnum):
    """How an account pays."""

    PREPAID = "prepaid"
    POSTPAID = "postpaid"


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
        typer.echo(json.dumps([_shown(*item) for item in found]))
        return
    if not found:
        typer.echo("no accounts yet: ringback account create NAME", err=True)
        return
    table = Table(
        Column("auth id", no_wrap=True),
        "main account",
        "name",
        "enabled",
        "type",
        "billing",
        "credit",
        "retry delays (s)",
    )
    for item, profile in found:
        table.add_row(
            item.auth_id,
            item.parent_id or "",
            item.name,
            "yes" if item.enabled else "no",
            profile.account_type,
            profile.billing_mode,
            money.shown(profile.balance),
            _delays(item),
        )
    Console().print(table)


@app.command()
def show(auth_id: str, *, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show one account; tokens are not shown."""
    settings = settings_from(config=config, data_dir=data_dir)
    _print_one(*asyncio.run(_change(settings, auth_id.upper(), None, {})), as_json=as_json)


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
    retry_delays: RetryDelays = None,
    account_type: Annotated[
        AccountType | None, typer.Option("--type", help="A developer account may send to sandbox numbers only.")
    ] = None,
    billing: Annotated[
        BillingMode | None, typer.Option("--billing", help="Prepaid takes messages from the credit; postpaid does not.")
    ] = None,
    auto_recharge: Annotated[bool | None, typer.Option(help="What the API shows as auto_recharge, no more.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give an account a type, a way to pay, and a retry plan, which holds for endpoints and messages that have none."""
    plan = RetryPlan.of_text(retry_delays, name="--retry-delays") if retry_delays else None
    given = {
        "account_type": account_type and account_type.value,
        "billing_mode": billing and billing.value,
        "auto_recharge": auto_recharge,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    stored = None if retry_delays is None else plan.stored() if plan else ""
    if not changes and stored is None:
        raise InvalidRequest("nothing to set: give one of --type, --billing, --auto-recharge, --retry-delays")
    settings = settings_from(config=config, data_dir=data_dir)
    _print_one(*asyncio.run(_change(settings, auth_id.upper(), stored, changes)), as_json=as_json)


def _print_one(account: Account, profile: Profile, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_shown(account, profile)))
        return
    lines = {
        "auth id": account.auth_id,
        "main account": account.parent_id,
        "name": account.name,
        "enabled": "yes" if account.enabled else "no",
        "type": profile.account_type,
        "billing": profile.billing_mode,
        "credit": money.shown(profile.balance),
        "retry delays": _delays(account),
    }
    typer.echo("\n".join(f"{name:14}{value}" for name, value in lines.items() if value is not None))


def _shown(account: Account, profile: Profile) -> dict[str, Any]:
    return {
        "auth_id": account.auth_id,
        "main_auth_id": account.parent_id,
        "name": account.name,
        "enabled": account.enabled,
        "account_type": profile.account_type,
        "billing_mode": profile.billing_mode,
        "auto_recharge": profile.auto_recharge,
        "credit": money.shown(profile.balance),
        "retry_delays_s": None if account.retry_delays is None else stored_plan(account.retry_delays).delays_s,
    }


def _delays(account: Account) -> str:
    if account.retry_delays is None:
        return "as the settings say"
    return ", ".join(f"{delay_s:g}" for delay_s in stored_plan(account.retry_delays).delays_s) or NO_DELAYS


async def _change(
    settings: Settings, auth_id: str, retry_delays: str | None, changes: dict[str, Any]
) -> tuple[Account, Profile]:
    """Change an account, and return it; an empty retry plan is none of its own."""
    async with open_backbone(settings) as (store, clock):
        now_us = clock.now_us()

        def work(tx: Transaction) -> tuple[Account | None, Profile]:
            if retry_delays is not None:
                accounts.set_retry_delays(tx, auth_id, retry_delays or None)
            if changes:
                profiles.lay_down(tx, auth_id, changes, now_us=now_us)
            audit.note(tx, actor(), "account set", auth_id, now_us=now_us)
            return accounts.find(tx, auth_id, now_us), profiles.profile(tx, auth_id)

        changed, profile = await store.write(work)
    if changed is None:
        raise RuntimeError("an account that was changed is not there")
    return changed, profile


async def _rotate(settings: Settings, auth_id: str, overlap_s: int) -> tuple[str, int]:
    async with open_backbone(settings) as (store, clock):
        rotated, now_us = await rotate_token(store, clock, auth_id, overlap_s=overlap_s), clock.now_us()
        await store.write(lambda tx: audit.note(tx, actor(), "token rotate", auth_id, now_us=now_us))
        return rotated


async def _enable(settings: Settings, auth_id: str, *, enabled: bool) -> None:
    enabling = noted(
        lambda tx, _: accounts.set_enabled(tx, auth_id, enabled=enabled),
        "account enable" if enabled else "account disable",
        auth_id,
    )
    async with open_backbone(settings) as (store, clock):
        now_us = clock.now_us()
        await store.write(lambda tx: enabling(tx, now_us))


async def _create(settings: Settings, name: str) -> Account:
    async with open_backbone(settings) as (store, clock):
        created, now_us = await create_account(store, clock, name), clock.now_us()
        await store.write(lambda tx: audit.note(tx, actor(), "account create", created.auth_id, now_us=now_us))
        return created


async def _list(settings: Settings) -> list[tuple[Account, Profile]]:
    async with open_backbone(settings) as (store, clock):

        def work(tx: Transaction) -> list[tuple[Account, Profile]]:
            shown = {profile.auth_id: profile for profile in profiles.profiles(tx)}
            return [(account, shown[account.auth_id]) for account in accounts.list_all(tx, clock.now_us())]

        return await store.read(work)
