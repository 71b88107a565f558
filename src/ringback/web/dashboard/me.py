"""One's own login: the password, and the sessions that are open."""

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.model import passwords
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import as_uuid
from ringback.store import audit, logins, users
from ringback.store.logins import Session
from ringback.store.port import Transaction
from ringback.store.users import User
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.login import Hashing, set_cookie
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import MINUTE_US, read_form, redirect
from ringback.web.dashboard.viewer import actor_of, session_of

PAGE = "/dashboard/me"
DONE = {
    "password": "Your password is changed, and all other sessions have ended.",
    "end": "The session has ended.",
    "everywhere": "All other sessions have ended.",
}


class Me:
    """The page, and what its buttons do."""

    def __init__(self, context: DashboardContext, pages: Pages, hashing: Hashing) -> None:
        self._context = context
        self._pages = pages
        self._hashing = hashing

    async def page(self, request: Request) -> Response:
        """Who one is, the form for the password, and the sessions."""
        return await self._show(request)

    async def act(self, request: Request) -> Response:
        """POST: change the password, or end sessions, then go back to the page."""
        form = await read_form(request)
        action = form.get("action", "")
        if action == "password":
            return await self._change_password(request, form)
        session, actor, now_us = session_of(request), actor_of(request), self._context.clock.now_us()
        wanted = as_uuid(form.get("session", "")) or ""

        def work(tx: Transaction) -> None:
            if action == "everywhere":
                logins.end_others(tx, session)
            elif not logins.end_one(tx, session, wanted):
                raise NotFound
            audit.note(tx, actor, "session end", "all others" if action == "everywhere" else wanted, now_us=now_us)

        if action not in {"everywhere", "end"}:
            return await self._show(request, complaint="The request did not say what to do.", status=400)
        await self._context.store.write(work)
        return redirect(f"{PAGE}?did={action}")

    async def _change_password(self, request: Request, form: dict[str, str]) -> Response:
        session, actor = session_of(request), actor_of(request)
        user = await self._context.store.read(lambda tx: users.by_id(tx, session.user_id or ""))
        if user is None:
            # Who came with a link that names nobody has no password.
            raise NotFound
        secret = self._context.new_secret()
        try:
            kept = await self._checked(session, user, form)
        except InvalidRequest as error:
            now_us = self._context.clock.now_us()
            await self._context.store.write(
                lambda tx: audit.note(tx, actor, "password change", now_us=now_us, outcome="refused")
            )
            return await self._show(request, complaint=str(error), status=400)
        now_us = self._context.clock.now_us()

        def work(tx: Transaction) -> None:
            users.set_password(tx, user.name, kept)
            # It ends every session of the user; this one goes on under another secret.
            logins.open_session(tx, secret, msgspec.structs.replace(session, opened_by="password"))
            audit.note(tx, actor, "password change", user.name, now_us=now_us)

        await self._context.store.write(work)
        answer = redirect(f"{PAGE}?did=password")
        set_cookie(answer, secret, self._context)
        return answer

    async def _checked(self, session: Session, user: User, form: dict[str, str]) -> str:
        """Return what is kept of the new password. Raises ``InvalidRequest``."""
        new = form.get("new", "")
        if new != form.get("again", ""):
            raise InvalidRequest("The new password was written in two ways: write it twice alike.")
        if self._hashing.is_busy:
            raise InvalidRequest("Many are logging in just now: try again in a moment.")
        salt = self._context.new_secret().encode()[:16]
        async with self._hashing:
            if needs_present(session, user):
                given = form.get("present", "")
                if not await asyncio.to_thread(passwords.fits, given, user.password_hash or ""):
                    raise InvalidRequest("That is not your present password.")
            return await asyncio.to_thread(passwords.hashed_of_person, new, salt, name=user.name)

    async def _show(self, request: Request, *, complaint: str = "", status: int = 200) -> Response:
        session, now_us = session_of(request), self._context.clock.now_us()
        idle_us = self._context.settings.idle_minutes * MINUTE_US

        def read(tx: Transaction) -> tuple[User | None, Sequence[Session]]:
            user = users.by_id(tx, session.user_id) if session.user_id else None
            return user, [each for each in logins.like(tx, session, now_us) if each.seen_at_us > now_us - idle_us]

        user, found = await self._context.store.read(read)
        return self._pages.answer(
            request,
            "me.html",
            status=status,
            section="me",
            user=user,
            sessions=found,
            current=session,
            needs_present=user is not None and needs_present(session, user),
            least=passwords.LEAST_OF_PEOPLE,
            complaint=complaint,
            confirmation=DONE.get(request.query_params.get("did", ""), ""),
            now_us=now_us,
        )


def needs_present(session: Session, user: User) -> bool:
    """Say whether the present password is asked for: a link is there also for those who have forgotten it."""
    return user.password_hash is not None and session.opened_by == "password"
