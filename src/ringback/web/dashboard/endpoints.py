"""Endpoints: which of them are in trouble, what is waiting for each, and holding callbacks back or letting them go.

Nothing here is renewed by itself: a page that moves under the hand that is about to press a button helps nobody.
"""

import re
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.delivery.operate import pause, resume
from ringback.model.circuit import CircuitState, Party
from ringback.model.errors import Forbidden, NotFound
from ringback.model.retry import stored_plan
from ringback.store import audit, endpoints, standing
from ringback.store.endpoints import Endpoint
from ringback.store.port import Transaction
from ringback.store.rollups import HOUR_US
from ringback.store.standing import Place, Sent, Standing, Standings
from ringback.web.dashboard import present
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form
from ringback.web.dashboard.viewer import actor_of, viewer_of

LIST: Final = "/dashboard/endpoints"
PAGE_ROWS: Final = 50
CALLBACKS_SHOWN: Final = 50
GIVEN_UP_WITHIN_US: Final = 24 * HOUR_US
REASON_LIMIT: Final = 200
REASON: Final = "paused in the dashboard"
"""Where the operator gives none."""

_ID: Final = re.compile(r"[0-9a-f]{32}")
_CURSOR: Final = re.compile(r"([01])-(\d{1,3})-([0-9a-f]{32})", re.ASCII)

MEANINGS: Final = {
    CircuitState.CLOSED: "Callbacks go out as they fall due.",
    CircuitState.OPEN: (
        "Nothing goes out until its probe is due: one callback then shows whether it is back. "
        "Resume it to let callbacks go at once."
    ),
    CircuitState.HALF_OPEN: "One callback is out as a probe; what becomes of it decides whether others follow.",
    CircuitState.PAUSED: "Its callbacks are kept and none goes out, until somebody resumes it.",
    CircuitState.DISABLED: (
        "It said that it is gone (410). Its callbacks are kept and none goes out, until somebody resumes it."
    ),
}


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """What is read for the page of one endpoint, all of one moment."""

    standing: Standing
    all_given_up: bool
    sent: list[Sent]


class Endpoints:
    """The list, the pages of single endpoints, and what their buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """Those in trouble first, then by what is waiting; ``after`` in the address continues another page."""
        now_us, viewer = self._context.clock.now_us(), viewer_of(request)
        after = read_place(request.query_params.get("after", ""))
        changed_id = request.query_params.get("endpoint", "")

        def read(tx: Transaction) -> tuple[Standings, Endpoint | None]:
            found = standing.page(
                tx, since_us=now_us - GIVEN_UP_WITHIN_US, limit=PAGE_ROWS, after=after, only=viewer.only()
            )
            changed = endpoints.by_id(tx, [changed_id]).get(changed_id) if _ID.fullmatch(changed_id) else None
            return found, changed if changed is not None and viewer.sees(changed.account_id) else None

        found, changed = await self._context.store.read(read)
        return self._pages.answer(
            request,
            "endpoints.html",
            section="endpoints",
            found=found,
            limits=limits,
            now_us=now_us,
            after=write_place(after) if after else "",
            later=write_place(found.next) if found.next else "",
            most=standing.COUNT_UP_TO,
            given_up_most=standing.GIVEN_UP_UP_TO,
            changed=changed,
            confirmation=confirmation(request.query_params.get("did", ""), changed),
        )

    async def one(self, request: Request) -> Response:
        """One endpoint, or 404."""
        id_ = request.path_params["id"]
        now_us = self._context.clock.now_us()
        since_us = now_us - GIVEN_UP_WITHIN_US
        found = await self._context.store.read(lambda tx: _whole(tx, id_, since_us)) if _ID.fullmatch(id_) else None
        if found is None or not viewer_of(request).sees(found.standing.endpoint.account_id):
            return self._none(request)
        endpoint = found.standing.endpoint
        return self._pages.answer(
            request,
            "endpoint.html",
            section="endpoints",
            found=found,
            endpoint=endpoint,
            circuit=endpoint.circuit,
            meaning=MEANINGS[endpoint.circuit.state],
            limits=limits(endpoint),
            now_us=now_us,
            most=standing.COUNT_UP_TO,
            confirmation=confirmation(request.query_params.get("did", ""), endpoint),
        )

    async def act(self, request: Request) -> Response:
        """POST: pause or resume an endpoint, then go back to the page whose button was pressed."""
        id_ = request.path_params["id"]
        form = await read_form(request)
        action = form.get("action", "")
        now_us = self._context.clock.now_us()
        reason = reason_of(form.get("reason", ""))

        viewer, actor = viewer_of(request), actor_of(request)
        party = Party.OPERATOR if viewer.is_operator else Party.ACCOUNT

        def work(tx: Transaction) -> None:
            known = endpoints.by_id(tx, [id_]).get(id_)
            if known is None or not viewer.sees(known.account_id):
                raise NotFound
            if action == "pause":
                pause(tx, id_, by=party, reason=reason, now_us=now_us)
            else:
                resume(tx, id_, by=party, now_us=now_us)
            audit.note(tx, actor, f"endpoint {action}", f"{known.account_id} {id_}", now_us=now_us)

        if action not in {"pause", "resume"}:
            return self._pages.answer(
                request,
                "notice.html",
                status=400,
                section="endpoints",
                title="Nothing was done",
                text="The request did not say whether to pause or to resume the endpoint.",
            )
        if not _ID.fullmatch(id_):
            return self._none(request)
        try:
            await self._context.store.write(work)
        except NotFound:
            return self._none(request)
        except Forbidden as error:
            return self._pages.answer(
                request,
                "notice.html",
                status=409,
                section="endpoints",
                title="Nothing was done",
                text=f"It stays as it is: {error}.",
            )
        # What was held back is due now.
        self._context.wakeups.signal("callbacks")
        if form.get("back") != "list":
            return RedirectResponse(f"{LIST}/{id_}?{urlencode({'did': action})}", 303)
        after = read_place(form.get("after", ""))
        query = ({"after": write_place(after)} if after else {}) | {"did": action, "endpoint": id_}
        return RedirectResponse(f"{LIST}?{urlencode(query)}", 303)

    def _none(self, request: Request) -> Response:
        return self._pages.answer(
            request,
            "notice.html",
            status=404,
            section="endpoints",
            title="No such endpoint",
            text="There is no endpoint of this id in this database.",
        )


def read_place(text: str) -> Place | None:
    """Read a cursor from an address."""
    cursor = _CURSOR.fullmatch(text)
    return Place(cursor[1] == "1", int(cursor[2]), cursor[3]) if cursor else None


def write_place(place: Place) -> str:
    """Write a cursor for an address."""
    return f"{int(place.is_well)}-{place.waiting}-{place.id}"


def reason_of(text: str) -> str:
    """Return an operator's reason in one short line of printable characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:REASON_LIMIT].strip() or REASON


def limits(endpoint: Endpoint) -> list[str]:
    """Say in words what has been set for an endpoint; nothing where the settings apply."""
    out: list[str] = []
    if endpoint.concurrency is not None:
        out.append(f"{present.number(endpoint.concurrency)} at a time")
    if endpoint.rate_per_minute is not None:
        out.append(f"{present.number(endpoint.rate_per_minute)} a minute")
    if endpoint.retry_delays is not None:
        waits = ", ".join(f"{delay_s:g} s" for delay_s in stored_plan(endpoint.retry_delays).delays_s)
        out.append(f"retries after {waits}" if waits else "no retries")
    if endpoint.keep_parked is not None:
        out.append(
            "attempts missed while parked are made later"
            if endpoint.keep_parked
            else "attempts missed while parked count as made"
        )
    return out


def confirmation(did: str, endpoint: Endpoint | None) -> str:
    """Say what has come of an action, as the store has it now and not as the address says; ``""`` without one."""
    if endpoint is None:
        return ""
    return {"pause": _PAUSED, "resume": _RESUMED}.get(did, {}).get(endpoint.circuit.state, "")


_SINCE: Final = "was paused, and somebody has resumed it since."
_PAUSED: Final = {
    CircuitState.PAUSED: "is paused: its callbacks are kept until it is resumed. Attempts under way are finished.",
    CircuitState.DISABLED: "was paused, resumed by somebody, and has answered 410 since.",
    CircuitState.CLOSED: _SINCE,
    CircuitState.OPEN: _SINCE,
    CircuitState.HALF_OPEN: _SINCE,
}
_RESUMED: Final = {
    CircuitState.PAUSED: "was resumed, and somebody has paused it since.",
    CircuitState.DISABLED: "was resumed, and has answered 410 again.",
    CircuitState.CLOSED: "is resumed: what was held back is due now and goes out, slowly at first.",
    CircuitState.OPEN: "was resumed, and is parked again.",
    CircuitState.HALF_OPEN: "was resumed, was parked again, and is being probed.",
}


def _whole(tx: Transaction, id_: str, since_us: int) -> Whole | None:
    found, all_given_up = standing.of_endpoint(tx, id_, since_us=since_us)
    if found is None:
        return None
    sent = standing.newest(tx, found.endpoint, limit=CALLBACKS_SHOWN)
    return Whole(standing=found, all_given_up=all_given_up, sent=sent)
