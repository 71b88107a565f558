"""From an HTTP request over SMPP to the last callback: Ringback and Kannel, all stored, with one and the same SMSC.

Kannel keeps messages and receipts in its spools and calls back twice a message: when the SMSC has taken it, and at the
end. Ringback calls back three times, signed. Load, SMSC and sink run on the same cores as the gateway.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode

import aiohttp
import msgspec
import uvloop

from benchmarks.processes import (
    RINGBACK,
    Process,
    Usage,
    create_account,
    ended,
    free_port,
    nginx,
    ringback,
    wait_for_port,
)
from benchmarks.report import Figure, Report, Target

MESSAGES: Final = 20_000
CONNECTIONS: Final = 64
SLOW_MESSAGES: Final = 500
SLOW_PER_S: Final = 50
QUIET_S: Final = 20.0
"""After so long without a callback no more are waited for."""
FORMAT: Final = "$msec $arg_n $arg_Status$arg_s"
TEXT: Final = "Your verification code is 123456. It is valid for ten minutes. Do not share it with anybody."

Request = tuple[str, str, Mapping[str, Any]]
"""Method, URL, and what aiohttp is told besides."""


class Gateway(msgspec.Struct, frozen=True):
    """A gateway that runs."""

    name: str
    request: Callable[[int], Request]
    usage: Callable[[], Usage]
    final: str
    """The state of a message's last callback as the sink's log has it; ``-`` stands for what a URL does not have."""


class Seen(msgspec.Struct, frozen=True):
    """What came of one load. Times are seconds since 1970."""

    begun_s: float
    accepted_s: dict[int, float]
    final_s: dict[int, float]
    callbacks: int
    last_s: float

    def after_ms(self, share: float) -> float:
        """Return how long after its acceptance a message had its last callback, at most, for a share of them."""
        waits = sorted(self.final_s[n] - at_s for n, at_s in self.accepted_s.items() if n in self.final_s)
        return waits[min(int(len(waits) * share), len(waits) - 1)] * 1000 if waits else float("nan")


def run(directory: Path) -> Report:
    """Load one after the other."""
    figures: dict[str, Figure] = {}
    for name, start in (("ringback", _ringback), ("kannel", _kannel)):
        place = directory / name
        place.mkdir()
        with nginx(place / "sink", log_format=FORMAT) as sink, _smsc(place) as smsc_port:
            log = place / "sink" / "arrivals.log"
            with start(place, sink.url, smsc_port) as gateway:
                figures |= {f"{name}_{key}": value for key, value in _measure(gateway, log).items()}
    ratio = figures["ringback_messages_per_s"].value / figures["kannel_messages_per_s"].value
    figures["messages_per_s_to_kannel"] = Figure(ratio, "ratio")
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
        ],
    )


def _measure(gateway: Gateway, log: Path) -> dict[str, Figure]:
    with log.open("rb") as lines:
        before = gateway.usage()
        seen = uvloop.run(_load(gateway, lines, range(MESSAGES), per_s=0))
        after = gateway.usage()
        slow = uvloop.run(_load(gateway, lines, range(MESSAGES, MESSAGES + SLOW_MESSAGES), per_s=SLOW_PER_S))
    took_s = max(seen.final_s.values(), default=seen.last_s) - seen.begun_s
    accepting_s = max(seen.accepted_s.values()) - seen.begun_s
    done = sum(n in seen.final_s for n in seen.accepted_s)
    slow_done = sum(n in slow.final_s for n in slow.accepted_s)
    return {
        "messages_per_s": Figure(done / took_s, "messages/s"),
        "accepted_per_s": Figure(len(seen.accepted_s) / accepting_s, "messages/s"),
        "callbacks_per_s": Figure(seen.callbacks / (seen.last_s - seen.begun_s), "callbacks/s"),
        "cpu_per_1000": Figure((after.cpu_s - before.cpu_s) / max(done, 1) * 1000, "CPU s per 1,000 messages"),
        "peak_rss": Figure(after.peak_rss_mb, "MB"),
        "p50_under_load": Figure(seen.after_ms(0.5), "ms"),
        "p99_under_load": Figure(seen.after_ms(0.99), "ms"),
        "p50_at_50_per_s": Figure(slow.after_ms(0.5), "ms"),
        "p99_at_50_per_s": Figure(slow.after_ms(0.99), "ms"),
        "lost": Figure(len(seen.accepted_s) - done + len(slow.accepted_s) - slow_done, "messages"),
    }


async def _load(gateway: Gateway, lines: BinaryIO, numbers: range, *, per_s: float) -> Seen:
    """Send all, and wait until each has had its last callback, or none comes any more."""
    accepted: dict[int, float] = {}
    begun_s = time.time()
    turns = iter(numbers)

    async def work(session: aiohttp.ClientSession, which: int) -> None:
        for n in turns:
            if per_s:
                await asyncio.sleep(max(begun_s + (n - numbers.start) / per_s - time.time(), 0))
            method, url, more = gateway.request(n)
            async with session.request(method, url, **more) as response:
                await response.read()
                if response.status == 202:
                    accepted[n] = time.time()
            if which == 0:
                print(f"\r{gateway.name}: {len(accepted):,} of {len(numbers):,} accepted", end="", file=sys.stderr)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        await asyncio.gather(*(work(session, which) for which in range(CONNECTIONS)))
    print(file=sys.stderr)
    async for found in _watched(lines, gateway):
        print(f"\r{gateway.name}: {len(found[0]):,} of {len(accepted):,} ended", end="", file=sys.stderr)
        if len(found[0]) >= len(accepted):
            break
    print(file=sys.stderr)
    return Seen(begun_s, accepted, *found)


async def _watched(lines: BinaryIO, gateway: Gateway) -> AsyncIterator[tuple[dict[int, float], int, float]]:
    """Give what the sink has seen, twice a second: ends by message, callbacks, and when the last one came."""
    final: dict[int, float] = {}
    callbacks, last_s, idle_s, rest = 0, time.time(), 0.0, b""
    while idle_s < QUIET_S:
        *whole, rest = (rest + lines.read()).split(b"\n")
        idle_s = 0.0 if whole else idle_s + 0.5
        for line in whole:
            at_s, n, state = line.decode().split(" ")
            callbacks, last_s = callbacks + 1, float(at_s)
            if state == gateway.final:
                final.setdefault(int(n), last_s)
        yield final, callbacks, last_s
        await asyncio.sleep(0.5)


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
def _ringback(place: Path, sink: str, smsc_port: int) -> Iterator[Gateway]:
    environment = {
        "RINGBACK_STORE__DATA_DIR": str(place / "data"),
        "RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.1",
        "RINGBACK_SMPP__HOST": "127.0.0.1",
        "RINGBACK_SMPP__PORT": str(smsc_port),
        "RINGBACK_SMPP__SYSTEM_ID": "ringback",
        "RINGBACK_SMPP__WINDOW": "100",
    }
    auth_id, token = create_account(environment)
    headers = {"Authorization": aiohttp.encode_basic_auth(auth_id, token)}
    roles = (("web",), ("submit", "deliver"))
    with ringback(environment, place / "ringback.log", roles=roles) as server:

        def request(n: int) -> Request:
            body = {
                "src": "15005550100",
                "dst": f"4915{n:09d}",
                "text": TEXT,
                "url": f"{sink}/cb?n={n}",
                "method": "GET",
            }
            return "POST", f"{server.url}/v1/Account/{auth_id}/Message/", {"json": body, "headers": headers}

        yield Gateway("ringback", request, server.usage, "delivered-")


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
def _kannel(place: Path, sink: str, smsc_port: int) -> Iterator[Gateway]:
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

        def request(n: int) -> Request:
            query = {
                "username": "u",
                "password": "p",
                "from": "15005550100",
                "to": f"4915{n:09d}",
                "text": TEXT,
                "dlr-mask": "31",
                "dlr-url": f"{sink}/cb?n={n}&s=%d",
            }
            return "GET", f"http://127.0.0.1:{http}/cgi-bin/sendsms?{urlencode(query)}", {}

        def usage() -> Usage:
            parts = [box.usage() for box in boxes]
            return Usage(
                cpu_s=sum(part.cpu_s for part in parts),
                rss_mb=sum(part.rss_mb for part in parts),
                peak_rss_mb=sum(part.peak_rss_mb for part in parts),
            )

        yield Gateway("kannel", request, usage, "-1")
