"""``ringback carriers``: who terminates messages, and how the links to them are."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json
from ringback.model.errors import InvalidRequest, NotFound
from ringback.routing.configured import Said, Shown, carrier_of, shown
from ringback.store import routing
from ringback.store.port import Transaction

app = typer.Typer(help="Carriers, and the links to them.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", help="Shown wherever the carrier is.")]


@app.command("list")
def list_carriers(*, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """List carriers with the state of their links; with --json one object a line."""
    found = write(shown, config, data_dir)
    if as_json:
        for seen in found:
            typer.echo(json.dumps(seen.record()))
        return
    table = Table("carrier", "kind", "state", "process", "in hand", "parts/s", "detail")
    for seen in found:
        carrier = seen.carrier
        links: list[Said | None] = [*seen.links] or [None]
        for link in links:
            said = link.snapshot if link else None
            state = "paused" if carrier.is_paused else said.state if said else "nobody has it"
            in_hand = "" if said is None else f"{said.window_used}/{said.window_allowed or 'any'}"
            rate = "" if said is None else f"{said.rate_per_s:g}"
            detail = carrier.reason or (said.detail if said else "")
            table.add_row(carrier.name, carrier.kind, state, link.process if link else "", in_hand, rate, detail)
    Console().print(table)


@app.command("show")
def show_carrier(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show one carrier: its settings, without what is secret, and what each process says of its link."""

    def work(tx: Transaction, now_us: int) -> Shown:
        found = next((seen for seen in shown(tx, now_us) if seen.carrier.name == name), None)
        if found is None:
            raise NotFound(f"there is no carrier {name}")
        return found

    Console().print_json(json.dumps(write(work, config, data_dir).record()))


@app.command("set")
def set_carrier(
    name: str,
    *,
    kind: Annotated[str, typer.Option("--kind", help="simulator, smpp or plivo.", show_default=False)],
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="JSON file with the settings of its kind; - reads standard input."),
    ] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Submissions in flight at once, in each process.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Make a carrier, or give one other settings; running processes open it within a second."""
    carrier = carrier_of(name, {"kind": kind, "settings": _settings(settings), "capacity": capacity})
    change(lambda tx, now_us: routing.put_carrier(tx, carrier, now_us=now_us), "carrier set", name, config, data_dir)
    typer.echo(f"{name} is set")


@app.command("remove")
def remove_carrier(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Remove a carrier that no route leads to; what waits for it takes another route."""
    change(lambda tx, _: routing.remove_carrier(tx, name), "carrier remove", name, config, data_dir)
    typer.echo(f"{name} is removed")


@app.command("pause")
def pause_carrier(
    name: str, *, reason: Reason = "paused by the operator", config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Hold a carrier's messages back until it is resumed; those that expire meanwhile fail."""

    def work(tx: Transaction, now_us: int) -> None:
        routing.pause_carrier(tx, name, is_paused=True, reason=reason, now_us=now_us)

    change(work, "carrier pause", name, config, data_dir)
    typer.echo(f"{name} is paused")


@app.command("resume")
def resume_carrier(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Let a carrier's messages go again."""

    def work(tx: Transaction, now_us: int) -> None:
        routing.pause_carrier(tx, name, is_paused=False, reason=None, now_us=now_us)

    change(work, "carrier resume", name, config, data_dir)
    typer.echo(f"{name} is resumed")


@app.command("rebind")
def rebind_carrier(name: str, *, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Have every process drop its link to a carrier and make it anew."""

    def work(tx: Transaction, now_us: int) -> None:
        routing.rebind_carrier(tx, name, now_us=now_us)

    change(work, "carrier rebind", name, config, data_dir)
    typer.echo(f"{name} is asked to make its links anew")


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise InvalidRequest(f"cannot read {file}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{file} is not a JSON object: {error}") from error
