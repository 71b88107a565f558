"""All surfaces as one application."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from ringback.metrics import Metrics
from ringback.web.answers import CountedAnswers
from ringback.web.api.openapi.document import openapi_route
from ringback.web.api.paths import TolerantPaths
from ringback.web.direct import DirectRoute, DirectRoutes
from ringback.web.errors import http_exception


def build_app(routes: Sequence[BaseRoute], metrics: Metrics) -> ASGIApp:
    """Return the application with the given surfaces' routes."""
    alive = Route("/livez", _alive, methods=["GET"])
    app = Starlette(
        routes=[
            Route("/", _home, methods=["GET"]),
            alive,
            openapi_route([alive, *routes]),
            *routes,
        ],
        exception_handlers={HTTPException: http_exception},
    )
    # Paths are made canonical instead; a redirect would lose the body of a POST.
    app.router.redirect_slashes = False
    direct = DirectRoutes([route for route in routes if isinstance(route, DirectRoute)], app)
    return CountedAnswers(TolerantPaths(direct), metrics)


async def _home(_: Request) -> Response:
    return RedirectResponse("/dashboard/")


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")
