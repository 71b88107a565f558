"""``ringback callbacks``: find callbacks, look into them, send one once more (``cli.replays`` sends many)."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from ringback.cli.acting import noted
from ringback.cli.options import ConfigFile, DataDir, Json, settings_from
from ringback.model.errors import ConfigInvalid
from ringback.model.redaction import redactor
from ringback.model.retry import stored_plan
from ringback.runtime import SystemClock
from ringback.store import messages, resends
from ringback.store.callbacks import WITHOUT_MESSAGE, Attempt, Callback
from ringback.store.port import Store, Transaction
from ringback.store.resends import Filter
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id

T = TypeVar("T")

app = typer.Typer(help="Callbacks and their attempts, of all accounts.", no_args_is_help=True)

Account = Annotated[str | None, typer.Option("--account", help="Auth id.", show_default=False)]
Message = Annotated[str | None, typer.Option("--message", help="Message uuid.", show_default=False)]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint", help="Scheme, host and port, as ENDPOINT shows.", show_default=False)
]
State = Annotated[str | None, typer.Option("--state", help="pending, delivered or given_up.", show_default=False)]
Since = Annotated[
    datetime | None,
    typer.Option("--since", help="Owed since, UTC, such as 2026-01-31T12:00.", show_default=False),
]
Until = Annotated[datetime | None, typer.Option("--until", help="Owed before then, UTC.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")]
STATES = ("pending", "delivered", "given_up")


@app.command("list")
def list_callbacks(
    *,
    account: Account = None,
    message: Message = None,
    endpoint: Endpoint = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """List callbacks, newest first; with --json one object a line."""
    wanted = filter_of(account=account, message=message, endpoint=endpoint, state=state, since=since, until=until)

    async def work(store: Store, _: SystemClock) -> list[Callback]:
        found: list[Callback] = []
        before: str | None = None
        while True:
            more, before = await store.read(
                partial(resends.listed, wanted=wanted, limit=limit - len(found), before=before)
            )
            found += more
            if before is None or len(found) >= limit:
                return found

    found = with_store(work, config=config, data_dir=data_dir)
    if as_json:
        for callback in found:
            typer.echo(json.dumps(shown_callback(callback)))
        return
    table = Table("id", "owed at (UTC)", "state", "sequence", "endpoint", "message")
    for callback in found:
        table.add_row(
            callback.id,
            shown_time(callback.created_at_us),
            callback.state,
            str(callback.sequence),
            callback.endpoint,
            callback.kind if callback.kind in WITHOUT_MESSAGE else callback.message_uuid,
        )
    Console().print(table)


@app.command()
def show(callback_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show one callback and its attempts."""

    def look(tx: Transaction) -> tuple[Callback, list[Attempt]]:
        callback, made = resends.find(tx, callback_id)
        redact = redactor(messages.find(tx, None, callback.message_uuid))
        return resends.redacted(tx, [callback])[0], [_redacted_attempt(attempt, redact) for attempt in made]

    async def work(store: Store, _: SystemClock) -> tuple[Callback, list[Attempt]]:
        return await store.read(look)

    callback, made = with_store(work, config=config, data_dir=data_dir)
    shown = shown_callback(callback) | {"attempts": [_shown_attempt(attempt) for attempt in made]}
    if as_json:
        typer.echo(json.dumps(shown))
        return
    console = Console()
    console.print_json(json.dumps({name: value for name, value in shown.items() if name != "attempts"}))
    table = Table("attempt", "started at (UTC)", "late", "took", "outcome", "status", "error")
    for attempt in made:
        table.add_row(
            str(attempt.number),
            shown_time(attempt.started_at_us),
            f"{(attempt.started_at_us - attempt.planned_at_us) / 1000:.0f} ms",
            f"{attempt.duration_us / 1000:.0f} ms",
            attempt.outcome,
            str(attempt.http_status or ""),
            attempt.error or "",
        )
    console.print(table)


@app.command()
def resend(callback_id: str, *, as_json: Json = False, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Send one callback once more, now; prints the id of the new one."""

    async def work(store: Store, clock: SystemClock) -> list[str]:
        now_us = clock.now_us()
        resending = noted(
            lambda tx, at_us: resends.resend(tx, [callback_id], new_id=new_id, now_us=at_us),
            "callback resend",
            callback_id,
        )
        return await store.write(lambda tx: resending(tx, now_us))

    [again] = with_store(work, config=config, data_dir=data_dir)
    typer.echo(json.dumps({"id": again, "resend_of": callback_id}) if as_json else again)


def _redacted_attempt(attempt: Attempt, redact: Callable[[str], str]) -> Attempt:
    return msgspec.structs.replace(
        attempt,
        request_headers=redact(attempt.request_headers),
        response_headers=redact(attempt.response_headers),
        # As bytes, each of which is a character here.
        response_body=redact(attempt.response_body.decode("latin-1")).encode("latin-1"),
        error=attempt.error and redact(attempt.error),
    )


def filter_of(
    *,
    account: str | None,
    message: str | None,
    endpoint: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Filter:
    """Return the filter that the flags describe. Raises ``ConfigInvalid``."""
    if state is not None and state not in STATES:
        raise ConfigInvalid(f"--state must be one of {', '.join(STATES)}")
    return Filter(
        account_id=account,
        message_uuid=message,
        endpoint=endpoint,
        state=state,
        since_us=_us(since),
        until_us=_us(until),
    )


def with_store(work: Callable[[Store, SystemClock], Awaitable[T]], *, config: Any, data_dir: Any) -> T:
    """Do some work with the store and its clock."""

    async def run() -> T:
        async with open_backbone(settings_from(config=config, data_dir=data_dir)) as (store, clock):
            return await work(store, clock)

    return asyncio.run(run())


def _us(at: datetime | None) -> int | None:
    return None if at is None else round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1_000_000)


def shown_time(at_us: int) -> str:
    """Write a time for a table."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def shown_callback(callback: Callback) -> dict[str, Any]:
    """Return a callback as ``--json`` prints it."""
    # Without the parameters: they name the other party, whatever the message's log says.
    shown = {name: value for name, value in msgspec.structs.asdict(callback).items() if name != "params"}
    if callback.kind in WITHOUT_MESSAGE:
        shown["message_uuid"] = None
    delays = shown.pop("retry_delays")
    return shown | {"retry_delays_s": None if delays is None else stored_plan(delays).delays_s}


def _shown_attempt(attempt: Attempt) -> dict[str, Any]:
    shown = msgspec.structs.asdict(attempt)
    shown["response_body"] = attempt.response_body.decode("utf-8", "replace")
    for name in ("request_headers", "response_headers"):
        shown[name] = json.loads(shown[name])
    return shown
