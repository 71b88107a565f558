"""The token that every form carries, which other sites cannot know: a digest of the session's secret.

It needs no keeping and ends with the session. Templates write ``{{ csrf_field() }}`` into each form that POSTs; a
script sends ``csrf_token()`` in the header ``X-CSRF-Token``. Both are functions of the templates' environment, so that
macros have them too, and read the session from where the guard has put it for the length of the request.
"""

import hashlib
import hmac
from contextvars import ContextVar
from typing import Final

from markupsafe import Markup

FIELD: Final = "csrf"
HEADER: Final = "X-CSRF-Token"

_session: ContextVar[str] = ContextVar("ringback_session", default="")


def bind(session: str) -> None:
    """Let the forms of this request carry the token of a session, given by its secret."""
    _session.set(session)


def token_of(session: str) -> str:
    """Return the token of a session, ``""`` without one."""
    return hmac.digest(session.encode(), b"csrf", hashlib.sha256).hex() if session else ""


def fits(session: str, given: str) -> bool:
    """Say whether a token is the session's; never without a session."""
    return bool(session) and hmac.compare_digest(token_of(session).encode(), given.encode())


def csrf_token() -> str:
    """Return the token of the session whose request is being answered."""
    return token_of(_session.get())


def csrf_field() -> Markup:
    """Return the hidden field of a form."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, csrf_token())
