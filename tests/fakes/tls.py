"""Certificates for tests, and a resolver that takes a name for this machine's."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ringback.cli.certificates import Files, make
from ringback.cli.tls import NAMES
from ringback.runtime import SystemClock

FIXED_HOST = NAMES[0]


def certificates(directory: Path) -> Files:
    """Make an authority and a server certificate that hold now."""
    files = Files(directory)
    make(files, NAMES, now=datetime.fromtimestamp(SystemClock().now_us() // 1_000_000, UTC), days=1)
    return files


def tls_settings(files: Files) -> dict[str, Any]:
    """Give the settings of group ``server`` that switch HTTPS on, on a free port."""
    return {"tls_certificate": files.certificate, "tls_key": files.key, "tls_port": 0}


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch, host: str, port: int) -> None:
    """Let ``host``, whatever its port, be this machine's ``port``, as a hosts entry does with port 443."""
    resolve = socket.getaddrinfo

    def overridden(name: Any, *arguments: Any, **options: Any) -> Any:
        wanted = name.decode() if isinstance(name, bytes) else name
        if wanted == host:
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
        return resolve(name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", overridden)
