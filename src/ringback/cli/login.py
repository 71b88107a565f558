"""``ringback login-link`` and ``ringback operator-token``: what opens the dashboard and the operator's API."""

import asyncio
from typing import Annotated

import typer

from ringback.cli.acting import actor
from ringback.cli.options import ConfigFile, DataDir, Host, Port, reachable_url, settings_from
from ringback.model.errors import InvalidRequest, NotFound
from ringback.settings import Settings
from ringback.store import audit, logins, users
from ringback.store.logins import Link
from ringback.store.port import Transaction
from ringback.web.dashboard.sessions import make_login_link
from ringback.web.operator import make_token
from ringback.wiring.backbone import open_backbone

Url = Annotated[
    str | None,
    typer.Option("--url", help="Where the dashboard is reached, when not on this machine.", show_default=False),
]


def login_link(
    *,
    user: Annotated[str | None, typer.Option("--user", help="Let this user in, who may set a password then.")] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Let somebody in who sees this account and its subaccounts only.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    url: Url = None,
) -> None:
    """Print a link that logs in to the dashboard once: an operator, a user, or somebody of an account."""
    if user is not None and account is not None:
        raise InvalidRequest("give --user or --account: a user's account is known")
    settings = settings_from(config=config, data_dir=data_dir, host=host, port=port)
    typer.echo(asyncio.run(_make(settings, url, user, account)))


async def _make(settings: Settings, url: str | None, user: str | None, account: str | None) -> str:
    base = reachable_url(settings.server, url)
    async with open_backbone(settings) as (store, clock):
        link = await store.read(lambda tx: _whom(tx, user, account))
        made = await make_login_link(store, clock, settings.dashboard, base, link)
        now_us, target = clock.now_us(), user or account or "operator"
        await store.write(lambda tx: audit.note(tx, actor(), "link make", target, now_us=now_us))
        return made


def _whom(tx: Transaction, user: str | None, account: str | None) -> Link:
    if user is not None:
        known = users.known(tx, users.as_name(user))
        if known.disabled_at_us is not None:
            raise InvalidRequest(f"{known.name} is disabled: ringback users enable {known.name}")
        return Link(known.id, known.account_id)
    if account is not None and not logins.seen_accounts(tx, account.upper()):
        raise NotFound(f"there is no account {account[:20]} that is enabled: ringback account list shows them")
    return Link(None, account.upper() if account else None)


def operator_token(*, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Print a new token for the operator's API; the one before opens nothing any more."""
    settings = settings_from(config=config, data_dir=data_dir)

    async def make() -> str:
        async with open_backbone(settings) as (store, clock):
            token, now_us = await make_token(store), clock.now_us()
            await store.write(lambda tx: audit.note(tx, actor(), "token make", "operator", now_us=now_us))
            return token

    typer.echo(asyncio.run(make()))
