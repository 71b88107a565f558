"""The SMPP server for customers: takes connections, lets accounts bind, and ends binds that are to end."""

import asyncio
import socket
import ssl
from typing import Final

import structlog

from ringback.carriers.smpp import names
from ringback.carriers.smpp.connection import Connection
from ringback.carriers.smpp.pdu import Bind, Body, Pdu
from ringback.carriers.smpp.session import Session, State, Timers
from ringback.carriers.smpp.window import Window
from ringback.esme.binds import Binds
from ringback.esme.door import Door
from ringback.esme.owed import OwedTeller
from ringback.esme.requests import Requests
from ringback.esme.statuses import status_of
from ringback.metrics import Metrics
from ringback.model.errors import PduRefused, RingbackError, StoreUnavailable
from ringback.runtime import Clock
from ringback.settings import SmppServerSettings
from ringback.store import smpp_binds, smpp_logins
from ringback.store.accounts import AccountCache
from ringback.store.port import Store

log = structlog.stdlib.get_logger("ringback.esme")

TELL_AGAIN_US: Final = 4_000_000
"""Binds of which nothing has changed are told of again after this time: their process lives."""
END_S: Final = 5.0
"""For so long the end of a bind may take; then the connection is closed."""
LOOK_EVERY_S: Final = 1.0
"""How old what is shown of binds may be, and how long one goes on that an operator has ended."""


class SmppServer:
    """A ``runtime.Worker``; at its end it unbinds from everybody, when what they asked for has been answered."""

    name = "smpp"

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: AccountCache,
        settings: SmppServerSettings,
        binds: Binds,
        door: Door,
        requests: Requests,
        teller: OwedTeller,
        metrics: Metrics,
        node: str,
        listening: list[tuple[socket.socket, ssl.SSLContext | None]],
    ) -> None:
        self.connections: set[Connection] = set()
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._settings = settings
        self._binds = binds
        self._door = door
        self._requests = requests
        self._teller = teller
        self._metrics = metrics
        self._node = node
        self._listening = listening
        self._timers = Timers(
            response_s=settings.response_s,
            enquire_link_s=settings.enquire_link_s,
            inactivity_s=settings.inactivity_s,
            bind_s=settings.bind_s,
        )
        self._binding: set[Connection] = set()
        self._stopping = asyncio.Event()
        self._told: list[smpp_binds.Bind] = []
        self._told_at_us = 0
        self._ending: dict[Connection, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve until stopped; then finish what is in hand, and unbind."""
        loop = asyncio.get_running_loop()
        servers = [
            # Of its own, so that another run can follow one that has failed.
            await loop.create_server(self._made, sock=sock.dup(), ssl=tls, backlog=512)
            for sock, tls in self._listening
        ]
        try:
            while not self._stopping.is_set():
                await self._look()
                await self._rest()
        finally:
            for server in servers:
                server.close()
        await self._end_all()

    def stop(self) -> None:
        """Take no more connections."""
        self._stopping.set()

    # ---- connections ----

    def _made(self) -> Connection:
        session = Session("smsc", self._timers, now_us=self._clock.now_us())
        connection = Connection(
            session,
            clock=self._clock,
            handler=self._asked,
            window=Window(self._settings.window),
            most_in_hand=self._settings.max_in_hand,
        )
        self.connections.add(connection)
        self._metrics.smpp_connections.set(len(self.connections))
        connection.closed.add_done_callback(lambda _: self._gone(connection))
        if len(self.connections) > self._settings.max_connections or self._stopping.is_set():
            asyncio.get_running_loop().call_soon(connection.abort, "too many connections")
        return connection

    def _gone(self, connection: Connection) -> None:
        self.connections.discard(connection)
        bound = self._binds.of(connection)
        if bound is not None:
            reason = connection.closed.result()
            log.info("smpp_bind_ended", login=bound.login.system_id, address=connection.peer, reason=reason)
        self._metrics.smpp_connections.set(len(self.connections))

    async def _asked(self, connection: Connection, pdu: Pdu) -> tuple[int, Body | None]:
        if isinstance(pdu.body, Bind):
            return await self._bind(connection, pdu, pdu.body), None
        if connection in self._ending:
            return names.QUEUE_FULL, None
        bound = self._binds.of(connection)
        return (names.WRONG_BIND_STATE, None) if bound is None else await self._requests.answer(bound, pdu)

    async def _bind(self, connection: Connection, pdu: Pdu, bind: Bind) -> int:
        """Answer a bind; returns the status that was told."""
        if connection in self._binding:
            connection.session.respond(pdu, status=names.ALREADY_BOUND)
            return names.ALREADY_BOUND
        self._binding.add(connection)
        try:
            login = await self._door.admit(bind, connection.peer)
        except RingbackError as error:
            status = status_of(error)
            reason = str(error) if isinstance(error, PduRefused) else type(error).__name__
            log.warning(
                "smpp_bind_refused",
                system_id=_shown(bind.system_id),
                address=connection.peer,
                status=names.status_name(status),
                reason=reason,
            )
            self._metrics.smpp_binds.add(names.status_name(status))
            connection.refuse(pdu, status)
            return status
        finally:
            self._binding.discard(connection)
        if connection.session.state is not State.OPEN:
            return names.BIND_FAILED
        connection.session.accept_bind(pdu, self._settings.system_id)
        connection.bound_to = login.system_id
        self._binds.add(connection, login, self._clock.now_us())
        self._metrics.smpp_binds.add("ESME_ROK")
        log.info("smpp_bound", login=login.system_id, account_id=login.account_id, address=connection.peer)
        self._teller.look()
        return names.OK

    # ---- from time to time ----

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        try:
            await self._end_those_that_must()
            await self._tell_who_is_bound()
        except StoreUnavailable as error:
            log.warning("smpp_binds_not_told_of", error=str(error), pause_s=LOOK_EVERY_S)

    async def _end_those_that_must(self) -> None:
        """Unbind logins that are gone or disconnected, and those of accounts that may do nothing."""
        bound = list(self._binds)
        if not bound:
            return
        ids = {each.login.id for each in bound}
        logins = await self._store.read(lambda tx: smpp_logins.by_id(tx, ids))
        for each in bound:
            login = logins.get(each.login.id)
            account = await self._accounts.get(each.login.account_id, self._clock.now_us())
            is_let_in = account is not None and account.may_use_api
            if login is None or not is_let_in or each.since_us <= login.disconnected_at_us:
                self._begin_end(each.connection)

    def _begin_end(self, connection: Connection) -> asyncio.Task[None]:
        ending = self._ending.get(connection)
        if ending is None:
            ending = self._ending[connection] = asyncio.create_task(self._end(connection))
            ending.add_done_callback(lambda _: self._ending.pop(connection, None))
        return ending

    async def _tell_who_is_bound(self) -> None:
        now_us = self._clock.now_us()
        shown = self._binds.shown(self._node, now_us)
        if shown == self._told and (not shown or now_us - self._told_at_us < TELL_AGAIN_US):
            return
        await self._store.write(lambda tx: smpp_binds.note(tx, self._node, shown, now_us=now_us), durable=False)
        self._told, self._told_at_us = shown, now_us

    async def _end_all(self) -> None:
        await asyncio.gather(*(self._begin_end(connection) for connection in list(self.connections)))
        try:
            await self._tell_who_is_bound()
        except StoreUnavailable as error:
            log.warning("smpp_binds_not_told_of", error=str(error), pause_s=0)

    async def _end(self, connection: Connection) -> None:
        """Answer what is in hand and take nothing more, then unbind; whoever does not answer that is left."""
        if self._binds.of(connection) is None:
            connection.abort("shutting down")
            return
        try:
            async with asyncio.timeout(min(self._settings.response_s, END_S)):
                await connection.finish()
                connection.unbind()
                await asyncio.shield(connection.closed)
        except TimeoutError:
            connection.abort("shutting down")


def _shown(system_id: str) -> str:
    """Return a name as somebody outside has given it, fit for a log."""
    return system_id if system_id.isprintable() else repr(system_id)
