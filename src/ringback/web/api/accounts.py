"""The Account resource: what an account says of itself, and what is left of its credit (contract section 6.6)."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments
from ringback.model import money
from ringback.model.errors import InvalidRequest
from ringback.store import profiles
from ringback.store.profiles import Profile
from ringback.web.api.resource import Resource, answer
from ringback.web.errors import guarded


class AccountApi(Resource):
    """Endpoints at ``/v1/Account/{auth_id}/``."""

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        path = "/v1/account/{auth_id}/"
        return [
            Route(path, guarded(self.get), methods=["GET"]),
            Route(path, guarded(self.change), methods=["POST"]),
        ]

    async def get(self, request: Request) -> Response:
        """Return the account."""
        account, _, _ = await self._asked(request)
        found = await self._store.read(lambda tx: profiles.profile(tx, account.auth_id))
        return answer(_record(found))

    async def change(self, request: Request) -> Response:
        """Change what the account says of itself."""
        account, _, wanted = await self._asked(request)
        changes = {name: value for name in profiles.TEXTS if (value := arguments.text(wanted, name)) is not None}
        if not changes:
            raise InvalidRequest(f"nothing to change: give one of {', '.join(profiles.TEXTS)}")
        if "timezone" in changes and not _is_timezone(changes["timezone"]):
            raise InvalidRequest("timezone parameter must be a name such as Europe/Berlin")
        now_us = self._clock.now_us()
        await self._store.write(lambda tx: profiles.change(tx, account.auth_id, changes, now_us=now_us))
        return answer({"message": "changed"}, 202)


def _record(account: Profile) -> dict[str, Any]:
    return {
        "account_type": account.account_type,
        "address": account.address,
        "auth_id": account.auth_id,
        "auto_recharge": account.auto_recharge,
        "billing_mode": account.billing_mode,
        "cash_credits": money.shown(account.balance),
        "city": account.city,
        "name": account.name,
        "resource_uri": f"/v1/Account/{account.auth_id}/",
        "state": account.state,
        "timezone": account.timezone,
    }


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
