"""Callbacks received per second: verified with V3, stored raw and normalised, then answered 200."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.processes import nginx, ringback, wrk
from benchmarks.report import Figure, Report, Target, median, progress
from ringback.dialect.signatures import callback_headers
from ringback.model.ids import uuid7

CONNECTIONS = 128
DURATION_S = 8
RUNS = 3
DIFFERENT = 90_000
PATH = "/hooks/benchmark/sms_status"
PUBLIC_URL = "https://hooks.example.com"
TOKEN = "benchmark-token"


def run(directory: Path) -> Report:
    """Receive callbacks of different messages, three for each, signed beforehand."""
    progress(f"receive: signing {DIFFERENT:,} callbacks ...")
    directory.mkdir(parents=True, exist_ok=True)
    requests = directory / "callbacks.tsv"
    with requests.open("w") as file:
        file.writelines(_signed(number) for number in range(DIFFERENT))
    rates: list[float] = []
    static: list[float] = []
    p95s: list[float] = []
    cpus: list[float] = []
    lost = peak_mb = 0.0
    for number in range(1, RUNS + 1):
        place = directory / f"receive-{number}"
        environment = {
            "RINGBACK_STORE__DATA_DIR": str(place / "data"),
            "RINGBACK_SOURCES__BENCHMARK__TOKENS": TOKEN,
            "RINGBACK_SOURCES__BENCHMARK__PUBLIC_URL": PUBLIC_URL,
        }
        with nginx(place / "nginx") as sink:
            arguments = (str(requests), PATH)
            static.append(
                wrk(sink.url, "callbacks", *arguments, connections=CONNECTIONS, duration_s=DURATION_S // 2).ok_per_s
            )
        with ringback(environment, place / "ringback.log") as server:
            before = server.usage()
            load = wrk(server.url, "callbacks", *arguments, connections=CONNECTIONS, duration_s=DURATION_S)
            after = server.usage()
        with closing(sqlite3.connect(place / "data" / "ringback.db")) as database:
            stored = database.execute("SELECT count(*) FROM received_requests WHERE accepted").fetchone()[0]
        rates.append(load.ok_per_s)
        p95s.append(load.p95_ms)
        cpus.append((after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6)
        lost += max(load.ok - stored, 0)
        peak_mb = max(peak_mb, after.peak_rss_mb)
        progress(f"receive {number}/{RUNS}: {load.ok_per_s:,.0f}/s, {load.refused} refused, {load.broken} broken")
    return Report(
        name="receive",
        yardstick={"nginx_static_per_s": round(median(static)), "same_load": "wrk, 1 thread, 128 connections"},
        figures={
            "received_per_s": Figure(median(rates), "callbacks/s"),
            "ratio_to_yardstick": Figure(median(rates) / median(static), "of nginx's static answers"),
            "p95": Figure(median(p95s), "ms"),
            "cpu_per_callback": Figure(median(cpus), "µs"),
            "peak_rss": Figure(peak_mb, "MB"),
            "lost": Figure(lost, "callbacks acknowledged and not stored"),
        },
        targets=[
            Target("received_per_s", "at least", 6000),
            Target("lost", "at most", 0),
        ],
    )


def _signed(number: int) -> str:
    message, sequence = divmod(number, 3)
    params = [
        ("From", "15005550100"),
        ("To", f"1415555{message % 10_000:04d}"),
        ("MessageUUID", uuid7(1_764_000_000_000_000 + message, message.to_bytes(10, "big"))),
        ("Status", ("queued", "sent", "delivered")[sequence]),
        ("Sequence", str(sequence + 1)),
        ("Units", "1"),
        ("TotalRate", "0.00550"),
        ("TotalAmount", "0.00550"),
        ("MCC", "310"),
        ("MNC", "004"),
        ("ErrorCode", "000"),
        ("ParentMessageUUID", uuid7(1_764_000_000_000_000 + message, message.to_bytes(10, "big"))),
        ("PartInfo", "1 of 1"),
    ]
    nonce = str(10**19 + number)
    headers = dict(
        callback_headers(
            "POST", PUBLIC_URL + PATH, params, nonce_v2=nonce, nonce_v3=nonce, tokens=(TOKEN,), main_tokens=(TOKEN,)
        )
    )
    return f"{nonce}\t{headers['X-Plivo-Signature-V3']}\t{urlencode(params)}\n"
