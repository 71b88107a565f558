"""``ringback stats``: the figures of the analytics in a terminal, as JSON or CSV, or as a check that can fail."""

import csv
import inspect
import json
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console, RenderableType

from ringback.analytics import figures
from ringback.analytics.asking import plain, time_shown
from ringback.analytics.definitions import MEASURES
from ringback.analytics.exports import as_cell
from ringback.analytics.filters import Filter, read_filter
from ringback.analytics.questions import Questions
from ringback.cli import stats_views as views
from ringback.cli.asking import ask
from ringback.cli.options import ConfigFile, DataDir
from ringback.cli.stats_charts import count, duration, money, percent, sparkline
from ringback.model import money as sums
from ringback.model.errors import ConfigInvalid, InvalidRequest
from ringback.runtime import SystemClock

BREACHED: Final = 3
"""Exit code when a figure is beyond what was asked of it."""
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)", re.ASCII)
_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%", re.ASCII)

_BEFORE: Final = 3
"""Of the options that every command has, so many come before its own."""
_WHAT: Final = ("key", "name", "weekday", "hour")
"""Columns of CSV that come first: they say what the others are about."""

app = typer.Typer(
    help="Delivery rates, latencies, errors, conversions and cost. It asks the running Ringback, or reads the file.",
    no_args_is_help=True,
)

Since = Annotated[str, typer.Option("--since", help="So long ago, such as 90m or 7d, or UTC in ISO 8601.")]
Until = Annotated[str | None, typer.Option("--until", help="The end of it.  [default: now]", show_default=False)]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        help="Only these: country=IN, carrier=404-20, sender=, route=, connector=, error=, status=, account=, origin=, "
        "type=, direction=. Commas give alternatives; several --where narrow each other.",
        show_default=False,
    ),
]
By = Annotated[
    str | None,
    typer.Option("--by", help="country, carrier, sender, route, connector, error, account, origin or type."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=5_000, help="At most so many groups.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
FailBelow = Annotated[
    str | None,
    typer.Option("--fail-below", help="End with exit code 3 if the rate is less, such as 90%.", show_default=False),
]
Order = Annotated[str, typer.Option("--order", help="By which figure; with - before it the smallest first.")]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and how it is to be printed."""

    since: str
    until: str | None
    where: Sequence[str]
    as_json: bool
    as_csv: bool
    config: Path | None
    data_dir: Path | None

    def answer(self, work: Callable[[Questions, Filter], Awaitable[dict[str, Any]]]) -> tuple[Filter, dict[str, Any]]:
        """Ask for everything that is shown. Raises ``ConfigInvalid``, ``AnalyticsAway``, ``QuestionTooLong``."""
        if self.as_json and self.as_csv:
            raise ConfigInvalid("give either --json or --csv")

        async def run(questions: Questions, clock: SystemClock) -> tuple[Filter, dict[str, Any]]:
            chosen = read_filter(self._pairs(), now_us=clock.now_us())
            return chosen, await work(questions, chosen)

        return ask(run, config=self.config, data_dir=self.data_dir)

    def _pairs(self) -> list[tuple[str, str]]:
        pairs = [("since", self.since), *([("until", self.until)] if self.until else [])]
        for each in self.where:
            name, equals, value = each.partition("=")
            if not equals or name.strip() in ("since", "until", "period", "compare"):
                raise InvalidRequest(f"--where must be a field and its value, such as country=IN, not {each[:64]}")
            pairs.append((name.strip(), value.strip() or "none"))
        return pairs

    def show(
        self,
        found: tuple[Filter, dict[str, Any]],
        *,
        rows: Sequence[Mapping[str, Any]],
        parts: Callable[[], Sequence[RenderableType]],
    ) -> None:
        """Print the answers as JSON, ``rows`` of them as CSV, or ``parts`` for people."""
        chosen, answers = found
        times = {"since": time_shown(chosen.since_us), "until": time_shown(chosen.until_us)}
        if self.as_json:
            typer.echo(json.dumps({**times, **{name: plain(answer) for name, answer in answers.items()}}))
        elif self.as_csv:
            _print_csv(rows)
        else:
            typer.echo(f"queued from {times['since'][:19]} until {times['until'][:19]} UTC", err=True)
            console = Console(width=None if sys.stdout.isatty() else 80, highlight=False)
            for part in parts():
                console.print(part)


def question(*, since: str = "24h") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function: it takes what every question takes, as one ``Asked``, and options of its own."""

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        shared = [
            each.replace(default=since) if each.name == "since" else each
            for each in inspect.signature(_shared, eval_str=True).parameters.values()
        ]
        together = [*shared[:_BEFORE], *own, *shared[_BEFORE:]]

        def command(**given: Any) -> None:
            ours = {each.name: given.pop(each.name) for each in shared}
            function(_shared(**ours), **given)

        # What typer reads the options from.
        command.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in together}
        command.__doc__ = function.__doc__
        app.command(function.__name__)(command)
        return function

    return decorated


def _shared(
    *,
    since: Since,
    until: Until = None,
    where: Where = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> Asked:
    return Asked(
        since=since,
        until=until,
        where=where or (),
        as_json=as_json,
        as_csv=as_csv,
        config=config,
        data_dir=data_dir,
    )


@question()
def rate(
    asks: Asked,
    *,
    by: By = "country",
    order: Order = "accepted",
    limit: Limit = 20,
    fail_below: FailBelow = None,
) -> None:
    """Delivery rate, receipts, and what has none, of all and by something; --fail-below is about the delivery rate."""
    least = _rate_of(fail_below)

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {
            "totals": await questions.totals(chosen),
            "series": await questions.series(chosen),
            "breakdown": await questions.breakdown(chosen, by or "country", limit=limit, order=order),
        }

    found = asks.answer(work)
    totals: figures.Totals = found[1]["totals"]
    groups: figures.Breakdown = found[1]["breakdown"]
    asks.show(
        found,
        rows=plain(groups)["groups"],
        parts=lambda: [
            *views.summary(totals, found[1]["series"]),
            "",
            views.breakdown(groups),
            *views.more(groups.left_out),
        ],
    )
    _judge("delivery rate", totals.delivery_rate, least, below=True, shown=percent)


@question()
def senders(
    asks: Asked,
    *,
    order: Order = "accepted",
    limit: Limit = 20,
) -> None:
    """Messages and rates of each sender."""

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"breakdown": await questions.breakdown(chosen, "sender", limit=limit, order=order)}

    found = asks.answer(work)
    groups: figures.Breakdown = found[1]["breakdown"]
    asks.show(
        found, rows=plain(groups)["groups"], parts=lambda: [views.breakdown(groups), *views.more(groups.left_out)]
    )


@question()
def latency(
    asks: Asked,
    *,
    by: By = "carrier",
    measure: Annotated[str, typer.Option("--measure", help=f"{', '.join(MEASURES)}.")] = "total_ms",
    limit: Limit = 20,
    fail_above: Annotated[
        str | None, typer.Option("--fail-above", help="End with exit code 3 if p95 is more, such as 30s.")
    ] = None,
) -> None:
    """Exact percentiles of a latency, of all and by something."""
    most = _milliseconds_of(fail_above)

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {
            "all": await questions.latency(chosen),
            "series": await questions.latency_series(chosen, measure),
            "latency": await questions.latency(chosen, by or "carrier", limit=limit),
        }

    found = asks.answer(work)
    of_all: figures.LatencyGroup = found[1]["all"].groups[0]
    groups: figures.Latency = found[1]["latency"]
    series: figures.LatencySeries = found[1]["series"]
    asks.show(
        found,
        rows=[views.flat(group) for group in plain(groups)["groups"]],
        parts=lambda: [
            f"{measure}, p95 over time  {sparkline([bucket.spread.p95 for bucket in series.buckets], 48)}",
            views.latencies(of_all, groups, measure),
            *views.more(groups.left_out),
        ],
    )
    _judge(f"p95 of {measure}", getattr(of_all, measure).p95, most, below=False, shown=duration)


@question()
def errors(
    asks: Asked,
    *,
    limit: Limit = 20,
    fail_above: Annotated[
        int | None, typer.Option("--fail-above", help="End with exit code 3 if more messages than that have failed.")
    ] = None,
) -> None:
    """Failures grouped by error, carrier, sender and route."""

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"issues": await questions.issues(chosen, limit=limit)}

    found = asks.answer(work)
    issues: figures.Issues = found[1]["issues"]
    asks.show(found, rows=plain(issues)["issues"], parts=lambda: [views.issues(issues), *views.more(issues.left_out)])
    _judge("failures", issues.failures, fail_above, below=False, shown=count)


@question()
def funnel(
    asks: Asked,
) -> None:
    """How many messages came how far: accepted, sent, delivered, converted."""

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"funnel": await questions.funnel(chosen)}

    found = asks.answer(work)
    stages = found[1]["funnel"].stages
    asks.show(
        found,
        rows=plain(found[1]["funnel"])["stages"],
        parts=lambda: [views.funnel(stages)],
    )


@question(since="7d")
def heatmap(
    asks: Asked,
    *,
    figure: Annotated[
        str, typer.Option("--figure", help="delivery_rate, or accepted for how many messages.")
    ] = "delivery_rate",
) -> None:
    """Delivery rate, or number of messages, for each hour of the week (UTC)."""
    if figure not in ("delivery_rate", "accepted"):
        raise ConfigInvalid("--figure must be delivery_rate or accepted")

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"heatmap": await questions.heatmap(chosen)}

    found = asks.answer(work)
    cells = found[1]["heatmap"].cells
    asks.show(found, rows=plain(found[1]["heatmap"])["cells"], parts=lambda: views.heatmap(cells, figure))


@question()
def conversion(
    asks: Asked,
    *,
    by: By = "sender",
    limit: Limit = 20,
    fail_below: FailBelow = None,
) -> None:
    """Conversions of trackable messages; --fail-below is about the rate of all of them."""
    least = _rate_of(fail_below)

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"conversion": await questions.conversion(chosen, by or "sender", limit=limit)}

    found = asks.answer(work)
    groups: figures.Conversion = found[1]["conversion"]
    asks.show(
        found,
        rows=plain(groups)["groups"],
        parts=lambda: [views.conversions(groups), *views.more(groups.left_out)],
    )
    _judge("conversion rate", groups.total.conversion_rate, least, below=True, shown=percent)


@question()
def spend(
    asks: Asked,
    *,
    by: By = "country",
    limit: Limit = 20,
    fail_above: Annotated[
        str | None, typer.Option("--fail-above", help="End with exit code 3 if it was more, such as 12.50.")
    ] = None,
) -> None:
    """Cost, of all and by something, and what a delivered message costs."""
    most = None if fail_above is None else sums.parse(fail_above)
    if fail_above is not None and most is None:
        raise ConfigInvalid("--fail-above must be a sum of money, such as 12.50")

    async def work(questions: Questions, chosen: Filter) -> dict[str, Any]:
        return {"spend": await questions.spend(chosen, by or "country", limit=limit)}

    found = asks.answer(work)
    groups: figures.Spend = found[1]["spend"]
    asks.show(
        found,
        rows=plain(groups)["groups"],
        parts=lambda: [views.spend(groups), *views.more(groups.left_out)],
    )
    _judge("cost", groups.total.cost, most, below=False, shown=money)


def _print_csv(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = sorted(rows[0], key=lambda name: name not in _WHAT)
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: as_cell(value) for name, value in row.items()} for row in rows)


def _rate_of(text: str | None) -> float | None:
    if text is None:
        return None
    found = _PERCENT.fullmatch(text.strip())
    if found is None or float(found[1]) > 100:
        raise ConfigInvalid("--fail-below must be a rate, such as 90%")
    return float(found[1]) / 100


def _milliseconds_of(text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ConfigInvalid("--fail-above must be a duration, such as 500ms, 30s or 2m")
    return float(found[1]) * _MS[found[2]]


def _judge(name: str, figure: float | None, limit: float | None, *, below: bool, shown: Callable[[Any], str]) -> None:
    """End with exit code 3 when a figure is beyond its limit. What is not known is not beyond it."""
    if limit is None:
        return
    if figure is None:
        typer.echo(f"{name}: there are no messages to judge it by", err=True)
    elif figure < limit if below else figure > limit:
        typer.echo(f"{name} is {shown(figure)}, {'less' if below else 'more'} than {shown(limit)}", err=True)
        raise typer.Exit(BREACHED)
