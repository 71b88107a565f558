"""Messages accepted per second: each 202 leaves after the commit of what it acknowledges."""

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.layouts import CONNECTIONS, DURATION_S, Roles, Run, measure
from benchmarks.processes import create_account, nginx, ringback, wrk
from benchmarks.report import Report

LAYOUTS: Final[dict[str, Roles]] = {
    "": (("web",), ("submit", "deliver")),
    "_one_process": ((),),
}


def run(directory: Path) -> Report:
    """Accept messages that owe callbacks, with every other part of Ringback at work beside."""
    return measure(
        "accept",
        "accepted messages",
        layouts=LAYOUTS,
        run=lambda name, roles: _run(directory / name, roles),
        least_per_s=3000,
    )


def _run(place: Path, roles: Roles) -> Run:
    environment = {
        "RINGBACK_STORE__DATA_DIR": str(place / "data"),
        "RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.1",
    }
    place.mkdir(parents=True)
    auth_id, token = create_account(environment)
    path = f"/v1/Account/{auth_id}/Message/"
    basic = "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()
    with nginx(place / "nginx") as sink:
        arguments = (basic, path, f"{sink.url}/status")
        static = wrk(sink.url, "send", *arguments, connections=CONNECTIONS, duration_s=DURATION_S // 2)
        with ringback(environment, place / "ringback.log", roles=roles) as server:
            before = server.usage()
            load = wrk(server.url, "send", *arguments, connections=CONNECTIONS, duration_s=DURATION_S)
            after = server.usage()
            called_back = _count(place, "attempts")
    return Run(
        load=load,
        static_per_s=static.ok_per_s,
        cpu_us=(after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6,
        peak_rss_mb=after.peak_rss_mb,
        lost=max(load.ok - _count(place, "messages"), 0),
        meanwhile=called_back,
    )


def _count(place: Path, table: str) -> int:
    with closing(sqlite3.connect(place / "data" / "ringback.db")) as database:
        total: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - own names
    return total
