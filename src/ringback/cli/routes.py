"""``ringback routes``: which messages go by which carrier."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.model.routes import Route, RoutingTable
from ringback.routing.choose import Facts, candidates
from ringback.routing.configured import route_of, route_record
from ringback.store import routing
from ringback.store.port import Transaction
from ringback.wiring.chance import new_id

app = typer.Typer(help="Routes: which messages go by which carrier.", no_args_is_help=True)


@app.command("list")
def list_routes(*, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """List routes; with --json one object a line."""
    found = write(lambda tx, _: routing.read(tx).routes, config, data_dir)
    if as_json:
        for route in found:
            typer.echo(json.dumps(route_record(route)))
        return
    _print(found)


@app.command("set")
def set_route(
    name: str,
    *,
    carrier: Annotated[str, typer.Option("--carrier", help="Where it leads.", show_default=False)],
    prefix: Annotated[str, typer.Option(help="Digits with which the destination begins.")] = "",
    mcc: Annotated[str | None, typer.Option(help="Mobile country code of the network.")] = None,
    mnc: Annotated[str | None, typer.Option(help="Mobile network code.")] = None,
    sender: Annotated[str, typer.Option(help="Senders, with * and ? as in a shell.")] = "",
    account: Annotated[str | None, typer.Option(help="Auth id of the account.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="sms or mms; both by default.")] = None,
    priority: Annotated[int, typer.Option(help="The lowest is tried first.")] = 0,
    weight: Annotated[int, typer.Option(min=0, help="Share among routes of one priority.")] = 1,
    on_unknown: Annotated[str, typer.Option(help="resubmit or wait.")] = "resubmit",
    receipt_timeout_s: Annotated[int, typer.Option(min=0, help="Note that no receipt has come; 0 never.")] = 0,
    failover_code: Annotated[
        list[str] | None, typer.Option(help="Code with which the next route is tried; can be given several times.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a route, or replace the one of its name; running processes go by it within a second."""
    given: dict[str, Any] = {
        "carrier": carrier, "prefix": prefix, "mcc": mcc, "mnc": mnc, "sender": sender,
        "account": account, "type": kind, "priority": priority, "weight": weight, "on_unknown": on_unknown,
        "receipt_timeout_s": receipt_timeout_s,
    }  # fmt: skip
    if failover_code is not None:
        given["failover_codes"] = failover_code
    route = route_of(name, given)

    change(lambda tx, now_us: routing.put_route(tx, route, now_us=now_us), "route set", name, config, data_dir)
    typer.echo(f"{name} is set")


@app.command("remove")
def remove_route(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove a route."""
    change(lambda tx, _: routing.remove_route(tx, name), "route remove", name, config, data_dir)
    typer.echo(f"{name} is removed")


@app.command("pause")
def pause_route(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Take a route out of the choice: messages take others, or fail where there is none."""
    _pause(name, is_paused=True, config=config, data_dir=data_dir)
    typer.echo(f"{name} is paused")


@app.command("resume")
def resume_route(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let a route be chosen again."""
    _pause(name, is_paused=False, config=config, data_dir=data_dir)
    typer.echo(f"{name} is resumed")


def _pause(name: str, *, is_paused: bool, config: ConfigFile, data_dir: DataDir) -> None:
    def work(tx: Transaction, now_us: int) -> None:
        routing.pause_route(tx, name, is_paused=is_paused, now_us=now_us)

    change(work, "route pause" if is_paused else "route resume", name, config, data_dir)


@app.command("test")
def would_take(
    dst: str,
    *,
    src: Annotated[str, typer.Option("--from", help="The sender.")] = "",
    account: Annotated[str, typer.Option(help="Auth id of the account.")] = "",
    kind: Annotated[str, typer.Option("--type", help="sms or mms.")] = "sms",
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Show which routes a message would try, in their order; sends nothing.

    Among routes of one weight and priority the order is one message's: another one's may differ.
    """

    def work(tx: Transaction, now_us: int) -> tuple[RoutingTable, str]:
        return routing.read(tx), new_id(now_us)

    table, uuid = write(work, config, data_dir)
    facts = Facts(message_uuid=uuid, account_id=account, src=src.lstrip("+"), dst=dst.lstrip("+"), type=kind)
    found = candidates(table, facts, {})
    if not found:
        typer.echo("no route leads there: the message would fail with code 90", err=True)
        raise typer.Exit(1)
    for place, route in enumerate(found, 1):
        typer.echo(f"{place}. {route.name} by {route.carrier}")


def _print(found: tuple[Route, ...]) -> None:
    table = Table("route", "carrier", "prefix", "network", "sender", "account", "type", "priority", "weight", "state")
    for route in found:
        table.add_row(
            route.name,
            route.carrier,
            route.prefix or "all",
            "/".join(code for code in (route.mcc, route.mnc) if code) or "all",
            route.sender or "all",
            route.account_id or "all",
            route.type or "all",
            str(route.priority),
            str(route.weight),
            "paused" if route.is_paused else "in use",
        )
    Console().print(table)
