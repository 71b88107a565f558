"""The examples for web frameworks, served: what is signed is taken, what was changed is not."""

import asyncio
import importlib
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from wsgiref.simple_server import WSGIRequestHandler, make_server

import aiohttp
import pytest
import uvicorn

from ringback.dialect.signatures import callback_headers
from tests.fakes.callers import PUBLIC, TOKEN, call, said
from tests.fakes.platform import running, settings_for

AUTH_ID = "MAXXXXXXXXXXXXXXXXXX"
ASGI = ("receive_starlette", "receive_fastapi")
WSGI = {"receive_flask": "app", "receive_django": "application"}


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def over_wsgi(app: Any) -> Iterator[str]:
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@asynccontextmanager
async def over_asgi(app: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none"))
    config = server.config
    sock = config.bind_socket()
    # Whoever calls before it serves is kept waiting, and not sent away.
    sock.listen()
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        sock.close()


@pytest.fixture(params=[*ASGI, *WSGI])
async def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", f"the-one-before,{TOKEN}")
    monkeypatch.setenv("PUBLIC_URL", PUBLIC)
    module = importlib.import_module(f"examples.{request.param}")
    if request.param in ASGI:
        async with over_asgi(module.app) as served:
            yield served
    else:
        with over_wsgi(getattr(module, WSGI[request.param])) as served:
            yield served


async def test_what_is_signed_is_taken_and_nothing_else(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    params = said("m-1", "delivered", 3, Text="a+b c=ü&d")
    async with aiohttp.ClientSession() as http:
        assert await call(http, url, "/sms", params) == 200
        assert await call(http, url, "/sms?tenant=4&blank=", params) == 200
        assert await call(http, url, "/sms", params, token="unknown") == 403
        assert await call(http, url, "/sms", [("Text", "signed, and no callback")]) == 400
        signed = callback_headers(
            "GET", PUBLIC + "/sms", params, nonce_v2="1", nonce_v3="2", tokens=(TOKEN,), main_tokens=(TOKEN,)
        )
        for query, status in ((urlencode(params), 200), (urlencode(params).replace("delivered", "failed"), 403)):
            async with http.get(f"{url}/sms?{query}", headers=signed) as answer:
                assert answer.status == status
    assert capsys.readouterr().out.count("m-1 delivered 4") == 3


async def test_a_conversion_is_reported_from_a_framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {"plivo": {"auth_id": AUTH_ID, "tokens": [TOKEN], "api_url": "http://127.0.0.1:1"}}
    async with running(settings_for(tmp_path, sources=sources)) as ringback:
        for name, value in (("RINGBACK_URL", ringback.url), ("PLIVO_AUTH_ID", AUTH_ID), ("PLIVO_AUTH_TOKEN", TOKEN)):
            monkeypatch.setenv(name, value)
        module = importlib.import_module("examples.report_fastapi")
        async with over_asgi(module.app) as url:
            for taken in ("new", "duplicate"):
                async with ringback.http.post(f"{url}/typed-in/m-1") as answer:
                    assert (answer.status, await answer.json()) == (200, {"taken": taken})


@pytest.mark.parametrize("module", ["source", "report"])
def test_the_library_needs_neither_database_nor_server(module: str) -> None:
    """In a process of its own: what other tests have imported does not count."""
    heavy = "('sqlalchemy', 'starlette', 'aiohttp')"
    code = f"import sys, ringback.receiver.{module}; print([name for name in {heavy} if name in sys.modules])"
    assert _output(code) == "[]"


def _output(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
