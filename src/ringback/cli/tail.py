"""``ringback tail``: received events as they come, one JSON object a line.

It reads the database, so it needs no credentials, and goes on when the server is down or restarted.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from ringback.cli.options import ConfigFile, DataDir, settings_from
from ringback.model.errors import StoreUnavailable
from ringback.receiver import reader
from ringback.settings import Settings
from ringback.store import received_log
from ringback.store.port import Store
from ringback.wiring.backbone import open_backbone

LOOK_S: Final = 0.2
AT_ONCE: Final = 500

After = Annotated[
    int | None, typer.Option("--after", min=0, help="Cursor to go on from; 0 for the first.  [default: from now on]")
]
SourceNames = Annotated[
    list[str] | None, typer.Option("--source", help="Only of this source; can be given several times.")
]
Statuses = Annotated[
    list[str] | None, typer.Option("--status", help="Only with this status, in our words or the provider's.")
]
Follow = Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for more, or end with the last.")]


def tail(
    *,
    after: After = None,
    source: SourceNames = None,
    status: Statuses = None,
    follow: Follow = True,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Print received events as they come, one JSON object a line, each with the cursor to go on from."""
    settings = settings_from(config=config, data_dir=data_dir)
    try:
        asyncio.run(_tail(settings, after=after, sources=source or [], statuses=status or [], follow=follow))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _tail(
    settings: Settings, *, after: int | None, sources: Sequence[str], statuses: Sequence[str], follow: bool
) -> None:
    async with open_backbone(settings) as (store, _):
        cursor = await store.read(received_log.last_position) if after is None else after
        while True:
            try:
                batch = await _look(store, settings, sources, cursor)
            except StoreUnavailable as error:
                typer.echo(f"ringback: {error}; trying again", err=True)
                await asyncio.sleep(LOOK_S)
                continue
            for event in batch.events:
                if not statuses or {event["status"], event.get("their_status")} & set(statuses):
                    typer.echo(json.dumps(event, ensure_ascii=False))
            cursor = batch.cursor
            if batch.has_more:
                continue
            if not follow:
                return
            await asyncio.sleep(LOOK_S)


async def _look(store: Store, settings: Settings, sources: Sequence[str], cursor: int) -> reader.Batch:
    return await store.read(
        lambda tx: reader.read(tx, settings.sources, names=sources or None, after=cursor, limit=AT_ONCE)
    )
