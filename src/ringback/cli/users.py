"""``ringback users``: who may log in to the dashboard with a name and a password.

A password is prompted for, or read from an environment variable or from standard input: never an argument, which other
users of the machine could read.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from ringback.cli.acting import actor, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.model.ids import AUTH_ID
from ringback.model.passwords import hashed_of_person
from ringback.store import audit, users
from ringback.store.port import Transaction
from ringback.store.users import User
from ringback.wiring.chance import new_id

app = typer.Typer(help="Who may log in to the dashboard with a name and a password.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name to log in with: small letters, digits and ._@+-", show_default=False)]
PasswordEnv = Annotated[
    str | None, typer.Option("--password-env", help="Environment variable that holds the password.", show_default=False)
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command()
def add(
    name: Name,
    *,
    account: Annotated[
        str | None,
        typer.Option("--account", help="See only this account and its subaccounts; without it: an operator."),
    ] = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Let the user set it, after a login link has let them in.")
    ] = False,
    password_env: PasswordEnv = None,
    password_stdin: PasswordStdin = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Add a user: an operator, or with --account somebody who sees one account only."""
    known_as = users.as_name(name)
    account_id = account.upper() if account else None
    if account_id is not None and AUTH_ID.fullmatch(account_id) is None:
        raise InvalidRequest("--account takes an auth id: ringback account list shows them")
    kept = None if no_password else _kept(known_as, password_env, from_stdin=password_stdin)

    def work(tx: Transaction, now_us: int) -> None:
        user = User(
            id=new_id(now_us),
            name=known_as,
            kind="operator" if account_id is None else "account",
            account_id=account_id,
            password_hash=kept,
            created_at_us=now_us,
        )
        users.add(tx, user)
        audit.note(tx, actor(), "user add", _described(user), now_us=now_us)

    write(work, config, data_dir)
    typer.echo(f"{known_as} is added{'' if kept else f': ringback login-link --user {known_as}'}", err=True)


@app.command()
def password(
    name: Name,
    *,
    password_env: PasswordEnv = None,
    password_stdin: PasswordStdin = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Give a user another password: sessions and login links end."""
    known_as = users.as_name(name)
    kept = _kept(known_as, password_env, from_stdin=password_stdin)
    _change(lambda tx, _: users.set_password(tx, known_as, kept), "user password", config, data_dir)
    typer.echo(f"the password of {known_as} is changed, and all sessions have ended", err=True)


@app.command()
def disable(name: Name, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Keep a user from logging in: sessions and login links end."""
    user = _change(lambda tx, now_us: users.disable(tx, users.as_name(name), now_us), "user disable", config, data_dir)
    typer.echo(f"{user.name} is disabled", err=True)


@app.command()
def enable(name: Name, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let a user log in again."""
    user = _change(lambda tx, _: users.enable(tx, users.as_name(name)), "user enable", config, data_dir)
    typer.echo(f"{user.name} may log in again", err=True)


@app.command()
def remove(name: Name, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove a user: sessions and login links end."""
    user = _change(lambda tx, _: users.remove(tx, users.as_name(name)), "user remove", config, data_dir)
    typer.echo(f"{user.name} is removed", err=True)


@app.command("ls")
def list_users(*, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List users; with --json one object a line."""
    found = write(lambda tx, _: users.list_all(tx), config, data_dir)
    rows = [
        {
            "name": user.name,
            "kind": user.kind,
            "account": user.account_id,
            "password": user.password_hash is not None,
            "created": _time(user.created_at_us),
            "last_login": _time(user.last_login_at_us),
            "disabled": _time(user.disabled_at_us),
        }
        for user in found
    ]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    if not rows:
        typer.echo("no users yet: ringback users add NAME", err=True)
        return
    table = Table(Column("name", no_wrap=True), "kind", Column("account", no_wrap=True), "password", "last login", "is")
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["kind"]),
            str(row["account"] or "all"),
            "set" if row["password"] else "not set",
            str(row["last_login"] or "never"),
            "disabled" if row["disabled"] else "enabled",
        )
    Console().print(table)


def _kept(name: str, variable: str | None, *, from_stdin: bool) -> str:
    """Return what is kept of a password that is given in one of the ways. Raises ``ConfigInvalid``."""
    if variable is not None:
        given = os.environ.get(variable, "")
        if not given:
            raise ConfigInvalid(
                f"the environment variable {variable} that --password-env names is not set, or is empty"
            )
    elif from_stdin or not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return hashed_of_person(given, os.urandom(16), name=name)


def _change(change: Callable[[Transaction, int], User], action: str, config: ConfigFile, data_dir: DataDir) -> User:
    def work(tx: Transaction, now_us: int) -> User:
        user = change(tx, now_us)
        audit.note(tx, actor(), action, _described(user), now_us=now_us)
        return user

    return write(work, config, data_dir)


def _described(user: User) -> str:
    return user.name if user.account_id is None else f"{user.name} of {user.account_id}"


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat(sep=" ")
