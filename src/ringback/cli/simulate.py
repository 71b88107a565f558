"""``ringback simulate``: make the simulated carrier of a running Ringback do something."""

import asyncio
import json
from typing import Annotated

import typer

from ringback.cli.acting import noted
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.settings import Settings
from ringback.store import inbound
from ringback.store.inbound import Request
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id

app = typer.Typer(help="Make the simulated carrier of a running Ringback do something.", no_args_is_help=True)

LOOK_AGAIN_S = 0.1


@app.command("inbound")
def inbound_message(
    *,
    src: Annotated[str, typer.Option("--from", help="The phone that it comes from.", show_default=False)],
    dst: Annotated[str, typer.Option("--to", help="Your number that it goes to.", show_default=False)],
    text: Annotated[str, typer.Option("--text", help="What it says.")] = "",
    media: Annotated[
        list[str] | None, typer.Option("--media", help="URL of a picture or file, up to 10; makes it an MMS.")
    ] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0, max=600, help="Wait so many seconds for the answer.")] = 10,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Send a message from a phone to a number of yours, and print its uuid.

    A Ringback with the role submit, on the same database, takes it up. The exit code is 1 when it is refused, or
    nobody takes it up in time; it stays to be taken up then.
    """
    settings = settings_from(config=config, data_dir=data_dir)
    asked = asyncio.run(_ask(settings, src=src, dst=dst, text=text, media_urls=tuple(media or ()), wait_s=wait_s))
    if as_json:
        typer.echo(json.dumps({"request": asked.id, "message_uuid": asked.message_uuid, "refusal": asked.refusal}))
    elif asked.message_uuid:
        typer.echo(asked.message_uuid)
    elif asked.refusal:
        typer.echo(f"refused: {asked.refusal}", err=True)
    else:
        typer.echo("nobody has taken it up yet: is Ringback running, with the role submit?", err=True)
    if asked.message_uuid is None:
        raise typer.Exit(1)


async def _ask(
    settings: Settings, *, src: str, dst: str, text: str, media_urls: tuple[str, ...], wait_s: float
) -> Request:
    async with open_backbone(settings) as (store, clock):
        now_us = clock.now_us()
        asked = Request(
            id=new_id(now_us),
            src=src,
            dst=dst,
            type="mms" if media_urls else "sms",
            text=text,
            media_urls=media_urls,
            requested_at_us=now_us,
        )
        asking = noted(lambda tx, _: inbound.request(tx, asked), "message simulate", asked.id)
        await store.write(lambda tx: asking(tx, now_us))
        until_us = now_us + round(wait_s * 1_000_000)
        while True:
            found = await store.read(lambda tx: inbound.find_request(tx, asked.id))
            if (found and found.is_answered) or clock.now_us() >= until_us:
                return found or asked
            await asyncio.sleep(LOOK_AGAIN_S)
