"""Flags that commands share, and how a command gets its settings."""

import os
import re
from datetime import UTC, datetime
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
        "--role",
        help="What this process does: web, submit, deliver or analytics; can be given several times.  [default: all]",
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
_AGO: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text for people.")]


def time_of(text: str, name: str, *, now_us: int) -> int:
    """Read a time in microseconds: so long ago, such as ``24h``, or UTC in ISO 8601. Raises ``ConfigInvalid``."""
    if found := _AGO.fullmatch(text.strip()):
        return now_us - int(found[1]) * _UNITS_S[found[2]] * 1_000_000
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigInvalid(
            f"{name} must be so long ago, such as 90m, 24h or 7d, or UTC such as 2026-01-31T12:00"
        ) from error
    return round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)


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
