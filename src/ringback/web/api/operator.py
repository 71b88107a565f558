"""Carriers and routes for the operator's programs, an addition: what the commands and the dashboard do, over HTTP."""

from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from ringback.model.errors import NotFound
from ringback.routing.configured import Shown, carrier_of, route_of, route_record, shown
from ringback.routing.follow import TOPIC
from ringback.runtime import Clock
from ringback.settings import RouteSettings
from ringback.store import audit, routing
from ringback.store.audit import Actor
from ringback.store.port import Store, Transaction
from ringback.store.wakeups import Wakeups
from ringback.web.api import fields
from ringback.web.api.resource import answer
from ringback.web.errors import guarded
from ringback.web.operator import USER, OperatorDoor
from ringback.web.peers import Peers

MAX_REASON: Final = 200
PAUSED: Final = "paused by the operator"
CARRIER_FIELDS: Final = ("kind", "settings", "capacity")
ROUTE_FIELDS: Final = tuple(name for name in RouteSettings.__struct_fields__ if name != "name")


class OperatorApi:
    """Endpoints under ``/v1/Operator/``."""

    def __init__(self, *, store: Store, clock: Clock, wakeups: Wakeups, max_body_bytes: int, peers: Peers) -> None:
        self._peers = peers
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._max_body_bytes = max_body_bytes
        self._door = OperatorDoor(store)

    def routes(self) -> list[HttpRoute]:
        """Return the routes, in canonical form."""
        made = []
        for noun, works in (("carrier", self._carrier_works()), ("route", self._route_works())):
            for (method, path), endpoint in works.items():
                made.append(HttpRoute(f"/v1/operator/{noun}/{path}", guarded(endpoint), methods=[method]))
        return made

    def _carrier_works(self) -> dict[tuple[str, str], Any]:
        return {
            ("GET", ""): self.list_carriers,
            ("GET", "{name}/"): self.get_carrier,
            ("POST", "{name}/"): self.set_carrier,
            ("DELETE", "{name}/"): self.remove_carrier,
            ("POST", "{name}/pause/"): self.pause_carrier,
            ("POST", "{name}/resume/"): self.resume_carrier,
            ("POST", "{name}/rebind/"): self.rebind_carrier,
        }

    def _route_works(self) -> dict[tuple[str, str], Any]:
        return {
            ("GET", ""): self.list_routes,
            ("POST", "{name}/"): self.set_route,
            ("DELETE", "{name}/"): self.remove_route,
            ("POST", "{name}/pause/"): self.pause_route,
            ("POST", "{name}/resume/"): self.resume_route,
        }

    # ---- carriers ----

    async def list_carriers(self, request: Request) -> Response:
        """Return all carriers, with how their links are."""
        await self._door.check(request)
        now_us = self._clock.now_us()
        found = await self._store.read(lambda tx: shown(tx, now_us))
        return answer({"objects": [each.record() for each in found]})

    async def get_carrier(self, request: Request) -> Response:
        """Return one carrier."""
        await self._door.check(request)
        return answer((await self._store.read(self._one(request))).record())

    async def set_carrier(self, request: Request) -> Response:
        """Make a carrier, or give one other settings: all of them, those not given go back to their defaults."""
        await self._door.check(request)
        given = await fields.body_fields(request, self._max_body_bytes, CARRIER_FIELDS)
        carrier, now_us = carrier_of(request.path_params["name"], given), self._clock.now_us()
        return await self._change(request, "carrier set", lambda tx: routing.put_carrier(tx, carrier, now_us=now_us))

    async def remove_carrier(self, request: Request) -> Response:
        """Forget a carrier that no route leads to."""
        await self._door.check(request)
        name, told = request.path_params["name"], self._told(request, "carrier remove")

        def work(tx: Transaction) -> None:
            routing.remove_carrier(tx, name)
            told(tx)

        await self._store.write(work)
        self._wakeups.signal(TOPIC)
        return Response(status_code=204)

    async def pause_carrier(self, request: Request) -> Response:
        """Hold its messages back."""
        await self._door.check(request)
        reason = await self._reason(request)
        name, now_us = request.path_params["name"], self._clock.now_us()
        return await self._change(
            request,
            "carrier pause",
            lambda tx: routing.pause_carrier(tx, name, is_paused=True, reason=reason, now_us=now_us),
        )

    async def resume_carrier(self, request: Request) -> Response:
        """Let its messages go again."""
        await self._door.check(request)
        await fields.body_fields(request, self._max_body_bytes, ())
        name, now_us = request.path_params["name"], self._clock.now_us()
        return await self._change(
            request,
            "carrier resume",
            lambda tx: routing.pause_carrier(tx, name, is_paused=False, reason=None, now_us=now_us),
        )

    async def rebind_carrier(self, request: Request) -> Response:
        """Have every process make its links anew."""
        await self._door.check(request)
        await fields.body_fields(request, self._max_body_bytes, ())
        name, now_us = request.path_params["name"], self._clock.now_us()
        return await self._change(request, "carrier rebind", lambda tx: routing.rebind_carrier(tx, name, now_us=now_us))

    # ---- routes ----

    async def list_routes(self, request: Request) -> Response:
        """Return all routes, by name."""
        await self._door.check(request)
        found = (await self._store.read(routing.read)).routes
        return answer({"objects": [route_record(each) for each in found]})

    async def set_route(self, request: Request) -> Response:
        """Make a route, or replace the one of its name."""
        await self._door.check(request)
        given = await fields.body_fields(request, self._max_body_bytes, ROUTE_FIELDS)
        route, now_us = route_of(request.path_params["name"], given), self._clock.now_us()
        return await self._change_route(request, "route set", lambda tx: routing.put_route(tx, route, now_us=now_us))

    async def remove_route(self, request: Request) -> Response:
        """Forget a route."""
        await self._door.check(request)
        name, told = request.path_params["name"], self._told(request, "route remove")

        def work(tx: Transaction) -> None:
            routing.remove_route(tx, name)
            told(tx)

        await self._store.write(work)
        self._wakeups.signal(TOPIC)
        return Response(status_code=204)

    async def pause_route(self, request: Request) -> Response:
        """Take a route out of the choice."""
        return await self._pause_route(request, is_paused=True)

    async def resume_route(self, request: Request) -> Response:
        """Let a route be chosen again."""
        return await self._pause_route(request, is_paused=False)

    # ---- what they share ----

    async def _pause_route(self, request: Request, *, is_paused: bool) -> Response:
        await self._door.check(request)
        await fields.body_fields(request, self._max_body_bytes, ())
        name, now_us = request.path_params["name"], self._clock.now_us()
        return await self._change_route(
            request,
            "route pause" if is_paused else "route resume",
            lambda tx: routing.pause_route(tx, name, is_paused=is_paused, now_us=now_us),
        )

    async def _reason(self, request: Request) -> str:
        given = await fields.body_fields(request, self._max_body_bytes, ("reason",))
        return (fields.text(given, "reason") or PAUSED)[:MAX_REASON]

    def _one(self, request: Request) -> Callable[[Transaction], Shown]:
        name, now_us = request.path_params["name"], self._clock.now_us()

        def find(tx: Transaction) -> Shown:
            found = next((each for each in shown(tx, now_us) if each.carrier.name == name), None)
            if found is None:
                raise NotFound("not found")
            return found

        return find

    def _told(self, request: Request, action: str) -> Callable[[Transaction], None]:
        """Return what tells the audit log."""
        actor, now_us = Actor(USER, "api", None, self._peers.of(request)), self._clock.now_us()
        return lambda tx: audit.note(tx, actor, action, request.path_params["name"], now_us=now_us)

    async def _change(self, request: Request, action: str, work: Callable[[Transaction], object]) -> Response:
        find, told = self._one(request), self._told(request, action)

        def change(tx: Transaction) -> Shown:
            work(tx)
            told(tx)
            return find(tx)

        found = await self._store.write(change)
        self._wakeups.signal(TOPIC)
        return answer(found.record())

    async def _change_route(self, request: Request, action: str, work: Callable[[Transaction], object]) -> Response:
        name, told = request.path_params["name"], self._told(request, action)

        def change(tx: Transaction) -> dict[str, Any]:
            work(tx)
            told(tx)
            return next(route_record(each) for each in routing.read(tx).routes if each.name == name)

        found = await self._store.write(change)
        self._wakeups.signal(TOPIC)
        return answer(found)
