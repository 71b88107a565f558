"""What ``ringback stats`` shows to people, made of answers."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ringback.analytics import figures
from ringback.analytics.asking import time_shown
from ringback.analytics.definitions import MEASURES
from ringback.cli.stats_charts import bar, coloured, count, duration, heat, money, percent, sparkline, table


class Named(Protocol):
    """A group."""

    @property
    def key(self) -> str | None: ...
    @property
    def name(self) -> str | None: ...


def named(group: Named) -> str:
    """Write what a group is of."""
    if group.key is None:
        return "none"
    return group.key if group.name is None else f"{group.key} {group.name}"


def more(left_out: int) -> list[RenderableType]:
    """Say that there are more groups, if there are."""
    return [Text(f"… and {count(left_out)} more: raise --limit", style="dim")] if left_out else []


def summary(totals: figures.Totals, series: figures.Series) -> list[RenderableType]:
    """Show the totals, and how they went."""
    rows: list[tuple[str, str, str | Text]] = [
        ("accepted", count(totals.accepted), ""),
        ("delivered", count(totals.delivered), Text.assemble("delivery rate ", coloured(totals.delivery_rate))),
        ("undelivered", count(totals.undelivered), f"DLR rate {percent(totals.dlr_rate)}"),
        ("failed", count(totals.failed), f"strict rate {percent(totals.strict_rate)}"),
        ("no DLR", count(totals.no_dlr), f"of those sent {percent(totals.no_dlr_rate)}"),
        ("pending", count(totals.pending), ""),
    ]
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(justify="right", no_wrap=True)
    made.add_column(no_wrap=True)
    for row in rows:
        made.add_row(*row)
    settled = [None if bucket.settling else bucket.delivery_rate for bucket in series.buckets]
    return [
        made,
        "",
        f"messages       {sparkline([bucket.accepted for bucket in series.buckets])}",
        f"delivery rate  {sparkline(settled)}",
    ]


def breakdown(found: figures.Breakdown) -> Table:
    """Show groups with their rates."""
    return table(
        found.by, "messages", "delivery", "DLR", "no DLR", "p95", "",
        rows=[
            (
                named(group),
                count(group.accepted),
                coloured(group.delivery_rate),
                percent(group.dlr_rate),
                count(group.no_dlr),
                duration(group.total_p95_ms),
                bar(group.delivery_rate, 8),
            )
            for group in found.groups
        ],
    )  # fmt: skip


def latencies(of_all: figures.LatencyGroup, found: figures.Latency, measure: str) -> Table:
    """Show percentiles of one latency; the bar is p95, as part of the longest."""
    groups = [("all", of_all), *((named(group), group) for group in found.groups)]
    spreads: list[tuple[str, figures.Spread]] = [(name, getattr(group, measure)) for name, group in groups]
    longest = max((spread.p95 or 0 for _, spread in spreads), default=0)
    return table(
        found.by or "", "messages", "p50", "p90", "p95", "p99", "",
        rows=[
            (
                name,
                count(spread.count),
                *(duration(value) for value in (spread.p50, spread.p90, spread.p95, spread.p99)),
                bar((spread.p95 or 0) / longest if longest else None, 10),
            )
            for name, spread in spreads
        ],
    )  # fmt: skip


def issues(found: figures.Issues) -> Table:
    """Show failures as issues."""
    return table(
        "error", "carrier", "sender", "route", "failed", "share", "last seen (UTC)",
        rows=[
            (
                issue.error or "none",
                issue.carrier or "none",
                issue.sender or "none",
                issue.route or "none",
                count(issue.count),
                percent(issue.share),
                time_shown(issue.last_us)[5:16].replace("T", " "),
            )
            for issue in found.issues
        ],
    )  # fmt: skip


def funnel(stages: Sequence[figures.Stage]) -> Table:
    """Show stages; the bars are parts of the first."""
    first = stages[0].count
    return table(
        "stage", "messages", "of", "rate", "",
        rows=[
            (
                each.name,
                count(each.count),
                count(each.of),
                percent(each.rate),
                bar(each.count / first if first else None, 30),
            )
            for each in stages
        ],
    )  # fmt: skip


def heatmap(cells: Sequence[figures.Cell], figure: str) -> list[RenderableType]:
    """Show a week of hours, and what the shades mean."""
    values: list[float | None] = [getattr(cell, figure) if cell.accepted else None for cell in cells]
    known = [value for value in values if value is not None]
    least, most = min(known, default=0.0), max(known, default=0.0)
    rows = [values[day * 24 : day * 24 + 24] for day in range(7)]
    ends = (percent(least), percent(most)) if figure == "delivery_rate" else (count(int(least)), count(int(most)))
    return [*heat(rows, least=least, most=most), Text(f"· {ends[0]}   █ {ends[1]}   blank: no messages", style="dim")]


def conversions(found: figures.Conversion) -> Table:
    """Show conversions."""
    return table(
        found.by, "trackable", "converted", "elsewhere", "not", "untold", "rate", "",
        rows=[
            (
                name,
                count(each.trackable),
                count(each.converted),
                count(each.converted_elsewhere),
                count(each.not_converted),
                count(each.untold),
                percent(each.conversion_rate),
                bar(each.conversion_rate, 6),
            )
            for name, each in [("all", found.total), *((named(group), group) for group in found.groups)]
        ],
    )  # fmt: skip


def spend(found: figures.Spend) -> Table:
    """Show cost, and that of a delivered message; the bars are parts of all of it."""
    return table(
        found.by, "messages", "units", "cost", "delivered", "",
        rows=[
            (
                name,
                count(each.accepted),
                count(each.units),
                money(each.cost),
                money(each.cost_per_delivered),
                bar(each.share, 8),
            )
            for name, each in [("all", found.total), *((named(group), group) for group in found.groups)]
        ],
    )  # fmt: skip


def flat(group: dict[str, object]) -> dict[str, object]:
    """Put the spreads of a latency group beside its other members, for CSV."""
    made: dict[str, object] = {}
    for name, value in group.items():
        if name in MEASURES and isinstance(value, dict):
            made |= {f"{name}_{part}": each for part, each in value.items()}
        else:
            made[name] = value
    return made
