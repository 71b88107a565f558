"""Messages accepted per second: each 202 leaves after the commit of what it acknowledges."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.processes import create_account, nginx, ringback, wrk
from benchmarks.report import Figure, Report, Target, median, progress

CONNECTIONS = 128
DURATION_S = 8
RUNS = 3


def run(directory: Path) -> Report:
    """Accept messages that owe callbacks, with every other part of Ringback at work beside."""
    rates: list[float] = []
    static: list[float] = []
    p95s: list[float] = []
    cpus: list[float] = []
    lost = peak_mb = 0.0
    for number in range(1, RUNS + 1):
        place = directory / f"accept-{number}"
        environment = {"RINGBACK_STORE__DATA_DIR": str(place / "data")}
        place.mkdir(parents=True)
        auth_id, token = create_account(environment)
        path = f"/v1/Account/{auth_id}/Message/"
        basic = "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()
        with nginx(place / "nginx") as sink:
            arguments = (basic, path, f"{sink.url}/status")
            static.append(wrk(sink.url, "send", *arguments, connections=CONNECTIONS, duration_s=DURATION_S // 2).ok_per_s)
            with ringback(environment, place / "ringback.log") as server:
                before = server.usage()
                load = wrk(server.url, "send", *arguments, connections=CONNECTIONS, duration_s=DURATION_S)
                after = server.usage()
        with closing(sqlite3.connect(place / "data" / "ringback.db")) as database:
            stored = database.execute("SELECT count(*) FROM messages").fetchone()[0]
        rates.append(load.ok_per_s)
        p95s.append(load.p95_ms)
        cpus.append((after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6)
        lost += max(load.ok - stored, 0)
        peak_mb = max(peak_mb, after.peak_rss_mb)
        progress(f"accept {number}/{RUNS}: {load.ok_per_s:,.0f}/s, {load.refused} refused, {load.broken} broken")
    return Report(
        name="accept",
        yardstick={"nginx_static_per_s": round(median(static)), "same_load": "wrk, 1 thread, 128 connections"},
        figures={
            "accepted_per_s": Figure(median(rates), "messages/s"),
            "ratio_to_yardstick": Figure(median(rates) / median(static), "of nginx's static answers"),
            "p95": Figure(median(p95s), "ms"),
            "cpu_per_message": Figure(median(cpus), "µs, all that runs beside included"),
            "peak_rss": Figure(peak_mb, "MB"),
            "lost": Figure(lost, "messages acknowledged and not stored"),
        },
        targets=[
            Target("accepted_per_s", "at least", 3000),
            Target("lost", "at most", 0),
        ],
    )
