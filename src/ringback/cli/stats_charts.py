"""Charts in a terminal: bars, sparklines, a heat map. They say the same without colours, and fit into 80 columns."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from ringback.model.money import shown

SPARKS: Final = "▁▂▃▄▅▆▇█"
SHADES: Final = "·░▒▓█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
SPARK_WIDTH: Final = 60
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
GOOD: Final = 0.9
POOR: Final = 0.7


def percent(rate: float | None) -> str:
    """Write a rate; nothing for none."""
    return "-" if rate is None else f"{100 * rate:.1f} %"


def duration(milliseconds: int | None) -> str:
    """Write a latency with the unit that suits it."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1_000
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"


def money(amount: int | None) -> str:
    """Write a sum of money."""
    return "-" if amount is None else shown(amount)


def count(number: int) -> str:
    """Write a number so that its length is seen."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def bar(share: float | None, width: int = 12) -> str:
    """Draw a share of one as a bar, to an eighth of a character."""
    eighths = round(max(0.0, min(1.0, share or 0.0)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def sparkline(values: Sequence[float | None], width: int = SPARK_WIDTH) -> str:
    """Draw values between their least and greatest; what is not known is a gap. Too many are put together."""
    gathered = _gathered(values, width)
    known = [value for value in gathered if value is not None]
    if not known:
        return ""
    least, span = min(known), max(known) - min(known)
    top = len(SPARKS) - 1
    return "".join(
        " " if value is None else SPARKS[round((value - least) / span * top) if span else top // 2]
        for value in gathered
    )


def _gathered(values: Sequence[float | None], width: int) -> list[float | None]:
    at_once = -(-len(values) // width) or 1
    parts = (values[start : start + at_once] for start in range(0, len(values), at_once))
    return [_mean([value for value in part if value is not None]) for part in parts]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def style_of(rate: float | None) -> str:
    """Return the colour of a rate of success."""
    if rate is None:
        return "dim"
    return "green" if rate >= GOOD else "yellow" if rate >= POOR else "red"


def coloured(rate: float | None) -> Text:
    """Write a rate of success in its colour."""
    return Text(percent(rate), style=style_of(rate))


def table(*columns: str, rows: Sequence[Sequence[str | Text]]) -> Table:
    """Make a table: the first column and those called ``bar`` are text, all others numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        is_text = place == 0 or name == ""
        made.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=True,
            overflow="ellipsis",
            # What is too wide for the terminal is cut from names, never from numbers.
            min_width=None if place == 0 else max((len(str(row[place])) for row in rows), default=0),
        )
    for row in rows:
        made.add_row(*row)
    return made


def heat(rows: Sequence[Sequence[float | None]], *, least: float, most: float) -> list[Text]:
    """Draw seven days of 24 hours: the darker, the more; ``·`` is the least, a space nothing at all."""
    lines = [Text("     " + "".join(f"{hour:<6}" for hour in range(0, 24, 3)))]
    span = most - least
    for day, values in zip(DAYS, rows, strict=True):
        line = Text(f"{day}  ")
        for value in values:
            shade = " " if value is None else SHADES[round((value - least) / span * 4) if span else 4]
            line.append(shade * 2)
        lines.append(line)
    return lines
