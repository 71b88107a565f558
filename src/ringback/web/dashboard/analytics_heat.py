"""The heat map of the 168 hours of a week: how strong each cell is. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ringback.analytics.figures import Heatmap
from ringback.web.dashboard import present

LEVELS: Final = 6
"""How strong a cell can be; the style sheet has a colour for each, on which its writing can be read."""


class HeatCell(msgspec.Struct, frozen=True, kw_only=True):
    """One hour."""

    text: str
    """As short as it has to be; empty where there is nothing."""
    whole: str
    """The same, in full."""
    level: int
    """From 1 to ``LEVELS``; 0 for nothing."""


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
        return HeatCell(text="", whole="no message", level=0)
    place = (value - low) / (high - low) if high > low else 1.0
    level = min(int(place * LEVELS) + 1, LEVELS) if value or is_rate else 0
    text = f"{value * 100:.0f}" if is_rate else short(int(value))
    whole = present.percent(value) if is_rate else f"{present.number(int(value))} messages"
    return HeatCell(text=text, whole=whole, level=level)
