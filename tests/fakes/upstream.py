"""An upstream account: a recording endpoint that answers as such an API does, and a second Ringback as one."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from ringback.settings import PlivoSettings
from tests.fakes.endpoint import Answer
from tests.fakes.platform import Running, running, settings_for
from tests.fakes.ports import free_port

AUTH_ID = "MAXXXXXXXXXXXXXXXXXX"
TOKEN = "upstream token"
UUID = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"

_numbers = itertools.count(1)


def settings(url: str, **more: Any) -> PlivoSettings:
    """Name the account of an endpoint."""
    given = {"auth_id": AUTH_ID, "auth_token": TOKEN, "public_url": "https://ringback.example", "deadline_s": 15.0}
    return PlivoSettings(**{"base_url": url, **given, **more})


def says(status: int, content: Any = None, **headers: str) -> Answer:
    """Answer with a JSON body, or with text."""

    async def answer(_: web.Request) -> web.StreamResponse:
        text = content if isinstance(content, str) else json.dumps(content)
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    return answer


def taken(uuid: str = UUID) -> Answer:
    """Answer as for a message that was taken."""
    return says(202, {"api_id": "a", "message": "message(s) queued", "message_uuid": [uuid]})


def error(status: int, text: str, **headers: str) -> Answer:
    """Answer with an error."""
    return says(status, {"api_id": "a", "error": text}, **headers)


def breaks_off(status: int) -> Answer:
    """Begin to answer, and break the connection off in the middle of the body."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Length": "200"})
        await response.prepare(request)
        await response.write(b'{"api_id": "a", "mess')
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


async def takes_everything(request: web.Request) -> web.StreamResponse:
    """Answer the account, and take every message under a name of its own."""
    if request.method == "GET":
        return await says(200, {"api_id": "a", "auth_id": AUTH_ID})(request)
    return await taken(f"upstream-{next(_numbers)}")(request)


@asynccontextmanager
async def one_above_the_other(
    directory: Path, *, above: dict[str, Any] | None = None, below: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Running, Running]]:
    """Run a Ringback whose carrier is an account of another one; gives it and the other one.

    ``above`` are groups of the other one's settings, ``below`` settings of the carrier.
    """
    port = free_port()
    async with running(settings_for(directory / "upstream", **(above or {}))) as upstream:
        plivo = account_of(upstream, f"http://127.0.0.1:{port}") | (below or {})
        async with running(settings_for(directory / "ours", server={"port": port}, plivo=plivo)) as ours:
            yield ours, upstream


def account_of(upstream: Running, public_url: str, **more: Any) -> dict[str, Any]:
    """Name the account of another Ringback, whose callbacks are to come to ``public_url``."""
    account = {"auth_id": upstream.account.auth_id, "auth_token": upstream.account.tokens[0]}
    return {**account, "base_url": upstream.url, "public_url": public_url, **more}


def nowhere() -> str:
    """Name an address where nobody listens."""
    return f"http://127.0.0.1:{free_port()}"
