"""``ringback audit``: who did what, from where, and with what outcome."""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.dialect.times import filter_time_us
from ringback.model.errors import InvalidRequest
from ringback.store import audit
from ringback.store.audit import Entry, Filter
from ringback.wiring.backbone import open_backbone

_SPAN: Final = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_PAGE: Final = 500


def show(
    *,
    since: Annotated[
        str | None, typer.Option("--since", help="How long back (90m, 24h, 7d), or a time in UTC (2026-01-31 12:00).")
    ] = None,
    who: Annotated[str | None, typer.Option("--who", help="Only what this user did.")] = None,
    what: Annotated[
        str | None, typer.Option("--what", help="Only this action, or all of an area: login, user.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many lines at most, the newest ones.")] = 200,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the audit log, oldest first; with --json one object a line."""
    entries = asyncio.run(_find(since, Filter(actor=who, action=what), limit, config, data_dir))
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(_row(entry)))
        return
    if not entries:
        typer.echo("nothing like this in the audit log", err=True)
        return
    table = Table(
        Column("when", no_wrap=True),
        "who",
        Column("what", no_wrap=True),
        "on what",
        "from",
        Column("outcome", no_wrap=True),
    )
    for entry in entries:
        table.add_row(
            _time(entry.at_us)[:19],
            f"{entry.actor} ({entry.actor_kind})",
            entry.action,
            entry.target,
            entry.address,
            entry.outcome,
        )
    Console().print(table)


async def _find(since: str | None, wanted: Filter, limit: int, config: ConfigFile, data_dir: DataDir) -> list[Entry]:
    async with open_backbone(settings_from(config=config, data_dir=data_dir)) as (store, clock):
        chosen = Filter(
            actor=wanted.actor,
            action=wanted.action,
            since_us=None if since is None else _since_us(since, clock.now_us()),
        )
        found: list[Entry] = []
        while len(found) < limit:
            before = found[-1].id if found else None
            count = min(_PAGE, limit - len(found))
            page = await store.read(lambda tx: audit.page(tx, chosen, before=before, limit=count))  # noqa: B023
            found += page
            if len(page) < count:
                break
        return found[::-1]


def _since_us(text: str, now_us: int) -> int:
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return now_us - int(span[1]) * _SECONDS[span[2]] * 1_000_000
    at_us = filter_time_us(text.upper().removesuffix("Z").replace("T", " ").strip())
    if at_us is None:
        raise InvalidRequest("--since is how long back, such as 90m, 24h or 7d, or a time in UTC: 2026-01-31 12:00")
    return at_us


def _row(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": _time(entry.at_us),
        "who": entry.actor,
        "kind": entry.actor_kind,
        "account": entry.account_id,
        "what": entry.action,
        "target": entry.target,
        "from": entry.address,
        "outcome": entry.outcome,
    }


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(sep=" ", timespec="milliseconds")
