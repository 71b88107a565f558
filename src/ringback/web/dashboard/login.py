"""Logging in, by a link that works once or by name and password, and logging out.

Opening a link only shows a button, because mail and chat programs open links to preview them; the button uses the
link up. A wrong name, a wrong password, and a user who is disabled or has no password get the same answer after the
same work. Passwords are hashed in threads, a few at a time: more than can wait get 503 at once.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.model import passwords
from ringback.model.errors import InvalidRequest, StoreUnavailable
from ringback.model.passwords import NOBODYS
from ringback.store import audit, logins, users
from ringback.store.audit import Actor
from ringback.store.logins import Link, OpenedBy, Session
from ringback.store.port import Transaction
from ringback.store.users import User
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import Pages
from ringback.web.dashboard.sessions import (
    COOKIE,
    HOME,
    LOGIN,
    MINUTE_US,
    OPERATOR,
    Sessions,
    from_here,
    inside,
    read_form,
    redirect,
    safe_next,
    secret_of,
)
from ringback.web.dashboard.throttle import Throttle

HASHED_AT_A_TIME: Final = 2
"""Each takes 32 MB and a processor for some 0.2 s."""
MOST_WAITING: Final = 16
UNKNOWN: Final = "unknown name"
"""In the audit log for a name that nobody has: people type passwords there by mistake."""


class Hashing:
    """Hashes passwords of people in threads, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(HASHED_AT_A_TIME)
        self._inside = 0

    @property
    def is_busy(self) -> bool:
        """Whether so many wait that no other should."""
        return self._inside >= HASHED_AT_A_TIME + MOST_WAITING

    async def __aenter__(self) -> None:
        """Wait for a turn."""
        self._inside += 1
        try:
            await self._turns.acquire()
        except asyncio.CancelledError:
            self._inside -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        """Let the next one."""
        self._inside -= 1
        self._turns.release()


class Login:
    """The login page, and the way out."""

    def __init__(self, context: DashboardContext, pages: Pages, sessions: Sessions, hashing: Hashing) -> None:
        self._context = context
        self._pages = pages
        self._sessions = sessions
        self._hashing = hashing
        self._throttle = Throttle()

    async def page(self, request: Request) -> Response:
        """GET: the button that uses a link up, or the form for name and password (401)."""
        key = request.query_params.get("key", "")
        return self._page(
            request, 200 if key else 401, key=key, onward=safe_next(request.query_params.get("next", HOME))
        )

    async def login(self, request: Request) -> Response:
        """POST: open a session with a link or with name and password; 401 when they are no good."""
        if not from_here(request):
            return self._sessions.refused(request)
        form = await read_form(request)
        try:
            return await (self._by_password(request, form) if "name" in form else self._by_link(request, form))
        except StoreUnavailable:
            return self._sessions.away(request)

    async def logout(self, request: Request) -> Response:
        """POST: end the session."""
        secret, now_us = secret_of(request), self._context.clock.now_us()
        address = self._context.peers.of(request)

        def work(tx: Transaction) -> None:
            found = inside(tx, secret, now_us, self._context.settings)
            logins.end_session(tx, secret)
            if found is not None:
                actor = Actor(found.actor.name, found.actor.kind, found.actor.account_id, address)
                audit.note(tx, actor, "logout", now_us=now_us)

        await self._context.store.write(work)
        answer = redirect(LOGIN)
        answer.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
        return answer

    async def _by_link(self, request: Request, form: dict[str, str]) -> Response:
        key, now_us, address = form.get("key", ""), self._context.clock.now_us(), self._context.peers.of(request)

        def work(tx: Transaction) -> Session | None:
            link = logins.use_link(tx, key, now_us)
            user = users.by_id(tx, link.user_id) if link and link.user_id else None
            is_good = link is not None and (link.user_id is None or (user is not None and user.disabled_at_us is None))
            name = user.name if user else (link and link.account_id) or OPERATOR
            if link is None or not is_good:
                actor = Actor("nobody", "nobody", address=address)
                audit.note(tx, actor, "login by link", now_us=now_us, outcome="refused")
                return None
            actor = Actor(name, "user" if user else "link", link.account_id, address)
            audit.note(tx, actor, "login by link", now_us=now_us)
            return self._open(tx, request, link, "link", now_us)

        return await self._answer(request, work, HOME, spent=True)

    def _open(self, tx: Transaction, request: Request, link: Link, opened_by: OpenedBy, now_us: int) -> Session:
        logins.end_session(tx, secret_of(request))
        if link.user_id is not None:
            users.logged_in(tx, link.user_id, now_us)
        return Session(
            id=self._context.new_id(now_us),
            user_id=link.user_id,
            account_id=link.account_id,
            opened_by=opened_by,
            created_at_us=now_us,
            seen_at_us=now_us,
            expires_at_us=now_us + self._context.settings.session_hours * 60 * MINUTE_US,
            address=self._context.peers.of(request),
            browser=request.headers.get("user-agent", ""),
        )

    async def _answer(
        self, request: Request, work: Callable[[Transaction], Session | None], onward: str, **refusal: Any
    ) -> Response:
        """Open the session that ``work`` makes under a new secret, or show the page that says why there is none."""
        secret = self._context.new_secret()

        def open_it(tx: Transaction) -> bool:
            made = work(tx)
            if made is not None:
                logins.open_session(tx, secret, made)
            return made is not None

        if not await self._context.store.write(open_it):
            return self._page(request, 401, **refusal)
        answer = redirect(onward)
        set_cookie(answer, secret, self._context)
        return answer

    async def _by_password(self, request: Request, form: dict[str, str]) -> Response:
        name, password = form.get("name", "").strip().lower(), form.get("password", "")
        onward = safe_next(form.get("next", HOME))
        address = self._context.peers.of(request)
        if self._hashing.is_busy:
            return self._page(request, 503, onward=onward, wait_s=1)
        async with self._hashing:
            # Asked here: of many tries at a time each counts before the next is made.
            now_us = self._context.clock.now_us()
            if wait_s := self._throttle.wait_s(name, address, now_us):
                if self._throttle.is_news(name, address):
                    await self._note(name, address, "login held back")
                return self._page(request, 429, onward=onward, wait_s=wait_s)
            user = await self._context.store.read(lambda tx: users.find(tx, name.replace("\x00", "")))
            kept = (user.password_hash if user else None) or NOBODYS
            fits = await asyncio.to_thread(passwords.fits, password, kept)
            if user is None or not fits or user.disabled_at_us is not None:
                self._throttle.wrong(name, address, now_us)
                await self._note(name, address, "login by password")
                return self._page(request, 401, onward=onward, wrong=True)
            anew = None if passwords.is_current(kept) else await self._anew(password)
        self._throttle.right(name)
        return await self._answer(request, self._opening(request, user, anew, address), onward, wrong=True)

    def _opening(
        self, request: Request, user: User, anew: str | None, address: str
    ) -> Callable[[Transaction], Session | None]:
        now_us = self._context.clock.now_us()

        def work(tx: Transaction) -> Session | None:
            still = users.by_id(tx, user.id)
            if still is None or still.password_hash != user.password_hash or still.disabled_at_us is not None:
                return None
            if anew is not None:
                users.keep_anew(tx, user, anew)
            audit.note(tx, Actor(user.name, "user", user.account_id, address), "login by password", now_us=now_us)
            return self._open(tx, request, Link(user.id, user.account_id), "password", now_us)

        return work

    async def _anew(self, password: str) -> str | None:
        salt = self._context.new_secret().encode()[:16]
        try:
            return await asyncio.to_thread(passwords.hashed_of_person, password, salt)
        except InvalidRequest:
            # It was good enough when it was set.
            return None

    async def _note(self, name: str, address: str, action: str) -> None:
        """Tell the audit log of a login that was refused."""
        now_us = self._context.clock.now_us()

        def work(tx: Transaction) -> None:
            user = users.find(tx, name.replace("\x00", ""))
            whose = user.account_id if user else None
            actor = Actor(user.name if user else UNKNOWN, "nobody", whose, address)
            audit.note(tx, actor, action, now_us=now_us, outcome="refused")

        await self._context.store.write(work)

    def _page(self, request: Request, status: int, **facts: Any) -> Response:
        shown = {"key": "", "onward": HOME, "spent": False, "wrong": False, "wait_s": 0} | facts
        answer = self._pages.answer(
            request,
            "login.html",
            status=status,
            logged_in=False,
            minutes=self._context.settings.login_link_minutes,
            is_readable=self._is_readable(request),
            **shown,
        )
        if shown["wait_s"]:
            answer.headers["Retry-After"] = str(shown["wait_s"])
        return answer

    def _is_readable(self, request: Request) -> bool:
        """Say whether others on the way can read what is sent: it goes unencrypted, and not only on this machine."""
        if self._context.secure_cookies or request.url.scheme == "https":
            return False
        try:
            return not ipaddress.ip_address(self._context.peers.of(request)).is_loopback
        except ValueError:
            return True


def set_cookie(answer: Response, secret: str, context: DashboardContext) -> None:
    """Let the browser keep a session's secret."""
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=context.settings.session_hours * 3600,
        path=HOME,
        httponly=True,
        samesite="strict",
        secure=context.secure_cookies,
    )
