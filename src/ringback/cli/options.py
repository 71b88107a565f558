"""Flags that commands share, and how a command gets its settings."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from ringback.model.errors import ConfigInvalid
from ringback.settings import Invalid, ServerSettings, Settings, load
from ringback.wiring.backbone import base_url

ANYWHERE: Final = ("0.0.0.0/0", "::/0")
"""What may be dialled where an address was typed on this machine: whoever did could dial it without Ringback."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="RINGBACK_CONFIG", help="TOML file with settings.", show_default=False),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the database is kept.  [default: .ringback]", show_default=False),
]
Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen on.  [default: 127.0.0.1]", show_default=False)
]
Port = Annotated[
    int | None, typer.Option("--port", help="Port; 0 takes a free one.  [default: 8080]", show_default=False)
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role", help="What this process does: web, submit or deliver; can be given several times.  [default: all]"
    ),
]
LogLevel = Annotated[
    str | None, typer.Option("--log-level", help="debug, info, warning or error.  [default: info]", show_default=False)
]
RetryDelays = Annotated[
    str | None,
    typer.Option(
        "--retry-delays", help="Pauses in seconds, such as 60,120,240, or none for one attempt; empty for no own plan."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text for people.")]


def settings_from(
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    log_level: str | None = None,
    roles: list[str] | None = None,
    sources: dict[str, object] | None = None,
    trusted_proxies: list[str] | None = None,
) -> Settings:
    """Merge file, environment and flags. Raises ``ConfigInvalid``."""
    environment = {name: value for name, value in os.environ.items() if name != "RINGBACK_CONFIG"}
    if roles:
        environment["RINGBACK_ROLES"] = ",".join(roles)
    flags: dict[str, dict[str, object]] = {
        "server": {"host": host, "port": port, "trusted_proxies": trusted_proxies or None},
        "store": {"data_dir": data_dir},
        "log": {"level": log_level},
        "sources": sources or {},
    }
    try:
        return load(file=config, environment=environment, flags=flags)
    except Invalid as error:
        raise ConfigInvalid(str(error)) from error


def reachable_url(server: ServerSettings, url: str | None) -> str:
    """Return where Ringback is reached: as told, as the settings say, or on this machine. Raises ``ConfigInvalid``."""
    told = url or server.public_base_url
    if not told and server.port == 0:
        raise ConfigInvalid(
            "a running Ringback has a port, 0 names none: give it with --port, or the whole address with --url"
        )
    return told or base_url(server.host, server.port)
