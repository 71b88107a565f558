"""Messages accepted per second: each 202 leaves after the commit of what it acknowledges."""

import base64
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.processes import Load, create_account, nginx, ringback, wrk
from benchmarks.report import Figure, Report, Target, median, progress

CONNECTIONS: Final = 128
DURATION_S: Final = 8
RUNS: Final = 3
LAYOUTS: Final[dict[str, Sequence[Sequence[str]]]] = {
    "": (("web",), ("submit", "deliver")),
    "_one_process": ((),),
}


class _Run(msgspec.Struct, frozen=True):
    load: Load
    static_per_s: float
    cpu_us: float
    peak_rss_mb: float
    lost: int
    called_back: int


def run(directory: Path) -> Report:
    """Accept messages that owe callbacks, with every other part of Ringback at work beside."""
    figures: dict[str, Figure] = {}
    static: list[float] = []
    lost = 0
    for layout, roles in LAYOUTS.items():
        runs = [_run(directory / f"accept{layout}-{number}", roles) for number in range(RUNS)]
        for each in runs:
            progress(
                f"accept{layout}: {each.load.ok_per_s:,.0f}/s, {each.load.refused} refused, {each.load.broken} broken"
            )
        static += [each.static_per_s for each in runs]
        lost += sum(each.lost for each in runs)
        rate = median([each.load.ok_per_s for each in runs])
        figures |= {
            f"accepted_per_s{layout}": Figure(rate, "messages/s"),
            f"ratio_to_yardstick{layout}": Figure(rate / median(static), "of nginx's static answers"),
            f"p95{layout}": Figure(median([each.load.p95_ms for each in runs]), "ms"),
            f"attempts_beside_per_s{layout}": Figure(
                median([each.called_back / each.load.duration_s for each in runs]), "callbacks/s made meanwhile"
            ),
            f"cpu_per_message{layout}": Figure(
                median([each.cpu_us for each in runs]), "µs, all that runs beside included"
            ),
            f"peak_rss{layout}": Figure(max(each.peak_rss_mb for each in runs), "MB"),
        }
    figures["lost"] = Figure(lost, "messages acknowledged and not stored")
    return Report(
        name="accept",
        yardstick={
            "nginx_static_per_s": round(median(static)),
            "same_load": f"wrk, 1 thread, {CONNECTIONS} connections",
        },
        figures=figures,
        targets=[Target("accepted_per_s", "at least", 3000), Target("lost", "at most", 0)],
    )


def _run(place: Path, roles: Sequence[Sequence[str]]) -> _Run:
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
    return _Run(
        load=load,
        static_per_s=static.ok_per_s,
        cpu_us=(after.cpu_s - before.cpu_s) / max(load.ok, 1) * 1e6,
        peak_rss_mb=after.peak_rss_mb,
        lost=max(load.ok - _count(place, "messages"), 0),
        called_back=called_back,
    )


def _count(place: Path, table: str) -> int:
    with closing(sqlite3.connect(place / "data" / "ringback.db")) as database:
        total: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - own names
    return total
