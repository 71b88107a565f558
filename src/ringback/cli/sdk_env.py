"""``ringback sdk-env``: the lines that point an official SDK at this Ringback."""

import asyncio
import re
import shlex
from typing import Annotated, Final

import typer

from ringback.cli.options import ConfigFile, DataDir, Host, Port, reachable_url, settings_from
from ringback.cli.snippets import COMMENT, Language, snippet
from ringback.model.errors import ConfigInvalid, NotFound
from ringback.settings import Settings
from ringback.store import accounts
from ringback.store.accounts import Account
from ringback.wiring.backbone import open_backbone

_BASE_URL: Final = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
"""Nothing else may get into the quotes of a program."""


def sdk_env(
    *,
    language: Annotated[
        Language | None, typer.Option("--language", help="Only this one.  [default: all]", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Where Ringback is reached, when not on this machine.", show_default=False),
    ] = None,
    auth_id: Annotated[
        str | None,
        typer.Option("--auth-id", help="Print the credentials of this account too, token included."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
) -> None:
    """Print what points the official SDKs at this Ringback; they take the credentials from the environment."""
    settings = settings_from(config=config, data_dir=data_dir, host=host, port=port)
    base = reachable_url(settings.server, url).rstrip("/")
    if _BASE_URL.fullmatch(base) is None:
        raise ConfigInvalid(f"{base[:100]!r} is no base URL: give scheme, host and port, as http://127.0.0.1:8080")
    variables = asyncio.run(_credentials(settings, auth_id.upper())) if auth_id else ""
    chosen = [language] if language else list(Language)
    typer.echo("\n".join(_lines(each, base, variables, titled=language is None) for each in chosen), nl=False)


def _lines(language: Language, base: str, variables: str, *, titled: bool) -> str:
    title = f"{COMMENT[language] or '# '}{language.value}\n" if titled else ""
    return title + (f"{COMMENT[language]}{variables}\n" if variables else "") + snippet(language, base)


async def _credentials(settings: Settings, auth_id: str) -> str:
    async with open_backbone(settings) as (store, clock):
        now_us = clock.now_us()
        account: Account | None = await store.read(lambda tx: accounts.find(tx, auth_id, now_us))
    if account is None:
        raise NotFound(f"there is no account {auth_id}: ringback account list shows them")
    return f"export PLIVO_AUTH_ID={account.auth_id} PLIVO_AUTH_TOKEN={shlex.quote(account.tokens[0])}"
