"""From an HTTP request over SMPP to the last callback: Ringback and Kannel, all stored, with one and the same SMSC.

Kannel keeps messages and receipts in its spools and calls back twice a message: when the SMSC has taken it, and at the
end. Ringback calls back three times, signed. Load, SMSC and sink run on the same cores as the gateway. Jasmin, which
calls back as Kannel does, comes third where somebody has installed it.
"""

import base64
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlencode

import msgspec

from benchmarks import jasmin
from benchmarks.processes import (
    RINGBACK,
    Load,
    Process,
    Usage,
    create_account,
    ended,
    free_port,
    nginx,
    ringback,
    used_by,
    wait_for_port,
    wrk,
)
from benchmarks.report import Figure, Report, Target

MESSAGES: Final = 20_000
CONNECTIONS: Final = 64
SLOW_MESSAGES: Final = 500
SLOW_PER_S: Final = 50
SLOW_CONNECTIONS: Final = 10
MOST_S: Final = 300
LOOK_EVERY_S: Final = 0.25
QUIET_S: Final = 20.0
"""After so long without a callback no more are waited for."""
FORMAT: Final = "$msec $arg_n $arg_t $arg_Status$arg_s$arg_message_status"


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that runs."""

    name: str
    url: str
    load: tuple[str, str]
    """Path and credentials, as ``load/gateway.lua`` wants them."""
    usage: Callable[[], Usage]
    final: str
    """The state of a message's last callback as the sink's log has it; ``-`` stands for what a URL does not have."""


class Seen(msgspec.Struct, frozen=True):
    """What the sink has seen of one load. Times are seconds since 1970."""

    final_s: dict[int, float]
    """When each message had its last callback."""
    waits_s: list[float]
    """How long after its request that was, in order."""
    callbacks: int
    last_s: float

    def after_ms(self, share: float) -> float:
        """Return how long after its request a message had its last callback, at most, for a share of them."""
        if not self.waits_s:
            return float("nan")
        return self.waits_s[min(int(len(self.waits_s) * share), len(self.waits_s) - 1)] * 1000


def run(directory: Path) -> Report:
    """Load one after the other."""
    figures: dict[str, Figure] = {}
    gateways = {"ringback": _ringback, "kannel": _kannel}
    if found := jasmin.home():
        gateways["jasmin"] = partial(_jasmin, found)
    for name, start in gateways.items():
        place = directory / name
        place.mkdir()
        with nginx(place / "sink", log_format=FORMAT, answer="ACK/Jasmin") as sink, _smsc(place) as smsc_port:
            log = place / "sink" / "arrivals.log"
            with start(place, smsc_port) as gateway:
                figures |= {f"{name}_{key}": value for key, value in _measure(gateway, sink.url, log).items()}
    ours = figures["ringback_messages_per_s"].value
    for name in list(gateways)[1:]:
        figures[f"messages_per_s_to_{name}"] = Figure(ours / figures[f"{name}_messages_per_s"].value, "ratio")
    beside = [Target("messages_per_s_to_jasmin", "at least", 4)] if found else []
    return Report(
        name="gateway",
        yardstick={"name": "Kannel, spools for messages and receipts", "messages": MESSAGES},
        figures=figures,
        targets=[
            Target("ringback_messages_per_s", "at least", 1000),
            Target("ringback_cpu_per_1000", "at most", 1.0),
            Target("ringback_peak_rss", "at most", 400),
            Target("ringback_lost", "at most", 0),
            Target("messages_per_s_to_kannel", "at least", 1),
            *beside,
        ],
    )


def _measure(gateway: Gateway, sink: str, log: Path) -> dict[str, Figure]:
    with log.open("rb") as lines:
        before, begun_s = gateway.usage(), time.time()
        load = _send(gateway, sink, range(MESSAGES), connections=CONNECTIONS, pause_ms=0)
        seen = _watch(gateway, lines, load.ok)
        after = gateway.usage()
        slow_load = _send(
            gateway,
            sink,
            range(MESSAGES, MESSAGES + SLOW_MESSAGES),
            connections=SLOW_CONNECTIONS,
            pause_ms=SLOW_CONNECTIONS * 1000 // SLOW_PER_S,
        )
        slow = _watch(gateway, lines, slow_load.ok)
    done = len(seen.final_s)
    took_s = max(seen.final_s.values(), default=seen.last_s) - begun_s
    return {
        "messages_per_s": Figure(done / took_s, "messages/s"),
        "accepted_per_s": Figure(load.ok_per_s, "messages/s"),
        "callbacks_per_s": Figure(seen.callbacks / (seen.last_s - begun_s), "callbacks/s"),
        "cpu_per_1000": Figure((after.cpu_s - before.cpu_s) / max(done, 1) * 1000, "CPU s per 1,000 messages"),
        "peak_rss": Figure(after.peak_rss_mb, "MB"),
        "p50_under_load": Figure(seen.after_ms(0.5), "ms"),
        "p99_under_load": Figure(seen.after_ms(0.99), "ms"),
        "p50_at_50_per_s": Figure(slow.after_ms(0.5), "ms"),
        "p99_at_50_per_s": Figure(slow.after_ms(0.99), "ms"),
        "lost": Figure(load.ok - done + slow_load.ok - len(slow.final_s), "messages"),
    }


def _send(gateway: Gateway, sink: str, numbers: range, *, connections: int, pause_ms: int) -> Load:
    """Send all, each once, as fast as they are answered or each connection after a pause."""
    print(f"{gateway.name}: sending {len(numbers):,} messages", file=sys.stderr)
    arguments = (gateway.name, *gateway.load, f"{sink}/cb", str(numbers.start), str(len(numbers)), str(pause_ms))
    return wrk(gateway.url, "gateway", *arguments, connections=connections, duration_s=MOST_S)


def _watch(gateway: Gateway, lines: BinaryIO, accepted: int) -> Seen:
    """Wait until so many messages have had their last callback, or none comes any more."""
    final: dict[int, float] = {}
    waits_s: list[float] = []
    callbacks, last_s, idle_s, rest = 0, time.time(), 0.0, b""
    while len(final) < accepted and idle_s < QUIET_S:
        *whole, rest = (rest + lines.read()).split(b"\n")
        idle_s = 0.0 if whole else idle_s + LOOK_EVERY_S
        for line in whole:
            at_s, n, sent_s, state = line.decode().split(" ")
            callbacks, last_s = callbacks + 1, float(at_s)
            if state == gateway.final and int(n) not in final:
                final[int(n)] = last_s
                waits_s.append(last_s - float(sent_s))
        print(f"\r{gateway.name}: {len(final):,} of {accepted:,} ended", end="", file=sys.stderr)
        time.sleep(LOOK_EVERY_S)
    print(file=sys.stderr)
    return Seen(final, sorted(waits_s), callbacks, last_s)


@contextlib.contextmanager
def _smsc(place: Path) -> Iterator[int]:
    port = free_port()
    with (place / "smsc.log").open("wb") as log:
        served = subprocess.Popen([RINGBACK, "smsc", "--port", str(port)], stdout=log, stderr=log)
        try:
            wait_for_port(port, served)
            yield port
        finally:
            ended(served)


@contextlib.contextmanager
def _ringback(place: Path, smsc_port: int) -> Iterator[Gateway]:
    environment = {
        "RINGBACK_STORE__DATA_DIR": str(place / "data"),
        "RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.1",
        "RINGBACK_SMPP__HOST": "127.0.0.1",
        "RINGBACK_SMPP__PORT": str(smsc_port),
        "RINGBACK_SMPP__SYSTEM_ID": "ringback",
        "RINGBACK_SMPP__WINDOW": "100",
    }
    auth_id, token = create_account(environment)
    basic = "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()
    load = (f"/v1/Account/{auth_id}/Message/", basic)
    roles = (("web",), ("submit",), ("deliver",))
    with ringback(environment, place / "ringback.log", roles=roles) as server:
        yield Gateway("ringback", server.url, load, server.usage, "delivered--")


_KANNEL: Final = """group = core
admin-port = {admin}
admin-password = x
admin-deny-ip = ""
smsbox-port = {box}
log-file = "{place}/bearerbox.log"
log-level = 1
box-allow-ip = "127.0.0.1"
store-type = spool
store-location = "{place}/store"
dlr-storage = spool
dlr-spool = "{place}/dlr"

group = smsc
smsc = smpp
smsc-id = one
host = 127.0.0.1
port = {smsc}
smsc-username = "kannel"
smsc-password = "pw"
system-type = ""
transceiver-mode = true
msg-id-type = 0x00
max-pending-submits = 100

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-file = "{place}/smsbox.log"
log-level = 1

group = sendsms-user
username = u
password = p
concatenation = true
max-messages = 10
"""


@contextlib.contextmanager
def _kannel(place: Path, smsc_port: int) -> Iterator[Gateway]:
    for name in ("store", "dlr"):
        (place / name).mkdir()
    http = free_port()
    file = place / "kannel.conf"
    file.write_text(_KANNEL.format(place=place, admin=free_port(), box=free_port(), http=http, smsc=smsc_port))
    box_port = int(file.read_text().split("smsbox-port = ")[1].split()[0])
    with contextlib.ExitStack() as stack:
        boxes = []
        for program, port in (("bearerbox", box_port), ("smsbox", http)):
            log = stack.enter_context((place / f"{program}.out").open("wb"))
            served = subprocess.Popen([f"/usr/sbin/{program}", "-v", "4", str(file)], stdout=log, stderr=log)
            stack.callback(ended, served)
            wait_for_port(port, served)
            boxes.append(Process(served.pid, ""))

        query = {"username": "u", "password": "p", "from": "15005550100", "dlr-mask": "31"}
        path = f"/cgi-bin/sendsms?{urlencode(query)}"
        yield Gateway("kannel", f"http://127.0.0.1:{http}", (path, "-"), partial(used_by, boxes), "-1-")


@contextlib.contextmanager
def _jasmin(found: Path, place: Path, smsc_port: int) -> Iterator[Gateway]:
    with jasmin.jasmin(found, place, smsc_port) as (url, path, parts):
        yield Gateway("jasmin", url, (path, "-"), parts.usage, "--DELIVRD")
