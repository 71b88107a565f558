"""The OpenAPI document: what the routes that are served can do.

``RESOURCES`` is the one list of descriptions. A resource that is added gets a module beside this one, with its
``OPERATIONS``, and a line there; a test compares the list with the routes. The document has only what has a route,
so it never promises what a setting has switched off.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback import __version__
from ringback.web.api.openapi import (
    accounts,
    analytics,
    applications,
    bins,
    callbacks,
    conversions,
    conversions_out,
    endpoints,
    events,
    media,
    messages,
    numbers,
    operator,
    powerpacks,
    sql,
    surroundings,
)
from ringback.web.api.openapi.shapes import JSON, UUID, Operation, record, text

RESOURCES: Final[tuple[tuple[Operation, ...], ...]] = (
    messages.OPERATIONS,
    media.OPERATIONS,
    conversions.OPERATIONS,
    callbacks.OPERATIONS,
    endpoints.OPERATIONS,
    powerpacks.OPERATIONS,
    numbers.OPERATIONS,
    applications.OPERATIONS,
    accounts.OPERATIONS,
    operator.OPERATIONS,
    analytics.OPERATIONS,
    events.OPERATIONS,
    conversions_out.OPERATIONS,
    bins.OPERATIONS,
    sql.OPERATIONS,
    surroundings.OPERATIONS,
)

ANY: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
"""What is told of a route that takes every method."""

ERRORS: Final = {
    400: "A parameter is missing or wrong; nothing was stored",
    401: "Credentials are missing, wrong, or not of the account in the path",
    403: "Refused to these credentials, or to this request's signature",
    404: "There is no such thing for this account",
    413: "The body is over the limit",
    429: "More requests than the account may make; `Retry-After` says when to try again",
    500: "A defect; it is in the log",
    503: "Not now; the text says whether to look before sending again",
    507: "There is no room for files; nothing was stored",
}


def operations() -> list[Operation]:
    """Return every operation that is described."""
    return [operation for resource in RESOURCES for operation in resource]


def served(routes: Iterable[BaseRoute]) -> set[tuple[str, str]]:
    """Return method and path of every route, without the methods that come by themselves."""
    return {
        (method, route.path)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or ANY) - {"HEAD", "OPTIONS"}
    }


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of the operations that have one of ``routes``."""
    there = served(routes)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations():
        if there & {(operation.method, operation.path), (operation.method, operation.path.lower())}:
            paths.setdefault(operation.path, {})[operation.method.lower()] = operation.described()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringback",
            "version": __version__,
            "description": "A self-hosted SMS platform that speaks Plivo's API. Every answer has a fresh api_id. "
            "With callback_url among its fields or in its query, any request of an account gets 202 with an api_id, "
            "and its answer goes there.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "Auth id as user, auth token as password"},
                "operator": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "operator as user, what ringback operator-token prints as password",
                },
            },
            "responses": {f"Error{status}": _error(says) for status, says in ERRORS.items()},
        },
    }


def _error(says: str) -> dict[str, Any]:
    schema = record({"api_id": UUID, "error": text("What is wrong and what to do", minLength=1)})
    return {"description": says, "content": {JSON: {"schema": schema}}}


def openapi_route(routes: Iterable[BaseRoute]) -> Route:
    """Return the route of the document about ``routes`` and itself."""

    async def answer(_: Request) -> Response:
        return Response(encoded, media_type=JSON)

    route = Route(surroundings.PATH, answer, methods=["GET"])
    encoded = msgspec.json.encode(document([*routes, route]))
    return route
