"""The HTTP server as a worker of the supervisor."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from ringback.model.errors import ConfigInvalid, PortInUse
from ringback.web.connections import Connections
from ringback.web.wire import WireProtocol

BACKLOG = 2048
GRACE_S = 5


def listen(host: str, port: int, *, share: bool = False, choose: str = "--port") -> socket.socket:
    """Bind before anything else is started. Raises ``PortInUse`` with what to do.

    With ``share``, other processes that ask for it too may bind the same port. ``choose`` is what sets the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"port {port} on {host} is in use: stop what listens there, "
                f"or choose another with {choose} (0 takes a free one)"
            ) from error
        raise PortInUse(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return sock


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Read certificate and key. Raises ``ConfigInvalid``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A passphrase would be asked for at the terminal, which nobody may be sitting at.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigInvalid(
            f"cannot serve HTTPS with server.tls_certificate {certificate} and server.tls_key {key}: {reason}"
        ) from error
    return context


class HttpServer:
    """Serves an application on a bound socket; with a TLS context, by HTTPS."""

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        stopping: asyncio.Event,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = "https" if tls else "http"
        self._app = app
        self._sock = sock
        self._stopping = stopping
        self._connections = connections
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="uvloop",
                # uvicorn calls it, whatever it is.
                http=cast("type[asyncio.Protocol]", partial(WireProtocol, connections=connections)),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=True,
                # Who the client is must not come from headers that the client can write.
                proxy_headers=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=GRACE_S,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )

    def with_tls(self, sock: socket.socket, tls: ssl.SSLContext) -> "HttpServer":
        """Return a server of the same application that speaks HTTPS."""
        return HttpServer(self._app, sock, stopping=self._stopping, connections=self._connections, tls=tls)

    async def run(self) -> None:
        """Serve until stopped, then finish the requests in hand."""
        await self._server.serve(sockets=[self._sock])

    def stop(self) -> None:
        """Take no new connections, and let endless answers know that they have to end."""
        self._stopping.set()
        self._server.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the supervisor."""
        yield
