"""The two analytics pages that ask the store and not the projection: what happens now, and how endpoints answer."""

from typing import Final
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.analytics.filters import Filter, read_filter
from ringback.model.errors import AnalyticsAway, InvalidRequest
from ringback.store import feed, messages, standing
from ringback.store.endpoint_health import LOOK_AT, Healths, healths
from ringback.store.port import Transaction
from ringback.store.standing import Standings
from ringback.web.dashboard import present
from ringback.web.dashboard.analytics_address import read_address
from ringback.web.dashboard.analytics_export import exported
from ringback.web.dashboard.analytics_frame import Frame
from ringback.web.dashboard.analytics_grid import Column, Grid, Row
from ringback.web.dashboard.analytics_pages import OWN, sentence
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.listing import PAGE_ROWS, narrowed, read_wanted, without_receipt
from ringback.web.dashboard.live import EventRow, event_rows
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import Endpoint
from ringback.web.dashboard.viewer import viewer_of

_MOST_ENDPOINTS: Final = 200
_EVENTS_READ: Final = 500
"""So many of the newest events are looked at for those that the filters take."""


class AnalyticsLive:
    """Live, and endpoint health."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._frame = Frame(context, pages)

    def routes(self) -> list[tuple[str, Endpoint]]:
        """Return the addresses."""
        return [
            ("/dashboard/analytics/live", self.live),
            ("/dashboard/analytics/endpoints", self.endpoints),
            ("/dashboard/analytics/endpoints/export", self.export),
        ]

    async def live(self, request: Request) -> Response:
        """Events as they are recorded, newest first."""
        address = read_address("live", request.query_params.multi_items())
        try:
            self._check(request)
        except InvalidRequest as error:
            return await self._frame.answer(
                request, "live", "analytics_notice.html", address=read_address("live", ()), status=400,
                problem=sentence(str(error)),
            )  # fmt: skip
        wanted = narrowed(read_wanted(request.query_params), viewer_of(request))
        wanted = msgspec.structs.replace(wanted, since="", until="")
        no_receipt = without_receipt(self._context)
        # Asked first: what is added to the log while the page is drawn comes with its stream.
        offset = await feed.complete_to(self._context.store)

        def read(tx: Transaction) -> list[EventRow]:
            newest = messages.events_after(tx, max(0, offset - _EVENTS_READ), up_to=offset, limit=_EVENTS_READ)
            known = messages.by_uuid(tx, list({event.message_uuid for event in newest}))
            return event_rows(newest, known, wanted, no_receipt)[: -PAGE_ROWS - 1 : -1]

        rows = await self._context.store.read(read)
        return await self._frame.answer(
            request,
            "live",
            "analytics_live.html",
            address=address,
            rows=rows,
            timeless=True,
            live_query=wanted.query(rows="events", after=str(offset)),
            limit=PAGE_ROWS,
        )

    async def endpoints(self, request: Request) -> Response:
        """How endpoints answer callbacks."""
        address = read_address("endpoints", request.query_params.multi_items())
        try:
            grid, found, chosen = await self._health(request)
        except InvalidRequest as error:
            return await self._frame.answer(
                request, "endpoints", "analytics_notice.html", address=read_address("endpoints", ()), status=400,
                problem=sentence(str(error)),
            )  # fmt: skip
        tried = sum(each.attempts for each in found.rows)
        return await self._frame.answer(
            request,
            "endpoints",
            "analytics_endpoints.html",
            address=address,
            grid=grid,
            found=found,
            tried=tried,
            well_answered=sum(each.answered_well for each in found.rows) / tried if tried else None,
            slowest=max((each.p95_us for each in found.rows), default=None),
            in_trouble=sum(row.values[2] != "works" for row in grid.rows),
            waiting=sum(row.values[3] for row in grid.rows),
            look_at=LOOK_AT,
            chosen=chosen,
            export=address.part("export"),
        )

    async def export(self, request: Request) -> Response:
        """The table of endpoints as a file."""
        try:
            grid, _, chosen = await self._health(request)
            kind = request.query_params.get("format", "csv")
            return await exported(self._context.engine, grid, kind, "endpoints", chosen)
        except (InvalidRequest, AnalyticsAway) as error:
            status = 400 if isinstance(error, InvalidRequest) else 503
            return await self._frame.answer(
                request, "endpoints", "analytics_notice.html", address=read_address("endpoints", ()), status=status,
                problem=sentence(str(error)),
            )  # fmt: skip

    def _check(self, request: Request) -> Filter:
        return read_filter(
            request.query_params,
            now_us=self._context.clock.now_us(),
            account_id=viewer_of(request).account(request.query_params.get("account", "")) or None,
            beside=OWN,
        )

    async def _health(self, request: Request) -> tuple[Grid, Healths, Filter]:
        chosen = self._check(request)
        now_us = self._context.clock.now_us()
        only = None if chosen.account_id is None else [chosen.account_id]

        def read(tx: Transaction) -> tuple[Healths, Standings]:
            return (
                healths(tx, since_us=chosen.since_us, account_id=chosen.account_id),
                standing.page(tx, since_us=chosen.since_us, limit=_MOST_ENDPOINTS, only=only),
            )

        found, stand = await self._context.store.read(read)
        return _grid(found, stand, now_us), found, chosen


def _grid(found: Healths, stand: Standings, now_us: int) -> Grid:
    """Those in trouble first, then those with most waiting; see ``store.standing``."""
    answered = {(each.account_id, each.origin): each for each in found.rows}
    rows = []
    for each in stand.rows:
        endpoint = each.endpoint
        health = answered.get((endpoint.account_id, endpoint.origin))
        rows.append(
            Row(
                values=(
                    endpoint.origin,
                    endpoint.account_id,
                    present.circuit(endpoint.circuit, now_us),
                    each.waiting,
                    each.given_up,
                    0 if health is None else health.attempts,
                    None if health is None else health.answered_well / health.attempts,
                    None if health is None else health.p50_us // 1000,
                    None if health is None else health.p95_us // 1000,
                    None if health is None else health.last_failure,
                    None if health is None else health.last_failure_at_us,
                ),
                note=each.account_name or endpoint.account_id,
                link=f"/dashboard/endpoints/{endpoint.id}",
                messages=f"/dashboard/callbacks?endpoint={quote(endpoint.origin, safe='')}",
                label=endpoint.circuit.state.value,
            )
        )
    return Grid(name="endpoints", title="Endpoints", columns=_COLUMNS, rows=rows)


_COLUMNS: Final = (
    Column(name="endpoint", label="Endpoint", kind="text"),
    Column(name="account", label="Account", kind="text"),
    Column(name="state", label="State", kind="text"),
    Column(name="waiting", label="Waiting", hint="callbacks to be attempted"),
    Column(name="given_up", label="Given up", hint="callbacks that have used up their attempts"),
    Column(name="attempts", label="Attempts"),
    Column(name="answered_well", label="Answered well", kind="share", hint="attempts that a 2xx answered"),
    Column(name="p50_ms", label="p50", kind="ms"),
    Column(name="p95_ms", label="p95", kind="ms"),
    Column(name="last_failure", label="Last failure", kind="text"),
    Column(name="last_failure_at", label="At", kind="time"),
)
