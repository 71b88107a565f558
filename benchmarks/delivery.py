"""Callbacks delivered per second to a fast endpoint: leased, signed four ways, sent, recorded."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.databases import DATABASES, Database
from benchmarks.processes import Ringback, Usage, nginx, ringback, wrk
from benchmarks.report import Figure, Report, Target, median, progress
from ringback.model.ids import AccountId, uuid7
from ringback.store import accounts, callbacks
from ringback.store.callbacks import NewCallback
from ringback.store.port import Transaction

ACCOUNT: Final = AccountId("MABENCHMARKBENCHMARK")
TOKEN: Final = "benchmark-token"
PARAMS: Final = msgspec.json.encode(
    [
        ("MessageUUID", "01900000-0000-7000-8000-000000000000"),
        ("ParentMessageUUID", "01900000-0000-7000-8000-000000000000"),
        ("PartInfo", "1 of 1"),
        ("From", "15005550100"),
        ("To", "14155550123"),
        ("Type", "sms"),
        ("Status", "delivered"),
        ("Units", "1"),
        ("TotalRate", "0.00550"),
        ("TotalAmount", "0.00550"),
        ("Sequence", "3"),
        ("QueuedTime", "2026-01-01 00:00:00.000000"),
        ("SentTime", "2026-01-01 00:00:00.000000"),
        ("DeliveryReportTime", "2026-01-01 00:00:00.000000"),
        ("ErrorCode", "000"),
        ("MCC", "310"),
        ("MNC", "004"),
    ]
).decode()
MakeDatabase = Callable[[Path], AbstractContextManager[Database]]
PENDING: Final = 30_000
RUNS: Final = 3
LAYOUTS: Final = {"": (("web",), ("deliver",), ("deliver",)), "_one_process": ((),)}
LIMITS: Final = {
    "RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.1",
    "RINGBACK_DELIVERY__ENDPOINT_CONCURRENCY": "256",
}


def run(directory: Path) -> Report:
    """Deliver a backlog to one fast endpoint, on both databases."""
    figures: dict[str, Figure] = {}
    static: list[float] = []
    for kind, make in DATABASES.items():
        for layout, roles in LAYOUTS.items():
            name = f"{kind}{layout}"
            runs = [_drain(make, directory / f"delivery-{name}-{number}", roles, static) for number in range(RUNS)]
            for rate, cpu_us, usage in runs:
                progress(f"delivery {name}: {rate:,.0f}/s, {cpu_us:.0f} µs each, {usage.peak_rss_mb:.0f} MB")
            figures[f"delivered_per_s_{name}"] = Figure(median([rate for rate, _, _ in runs]), "callbacks/s")
            figures[f"cpu_per_callback_{name}"] = Figure(
                median([cpu_us for _, cpu_us, _ in runs]), "µs, Ringback's processes"
            )
            figures[f"peak_rss_{name}"] = Figure(max(usage.peak_rss_mb for _, _, usage in runs), "MB")
    figures["ratio_to_yardstick"] = Figure(
        figures["delivered_per_s_sqlite"].value / median(static), "of what wrk posts to the same endpoint"
    )
    return Report(
        name="delivery",
        yardstick={"wrk_posts_per_s": round(median(static)), "same_endpoint": "nginx, static 200"},
        figures=figures,
        targets=[
            Target("delivered_per_s_sqlite", "at least", 3000),
            Target("delivered_per_s_postgres", "at least", 2000),
            Target("peak_rss_sqlite", "at most", 300),
        ],
    )


def _drain(
    make: Callable[[Path], AbstractContextManager[Database]],
    place: Path,
    roles: tuple[tuple[str, ...], ...],
    static: list[float],
) -> tuple[float, float, Usage]:
    place.mkdir(parents=True)
    with nginx(place / "nginx") as sink, make(place) as database:
        static.append(wrk(sink.url, "post", connections=64, duration_s=2).ok_per_s)
        database.use(lambda tx: owe(tx, PENDING, [f"{sink.url}/status"]))
        with ringback({**database.environment, **LIMITS}, place / "ringback.log", roles=roles) as server:
            rate, cpu_us = _measure(server, database)
            return rate, cpu_us, server.usage()


def _measure(server: Ringback, database: Database) -> tuple[float, float]:
    """Measure between the first tenth and the last: starting and ending are no part of a steady state."""
    before_n, before_s, before_cpu_s = _when(server, database, PENDING // 10)
    after_n, after_s, after_cpu_s = _when(server, database, PENDING * 9 // 10)
    done = after_n - before_n
    return done / (after_s - before_s), (after_cpu_s - before_cpu_s) / done * 1e6


def _when(server: Ringback, database: Database, count: int) -> tuple[int, float, float]:
    until_s = time.monotonic() + 120
    while (made := int(database.ask("SELECT count(*) FROM attempts"))) < count:
        if time.monotonic() > until_s:
            raise SystemExit(f"only {made} of {count} callbacks were delivered within 120 s")
        time.sleep(0.2)
    return made, time.monotonic(), server.usage().cpu_s


def owe(tx: Transaction, count: int, urls: list[str], *, due_at_us: int | None = None) -> None:
    """Store an account and callbacks that it owes, spread over ``urls``."""
    now_us = time.time_ns() // 1000
    if accounts.find(tx, ACCOUNT, now_us) is None:
        accounts.create(tx, auth_id=ACCOUNT, token=TOKEN, name="benchmark", now_us=now_us)
    for at in range(0, count, 1000):
        callbacks.owe(
            tx,
            [
                NewCallback(
                    id=uuid7(now_us, os.urandom(8)),
                    account_id=ACCOUNT,
                    message_uuid=uuid7(now_us, os.urandom(8)),
                    sequence=1,
                    url=urls[number % len(urls)],
                    method="POST",
                    endpoint=urls[number % len(urls)].rpartition("/")[0],
                    params=PARAMS,
                    created_at_us=due_at_us or now_us,
                )
                for number in range(at, min(at + 1000, count))
            ],
        )
