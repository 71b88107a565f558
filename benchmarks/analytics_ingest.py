"""New traffic while pages are read, as ``analytics`` measures it: how much is taken in, and how late."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from ringback.analytics.engine import Standing
from ringback.analytics.remote import RemoteEngine
from ringback.model.errors import AnalyticsAway

LOOK_S: Final = 0.05
LONGEST_S: Final = 3_600.0


class Ingested(msgspec.Struct, frozen=True):
    """What came of it."""

    written_per_s: float
    projected_per_s: float
    """Until the last event was taken in."""
    lags_s: list[float]
    """From each commit to its last event being in the analytics."""


async def standing(directory: Path) -> Standing | None:
    """Return how far the analytics in a directory are, ``None`` while nobody answers."""
    async with RemoteEngine(directory) as engine:
        try:
            return await engine.standing()
        except AnalyticsAway:
            return None


def wait_until_current(directory: Path, events: int, *, longest_s: float = LONGEST_S) -> tuple[float, float]:
    """Wait until so many events are in; gives the seconds from the first one's being seen, and the best rate shown."""

    async def wait() -> tuple[float, float]:
        best_per_s, until_s, begun_s = 0.0, time.monotonic() + longest_s, time.monotonic()
        async with RemoteEngine(directory) as engine:
            while time.monotonic() < until_s:
                try:
                    found = await engine.standing()
                except AnalyticsAway:
                    begun_s = time.monotonic()
                else:
                    best_per_s = max(best_per_s, found.per_s)
                    if found.state == "current" and found.events >= events:
                        return time.monotonic() - begun_s, best_per_s
                await asyncio.sleep(LOOK_S)
        raise SystemExit(f"analytics: {events:,} events were not taken in within {longest_s:.0f} s")

    return asyncio.run(wait())


def wait_until_summed(directory: Path, days: int, *, longest_s: float) -> None:
    """Wait until so many days are sealed and summed up."""

    async def wait() -> None:
        until_s = time.monotonic() + longest_s
        async with RemoteEngine(directory) as engine:
            while (await engine.ask("SELECT count(*) FROM sealed_days")).rows[0][0] < days:
                if time.monotonic() > until_s:
                    raise SystemExit(f"analytics: {days} days were not sealed within {longest_s:.0f} s")
                await asyncio.sleep(LOOK_S)

    asyncio.run(wait())


def ingest(data_dir: Path, analytics_dir: Path, *, rate: int, seconds: float) -> Ingested:
    """Write traffic for so many seconds, and follow it into the analytics."""
    command = [sys.executable, "-m", "benchmarks.analytics_traffic", str(data_dir), str(rate), str(seconds)]
    commits: list[tuple[int, float]] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        if writer.stdin is None or writer.stdout is None:
            raise SystemExit("analytics: no pipes to the traffic")
        writer.stdout.readline()
        before = asyncio.run(standing(analytics_dir))
        if before is None:
            raise SystemExit("analytics: nobody holds the analytics")
        writer.stdin.write("\n")
        writer.stdin.close()
        begun_s = time.time()
        follower = _Follower(analytics_dir, before.events)
        follower.start()
        events = 0
        for line in writer.stdout:
            told = json.loads(line)
            events += told["events"]
            commits.append((events, told["at_s"]))
    written_s = commits[-1][1] - begun_s
    follower.follow_to(events)
    seen = follower.seen
    lags_s, at = [], 0
    for count, committed_s in commits:
        while seen[at][0] < count:
            at += 1
        lags_s.append(max(0.0, seen[at][1] - committed_s))
    return Ingested(
        written_per_s=events / written_s,
        projected_per_s=events / (seen[-1][1] - begun_s),
        lags_s=lags_s,
    )


class _Follower(threading.Thread):
    """Looks again and again how many events are in."""

    def __init__(self, directory: Path, before: int) -> None:
        super().__init__()
        self.seen: list[tuple[int, float]] = []
        """New events that were in, and when that was seen."""
        self._directory = directory
        self._before = before
        self._goal: int | None = None

    def follow_to(self, events: int) -> None:
        """Wait until so many are in."""
        self._goal = events
        self.join()

    def run(self) -> None:
        """Look until told that no more come."""
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        async with RemoteEngine(self._directory) as engine:
            until_s = time.monotonic() + LONGEST_S
            while time.monotonic() < until_s:
                count = (await engine.standing()).events - self._before
                self.seen.append((count, time.time()))
                if self._goal is not None and count >= self._goal:
                    return
                await asyncio.sleep(LOOK_S)
        raise SystemExit("analytics: the traffic was never taken in")
