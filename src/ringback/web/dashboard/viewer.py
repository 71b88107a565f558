"""Who looks at a page: an operator, who sees everything, or somebody of one account, who sees only that account.

The guard of sessions sets it before every page; see ``docs/access.md`` for what an account sees.
"""

import msgspec
from starlette.requests import Request


class Viewer(msgspec.Struct, frozen=True):
    """A person who has logged in."""

    name: str
    """As people read it: of a user, or of whoever came with a login link."""
    account_id: str | None
    """The one account that is seen, with its subaccounts; ``None`` of an operator, who sees all."""
    is_operator: bool


LINK_OPERATOR = Viewer(name="operator", account_id=None, is_operator=True)
"""Who came with a login link that names nobody."""


def set_viewer(request: Request, viewer: Viewer) -> None:
    """Let a request's pages know who looks at them."""
    request.state.viewer = viewer


def viewer_of(request: Request) -> Viewer:
    """Return who looks. Raises ``AttributeError`` where no guard has let the request in: nobody may look then."""
    viewer: Viewer = request.state.viewer
    return viewer
