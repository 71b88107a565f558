"""The media of a message: list, get one, delete all (contract section 2.6)."""

from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect.media import MAX_FILES, MediaUrls, record
from ringback.model.errors import NotFound
from ringback.model.ids import as_uuid
from ringback.runtime import Clock
from ringback.store import media, messages
from ringback.store.accounts import Account
from ringback.store.media import Media
from ringback.store.port import Store, Transaction
from ringback.web.api.auth import Authenticator
from ringback.web.errors import guarded, json_response


class MessageMediaApi:
    """Endpoints under ``/v1/Account/{auth_id}/Message/{message_uuid}/Media/``."""

    def __init__(self, *, store: Store, clock: Clock, authenticator: Authenticator, urls: MediaUrls) -> None:
        self._store = store
        self._clock = clock
        self._authenticator = authenticator
        self._urls = urls

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/message/{message_uuid}/media/"
        return [
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection, guarded(self.delete), methods=["DELETE"]),
            Route(collection + "{media_id}/", guarded(self.get), methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return all media of a message, in their order: there are few."""
        account, uuid = await self._named(request)
        found = await self._store.read(lambda tx: _of(tx, account, uuid))
        meta = {"limit": MAX_FILES, "offset": 0, "next": None, "previous": None, "total_count": len(found)}
        objects = [self._record(each, uuid) for each in found]
        return json_response({"api_id": str(uuid4()), "message_uuid": uuid, "meta": meta, "objects": objects})

    async def get(self, request: Request) -> Response:
        """Return one of them."""
        account, uuid = await self._named(request)
        media_id = as_uuid(request.path_params["media_id"])
        found = await self._store.read(lambda tx: _of(tx, account, uuid))
        each = next((each for each in found if each.id == media_id), None)
        if each is None:
            raise NotFound("not found")
        return json_response({"api_id": str(uuid4()), **self._record(each, uuid)})

    async def delete(self, request: Request) -> Response:
        """Take all media off a message; 204, also when it has none."""
        account, uuid = await self._named(request)

        def work(tx: Transaction) -> None:
            _known(tx, account, uuid)
            media.unlink(tx, [uuid])

        await self._store.write(work)
        return Response(status_code=204)

    async def _named(self, request: Request) -> tuple[Account, str]:
        account = await self._authenticator.account(request)
        uuid = as_uuid(request.path_params["message_uuid"])
        if uuid is None:
            raise NotFound("not found")
        return account, uuid

    def _record(self, each: Media, message_uuid: str) -> dict[str, Any]:
        url = self._urls.url(each.account_id, message_uuid, each.id, now_us=self._clock.now_us())
        return {
            **record(
                media_id=each.id,
                content_type=each.content_type,
                name=each.file_name,
                size=each.size_bytes,
                at_us=each.created_at_us,
                url=url,
            ),
            "message_uuid": message_uuid,
        }


def _known(tx: Transaction, account: Account, uuid: str) -> None:
    if messages.find(tx, account.auth_id, uuid) is None:
        raise NotFound("not found")


def _of(tx: Transaction, account: Account, uuid: str) -> list[Media]:
    _known(tx, account, uuid)
    return media.of_message(tx, uuid)
