"""Ports of 127.0.0.1 for programs that must be told one."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOWEST: Final = 15_000
"""Above what programs listen on by themselves."""
_GIVEN_OUT: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@contextmanager
def held_port() -> Iterator[int]:
    """Listen on a port, so that nobody else can."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def free_port() -> int:
    """Return a port that nobody listens on.

    It is none that the system gives out by itself, to who connects or asks for any port: one of those could be gone
    when the program gets to it, or comes back to it after it was killed.
    """
    first, last = map(int, _GIVEN_OUT.read_text().split())
    others = [port for port in range(LOWEST, 65_536) if not first <= port <= last]
    chance = random.SystemRandom()
    while True:
        port = chance.choice(others or range(LOWEST, 65_536))
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
