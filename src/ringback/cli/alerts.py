"""``ringback alerts``: what is wrong with deliveries, and what somebody says about it."""

import asyncio
import getpass
import json
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from ringback.analytics.alerting import acknowledge, mute, resolve, send_test, unmute
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.dialect.delivery_alerts import alert_record, figure, summary
from ringback.model.alerts import Alert, Kind, State, chance_in_words
from ringback.model.errors import ConfigInvalid, NotFound
from ringback.settings import Settings
from ringback.store import alerts
from ringback.store.alerts import Note
from ringback.store.port import Transaction
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id

T = TypeVar("T")

app = typer.Typer(help="Alerts when deliveries are not as they were.", no_args_is_help=True)

MOST: Final = 1_000
HOUR_US: Final = 3_600_000_000

StateName = Annotated[str | None, typer.Option("--state", help="open or resolved.", show_default=False)]
KindName = Annotated[str | None, typer.Option("--kind", help="Such as delivery_drop.", show_default=False)]
NoteText = Annotated[str, typer.Option("--note", help="Kept in its history.", show_default=False)]


@app.command("ls")
def list_alerts(
    *,
    state: StateName = None,
    kind: KindName = None,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List alerts, newest first; with --json one object a line."""
    wanted_state, wanted_kind = _one_of(state, State, "--state"), _one_of(kind, Kind, "--kind")
    found = _write(
        lambda tx, _, __: alerts.page(
            tx,
            state=State(wanted_state) if wanted_state else None,
            kind=Kind(wanted_kind) if wanted_kind else None,
            limit=MOST,
        ),
        config,
        data_dir,
    )
    if as_json:
        for alert in found:
            typer.echo(json.dumps(alert_record(alert)))
        return
    table = Table("id", "kind", "where", "before", "now", "messages", "since", "state")
    for alert in found:
        record, worst = alert_record(alert), alert.worst
        state_words = "muted" if record["muted_until"] and alert.state is State.OPEN else alert.state.value
        table.add_row(
            alert.id,
            alert.kind.value,
            alert.scope.words(),
            figure(worst.measure, worst.before),
            figure(worst.measure, worst.now),
            f"{worst.n_now:,}",
            record["raised_at"],
            state_words,
        )
    Console().print(table)


@app.command("show")
def show_alert(alert_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show one alert with its history."""

    def work(tx: Transaction, _: int, __: Settings) -> tuple[Alert, list[Note]]:
        found = alerts.find(tx, alert_id)
        if found is None:
            raise NotFound(f"there is no alert {alert_id}")
        return found, alerts.notes(tx, alert_id)

    alert, notes = _write(work, config, data_dir)
    history = [{"at_us": each.at_us, "what": each.what, "by": each.by, "detail": each.detail} for each in notes]
    record = alert_record(alert) | {"history": history}
    if as_json:
        typer.echo(json.dumps(record))
        return
    typer.echo(summary(alert))
    typer.echo(f"By chance: {chance_in_words(alert.worst.log10_p)}.")
    Console().print_json(json.dumps(record))


@app.command("ack")
def acknowledge_alert(
    alert_id: str, *, note: NoteText = "", as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Note that you see to it: it leaves the banner."""
    _print_one(
        _write(lambda tx, now_us, _: acknowledge(tx, alert_id, by=_me(), note=note, now_us=now_us), config, data_dir),
        as_json=as_json,
    )


@app.command("mute")
def mute_alert(
    alert_id: str,
    *,
    hours: Annotated[int, typer.Option(min=1, max=8_760, help="For how long.")] = 24,
    note: NoteText = "",
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Send nothing of it, and raise nothing of the same, for some hours."""

    def work(tx: Transaction, now_us: int, _: Settings) -> Alert:
        return mute(tx, alert_id, by=_me(), note=note, until_us=now_us + hours * HOUR_US, now_us=now_us)

    _print_one(_write(work, config, data_dir), as_json=as_json)


@app.command("unmute")
def unmute_alert(alert_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """End its being muted."""
    _print_one(
        _write(lambda tx, now_us, _: unmute(tx, alert_id, by=_me(), now_us=now_us), config, data_dir), as_json=as_json
    )


@app.command("resolve")
def resolve_alert(
    alert_id: str, *, note: NoteText = "", as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """End it by hand; where it is not over it is raised anew after the quiet period."""

    def work(tx: Transaction, now_us: int, settings: Settings) -> Alert:
        return resolve(tx, alert_id, by=_me(), now_us=now_us, settings=settings.alerts, new_id=new_id, note=note)

    _print_one(_write(work, config, data_dir), as_json=as_json)


@app.command("test")
def send_a_test(*, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Send a test webhook to alerts.url; a running Ringback makes the attempt."""
    owed = _write(
        lambda tx, now_us, settings: send_test(tx, settings=settings.alerts, now_us=now_us, new_id=new_id),
        config,
        data_dir,
    )
    if owed is None:
        raise ConfigInvalid("settings: set alerts.url and alerts.account: without them alerts are shown only")
    told = {"callback_id": owed.id, "url": owed.url}
    typer.echo(json.dumps(told) if as_json else f"owed to {owed.url} as callback {owed.id}: see ringback callbacks")


def _write(work: Callable[[Transaction, int, Settings], T], config: Any, data_dir: Any) -> T:
    async def run() -> T:
        settings = settings_from(config=config, data_dir=data_dir)
        async with open_backbone(settings) as (store, clock):
            now_us = clock.now_us()
            return await store.write(lambda tx: work(tx, now_us, settings))

    return asyncio.run(run())


def _print_one(alert: Alert, *, as_json: bool) -> None:
    shown = json.dumps(alert_record(alert))
    if as_json:
        typer.echo(shown)
    else:
        typer.echo(summary(alert))


def _me() -> str:
    """Return who is at the keyboard, for the history."""
    return getpass.getuser()


def _one_of(value: str | None, words: type[State] | type[Kind], name: str) -> str | None:
    if value is not None and value not in {each.value for each in words}:
        raise ConfigInvalid(f"{name} must be one of {', '.join(each.value for each in words)}")
    return value
