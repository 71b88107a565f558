"""``ringback demo``: the whole loop on one machine, nothing to set up.

Starts Ringback with the simulated carrier, as an SMSC to which it binds over SMPP, with a first account, and with a
receiver source for that account's own callbacks. With ``--messages`` it then sends through the official Python SDK over
real HTTP, receives the callbacks over real HTTP, and accounts for every one of them.
"""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.panel import Panel

from ringback.cli.demo_numbers import inventory
from ringback.cli.demo_run import Report, account_for, send_all, wait_until_settled
from ringback.cli.demo_smsc import CarrierChoice, DemoCarrier, demo_carrier
from ringback.cli.options import ConfigFile, DataDir, Host, Json, LogLevel, Port, settings_from
from ringback.cli.serve import run
from ringback.model.errors import ConfigInvalid
from ringback.runtime import configure_logging
from ringback.settings import Settings, SourceSettings
from ringback.store import accounts, numbers, routing
from ringback.store.accounts import Account
from ringback.web.dashboard.sessions import make_login_link
from ringback.wiring.backbone import create_account, open_backbone
from ringback.wiring.platform import Platform

SOURCE = "demo"
LOOPBACK = ("127.0.0.0/8", "::1")

Messages = Annotated[int, typer.Option("--messages", min=0, max=10_000, help="Send so many through the official SDK.")]
Carrier = Annotated[
    CarrierChoice,
    typer.Option(
        "--carrier",
        help="The simulated carrier over SMPP, as real ones are reached, or without a link; where you have none.",
    ),
]
Exit = Annotated[bool, typer.Option("--exit", help="End when all are accounted for; uses a fresh, temporary database.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Give up waiting after so many seconds.")]


def demo(
    *,
    messages: Messages = 0,
    end: Exit = False,
    as_json: Json = False,
    timeout_s: Timeout = 120,
    carrier: Carrier = "smpp",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
) -> None:
    """Run everything on this machine with a simulated carrier and a first account."""
    with _data_dir(data_dir, temporary=end) as place:
        settings = settings_from(
            config=config,
            data_dir=place,
            host=host,
            port=0 if end and port is None else port,
            log_level=log_level or "warning",
        )
        configure_logging(settings.log.level)
        outcome = uvloop.run(
            _demo(settings, choice=carrier, count=messages, end=end, as_json=as_json, timeout_s=timeout_s)
        )
    sys.exit(0 if outcome else 1)


@contextlib.contextmanager
def _data_dir(given: Path | None, *, temporary: bool) -> Iterator[Path | None]:
    if given is not None or not temporary:
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="ringback-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


async def _demo(
    settings: Settings, *, choice: CarrierChoice, count: int, end: bool, as_json: bool, timeout_s: float
) -> bool:
    account, has_carriers = await _prepare(settings)
    settings = msgspec.structs.replace(
        settings,
        sources={SOURCE: SourceSettings(account=account.auth_id), **settings.sources},
        # The demo calls itself back.
        delivery=msgspec.structs.replace(settings.delivery, egress_allow=(*LOOPBACK, *settings.delivery.egress_allow)),
    )
    # Whoever has carriers wants to see those.
    async with demo_carrier(settings, "simulator" if has_carriers else choice) as carrier:
        return await _run(carrier, account, count=count, end=end, as_json=as_json, timeout_s=timeout_s)


async def _run(
    carrier: DemoCarrier, account: Account, *, count: int, end: bool, as_json: bool, timeout_s: float
) -> bool:
    reports: list[Report] = []
    settings = carrier.settings

    async def started(platform: Platform) -> None:
        link = await make_login_link(platform.store, platform.clock, settings.dashboard, platform.base_url)
        if not as_json:
            _print_summary(platform, account, link, carrier.told)
        if count or end:
            tasks.add(asyncio.create_task(exercise(platform)))

    async def exercise(platform: Platform) -> None:
        try:
            report = await _exercise(platform, carrier, account, count, timeout_s, quiet=as_json)
            reports.append(report)
            _print_report(report, as_json=as_json)
        finally:
            if end:
                platform.supervisor.stop()

    tasks: set[asyncio.Task[None]] = set()
    drained = await run(settings, started)
    await asyncio.gather(*tasks)
    return drained and all(report.complete for report in reports)


async def _prepare(settings: Settings) -> tuple[Account, bool]:
    """Return the account that sends, and whether there are carriers of the operator's own."""
    async with open_backbone(settings) as (store, clock):
        known = await store.read(lambda tx: accounts.list_all(tx, clock.now_us()))
        # What is there already stays as it is.
        await store.write(lambda tx: numbers.add(tx, inventory()))
        account = known[0] if known else await create_account(store, clock, "demo")
        made = [each for each in await store.read(routing.all_carriers) if each.source == "command"]
        return account, bool(made or settings.carriers or settings.smpp.host)


async def _exercise(
    platform: Platform, carrier: DemoCarrier, account: Account, count: int, timeout_s: float, *, quiet: bool
) -> Report:
    if "submit" not in platform.settings.roles:
        raise ConfigInvalid("the demo needs every role: leave out roles")
    if platform.carrier is None:
        # Of another carrier nobody knows whether it has more to say.
        raise ConfigInvalid("the demo sends through the simulated carrier: leave out your own, or --messages")
    callback_url = f"{platform.base_url}/hooks/{SOURCE}/sms_status"
    progress = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    with progress.status(f"sending {count} messages through the official SDK ..."):
        sent = await asyncio.to_thread(
            send_all, base_url=platform.base_url, account=account, callback_url=callback_url, count=count
        )
    with progress.status("waiting for the last callback ...") as status:
        simulated = platform.carrier

        def pending() -> int:
            return simulated.pending() + carrier.pending()

        waited = wait_until_settled(platform.store, pending, sent, timeout_s=timeout_s)
        async for settled in waited:
            status.update(f"waiting for the last callback ... {settled} of {len(sent.uuids)} messages settled")
    return await platform.store.read(lambda tx: account_for(tx, sent, source=SOURCE))


def _print_summary(platform: Platform, account: Account, link: str, carrier: str) -> None:
    base = platform.base_url
    text = f"""\
[bold]API base URL[/]   {base}/v1
[bold]auth id[/]        {account.auth_id}
[bold]auth token[/]     {account.tokens[0]}
[bold]dashboard[/]      {link}
               (the link works once; another: {_command()} login-link)

[bold]Three things to try[/]
1. Send a message, and watch its callbacks arrive in the dashboard:
   curl -u {account.auth_id}:{account.tokens[0]} {base}/v1/Account/{account.auth_id}/Message/ \\
     -d src=15005550100 -d dst=14155550123 -d text=Hello -d url={base}/hooks/{SOURCE}/sms_status
2. Send to a number with a fixed ending, 15005550030: undelivered with code 30. All of them: docs/simulator.md
3. Send 200 through the official SDK and account for every callback:
   {_command()} demo --messages 200 --exit --json"""
    # Lines that people copy must not be broken or boxed.
    console = Console(soft_wrap=True, highlight=False)
    console.print(Panel.fit(f"[bold]Ringback is running[/] with {carrier}. Ctrl-C ends it."))
    console.print(text)


def _command() -> str:
    """Return what this user types to run Ringback: its name, or its path when it is not on theirs."""
    ran = Path(sys.argv[0])
    return "ringback" if shutil.which("ringback") else os.path.relpath(ran)


def _print_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(msgspec.to_builtins(report)))
        return
    final = ", ".join(f"{count} {status}" for status, count in report.final_by_status.items())
    callbacks = report.callbacks
    latency = report.accept_to_last_callback_s
    typer.echo(
        f"\n{report.accepted} accepted: {final}\n"
        f"callbacks: {callbacks.sent} sent, {callbacks.received} received, {callbacks.verified} verified, "
        f"{callbacks.duplicate} duplicate, {callbacks.out_of_order} out of order\n"
        f"accept to last callback: p50 {latency.p50} s, p95 {latency.p95} s\n"
        + "".join(f"explained: {text}\n" for text in report.explained)
        + "".join(f"NOT explained: {text}\n" for text in report.unexplained)
    )
