"""Carriers: how the link to each is in every process, the routes that lead there, and holding messages back; and the
customers who bind to Ringback.

Links are as processes last said, at most a second ago while they live; one that has not said anything for a minute has
ended and is not shown. What a button does goes through the database, so that every process hears of it.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.model.errors import NotFound
from ringback.routing.configured import shown
from ringback.routing.follow import TOPIC
from ringback.store import audit, routing, smpp_binds, smpp_logins, smpp_owed
from ringback.store.port import Transaction
from ringback.store.smpp_binds import Bind
from ringback.store.smpp_logins import Login
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.endpoints import reason_of
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form
from ringback.web.dashboard.viewer import actor_of

PAGE: Final = "/dashboard/carriers"
EXCHANGES_SHOWN: Final = 10

DONE: Final = {
    "pause": "is paused: its messages wait until it is resumed, or until they expire.",
    "resume": "is resumed: what was held back goes out.",
    "rebind": "makes its links anew, in every process.",
    "pause-route": "is paused: messages take other routes, or fail where there is none.",
    "resume-route": "is chosen again.",
    "disconnect": "is disconnected: its binds end within a few seconds.",
}


AUDITED: Final = {
    "pause": "carrier pause",
    "resume": "carrier resume",
    "rebind": "carrier rebind",
    "pause-route": "route pause",
    "resume-route": "route resume",
    "disconnect": "customer disconnect",
}
"""The same in the audit log."""


class Customer(msgspec.Struct, frozen=True):
    """A login of the SMPP server, with its binds and how much it is owed."""

    login: Login
    binds: list[Bind]
    owed: int


def _customers(tx: Transaction, now_us: int) -> list[Customer]:
    binds, owed = smpp_binds.now(tx, now_us), smpp_owed.waiting(tx)
    return [
        Customer(login, [bind for bind in binds if bind.system_id == login.system_id], owed.get(login.id, 0))
        for login in smpp_logins.list_all(tx)
    ]


class Carriers:
    """The page, and what its buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """All carriers with their links and routes."""
        now_us = self._context.clock.now_us()
        found, customers = await self._context.store.read(lambda tx: (shown(tx, now_us), _customers(tx, now_us)))
        name, did = request.query_params.get("name", ""), request.query_params.get("did", "")
        names = {each.carrier.name for each in found} | {route.name for each in found for route in each.routes}
        names |= {customer.login.system_id for customer in customers}
        return self._pages.answer(
            request,
            "carriers.html",
            section="carriers",
            found=found,
            customers=customers,
            now_us=now_us,
            most_exchanges=EXCHANGES_SHOWN,
            name=name,
            confirmation=DONE.get(did, "") if name in names else "",
        )

    async def act(self, request: Request) -> Response:
        """POST: do what a button says, then go back to the page."""
        form = await read_form(request)
        name, action = form.get("name", ""), form.get("action", "")
        work = self._work(action, name, reason_of(form.get("reason", "")))
        if work is None:
            return self._notice(request, 400, "Nothing was done", "The request did not say what to do.")
        actor, now_us = actor_of(request), self._context.clock.now_us()

        def noted(tx: Transaction) -> None:
            work(tx)
            audit.note(tx, actor, AUDITED[action], name, now_us=now_us)

        try:
            await self._context.store.write(noted)
        except NotFound:
            return self._notice(request, 404, "No such carrier", "There is no carrier, route or login of this name.")
        self._context.wakeups.signal(TOPIC)
        return RedirectResponse(f"{PAGE}?{urlencode({'did': action, 'name': name})}", 303)

    def _work(self, action: str, name: str, reason: str) -> Callable[[Transaction], object] | None:
        now_us = self._context.clock.now_us()
        works: dict[str, Callable[[Transaction], object]] = {
            "pause": lambda tx: routing.pause_carrier(tx, name, is_paused=True, reason=reason, now_us=now_us),
            "resume": lambda tx: routing.pause_carrier(tx, name, is_paused=False, reason=None, now_us=now_us),
            "rebind": lambda tx: routing.rebind_carrier(tx, name, now_us=now_us),
            "pause-route": lambda tx: routing.pause_route(tx, name, is_paused=True, now_us=now_us),
            "resume-route": lambda tx: routing.pause_route(tx, name, is_paused=False, now_us=now_us),
            "disconnect": lambda tx: smpp_logins.change(tx, name, {"disconnected_at_us": now_us}),
        }
        return works.get(action)

    def _notice(self, request: Request, status: int, title: str, text: str) -> Response:
        return self._pages.answer(request, "notice.html", status=status, section="carriers", title=title, text=text)
