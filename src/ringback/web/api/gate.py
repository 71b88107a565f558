"""What every API request passes: who calls, how many requests that makes, and whether the answer is to come later.

**Later** (contract section 1.4): a request with ``callback_url`` is carried out like any other; its answer is stored as
a callback and goes there, and the caller gets the ``api_id`` to know it by. Both are on disk when that is said. A
request that could not be carried out at all (401, 429, 5xx) is told at once, as nothing of it remains.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback.dialect.callback_urls import canonical_callback_url
from ringback.dialect.callbacks import FORM, endpoint_of
from ringback.dialect.later import FIELDS, Later, later_of
from ringback.messaging.meter import RequestMeter
from ringback.model.errors import StoreUnavailable
from ringback.model.ids import NewId
from ringback.runtime import Clock
from ringback.store import callbacks
from ringback.store.accounts import Account
from ringback.store.callbacks import NewCallback
from ringback.store.limits import LimitsCache
from ringback.store.port import Store
from ringback.store.wakeups import Wakeups
from ringback.web.api.auth import Authenticator
from ringback.web.api.messages import decode_fields
from ringback.web.body import READ, read_body
from ringback.web.errors import guarded, json_response

log = structlog.stdlib.get_logger("ringback.web")

Endpoint = Callable[[Request], Awaitable[Response]]

SPAWNED: Final = "async api spawned"
_SIGN: Final = b"callback_url"


class Gate:
    """Stands before the routes of the API."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        wakeups: Wakeups,
        authenticator: Authenticator,
        limits: LimitsCache,
        meter: RequestMeter,
        max_body_bytes: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._limits = limits
        self._max_body_bytes = max_body_bytes
        self._meter = meter

    def before(self, routes: Sequence[BaseRoute]) -> list[BaseRoute]:
        """Return the routes, those of an account's resources with the gate before them."""
        return [
            self._gated(route)
            if isinstance(route, Route) and route.path.startswith("/v1/account/{auth_id}/")
            else route
            for route in routes
        ]

    def _gated(self, route: Route) -> Route:
        is_list = route.path == "/v1/account/{auth_id}/message/" and "GET" in (route.methods or ())
        endpoint = guarded(self._passed(route.endpoint, is_list=is_list))
        return type(route)(route.path, endpoint, methods=sorted(route.methods or ()))

    def _passed(self, endpoint: Endpoint, *, is_list: bool) -> Endpoint:
        async def answer(request: Request) -> Response:
            account = await self._authenticator.account(request)
            now_us = self._clock.now_us()
            in_hand = self._meter.begin(await self._limits.get(account, now_us), is_list=is_list, now_us=now_us)
            try:
                request, later = await self._read(request)
                response = await endpoint(request)
                return response if later is None else await self._put_off(account, later, response)
            finally:
                self._meter.end(in_hand)

        return answer

    async def _read(self, request: Request) -> tuple[Request, Later | None]:
        """Return the request without what the gate has taken from it, and where its answer goes if not back."""
        scope = request.scope
        given: dict[str, Any] = {}
        query: bytes = scope["query_string"]
        if _SIGN in query:
            pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
            given = {name: value for name, value in pairs if name in FIELDS}
            left = urlencode([pair for pair in pairs if pair[0] not in FIELDS]).encode()
            request = Request({**scope, "query_string": left}, request.receive)
        kind = request.headers.get("content-type", "")
        if not _has_body(request) or kind.lower().startswith("multipart/"):
            return request, later_of(given)
        body = await read_body(request, self._max_body_bytes)
        if _SIGN not in body:
            return request, later_of(given)
        fields = decode_fields(body, kind)
        given |= {name: value for name, value in fields.items() if name in FIELDS}
        body = _encode({name: value for name, value in fields.items() if name not in FIELDS}, kind)
        return _with_body(request, body), later_of(given)

    async def _put_off(self, account: Account, later: Later, response: Response) -> Response:
        if response.status_code == 429 or response.status_code >= 500:
            return response
        if response.body and response.media_type != "application/json":
            return response
        api_id = str(uuid4())
        content = {**(msgspec.json.decode(response.body) if response.body else {}), "api_id": api_id}
        now_us = self._clock.now_us()
        id_ = self._new_id(now_us)
        url = canonical_callback_url(later.url)
        owed = NewCallback(
            id=id_,
            account_id=account.auth_id,
            message_uuid=id_,
            sequence=1,
            url=url,
            method=later.method,
            endpoint=endpoint_of(url),
            params=callbacks.json_params(msgspec.json.encode(content).decode()),
            created_at_us=now_us,
            kind="async",
        )
        try:
            await self._store.write(lambda tx: callbacks.owe(tx, [owed]))
        except StoreUnavailable as error:
            # It has been carried out: the answer must not be lost.
            log.warning("answer_not_put_off", account_id=account.auth_id, error=str(error))
            return response
        self._wakeups.signal("callbacks")
        return json_response({"api_id": api_id, "message": SPAWNED}, 202)


def _has_body(request: Request) -> bool:
    length = request.headers.get("content-length")
    return length not in (None, "0") if length is not None else "transfer-encoding" in request.headers


def _with_body(request: Request, body: bytes) -> Request:
    scope = request.scope
    # Its length may have changed.
    headers = [
        (name, str(len(body)).encode() if name == b"content-length" else value) for name, value in scope["headers"]
    ]
    return Request({**scope, "headers": headers, READ: body}, request.receive)


def _encode(fields: dict[str, Any], kind: str) -> bytes:
    if kind.partition(";")[0].strip().lower() == FORM:
        return urlencode(fields).encode()
    return msgspec.json.encode(fields)
