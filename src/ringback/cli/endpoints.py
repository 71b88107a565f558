"""``ringback endpoints``: where callbacks go, and whether they do."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import change, write
from ringback.cli.options import ConfigFile, DataDir, Json, RetryDelays
from ringback.delivery.operate import configure, pause, resume
from ringback.model.circuit import Party
from ringback.model.errors import NotFound
from ringback.model.retry import RetryPlan, stored_plan
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction

app = typer.Typer(help="Endpoints that callbacks go to, of all accounts.", no_args_is_help=True)

Account = Annotated[str | None, typer.Option("--account", help="Auth id.", show_default=False)]
State = Annotated[
    str | None, typer.Option("--state", help="closed, open, half_open, paused or disabled.", show_default=False)
]
Reason = Annotated[str, typer.Option("--reason", help="Shown wherever the endpoint is.")]


@app.command("list")
def list_endpoints(
    *,
    account: Account = None,
    state: State = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List endpoints; with --json one object a line."""
    found = write(lambda tx, _: endpoints.page(tx, account_id=account, state=state, limit=10_000), config, data_dir)
    if as_json:
        for endpoint in found:
            typer.echo(json.dumps(_shown(endpoint)))
        return
    table = Table("id", "account", "endpoint", "state", "failures", "reason")
    for endpoint in found:
        circuit = endpoint.circuit
        table.add_row(
            endpoint.id,
            endpoint.account_id,
            endpoint.origin,
            circuit.state.value,
            str(circuit.failures),
            circuit.reason or "",
        )
    Console().print(table)


@app.command("show")
def show_endpoint(
    endpoint_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Show one endpoint: its circuit and its limits."""

    def work(tx: Transaction, _: int) -> Endpoint:
        found = endpoints.by_id(tx, [endpoint_id]).get(endpoint_id)
        if found is None:
            raise NotFound(f"there is no endpoint {endpoint_id}")
        return found

    _print_one(write(work, config, data_dir), as_json=as_json)


@app.command("pause")
def pause_endpoint(
    endpoint_id: str,
    *,
    reason: Reason = "paused by the operator",
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Hold an endpoint's callbacks back until it is resumed."""

    def work(tx: Transaction, now_us: int) -> Endpoint:
        return pause(tx, endpoint_id, by=Party.OPERATOR, reason=reason, now_us=now_us)

    _print_one(change(work, "endpoint pause", endpoint_id, config, data_dir), as_json=as_json)


@app.command("resume")
def resume_endpoint(
    endpoint_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Let an endpoint's callbacks go again, parked, paused or disabled as it may be."""

    def work(tx: Transaction, now_us: int) -> Endpoint:
        return resume(tx, endpoint_id, by=Party.OPERATOR, now_us=now_us)

    _print_one(change(work, "endpoint resume", endpoint_id, config, data_dir), as_json=as_json)


@app.command("set")
def set_limits(
    endpoint_id: str,
    *,
    concurrency: Annotated[int | None, typer.Option(min=0, help="Attempts in flight; 0 for the setting.")] = None,
    rate_per_minute: Annotated[int | None, typer.Option(min=0, help="Attempts per minute; 0 for no limit.")] = None,
    retry_delays: RetryDelays = None,
    keep_parked: Annotated[bool | None, typer.Option(help="See the setting delivery.keep_parked.")] = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Give an endpoint limits and a retry plan of its own."""
    retry_plan = RetryPlan.of_text(retry_delays, name="--retry-delays") if retry_delays else None

    def work(tx: Transaction, _: int) -> Endpoint:
        return configure(
            tx,
            endpoint_id,
            concurrency=concurrency,
            rate_per_minute=rate_per_minute,
            retry_plan=retry_plan,
            keep_parked=keep_parked,
            cleared=("retry_delays",) if retry_delays == "" else (),
        )

    _print_one(change(work, "endpoint set", endpoint_id, config, data_dir), as_json=as_json)


def _print_one(endpoint: Endpoint, *, as_json: bool) -> None:
    shown = json.dumps(_shown(endpoint))
    if as_json:
        typer.echo(shown)
    else:
        Console().print_json(shown)


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    circuit = endpoint.circuit
    return {
        "id": endpoint.id,
        "account_id": endpoint.account_id,
        "endpoint": endpoint.origin,
        "state": circuit.state.value,
        "reason": circuit.reason,
        "paused_by": circuit.paused_by,
        "failures": circuit.failures,
        "probe_at_us": circuit.probe_at_us,
        "parked_at_us": circuit.parked_at_us,
        "concurrency": endpoint.concurrency,
        "rate_per_minute": endpoint.rate_per_minute,
        "retry_delays_s": None if endpoint.retry_delays is None else stored_plan(endpoint.retry_delays).delays_s,
        "keep_parked": endpoint.keep_parked,
    }
