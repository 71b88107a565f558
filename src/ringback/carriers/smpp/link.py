"""Our side of a bind: kept up, with pauses between tries; and the other side, which takes binds."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal

import msgspec
import structlog

from ringback.carriers.lately import Lately
from ringback.carriers.port import Snapshot
from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Answer, Connection, Down, Handler, Outcome
from ringback.carriers.smpp.names import Command
from ringback.carriers.smpp.pdu import Bind, Body, Pdu
from ringback.carriers.smpp.session import Session, Timers
from ringback.carriers.smpp.window import Pace, Window
from ringback.runtime import Clock

log = structlog.stdlib.get_logger("ringback.smpp")

BindType = Literal["transmitter", "receiver", "transceiver"]
_COMMANDS: Final = {
    "transmitter": Command.BIND_TRANSMITTER,
    "receiver": Command.BIND_RECEIVER,
    "transceiver": Command.BIND_TRANSCEIVER,
}
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to bind to an SMSC."""

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 2775
    system_id: str
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    bind: BindType = "transceiver"
    tls: bool = False
    ca_file: str = ""
    """PEM file of the authorities that are trusted besides the system's."""
    window: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    """Submissions that may await their answer; a peer that throttles gets fewer for a while."""
    per_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Submissions a second at most; 0 for no limit."""
    throttles: frozenset[int] = names.TRY_LATER
    """Statuses with which the peer says that it wants less."""
    lenient_parameters: bool = False
    """Take a last parameter that is shorter than it says for what there is of it."""
    timers: Timers = Timers()
    connect_s: Seconds = 10.0
    """For the TCP connection and TLS."""
    first_pause_s: Seconds = 0.5
    most_pause_s: Seconds = 30.0
    """Pauses between tries to connect: doubled each time, and spread by chance over their second half."""


class Link:
    """A bind that is made anew whenever it ends. A ``runtime.Worker``."""

    def __init__(
        self, settings: LinkSettings, *, name: str, clock: Clock, chance: Callable[[], float], handler: Handler
    ) -> None:
        """``chance`` gives numbers from 0 to 1; ``handler`` takes what the SMSC sends."""
        self.name = name
        self.settings = settings
        self._clock = clock
        self._chance = chance
        self._handler = handler
        # What was learned of the peer outlives a connection.
        self._window = Window(settings.window)
        self._pace = Pace(settings.per_s)
        self._now: Connection | None = None
        self._stopping = asyncio.Event()
        self._again = asyncio.Event()
        self._state: Literal["up", "connecting", "down", "stopped"] = "down"
        self._since_us = clock.now_us()
        self._detail = "not connected yet"
        self._errors: Counter[str] = Counter()
        self._answered = Lately()
        self.is_up = asyncio.Event()

    async def submit(self, command: Command, body: Body) -> Outcome:
        """Send a request over the bind that there is. Raises ``FieldTooLong``."""
        connection = self._now
        if connection is None or self._stopping.is_set():
            return Down(self._detail)
        answer = await connection.request(command, body)
        if isinstance(answer, Answer):
            self._answered.add(self._clock.now_us())
        return answer

    async def run(self) -> None:
        """Keep the bind up until stopped; then unbind in order."""
        tries = 0
        while not self._stopping.is_set():
            self._become("connecting", f"to {self.settings.host}:{self.settings.port}")
            reason = await self._connect()
            if reason is None:
                tries = 0
                reason = await self._serve()
            if self._stopping.is_set():
                break
            self._become("down", reason)
            log.warning("smpp_link_down", link=self.name, reason=reason)
            await self._pause(tries)
            tries += 1
        self._become("stopped", "stopped")

    def stop(self) -> None:
        """Unbind when what is outstanding has been answered."""
        self._stopping.set()
        self._again.set()
        if self._now is not None:
            self._now.unbind()

    def rebind(self) -> None:
        """End the bind in order, and make it anew at once."""
        self._again.set()
        if self._now is not None:
            # It takes nothing from now on.
            self.is_up.clear()
            self._now.unbind()

    def snapshot(self) -> Snapshot:
        """Tell how the link is."""
        now = self._now
        return Snapshot(
            state=self._state,
            since_us=self._since_us,
            detail=self._detail,
            window_used=now.session.outstanding if now else 0,
            window_allowed=self._window.allowed,
            rate_per_s=self._answered.per_s(self._clock.now_us()),
            errors=dict(self._errors + (now.errors if now else Counter())),
            exchanges=tuple(now.exchanges()) if now else (),
        )

    # ---- within ----

    def _become(self, state: Literal["up", "connecting", "down", "stopped"], detail: str) -> None:
        self._state, self._detail, self._since_us = state, detail, self._clock.now_us()

    async def _connect(self) -> str | None:
        """Connect and bind; returns why that failed."""
        settings = self.settings
        session = Session("esme", settings.timers, now_us=self._clock.now_us(), is_lenient=settings.lenient_parameters)

        def made() -> Connection:
            return Connection(
                session,
                clock=self._clock,
                handler=self._handler,
                window=self._window,
                pace=self._pace,
                throttles=settings.throttles,
            )

        try:
            async with asyncio.timeout(settings.connect_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    made, settings.host, settings.port, ssl=_tls(settings), server_hostname=_name(settings)
                )
        except TimeoutError:
            return f"no connection within {settings.connect_s:g} s"
        except (OSError, ssl.SSLError) as error:
            return f"no connection: {error}"
        answer = await connection.bind(
            _COMMANDS[settings.bind],
            Bind(
                system_id=settings.system_id,
                password=settings.password,
                system_type=settings.system_type,
                interface_version=settings.interface_version,
            ),
        )
        if not connection.is_bound:
            reason = await connection.closed if connection.closed.done() else str(getattr(answer, "detail", "refused"))
            connection.abort(reason)
            self._errors += connection.errors
            return reason
        connection.bound_to = self.name
        self._now = connection
        return None

    async def _serve(self) -> str:
        connection = self._now
        if connection is None:
            return "not connected"
        self._become("up", f"bound to {self.settings.host}:{self.settings.port}")
        log.info("smpp_link_up", link=self.name, bind=self.settings.bind)
        self.is_up.set()
        if self._stopping.is_set():
            connection.unbind()
        try:
            return await connection.closed
        finally:
            self.is_up.clear()
            self._now = None
            self._errors += connection.errors
            connection.abort("stopped")

    async def _pause(self, tries: int) -> None:
        pause_s = min(self.settings.most_pause_s, self.settings.first_pause_s * 2 ** min(tries, 16))
        try:
            async with asyncio.timeout(pause_s * (0.5 + self._chance() / 2)):
                await self._again.wait()
        except TimeoutError:
            pass
        self._again.clear()


def _tls(settings: LinkSettings) -> ssl.SSLContext | None:
    if not settings.tls:
        return None
    context = ssl.create_default_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    return context


def _name(settings: LinkSettings) -> str | None:
    return settings.host if settings.tls else None


Authenticate = Callable[[Bind], Awaitable[int]]
"""Says with which status a bind is answered; ``OK`` takes it."""


class Listener:
    """Takes binds: an SMSC. A ``runtime.Worker`` once ``open`` has been awaited."""

    def __init__(
        self,
        *,
        name: str,
        clock: Clock,
        authenticate: Authenticate,
        handler: Handler,
        timers: Timers = Timers(),  # noqa: B008 - a frozen value
        window: int = 50,
        most_connections: int = 1000,
    ) -> None:
        """``name`` is the system id that peers are told; ``handler`` takes what they ask once they are bound."""
        self.name = name
        self.connections: set[Connection] = set()
        self._clock = clock
        self._authenticate = authenticate
        self._handler = handler
        self._timers = timers
        self._window = window
        self._most_connections = most_connections
        self._server: asyncio.Server | None = None
        self._stopping = asyncio.Event()

    async def open(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port. Raises ``OSError``."""
        self._server = await asyncio.get_running_loop().create_server(self._made, host, port, ssl=tls)
        return int(self._server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Serve until stopped; then unbind from everybody."""
        await self._stopping.wait()
        if self._server is not None:
            self._server.close()
        open_ones = list(self.connections)
        for connection in open_ones:
            connection.unbind()
        if open_ones:
            _, late = await asyncio.wait([each.closed for each in open_ones], timeout=self._timers.response_s)
            for connection in open_ones:
                if connection.closed in late:
                    connection.abort("stopped")

    def stop(self) -> None:
        """Take no more connections."""
        self._stopping.set()

    def _made(self) -> Connection:
        session = Session("smsc", self._timers, now_us=self._clock.now_us())
        connection = Connection(session, clock=self._clock, handler=self._asked, window=Window(self._window))
        self.connections.add(connection)
        connection.closed.add_done_callback(lambda _: self.connections.discard(connection))
        if len(self.connections) > self._most_connections or self._stopping.is_set():
            asyncio.get_running_loop().call_soon(connection.abort, "too many connections")
        return connection

    async def _asked(self, connection: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        if not isinstance(pdu.body, Bind):
            return await self._handler(connection, pdu)
        status = await self._authenticate(pdu.body)
        if status == names.OK:
            connection.bound_to = pdu.body.system_id
            connection.session.accept_bind(pdu, self.name)
        else:
            log.warning("smpp_bind_refused", system_id=pdu.body.system_id, status=names.status_name(status))
            connection.refuse(pdu, status)
        return status, None
