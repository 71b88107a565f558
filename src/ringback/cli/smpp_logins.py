"""``ringback account smpp``: logins by which accounts bind over SMPP, and who is bound."""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.esme import logins
from ringback.model.errors import InvalidRequest
from ringback.store import smpp_binds, smpp_logins, smpp_owed
from ringback.store.port import Transaction
from ringback.store.smpp_binds import Bind
from ringback.store.smpp_logins import Login
from ringback.wiring.chance import new_id, new_smpp_password

app = typer.Typer(help="Logins by which accounts bind over SMPP.", no_args_is_help=True)

SystemId = Annotated[str, typer.Argument(help="Name to bind with: up to 15 letters, digits and _.-")]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", help="Address or network that it may bind from; several times for more; '' for any."),
]
Inbound = Annotated[
    bool | None, typer.Option("--inbound/--no-inbound", help="Send it messages to numbers of its account.")
]
Log = Annotated[
    str | None, typer.Option("--log", help="What is kept of its messages: true, false, content_only, number_only.")
]
Password = Annotated[
    str | None, typer.Option("--password", help="Up to 8 characters; one is made where none is given.")
]


@app.command()
def create(
    auth_id: str,
    system_id: SystemId,
    *,
    password: Password = None,
    allow: Allow = None,
    inbound: Inbound = None,
    log: Log = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give an account, or a subaccount, a login and print its password, which is shown only now."""
    secret = password or new_smpp_password()

    def work(tx: Transaction, now_us: int) -> None:
        login = logins.made(
            system_id,
            auth_id.upper(),
            secret,
            allow=_given(allow),
            takes_inbound=bool(inbound),
            log=log or "true",
            now_us=now_us,
            new_id=new_id,
            salt=os.urandom(16),
        )
        smpp_logins.add(tx, login)

    change(work, "smpp create", f"{system_id} of {auth_id.upper()}", config, data_dir)
    _print_secret(auth_id.upper(), system_id, secret, as_json=as_json)


@app.command()
def rotate(
    system_id: SystemId,
    *,
    password: Password = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Give a login another password and print it; binds that there are go on, new ones need it."""
    secret = password or new_smpp_password()
    kept = logins.kept(secret, os.urandom(16))
    login = change(
        lambda tx, _: smpp_logins.change(tx, system_id, {"password_hash": kept}),
        "smpp rotate",
        system_id,
        config,
        data_dir,
    )
    _print_secret(login.account_id, system_id, secret, as_json=as_json)


@app.command("set")
def set_login(
    system_id: SystemId,
    *,
    allow: Allow = None,
    inbound: Inbound = None,
    log: Log = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Change where a login may bind from, what it is sent, and what is kept of its messages, from its next bind on."""
    changes: dict[str, Any] = {}
    if allow is not None:
        changes["allow"] = logins.networks(_given(allow))
    if inbound is not None:
        changes["takes_inbound"] = inbound
    if log is not None:
        changes["log"] = logins.log_mode(log)
    if not changes:
        raise InvalidRequest("nothing to set: give one of --allow, --inbound, --no-inbound, --log")
    change(lambda tx, _: smpp_logins.change(tx, system_id, changes), "smpp set", system_id, config, data_dir)
    typer.echo(f"{system_id} is changed", err=True)


@app.command("list")
def list_logins(
    auth_id: Annotated[str | None, typer.Argument(help="Of this account; of all by default.")] = None,
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List logins with how many binds they have and what they are owed; with --json one object a line."""

    def work(tx: Transaction, now_us: int) -> tuple[list[Login], list[Bind], dict[str, int]]:
        account_id = auth_id.upper() if auth_id else None
        return smpp_logins.list_all(tx, account_id), smpp_binds.now(tx, now_us), smpp_owed.waiting(tx)

    found, binds, owed = write(work, config, data_dir)
    rows: list[dict[str, Any]] = [
        {
            "system_id": login.system_id,
            "auth_id": login.account_id,
            "allow": login.allow.split(",") if login.allow else [],
            "inbound": login.takes_inbound,
            "log": login.log,
            "created": _time(login.created_at_us),
            "binds": sum(bind.system_id == login.system_id for bind in binds),
            "owed": owed.get(login.id, 0),
        }
        for login in found
    ]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    if not rows:
        typer.echo("no logins yet: ringback account smpp create AUTH_ID SYSTEM_ID", err=True)
        return
    table = Table(
        Column("system id", no_wrap=True),
        Column("auth id", no_wrap=True),
        "from",
        "inbound",
        "log",
        "created",
        "binds",
        "owed",
    )
    for row in rows:
        shown = {**row, "allow": ", ".join(row["allow"]) or "anywhere", "inbound": "yes" if row["inbound"] else "no"}
        table.add_row(*map(str, shown.values()))
    Console().print(table)


@app.command("binds")
def list_binds(*, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List who is bound now; with --json one object a line."""
    found = write(smpp_binds.now, config, data_dir)
    if as_json:
        for bind in found:
            typer.echo(json.dumps(msgspec.to_builtins(bind) | {"since": _time(bind.since_us)}))
        return
    if not found:
        typer.echo("nobody is bound", err=True)
        return
    table = Table(
        Column("system id", no_wrap=True),
        Column("auth id", no_wrap=True),
        "kind",
        "from",
        "since",
        "in hand",
        "window",
        "submits/s",
        "process",
    )
    for bind in found:
        table.add_row(
            bind.system_id,
            bind.account_id,
            bind.kind,
            bind.address,
            _time(bind.since_us),
            str(bind.in_hand),
            f"{bind.window_used}/{bind.window_allowed}",
            f"{bind.submits_per_s:g}",
            bind.node,
        )
    Console().print(table)


@app.command()
def disconnect(system_id: SystemId, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """End the binds that a login has; it may bind again."""
    change(
        lambda tx, now_us: smpp_logins.change(tx, system_id, {"disconnected_at_us": now_us}),
        "smpp disconnect",
        system_id,
        config,
        data_dir,
    )
    typer.echo(f"binds of {system_id} end within a few seconds", err=True)


@app.command()
def remove(system_id: SystemId, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove a login: its binds end, and what it was owed is forgotten."""
    forgotten = change(lambda tx, _: smpp_logins.remove(tx, system_id), "smpp remove", system_id, config, data_dir)
    typer.echo(f"{system_id} is removed, with {forgotten} receipts and messages that it was owed", err=True)


def _given(allow: list[str] | None) -> list[str]:
    return [network for network in allow or [] if network.strip()]


def _print_secret(auth_id: str, system_id: str, password: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"auth_id": auth_id, "system_id": system_id, "password": password}))
        return
    typer.echo(f"auth id    {auth_id}\nsystem id  {system_id}\npassword   {password}")


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat(sep=" ")
