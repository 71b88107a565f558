"""The Subaccount resource (contract section 6.5)."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import arguments
from ringback.dialect.times import record_time
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AUTH_ID, AccountId
from ringback.store import profiles
from ringback.store.accounts import AccountCache
from ringback.store.port import Transaction
from ringback.store.profiles import Profile
from ringback.web.api.resource import Resource, answer, listed
from ringback.web.errors import guarded


class SubaccountApi(Resource):
    """Endpoints under ``/v1/Account/{auth_id}/Subaccount/``."""

    def __init__(
        self, *, accounts: AccountCache, new_credentials: Callable[[], tuple[AccountId, str]], **shared: Any
    ) -> None:
        super().__init__(**shared)
        self._accounts = accounts
        self._new_credentials = new_credentials

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/subaccount/"
        one = collection + "{subaccount_id}/"
        return [
            Route(collection, guarded(self.create), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.change), methods=["POST"]),
            Route(one, guarded(self.delete), methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Make a subaccount with fresh credentials."""
        account, _, wanted = await self._asked(request)
        if account.parent_id:
            raise InvalidRequest("a subaccount has no subaccounts of its own: use the main account's credentials")
        name, enabled = arguments.required(wanted, "name"), arguments.flag(wanted, "enabled") or False
        auth_id, token = self._new_credentials()
        now_us = self._clock.now_us()
        await self._store.write(
            lambda tx: profiles.add_subaccount(
                tx, account.auth_id, auth_id, token, name=name, enabled=enabled, now_us=now_us
            )
        )
        return answer({"auth_id": auth_id, "auth_token": token, "message": "created"}, 201)

    async def list(self, request: Request) -> Response:
        """Return a page of subaccounts, newest first."""
        account, _, fields = await self._asked(request)
        page = arguments.page(fields)
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> tuple[int, list[dict[str, Any]]]:
            total, found = profiles.subaccounts(tx, account.auth_id, limit=page.limit, offset=page.offset)
            return total, _records(tx, found, now_us)

        total, objects = await self._store.read(work)
        return listed(f"/v1/Account/{account.auth_id}/Subaccount/", page, total, objects)

    async def get(self, request: Request) -> Response:
        """Return one subaccount."""
        account, _, _ = await self._asked(request)
        auth_id = _auth_id(request)
        now_us = self._clock.now_us()
        [record] = await self._store.read(
            lambda tx: _records(tx, [profiles.subaccount(tx, account.auth_id, auth_id)], now_us)
        )
        return answer(record)

    async def change(self, request: Request) -> Response:
        """Rename a subaccount, let it use the API or not."""
        account, _, wanted = await self._asked(request)
        auth_id = _auth_id(request)
        changes = {
            name: value
            for name, value in (
                ("name", arguments.text(wanted, "name")),
                ("enabled", arguments.flag(wanted, "enabled")),
            )
            if value is not None
        }
        if not changes:
            raise InvalidRequest("nothing to change: give one of name, enabled")
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> None:
            profiles.subaccount(tx, account.auth_id, auth_id)
            profiles.change(tx, auth_id, changes, now_us=now_us)

        await self._store.write(work)
        self._accounts.forget(auth_id)
        return answer({"message": "changed"}, 202)

    async def delete(self, request: Request) -> Response:
        """Delete a subaccount; what it has sent stays, and callbacks that it is owed are made."""
        account, _, fields = await self._asked(request)
        auth_id = _auth_id(request)
        cascade = arguments.flag(fields, "cascade") or False
        now_us = self._clock.now_us()
        await self._store.write(
            lambda tx: profiles.delete_subaccount(tx, account.auth_id, auth_id, cascade=cascade, now_us=now_us)
        )
        self._accounts.forget(auth_id)
        return Response(status_code=204)


def _auth_id(request: Request) -> str:
    auth_id: str = request.path_params["subaccount_id"].upper()
    if AUTH_ID.fullmatch(auth_id) is None:
        raise NotFound("not found")
    return auth_id


def _records(tx: Transaction, found: list[Profile], now_us: int) -> list[dict[str, Any]]:
    tokens = profiles.tokens(tx, [each.auth_id for each in found], now_us)
    return [_record(each, tokens[each.auth_id]) for each in found]


def _record(each: Profile, tokens: Sequence[str | None]) -> dict[str, Any]:
    """Write a subaccount; while its token is being rotated, ``auth_token`` is the one before the newest."""
    newest, *older = tokens or (None,)
    return {
        "account": f"/v1/Account/{each.parent_id}/",
        "auth_id": each.auth_id,
        "auth_token": older[0] if older else newest,
        "new_auth_token": newest if older else None,
        "created": _date(each.created_at_us),
        "modified": None if each.modified_at_us is None else _date(each.modified_at_us),
        "enabled": each.enabled,
        "name": each.name,
        "resource_uri": f"/v1/Account/{each.parent_id}/Subaccount/{each.auth_id}/",
    }


def _date(at_us: int) -> str:
    return record_time(at_us)[:10]
