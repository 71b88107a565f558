"""``ringback sandbox``: the numbers that an account of type developer may send to."""

import json

import typer

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.model import numbers
from ringback.model.errors import InvalidRequest
from ringback.store import callers, profiles
from ringback.store.port import Transaction

app = typer.Typer(help="Numbers that accounts of type developer may send to.", no_args_is_help=True)


@app.command()
def add(auth_id: str, number: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let an account of type developer, and its subaccounts, send to a number."""
    digits = _digits(number)
    change(
        lambda tx, now_us: callers.add_sandbox(tx, auth_id.upper(), digits, now_us=now_us),
        "sandbox add",
        auth_id.upper(),
        config,
        data_dir,
    )
    typer.echo(f"{auth_id.upper()} may send to {digits}", err=True)


@app.command("list")
def list_numbers(auth_id: str, *, config: ConfigFile = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List an account's sandbox numbers."""

    def work(tx: Transaction, _: int) -> list[str]:
        profiles.profile(tx, auth_id.upper())
        return callers.sandbox(tx, auth_id.upper())

    found = write(work, config, data_dir)
    typer.echo(json.dumps(found) if as_json else "\n".join(found))


@app.command()
def remove(auth_id: str, number: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Take a sandbox number away."""
    digits = _digits(number)
    change(
        lambda tx, _: callers.remove_sandbox(tx, auth_id.upper(), digits),
        "sandbox remove",
        auth_id.upper(),
        config,
        data_dir,
    )
    typer.echo(f"{digits} is no sandbox number of {auth_id.upper()} any more", err=True)


def _digits(number: str) -> str:
    digits = numbers.destination(number)
    if digits is None:
        raise InvalidRequest(f"{number[:64]} is not a valid phone number")
    return digits
