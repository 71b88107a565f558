"""Users of the dashboard, for operators: who there is, when they came last, and keeping somebody out.

Adding users and setting their passwords is for the command line: see ``cli.users``.
"""

from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from ringback.model.errors import InvalidRequest
from ringback.store import audit, logins, users
from ringback.store.port import Transaction
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import read_form, redirect
from ringback.web.dashboard.viewer import actor_of, session_of

PAGE: Final = "/dashboard/users"
DONE: Final = {
    "disable": "is disabled: sessions and login links have ended.",
    "enable": "may log in again.",
    "sign out": "is signed out everywhere.",
}


class People:
    """The page, and what its buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        """All users by name."""
        return await self._show(request)

    async def act(self, request: Request) -> Response:
        """POST: disable, enable or sign out a user, then go back to the page."""
        form = await read_form(request)
        name, action = form.get("name", "").replace("\x00", ""), form.get("action", "")
        now_us, actor, session = self._context.clock.now_us(), actor_of(request), session_of(request)
        works: dict[str, Callable[[Transaction], object]] = {
            "disable": partial(users.disable, name=name, now_us=now_us),
            "enable": partial(users.enable, name=name),
            "sign out": lambda tx: logins.end_of_user(tx, users.known(tx, name).id),
        }

        def work(tx: Transaction) -> None:
            if action == "disable" and users.known(tx, name).id == session.user_id:
                raise InvalidRequest("You cannot disable yourself.")
            works[action](tx)
            audit.note(tx, actor, f"user {action}", name, now_us=now_us)

        if action not in works:
            return await self._show(request, complaint="The request did not say what to do.", status=400)
        try:
            await self._context.store.write(work)
        except InvalidRequest as error:
            return await self._show(request, complaint=str(error), status=409)
        return redirect(f"{PAGE}?{urlencode({'did': action, 'name': name})}")

    async def _show(self, request: Request, *, complaint: str = "", status: int = 200) -> Response:
        found = await self._context.store.read(users.list_all)
        name, did = request.query_params.get("name", ""), request.query_params.get("did", "")
        return self._pages.answer(
            request,
            "users.html",
            status=status,
            section="users",
            found=found,
            me=session_of(request).user_id,
            name=name,
            complaint=complaint,
            confirmation=DONE.get(did, "") if name in {user.name for user in found} else "",
            now_us=self._context.clock.now_us(),
        )
