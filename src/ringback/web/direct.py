"""The few addresses that carry the load, without the framework's layers around them."""

import inspect
from collections import defaultdict
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(Route):
    """A route whose endpoint answers for all its errors, so that it needs none of the framework's layers.

    Each segment of its path is a fixed text or a parameter. The endpoint takes a request, or is an ASGI application
    and goes without request and response objects too.
    """


class _Way(msgspec.Struct, frozen=True):
    """A direct route, taken apart."""

    route: DirectRoute
    fixed: tuple[tuple[int, str], ...]
    """Segments by their place."""
    params: tuple[tuple[int, str], ...]
    takes_request: bool

    def match(self, segments: Sequence[str], method: str) -> dict[str, str] | None:
        """Return the parameters of a path that this route is for."""
        for at, text in self.fixed:
            if segments[at] != text:
                return None
        if method not in (self.route.methods or ()):
            return None
        found = {name: segments[at] for at, name in self.params}
        return found if all(found.values()) else None


class DirectRoutes:
    """Takes direct routes past those layers, which cost as much as accepting a message does."""

    def __init__(self, routes: Sequence[DirectRoute], otherwise: ASGIApp) -> None:
        self._ways: dict[int, list[_Way]] = defaultdict(list)
        for route in routes:
            segments = list(enumerate(route.path.split("/")))
            way = _Way(
                route=route,
                fixed=tuple((at, text) for at, text in segments if not text.startswith("{")),
                params=tuple((at, text[1:-1]) for at, text in segments if text.startswith("{")),
                takes_request=inspect.isfunction(route.endpoint),
            )
            self._ways[len(segments)].append(way)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by a direct route, or leave it to the framework."""
        if scope["type"] == "http":
            segments = scope["path"].split("/")
            for way in self._ways.get(len(segments), ()):
                found = way.match(segments, scope["method"])
                if found is not None:
                    scope["path_params"] = found
                    if way.takes_request:
                        response = await way.route.endpoint(Request(scope, receive, send))
                        await response(scope, receive, send)
                    else:
                        await way.route.endpoint(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)
