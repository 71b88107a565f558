"""Tables of figures: what a page shows, what a chart is drawn from, and what an export holds are one and the same."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

Kind = str
"""``text``, ``count``, ``share`` (0 to 1), ``ms``, ``money``, ``time`` (microseconds UTC) or ``number``."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in one column."""

    name: str
    """In exports."""
    label: str
    kind: Kind = "count"
    hint: str = ""
    """What it means, where its label leaves that open."""
    order: str = ""
    """What the address calls the order by it; empty where the page has no such order."""
    colour: str = ""
    """Of the series in the chart: the name of a variable of the style sheet. Empty where it is not drawn."""
    dash: str = ""
    stacked: bool = False
    shown: bool = True
    """Otherwise it is in exports only."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a value for each column, the first of which names it."""

    values: tuple[Any, ...]
    label: str = ""
    """How people call what the row is about, where that is not its first value."""
    note: str = ""
    link: str = ""
    """The address that asks for this row alone."""
    messages: str = ""
    """The list of its messages."""
    leads: Mapping[str, str] = {}
    """Where the cells of some columns lead, by the column's name."""
    mix: Sequence["Piece"] = ()
    settling: bool = False


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a bar that is 100 wide."""

    name: str
    x: float
    width: float


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """A table."""

    name: str
    """In addresses of exports."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    left_out: int = 0
    """How many more rows there are."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.rows


def pieces(parts: Sequence[tuple[str, int]]) -> tuple[Piece, ...]:
    """Lay out counts as one bar; those of 0 are left out."""
    total = sum(count for _, count in parts)
    found: list[Piece] = []
    x = 0.0
    for name, count in parts:
        if count:
            width = count / total * 100
            found.append(Piece(name, round(x, 2), round(width, 2)))
            x += width
    return tuple(found)


TIME: Final = Column(name="queued_at", label="Queued (UTC)", kind="time")
