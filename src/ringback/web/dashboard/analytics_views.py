"""From answers to tables: which columns a page shows of them, and where each row leads. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from ringback.analytics.figures import (
    Breakdown,
    Conversion,
    Funnel,
    Heatmap,
    Issues,
    Latency,
    LatencySeries,
    Series,
    Spend,
    Statuses,
)
from ringback.analytics.filters import NONE, Filter, as_params
from ringback.web.dashboard.analytics_address import Address
from ringback.web.dashboard.analytics_grid import TIME, Column, Grid, Kind, Row, pieces
from ringback.web.dashboard.analytics_words import (
    BY,
    CLASS_COLOURS,
    CLASS_HINTS,
    CLASS_LABELS,
    MEASURES,
    PERCENTILES,
    STAGES,
)
from ringback.web.dashboard.listing import NO_RECEIPT

_RATES: Final = (
    Column(name="delivery_rate", label="Delivery rate", kind="share", order="delivery_rate",
           hint="delivered of those that ended: delivered, undelivered or failed"),
    Column(name="dlr_rate", label="Receipt rate", kind="share",
           hint="sent messages of which a receipt says what became of them"),
    Column(name="no_dlr_rate", label="No receipt", kind="share", order="no_dlr_rate",
           hint="sent too long ago for a receipt still to come, of those sent"),
)  # fmt: skip


_EXPORTED_ONLY: Final = frozenset({"dlr_rate", "delivered", "no_dlr", "pending", "received"})
"""What the bar of a row shows well enough, or its rates do."""


def without_receipt_link(chosen: Filter, **more: str) -> str:
    """Return the address of the list of those of the messages that have no receipt."""
    return messages_link(chosen, **more, status=NO_RECEIPT)


def messages_link(chosen: Filter, **more: str) -> str:
    """Return the address of the list of the messages that a filter takes, ``more`` of it chosen besides."""
    pairs = [
        (name, value)
        for name, value in as_params(chosen)
        if name not in {*more, "period", "since", "until", "compare", "origin"}
    ]
    times = [("since", _minute(chosen.since_us)), ("until", _minute(chosen.until_us))]
    return "/dashboard/messages?" + urlencode([*times, *pairs, *more.items()])


def _minute(at_us: int) -> str:
    return dict(as_params(Filter(since_us=at_us, until_us=at_us + 1)))["since"]


def class_columns(present: Iterable[str]) -> list[Column]:
    """Return the columns of the classes that occur."""
    return [
        Column(
            name=name,
            label=CLASS_LABELS[name],
            hint=CLASS_HINTS[name],
            order=name,
            colour=CLASS_COLOURS[name],
            stacked=True,
        )
        for name in CLASS_LABELS
        if name in present
    ]


def occurring(counted: Iterable[Statuses]) -> list[str]:
    """Return the classes that any of the counts has."""
    found = list(counted)
    return [name for name in CLASS_LABELS if any(getattr(each, name) for each in found)]


def cohorts(series: Series, before: Series | None = None) -> Grid:
    """Messages over time by class; with the period before, how many there were then."""
    present = occurring(series.buckets)
    columns = [
        TIME,
        *class_columns(present),
        Column(name="accepted", label="accepted"),
        Column(name="delivery_rate", label="delivery rate", kind="share"),
    ]
    rows = [
        Row(
            values=(
                bucket.start_us, *(getattr(bucket, name) for name in present), bucket.accepted, bucket.delivery_rate,
            ),
            settling=bucket.settling,
        )
        for bucket in series.buckets
    ]  # fmt: skip
    grid = Grid(name="over_time", title="Messages over time", columns=columns, rows=rows)
    if before is None:
        return grid
    return _compared(grid, "accepted before", "count", [bucket.accepted for bucket in before.buckets])


def _compared(grid: Grid, label: str, kind: Kind, before: Sequence[int | None]) -> Grid:
    """Return a table over time with a column of what was in the period before, drawn as a line."""
    then = [*before, *[None] * len(grid.rows)]
    rows = [
        msgspec.structs.replace(row, values=(*row.values, compared))
        for row, compared in zip(grid.rows, then, strict=False)
    ]
    column = Column(name="before", label=label, kind=kind, colour="--ink", dash="dash")
    return msgspec.structs.replace(grid, columns=[*grid.columns, column], rows=rows)


def breakdown(found: Breakdown, address: Address, chosen: Filter) -> Grid:
    """Messages by something, with rates and latencies."""
    present = occurring(found.groups)
    columns = [
        Column(name=found.by, label=BY[found.by], kind="text"),
        Column(name="name", label="Name", kind="text", shown=False),
        Column(name="accepted", label="Accepted", order="accepted"),
        *(plain(column) for column in class_columns(present)),
        *_RATES,
        Column(
            name="total_p50_ms", label="p50", kind="ms", order="total_p50_ms", hint="half are delivered in that time"
        ),
        Column(name="total_p95_ms", label="p95", kind="ms", order="total_p95_ms", hint="95 of 100 are delivered in it"),
        Column(name="conversion_rate", label="Conversion", kind="share", order="conversion_rate"),
        Column(name="cost", label="Cost", kind="money", order="cost"),
    ]
    if not any(group.trackable for group in found.groups):
        columns = [column for column in columns if column.name != "conversion_rate"]
    columns = [msgspec.structs.replace(each, shown=each.shown and each.name not in _EXPORTED_ONLY) for each in columns]
    rows = []
    for group in found.groups:
        key = NONE if group.key is None else group.key
        values = [key, group.name]
        values += [getattr(group, column.name) for column in columns[2:]]
        rows.append(
            Row(
                values=tuple(values),
                label=group.name or "",
                note=key if group.name else "",
                link=address.where(found.by, key).url(),
                messages=messages_link(chosen, **{found.by: key}),
                leads={"no_dlr_rate": without_receipt_link(chosen, **{found.by: key})} if group.no_dlr else {},
                mix=pieces([(name, getattr(group, name)) for name in present]),
            )
        )
    return Grid(
        name=f"by_{found.by}", title=f"By {BY[found.by].lower()}", columns=columns, rows=rows, left_out=found.left_out
    )


def plain(column: Column) -> Column:
    """Return a column that no chart draws."""
    label = column.label.capitalize()
    return msgspec.structs.replace(column, label=label, colour="", stacked=False)


def latencies(found: Latency, address: Address, chosen: Filter, measure: str) -> Grid:
    """Percentiles of a latency by something, and the medians of the others."""
    by = found.by or "country"
    others = [name for name in MEASURES if name != measure]
    columns = [
        Column(name=by, label=BY[by], kind="text"),
        Column(name="name", label="Name", kind="text", shown=False),
        Column(name="count", label="Messages", hint="that have this latency"),
        *(Column(name=f"{name}_ms", label=name, kind="ms") for name, _, _ in PERCENTILES),
        *(Column(name=f"{name[:-3]}_p50_ms", label=f"{MEASURES[name]}, p50", kind="ms") for name in others),
    ]
    rows = []
    for group in found.groups:
        key = NONE if group.key is None else group.key
        spread = getattr(group, measure)
        values = (
            key, group.name, spread.count, spread.p50, spread.p90, spread.p95, spread.p99,
            *(getattr(group, name).p50 for name in others),
        )  # fmt: skip
        rows.append(
            Row(
                values=values,
                label=group.name or "",
                note=key if group.name else "",
                link=address.where(by, key).url(),
                messages=messages_link(chosen, **{by: key}),
            )
        )
    return Grid(
        name=f"by_{by}", title=f"{MEASURES[measure].capitalize()}, by {BY[by].lower()}", columns=columns, rows=rows,
        left_out=found.left_out,
    )  # fmt: skip


def latency_lines(found: LatencySeries, before: LatencySeries | None = None) -> Grid:
    """Percentiles of a latency over time; with the period before, the p95 of then."""
    columns = [
        TIME,
        *(
            Column(name=f"{name}_ms", label=name, kind="ms", colour=colour, dash=dash)
            for name, colour, dash in PERCENTILES
        ),
        Column(name="count", label="messages"),
    ]
    rows = [
        Row(
            values=(
                each.start_us, each.spread.p50, each.spread.p90, each.spread.p95, each.spread.p99, each.spread.count,
            ),
            settling=each.settling,
        )
        for each in found.buckets
    ]  # fmt: skip
    title = f"{MEASURES[found.measure].capitalize()}, over time"
    grid = Grid(name="over_time", title=title, columns=columns, rows=rows)
    return grid if before is None else _compared(grid, "p95 before", "ms", [each.spread.p95 for each in before.buckets])


def issues(found: Issues, address: Address, chosen: Filter) -> Grid:
    """Failures as issues."""
    columns = [
        Column(name="error", label="Error", kind="text"),
        Column(name="meaning", label="Meaning", kind="text", shown=False),
        Column(name="carrier", label="Carrier", kind="text"),
        Column(name="carrier_name", label="Network", kind="text", shown=False),
        Column(name="sender", label="Sender", kind="text"),
        Column(name="route", label="Route", kind="text"),
        Column(name="count", label="Messages"),
        Column(name="share", label="Share", kind="share", hint="of all failures of the period"),
        Column(name="first_at", label="First seen", kind="time"),
        Column(name="last_at", label="Last seen", kind="time"),
    ]
    rows = []
    for issue in found.issues:
        named = {
            name: NONE if value is None else value
            for name, value in (
                ("error", issue.error), ("carrier", issue.carrier), ("sender", issue.sender), ("route", issue.route),
            )
        }  # fmt: skip
        narrowed = address
        for name, value in named.items():
            narrowed = narrowed.where(name, value)
        values = (
            named["error"], issue.meaning, named["carrier"], issue.carrier_name, named["sender"], named["route"],
            issue.count, issue.share, issue.first_us, issue.last_us,
        )  # fmt: skip
        rows.append(
            Row(
                values=values,
                label=issue.meaning or "",
                note=named["error"],
                link=narrowed.url(),
                messages=messages_link(chosen, **named),
            )
        )
    return Grid(name="issues", title="Issues", columns=columns, rows=rows, left_out=found.left_out)


def failures_over_time(series: Series, before: Series | None = None) -> Grid:
    """Failures over time, beside what was accepted; with the period before, how many there were then."""
    present = [name for name in ("undelivered", "failed") if any(getattr(each, name) for each in series.buckets)]
    columns = [TIME, *class_columns(present), Column(name="accepted", label="accepted")]
    rows = [
        Row(
            values=(bucket.start_us, *(getattr(bucket, name) for name in present), bucket.accepted),
            settling=bucket.settling,
        )
        for bucket in series.buckets
    ]
    grid = Grid(name="over_time", title="Failures over time", columns=columns, rows=rows)
    if before is None:
        return grid
    return _compared(grid, "failures before", "count", [each.undelivered + each.failed for each in before.buckets])


DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def hours_of_week(found: Heatmap) -> Grid:
    """The 168 hours of the week."""
    columns = [
        Column(name="weekday", label="Day", kind="text"),
        Column(name="hour", label="Hour (UTC)", kind="number"),
        Column(name="accepted", label="Accepted"),
        Column(name="delivered", label="Delivered"),
        Column(name="failed", label="Failed, undelivered"),
        *_RATES,
    ]
    rows = [
        Row(
            values=(
                DAYS[cell.weekday], cell.hour, cell.accepted, cell.delivered, cell.failed + cell.undelivered,
                cell.delivery_rate, cell.dlr_rate, cell.no_dlr_rate,
            )
        )
        for cell in found.cells
    ]  # fmt: skip
    return Grid(name="hours", title="Hours of the week", columns=columns, rows=rows)


def conversions(found: Conversion, address: Address, chosen: Filter) -> Grid:
    """Conversions by something."""
    columns = [
        Column(name=found.by, label=BY[found.by], kind="text"),
        Column(name="name", label="Name", kind="text", shown=False),
        Column(name="trackable", label="Trackable", hint="messages of which a conversion is expected or was told"),
        Column(name="converted", label="Converted"),
        Column(name="converted_elsewhere", label="With others", hint="another message served the purpose"),
        Column(name="not_converted", label="Not converted"),
        Column(name="untold", label="Nothing told"),
        Column(name="conversion_rate", label="Conversion rate", kind="share", hint="converted of trackable"),
    ]
    rows = []
    for group in found.groups:
        key = NONE if group.key is None else group.key
        rows.append(
            Row(
                values=(key, group.name, *(getattr(group, column.name) for column in columns[2:])),
                label=group.name or "",
                note=key if group.name else "",
                link=address.where(found.by, key).url(),
                messages=messages_link(chosen, **{found.by: key}),
            )
        )
    title = f"Conversion by {BY[found.by].lower()}"
    return Grid(name="conversion", title=title, columns=columns, rows=rows, left_out=found.left_out)


def spending(found: Spend, address: Address, chosen: Filter) -> Grid:
    """Money by something."""
    columns = [
        Column(name=found.by, label=BY[found.by], kind="text"),
        Column(name="name", label="Name", kind="text", shown=False),
        Column(name="cost", label="Cost", kind="money"),
        Column(name="share", label="Share", kind="share", hint="of the cost of all"),
        Column(name="accepted", label="Messages"),
        Column(name="units", label="Units"),
        Column(name="cost_per_message", label="A message", kind="price"),
        Column(name="cost_per_delivered", label="A delivery", kind="price", hint="all cost over what was delivered"),
        Column(name="cost_per_conversion", label="A conversion", kind="price"),
        Column(name="unpriced", label="Unpriced", hint="messages whose cost is not known"),
    ]
    rows = []
    for group in found.groups:
        key = NONE if group.key is None else group.key
        rows.append(
            Row(
                values=(key, group.name, *(getattr(group, column.name) for column in columns[2:])),
                label=group.name or "",
                note=key if group.name else "",
                link=address.where(found.by, key).url(),
                messages=messages_link(chosen, **{found.by: key}),
            )
        )
    return Grid(
        name=f"by_{found.by}", title=f"By {BY[found.by].lower()}", columns=columns, rows=rows, left_out=found.left_out
    )


HEAT: Final = {
    "accepted": "messages",
    "delivery_rate": "delivery rate",
    "dlr_rate": "receipt rate",
    "no_dlr_rate": "without receipt",
    "failed": "failed",
    "undelivered": "undelivered",
}
"""What the heat map can show."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the funnel as it is drawn."""

    name: str
    label: str
    count: int
    of: int
    rate: float | None
    before: float | None
    """The rate in the period before."""
    width: float
    """Of 100: its share of all that was accepted, conversions of what was trackable."""


def funnel_steps(now: Funnel, before: Funnel) -> list[Step]:
    """Lay out the funnel."""
    accepted = now.stages[0].count
    return [
        Step(
            name=stage.name,
            label=STAGES[stage.name],
            count=stage.count,
            of=stage.of,
            rate=stage.rate,
            before=then.rate,
            width=round(stage.count / (stage.of if stage.name == "converted" else accepted) * 100, 2)
            if stage.of and accepted
            else 0,
        )
        for stage, then in zip(now.stages, before.stages, strict=True)
    ]


def funnel_grid(found: Funnel) -> Grid:
    """The funnel as a table."""
    columns = [
        Column(name="stage", label="Stage", kind="text"),
        Column(name="count", label="Messages"),
        Column(name="of", label="Of", hint="those of the stage before; for conversions the trackable ones"),
        Column(name="rate", label="Share", kind="share"),
    ]
    rows = [
        Row(values=(stage.name, stage.count, stage.of, stage.rate), label=STAGES[stage.name]) for stage in found.stages
    ]
    return Grid(name="funnel", title="Funnel", columns=columns, rows=rows)
