"""``POST /v1/Operator/Sql/``: answers for the operator's programs, errors with their place, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.analytics.asked import LONGEST
from ringback.web.operator import USER, make_token
from tests.fakes.platform import Running, running, settings_for

PATH = "/v1/Operator/Sql/"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as started:
        yield started


async def ask(ringback: Running, body: Any, *, user: tuple[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    user = user or (USER, await make_token(ringback.platform.store))
    headers = {"Authorization": aiohttp.encode_basic_auth(*user)}
    async with ringback.http.post(f"{ringback.url}{PATH}", json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_rows_as_json(ringback: Running) -> None:
    status, body = await ask(ringback, {"sql": "SELECT range AS n, DATE '2026-01-02' AS day FROM range(5)", "rows": 2})
    assert status == 200
    assert body.pop("took_ms") >= 0
    assert body.pop("api_id")
    assert body == {
        "columns": ["n", "day"],
        "types": ["BIGINT", "DATE"],
        "rows": [[0, "2026-01-02"], [1, "2026-01-02"]],
        "cut": True,
    }


REFUSED: list[tuple[Any, str]] = [
    ({"sql": "SELECT getenv('HOME')"}, "LINE 1: SELECT getenv('HOME')\n               ^"),
    ({"sql": "SELEC 1"}, "syntax error"),
    ({"sql": "SELECT * FROM '/etc/passwd'"}, "There is no table"),
    ({"sql": "DROP TABLE events"}, "DROP is not possible here"),
    ({"sql": ""}, "sql must be a text"),
    ({"sql": 7}, "sql must be a text"),
    ({"sql": "x" * (LONGEST + 1)}, "sql must be a text"),
    ({}, "sql must be a text"),
    ({"sql": "SELECT 1", "rows": 0}, "rows must be a whole number from 1 to 10000"),
    ({"sql": "SELECT 1", "rows": True}, "rows must be"),
    ({"sql": "SELECT 1", "account": "x"}, "account is no parameter here"),
]


async def test_what_is_refused_says_why(ringback: Running) -> None:
    for body, says in REFUSED:
        status, answer = await ask(ringback, body)
        assert status == 400
        assert says in answer["error"]


async def test_an_account_cannot_ask(ringback: Running) -> None:
    status, _ = await ask(ringback, {"sql": "SELECT 1"}, user=(ringback.account.auth_id, ringback.account.tokens[0]))
    assert status == 401
