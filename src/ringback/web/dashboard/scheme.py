"""Light or dark: as the system says, or as somebody has chosen in this browser.

The choice is in a cookie, so the first byte of a page knows it already: the style sheet of the dark colours is there
for dark systems, for everybody, or not at all. No script has a part in it.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.pages import SCHEME_COOKIE, SCHEMES
from ringback.web.dashboard.sessions import HOME, read_form, redirect, safe_next

_YEAR_S: Final = 365 * 86_400


class ChooseScheme:
    """What the button does."""

    def __init__(self, context: DashboardContext) -> None:
        self._context = context

    async def act(self, request: Request) -> Response:
        """POST: keep the choice in this browser, and go back to the page; what is no scheme is as the system."""
        form = await read_form(request)
        answer = redirect(safe_next(form.get("next", HOME)))
        chosen = form.get("scheme", "")
        if chosen not in SCHEMES:
            answer.delete_cookie(SCHEME_COOKIE, path=HOME)
            return answer
        answer.set_cookie(
            SCHEME_COOKIE,
            chosen,
            max_age=_YEAR_S,
            path=HOME,
            httponly=True,
            # Nothing is let in by it: a page reached from elsewhere has its colours too.
            samesite="lax",
            secure=self._context.secure_cookies,
        )
        return answer
