"""The Message resource: send, get one, list (contract section 2)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import records, send
from ringback.dialect.callbacks import FORM
from ringback.messaging.accept import Acceptor
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import as_uuid
from ringback.model.message import Message
from ringback.runtime import Clock
from ringback.store import message_list, messages, profiles
from ringback.store.port import Store, Transaction
from ringback.web.api.auth import Authenticator
from ringback.web.body import read_body
from ringback.web.direct import DirectRoute
from ringback.web.errors import guarded, json_response
from ringback.web.peers import Peers

MAX_FIELDS = 200


class MessageApi:
    """Endpoints under ``/v1/Account/{auth_id}/Message/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        acceptor: Acceptor,
        authenticator: Authenticator,
        peers: Peers,
        max_body_bytes: int,
        listed_days: int = 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._acceptor = acceptor
        self._authenticator = authenticator
        self._peers = peers
        self._max_body_bytes = max_body_bytes
        # As far back as messages are kept; 0 is for ever.
        self._listed_days = listed_days

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/message/"
        return [
            DirectRoute(collection, guarded(self.send), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "{message_uuid}/", guarded(self.get), methods=["GET"]),
        ]

    async def send(self, request: Request) -> Response:
        """Accept a message for every destination; 202 when all of them are on disk."""
        account = await self._authenticator.account(request)
        fields = decode_fields(await read_body(request, self._max_body_bytes), request.headers.get("content-type", ""))
        wanted = send.parse(fields)
        uuids = await self._acceptor.accept(account, wanted, requester_ip=self._peers.of(request))
        answer: dict[str, Any] = {
            "api_id": str(uuid4()),
            "message": "message(s) queued",
            "message_uuid": uuids,
        }
        if wanted.invalid:
            answer["invalid_number"] = list(wanted.invalid)
        return json_response(answer, 202)

    async def get(self, request: Request) -> Response:
        """Return one message."""
        account = await self._authenticator.account(request)
        uuid = as_uuid(request.path_params["message_uuid"])
        if uuid is None:
            raise NotFound("not found")
        found = await self._store.read(lambda tx: _visible(tx, account.auth_id, uuid))
        if found is None:
            raise NotFound("not found")
        return json_response({"api_id": str(uuid4()), **records.message_record(found)})

    async def list(self, request: Request) -> Response:
        """Return a page of messages, newest first."""
        account = await self._authenticator.account(request)
        now_us = self._clock.now_us()
        oldest_us = now_us - self._listed_days * records.DAY_US if self._listed_days else 0
        query = records.parse_list(request.query_params, now_us=now_us, oldest_us=oldest_us)
        equal = {"account_id": account.auth_id, **query.equal}
        # Another account's messages are not refused but not there, as for an unknown uuid.
        wanted = messages.Filter(**equal, queued_after_us=query.after_us, queued_before_us=query.before_us)
        whose = equal["account_id"]

        def work(tx: Transaction) -> tuple[int, list[dict[str, Any]]]:
            if query.is_empty:
                return 0, []
            if whose != account.auth_id and not profiles.is_subaccount_of(tx, whose, account.auth_id):
                return 0, []
            found = message_list.page(tx, wanted, limit=query.limit, offset=query.offset)
            return found.total, [records.message_record(message) for message in found.messages]

        total, objects = await self._store.read(work)
        path = f"/v1/Account/{account.auth_id}/Message/"
        return json_response(
            {"api_id": str(uuid4()), "meta": records.page_meta(path, query, total=total), "objects": objects}
        )


def _visible(tx: Transaction, account_id: str, uuid: str) -> Message | None:
    """Find a message of an account, or of one of its subaccounts."""
    found = messages.find(tx, None, uuid)
    if found and (found.account_id == account_id or profiles.is_subaccount_of(tx, found.account_id, account_id)):
        return found
    return None


def decode_fields(body: bytes, content_type: str) -> Mapping[str, Any]:
    """Read a JSON or form body as fields. Raises ``InvalidRequest``."""
    if content_type.partition(";")[0].strip().lower() == FORM:
        try:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
        except ValueError as error:
            raise InvalidRequest("request body is not a valid form") from error
    if not body:
        return {}
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"request body is not valid JSON: {error}") from error
    if decoded == "":
        # Some SDKs send an empty JSON string for "no body" (contract section 1.3).
        return {}
    if not isinstance(decoded, dict):
        raise InvalidRequest("request body must be a JSON object")
    return decoded
