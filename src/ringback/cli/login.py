"""``ringback login-link`` and ``ringback operator-token``: what opens the dashboard and the operator's API."""

import asyncio
from typing import Annotated

import typer

from ringback.cli.options import ConfigFile, DataDir, Host, Port, reachable_url, settings_from
from ringback.settings import Settings
from ringback.web.dashboard.sessions import make_login_link
from ringback.web.operator import make_token
from ringback.wiring.backbone import open_backbone

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
    base = reachable_url(settings.server, url)
    async with open_backbone(settings) as (store, clock):
        return await make_login_link(store, clock, settings.dashboard, base)


def operator_token(*, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Print a new token for the operator's API; the one before opens nothing any more."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def make() -> str:
        async with open_backbone(settings) as (store, _):
            return await make_token(store)

    typer.echo(asyncio.run(make()))
