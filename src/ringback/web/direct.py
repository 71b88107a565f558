"""The few addresses that carry the load, without the framework's layers around them."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectRoute(Route):
    """A route whose endpoint answers for all its errors, so that it needs none of the framework's layers."""


class DirectRoutes:
    """Takes direct routes past those layers, which cost as much as accepting a message does."""

    def __init__(self, routes: Sequence[DirectRoute], otherwise: ASGIApp) -> None:
        self._routes = routes
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by a direct route, or leave it to the framework."""
        if scope["type"] == "http":
            for route in self._routes:
                found = route.path_regex.match(scope["path"])
                if found and scope["method"] in (route.methods or ()):
                    scope["path_params"] = found.groupdict()
                    response = await route.endpoint(Request(scope, receive, send))
                    await response(scope, receive, send)
                    return
        await self._otherwise(scope, receive, send)
