"""``ringback receive explain``, ``report``, ``list`` and ``gaps``: what was received, why it was believed or not, and
what is lacking."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.callbacks import shown_time, with_store
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from, time_of
from ringback.cli.receive import Chosen
from ringback.model.errors import NotFound
from ringback.receiver.explain import Explanation, Tried
from ringback.receiver.explained import Explainer
from ringback.receiver.proxies import Proxies
from ringback.runtime import SystemClock
from ringback.store import received, received_report
from ringback.store.port import Store
from ringback.store.received import ReceivedRequest, Totals
from ringback.store.received_report import Stalled, StalledMessage
from ringback.wiring.backbone import open_backbone

Since = Annotated[
    datetime | None, typer.Option("--since", help="Received since, UTC, such as 2026-01-31T12:00.", show_default=False)
]
Older = Annotated[str, typer.Option("--older", help="Of which nothing has come for so long: 90m, 24h, 7d.")]
Ago = Annotated[str, typer.Option("--since", help="Received since: so long ago, or UTC such as 2026-01-31T12:00.")]
SourceName = Annotated[str | None, typer.Option("--source", help="Only of this source.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]


def explain(
    context: typer.Context,
    request_id: str,
    *,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Say why the signature of a received request fits or does not: what was tried, and the likely cause."""
    stored, told = asyncio.run(_explain(_chosen(context, config, data_dir), request_id))
    if as_json:
        shown = {"id": stored.id, "source": stored.source, "verdict_then": stored.verdict}
        typer.echo(json.dumps(shown | msgspec.to_builtins(told)))
        return
    typer.echo(f"request {stored.id} to {stored.source}, {shown_time(stored.received_at_us)} UTC: {stored.verdict}")
    print_explanation(told)


def print_explanation(told: Explanation) -> None:
    """Print what is to be said of a signature."""
    typer.echo(f"{'cause' if told.proven else 'likely cause'}: {told.cause}")
    if told.nearest is not None:
        typer.echo("what would have fitted:")
        _print_tried(told.nearest)
    for header, signature in told.offered:
        typer.echo(f"came: {header}: {signature}")
    for name, value in told.nonces:
        typer.echo(f"came: {name}: {value}")
    typer.echo("tried:")
    for tried in told.tried:
        _print_tried(tried)
    if told.left_out:
        typer.echo(f"  and {told.left_out} more")


def _print_tried(tried: Tried) -> None:
    typer.echo(f"  {tried.scheme} as {tried.rule} has it: {_one_line(tried.text)}")
    for name, signature in tried.signatures:
        typer.echo(f"    {name} makes {signature}{' and fits' if name == tried.fits else ''}")


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode() if not text.isprintable() else text


async def _explain(chosen: Chosen, request_id: str) -> tuple[ReceivedRequest, Explanation]:
    settings = settings_from(config=chosen.config, data_dir=chosen.data_dir, sources=chosen.sources)
    proxies = Proxies(settings.server.trusted_proxies)
    async with open_backbone(settings) as (store, clock):
        stored = await store.read(lambda tx: received.request(tx, request_id.lower()))
        if stored is None:
            raise NotFound(f"no request {request_id} was received: ringback receive list shows the newest")
        explainer = Explainer(
            store=store,
            clock=clock,
            sources=settings.sources,
            public_base_url=settings.server.public_base_url,
            proxies=proxies,
        )
        told = await explainer.explain(stored)
    if told is None:
        raise NotFound(
            f"the source {stored.source} is not configured here: give its flags before the word explain, or --config"
        )
    return stored, told


def report(
    context: typer.Context,
    *,
    since: Since = None,
    limit: Limit = 20,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Count copies, what came late or out of order, and what never came; name messages that lack something."""
    since_us = 0 if since is None else round(since.replace(tzinfo=since.tzinfo or UTC).timestamp() * 1_000_000)

    async def work(store: Store, _: SystemClock) -> tuple[Any, Any]:
        found = await store.read(lambda tx: received_report.reports(tx, since_us=since_us))
        return found, await store.read(lambda tx: received_report.missing(tx, since_us=since_us, limit=limit))

    chosen = _chosen(context, config, data_dir)
    found, missing = with_store(work, config=chosen.config, data_dir=chosen.data_dir)
    if as_json:
        typer.echo(json.dumps({"sources": msgspec.to_builtins(found), "missing": msgspec.to_builtins(missing)}))
        return
    for each in found:
        table = Table("", each.source)
        for name, value in msgspec.to_builtins(each).items():
            if name != "source":
                counts = value.items() if isinstance(value, dict) else [("", value)]
                shown = ", ".join(f"{key} {count}".strip() for key, count in counts)
                table.add_row(name.replace("_", " "), shown or "0")
        Console().print(table)
    for each in missing:
        lacks = (
            "sent never came" if each.without_sent else f"{each.sequences} of {each.highest_sequence} sequences came"
        )
        typer.echo(f"{shown_time(each.first_at_us)} {each.source} {each.message_uuid}: {lacks}")


def list_received(
    context: typer.Context,
    *,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List received requests, newest first, and what each source has sent; with --json one request a line."""

    async def work(store: Store, _: SystemClock) -> Any:
        newest = await store.read(lambda tx: received.newest(tx, limit=limit))
        return newest, {} if as_json else await store.read(received.totals_by_source)

    chosen = _chosen(context, config, data_dir)
    found, totals = with_store(work, config=chosen.config, data_dir=chosen.data_dir)
    if as_json:
        for item, said in found:
            shown = {"id": item.id, "source": item.source, "received_at_us": item.received_at_us, "peer": item.peer}
            shown |= {"verdict": item.verdict, "accepted": item.accepted, "event": msgspec.to_builtins(said)}
            typer.echo(json.dumps(shown))
        return
    table = Table("id", "received at (UTC)", "source", "verdict", "status", "flag", "message")
    for item, said in found:
        says = (said.status, said.flag, said.message_uuid) if said else ("", "", "")
        table.add_row(item.id, shown_time(item.received_at_us), item.source, item.verdict, *says)
    Console().print(table)
    names = [name for name in Totals.__struct_fields__ if totals]
    summary = Table("source", *(name.replace("_", " ") for name in names))
    for source, each in totals.items():
        summary.add_row(source, *(str(getattr(each, name)) for name in names))
    Console().print(summary)


def gaps(
    context: typer.Context,
    *,
    older: Older = "1h",
    since: Ago = "7d",
    source: SourceName = None,
    limit: Limit = 20,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Count messages that have stopped on their way, by source and status, and name the oldest of them."""
    chosen = _chosen(context, config, data_dir)

    async def work(store: Store, clock: SystemClock) -> tuple[list[Stalled], list[StalledMessage]]:
        now_us = clock.now_us()
        wanted: dict[str, Any] = {
            "before_us": time_of(older, "--older", now_us=now_us),
            "since_us": time_of(since, "--since", now_us=now_us),
            "source": source,
        }
        counted = await store.read(lambda tx: received_report.stalled(tx, **wanted))
        return counted, await store.read(lambda tx: received_report.stalled_messages(tx, **wanted, limit=limit))

    counted, oldest = with_store(work, config=chosen.config, data_dir=chosen.data_dir)
    if as_json:
        typer.echo(json.dumps({"stalled": msgspec.to_builtins(counted), "oldest": msgspec.to_builtins(oldest)}))
        return
    table = Table("source", "last status", "messages", "oldest (UTC)")
    for total in counted:
        table.add_row(total.source, total.status, str(total.messages), shown_time(total.oldest_at_us))
    Console().print(table)
    for each in oldest:
        typer.echo(f"{shown_time(each.last_at_us)} {each.source} {each.message_uuid}: {each.status}")


def _chosen(context: typer.Context, config: Path | None, data_dir: Path | None) -> Chosen:
    """Return what the flags say: those after the subcommand hold before those that stand before it."""
    before: Chosen = context.obj
    return msgspec.structs.replace(before, config=config or before.config, data_dir=data_dir or before.data_dir)
