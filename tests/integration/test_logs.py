"""What a whole run writes to its log, in which nobody's secrets belong."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from aiohttp import web

from tests.fakes.endpoint import recording_endpoint, status
from tests.fakes.process import Served, create_account, run, served

TEXT = "The code is 481516, tell nobody"
ANSWER = "a body that only the endpoint knows"
SOURCE_TOKEN = "a-token-of-the-source"
WRONG_TOKEN = "a-token-that-somebody-tries"
SRC, DST, PHONE = "15005550100", "15005550001", "14155550177"
CALLBACKS = 3
BOUND_S = 60


async def refused_with_body(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text=ANSWER)


async def use_all_of_it(ringback: Served, http: aiohttp.ClientSession, link: str) -> None:
    """Come with a wrong token, an unsigned callback, an unknown path, a login, and a message from a phone."""
    wrong = {"Authorization": aiohttp.encode_basic_auth(ringback.account["auth_id"], WRONG_TOKEN)}
    messages_url = f"{ringback.url}/v1/Account/{ringback.account['auth_id']}/Message/"
    said = {"MessageUUID": "1", "Status": "sent", "From": SRC, "To": PHONE, "Text": TEXT}
    for method, url, options in (
        ("POST", messages_url, {"headers": wrong, "json": {"text": TEXT}}),
        ("POST", f"{ringback.url}/hooks/own/status", {"data": urlencode(said)}),
        ("GET", f"{ringback.url}/nowhere?{urlencode(said)}", {}),
        ("POST", f"{ringback.url}/dashboard/login", {"data": dict(parse_qsl(urlsplit(link).query))}),
    ):
        async with http.request(method, url, allow_redirects=False, **options) as answer:  # type: ignore[arg-type]
            await answer.read()


async def test_a_whole_run_at_debug_level_tells_no_secret(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    environment = {
        "RINGBACK_LOG__LEVEL": "debug", "RINGBACK_SIMULATOR__SPEED": "20", "RINGBACK_STORE__BUSY_TIMEOUT_S": "0.2",
        "RINGBACK_DELIVERY__RETRY_DELAYS_S": "0.05,0.05,0.05",
    }  # fmt: skip
    config = tmp_path / "ringback.toml"
    config.write_text(f'[sources.own]\ntokens = ["{SOURCE_TOKEN}"]\n')
    link = run("login-link", "--data-dir", str(tmp_path), "--port", "8080").stdout.strip()
    async with (
        recording_endpoint() as endpoint,
        served(tmp_path, account, "--config", str(config), **environment) as ringback,
        aiohttp.ClientSession() as http,
    ):
        endpoint.answer_next(refused_with_body, status(404))
        assert (await ringback.send(http, src=SRC, dst=DST, text=TEXT, url=endpoint.url))[0] == 202
        await endpoint.wait_for(CALLBACKS + 2)
        await use_all_of_it(ringback, http, link)
        with closing(sqlite3.connect(tmp_path / "ringback.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await ringback.send(http, src=SRC, dst=PHONE, text=TEXT))[0] == 503
            other.execute("ROLLBACK")
        async with asyncio.timeout(BOUND_S):
            assert await ringback.terminate() == 0
        nonces = {request.header("X-Plivo-Signature-V3") for request in endpoint.requests}
    log = "".join(ringback.log)
    told = {json.loads(line)["event"] for line in ringback.log if line.startswith("{")}
    assert {"callback_attempt", "request_not_taken", "draining"} <= told
    key = dict(parse_qsl(urlsplit(link).query))["key"]
    secrets = {account["auth_token"], TEXT, ANSWER, SOURCE_TOKEN, WRONG_TOKEN, SRC, DST, PHONE, key, *nonces}
    assert [secret for secret in secrets if secret in log] == []
