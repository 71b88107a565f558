"""Callbacks received per second: verified with V3, stored raw and normalised, then answered 200."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec

from benchmarks.processes import Load, nginx, ringback, wrk
from benchmarks.report import Figure, Report, Target, median, progress
from ringback.dialect.signatures import callback_headers
from ringback.model.ids import uuid7

CONNECTIONS = 128
DURATION_S = 8
RUNS = 3
DIFFERENT = 90_000
LAYOUTS: Final[dict[str, Sequence[Sequence[str]]]] = {"": (("web",), ("web",)), "_one_process": ((),)}
PATH = "/hooks/benchmark/sms_status"
PUBLIC_URL = "https://hooks.example.com"
TOKEN = "benchmark-token"


class _Run(msgspec.Struct, frozen=True):
    load: Load
    static_per_s: float
    cpu_us: float
    peak_rss_mb: float
    lost: int


def run(directory: Path) -> Report:
    """Receive callbacks of different messages, three for each, signed beforehand."""
    progress(f"receive: signing {DIFFERENT:,} callbacks ...")
    directory.mkdir(parents=True, exist_ok=True)
    requests = directory / "callbacks.tsv"
    with requests.open("w") as file:
        file.writelines(_signed(number) for number in range(DIFFERENT))
    figures: dict[str, Figure] = {}
    static: list[float] = []
    lost = 0
    for layout, roles in LAYOUTS.items():
        runs = [_run(directory / f"receive{layout}-{number}", requests, roles) for number in range(RUNS)]
        for each in runs:
            progress(
                f"receive{layout}: {each.load.ok_per_s:,.0f}/s, {each.load.refused} refused, {each.load.broken} broken"
            )
        static += [each.static_per_s for each in runs]
        lost += sum(each.lost for each in runs)
        rate = median([each.load.ok_per_s for each in runs])
        figures |= {
            f"received_per_s{layout}": Figure(rate, "callbacks/s"),
            f"ratio_to_yardstick{layout}": Figure(rate / median(static), "of nginx's static answers"),
            f"p95{layout}": Figure(median([each.load.p95_ms for each in runs]), "ms"),
            f"cpu_per_callback{layout}": Figure(median([each.cpu_us for each in runs]), "µs"),
            f"peak_rss{layout}": Figure(max(each.peak_rss_mb for each in runs), "MB"),
        }
    figures["lost"] = Figure(lost, "callbacks acknowledged and not stored")
    return Report(
        name="receive",
        yardstick={
            "nginx_static_per_s": round(median(static)),
            "same_load": f"wrk, 1 thread, {CONNECTIONS} connections",
        },
        figures=figures,
        targets=[Target("received_per_s", "at least", 6000), Target("lost", "at most", 0)],
    )


def _run(place: Path, requests: Path, roles: Sequence[Sequence[str]]) -> _Run:
    environment = {
        "RINGBACK_STORE__DATA_DIR": str(place / "data"),
        "RINGBACK_SERVER__SHARE_PORT": "true",
        "RINGBACK_SOURCES__BENCHMARK__TOKENS": TOKEN,
        "RINGBACK_SOURCES__BENCHMARK__PUBLIC_URL": PUBLIC_URL,
    }
    arguments = (str(requests), PATH)
    with nginx(place / "nginx") as sink:
        static = wrk(sink.url, "callbacks", *arguments, connections=CONNECTIONS, duration_s=DURATION_S // 2)
    with ringback(environment, place / "ringback.log", roles=roles) as server:
        before = server.usage()
        load = wrk(server.url, "callbacks", *arguments, connections=CONNECTIONS, duration_s=DURATION_S)
        after = server.usage()
    with closing(sqlite3.connect(place / "data" / "ringback.db")) as database:
        stored = database.execute("SELECT count(*) FROM received_requests WHERE accepted").fetchone()[0]
    return _Run(
        load=load,
        static_per_s=static.ok_per_s,
        cpu_us=(after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6,
        peak_rss_mb=after.peak_rss_mb,
        lost=max(load.ok - stored, 0),
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
