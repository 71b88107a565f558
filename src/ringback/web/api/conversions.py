"""Conversion feedback on a message (contract section 6.10)."""

from typing import Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect.times import iso_time_us
from ringback.messaging import conversions
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import NewId, as_uuid
from ringback.runtime import Clock
from ringback.store.conversions import Conversion
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator
from ringback.web.api.messages import decode_fields
from ringback.web.body import read_body
from ringback.web.errors import guarded, json_response

STATUSES: Final = ("CONVERTED", "NOT_CONVERTED", "CONVERTED_WITH_OTHERS")


class ConversionApi:
    """The endpoint ``/v1/Account/{auth_id}/Message/{uuid}/Conversion/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        authenticator: Authenticator,
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        path = "/v1/account/{auth_id}/message/{message_uuid}/conversion/"
        return [Route(path, guarded(self.record), methods=["POST"])]

    async def record(self, request: Request) -> Response:
        """Record what the customer says; the last word stands, and saying it twice changes nothing."""
        account = await self._authenticator.account(request)
        uuid = as_uuid(request.path_params["message_uuid"])
        body = await read_body(request, self._max_body_bytes)
        given = decode_fields(body, request.headers.get("content-type", ""))
        if uuid is None:
            raise NotFound("not found")
        said = Conversion(
            message_uuid=uuid,
            account_id=account.auth_id,
            status=_status(given),
            converted_at_us=_timestamp_us(given),
            recorded_at_us=self._clock.now_us(),
        )
        if await self._store.write(lambda tx: conversions.record(tx, said, new_id=self._new_id)):
            self._wakeups.signal("events")
        return json_response(
            {
                "api_id": str(uuid4()),
                "conversion_uuid": f"conv-{uuid}",
                "message": "successfully recorded.",
                "message_uuid": uuid,
            }
        )


def _status(given: fields.Fields) -> str:
    value = given.get("status")
    if value is None or value == "":
        raise InvalidRequest("status parameter is missing")
    if value not in STATUSES:
        raise InvalidRequest(f"status parameter must be one of {', '.join(STATUSES)}")
    return str(value)


def _timestamp_us(given: fields.Fields) -> int:
    value = given.get("timestamp")
    if value is None or value == "":
        raise InvalidRequest("timestamp parameter is missing")
    at_us = iso_time_us(value) if isinstance(value, str) else None
    if at_us is None:
        raise InvalidRequest("timestamp parameter must be an ISO 8601 time such as 2026-01-31T12:00:00Z")
    return at_us
