"""``ringback serve``: run Ringback until it is told to stop."""

import sys
from collections.abc import Awaitable, Callable

import typer
import uvloop

from ringback.cli.options import ConfigFile, DataDir, Host, LogLevel, Port, Roles, settings_from
from ringback.runtime import configure_logging, favour_writers, settle
from ringback.settings import Settings
from ringback.wiring.platform import Platform, open_platform


def serve(
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
    roles: Roles = None,
) -> None:
    """Run Ringback: API, receiver, dashboard, and the workers behind them."""
    settings = settings_from(config=config, data_dir=data_dir, host=host, port=port, log_level=log_level, roles=roles)
    configure_logging(settings.log.level)

    async def announce(platform: Platform) -> None:
        if platform.base_url:
            typer.echo(f"Ringback listens on {platform.base_url}; a login link: ringback login-link", err=True)
            if platform.tls_url:
                typer.echo(f"Ringback listens on {platform.tls_url}", err=True)
        else:
            typer.echo(f"Ringback runs as {', '.join(settings.roles)}", err=True)

    sys.exit(0 if uvloop.run(run(settings, announce)) else 1)


async def run(settings: Settings, started: Callable[[Platform], Awaitable[None]]) -> bool:
    """Run a platform until a signal; call ``started`` when it is ready. Returns whether it drained in time."""
    favour_writers()
    async with open_platform(settings) as platform:
        platform.supervisor.stop_on_signals()
        settle()
        await started(platform)
        return await platform.supervisor.run()
