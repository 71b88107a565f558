"""Callbacks received per second: verified with V3, stored raw and normalised, then answered 200."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from benchmarks.layouts import CONNECTIONS, DURATION_S, Roles, Run, measure
from benchmarks.processes import nginx, ringback, wrk
from benchmarks.report import Report, progress
from ringback.dialect.signatures import callback_headers
from ringback.model.ids import uuid7

DIFFERENT = 90_000
LAYOUTS: Final[dict[str, Roles]] = {"": (("web",), ("web",)), "_one_process": ((),)}
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
    return measure(
        "receive",
        "received callbacks",
        layouts=LAYOUTS,
        run=lambda name, roles: _run(directory / name, requests, roles),
        least_per_s=6000,
    )


def _run(place: Path, requests: Path, roles: Roles) -> Run:
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
    return Run(
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
