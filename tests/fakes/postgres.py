"""A PostgreSQL server of the tests' own: to be stopped, killed and started again, with databases for the asking."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.fakes.ports import free_port

BINARIES = Path("/usr/lib/postgresql")
OWNER = "postgres"
GUARDED = "guarded"
"""The one role that needs its password; it is not there until a test creates it."""
READY_WITHIN_S = 120.0
LOOK_AGAIN_S = 0.01


class PostgresServer:
    """One cluster in a temporary directory, on a free port of 127.0.0.1 and on a socket in that directory.

    Start it from the main thread: the server ends with the thread that started it, so that a test run that is
    killed leaves none behind.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._binaries = find_binaries()
        self._data = directory / "data"
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def create(self) -> None:
        """Make the cluster's files. Its collation is not that of bytes, as on most servers."""
        self._data.mkdir()
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            for path in (self.directory, self._data):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                *_as_owner(), str(self._binaries / "initdb"), "-D", str(self._data), "-U", OWNER, "-A", "trust",
                "-E", "UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync",
            ],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        doors = self._data / "pg_hba.conf"
        doors.write_text(f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\n{doors.read_text()}")

    def start(self) -> None:
        """Start the server and wait until it takes connections; recovers first after a kill."""
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.directory,
            "fsync": "on", "max_connections": 60, "deadlock_timeout": "50ms", "shared_buffers": "16MB",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_owner(), str(self._binaries / "postgres"), "-D", str(self._data), *options],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        _until(self._is_ready, "PostgreSQL did not start; its log ends:\n", self._log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: ``SIGINT`` ends every session first (fast), ``SIGQUIT`` leaves recovery to the next start."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_WITHIN_S)
            self._process = None

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        if self._process is not None:
            # It starts no more processes while it is stopped: one that nobody knew of would outlive it.
            self._process.send_signal(signal.SIGSTOP)
            children = _children(self._process.pid)
            self._process.kill()
            self._process.wait()
            for pid in children:
                # They end by themselves as well when they see that the server has gone.
                _signal_if_there(pid, signal.SIGKILL)
            _until(lambda: not any(_is_alive(pid) for pid in children), "PostgreSQL did not die", self._log)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let no process of it do anything for as long as the block runs; its machine still answers for its sockets."""
        assert self._process is not None
        server = self._process.pid
        stopped = [server]
        try:
            # The server first: it starts no more processes then. One of those that were there may just have ended.
            os.kill(server, signal.SIGSTOP)
            stopped += _children(server)
            for pid in stopped[1:]:
                _signal_if_there(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in stopped:
                _signal_if_there(pid, signal.SIGCONT)

    def url(self, database: str = "postgres", *, user: str = OWNER) -> str:
        """Name a database as Ringback's settings do; ``user`` may have a password after a colon."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, template: str = "template1", options: str = "") -> str:
        """Make a database, a copy of ``template``, which nobody may use meanwhile; returns its name."""
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Run one statement as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server of one's own."""
    directory = Path(tempfile.mkdtemp(prefix="ringback-pg-", dir="/tmp"))
    server = PostgresServer(directory)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(directory)


def _signal_if_there(pid: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, what)


def find_binaries() -> Path:
    """Return the directory of the newest PostgreSQL's programs; Debian keeps them off the path."""
    found = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    if found:
        return found[-1].parent
    if elsewhere := shutil.which("initdb"):
        return Path(elsewhere).resolve().parent
    raise RuntimeError("PostgreSQL's programs are missing, install postgresql: make system-packages")


def _as_owner() -> list[str]:
    """PostgreSQL refuses to run as root; and it is to end when the tests do."""
    command = ["setpriv", "--pdeathsig", "QUIT"]
    return [*command, "--reuid", OWNER, "--regid", OWNER, "--clear-groups"] if os.geteuid() == 0 else command


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _until(condition: Callable[[], bool], complaint: str, log: Path) -> None:
    pause = threading.Event()
    for _ in range(round(READY_WITHIN_S / LOOK_AGAIN_S)):
        if condition():
            return
        pause.wait(LOOK_AGAIN_S)
    raise RuntimeError(complaint + log.read_text()[-2000:])
