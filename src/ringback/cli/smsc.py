"""``ringback smsc``: a carrier's SMSC for tests, which does what a script says."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ringback.carriers.smsc.script import Script, read_script
from ringback.carriers.smsc.server import ScriptedSmsc
from ringback.cli.options import Json
from ringback.model.errors import PortInUse
from ringback.runtime import Supervisor, SystemClock, configure_logging

DRAIN_S = 5.0


def smsc(
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="TCP port; 0 takes a free one.")] = 2775,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    script: Annotated[
        Path | None,
        typer.Option("--script", help="TOML file with rules; without one, every message is delivered."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an SMSC that takes any bind, answers by a script, and sends receipts; at its end, print what it counted."""
    configure_logging("warning")
    asyncio.run(_run(read_script(script) if script else Script(), host, port, as_json=as_json))


async def _run(script: Script, host: str, port: int, *, as_json: bool) -> None:
    server = ScriptedSmsc(script, clock=SystemClock())
    try:
        taken = await server.open(host, port)
    except OSError as error:
        raise PortInUse(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from error
    typer.echo(f"SMSC listens on {host}:{taken}; Ctrl-C ends it", err=True)
    supervisor = Supervisor([server], drain_s=DRAIN_S)
    supervisor.stop_on_signals()
    in_time = await supervisor.run()
    counts = dict(sorted(server.counts.items()))
    typer.echo(json.dumps(counts) if as_json else "\n".join(f"{count:>8}  {what}" for what, count in counts.items()))
    if not in_time:
        sys.exit(1)
