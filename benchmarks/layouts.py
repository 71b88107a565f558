"""The same load on processes with roles of their own and on one process for everything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from benchmarks.processes import Load
from benchmarks.report import Figure, Report, Target, median, progress

CONNECTIONS: Final = 128
DURATION_S: Final = 8
RUNS: Final = 3

Roles = Sequence[Sequence[str]]
"""The roles of each process."""


class Run(msgspec.Struct, frozen=True):
    """What one run gave."""

    load: Load
    static_per_s: float
    """The yardstick, measured right before."""
    cpu_us: float
    """For each request that was answered well."""
    peak_rss_mb: float
    lost: int
    meanwhile: int = 0
    """Attempts made beside."""


def measure(
    name: str, done: str, *, layouts: Mapping[str, Roles], run: Callable[[str, Roles], Run], least_per_s: float
) -> Report:
    """Run every layout three times. ``done`` says what a good answer stands for, such as ``accepted messages``."""
    verb, things = done.split()
    figures: dict[str, Figure] = {}
    static: list[float] = []
    lost = 0
    for layout, roles in layouts.items():
        runs = [run(f"{name}{layout}-{number}", roles) for number in range(RUNS)]
        for each in runs:
            progress(
                f"{name}{layout}: {each.load.ok_per_s:,.0f}/s, {each.load.refused} refused, {each.load.broken} broken"
            )
        static += [each.static_per_s for each in runs]
        lost += sum(each.lost for each in runs)
        figures |= _figures(layout, runs, verb=verb, things=things, static_per_s=median(static))
    figures["lost"] = Figure(lost, f"{things} acknowledged and not stored")
    return Report(
        name=name,
        yardstick={
            "nginx_static_per_s": round(median(static)),
            "same_load": f"wrk, 1 thread, {CONNECTIONS} connections",
        },
        figures=figures,
        targets=[Target(f"{verb}_per_s", "at least", least_per_s), Target("lost", "at most", 0)],
    )


def _figures(layout: str, runs: Sequence[Run], *, verb: str, things: str, static_per_s: float) -> dict[str, Figure]:
    rate = median([each.load.ok_per_s for each in runs])
    beside = median([each.meanwhile / each.load.duration_s for each in runs])
    figures = {
        f"{verb}_per_s{layout}": Figure(rate, f"{things}/s"),
        f"ratio_to_yardstick{layout}": Figure(rate / static_per_s, "of nginx's static answers"),
        f"p50{layout}": Figure(median([each.load.p50_ms for each in runs]), "ms"),
        f"p95{layout}": Figure(median([each.load.p95_ms for each in runs]), "ms"),
        f"p99{layout}": Figure(median([each.load.p99_ms for each in runs]), "ms"),
        f"cpu_per_{things.removesuffix('s')}{layout}": Figure(
            median([each.cpu_us for each in runs]), "µs, all that runs beside included"
        ),
        f"peak_rss{layout}": Figure(max(each.peak_rss_mb for each in runs), "MB"),
    }
    if beside:
        figures[f"attempts_beside_per_s{layout}"] = Figure(beside, "callbacks/s made meanwhile")
    return figures
