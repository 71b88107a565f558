"""The heat map of the 168 hours of a week: how strong each cell is. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.analytics.figures import Heatmap
from ringback.web.dashboard import present

STEPS: Final = (0.1, 0.2, 0.32, 0.45, 0.8, 1.0)
"""How opaque a cell is. There is none between those that carry dark writing and those that carry light one."""


class HeatCell(msgspec.Struct, frozen=True, kw_only=True):
    """One hour."""

    text: str
    """As short as it has to be; empty where there is nothing."""
    whole: str
    """The same, in full."""
    opacity: float
    is_strong: bool


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """The map, a row for each day from Monday on."""

    rows: Sequence[Sequence[HeatCell]]
    low: str
    high: str


def heat(found: Heatmap, measure: str) -> Heat:
    """Lay out one measure: a count, or a rate whose name ends in ``_rate``."""
    values = [getattr(cell, measure) if cell.accepted else None for cell in found.cells]
    known = [value for value in values if value is not None]
    low, high = min(known, default=0), max(known, default=0)
    is_rate = measure.endswith("_rate")
    if not is_rate:
        low = 0
    cells = [_cell(value, low, high, is_rate=is_rate) for value in values]
    written = present.percent if is_rate else present.number
    return Heat(rows=[cells[day * 24 : day * 24 + 24] for day in range(7)], low=written(low), high=written(high))


def short(value: int) -> str:
    """Write a count in four characters: ``950``, ``1.2k``, ``34k``, ``1.2M``."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            parts = value / size
            return f"{parts:.1f}{letter}" if parts < 9.95 else f"{parts:.0f}{letter}"
    return str(value)


def _cell(value: float | None, low: float, high: float, *, is_rate: bool) -> HeatCell:
    if value is None:
        return HeatCell(text="", whole="no message", opacity=0, is_strong=False)
    place = (value - low) / (high - low) if high > low else 1.0
    opacity = STEPS[min(int(place * len(STEPS)), len(STEPS) - 1)] if value or is_rate else 0.0
    text = f"{value * 100:.0f}" if is_rate else short(int(value))
    whole = present.percent(value) if is_rate else f"{present.number(int(value))} messages"
    return HeatCell(text=text, whole=whole, opacity=opacity, is_strong=opacity > 0.5)
