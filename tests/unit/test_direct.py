"""Which requests go past the framework's layers, and which do not."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from ringback.web.direct import DirectRoute, DirectRoutes


async def _with_request(request: Request) -> Response:
    return PlainTextResponse(f"request {request.path_params}")


class _Application:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"application {scope['path_params']}")(scope, receive, send)


async def _otherwise(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("framework")(scope, receive, send)


ROUTES = [
    DirectRoute("/hooks/{source}/sms_status", _Application(), methods=["POST"]),
    DirectRoute("/hooks/{source}", _Application(), methods=["POST"]),
    DirectRoute("/v1/Account/{auth_id}/Message/", _with_request, methods=["POST"]),
]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/hooks/a/sms_status", "application {'source': 'a'}"),
        ("POST", "/hooks/b", "application {'source': 'b'}"),
        ("POST", "/v1/Account/MA/Message/", "request {'auth_id': 'MA'}"),
        ("GET", "/hooks/a/sms_status", "framework"),
        ("POST", "/hooks/a/sms_status/", "framework"),
        ("POST", "/hooks/a/sms_inbound", "framework"),
        ("POST", "/hooks/", "framework"),
        ("POST", "/hooks//sms_status", "framework"),
        ("POST", "/", "framework"),
        ("POST", "", "framework"),
    ],
)
async def test_requests_go_where_their_path_and_method_say(method: str, path: str, said: str) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await DirectRoutes(ROUTES, _otherwise)(scope, receive, send)
    assert sent[1]["body"].decode() == said
