"""What every analytics page has around it: sub-navigation, the filter bar, and how far the analytics are.

A page is rendered through ``Frame.answer``; pages that ask nothing of the projection may use it as well. One whose
figures may take long is through ``Frame.shown``: somebody who waits for months of messages sees at once where they are
and can go elsewhere, and what was asked for follows in the same answer.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ringback.analytics.engine import Standing
from ringback.model.errors import AnalyticsAway
from ringback.web.dashboard import present
from ringback.web.dashboard.analytics_address import DIMENSIONS, PAGES, PERIODS, Address, read_address
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.viewer import viewer_of
from ringback.web.errors import note_defect

SWAPPED: Final = ("", "delivery", "latency", "funnel", "errors", "heatmap", "spend")
"""Pages that follow each other without the browser loading anything: they have no scripts of their own."""
_OF_OPERATORS: Final = frozenset({"sql"})
"""Pages that are not there for people of one account."""
_BY_SCRIPT: Final = ("HX-Request", "HX-History-Restore-Request")
"""Say that a script asked, which waits for all of a page and wants to know what became of it."""
_NOT_COLLECTED: Final = {"X-Accel-Buffering": "no"}
"""Proxies that collect answers before passing them on would hold the frame up."""
_TITLES: Final = {name: label for name, label, _ in PAGES}


class Wellness(msgspec.Struct, frozen=True, kw_only=True):
    """How far the analytics are, for people."""

    state: str
    """``current``, ``behind``, ``rebuilding`` or ``away``."""
    text: str
    """What to know about it; empty when they are current."""
    as_of_us: int | None
    mark: str
    """Another one as soon as a page would show other figures."""
    done: int = 0
    total: int = 0
    """Events taken in, and all there are, while that is shown as progress."""


AWAY: Final = Wellness(
    state="away",
    text=(
        "The analytics are away: no process of this Ringback holds them, or it is just starting. "
        "Messages and callbacks go on as always, and nothing is lost; this page comes back by itself."
    ),
    as_of_us=None,
    mark="away",
)


def wellness(standing: Standing) -> Wellness:
    """Say how far the analytics are."""
    total = standing.events + standing.behind
    taken = f"{present.number(standing.events)} of {present.number(total)} events are in"
    text = ""
    if standing.state == "rebuilding":
        speed = f", at {present.number(round(standing.per_s))} a second" if standing.per_s else ""
        text = f"The analytics are being rebuilt from the event log: {taken}{speed}. Figures are too low until then."
    elif standing.state == "behind":
        text = f"The analytics are {present.number(standing.behind)} events behind: what is newest is not in yet."
    return Wellness(
        state=standing.state,
        text=text,
        as_of_us=standing.as_of_us or None,
        mark=f"{standing.state} {standing.mark}",
        done=standing.events if text else 0,
        total=total if text else 0,
    )


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """What a page has inside the frame."""

    template: str
    """Extends ``around``."""
    well: Wellness | None = None
    """How far the analytics are; asked for if nobody has."""
    status: int = 200
    headers: Mapping[str, str] = {}
    facts: Mapping[str, Any] = {}


_FAILED: Final = Inside(
    template="analytics_notice.html",
    facts={"problem": "This page has failed, which is a defect of Ringback: its log says what has happened."},
)


class Frame:
    """Renders pages inside the frame."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def wellness(self) -> Wellness:
        """Ask how far the analytics are."""
        try:
            return wellness(await self._context.engine.standing())
        except AnalyticsAway:
            return AWAY

    async def answer(
        self,
        request: Request,
        page: str,
        template: str,
        *,
        address: Address | None = None,
        well: Wellness | None = None,
        status: int = 200,
        **facts: Any,
    ) -> Response:
        """Render a page; ``page`` is its name in ``PAGES``, the template extends ``analytics_base.html``."""
        around = self._around(request, page, address, well or await self.wellness())
        return self._pages.answer(request, template, status=status, **(around | facts))

    async def shown(
        self, request: Request, page: str, address: Address, finding: Coroutine[Any, Any, Inside]
    ) -> Response:
        """Answer with what is found. If that takes long, the frame goes ahead of it, and its status is 200 then.

        ``finding`` raises no error that somebody could do anything about: it finds a notice instead.
        """
        found = asyncio.ensure_future(finding)
        try:
            if request.method == "GET" and not any(name in request.headers for name in _BY_SCRIPT):
                await asyncio.wait([found], timeout=self._context.settings.frame_after_ms / 1000)
                well = AWAY if found.done() else await self.wellness()
                if not found.done():
                    parts = self._parts(request, page, address, well, found)
                    return StreamingResponse(parts, media_type="text/html", headers=_NOT_COLLECTED)
            inside = await found
        except BaseException:
            found.cancel()
            raise
        facts = {"address": address, "well": inside.well, **inside.facts}
        answer = await self.answer(request, page, inside.template, status=inside.status, **facts)
        answer.headers.update(inside.headers)
        return answer

    async def _parts(
        self, request: Request, page: str, address: Address, well: Wellness, found: "asyncio.Future[Inside]"
    ) -> AsyncIterator[str]:
        try:
            around = self._around(request, page, address, well)
            here = self._context.new_secret()
            before, _, after = self._pages.page(request, "analytics_begun.html", here=here, **around).partition(here)
            yield before
            try:
                rest = self._rest(request, page, address, well, await found)
            except Exception as error:  # noqa: BLE001 - boundary: the answer has begun, and can only say so itself
                note_defect(error, request.scope)
                rest = self._rest(request, page, address, well, _FAILED)
            yield rest
            yield after
        finally:
            found.cancel()

    def _rest(self, request: Request, page: str, address: Address, well: Wellness, inside: Inside) -> str:
        """Render what follows a frame that says how far the analytics were when it was sent."""
        facts = self._around(request, page, address, inside.well or well)
        own = {"around": "analytics_rest.html", "said": well.state}
        return self._pages.page(request, inside.template, **{**facts, **inside.facts, **own})

    def _around(self, request: Request, page: str, address: Address | None, well: Wellness) -> dict[str, Any]:
        viewer = viewer_of(request)
        return {
            "around": "analytics_base.html",
            "section": "analytics",
            "page": page,
            "page_title": _TITLES[page],
            "analytics_pages": [each for each in PAGES if viewer.is_operator or each[0] not in _OF_OPERATORS],
            "dimensions": {
                name: label for name, label in DIMENSIONS.items() if viewer.is_operator or name != "account"
            },
            "periods": PERIODS,
            "swapped_pages": SWAPPED,
            "viewer_is_operator": viewer.is_operator,
            "address": address or read_address(page, request.query_params.multi_items()),
            "well": well,
            "now_us": self._context.clock.now_us(),
            "problem": "",
            "timeless": False,
        }
