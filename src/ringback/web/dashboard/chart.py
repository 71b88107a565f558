"""The hourly bar chart as geometry: where every rectangle goes, decided here and drawn by a template.

The drawing is ``UNITS_PER_HOUR`` wide for each hour and ``HEIGHT`` high, and is stretched to its place; so it
holds no text. Labels stand beside it as HTML.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from ringback.model.status import Status
from ringback.store.rollups import HOUR_US

UNITS_PER_HOUR: Final = 10
HEIGHT: Final = 100

STACK: Final = (Status.DELIVERED, Status.SENT, Status.QUEUED, Status.UNDELIVERED, Status.FAILED)
"""Statuses from the bottom of a bar to its top."""


class Part(msgspec.Struct, frozen=True):
    """One status in one hour."""

    status: str
    y: float
    height: float


class Bar(msgspec.Struct, frozen=True):
    """One hour."""

    hour_at_us: int
    x: int
    counts: Mapping[str, int]
    total: int
    parts: Sequence[Part]


class Chart(msgspec.Struct, frozen=True):
    """The whole drawing."""

    width: int
    bars: Sequence[Bar]
    ticks: Sequence[int]
    """Counts that the horizontal lines stand for, highest first."""
    labels: Sequence[str]
    """One for each hour; most are empty."""
    minor: frozenset[int]
    """Labels that may go where room is short."""
    statuses: Sequence[str]
    """Those that occur, bottom first."""


def draw(hours: Sequence[tuple[int, str, int]], *, first_hour_us: int, last_hour_us: int) -> Chart:
    """Lay out (hour, status, messages) between two hours, both included; hours without any are empty bars."""
    counts: dict[int, dict[str, int]] = {at: {} for at in range(first_hour_us, last_hour_us + 1, HOUR_US)}
    for at_us, status, total in hours:
        if at_us in counts:
            counts[at_us][status] = counts[at_us].get(status, 0) + total
    occurring = {status for by_status in counts.values() for status in by_status}
    statuses = [*(status.value for status in STACK if status in occurring), *sorted(occurring - set(STACK))]
    top = ceiling(max((sum(by_status.values()) for by_status in counts.values()), default=0))
    bars = [_bar(index, at, by_status, statuses, top) for index, (at, by_status) in enumerate(counts.items())]
    labels = _labels(list(counts))
    return Chart(
        width=len(bars) * UNITS_PER_HOUR,
        bars=bars,
        ticks=[top, top // 2, 0] if top % 2 == 0 else [top, 0],
        labels=labels,
        minor=frozenset([index for index, label in enumerate(labels) if label][1::2]),
        statuses=statuses,
    )


def ceiling(highest: int) -> int:
    """Return the smallest of 1, 2, 4, 6, 8, 10, 20, 40 ... that is not below ``highest``."""
    scale = 1
    while True:
        for step in (1, 2, 4, 6, 8):
            if highest <= step * scale:
                return step * scale
        scale *= 10


def _bar(index: int, at_us: int, counts: Mapping[str, int], statuses: Sequence[str], top: int) -> Bar:
    parts: list[Part] = []
    below = 0
    for status in statuses:
        if total := counts.get(status, 0):
            height = total / top * HEIGHT
            parts.append(Part(status, round(HEIGHT - below / top * HEIGHT - height, 2), round(height, 2)))
            below += total
    return Bar(at_us, index * UNITS_PER_HOUR, counts, below, parts)


def _labels(hours: Sequence[int]) -> list[str]:
    """Label every hour, every third one, or midnights; none so near the end that it would stick out."""
    step, pattern = (24, "%d %b") if len(hours) > 48 else (3, "%H:%M") if len(hours) > 6 else (1, "%H:%M")
    return [
        datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime(pattern)
        if at_us // HOUR_US % step == 0 and left > step // 2
        else ""
        for left, at_us in zip(range(len(hours), 0, -1), hours, strict=True)
    ]
