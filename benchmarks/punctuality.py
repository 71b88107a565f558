"""How late callbacks are at a steady 200 a second: alone, beside 500 endpoints that hang, beside a dead backlog."""

import asyncio
import contextlib
import os
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.databases import DATABASES, Database
from benchmarks.delivery import ACCOUNT, LIMITS, TOKEN, owe
from benchmarks.processes import Ringback, nginx, ringback
from benchmarks.report import Figure, Report, Target, percentile, progress
from ringback.delivery.claim import Terms, claim
from ringback.delivery.share import Places
from ringback.model.ids import uuid7
from ringback.model.retry import PLIVO
from ringback.store import accounts, callbacks
from ringback.store.callbacks import Outcome
from ringback.store.port import Store

MESSAGES_PER_S: Final = 67
"""Three callbacks each."""
DURATION_S: Final = 15
SETTLE_S: Final = 2
HUNG: Final = 500
DEAD_PENDING: Final = 1_000_000
IDLE_S: Final = 10
CLAIMS: Final = 200
SETTINGS: Final = {**LIMITS, "RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.0/8", "RINGBACK_SIMULATOR__SPEED": "20"}
LOG_FORMAT: Final = "$msec $arg_MessageUUID $arg_Status"


class Lateness(msgspec.Struct, frozen=True):
    """From the event's time, which is before its commit, to the arrival at the endpoint, in milliseconds."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    arrived: int


def run(directory: Path) -> Report:
    """Measure lateness in every scene on both databases."""
    figures: dict[str, Figure] = {}
    targets: list[Target] = []
    for kind, make in DATABASES.items():
        alone = beside_hung = beside_dead = None
        with make(_made(directory / f"alone-{kind}")) as database:
            alone, _ = _scene(database, directory / f"alone-{kind}")
        progress(f"punctuality {kind} alone: {alone}")
        with make(_made(directory / f"hung-{kind}")) as database, hanging_endpoints() as urls:
            beside_hung, _ = _scene(database, directory / f"hung-{kind}", hung=urls)
        progress(f"punctuality {kind} beside {HUNG} that hang: {beside_hung}")
        with make(_made(directory / f"dead-{kind}")) as database, closed_port() as dead:
            claims_ms = {"empty": claim_ms(database)}
            _fill(database, f"{dead}/status")
            claims_ms["backlog"] = claim_ms(database)
            beside_dead, idle = _scene(database, directory / f"dead-{kind}", idle=True)
        progress(f"punctuality {kind} beside {DEAD_PENDING:,} to a dead one: {beside_dead}; {idle}")
        for scene, lateness in (("alone", alone), ("hung", beside_hung), ("dead", beside_dead)):
            for share in ("p50", "p95", "p99"):
                figures[f"{scene}_{share}_{kind}"] = Figure(
                    getattr(lateness, f"{share}_ms"), "ms from event to arrival"
                )
        figures[f"hung_to_alone_p95_{kind}"] = Figure(beside_hung.p95_ms / alone.p95_ms, "times")
        figures[f"dead_to_alone_p95_{kind}"] = Figure(beside_dead.p95_ms / alone.p95_ms, "times")
        figures[f"dead_idle_cpu_{kind}"] = Figure(idle["cpu_percent"], "% of one core, nothing to do but the backlog")
        for scene, lasted_ms in claims_ms.items():
            figures[f"claim_{scene}_{kind}"] = Figure(lasted_ms, "ms, median of claims of one callback")
        figures[f"claim_growth_{kind}"] = Figure(claims_ms["backlog"] / claims_ms["empty"], "times, with the backlog")
        figures[f"dead_rss_{kind}"] = Figure(idle["rss_mb"], "MB")
        targets += [
            Target(f"alone_p95_{kind}", "at most", 50),
            Target(f"hung_to_alone_p95_{kind}", "at most", 2),
            Target(f"dead_idle_cpu_{kind}", "at most", 2),
            Target(f"dead_rss_{kind}", "at most", 300),
            # Half as long again is what runs differ by.
            Target(f"claim_growth_{kind}", "at most", 1.5),
        ]
    yardstick = {"p95_alone_ms": {kind: round(figures[f"alone_p95_{kind}"].value, 1) for kind in DATABASES}}
    return Report(name="punctuality", yardstick=yardstick, figures=figures, targets=targets)


def _made(place: Path) -> Path:
    place.mkdir(parents=True)
    return place


def _scene(
    database: Database, place: Path, *, hung: Sequence[str] = (), idle: bool = False
) -> tuple[Lateness, dict[str, float]]:
    environment = {**database.environment, **SETTINGS}
    database.use(_account)
    with (
        nginx(place / "nginx", log_format=LOG_FORMAT) as sink,
        ringback(environment, place / "ringback.log") as server,
    ):
        time.sleep(SETTLE_S)
        usage = _idle(server) if idle else {}
        # So that the endpoint is known to work, and connections are there.
        asyncio.run(_load(server.url, f"{sink.url}/status", duration_s=1))
        begun_at_us = time.time_ns() // 1000
        if hung:
            database.use(lambda tx: owe(tx, len(hung) * 20, list(hung)))
        asyncio.run(_load(server.url, f"{sink.url}/status", duration_s=DURATION_S))
        time.sleep(SETTLE_S)
        usage["rss_mb"] = server.usage().peak_rss_mb
        return _lateness(database, place / "nginx" / "arrivals.log", sink.url, begun_at_us), usage


def _account(tx: Any) -> None:
    now_us = time.time_ns() // 1000
    if accounts.find(tx, ACCOUNT, now_us) is None:
        accounts.create(tx, auth_id=ACCOUNT, token=TOKEN, name="benchmark", now_us=now_us)


def _idle(server: Ringback) -> dict[str, float]:
    # First the attempts that find the endpoint dead.
    time.sleep(SETTLE_S)
    before_s = server.usage().cpu_s
    time.sleep(IDLE_S)
    return {"cpu_percent": (server.usage().cpu_s - before_s) / IDLE_S * 100}


async def _load(base_url: str, callback_url: str, *, duration_s: int) -> None:
    """Send at a constant rate, whatever the answers take."""
    url = f"{base_url}/v1/Account/{ACCOUNT}/Message/"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
    body = {"src": "15005550100", "dst": "14155550123", "text": "hello", "url": callback_url, "method": "GET"}
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    async with aiohttp.ClientSession(headers=headers) as http, asyncio.TaskGroup() as tasks:

        async def send() -> None:
            async with http.post(url, json=body) as answer:
                if answer.status != 202:
                    raise SystemExit(f"a message was answered {answer.status}: {await answer.text()}")

        for number in range(MESSAGES_PER_S * duration_s):
            await asyncio.sleep(begun_s + number / MESSAGES_PER_S - loop.time())
            tasks.create_task(send())


def _lateness(database: Database, log: Path, origin: str, since_us: int) -> Lateness:
    arrived = {
        (uuid, status): float(at_s) for at_s, uuid, status in (line.split() for line in log.read_text().splitlines())
    }
    owed = database.rows(
        "SELECT c.message_uuid, e.status, c.created_at_us FROM callbacks c JOIN events e "
        "ON e.message_uuid = c.message_uuid AND e.sequence = c.sequence AND e.flag = '' "
        "WHERE c.endpoint = :origin AND c.created_at_us >= :since_us",
        origin=origin,
        since_us=since_us,
    )
    late_ms = [
        arrived[uuid, status] * 1000 - created_at_us / 1000
        for uuid, status, created_at_us in owed
        if (uuid, status) in arrived
    ]
    missing = len(owed) - len(late_ms)
    if missing > MESSAGES_PER_S:
        raise SystemExit(f"{missing} of {len(owed)} callbacks have not arrived")
    return Lateness(
        p50_ms=percentile(late_ms, 0.5),
        p95_ms=percentile(late_ms, 0.95),
        p99_ms=percentile(late_ms, 0.99),
        arrived=len(late_ms),
    )


def _fill(database: Database, url: str) -> None:
    progress(f"punctuality: storing {DEAD_PENDING:,} callbacks ...")
    for _ in range(DEAD_PENDING // 50_000):
        database.use(lambda tx: owe(tx, 50_000, [url]))


def claim_ms(database: Database) -> float:
    """Claim one callback at a time, each to an endpoint of its own, and finish it; returns the median of the claims."""
    places = Places(capacity=CLAIMS, endpoint_limit=1)

    async def measure() -> list[float]:
        store = database.open()
        try:
            return [await _claim_one(store, places, number) for number in range(CLAIMS)]
        finally:
            await store.close()

    return statistics.median(asyncio.run(measure()))


async def _claim_one(store: Store, places: Places, number: int) -> float:
    await store.write(lambda tx: owe(tx, 1, [f"http://claims-{number}.example/status"]))
    now_us = time.time_ns() // 1000
    terms = Terms(
        now_us=now_us,
        lease_until_us=now_us + 30_000_000,
        lease_token=uuid7(now_us, os.urandom(8)),
        plan=PLIVO,
        keep_parked=False,
    )
    begun_s = time.perf_counter()
    taken = await store.write(lambda tx: claim(tx, places, terms, limit=CLAIMS), durable=False)
    lasted_ms = (time.perf_counter() - begun_s) * 1000
    # Whatever else was due and came along (the first of a dead endpoint) is finished too.
    outcomes = [
        Outcome(
            callback=each.callback,
            attempt=None,
            attempts_made=1,
            state="delivered",
            next_due_at_us=None,
            recorded_at_us=now_us,
        )
        for each in taken.claimed
    ]
    await store.write(lambda tx: callbacks.record(tx, outcomes))
    return lasted_ms


@contextlib.contextmanager
def hanging_endpoints() -> Iterator[list[str]]:
    """Listen on addresses of their own, take connections, and never say anything."""
    sockets = []
    try:
        for number in range(HUNG):
            host = f"127.1.{number // 250}.{number % 250 + 1}"
            sockets.append(socket.create_server((host, 0), backlog=512))
        yield ["http://{}:{}/status".format(*each.getsockname()) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """Hold a port that nobody listens on: connections are refused."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
