"""The ``ringback`` command. Data goes to standard output, everything else to standard error."""

import sys
from typing import Annotated

import typer

from ringback import __version__
from ringback.cli import (
    account,
    analytics,
    audit,
    bin_insight,
    bins,
    callbacks,
    carriers,
    conversion,
    credit,
    demo,
    endpoints,
    limits,
    listen,
    login,
    numbers,
    optouts,
    pricing,
    receive,
    received,
    reconcile,
    replays,
    routes,
    sandbox,
    sdk_env,
    serve,
    simulate,
    smpp_logins,
    smsc,
    sql,
    stats,
    tail,
    tls,
    trigger,
    users,
)
from ringback.model.errors import RingbackError
from ringback.runtime import configure_logging

app = typer.Typer(
    name="ringback",
    help="Self-hosted SMS platform built around callbacks, wire-compatible with Plivo.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("login-link")(login.login_link)
app.command("operator-token")(login.operator_token)
app.command("sdk-env")(sdk_env.sdk_env)
app.command("smsc")(smsc.smsc)
account.app.command("credit", context_settings={"ignore_unknown_options": True})(credit.credit)
account.app.command("ledger")(credit.ledger)
account.app.command("limits")(limits.set_limits)
account.app.command("geo")(limits.set_geo)
account.app.add_typer(smpp_logins.app, name="smpp")
app.command("sql")(sql.sql)
app.command("tail")(tail.tail)
app.command("reconcile")(reconcile.reconcile)
app.command("listen")(listen.listen)
app.command("trigger")(trigger.trigger)
app.add_typer(account.app, name="account")
app.add_typer(pricing.app, name="pricing")
app.add_typer(sandbox.app, name="sandbox")
callbacks.app.command("replay")(replays.replay)
callbacks.app.command("replays")(replays.list_replays)
callbacks.app.command("cancel")(replays.cancel)
bins.app.command("schema")(bin_insight.schema)
bins.app.command("explain")(bin_insight.explain)
app.add_typer(analytics.app, name="analytics")
app.add_typer(bins.app, name="bin")
app.add_typer(callbacks.app, name="callbacks")
app.add_typer(carriers.app, name="carriers")
app.add_typer(conversion.app, name="conversion")
app.add_typer(routes.app, name="routes")
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(numbers.app, name="numbers")
app.add_typer(optouts.app, name="optouts")
receive.app.command("explain")(received.explain)
receive.app.command("report")(received.report)
receive.app.command("list")(received.list_received)
receive.app.command("gaps")(received.gaps)
app.add_typer(receive.app, name="receive")
app.add_typer(simulate.app, name="simulate")
app.add_typer(stats.app, name="stats")
app.add_typer(tls.app, name="tls")
app.add_typer(users.app, name="users")
app.command("audit")(audit.show)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback shape
    if wanted:
        typer.echo(f"ringback {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False
) -> None:
    """Self-hosted SMS platform built around callbacks, wire-compatible with Plivo."""


def main() -> None:
    """Run the command line; errors of the tree end it with one line and exit code 2."""
    # Before any command knows its level: a warning on the way must not land in its output.
    configure_logging("info")
    try:
        app()
    except RingbackError as error:
        typer.echo(f"ringback: {error}", err=True)
        sys.exit(2)
