"""What benchmarks start: Ringback, nginx as yardstick or sink, wrk as load. All on loopback, all stopped here."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

RINGBACK = str(Path(sys.executable).parent / "ringback")
LOAD = Path(__file__).parent / "load"
START_TIMEOUT_S = 120
READY = "Ringback "
"""How the line begins that each process writes when it is ready."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """What a process has used since it started."""

    cpu_s: float
    rss_mb: float
    peak_rss_mb: float


class Process:
    """A process that was started here."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url

    def usage(self) -> Usage:
        """Read CPU time and memory from ``/proc``."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{self.pid}/status").read_text()
        rss, peak = (int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[index]
        return Usage(cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS, rss_mb=rss, peak_rss_mb=peak)


def used_by(processes: Iterable[Process]) -> Usage:
    """Sum up what processes have used."""
    parts = [process.usage() for process in processes]
    return Usage(
        cpu_s=sum(part.cpu_s for part in parts),
        rss_mb=sum(part.rss_mb for part in parts),
        peak_rss_mb=sum(part.peak_rss_mb for part in parts),
    )


def command(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of Ringback to its end; gives what it prints. Raises ``CalledProcessError``."""
    done = subprocess.run(
        [RINGBACK, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    return done.stdout


def login_link(environment: Mapping[str, str], url: str) -> str:
    """Return a link by which an operator logs in once at the dashboard of a URL."""
    return command(environment, "login-link", "--url", url).split()[-1]


def create_account(environment: Mapping[str, str]) -> tuple[str, str]:
    """Make an account; gives auth id and token."""
    made = subprocess.run(
        [RINGBACK, "account", "create", "benchmark", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    account = json.loads(made.stdout)
    return account["auth_id"], account["auth_token"]


@contextlib.contextmanager
def ringback(
    environment: Mapping[str, str], log: Path, *, roles: Sequence[Sequence[str]] = ((),)
) -> Iterator["Ringback"]:
    """Run ``ringback serve`` on a free port: one process for each set of roles, the first with the role ``web``."""
    port = free_port()
    started: list[subprocess.Popen[bytes]] = []
    with log.open("ab") as stderr:
        try:
            for these in roles:
                flags = [flag for role in these for flag in ("--role", role)]
                command = [RINGBACK, "serve", "--port", str(port), "--log-level", "warning", *flags]
                started.append(subprocess.Popen(command, stderr=stderr, env={**os.environ, **environment}))
                _wait_until(lambda: log.read_text().count(READY) == len(started), started[-1])
            yield Ringback(f"http://127.0.0.1:{port}", [Process(each.pid, "") for each in started])
        finally:
            for each in reversed(started):
                ended(each)


class Ringback(msgspec.Struct, frozen=True):
    """A Ringback of one or several processes."""

    url: str
    processes: list[Process]

    def usage(self) -> Usage:
        """Sum up what the processes have used."""
        return used_by(self.processes)


@contextlib.contextmanager
def nginx(
    directory: Path, *, log_format: str = "", failing_percent: int = 0, port: int = 0, answer: str = "ok\\n"
) -> Iterator[Process]:
    """Run an nginx with one worker that answers everything with a static 200, or some requests with 500.

    ``log_format`` turns on its log.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    access_log = f"log_format arrivals '{log_format}'; access_log arrivals.log arrivals;" if log_format else ""
    (directory / "nginx.conf").write_text(
        f"""
        worker_processes 1; daemon off; pid nginx.pid; error_log error.log;
        events {{ worker_connections 8192; }}
        http {{
          split_clients $request_id $fails {{ {f"{failing_percent}% 1;" if failing_percent else ""} * 0; }}
          {access_log or "access_log off;"} client_body_temp_path body; keepalive_requests 100000000;
          proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
          server {{
            listen 127.0.0.1:{port} backlog=4096;
            location / {{ if ($fails) {{ return 500; }} return 200 "{answer}"; }}
          }}
        }}"""
    )
    served = subprocess.Popen(
        ["/usr/sbin/nginx", "-p", str(directory), "-e", "error.log", "-c", "nginx.conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, served)
        yield Process(served.pid, f"http://127.0.0.1:{port}")
    finally:
        ended(served)


class Load(msgspec.Struct, frozen=True):
    """What wrk saw."""

    answered: int
    refused: int
    """Answers of 400 and above."""
    duration_s: float
    broken: int = 0
    """Connections that failed and answers that did not come in time."""
    p50_ms: float = float("nan")
    """Latencies are not known of loads that end with their last request."""
    p95_ms: float = float("nan")
    p99_ms: float = float("nan")

    @property
    def ok(self) -> int:
        """Answers below 400."""
        return self.answered - self.refused

    @property
    def ok_per_s(self) -> float:
        """Answers below 400 per second."""
        return self.ok / self.duration_s


def wrk(url: str, script: str, *arguments: str, connections: int, duration_s: int) -> Load:
    """Send requests as ``load/<script>.lua`` makes them, as fast as they are answered."""
    run = subprocess.run(
        [
            *("wrk", "-t", "1", "-c", str(connections), "-d", f"{duration_s}s", "--timeout", "30s"),
            *("-s", str(LOAD / f"{script}.lua"), url, "--", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LUA_PATH": f"{LOAD}/?.lua;;"},
    )
    if run.returncode:
        raise SystemExit(f"wrk failed: {run.stderr or run.stdout}")
    return msgspec.json.decode(run.stdout.strip().splitlines()[-1], type=Load)


def machine() -> dict[str, Any]:
    """Say what this ran on."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model[1] if model else "unknown",
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "kernel": os.uname().release,
    }


def free_port() -> int:
    """Return a loopback port that was free just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int, served: subprocess.Popen[bytes]) -> None:
    """Wait until a process listens."""

    def is_open() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    _wait_until(is_open, served)


def _wait_until(condition: Callable[[], bool], served: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until_s:
        if served.poll() is not None:
            raise SystemExit(f"{served.args} ended with {served.returncode} before it was ready")
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit(f"{served.args} was not ready within {START_TIMEOUT_S} s")


def ended(served: subprocess.Popen[bytes]) -> None:
    """End a process, gently at first."""
    served.send_signal(signal.SIGTERM)
    try:
        served.wait(30)
    except subprocess.TimeoutExpired:
        served.kill()
        served.wait()
