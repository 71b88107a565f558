"""The operator's API: carriers and routes over HTTP, and who may."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ringback.web.operator import make_token
from tests.fakes.platform import Running, running, settings_for


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(user, password)}


class Operator:
    """Calls the operator's API."""

    def __init__(self, ringback: Running, token: str) -> None:
        self.ringback = ringback
        self.headers = basic("operator", token)

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        url = f"{self.ringback.url}/v1/Operator/{path}"
        async with self.ringback.http.request(method, url, json=body, headers=self.headers) as response:
            text = await response.text()
            return response.status, await response.json() if text else {}


async def test_a_carrier_and_its_routes(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        operator = Operator(ringback, await make_token(ringback.platform.store))
        _, before = await operator.call("GET", "Carrier/")
        assert [each["name"] for each in before["objects"]] == ["simulator"]
        settings = {"speed": 50, "password": "hidden"}
        status, refused = await operator.call("POST", "Carrier/north/", {"kind": "pigeon"})
        assert (status, "pigeon" in refused["error"]) == (400, True)
        status, made = await operator.call("POST", "Carrier/north/", {"kind": "simulator", "settings": settings})
        assert (status, made["settings"]) == (200, {"speed": 50, "password": "set"})
        status, routed = await operator.call("POST", "Route/germany/", {"carrier": "north", "prefix": "49"})
        assert (status, routed["prefix"], routed["account"]) == (200, "49", None)
        status, refused = await operator.call("DELETE", "Carrier/north/")
        assert (status, refused["error"]) == (400, "routes lead to carrier north: remove germany first")
        for path, is_paused in (("Route/germany/Pause/", True), ("Route/germany/Resume/", False)):
            _, routed = await operator.call("POST", path)
            assert routed["paused"] is is_paused
        _, paused = await operator.call("POST", "Carrier/north/Pause/", {"reason": "too dear"})
        assert (paused["paused"], paused["reason"], paused["routes"]) == (True, "too dear", ["germany"])
        _, resumed = await operator.call("POST", "Carrier/north/Resume/")
        assert resumed["paused"] is False
        status, _ = await operator.call("POST", "Carrier/north/Rebind/")
        assert status == 200
        assert (await operator.call("DELETE", "Route/germany/"))[0] == 204
        assert (await operator.call("DELETE", "Carrier/north/"))[0] == 204
        assert (await operator.call("GET", "Carrier/north/"))[0] == 404


async def test_the_first_carrier_takes_everything(tmp_path: Path) -> None:
    """As by the command: what stood in for a carrier does not stay beside it, where no route would choose."""
    async with running(settings_for(tmp_path)) as ringback:
        operator = Operator(ringback, await make_token(ringback.platform.store))
        await operator.call("POST", "Carrier/north/", {"kind": "simulator", "settings": {"speed": 50}})
        _, found = await operator.call("GET", "Carrier/")
        assert [(each["name"], each["routes"]) for each in found["objects"]] == [("north", ["default"])]


@pytest.mark.parametrize("credentials", [None, "account", "old token"])
async def test_nobody_else_gets_in(tmp_path: Path, credentials: str | None) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        old = await make_token(ringback.platform.store)
        await make_token(ringback.platform.store)
        account = ringback.account
        headers = {
            None: {},
            "account": basic(account.auth_id, account.tokens[0]),
            "old token": basic("operator", old),
        }[credentials]
        async with ringback.http.get(f"{ringback.url}/v1/Operator/Carrier/", headers=headers) as response:
            assert response.status == 401
            assert ("ringback operator-token" in await response.text()) is (credentials is not None)
