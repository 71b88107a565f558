"""``ringback receive``: the receiver alone, for one source given by flags; and what it has received.

The flags say what ``[sources.NAME]`` says in a file; without ``--source`` those of the file and the environment hold.
They come before a subcommand, which then explains by them too: ``ringback receive --source plivo … explain ID``.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import uvloop

from ringback.cli.options import ConfigFile, DataDir, Host, LogLevel, Port, settings_from
from ringback.cli.serve import run
from ringback.cli.tokens import TokenEnv, tokens_of
from ringback.model.errors import ConfigInvalid
from ringback.receiver.source import PROVIDERS
from ringback.runtime import configure_logging
from ringback.wiring.platform import Platform

app = typer.Typer(
    help="Receive callbacks of a provider: verified, stored before they are answered, handed on.",
    invoke_without_command=True,
    no_args_is_help=False,
)

ROLES: Final = ["web", "deliver"]

Source = Annotated[
    str | None, typer.Option("--source", help=f"Whose callbacks: {', '.join(PROVIDERS)}.", show_default=False)
]
Name = Annotated[
    str | None, typer.Option("--name", help="The source's name, as in /hooks/NAME.  [default: as --source]")
]
AuthId = Annotated[str | None, typer.Option("--auth-id", help="The account's id at the provider.", show_default=False)]
PublicUrl = Annotated[
    str | None,
    typer.Option("--public-url", help="Scheme, host and port that the provider calls.", show_default=False),
]
TrustedProxy = Annotated[
    list[str] | None,
    typer.Option("--trusted-proxy", help="Network whose X-Forwarded headers are believed.", show_default=False),
]
RequireV3 = Annotated[bool, typer.Option("--require-v3", help="Refuse what is signed with V2 or V1 alone.")]
ForwardTo = Annotated[
    list[str] | None,
    typer.Option("--forward-to", help="URL of your own that verified callbacks go on to.", show_default=False),
]
ForwardFormat = Annotated[str, typer.Option("--forward-format", help="form, as it came, or json.")]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags before a subcommand said."""

    config: Path | None
    data_dir: Path | None
    sources: dict[str, object]


@app.callback()
def receive(
    context: typer.Context,
    *,
    source: Source = None,
    name: Name = None,
    auth_id: AuthId = None,
    token_env: TokenEnv = None,
    public_url: PublicUrl = None,
    trusted_proxy: TrustedProxy = None,
    require_v3: RequireV3 = False,
    forward_to: ForwardTo = None,
    forward_format: ForwardFormat = "form",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
) -> None:
    """Receive callbacks until told to stop: those of --source, or of the sources in the settings."""
    sources: dict[str, object] = {}
    if source is not None:
        sources[name or source] = source_fields(
            source,
            auth_id=auth_id,
            token_env=token_env or [],
            public_url=public_url,
            require_v3=require_v3,
            forward_to=forward_to or [],
            forward_format=forward_format,
        )
    context.obj = Chosen(config=config, data_dir=data_dir, sources=sources)
    if context.invoked_subcommand is not None:
        return
    settings = settings_from(
        config=config, data_dir=data_dir, host=host, port=port, log_level=log_level, roles=ROLES, sources=sources,
        trusted_proxies=trusted_proxy,
    )  # fmt: skip
    if not settings.sources:
        raise ConfigInvalid(
            f"say whose callbacks to receive: --source with {', '.join(PROVIDERS)}, or [sources.<name>]"
        )
    configure_logging(settings.log.level)
    sys.exit(0 if uvloop.run(run(settings, _announce)) else 1)


def source_fields(
    provider: str,
    *,
    auth_id: str | None,
    token_env: list[str],
    public_url: str | None,
    require_v3: bool,
    forward_to: list[str],
    forward_format: str,
) -> dict[str, object]:
    """Return the settings of a source as a file would have them. Raises ``ConfigInvalid``."""
    tokens = tokens_of(token_env)
    if not tokens:
        raise ConfigInvalid("a source needs a token to verify by: --token-env VARIABLE, which holds it")
    forward = {
        "to" if number == 1 else f"to{number}": {"url": url, "format": forward_format}
        for number, url in enumerate(forward_to, 1)
    }
    given: dict[str, Any] = {"provider": provider, "tokens": tokens, "require_v3": require_v3, "forward": forward}
    if auth_id:
        given["auth_id"] = auth_id
    if public_url:
        given["public_url"] = public_url
    return given


async def _announce(platform: Platform) -> None:
    for name, source in platform.settings.sources.items():
        base = source.public_url or platform.settings.server.public_base_url or platform.base_url
        typer.echo(f"Ringback receives callbacks of {source.provider} at {base.rstrip('/')}/hooks/{name}", err=True)
    typer.echo(f"Ringback listens on {platform.base_url}; a login link: ringback login-link", err=True)
