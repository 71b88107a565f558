"""Callbacks received per second: verified with V3, stored raw and normalised, then answered 200.

Beside it the same load on what people write themselves, and a burst while the database is held.
"""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec

from benchmarks import flask_receiver
from benchmarks.layouts import CONNECTIONS, DURATION_S, RUNS, Roles, Run, measure
from benchmarks.processes import Process, Ringback, ended, free_port, nginx, ringback, wait_for_port, wrk
from benchmarks.report import Figure, Report, Target, median, progress
from ringback.dialect.signatures import callback_headers
from ringback.model.ids import uuid7

DIFFERENT = 90_000
LAYOUTS: Final[dict[str, Roles]] = {"": (("web",), ("web",)), "_one_process": ((),)}
PATH = "/hooks/benchmark/sms_status"
PUBLIC_URL = "https://hooks.example.com"
TOKEN = "benchmark-token"

WORKERS: Final[dict[str, tuple[str, ...]]] = {"sync": (), "gthread": ("--threads", "8")}
"""Kinds of gunicorn's workers that suit Flask, two workers of each."""

BURST: Final = 100_000
BURST_CONNECTIONS: Final = 1_000
BURST_MAX_WAITING: Final = 500
BURST_MOST_S: Final = 900
HELD_S: Final = 3.0
"""For so long the database is held by somebody else; below the time that a transaction waits for it."""
FREE_S: Final = 0.5


def run(directory: Path) -> Report:
    """Receive callbacks of different messages, three for each, signed beforehand."""
    progress(f"receive: signing {DIFFERENT:,} callbacks ...")
    directory.mkdir(parents=True, exist_ok=True)
    requests = directory / "callbacks.tsv"
    with requests.open("w") as file:
        file.writelines(_signed(number) for number in range(DIFFERENT))
    report = measure(
        "receive",
        "received callbacks",
        layouts=LAYOUTS,
        run=lambda name, roles: _run(directory / name, requests, roles),
        least_per_s=10_000,
    )
    flask = _flask_figures(directory, requests)
    rate = max(report.figures[f"received_per_s{layout}"].value for layout in LAYOUTS)
    ratio = {
        "ratio_to_flask": Figure(rate / flask["flask_per_s"].value, "the better layout to the better kind of workers")
    }
    return Report(
        name=report.name,
        yardstick=report.yardstick,
        figures=report.figures | flask | ratio | _burst_figures(directory / "burst", requests),
        targets=[
            *report.targets,
            Target("ratio_to_flask", "at least", 8),
            Target("peak_rss", "at most", 250),
            Target("burst_lost", "at most", 0),
            Target("burst_broken", "at most", 0),
            Target("burst_peak_rss", "at most", 250),
        ],
    )


def _environment(place: Path) -> dict[str, str]:
    return {
        "RINGBACK_STORE__DATA_DIR": str(place / "data"),
        "RINGBACK_SERVER__SHARE_PORT": "true",
        "RINGBACK_SOURCES__BENCHMARK__TOKENS": TOKEN,
        "RINGBACK_SOURCES__BENCHMARK__PUBLIC_URL": PUBLIC_URL,
    }


def _run(place: Path, requests: Path, roles: Roles) -> Run:
    with nginx(place / "nginx") as sink:
        static = wrk(sink.url, "callbacks", str(requests), PATH, connections=CONNECTIONS, duration_s=DURATION_S // 2)
    with ringback(_environment(place), place / "ringback.log", roles=roles) as server:
        measured = _loaded(server, requests, static.ok_per_s)
    return _with_lost(measured, _stored(place / "data" / "ringback.db", "received_requests WHERE accepted"))


def _loaded(server: Ringback, requests: Path, static_per_s: float) -> Run:
    before = server.usage()
    load = wrk(server.url, "callbacks", str(requests), PATH, connections=CONNECTIONS, duration_s=DURATION_S)
    after = server.usage()
    return Run(
        load=load,
        static_per_s=static_per_s,
        cpu_us=(after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6,
        peak_rss_mb=after.peak_rss_mb,
        lost=0,
    )


def _with_lost(run: Run, stored: int) -> Run:
    return msgspec.structs.replace(run, lost=max(run.load.ok - stored, 0))


def _stored(path: Path, what: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        stored: int = database.execute(f"SELECT count(*) FROM {what}").fetchone()[0]  # noqa: S608 - ours
    return stored


def _flask_figures(directory: Path, requests: Path) -> dict[str, Figure]:
    """Measure what people write themselves with each kind of workers; the better one is given in full."""
    runs: dict[str, list[Run]] = {}
    for kind in WORKERS:
        runs[kind] = [_run_flask(directory / f"flask-{kind}-{number}", requests, kind) for number in range(RUNS)]
        told = ", ".join(f"{each.load.ok_per_s:,.0f}/s" for each in runs[kind])
        progress(f"receive: Flask with {kind} workers: {told}")
    rates = {kind: median([each.load.ok_per_s for each in these]) for kind, these in runs.items()}
    best = runs[max(rates, key=lambda kind: rates[kind])]
    return {
        **{f"flask_per_s_{kind}": Figure(rate, "callbacks/s") for kind, rate in rates.items()},
        "flask_per_s": Figure(max(rates.values()), "callbacks/s"),
        "flask_p50": Figure(median([each.load.p50_ms for each in best]), "ms"),
        "flask_p99": Figure(median([each.load.p99_ms for each in best]), "ms"),
        "flask_cpu_per_callback": Figure(median([each.cpu_us for each in best]), "µs"),
        "flask_peak_rss": Figure(max(each.peak_rss_mb for each in best), "MB"),
        "flask_lost": Figure(sum(each.lost for each in best), "callbacks acknowledged and not stored"),
    }


def _run_flask(place: Path, requests: Path, kind: str) -> Run:
    place.mkdir(parents=True)
    with _flask(place, kind) as server:
        measured = _loaded(server, requests, float("nan"))
    return _with_lost(measured, _stored(place / "callbacks.db", "callbacks"))


@contextmanager
def _flask(place: Path, kind: str) -> Iterator[Ringback]:
    database = str(place / "callbacks.db")
    flask_receiver.prepare(database)
    port = free_port()
    served = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--workers", "2", "--worker-class", kind, *WORKERS[kind]),
            *("--bind", f"127.0.0.1:{port}", "--log-level", "error", "--worker-tmp-dir", str(place)),
            "benchmarks.flask_receiver:app",
        ],
        env={
            **os.environ,
            "FLASK_RECEIVER_TOKEN": TOKEN,
            "FLASK_RECEIVER_PUBLIC_URL": PUBLIC_URL,
            "FLASK_RECEIVER_DATABASE": database,
        },
    )
    try:
        wait_for_port(port, served)
        workers = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text().split()
        pids = [served.pid, *map(int, workers)]
        yield Ringback(f"http://127.0.0.1:{port}", [Process(pid, "") for pid in pids])
    finally:
        ended(served)


def _burst_figures(place: Path, requests: Path) -> dict[str, Figure]:
    """Offer a burst while somebody else holds the database most of the time."""
    environment = {
        **_environment(place),
        "RINGBACK_SERVER__MAX_WAITING_REQUESTS": str(BURST_MAX_WAITING),
    }
    database = place / "data" / "ringback.db"
    place.mkdir(parents=True)
    with ringback(environment, place / "ringback.log", roles=(("web",),)) as server:
        before = server.usage()
        with _held(database):
            load = wrk(
                *(server.url, "callbacks", str(requests), PATH, str(BURST)),
                connections=BURST_CONNECTIONS,
                duration_s=BURST_MOST_S,
            )
        after = server.usage()
    stored = _stored(database, "received_requests WHERE accepted")
    progress(f"receive: burst of {BURST:,}: {load.ok:,} answered 200, {load.refused:,} refused, {stored:,} stored")
    return {
        "burst_answered_200": Figure(load.ok, f"of {BURST:,} callbacks, {BURST_CONNECTIONS:,} at once"),
        "burst_answered_503": Figure(load.refused, "callbacks, to be sent again"),
        "burst_broken": Figure(BURST - load.answered, "callbacks without an answer"),
        "burst_offered_per_s": Figure(load.answered / load.duration_s, "callbacks/s"),
        "burst_rss_before": Figure(before.rss_mb, "MB"),
        "burst_peak_rss": Figure(after.peak_rss_mb, "MB"),
        "burst_lost": Figure(max(load.ok - stored, 0), "callbacks acknowledged and not stored"),
    }


@contextmanager
def _held(database: Path) -> Iterator[None]:
    """Hold the database again and again, as somebody does who writes a lot."""
    stopping = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
            while not stopping.is_set():
                connection.execute("BEGIN IMMEDIATE")
                stopping.wait(HELD_S)
                connection.execute("ROLLBACK")
                stopping.wait(FREE_S)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        stopping.set()
        holder.join()


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
