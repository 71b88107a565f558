"""``ringback login-link``: a link that opens the dashboard, once."""

import asyncio
from typing import Annotated

import typer

from ringback.cli.options import ConfigFile, DataDir, Host, Port, settings_from
from ringback.model.errors import ConfigInvalid
from ringback.settings import Settings
from ringback.web.dashboard.sessions import make_login_link
from ringback.wiring import base_url, open_backbone

Url = Annotated[
    str | None,
    typer.Option("--url", help="Where the dashboard is reached, when not on this machine.", show_default=False),
]


def login_link(
    *, config: ConfigFile = None, data_dir: DataDir = None, host: Host = None, port: Port = None, url: Url = None
) -> None:
    """Print a link that logs in to the dashboard once."""
    settings = settings_from(config=config, data_dir=data_dir, host=host, port=port)
    typer.echo(asyncio.run(_make(settings, url)))


async def _make(settings: Settings, url: str | None) -> str:
    server = settings.server
    base = url or server.public_base_url
    if not base and server.port == 0:
        raise ConfigInvalid(
            "a running Ringback has a port, 0 names none: give it with --port, or the whole address with --url"
        )
    base = base or base_url(server.host, server.port)
    async with open_backbone(settings) as (store, clock):
        return await make_login_link(store, clock, settings.dashboard, base)
