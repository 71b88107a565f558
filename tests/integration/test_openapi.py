"""The OpenAPI document against the routes, the standard, and what a running Ringback answers."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest
import requests
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import checks
from starlette.routing import BaseRoute

from ringback.model.routes import Carrier
from ringback.model.routes import Route as RouteOf
from ringback.store import callers, routing
from ringback.store.callers import VALID_US, Verification
from ringback.store.port import Transaction
from ringback.web.api.openapi.document import ERRORS, operations, served
from ringback.web.errors import STATUS
from ringback.web.operator import USER, make_token
from ringback.wiring import serving
from ringback.wiring.chance import new_id
from ringback.wiring.platform import open_platform
from tests.data.media import PNG
from tests.fakes.bins import make_bin
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running, running, settings_for

FOR_PEOPLE = "/dashboard"
"""Pages, not an interface for programs: the document leaves them out."""
SEED = 1
EXAMPLES = 20
CONFORMANCE = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
CODE = "123456"
ANOTHER = "14155550178"
WELL_FORMED = {
    "src": "15005550100", "dst": "15005550001", "since": "2020-01-31 12:00", "until": "2120-01-31 12:00",
    "timestamp": "2026-01-31T12:00:00Z", "country_iso": "US", "numbers": "14155550177", "region": "California",
    "carrier": "mine", "kind": "Number", "timezone": "Europe/Berlin", "phone_number": "14155550179",
    "text": "hello", "message_expiry": 60, "sql": "SELECT count(*) FROM messages",
}  # fmt: skip
"""Members of bodies that a generator hardly ever hits upon."""


@pytest.fixture
async def routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[BaseRoute]:
    """Every route of a whole platform, but the ones that the application adds by itself."""
    given: list[BaseRoute] = []
    build: Callable[..., Any] = serving.build_app

    def spy(routes: list[BaseRoute], *others: Any) -> Any:
        given.extend(routes)
        return build(routes, *others)

    monkeypatch.setattr(serving, "build_app", spy)
    async with open_platform(settings_for(tmp_path)):
        return given


async def get_document(ringback: Running) -> dict[str, Any]:
    async with ringback.http.get(f"{ringback.url}/openapi.json") as response:
        assert response.status == 200
        assert response.headers["content-type"] == "application/json"
        answer: dict[str, Any] = await response.json()
        return answer


# ---- against the routes ----


async def test_every_route_is_described_and_every_description_has_a_route(routes: list[BaseRoute]) -> None:
    there = {
        (method, path.lower() if path.startswith("/v1/") else path.removesuffix("/"))
        for method, path in served(routes)
        if not path.startswith(FOR_PEOPLE)
    }
    by_the_application = {("GET", "/livez"), ("GET", "/openapi.json")}
    described = [
        (operation.method, operation.path.lower() if operation.path.startswith("/v1/") else operation.path)
        for operation in operations()
    ]
    assert len(described) == len(set(described))
    assert set(described) == there | by_the_application


def test_names_are_unique_and_paths_are_as_documents_write_them() -> None:
    names = [operation.name for operation in operations()]
    assert len(names) == len(set(names))
    for operation in operations():
        if operation.path.startswith("/v1/"):
            start = "/v1/Operator/" if operation.of_operator else ("/v1/Account/{auth_id}/", "/v1/bins/")
            assert operation.path.startswith(start)
            assert operation.path.endswith("/")


async def test_what_is_switched_off_is_not_promised(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, server={"metrics": False})) as ringback:
        paths = (await get_document(ringback))["paths"]
    assert "/metrics" not in paths
    assert "/readyz" in paths


def test_every_status_of_an_error_has_an_explanation() -> None:
    assert {*STATUS.values(), 500} - {405} == set(ERRORS)


# ---- against the standard ----


async def test_the_document_is_valid(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        described = await get_document(ringback)
    OpenAPIV31SpecValidator(described).validate()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


# ---- against what is answered ----


def closed(schema: Any) -> Any:
    """A schema whose objects have no members but those described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    return {**inner, "additionalProperties": False} if inner.get("properties") else inner


def with_closed_answers(described: dict[str, Any]) -> dict[str, Any]:
    for methods in described["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    if properties := content.get("schema", {}).get("properties", {}):
                        # The document about itself says only roughly what it is.
                        content["schema"] = content["schema"] if "openapi" in properties else closed(content["schema"])
    return described


def as_operator(case: Any, *, there: bool) -> None:
    """Name the carriers and routes that are there; those that are removed are others than those that are changed."""
    if "name" in (case.path_parameters or {}) and there:
        case.path_parameters["name"] = "spare" if case.method == "DELETE" else "kept"
    if isinstance(case.body, dict):
        given = {"kind": "simulator", "settings": {}, "carrier": "kept"}
        case.body |= {name: value for name, value in given.items() if name in case.body}


def exercise(
    described: Mapping[str, Any],
    url: str,
    known: Mapping[str, str],
    *,
    auth: tuple[str, str],
    operator: tuple[str, str],
) -> dict[str, set[int]]:
    """Call every operation with generated arguments, with ``known`` ids and members of bodies; gives the statuses."""
    schema = schemathesis.openapi.from_dict(dict(described))
    statuses: dict[str, set[int]] = {}
    with requests.Session() as session:
        for result in schema.get_all_operations():
            operation = result.ok()

            @hypothesis.seed(SEED)
            @hypothesis.settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                suppress_health_check=list(hypothesis.HealthCheck),
                phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            )
            @hypothesis.given(case=operation.as_strategy())
            def call(case: Any) -> None:
                for name in set(case.path_parameters or {}) & set(known):
                    case.path_parameters[name] = known[name]
                if isinstance(case.query, dict):
                    case.query |= {name: known[name] for name in set(case.query) & set(known)}
                if case.operation.definition.raw["operationId"] == "waitForCaptures":
                    case.query = {**(case.query or {}), "timeout_s": "0"}
                if isinstance(case.body, dict):
                    case.body |= {name: known[name] for name in set(case.body) & set(known)}
                    if "src" in case.body:
                        # Both are refused, and generated bodies mostly have both.
                        case.body.pop("powerpack_uuid", None)
                    if "dry_run" in known and case.operation.definition.raw["operationId"] == "startReplay":
                        case.body["dry_run"] = True
                who = auth
                if case.path.startswith("/v1/Operator/"):
                    who = operator
                    as_operator(case, there="uuid" in known)
                response = case.call_and_validate(base_url=url, session=session, auth=who, checks=CONFORMANCE)
                statuses.setdefault(case.operation.definition.raw["operationId"], set()).add(response.status_code)

            call()
    return statuses


@pytest.mark.parametrize("there", [True, False], ids=["things that are there", "things that are not"])
async def test_generated_requests_are_answered_as_described(tmp_path: Path, *, there: bool) -> None:
    settings = settings_for(
        tmp_path, sources={"demo": {"tokens": ["a token"]}}, delivery={"retry_delays_s": [0.01, 0.01]}
    )
    async with recording_endpoint() as endpoint, running(settings) as ringback:
        account = ringback.account
        known = {"auth_id": account.auth_id, "source": "demo", **WELL_FORMED}
        # Never a generated one: its name would be looked up, outside this machine.
        known["url"] = f"{endpoint.url}/status"
        if there:
            known |= await things(ringback, endpoint.url)
            await ringback.platform.store.write(carriers)
        else:
            known["dry_run"] = "true"
        described = with_closed_answers(await get_document(ringback))
        statuses = await asyncio.to_thread(
            exercise,
            described,
            ringback.url,
            known,
            auth=(account.auth_id, account.tokens[0]),
            operator=(USER, await make_token(ringback.platform.store)),
        )
    assert set(statuses) == {operation.name for operation in operations()}
    if there:
        # A signature is nothing that can be guessed, and this account owns no source; no carrier here calls back.
        refused = {name for name, seen in statuses.items() if not any(status < 300 for status in seen)}
        assert refused == {
            "takeCallback", "takeCallbackByGet", "takeMessage", "takeMessageByGet", "takeEither", "takeEitherByGet",
            "takeReceipt", "takeReceiptByGet", "takePhonesMessage", "takePhonesMessageByGet",
            "readUpload", "readMediaOfMessage", "reportConversions",
            # No alert is there, and no URL that one would be sent to.
            "getAlert", "acknowledgeAlert", "muteAlert", "unmuteAlert", "resolveAlert", "testAlerts",
        }  # fmt: skip
        assert 202 in statuses["startReplay"]
    else:
        assert 200 in statuses["startReplay"]


async def things(ringback: Running, url: str) -> dict[str, str]:
    """Make one of everything, and give the ids by their names in paths."""
    base = ringback.messages_url.replace("/Message/", "")
    form = aiohttp.FormData()
    form.add_field("file", PNG, filename="dot.png", content_type="image/png")
    async with ringback.http.post(f"{base}/Media/", headers=ringback.auth, data=form) as response:
        [medium] = (await response.json())["objects"]
    _, sent = await ringback.send(url=f"{url}/status", type="mms", media_ids=[medium["media_id"]], trackable=True)
    for _ in range(30):
        # So many callbacks that a slow replay of them lasts until somebody tries to cancel it.
        await ringback.send(url=f"{url}/status")
    await ringback.until_called_back()
    headers = {**ringback.auth, "Content-Type": "application/json"}
    async with ringback.http.get(f"{base}/Callback/", headers=headers) as response:
        callback = (await response.json())["objects"][0]
    async with ringback.http.get(f"{base}/Endpoint/", headers=headers) as response:
        endpoint = (await response.json())["objects"][0]
    body = json.dumps({"state": "any", "rate_per_s": 0.1})
    async with ringback.http.post(f"{base}/Callback/Replay/", headers=headers, data=body) as response:
        assert response.status == 202
        replay = await response.json()
    await make_bin(ringback, "generated", account_id=ringback.account.auth_id)
    async with ringback.http.post(f"{ringback.url}/bin/generated", data=b"x") as response:
        assert response.status == 200
    return {
        "bin": "generated",
        "capture": "1",
        "message_uuid": sent["message_uuid"][0],
        "media_id": medium["media_id"],
        "callback_id": callback["id"],
        "endpoint_id": endpoint["id"],
        "replay_id": replay["id"],
        **await people(ringback, base),
        **await numbering(ringback, base),
    }


def carriers(tx: Transaction) -> None:
    """Make a carrier and a route to be changed, and others to be removed."""
    for name in ("kept", "spare"):
        routing.put_carrier(tx, Carrier(name=name, kind="simulator"), now_us=0)
        routing.put_route(tx, RouteOf(name=name, carrier="kept"), now_us=0)


async def people(ringback: Running, base: str) -> dict[str, str]:
    """Make a subaccount, a verified caller id, and a code that can be entered."""
    store, clock, account_id = ringback.platform.store, ringback.platform.clock, ringback.account.auth_id
    async with ringback.http.post(f"{base}/Subaccount/", headers=ringback.auth, json={"name": "one"}) as response:
        subaccount_id = (await response.json())["auth_id"]
    now_us = clock.now_us()
    uuids = [new_id(now_us), new_id(now_us)]
    for uuid, number in zip(uuids, (OURS, ANOTHER), strict=True):
        wanted = Verification(
            uuid=uuid,
            account_id=account_id,
            number=number,
            alias="",
            country="US",
            subaccount="",
            expires_at_us=now_us + VALID_US,
        )
        await store.write(partial(callers.begin, new=wanted, code=CODE, now_us=now_us))
    await store.write(partial(callers.verify, account_id=account_id, uuid=uuids[0], code=CODE, now_us=now_us))
    return {
        "subaccount_id": subaccount_id,
        "subaccount": subaccount_id,
        "alias": "home",
        "verification_uuid": uuids[1],
        "otp": CODE,
    }


async def numbering(ringback: Running, base: str) -> dict[str, str]:
    """Make an application, a powerpack, and a number."""
    store, account_id = ringback.platform.store, ringback.account.auth_id
    await own_number(store, account_id)
    async with ringback.http.post(f"{base}/Application/", headers=ringback.auth, json={"app_name": "one"}) as response:
        app_id = (await response.json())["app_id"]
    async with ringback.http.post(f"{base}/Powerpack/", headers=ringback.auth, json={"name": "one"}) as response:
        uuid = (await response.json())["uuid"]
    return {"app_id": app_id, "uuid": uuid, "pool": uuid, "number": OURS}
