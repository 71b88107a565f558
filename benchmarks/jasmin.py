"""Jasmin as it is set up by its documentation: five processes, receipts through RabbitMQ and Redis, two callbacks.

It has dependencies of old versions and is therefore where ``JASMIN`` says: a virtual environment of its own, with the
``amqp0-9-1.xml`` that its package leaves out.
"""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.processes import Process, Usage, ended, free_port, used_by, wait_for_port

HOME: Final = "JASMIN"
"""Names the environment variable."""
_SPECIFICATION: Final = "amqp0-9-1.xml"
_RABBITMQ: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_TALK_S: Final = 10
_TRIES: Final = 30
_OPTION: Final = re.compile(rb"\xff([\xfb\xfd])(.)", re.DOTALL)
_REFUSED: Final = {b"\xfb": b"\xfe", b"\xfd": b"\xfc"}
"""WILL with DONT, DO with WONT (RFC 854)."""
_SECTIONS: Final = {
    "smpp-server": "smpps", "smpp-server-pb": "smpps_pb", "client-management": "clients", "router": "router",
    "http-api": "http", "jcli": "jcli", "amqp-broker": "amqp", "redis-client": "redis", "interceptor-client": "other",
}  # fmt: skip
_SETUP: Final = (
    ("group -a", "gid g", "ok"),
    ("user -a", "username u", "password p", "uid u", "gid g", "ok"),
    (
        "smppccm -a", "cid one", "host 127.0.0.1", "port {smsc}", "username ringback", "password pw",
        "bind transceiver", "submit_throughput 0", "ok",
    ),
    ("mtrouter -a", "type DefaultRoute", "rate 0", "connector smppc(one)", "ok"),
    ("smppccm -1 one",),
)  # fmt: skip


def home() -> Path | None:
    """Return where Jasmin is, if somebody says so. Raises ``SystemExit`` when it is not there."""
    named = os.environ.get(HOME)
    if not named:
        return None
    found = Path(named).resolve()
    for needed in (found / "bin" / "jasmind.py", found / _SPECIFICATION, Path(_RABBITMQ)):
        if not needed.is_file():
            raise SystemExit(f"gateway: {needed} is missing, which Jasmin needs; leave {HOME} out to go without it")
    return found


@contextlib.contextmanager
def jasmin(found: Path, place: Path, smsc_port: int) -> Iterator[tuple[str, str, "Jasmin"]]:
    """Run it, bound to an SMSC; gives the URL and path of its door, and what tells its use."""
    ports = {name: free_port() for name in (*_SECTIONS.values(), "names", "between")}
    with contextlib.ExitStack() as stack:
        parts = Jasmin(place, stack)
        redis = ["redis-server", "--bind", "127.0.0.1", "--port", str(ports["redis"]), "--dir", str(place)]
        parts.start("redis", redis, ports["redis"])
        parts.start("epmd", ["epmd", "-address", "127.0.0.1", "-port", str(ports["names"])], ports["names"])
        parts.start("rabbitmq", [_RABBITMQ], ports["amqp"], _rabbitmq(place, ports))
        _configure(found, place, ports)
        python = str(found / "bin" / "python")
        for name in ("jasmind", "dlrlookupd", "dlrd"):
            program = [python, str(found / "bin" / f"{name}.py")]
            file = place / "etc" / "jasmin" / f"{'dlr' if name == 'dlrd' else name.removesuffix('d')}.cfg"
            program += ["-c", str(file)] if name != "jasmind" else []
            parts.start(name, program, ports["http"] if name == "jasmind" else None, {"ROOT_PATH": str(place)})
        _set_up(ports["jcli"], smsc_port)
        # What is sent before has no receipts.
        for log, line in (("dlrlookupd-messages", "is ready"), ("dlr-thrower", "Consuming from")):
            _wait_for(place / "var" / "log" / "jasmin" / f"{log}.log", line)
        query = {"username": "u", "password": "p", "from": "15005550100"}
        query |= {"dlr": "yes", "dlr-level": "3", "dlr-method": "GET"}
        yield f"http://127.0.0.1:{ports['http']}", f"/send?{urlencode(query)}", parts


class Jasmin:
    """Its processes."""

    def __init__(self, place: Path, stack: contextlib.ExitStack) -> None:
        self._place = place
        self._stack = stack
        self._served: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, program: Sequence[str], port: int | None = None, more: Mapping[str, str] | None = None
    ) -> None:
        """Start a program, and wait until it listens if it is to."""
        log = self._stack.enter_context((self._place / f"{name}.out").open("wb"))
        served = subprocess.Popen(program, stdout=log, stderr=log, cwd=self._place, env={**os.environ, **(more or {})})
        self._stack.callback(ended, served)
        if port is not None:
            wait_for_port(port, served)
        self._served.append(served)

    def usage(self) -> Usage:
        """Sum up what they and theirs have used."""
        return used_by(Process(pid, "") for served in self._served for pid in _family(served.pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _rabbitmq(place: Path, ports: Mapping[str, int]) -> dict[str, str]:
    (place / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{ports['amqp']}\n")
    (place / "plugins").write_text("[].\n")
    return {
        "HOME": str(place),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["names"]),
        "RABBITMQ_NODENAME": "benchmark@localhost",
        "RABBITMQ_DIST_PORT": str(ports["between"]),
        "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
        "RABBITMQ_LOG_BASE": str(place),
        "RABBITMQ_PID_FILE": str(place / "pid"),
    }


def _configure(found: Path, place: Path, ports: Mapping[str, int]) -> None:
    settings = place / "etc" / "jasmin"
    for directory in (settings / "store", settings / "resource", place / "var" / "log" / "jasmin"):
        directory.mkdir(parents=True)
    shutil.copy(found / _SPECIFICATION, settings / "resource")
    lines = []
    for section, name in _SECTIONS.items():
        address = "host" if section in {"amqp-broker", "redis-client"} else "bind"
        lines += [f"[{section}]", f"{address} = 127.0.0.1", f"port = {ports[name]}"]
        lines += ["authentication = False"] if section == "jcli" else []
    for name in ("jasmin", "dlr", "dlrlookup"):
        (settings / f"{name}.cfg").write_text("\n".join(lines) + "\n")


def _set_up(port: int, smsc_port: int) -> None:
    """Tell its console what there is."""
    with socket.create_connection(("127.0.0.1", port), timeout=_TALK_S) as console:
        # It prompts for the first time when it is spoken to.
        console.sendall(b"\r\n")
        _until(console, b"jcli : ")
        for lines in _SETUP:
            for line in lines:
                console.sendall(line.format(smsc=smsc_port).encode() + b"\r\n")
                _until(console, b"jcli : " if line == lines[-1] else b"> ")
        for _ in range(_TRIES):
            console.sendall(b"smppccm --list\r\n")
            if b"BOUND_TRX" in _until(console, b"jcli : "):
                return
            time.sleep(1)
    raise SystemExit("gateway: Jasmin has not bound to the SMSC")


def _wait_for(log: Path, line: str) -> None:
    for _ in range(_TRIES):
        if log.exists() and line in log.read_text():
            return
        time.sleep(1)
    raise SystemExit(f"gateway: Jasmin has not written {line!r} to {log}")


def _until(console: socket.socket, prompt: bytes) -> bytes:
    """Read what it says up to a prompt, refusing every option of Telnet that it offers or asks for."""
    heard = b""
    while not heard.endswith(prompt):
        more = console.recv(65_536)
        if not more:
            raise SystemExit(f"gateway: Jasmin's console has ended: {heard!r}")
        for asked, option in _OPTION.findall(more):
            console.sendall(b"\xff" + _REFUSED[asked] + option)
        heard += _OPTION.sub(b"", more)
    return heard
