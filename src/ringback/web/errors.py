"""The one table from errors to HTTP, and the shape that API errors have (contract sections 1.4, 1.5)."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from ringback.model import errors

log = structlog.stdlib.get_logger("ringback.web")

STATUS: Final[dict[type[Exception], int]] = {
    errors.InvalidRequest: 400,
    errors.NotAuthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.TooLarge: 413,
    errors.TooManyRequests: 429,
    errors.ShuttingDown: 503,
    errors.OutcomeUnknown: 503,
    errors.StoreUnavailable: 503,
    errors.TryLater: 503,
    errors.OutOfSpace: 507,
}

_encode = msgspec.json.Encoder().encode
_SAYS: Final = {404: "not found", 405: "method not allowed"}


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer JSON with exactly the content type that the SDKs look for (contract section 1.3)."""
    return Response(_encode(content), status, headers, media_type="application/json")


def error_response(status: int, text: str) -> Response:
    """Answer an error: ``api_id`` and a flat text that is never empty."""
    headers = {401: {"WWW-Authenticate": 'Basic realm="Ringback"'}, 503: {"Retry-After": "1"}}.get(status)
    return json_response({"api_id": str(uuid4()), "error": text or "error"}, status, headers)


def to_response(error: Exception) -> Response:
    """Answer for an error of the tree."""
    if isinstance(error, errors.TooManyRequests):
        answer = error_response(429, str(error))
        answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer
    for kind in type(error).__mro__:
        if kind in STATUS:
            if STATUS[kind] == 503:
                log.warning("request_not_taken", error=str(error))
                if isinstance(error, errors.OutcomeUnknown):
                    return error_response(503, "temporary failure, look whether it was stored before you send it again")
                return error_response(503, "temporary failure, nothing was stored; send the request again")
            return error_response(STATUS[kind], str(error))
    raise error


def guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an endpoint so that whatever it raises becomes an answer."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:  # noqa: BLE001 - boundary: logged there where it is a defect
            return answer_for(error, request.scope)

    return answer


def answer_for(error: Exception, scope: Scope) -> Response:
    """Answer for what an endpoint raised.

    Boundary: what is not of the tree is a defect; it is logged, and the client is told nothing but that.
    """
    if isinstance(error, errors.RingbackError):
        return to_response(error)
    if isinstance(error, ClientDisconnect):
        # Nobody reads this answer; the request was not whole, so nothing was stored.
        return Response(status_code=400)
    note_defect(error, scope)
    return error_response(500, "internal error; it is in Ringback's log")


def note_defect(error: Exception, scope: Scope) -> None:
    """Log what a request met that is nobody's fault but Ringback's."""
    log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=error)


async def http_exception(_: Request, error: Exception) -> Response:
    """Answer for what the router refuses: unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return error_response(status, _SAYS.get(status, "error"))
