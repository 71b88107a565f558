"""The role ``web``: the SMPP server for customers, where there is a port for it."""

import os
import socket
import ssl
from contextlib import AsyncExitStack

from ringback.carriers.smpp.shape import Shape
from ringback.esme.binds import Binds
from ringback.esme.door import Door
from ringback.esme.owed import OwedTeller
from ringback.esme.parts import PartJoiner
from ringback.esme.requests import Requests
from ringback.esme.server import SmppServer
from ringback.messaging.accept import Acceptor
from ringback.model.errors import ConfigInvalid
from ringback.runtime import Worker
from ringback.settings import Settings
from ringback.web.server import listen, tls_context
from ringback.wiring.chance import new_id
from ringback.wiring.core import Core

Listening = list[tuple[socket.socket, ssl.SSLContext | None]]


def open_smpp(settings: Settings, stack: AsyncExitStack) -> Listening:
    """Open the sockets that customers bind to, until the stack ends. Raises ``StartupError``."""
    if "web" not in settings.roles:
        return []
    own, share = settings.smpp_server, settings.server.share_port
    if own.tls_port is not None and (own.tls_certificate is None or own.tls_key is None):
        raise ConfigInvalid("settings: smpp_server.tls_port needs smpp_server.tls_certificate and smpp_server.tls_key")
    found: Listening = []
    if own.port is not None:
        found.append((listen(own.host, own.port, share=share, choose="smpp_server.port"), None))
    if own.tls_port is not None and own.tls_certificate is not None and own.tls_key is not None:
        context = tls_context(own.tls_certificate, own.tls_key)
        found.append((listen(own.host, own.tls_port, share=share, choose="smpp_server.tls_port"), context))
    for sock, _ in found:
        stack.callback(sock.close)
    return found


def smpp_serving(core: Core, acceptor: Acceptor, listening: Listening) -> list[Worker]:
    """Return what serves customers over SMPP, in the order in which it is to end."""
    if not listening:
        return []
    settings = core.settings.smpp_server
    node = f"{socket.gethostname()[:28]}:{os.getpid()}"
    binds = Binds()
    joiner = PartJoiner(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        acceptor=acceptor,
        max_waiting=core.settings.server.max_waiting_requests,
    )
    teller = OwedTeller(
        store=core.store,
        clock=core.clock,
        new_id=new_id,
        wakeups=core.wakeups,
        binds=binds,
        metrics=core.metrics,
        shape=Shape(default_coding=settings.default_coding, concatenation=settings.concatenation),
        response_s=settings.response_s,
    )
    door = Door(
        store=core.store,
        clock=core.clock,
        accounts=core.accounts,
        binds=binds,
        node=node,
        binds_per_account=settings.binds_per_account,
    )
    requests = Requests(
        store=core.store,
        clock=core.clock,
        accounts=core.accounts,
        limits=core.limits,
        meter=core.meter,
        acceptor=acceptor,
        joiner=joiner,
        metrics=core.metrics,
        default_coding=settings.default_coding,
    )
    server = SmppServer(
        store=core.store,
        clock=core.clock,
        accounts=core.accounts,
        settings=settings,
        binds=binds,
        door=door,
        requests=requests,
        teller=teller,
        metrics=core.metrics,
        node=node,
        listening=listening,
    )
    return [teller.worker(), joiner.worker(), server]
