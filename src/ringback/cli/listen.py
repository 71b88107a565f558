"""``ringback listen``: a bin, what it captures as it comes, and your application behind it.

Joins the Ringback that runs over the same database, or starts one that only takes requests.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, Final

import aiohttp
import msgspec
import typer
import uvloop
from rich.console import Console
from rich.live import Live

from ringback.cli.bins import ScriptLine
from ringback.cli.keys import keyboard
from ringback.cli.listen_screen import Screen
from ringback.cli.listening import BEFORE_SENDING, Filter, Following, Heard
from ringback.cli.options import ANYWHERE, ConfigFile, DataDir, Host, LogLevel, Port, reachable_url, settings_from
from ringback.cli.tokens import TokenEnv, tokens_of
from ringback.inspector.forward import Forwarder
from ringback.inspector.keep import BinKeeper
from ringback.model.errors import ConfigInvalid, InvalidRequest, NotFound, PortInUse
from ringback.receiver.source import named
from ringback.runtime import SystemClock, configure_logging
from ringback.settings import Settings
from ringback.store import captures
from ringback.store.bins import Bin
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.signed import Keys
from ringback.wiring.backbone import open_backbone
from ringback.wiring.chance import new_id
from ringback.wiring.platform import open_platform
from ringback.wiring.serving import bin_keeper

REDRAW_S: Final = 0.1
LOOK_AT_SIZE_S: Final = 1.0
LET_GO_S: Final = 10.0
"""How long the end waits for answers to what is on its way."""

ForwardTo = Annotated[
    str | None, typer.Option("--forward-to", help="URL that captures go on to, as they came.", show_default=False)
]
BinName = Annotated[str, typer.Option("--bin", help="The bin; it is made if it is not there.")]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help=f"Show and send on only captures with name=value ({', '.join(BEFORE_SENDING)}), or with a text in them; "
        "can be given several times, and all have to hold.",
        show_default=False,
    ),
]
PublicUrl = Annotated[
    str | None,
    typer.Option("--public-url", help="Scheme, host and port that the sender calls, if they are others."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, as when output is no terminal.")]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the flags say."""

    bin: str
    url: str
    filter: Filter
    keys: Keys
    script: str | None
    plain: bool


class Serving(msgspec.Struct, frozen=True):
    """A Ringback that takes requests, in this process or another."""

    store: Store
    clock: SystemClock
    wakeups: Wakeups
    base_url: str
    joined: bool


def listen(
    *,
    forward_to: ForwardTo = None,
    bin_name: BinName = "listen",
    filters: Filters = None,
    token_env: TokenEnv = None,
    public_url: PublicUrl = None,
    answers: ScriptLine = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
) -> None:
    """Capture requests at an address, show them as they come, and send each on to your application."""
    if forward_to is not None and not forward_to.lower().startswith(("http://", "https://")):
        raise InvalidRequest("--forward-to must begin with http:// or https://")
    settings = settings_from(
        config=config, data_dir=data_dir, host=host, port=port, log_level=log_level or "error", roles=["web"]
    )
    configure_logging(settings.log.level)
    wanted = Wanted(
        bin=bin_name,
        url=forward_to or "",
        filter=Filter.read(filters or [], BEFORE_SENDING),
        keys=Keys(named(tokens_of(token_env or [])), (public_url,) if public_url else ()),
        script=answers,
        plain=as_json or not (sys.stdout.isatty() and sys.stdin.isatty()),
    )
    uvloop.run(_listen(settings, wanted))


async def _listen(settings: Settings, wanted: Wanted) -> None:
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(_serving(settings, stop))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        used = await _bin(serving, settings, wanted)
        forwarder = None
        if wanted.url:
            delivery = msgspec.structs.replace(settings.delivery, egress_allow=ANYWHERE)
            forwarder = await stack.enter_async_context(Forwarder(delivery))
        hint = serving.wakeups.listen("captures")
        stack.callback(hint.close)
        url = f"{serving.base_url}/bin/{used.name}"
        view = _Lines(wanted, url) if wanted.plain else _Terminal(wanted, url)
        following = Following(
            serving.store,
            hint,
            bin_id=used.id,
            keys=wanted.keys,
            forwarder=forwarder,
            url=wanted.url,
            wanted=wanted.filter,
            tell=view.tell,
        )
        view.begin(used, joined=serving.joined)
        task = asyncio.create_task(following.run(used.last_number))
        try:
            await view.run(following, stop, task)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_S):
                    await following.settle()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    view.end(following)


class _Lines:
    """JSON, one object a line; what has happened so far is on standard output whenever somebody looks."""

    def __init__(self, wanted: Wanted, url: str) -> None:
        self._wanted = wanted
        self._url = url
        self._gone = asyncio.Event()

    def begin(self, used: Bin, *, joined: bool) -> None:
        """Say where requests are taken."""
        self._line({
            "type": "listening", "bin": used.name, "url": self._url, "forward_to": self._wanted.url or None,
            "joined": joined,
        })  # fmt: skip

    def tell(self, heard: Heard) -> None:
        """Print a capture once all is known of it."""
        if heard.sent is not None or not self._wanted.url:
            self._line(heard.record())

    async def run(self, _: Following, stop: asyncio.Event, task: "asyncio.Task[None]") -> None:
        """Go on until told to stop, or nobody reads any more."""
        gone = asyncio.create_task(self._until_gone())
        try:
            await _first(stop.wait(), task, gone)
        finally:
            gone.cancel()

    def end(self, following: Following) -> None:
        """Print the counts."""
        self._line({"type": "summary", **msgspec.to_builtins(following.tally)})

    async def _until_gone(self) -> None:
        await self._gone.wait()

    def _line(self, content: dict[str, Any]) -> None:
        if self._gone.is_set():
            return
        try:
            typer.echo(json.dumps(content, ensure_ascii=False))
        except BrokenPipeError:
            self._gone.set()
            # What is still buffered must not fail at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Terminal:
    """A screen with keys."""

    def __init__(self, wanted: Wanted, url: str) -> None:
        self._wanted = wanted
        self._url = url
        self._screen = Screen(url, wanted.url)
        self._console = Console()
        self._changed = asyncio.Event()
        self._bin = ""

    def begin(self, used: Bin, *, joined: bool) -> None:
        """Say where requests are taken: it stays on the terminal when the screen has gone."""
        self._bin = used.name
        where = "the Ringback that runs takes requests" if joined else "taking requests"
        typer.echo(f"{where} at {self._url}", err=True)

    def tell(self, heard: Heard) -> None:
        """Show a capture."""
        self._screen.take(heard)
        self._changed.set()

    async def run(self, following: Following, stop: asyncio.Event, task: "asyncio.Task[None]") -> None:
        """Draw and take keys until told to stop."""
        async with keyboard(sys.stdin.fileno()) as keys:
            with Live(
                console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, vertical_overflow="crop"
            ) as live:
                drawing = asyncio.create_task(self._draw(live))
                pressing = asyncio.create_task(self._press(keys, following))
                try:
                    await _first(stop.wait(), task, drawing, pressing)
                finally:
                    for each in (drawing, pressing):
                        each.cancel()
                    await asyncio.gather(drawing, pressing, return_exceptions=True)

    async def _draw(self, live: Live) -> None:
        while True:
            self._changed.clear()
            width, height = self._console.size
            live.update(self._screen.draw(width, height), refresh=True)
            await asyncio.sleep(REDRAW_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AT_SIZE_S):
                    await self._changed.wait()

    async def _press(self, keys: "asyncio.Queue[str]", following: Following) -> None:
        while True:
            action = self._screen.press(await keys.get())
            if action == "quit":
                return
            if action == "resend":
                self._resend(following)
            self._changed.set()

    def _resend(self, following: Following) -> None:
        chosen = self._screen.chosen()
        if not self._wanted.url:
            self._screen.say("nowhere to send it: start with --forward-to URL")
        elif chosen is not None:
            following.send_on(chosen)
            self._screen.say(f"capture {chosen.capture.number} is sent again")

    def end(self, following: Following) -> None:
        """Print the counts, and how to go on."""
        tally = following.tally
        parts = [f"{tally.captured} captured"]
        if tally.left_out:
            parts.append(f"{tally.left_out} left out by --filter")
        if tally.verified or tally.refused:
            parts.append(f"{tally.verified} verified, {tally.refused} not")
        if self._wanted.url:
            parts.append(
                f"{tally.sent_on} sent on: {tally.answered_2xx} answered 2xx, {tally.answered_otherwise} otherwise, "
                f"{tally.unanswered} not at all"
            )
        typer.echo("; ".join(parts), err=True)
        typer.echo(f"the captures stay: ringback bin show {self._bin}", err=True)


async def _bin(serving: Serving, settings: Settings, wanted: Wanted) -> Bin:
    keeper = bin_keeper(serving.store, serving.clock, serving.wakeups, settings)
    given = {} if wanted.script is None else {"script": wanted.script}
    try:
        found = await keeper.find(wanted.bin.lower())
    except NotFound:
        return await keeper.create(wanted.bin, given)
    return await keeper.change(found.name, given) if given else found


@asynccontextmanager
async def _serving(settings: Settings, stop: asyncio.Event) -> AsyncIterator[Serving]:
    async with AsyncExitStack() as stack:
        try:
            platform = await stack.enter_async_context(open_platform(settings))
        except PortInUse as error:
            store, clock = await stack.enter_async_context(open_backbone(settings))
            url = reachable_url(settings.server, None).rstrip("/")
            await _check(bin_keeper(store, clock, Wakeups(), settings), store, url, error)
            yield Serving(store, clock, Wakeups(), url, joined=True)
            return
        task = asyncio.create_task(platform.supervisor.run())
        # Should the server end by itself, so does this.
        task.add_done_callback(lambda _: stop.set())
        url = settings.server.public_base_url or platform.base_url
        try:
            yield Serving(platform.store, platform.clock, platform.wakeups, url.rstrip("/"), joined=False)
        finally:
            platform.supervisor.stop()
            await task


async def _check(keeper: BinKeeper, store: Store, url: str, error: PortInUse) -> None:
    """Send a request to a bin of this database: what listens there has to capture it. Raises ``ConfigInvalid``."""
    probe = await keeper.create(f"check-{new_id(0)[-12:]}", {})
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await http.get(f"{url}/bin/{probe.name}")
        if not await store.read(lambda tx: captures.count_after(tx, probe.id, 0, most=1)):
            raise ConfigInvalid(
                f"what listens at {url} is no Ringback over this database: name its database with --data-dir or "
                f"--config, or start another here with --port 0"
            ) from error
    finally:
        await keeper.delete(probe.name)


async def _first(waiting: Any, *tasks: "asyncio.Task[None]") -> None:
    """Wait until one of them has ended; what a task failed with is raised."""
    told = asyncio.ensure_future(waiting)
    try:
        done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)
