"""The official Node SDK, with the base URL that its constructor takes, against a running Ringback."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ringback.dialect import xml_reply
from ringback.dialect.xml_reply import MessageElement
from ringback.store import profiles
from ringback.store.port import Transaction
from ringback.store.schema_accounts import balances
from tests.fakes import node_sdk
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import running, settings_for


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    """Install the pinned SDK beside its driver, once."""
    node_sdk.install()


async def node(script: str, *arguments: str, stdin: str = "") -> Any:
    """Run a script and give the JSON that it prints."""
    return json.loads(await node_sdk.output_of(script, *arguments, stdin=stdin))


async def test_the_node_sdk_cannot_tell_the_difference(tmp_path: Path) -> None:
    async with recording_endpoint() as endpoint, running(settings_for(tmp_path)) as ringback:
        token = ringback.account.tokens[0]
        seen = await node("drive.js", ringback.url, ringback.account.auth_id, token, f"{endpoint.url}/cb")
        uuid = seen["one"]["messageUuid"][0]
        assert seen["one"]["message"] == "message(s) queued"
        assert seen["one"]["apiId"]
        assert len(seen["many"]["messageUuid"]) == 2
        assert seen["got"] == {
            "messageUuid": uuid, "units": 1, "fromNumber": "15005550100", "totalRate": "0.00550",
        }  # fmt: skip
        assert len(seen["listed"]) == 2
        assert "nonsense is not a valid phone number" in seen["errors"]["invalid"]["message"]
        assert seen["errors"]["invalid"]["status"] == 400
        assert seen["errors"]["notFound"]["status"] == 404
        assert seen["errors"]["unauthenticated"]["status"] == 401

        requests = await endpoint.wait_for(9)
        await ringback.until_called_back()
        asked = [
            {
                "method": request.method,
                "url": endpoint.url + request.target,
                "headers": {name.lower(): value for name, value in request.headers},
                "params": dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
                "token": token,
            }
            for request in requests
        ]
        assert {request["method"] for request in asked} == {"GET", "POST"}
        assert await node("verify.js", stdin=json.dumps(asked)) == [[True] * 4] * 9


async def test_accounts_subaccounts_and_prices(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path)) as ringback:
        auth_id, now_us = ringback.account.auth_id, ringback.platform.clock.now_us()

        def run_out(tx: Transaction) -> None:
            profiles.lay_down(tx, auth_id, {"billing_mode": "prepaid"}, now_us=now_us)
            tx.execute(balances.update().values(refused_until_us=now_us + 120_000_000))

        await ringback.platform.store.write(run_out)
        seen = await node("accounts.js", ringback.url, auth_id, ringback.account.tokens[0])
        uri = f"/v1/Account/{auth_id}/"
        assert seen["account"] == {"resourceUri": uri, "cashCredits": "0.00000", "billingMode": "prepaid"}
        assert (seen["changed"], seen["made"]["message"], seen["renamed"]) == ("changed", "created", "changed")
        assert seen["found"] == {"name": "Shop", "enabled": True, "authToken": seen["made"]["authToken"]}
        assert (seen["listed"], seen["deleted"]) == ([seen["made"]["authId"]], True)
        assert seen["price"] == {"country": "United States", "rate": "0.00550"}
        assert seen["refused"]["status"] == 400
        assert "Insufficient Credit" in seen["refused"]["message"]


async def test_what_the_sdk_builds_as_an_answer_is_understood() -> None:
    code = """
        const answer = require('plivo').Response();
        answer.addMessage('Grüße', {src: '1', dst: '2<3', type: 'sms', callbackUrl: 'http://e.com/'});
        console.log(answer.toXML());
    """
    (element,) = xml_reply.parse((await node_sdk.output_of("-e", code)).encode())
    assert isinstance(element, MessageElement)
    assert (element.fields["dst"], element.fields["text"], element.fields["url"]) == ("2<3", "Grüße", "http://e.com/")
