"""The analytics pages: each is asked for by its address, and its tables are exported from an address beside it.

A page is a ``View``: some tables by name, and what else its template shows. The export of a page makes the same view
and writes one of its tables, so a file holds what was seen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.analytics.definitions import DIMENSIONS, MEASURES
from ringback.analytics.filters import Filter, previous, read_filter
from ringback.analytics.questions import Questions
from ringback.model.errors import AnalyticsAway, InvalidRequest, QuestionTooLong
from ringback.web.dashboard import analytics_views as views
from ringback.web.dashboard import analytics_words as words
from ringback.web.dashboard.analytics_address import DIMENSIONS as FILTERS
from ringback.web.dashboard.analytics_address import Address, read_address
from ringback.web.dashboard.analytics_export import exported
from ringback.web.dashboard.analytics_frame import AWAY, Frame, Inside
from ringback.web.dashboard.analytics_grid import Grid
from ringback.web.dashboard.analytics_heat import heat
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import Endpoint
from ringback.web.dashboard.viewer import viewer_of
from ringback.web.errors import json_response

PAGE_ROWS: Final = 30
ALL_ROWS: Final = 500
TOP_ROWS: Final = 8
EXPORT_ROWS: Final = 5_000
OWN: Final = frozenset({"by", "order", "measure", "add", "value", "table", "format", "rows"})
"""What addresses of these pages say besides the filter."""
_NOTICE: Final = "analytics_notice.html"


Found = TypeVar("Found")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to see."""

    address: Address
    chosen: Filter
    rows: int
    """The most of a table."""

    def one_of(self, name: str, known: Mapping[str, Any], default: str) -> str:
        """Return what the address says of something that is one of several. Raises ``InvalidRequest``."""
        value = self.address.first(name, default)
        if value not in known:
            raise InvalidRequest(f"{name} must be one of {', '.join(known)}")
        return value


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a page shows."""

    grids: Mapping[str, Grid]
    facts: Mapping[str, Any]
    accepted: int
    """Messages that the page is about; with none it says what to do instead."""


class AnalyticsPages:
    """The pages that ask the projection."""

    def __init__(self, context: DashboardContext, pages: Pages, questions: Questions) -> None:
        self._context = context
        self._frame = Frame(context, pages)
        self._questions = questions

    def routes(self) -> list[tuple[str, Endpoint]]:
        """Return the addresses of the pages and of their exports."""
        made = {
            "": self._overview,
            "delivery": self._delivery,
            "latency": self._latency,
            "funnel": self._funnel,
            "errors": self._errors,
            "heatmap": self._heatmap,
            "spend": self._spend,
        }
        found: list[tuple[str, Endpoint]] = [("/dashboard/analytics/standing", self.standing)]
        for name, make in made.items():
            found.append((Address(name).url(), self._page(name, make)))
            found.append((Address(name).part("export").url(), self._export(name, make)))
        return found

    async def standing(self, _: Request) -> Response:
        """Tell an open page whether it would show anything else by now."""
        well = await self._frame.wellness()
        return json_response({"mark": well.mark, "state": well.state})

    def _page(self, name: str, make: "Make") -> Endpoint:
        async def page(request: Request) -> Response:
            address = read_address(name, request.query_params.multi_items())
            if redirect := _added(address):
                return redirect
            try:
                rows = ALL_ROWS if address.first("rows") == "all" else PAGE_ROWS
                asked = self._asked(request, address, rows)
            except InvalidRequest as error:
                return await self._notice(request, name, status=400, problem=sentence(str(error)))
            return await self._frame.shown(request, name, address, self._inside(name, asked, make))

        return page

    async def _inside(self, name: str, asked: Asked, make: "Make") -> Inside:
        """Find what a page shows, or why it does not."""
        address = asked.address
        try:
            well, view = await asyncio.gather(self._frame.wellness(), make(asked))
        except InvalidRequest as error:
            facts = {"address": Address(name), "problem": sentence(str(error))}
            return Inside(template=_NOTICE, status=400, facts=facts)
        except AnalyticsAway:
            return Inside(template=_NOTICE, status=503, well=AWAY, headers={"Retry-After": "2"})
        except QuestionTooLong:
            text = "That takes too long to work out. A shorter period, or a filter, makes it less."
            return Inside(template=_NOTICE, status=503, facts={"problem": text})
        template = f"analytics_{name or 'overview'}.html" if view.accepted else "analytics_nothing.html"
        facts = {"grids": view.grids, "chosen": asked.chosen, "export": address.part("export"), **view.facts}
        return Inside(template=template, well=well, facts=facts)

    def _export(self, name: str, make: "Make") -> Endpoint:
        async def export(request: Request) -> Response:
            address = read_address(name, request.query_params.multi_items())
            try:
                asked = self._asked(request, address, EXPORT_ROWS)
                view = await make(asked)
                grid = asked.one_of("table", view.grids, next(iter(view.grids)))
                kind = address.first("format", "csv")
                engine = self._context.engine
                return await exported(engine, view.grids[grid], kind, name or "overview", asked.chosen)
            except InvalidRequest as error:
                return await self._notice(request, name, status=400, problem=sentence(str(error)))
            except AnalyticsAway:
                return await self._notice(request, name, status=503, well=AWAY)
            except QuestionTooLong as error:
                return await self._notice(request, name, status=503, problem=sentence(str(error)))

        return export

    async def _notice(self, request: Request, name: str, *, status: int, **facts: Any) -> Response:
        facts = {"address": Address(name)} | facts
        return await self._frame.answer(request, name, _NOTICE, status=status, **facts)

    def _asked(self, request: Request, address: Address, rows: int) -> Asked:
        # Raises NotFound for one that may not be seen; of several the filter says what is wrong.
        account_id = viewer_of(request).account(address.first("account")) or None
        chosen = read_filter(address.pairs, now_us=self._context.clock.now_us(), account_id=account_id, beside=OWN)
        return Asked(address=address, chosen=chosen, rows=rows)

    def _before(self, chosen: Filter) -> Filter:
        now_us = self._context.clock.now_us()
        return previous(chosen, now_us=now_us - now_us % 60_000_000)

    async def _compared(self, chosen: Filter, ask: Callable[[Filter], Awaitable[Found]]) -> Found | None:
        """Ask the same of the period before, if somebody wants to see it."""
        return await ask(self._before(chosen)) if chosen.compare else None

    async def _overview(self, asked: Asked) -> View:
        """Everything at a glance, against the period before."""
        ask, chosen, before = self._questions, asked.chosen, self._before(asked.chosen)
        tops = ("country", "carrier", "sender", "error")
        is_export = asked.rows == EXPORT_ROWS
        limit = asked.rows if is_export else TOP_ROWS
        (now, then, series, earlier), found = await asyncio.gather(
            asyncio.gather(
                ask.totals(chosen), ask.totals(before), ask.series(chosen), self._compared(chosen, ask.series)
            ),
            # The page shows no latencies in these lists; their exports have them.
            asyncio.gather(*(ask.breakdown(chosen, by, limit=limit, timed=is_export) for by in tops)),
        )
        grids = {"over_time": views.cohorts(series, earlier)}
        for each in found:
            grids[f"by_{each.by}"] = views.breakdown(each, asked.address, chosen)
        return View(
            grids=grids,
            facts={
                "now": now,
                "before": then,
                "before_filter": before,
                "no_receipt_link": views.without_receipt_link(chosen),
                "change": words.change,
                "points": words.points,
                "tops": [grids[f"by_{by}"] for by in tops],
                "counts": {name: getattr(now, name) for name in words.CLASS_LABELS},
                "settling": any(bucket.settling for bucket in series.buckets),
            },
            accepted=now.accepted,
        )

    async def _delivery(self, asked: Asked) -> View:
        """Messages by one thing, with their rates."""
        ask, chosen = self._questions, asked.chosen
        by = asked.one_of("by", DIMENSIONS, "country")
        order = asked.address.first("order", "accepted")
        now, series, earlier, found = await asyncio.gather(
            ask.sums(chosen),
            ask.series(chosen),
            self._compared(chosen, ask.series),
            ask.breakdown(chosen, by, limit=asked.rows, order=order),
        )
        grid = views.breakdown(found, asked.address, chosen)
        facts = {"by": by, "bys": words.BY, "order": order, "now": now, "grid": grid}
        grids = {grid.name: grid, "over_time": views.cohorts(series, earlier)}
        return View(grids=grids, facts=facts, accepted=now.accepted)

    async def _latency(self, asked: Asked) -> View:
        """How long messages take: percentiles over time, and by one thing."""
        ask, chosen = self._questions, asked.chosen
        by = asked.one_of("by", DIMENSIONS, "carrier")
        measure = asked.one_of("measure", dict.fromkeys(MEASURES), "total_ms")
        over_time = partial(ask.latency_series, measure=measure)
        whole, lines, earlier, found = await asyncio.gather(
            ask.latency(chosen),
            over_time(chosen),
            self._compared(chosen, over_time),
            ask.latency(chosen, by, limit=asked.rows),
        )
        grid = views.latencies(found, asked.address, chosen, measure)
        everything = whole.groups[0]
        facts = {
            "by": by,
            "bys": words.BY,
            "measure": measure,
            "measures": words.MEASURES,
            "hints": words.MEASURE_HINTS,
            "spreads": [(name, label, getattr(everything, name)) for name, label in words.MEASURES.items()],
            "grid": grid,
        }
        grids = {grid.name: grid, "over_time": views.latency_lines(lines, earlier)}
        return View(grids=grids, facts=facts, accepted=everything.accepted)

    async def _funnel(self, asked: Asked) -> View:
        """How far messages come, and which are followed by a conversion."""
        ask, chosen = self._questions, asked.chosen
        by = asked.one_of("by", DIMENSIONS, "sender")
        now, before, found = await asyncio.gather(
            ask.funnel(chosen), ask.funnel(self._before(chosen)), ask.conversion(chosen, by, limit=asked.rows)
        )
        grid = views.conversions(found, asked.address, chosen)
        steps = views.funnel_steps(now, before)
        facts = {
            "by": by, "bys": words.BY, "steps": steps, "points": words.points, "conversion": found, "grid": grid,
            "no_receipt_link": views.without_receipt_link(chosen),
        }  # fmt: skip
        grids = {"funnel": views.funnel_grid(now), grid.name: grid}
        return View(grids=grids, facts=facts, accepted=now.stages[0].count)

    async def _errors(self, asked: Asked) -> View:
        """Failures as issues."""
        ask, chosen = self._questions, asked.chosen
        is_export = asked.rows == EXPORT_ROWS
        now, series, earlier, found, codes = await asyncio.gather(
            ask.sums(chosen),
            ask.series(chosen),
            self._compared(chosen, ask.series),
            ask.issues(chosen, limit=asked.rows),
            # The page shows no latencies of codes; their export has them.
            ask.breakdown(chosen, "error", limit=asked.rows if is_export else TOP_ROWS, timed=is_export),
        )
        grid = views.issues(found, asked.address, chosen)
        by_error = views.breakdown(codes, asked.address, chosen)
        facts = {"now": now, "failures": found.failures, "grid": grid, "by_error": by_error}
        grids = {grid.name: grid, "over_time": views.failures_over_time(series, earlier), by_error.name: by_error}
        return View(grids=grids, facts=facts, accepted=now.accepted)

    async def _heatmap(self, asked: Asked) -> View:
        """The hours of the week."""
        shown = asked.one_of("measure", views.HEAT, "accepted")
        now, found = await asyncio.gather(self._questions.sums(asked.chosen), self._questions.heatmap(asked.chosen))
        facts = {"measure": shown, "measures": views.HEAT, "heat": heat(found, shown), "days": views.DAYS}
        return View(grids={"hours": views.hours_of_week(found)}, facts=facts, accepted=now.accepted)

    async def _spend(self, asked: Asked) -> View:
        """What it costs, and what for."""
        ask, chosen = self._questions, asked.chosen
        by = asked.one_of("by", DIMENSIONS, "country")
        before = self._before(chosen)
        found, then = await asyncio.gather(ask.spend(chosen, by, limit=asked.rows), ask.spend(before, by, limit=1))
        grid = views.spending(found, asked.address, chosen)
        facts = {
            "by": by, "bys": words.BY, "total": found.total, "then": then.total, "change": words.change, "grid": grid,
        }  # fmt: skip
        return View(grids={grid.name: grid}, facts=facts, accepted=found.total.accepted)


Make = Callable[[Asked], Awaitable[View]]


def _added(address: Address) -> Response | None:
    """Answer the form that adds a filter: with the address that has it. ``country:IN`` names what it is a value of."""
    value = address.first("value")
    plain = address.having(add="", value="")
    if not value:
        return RedirectResponse(plain.url(), 303) if address.first("add") else None
    name, colon, rest = value.partition(":")
    if colon and name.strip().lower() in FILTERS and rest.strip():
        return RedirectResponse(plain.where(name.strip().lower(), rest.strip()).url(), 303)
    name = address.first("add")
    return RedirectResponse(plain.where(name, value).url() if name in FILTERS else plain.url(), 303)


def sentence(text: str) -> str:
    """Write an error's text as a sentence."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
