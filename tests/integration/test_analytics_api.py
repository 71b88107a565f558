"""The questions of the analytics over HTTP: whose figures who sees, and what a wrong parameter is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from starlette.requests import Request

from ringback.analytics.asking import QUESTIONS
from ringback.analytics.away import NoEngine
from ringback.analytics.duck import DuckEngine
from ringback.analytics.engine import Engine
from ringback.analytics.questions import Questions
from ringback.runtime import SystemClock
from ringback.settings_analytics import AnalyticsSettings
from ringback.store.accounts import Account, AccountCache
from ringback.store.port import Store
from ringback.web.api.analytics import AnalyticsApi
from ringback.web.api.auth import Authenticator
from ringback.web.api.openapi.analytics import OPERATIONS
from ringback.web.operator import USER, make_token
from ringback.wiring.backbone import create_account, open_backbone
from tests.fakes.analytics import NOON, at_us, filled, row
from tests.fakes.clock import FakeClock
from tests.fakes.platform import running, settings_for

ANOTHER = "MABBBBBBBBBBBBBBBBBB"
NOW_US = at_us(NOON) + 60_000_000


class Served:
    """The API of one store and one engine, asked without a socket."""

    def __init__(self, store: Store, engine: Engine, account: Account, token: str) -> None:
        clock = FakeClock(NOW_US)
        api = AnalyticsApi(
            questions=Questions(engine, AnalyticsSettings(), clock),
            engine=engine,
            store=store,
            clock=clock,
            authenticator=Authenticator(AccountCache(store), clock),
        )
        self._routes = {route.path: route.endpoint for route in [*api.routes(), *api.operator_routes()]}
        self._account = account
        self._token = token

    async def ask(self, question: str, **params: str) -> tuple[int, Any]:
        """Ask as the account."""
        return await self._get(f"/v1/account/{{auth_id}}/analytics/{question}/", self._account.auth_id,
                               self._account.tokens[0], params)  # fmt: skip

    async def ask_all(self, question: str, **params: str) -> tuple[int, Any]:
        """Ask as the operator."""
        return await self._get(f"/v1/operator/analytics/{question}/", USER, self._token, params)

    async def _get(self, path: str, user: str, password: str, params: dict[str, str]) -> tuple[int, Any]:
        authorization = aiohttp.encode_basic_auth(user, password).encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "path_params": {"auth_id": self._account.auth_id},
            "query_string": urlencode(params).encode(),
            "headers": [(b"authorization", authorization)],
        }
        response = await self._routes[path](Request(scope))
        return response.status_code, json.loads(response.body)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backbone(settings_for(tmp_path)) as (opened, _):
        yield opened


@pytest.fixture
async def served(store: Store, tmp_path: Path) -> AsyncIterator[Served]:
    account = await create_account(store, SystemClock(), "one")
    async with DuckEngine(tmp_path / "analytics", AnalyticsSettings()) as engine:
        mine = [row(1, account_id=account.auth_id), row(2, account_id=account.auth_id, status="failed")]
        await filled(engine, [*mine, row(3, account_id=ANOTHER, country="IN", carrier="404-20", network="Vi")])
        yield Served(store, engine, account, await make_token(store))


async def test_an_account_sees_its_own_and_the_operator_everybodys(served: Served) -> None:
    status, mine = await served.ask("totals")
    assert (status, mine["accepted"], mine["delivery_rate"], mine["cost"]) == (200, 2, 0.5, "0.01100")
    assert (mine["since"], mine["until"]) == ("2026-03-03T12:15:00+00:00", "2026-03-04T12:15:00+00:00")
    assert (await served.ask_all("totals"))[1]["accepted"] == 3
    assert (await served.ask_all("totals", account=ANOTHER))[1]["accepted"] == 1


def _closed(schema: Any) -> Any:
    """Allow no members but those described."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _closed(each) for name, each in schema.items()}
    return {**made, "additionalProperties": False} if "properties" in made else made


async def test_nobody_reaches_another_account_by_a_parameter(served: Served) -> None:
    for question in QUESTIONS:
        assert "IN" not in json.dumps((await served.ask(question, account=ANOTHER))[1])
    assert (await served.ask("totals", account=ANOTHER))[1]["accepted"] == 2
    assert (await served.ask("totals", country="IN"))[1]["accepted"] == 0


async def test_every_question_has_an_answer_as_it_is_described(served: Served) -> None:
    described = {operation.path.lower(): operation.answers[200] for operation in OPERATIONS}
    for question in QUESTIONS:
        status, answer = await served.ask_all(question)
        assert status == 200, answer
        schema = described[f"/v1/operator/analytics/{question}/"]
        assert isinstance(schema, Mapping)
        Draft202012Validator(_closed(schema)).validate(answer)
    groups = (await served.ask_all("breakdown", by="carrier", order="-accepted"))[1]["groups"]
    assert [(group["key"], group["name"]) for group in groups] == [("404-20", "Vi"), ("310-260", "Example Mobile")]


@pytest.mark.parametrize(
    ("question", "params", "says"),
    [
        ("totals", {"country": "Germany"}, "country must be a country's two letters, such as IN"),
        ("totals", {"carrier": "404"}, "carrier must be MCC-MNC, such as 404-20"),
        ("totals", {"period": "yesterday"}, "period must be 24h, 7d, 30d, 90d, or another number"),
        ("totals", {"period": "24h", "since": "7d"}, "give either period, or since and until"),
        ("totals", {"since": "1d", "until": "2d"}, "since must be before until"),
        ("totals", {"since": "2026-13-01"}, "since must be so long ago, such as 90m"),
        ("totals", {"status": "lost"}, "status must be one of queued, sent, delivered"),
        ("totals", {"colour": "red"}, "colour is no filter; there are account, carrier, compare"),
        ("totals", {"by": "country"}, "by is no parameter of this question; it takes filters only"),
        ("breakdown", {"by": "colour"}, "by must be one of country, carrier"),
        ("breakdown", {"order": "colour"}, "order must be one of accepted, delivered"),
        ("breakdown", {"limit": "0"}, "limit must be a whole number from 1 to 5000"),
        ("latency-series", {"measure": "colour"}, "measure must be one of queue_ms"),
    ],
)
async def test_a_wrong_parameter_is_told_what_is_right(
    served: Served, question: str, params: dict[str, str], says: str
) -> None:
    status, answer = await served.ask(question, **params)
    assert status == 400
    assert answer["error"].startswith(says)


async def test_analytics_that_are_away_are_told_of(store: Store) -> None:
    account = await create_account(store, SystemClock(), "one")
    status, answer = await Served(store, NoEngine(), account, "").ask("totals")
    assert status == 503
    assert "role analytics" in answer["error"]


async def test_credentials_are_needed(store: Store) -> None:
    account = await create_account(store, SystemClock(), "one")
    served = Served(store, NoEngine(), account, "wrong")
    assert (await served.ask_all("totals"))[0] == 401


async def test_figures_follow_what_is_sent(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        for _ in range(3):
            assert (await ringback.send())[0] == 202
        url = f"{ringback.url}/v1/Account/{ringback.account.auth_id}/Analytics/totals/"
        async with asyncio.timeout(60):
            while True:
                async with ringback.http.get(url, headers=ringback.auth) as response:
                    found = await response.json()
                if response.status == 200 and found["delivered"] == 3:
                    break
                await asyncio.sleep(0.1)
    assert (found["accepted"], found["delivery_rate"], found["pending"]) == (3, 1.0, 0)
