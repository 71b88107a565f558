"""When an endpoint fails and comes back: how exact retries are, and how fast a backlog drains."""

import time
from pathlib import Path
from typing import Final

from benchmarks.databases import DATABASES, Database
from benchmarks.delivery import LIMITS, owe
from benchmarks.processes import free_port, nginx, ringback
from benchmarks.report import Figure, Report, Target, percentile, progress

CALLBACKS_PER_S: Final = 200
DURATION_S: Final = 8
FAILING_PERCENT: Final = 25
DELAYS_S: Final = 3
BACKLOG: Final = 10_000
TIMEOUT_S: Final = 120


def run(directory: Path) -> Report:
    """Measure both on both databases."""
    figures: dict[str, Figure] = {}
    targets: list[Target] = []
    for kind, make in DATABASES.items():
        place = directory / f"retries-{kind}"
        place.mkdir(parents=True)
        with make(place) as database:
            late_ms = _retries(database, place)
        progress(f"recovery {kind}: {len(late_ms)} retries, p99 {percentile(late_ms, 0.99):.0f} ms late")
        figures[f"retry_late_p50_{kind}"] = Figure(percentile(late_ms, 0.5), "ms after the planned time")
        figures[f"retry_late_p99_{kind}"] = Figure(percentile(late_ms, 0.99), "ms after the planned time")
        figures[f"retry_earliest_{kind}"] = Figure(min(late_ms), "ms after the planned time; below 0 is early")
        place = directory / f"drain-{kind}"
        place.mkdir(parents=True)
        with make(place) as database:
            noticed_s, drained_s = _drain(database, place)
        progress(
            f"recovery {kind}: noticed after {noticed_s:.1f} s, then 99 % of {BACKLOG:,} drained in {drained_s:.1f} s"
        )
        figures[f"outage_noticed_over_{kind}"] = Figure(noticed_s, "s from the endpoint's return to the first success")
        figures[f"drained_per_s_{kind}"] = Figure(BACKLOG * 0.99 / drained_s, "callbacks/s from the first success on")
        targets += [
            Target(f"retry_late_p99_{kind}", "at most", 250),
            Target(f"retry_earliest_{kind}", "at least", 0),
        ]
    yardstick = {"planned_pause_s": DELAYS_S, "first_probe_after_s": 30}
    return Report(name="recovery", yardstick=yardstick, figures=figures, targets=targets)


def _retries(database: Database, place: Path) -> list[float]:
    delays = ",".join([str(DELAYS_S)] * 3)
    environment = {
        **database.environment,
        **LIMITS,
        "RINGBACK_DELIVERY__RETRY_DELAYS_S": delays,
    }
    with (
        nginx(place / "nginx", failing_percent=FAILING_PERCENT) as sink,
        ringback(environment, place / "ringback.log"),
    ):
        begun_s = time.monotonic()
        for number in range(DURATION_S * 5):
            time.sleep(max(begun_s + number / 5 - time.monotonic(), 0))
            database.use(lambda tx: owe(tx, CALLBACKS_PER_S // 5, [f"{sink.url}/status"]))
        total = CALLBACKS_PER_S * DURATION_S
        _until(database, "SELECT count(*) FROM callbacks WHERE state <> 'pending'", total)
    rows = database.rows("SELECT started_at_us - planned_at_us FROM attempts WHERE number > 1")
    return [late_us / 1000 for (late_us,) in rows]


def _drain(database: Database, place: Path) -> tuple[float, float]:
    port = free_port()
    environment = {**database.environment, **LIMITS, "RINGBACK_DELIVERY__KEEP_PARKED": "true"}
    database.use(lambda tx: owe(tx, BACKLOG, [f"http://127.0.0.1:{port}/status"]))
    with ringback(environment, place / "ringback.log"):
        _until(database, "SELECT count(*) FROM endpoints WHERE state = 'open'", 1)
        with nginx(place / "nginx", port=port):
            up_at_us = time.time_ns() // 1000
            _until(database, "SELECT count(*) FROM callbacks WHERE state = 'delivered'", BACKLOG)
    started_us = [
        each for (each,) in database.rows("SELECT started_at_us FROM attempts WHERE outcome = 'ok' ORDER BY 1")
    ]
    # The few that were tried before the endpoint was parked are retried by their own plan.
    last_us = started_us[BACKLOG * 99 // 100]
    return (started_us[0] - up_at_us) / 1e6, (last_us - started_us[0]) / 1e6


def _until(database: Database, query: str, count: int) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while (found := int(database.ask(query))) < count:
        if time.monotonic() > until_s:
            raise SystemExit(f"{query}: {found} of {count} within {TIMEOUT_S} s")
        time.sleep(0.1)
