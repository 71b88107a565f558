"""``ringback trigger``: callbacks as a platform would send them, to try an application out."""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ringback.cli.lives import BEGIN_US, KINDS, Wish, check, in_words, lives
from ringback.cli.options import ANYWHERE, Json, RetryDelays
from ringback.cli.tokens import TokenEnv, tokens_of
from ringback.delivery.http import HttpClient
from ringback.delivery.trigger import CONCURRENCY, Tally, Trigger
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.model.ids import AUTH_ID, AccountId
from ringback.model.retry import PLIVO, RetryPlan
from ringback.runtime import SystemClock, configure_logging
from ringback.settings import DeliverySettings
from ringback.store.accounts import Account
from ringback.wiring.chance import new_nonce

REDRAW_S: Final = 0.2

Kind = Annotated[str, typer.Argument(help=f"How lives end: {', '.join(KINDS)}.", show_default=False)]
Url = Annotated[str, typer.Option("--url", help="Where the callbacks go.", show_default=False)]
Count = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="Messages.")]
Rate = Annotated[float, typer.Option("--rate", min=0.01, max=10_000, help="Messages a second.")]
ErrorCode = Annotated[
    str | None,
    typer.Option(
        "--error",
        help="Error code with which lives end; with delivered, mixed and mms that of a share of them.",
        show_default=False,
    ),
]
ErrorShare = Annotated[float, typer.Option("--error-share", min=0, max=1, help="That share, where --error is given.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed makes the same messages, byte for byte.")]
AuthId = Annotated[str, typer.Option("--auth-id", help="Whose messages they are.")]
MainTokenEnv = Annotated[
    list[str] | None,
    typer.Option(
        "--main-token-env",
        help="Environment variable with a token of the main account, where --token-env has those of a subaccount.",
        show_default=False,
    ),
]
Method = Annotated[str, typer.Option("--method", help="POST or GET.")]
Src = Annotated[str, typer.Option("--src", help="Your number.")]
Speed = Annotated[float, typer.Option("--speed", min=0.01, max=1000, help="Divides the times within a life.")]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, max=1_000, help="Requests in flight at once.")]
Deadline = Annotated[float, typer.Option("--deadline", min=0.1, max=60, help="Seconds that an answer may take.")]
Now = Annotated[
    bool, typer.Option("--now", help="Have the times in the callbacks be those of today: bodies then differ by them.")
]


def trigger(
    kind: Kind,
    *,
    url: Url,
    count: Count = 1,
    rate: Rate = 10,
    error: ErrorCode = None,
    error_share: ErrorShare = 0.1,
    seed: Seed = 1,
    auth_id: AuthId = "MATRIGGER00000000000",
    token_env: TokenEnv = None,
    main_token_env: MainTokenEnv = None,
    method: Method = "POST",
    src: Src = "15005550100",
    retry_delays: RetryDelays = None,
    speed: Speed = 1,
    concurrency: Concurrency = CONCURRENCY,
    deadline_s: Deadline = 8,
    now: Now = False,
    as_json: Json = False,
) -> None:
    """Send the callbacks of whole lives of messages to any URL: signed, in order, retried as the real ones are.

    Needs neither a database nor a running Ringback. Exit code 1 when a callback was given up.
    """
    clock = SystemClock()
    wish = Wish(
        kind=kind,
        count=count,
        seed=seed,
        url=url,
        method=method.upper(),
        auth_id=AccountId(auth_id),
        rate=rate,
        error=error,
        error_share=error_share,
        src=src,
        speed=speed,
        begin_us=clock.now_us() if now else BEGIN_US,
    )
    account = _account(wish, token_env or [], main_token_env or [])
    plan = RetryPlan.of_text(retry_delays, name="--retry-delays") if retry_delays else PLIVO
    configure_logging("error")
    settings = DeliverySettings(egress_allow=ANYWHERE, deadline_s=deadline_s, connect_timeout_s=min(4.0, deadline_s))

    async def run() -> tuple[Tally, bool, float]:
        async with HttpClient(settings) as http:
            engine = Trigger(
                http=http, account=account, clock=clock, new_nonce=new_nonce, concurrency=concurrency, plan=plan
            )
            return await _run(engine, wish, clock)

    tally, finished, took_s = uvloop.run(run())
    _print(tally, wish, finished=finished, took_s=took_s, as_json=as_json)
    if not finished:
        raise typer.Exit(130)
    if tally.given_up:
        raise typer.Exit(1)


def _account(wish: Wish, token_env: list[str], main_token_env: list[str]) -> Account:
    """Return whose messages they are. Raises ``InvalidRequest`` and ``ConfigInvalid`` for flags that cannot be."""
    if not wish.url.lower().startswith(("http://", "https://")):
        raise InvalidRequest("--url must begin with http:// or https://")
    if wish.method not in {"POST", "GET"}:
        raise InvalidRequest("--method must be POST or GET")
    if AUTH_ID.fullmatch(wish.auth_id) is None:
        raise InvalidRequest("--auth-id must be MA or SA and 18 capital letters or digits")
    check(wish)
    if not token_env:
        raise ConfigInvalid(
            "callbacks are signed: --token-env VARIABLE, which holds the token that your application verifies with"
        )
    tokens = tuple(tokens_of(token_env))
    return Account(
        auth_id=wish.auth_id,
        name="trigger",
        enabled=True,
        parent_id=None,
        tokens=tokens,
        main_tokens=tuple(tokens_of(main_token_env)) or tokens,
    )


async def _run(engine: Trigger, wish: Wish, clock: SystemClock) -> tuple[Tally, bool, float]:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    begun_us = clock.now_us()
    running, stopped = asyncio.create_task(engine.run(lives(wish))), asyncio.create_task(stop.wait())
    with _bar(wish) as show:
        while not running.done() and not stopped.done():
            await asyncio.wait([running, stopped], timeout=REDRAW_S, return_when=asyncio.FIRST_COMPLETED)
            show(engine.tally)
    finished = running.done()
    for task in (running, stopped):
        task.cancel()
    # What went wrong in it, and was not told to stop, is no ordinary end.
    results = await asyncio.gather(running, stopped, return_exceptions=True)
    if finished and isinstance(results[0], BaseException):
        raise results[0]
    return engine.tally, finished, (clock.now_us() - begun_us) / 1_000_000


@contextlib.contextmanager
def _bar(wish: Wish) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} messages  {task.fields[more]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(in_words(wish), total=wish.count, more="")

        def show(tally: Tally) -> None:
            waiting = tally.callbacks - tally.answered_2xx - tally.given_up
            more = f"{tally.answered_2xx} answered 2xx, {waiting} waiting, {tally.given_up} given up"
            bar.update(task, completed=sum(tally.ended_as.values()), more=more)

        yield show


def _print(tally: Tally, wish: Wish, *, finished: bool, took_s: float, as_json: bool) -> None:
    figures: dict[str, Any] = {
        "messages": tally.messages,
        "ended_as": dict(sorted(tally.ended_as.items())),
        "callbacks_sent": tally.callbacks,
        "answered_2xx": tally.answered_2xx,
        "retried": tally.retried,
        "given_up": tally.given_up,
        "attempts": tally.attempts,
        "failed_attempts": dict(sorted(tally.failures.items())),
        "latency_ms": {"p50": tally.latency_ms(0.5), "p95": tally.latency_ms(0.95)},
        "took_s": round(took_s, 3),
    }
    if as_json:
        typer.echo(json.dumps({"finished": finished, "wish": msgspec.to_builtins(wish), **figures}))
        return
    table = Table(show_header=False, title=None if finished else "stopped before the end")
    for name, value in figures.items():
        parts = value.items() if isinstance(value, dict) else [("", value)]
        shown = ", ".join(f"{key} {each}".strip() for key, each in parts if each is not None)
        table.add_row(name.replace("_", " "), shown or "none")
    Console().print(table)
