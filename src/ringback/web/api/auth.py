"""Who calls the API: HTTP Basic with auth id and token (contract section 1.1)."""

import base64
import binascii
import hmac
from typing import Final

from starlette.requests import Request

from ringback.model.errors import NotAuthenticated
from ringback.runtime import Clock
from ringback.store.accounts import Account, AccountCache

_SEEN: Final = "ringback.account"
"""Where a request keeps whom it was found to be from, so that it is asked once."""
_READING: Final = frozenset({"GET", "HEAD"})


class Authenticator:
    """Checks credentials against accounts."""

    def __init__(self, accounts: AccountCache, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    async def account(self, request: Request) -> Account:
        """Return the account that the request's path names, and whose credentials it has, or those of its main account.

        Raises ``NotAuthenticated``.
        """
        known = request.scope.get(_SEEN)
        if isinstance(known, Account):
            return known
        account = await self.caller(request)
        if account.reads_only and request.method not in _READING:
            # Not 403, as below.
            raise NotAuthenticated(
                f"account {account.auth_id} reads what its source has received, and changes and sends nothing: "
                "use an account that ringback account create has made"
            )
        if request.path_params["auth_id"] != account.auth_id:
            named = await self._subaccount(request.path_params["auth_id"], account)
            if named is not None:
                request.scope[_SEEN] = named
                return named
            # Not 403: on sends the SDKs take that for a country that is blocked (contract section 1.5).
            raise NotAuthenticated("authentication failed: these credentials are not of the account in the path")
        request.scope[_SEEN] = account
        return account

    async def caller(self, request: Request) -> Account:
        """Return the account that the request's credentials name. Raises ``NotAuthenticated``."""
        auth_id, token = credentials(request)
        account = await self._accounts.get(auth_id, self._clock.now_us())
        # Compared even when there is no account, so that the time taken does not tell which ids exist.
        candidates = account.tokens if account else ("",)
        matches = [hmac.compare_digest(token.encode(), candidate.encode()) for candidate in candidates]
        if account is None or not any(matches) or not account.may_use_api:
            raise NotAuthenticated("authentication failed: auth id or auth token is wrong")
        return account

    async def _subaccount(self, auth_id: str, parent: Account) -> Account | None:
        if not auth_id.startswith("SA"):
            return None
        found = await self._accounts.get(auth_id, self._clock.now_us())
        return found if found and found.parent_id == parent.auth_id and found.may_use_api else None


def credentials(request: Request) -> tuple[str, str]:
    """Return user and password of a request. Raises ``NotAuthenticated`` when there are none."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise NotAuthenticated("authentication credentials were not provided")
    try:
        auth_id, _, token = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise NotAuthenticated("authentication credentials were not provided") from error
    return auth_id, token
