"""The analytics at scale: made-up history, rebuilt, asked through every page, and added to while pages are read."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.analytics_ingest import Ingested, ingest, wait_until_current, wait_until_summed
from benchmarks.analytics_pages import PAGES, PERIODS, Entrance, Readers, address, entrance, times_ms
from benchmarks.analytics_yardstick import ASKED, DAY_US, sqlite_ms
from benchmarks.processes import RINGBACK, Process, ringback
from benchmarks.report import Figure, Report, Target, median, percentile, progress
from ringback.analytics.duck import FILE, DuckEngine
from ringback.analytics.filters import Filter
from ringback.analytics.questions import Questions
from ringback.runtime import SystemClock
from ringback.settings_analytics import AnalyticsSettings
from ringback.store.sqlite import FILE_NAME

DAYS: Final = 90
READERS: Final = 2
RATE: Final = 12_000
"""Events a second that are written: somewhat more than have to be taken in."""
PAINTS: Final = 3
MADE: Final = "made.json"
"""In a history that is copied: what the command printed when it was made."""
QUIET_S: Final = 600.0
"""So long, at most, for days to be sealed before pages are asked for."""
SEALED_AFTER_S: Final = 15.0
"""When none has been sealed for so long, all are."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    messages: int = 250_000
    """The full run has 5,000,000."""
    runs: int = 10
    """Of each page and period."""
    ingest_s: float = 30.0
    history: Path | None = None
    """A data directory of ``ringback generate`` to copy, in place of making one, with what it printed in ``MADE``."""


class _Place(msgspec.Struct, frozen=True):
    data: Path

    @property
    def analytics(self) -> Path:
        """Where the analytics are."""
        return self.data / "analytics"

    @property
    def environment(self) -> dict[str, str]:
        """Settings with which Ringback uses it."""
        return {"RINGBACK_STORE__DATA_DIR": str(self.data)}


def run(directory: Path, size: Size | None = None) -> Report:
    """Measure everything, in the order in which one thing needs the other."""
    size = size or Size()
    place = _Place(directory / "analytics")
    figures: dict[str, Figure] = {}
    made = _history(place, size, figures)
    until_us = made["until_us"]
    with ringback(place.environment, directory / "rebuild.log") as server:
        _rebuild(place, server.processes[0], made["events"], figures, "rebuild")
        _wait_for_days(place, figures)
    for name in (FILE, f"{FILE}.wal"):
        (place.analytics / name).unlink(missing_ok=True)
    with ringback(place.environment, directory / "rebuild_from_days.log") as server:
        _rebuild(place, server.processes[0], made["events"], figures, "rebuild_from_days")
        wait_until_summed(place.analytics, int(figures["sealed_days"].value), longest_s=QUIET_S)
    figures["analytics_file_size"] = Figure((place.analytics / FILE).stat().st_size / 1e6, "MB")
    figures["analytics_days_size"] = Figure(_bytes(place.analytics.rglob("*.parquet")) / 1e6, "MB")
    _forget(place.analytics / FILE)
    with ringback(place.environment, directory / "pages.log") as server:
        wait_until_current(place.analytics, made["events"])
        with entrance(server.url, place.environment) as door:
            _cold(door, until_us, figures)
            _warm(door, until_us, size.runs, figures)
            _paint(door, until_us, figures)
        readers = Readers([door.visitor() for _ in range(READERS)], until_us)
        _ingest(place, server.processes[0], readers, size.ingest_s, figures)
    yardstick = _yardstick(place, until_us, size.runs, figures)
    return Report(
        name="analytics",
        yardstick={"messages": made["messages"], "events": made["events"], **yardstick},
        figures=figures,
        targets=_targets(),
    )


def _targets() -> list[Target]:
    return [
        Target("rebuild_rate", "at least", 300_000),
        Target("rebuild_from_days_rate", "at least", 300_000),
        *(Target(f"pages_{period}_p95", "at most", 150) for period in PERIODS),
        Target("first_paint_max", "at most", 300),
        Target("ingest_projected_rate", "at least", 10_000),
        Target("rebuild_peak_rss", "at most", 1_200),
        Target("rebuild_from_days_peak_rss", "at most", 1_200),
        Target("ingest_peak_rss", "at most", 1_200),
    ]


def _history(place: _Place, size: Size, figures: dict[str, Figure]) -> dict[str, Any]:
    if size.history is not None:
        progress(f"analytics: copying {size.history} ...")
        place.data.mkdir(parents=True)
        shutil.copy(size.history / FILE_NAME, place.data)
        made: dict[str, Any] = json.loads((size.history / MADE).read_text())
    else:
        progress(f"analytics: making {size.messages:,} messages ...")
        command = ["generate", "--messages", str(size.messages), "--days", str(DAYS), "--seed", "1", "--json"]
        made = json.loads(_command(place, *command))
    figures["generate_rate"] = Figure(made["events_per_s"], "events/s")
    figures["store_size"] = Figure((place.data / FILE_NAME).stat().st_size / 1e6, "MB")
    return made


def _command(place: _Place, *arguments: str) -> str:
    done = subprocess.run(
        [RINGBACK, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **place.environment},
    )
    return done.stdout


def _rebuild(place: _Place, process: Process, events: int, figures: dict[str, Figure], name: str) -> None:
    progress(f"analytics: {name}: taking in {events:,} events ...")
    cpu_s = process.usage().cpu_s
    took_s, _ = wait_until_current(place.analytics, events)
    usage = process.usage()
    figures[f"{name}_rate"] = Figure(events / took_s, "events/s")
    figures[f"{name}_time"] = Figure(took_s, "s")
    # On a machine that others use as well, this says more.
    figures[f"{name}_rate_per_cpu"] = Figure(events / (usage.cpu_s - cpu_s), "events per s of CPU")
    figures[f"{name}_peak_rss"] = Figure(usage.peak_rss_mb, "MB")
    progress(f"analytics: rebuilt at {events / took_s:,.0f} events/s, {usage.peak_rss_mb:,.0f} MB at most")


def _wait_for_days(place: _Place, figures: dict[str, Figure]) -> None:
    progress("analytics: sealing days ...")
    began_s = last_s = time.monotonic()
    sealed = 0
    while time.monotonic() - began_s < QUIET_S and time.monotonic() - last_s < SEALED_AFTER_S:
        found = len(list(place.analytics.rglob("messages-*.parquet")))
        if found > sealed:
            sealed, last_s = found, time.monotonic()
        time.sleep(0.2)
    figures["sealed_days"] = Figure(sealed, "days")
    figures["seal_rate"] = Figure(sealed / max(last_s - began_s, 0.001), "days/s")


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _forget(path: Path) -> None:
    """Have the operating system drop a file from its memory."""
    with path.open("rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _cold(door: Entrance, until_us: int, figures: dict[str, Figure]) -> None:
    """Ask for each page for the first time: nothing of the file is in memory at the beginning, and no answer is."""
    progress("analytics: pages, cold ...")
    visitor = door.visitor()
    times = [visitor.ms(address(page, days, until_us)) for days in reversed(list(PERIODS.values())) for page in PAGES]
    figures["pages_cold_first"] = Figure(times[0], "ms")
    figures["pages_cold_p95"] = Figure(percentile(times, 0.95), "ms")


def _warm(door: Entrance, until_us: int, runs: int, figures: dict[str, Figure]) -> None:
    visitor = door.visitor()
    for period, days in PERIODS.items():
        everything: list[float] = []
        for page in PAGES:
            times = times_ms(visitor, page, days, until_us, runs)
            everything += times
            figures[f"{page}_{period}_p50"] = Figure(median(times), "ms")
            figures[f"{page}_{period}_p95"] = Figure(percentile(times, 0.95), "ms")
        figures[f"pages_{period}_p50"] = Figure(median(everything), "ms")
        figures[f"pages_{period}_p95"] = Figure(percentile(everything, 0.95), "ms")
        progress(
            f"analytics: pages, {period}: p50 {median(everything):.0f} ms, p95 {percentile(everything, 0.95):.0f} ms"
        )
        # As people open them: the same address again, of which an answer may be kept.
        again = [visitor.ms(f"{path}{'&' if '?' in path else '?'}period={period}") for path in PAGES.values()
                 for _ in range(runs)]  # fmt: skip
        figures[f"pages_{period}_again_p95"] = Figure(percentile(again, 0.95), "ms")


def _paint(door: Entrance, until_us: int, figures: dict[str, Figure]) -> None:
    progress("analytics: first paints ...")
    first, ready = {}, {}
    for period, days in PERIODS.items():
        for page in PAGES:
            found = [door.painted_ms(address(page, days, until_us - run * 60_000_000)) for run in range(PAINTS)]
            first[page, period] = median([painted for painted, _ in found])
            ready[page, period] = median([whole for _, whole in found])
        figures[f"first_paint_{period}_p50"] = Figure(median([first[page, period] for page in PAGES]), "ms")
        figures[f"charts_drawn_{period}_p50"] = Figure(median([ready[page, period] for page in PAGES]), "ms")
    figures["first_paint_max"] = Figure(max(first.values()), "ms")
    figures["charts_drawn_max"] = Figure(max(ready.values()), "ms")


def _ingest(
    place: _Place, process: Process, readers: Readers, seconds: float, figures: dict[str, Figure]
) -> None:  # fmt: skip
    progress(f"analytics: {RATE:,} events/s for {seconds:g} s, with {READERS} readers ...")
    # From here on the peak is that of this part.
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    readers.start()
    try:
        found: Ingested = ingest(place.data, place.analytics, rate=RATE, seconds=seconds)
    finally:
        readers.stop()
    figures["ingest_written_rate"] = Figure(found.written_per_s, "events/s")
    figures["ingest_projected_rate"] = Figure(found.projected_per_s, "events/s")
    for name, value in (
        ("p50", median(found.lags_s)), ("p95", percentile(found.lags_s, 0.95)), ("max", max(found.lags_s)),
    ):  # fmt: skip
        figures[f"ingest_lag_{name}"] = Figure(value, "s")
    for period, times in readers.times_ms.items():
        figures[f"pages_{period}_while_ingesting_p95"] = Figure(percentile(times, 0.95), "ms")
    figures["ingest_peak_rss"] = Figure(process.usage().peak_rss_mb, "MB")


def _yardstick(place: _Place, until_us: int, runs: int, figures: dict[str, Figure]) -> dict[str, Any]:
    """Ask the same of DuckDB and of SQLite, without pages; gives what SQLite took."""
    ours = asyncio.run(_duckdb_ms(place.analytics, until_us, runs))
    theirs = sqlite_ms(place.data / FILE_NAME, until_us)
    for name, times in ours.items():
        figures[f"question_{name}_p50"] = Figure(median(times), "ms")
        figures[f"question_{name}_p95"] = Figure(percentile(times, 0.95), "ms")
        figures[f"question_{name}_sqlite_ratio"] = Figure(theirs[name] / median(times), "x")
    return {f"sqlite_{name}_ms": round(value, 1) for name, value in theirs.items()}


async def _duckdb_ms(directory: Path, until_us: int, runs: int) -> Mapping[str, list[float]]:
    settings, clock = AnalyticsSettings(), SystemClock()
    found: dict[str, list[float]] = {}
    async with DuckEngine(directory, settings, read_only=True) as engine:
        for name, asked in ASKED.items():
            chosen = Filter(since_us=until_us - asked.days * DAY_US, until_us=until_us)
            found[name] = []
            for _ in range(runs):
                # Another one each time: an answer that is kept would be given again.
                ask = asked.duckdb(Questions(engine, settings, clock), chosen)
                started_s = time.perf_counter()
                await ask
                found[name].append((time.perf_counter() - started_s) * 1000)
    return found


def of_size(size: Size) -> Callable[[Path], Report]:
    """Return the benchmark for another size."""
    return lambda directory: run(directory, size)
