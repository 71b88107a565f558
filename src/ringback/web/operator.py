"""Who operates this Ringback, as programs say it: HTTP Basic with the user ``operator`` and the operator's token.

There is one token at a time, and only its hash is stored. Accounts' credentials do not open what is here, and this
token opens nothing of theirs.
"""

import hashlib
import hmac
import secrets
from typing import Final

from starlette.requests import Request

from ringback.model.errors import NotAuthenticated
from ringback.store import keys
from ringback.store.port import Store
from ringback.web.api.auth import credentials

USER: Final = "operator"
KEY: Final = "operator token, hashed"


class OperatorDoor:
    """Lets the operator in."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def check(self, request: Request) -> None:
        """Raise ``NotAuthenticated`` for anybody else."""
        user, token = credentials(request)
        wanted = await self._store.read(lambda tx: keys.find(tx, KEY))
        if wanted is None or user != USER or not hmac.compare_digest(hashed(token), wanted):
            raise NotAuthenticated(
                "authentication failed: the user is operator, the password what ringback operator-token printed last"
            )


async def make_token(store: Store) -> str:
    """Make a token; the one before opens nothing any more."""
    token = secrets.token_urlsafe(32)
    await store.write(lambda tx: keys.replace(tx, KEY, hashed(token)))
    return token


def hashed(token: str) -> str:
    """Return what is stored of a token. It is random and long: no salt, and no slow hash, is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
