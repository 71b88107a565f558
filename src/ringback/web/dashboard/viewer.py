"""Who looks at a page: an operator, who sees everything, or somebody of one account, who sees only what is its own.

The guard of sessions sets it before every page. What an account sees is its own and its subaccounts': a list shows
those of one account at a time, its own where the address names none, and anything of another account is not there.
"""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request

from ringback.model.errors import NotFound
from ringback.settings import SourceSettings
from ringback.store.audit import Actor
from ringback.store.logins import Session


class Viewer(msgspec.Struct, frozen=True):
    """A person who has logged in."""

    name: str
    """As people read it: of a user, or what somebody is who came with a login link."""
    account_id: str | None
    """The account that is seen; ``None`` of an operator, who sees all."""
    is_operator: bool
    accounts: frozenset[str] = frozenset()
    """Of an account's people: it and its subaccounts."""

    def sees(self, account_id: str | None) -> bool:
        """Say whether something of an account (of none: the operator's) may be shown."""
        return self.is_operator or account_id in self.accounts

    def account(self, asked: str) -> str:
        """Return the account of which a list is shown, given the one that was asked for, ``""`` for none.

        For operators ``""`` is all of them. Raises ``NotFound`` for one that may not be seen.
        """
        if self.account_id is None:
            return asked
        if asked and asked not in self.accounts:
            raise NotFound
        return asked or self.account_id

    def only(self) -> frozenset[str] | None:
        """Return the accounts to which everything is narrowed down; ``None`` for none."""
        return None if self.is_operator else self.accounts

    def sources(self, known: Mapping[str, SourceSettings]) -> frozenset[str] | None:
        """Return the names of the sources whose requests may be shown; ``None`` for all there are and were.

        A source is of the account that it names, and of the one that has its auth id.
        """
        if self.is_operator:
            return None
        return frozenset(
            name for name, source in known.items() if self.sees(source.account) or self.sees(source.auth_id)
        )


def viewer_of(request: Request) -> Viewer:
    """Return who looks. Raises ``AttributeError`` where no guard has let the request in: nobody may look then."""
    viewer: Viewer = request.state.viewer
    return viewer


def session_of(request: Request) -> Session:
    """Return the session that the guard has let in."""
    session: Session = request.state.session
    return session


def actor_of(request: Request) -> Actor:
    """Return who acts, for the audit log."""
    actor: Actor = request.state.actor
    return actor
