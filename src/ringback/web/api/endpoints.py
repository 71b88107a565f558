"""The Endpoint resource, an addition: where an account's callbacks go, whether they do, and its limits."""

import re
from typing import Any, Final
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.delivery import operate
from ringback.dialect.times import record_time
from ringback.model.circuit import CircuitState, Party
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.retry import stored_plan
from ringback.runtime import Clock
from ringback.store import endpoints
from ringback.store.endpoints import Endpoint
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator
from ringback.web.api.callbacks import MAX_LIMIT
from ringback.web.errors import guarded, json_response

MAX_PER_MINUTE: Final = 1_000_000
MAX_REASON: Final = 200
REASON: Final = "paused with the API"
STATES: Final = tuple(state.value for state in CircuitState)
LIMITS: Final = ("concurrency", "rate_per_minute", "retry_delays_s", "keep_parked")

_ID: Final = re.compile(r"[0-9a-f]{32}")


class EndpointApi:
    """Endpoints under ``/v1/Account/{auth_id}/Endpoint/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        wakeups: Wakeups,
        authenticator: Authenticator,
        max_body_bytes: int,
        max_concurrency: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes
        self._max_concurrency = max_concurrency

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/endpoint/"
        return [
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "{endpoint_id}/", guarded(self.get), methods=["GET"]),
            Route(collection + "{endpoint_id}/", guarded(self.configure), methods=["POST"]),
            Route(collection + "{endpoint_id}/pause/", guarded(self.pause), methods=["POST"]),
            Route(collection + "{endpoint_id}/resume/", guarded(self.resume), methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return endpoints by id; ``next`` is what ``after`` must be for those that follow."""
        account = await self._authenticator.account(request)
        given = request.query_params
        fields.refuse_unknown(given, ("state", "limit", "after"))
        state = fields.choice(given, "state", STATES)
        limit = fields.whole(given, "limit", 1, MAX_LIMIT) or 20
        after = given.get("after", "")
        found = await self._store.read(
            lambda tx: endpoints.page(tx, account_id=account.auth_id, state=state, limit=limit, after=after)
        )
        following = found[-1].id if len(found) == limit else None
        return json_response({"api_id": str(uuid4()), "objects": [_record(each) for each in found], "next": following})

    async def get(self, request: Request) -> Response:
        """Return one endpoint."""
        account = await self._authenticator.account(request)
        endpoint_id = _id(request)
        found = await self._store.read(lambda tx: _of(tx, endpoint_id, account.auth_id))
        return json_response({"api_id": str(uuid4()), **_record(found)})

    async def configure(self, request: Request) -> Response:
        """Set limits; ``null`` goes back to the settings, and what is not given stays."""
        account = await self._authenticator.account(request)
        endpoint_id = _id(request)
        given = await fields.body_fields(request, self._max_body_bytes, LIMITS)
        concurrency = fields.whole(given, "concurrency", 1, self._max_concurrency)
        rate_per_minute = fields.whole(given, "rate_per_minute", 1, MAX_PER_MINUTE)
        retry_plan = fields.retry_plan(given, "retry_delays_s")
        keep_parked = fields.flag(given, "keep_parked")
        cleared = {name.removesuffix("_s") for name, value in given.items() if value is None}

        def work(tx: Transaction) -> Endpoint:
            _of(tx, endpoint_id, account.auth_id)
            return operate.configure(
                tx,
                endpoint_id,
                concurrency=concurrency,
                rate_per_minute=rate_per_minute,
                retry_plan=retry_plan,
                keep_parked=keep_parked,
                cleared=cleared,
            )

        return await self._change(work)

    async def pause(self, request: Request) -> Response:
        """Hold an endpoint's callbacks back until it is resumed."""
        account = await self._authenticator.account(request)
        endpoint_id = _id(request)
        given = await fields.body_fields(request, self._max_body_bytes, ("reason",))
        reason = fields.text(given, "reason") or REASON
        if len(reason) > MAX_REASON or not reason.isprintable():
            raise InvalidRequest(f"reason parameter must be at most {MAX_REASON} printable characters")
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> Endpoint:
            _of(tx, endpoint_id, account.auth_id)
            return operate.pause(tx, endpoint_id, by=Party.ACCOUNT, reason=reason, now_us=now_us)

        return await self._change(work)

    async def resume(self, request: Request) -> Response:
        """Let an endpoint's callbacks go again, unless the operator has paused it."""
        account = await self._authenticator.account(request)
        endpoint_id = _id(request)
        await fields.body_fields(request, self._max_body_bytes, ())
        now_us = self._clock.now_us()

        def work(tx: Transaction) -> Endpoint:
            _of(tx, endpoint_id, account.auth_id)
            return operate.resume(tx, endpoint_id, by=Party.ACCOUNT, now_us=now_us)

        return await self._change(work)

    async def _change(self, work: Any) -> Response:
        changed: Endpoint = await self._store.write(work)
        # What was held back may go now.
        self._wakeups.signal("callbacks")
        return json_response({"api_id": str(uuid4()), "message": "changed", **_record(changed)})


def _id(request: Request) -> str:
    endpoint_id: str = request.path_params["endpoint_id"].lower()
    if _ID.fullmatch(endpoint_id) is None:
        raise NotFound("not found")
    return endpoint_id


def _of(tx: Transaction, endpoint_id: str, account_id: str) -> Endpoint:
    found = endpoints.by_id(tx, [endpoint_id]).get(endpoint_id)
    if found is None or found.account_id != account_id:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found


def _record(endpoint: Endpoint) -> dict[str, Any]:
    circuit = endpoint.circuit
    return {
        "id": endpoint.id,
        "endpoint": endpoint.origin,
        "state": circuit.state.value,
        "reason": circuit.reason,
        "paused_by": circuit.paused_by,
        "failures": circuit.failures,
        "probe_time": None if circuit.probe_at_us is None else record_time(circuit.probe_at_us),
        "parked_time": None if circuit.parked_at_us is None else record_time(circuit.parked_at_us),
        "concurrency": endpoint.concurrency,
        "rate_per_minute": endpoint.rate_per_minute,
        "retry_delays_s": None if endpoint.retry_delays is None else stored_plan(endpoint.retry_delays).delays_s,
        "keep_parked": endpoint.keep_parked,
    }
