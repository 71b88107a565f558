"""Account, subaccounts, pricing and caller ids over real HTTP: who may do what, and every kind of refusal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import sqlalchemy as sa
from plivo.utils import validate_v3_signature

from ringback.model.errors import ConfigInvalid
from ringback.store import accounts, messages, profiles
from ringback.store.schema import accounts as accounts_table
from ringback.store.schema import submissions
from ringback.store.schema_accounts import caller_ids, verifications
from ringback.wiring.platform import open_platform
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


async def ask(
    ringback: Running, method: str, path: str, body: Any = None, *, of: str = "", by: tuple[str, str] | None = None
) -> tuple[int, Any]:
    """Send a request to the account ``of``, by default the first, with its credentials or those given."""
    auth = {"Authorization": aiohttp.encode_basic_auth(*by)} if by else ringback.auth
    url = f"{ringback.url}/v1/Account/{of or ringback.account.auth_id}/{path}"
    async with ringback.http.request(method, url, json=body, headers=auth) as response:
        if response.status == 204:
            return 204, await response.text()
        assert response.headers["content-type"] == "application/json"
        return response.status, await response.json()


async def make(ringback: Running, **fields: Any) -> tuple[str, str]:
    """Make an enabled subaccount; gives its credentials."""
    code, made = await ask(ringback, "POST", "Subaccount/", {"name": "Shop", "enabled": True, **fields})
    assert code == 201
    assert set(made) == {"api_id", "auth_id", "auth_token", "message"}
    return made["auth_id"], made["auth_token"]


@pytest.mark.parametrize("path", ["", "/", "//"])
async def test_the_account_is_found_with_any_number_of_slashes(ringback: Running, path: str) -> None:
    code, found = await ask(ringback, "GET", path)
    assert code == 200
    assert set(found) == {
        "account_type", "address", "api_id", "auth_id", "auto_recharge", "billing_mode", "cash_credits", "city", "name",
        "resource_uri", "state", "timezone",
    }  # fmt: skip
    assert found["resource_uri"] == f"/v1/Account/{ringback.account.auth_id}/"


async def test_state_and_timezone_are_changed_too(ringback: Running) -> None:
    assert (await ask(ringback, "POST", "", {"state": "NRW", "timezone": "Europe/Berlin", "city": ""}))[0] == 202
    _, found = await ask(ringback, "GET", "")
    assert (found["state"], found["timezone"], found["city"], found["name"]) == ("NRW", "Europe/Berlin", "", "test")


async def test_subaccounts_have_pages_and_defaults(ringback: Running) -> None:
    assert (await ask(ringback, "POST", "Subaccount/", {"name": "first"}))[0] == 201
    for name in ("second", "third"):
        await make(ringback, name=name)
    code, page = await ask(ringback, "GET", "subaccount?limit=1&offset=1")
    assert (code, page["meta"]["total_count"], page["meta"]["previous"].endswith("offset=0")) == (200, 3, True)
    [second] = page["objects"]
    assert second["name"] == "second"
    _, last = await ask(ringback, "GET", "Subaccount/?offset=2")
    assert [each["enabled"] for each in last["objects"]] == [False]
    assert second["resource_uri"] == f"/v1/Account/{ringback.account.auth_id}/Subaccount/{second['auth_id']}/"
    code, _ = await ask(ringback, "POST", f"Subaccount/{second['auth_id'].lower()}", {"enabled": "false"})
    assert code == 202
    _, found = await ask(ringback, "GET", f"Subaccount/{second['auth_id']}/")
    assert (found["enabled"], found["name"], found["modified"]) == (False, "second", found["created"])


async def test_while_a_token_is_rotated_the_new_one_has_a_place_of_its_own(ringback: Running) -> None:
    auth_id, token = await make(ringback)
    now_us = ringback.platform.clock.now_us()
    await ringback.platform.store.write(
        lambda tx: accounts.rotate_token(tx, auth_id, "next", now_us=now_us, old_until_us=now_us + 10**9)
    )
    _, found = await ask(ringback, "GET", f"Subaccount/{auth_id}/")
    assert (found["auth_token"], found["new_auth_token"]) == (token, "next")


async def test_who_reaches_whom(ringback: Running) -> None:
    main = ringback.account.auth_id
    shop, other = await make(ringback), await make(ringback)
    assert (await ask(ringback, "GET", "", of=shop[0], by=shop))[1]["name"] == "Shop"
    # The main account acts as its subaccount on that one's path.
    _, sent = await ask(ringback, "POST", "Message/", {"src": "1500555", "dst": "15005550001", "text": "x"}, of=shop[0])
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, sent["message_uuid"][0]))
    assert found is not None
    assert found.account_id == shop[0]
    for of, by in ((main, shop), (other[0], shop)):
        code, refused = await ask(ringback, "GET", "Message/", of=of, by=by)
        assert (code, set(refused)) == (401, {"api_id", "error"})
    assert (await ask(ringback, "GET", f"Message/?subaccount={main}", of=shop[0], by=shop))[1]["objects"] == []
    assert (await ask(ringback, "GET", f"Message/?subaccount={other[0]}", of=shop[0], by=shop))[1]["objects"] == []
    uuid = sent["message_uuid"][0]
    assert (await ask(ringback, "GET", f"Message/{uuid}/", of=other[0], by=other))[0] == 404
    assert (await ask(ringback, "GET", f"Message/{uuid}/"))[0] == 200
    assert (await ask(ringback, "GET", "Subaccount/", of=shop[0], by=shop))[1]["objects"] == []
    assert (await ask(ringback, "GET", f"Subaccount/{other[0]}/", of=shop[0], by=shop))[0] == 404


async def test_disabled_with_its_main_account(ringback: Running) -> None:
    shop = await make(ringback)
    await ringback.platform.store.write(lambda tx: accounts.set_enabled(tx, ringback.account.auth_id, enabled=False))
    # The subaccount was not asked for before, so that nothing older is remembered of it.
    code, refused = await ask(ringback, "GET", "Message/", of=shop[0], by=shop)
    assert (code, refused["error"]) == (401, "authentication failed: auth id or auth token is wrong")


async def test_neither_a_disabled_nor_a_deleted_subaccount_is_let_in(ringback: Running) -> None:
    shop = await make(ringback, enabled=False)
    assert (await ask(ringback, "GET", "", of=shop[0], by=shop))[0] == 401
    assert (await ask(ringback, "GET", "", of=shop[0]))[0] == 401
    assert (await ask(ringback, "POST", f"Subaccount/{shop[0]}/", {"enabled": True}))[0] == 202
    assert (await ask(ringback, "GET", "", of=shop[0], by=shop))[0] == 200
    assert await ask(ringback, "DELETE", f"Subaccount/{shop[0]}/", {"cascade": False}) == (204, "")
    assert (await ask(ringback, "GET", "", of=shop[0], by=shop))[0] == 401
    assert (await ask(ringback, "GET", "", of=shop[0]))[0] == 401
    assert (await ask(ringback, "DELETE", f"Subaccount/{shop[0]}/"))[0] == 404


async def test_a_deleted_subaccounts_callbacks_are_made_and_signed(ringback: Running) -> None:
    shop = await make(ringback)
    async with recording_endpoint() as endpoint:
        fields = {"src": "15005550100", "dst": "15005550001", "text": "hello", "url": f"{endpoint.url}/s"}
        code, sent = await ask(ringback, "POST", "Message/", fields, of=shop[0], by=shop)
        assert code == 202
        assert (await ask(ringback, "DELETE", f"Subaccount/{shop[0]}/", {"cascade": True}))[0] == 204
        await ringback.until_status(sent["message_uuid"][0], "delivered")
        await ringback.until_called_back()
        requests = await endpoint.wait_for(3)
    for kind, token in (("", shop[1]), ("Ma-", ringback.account.tokens[0])):
        for request in requests:
            assert validate_v3_signature(
                request.method,
                endpoint.url + request.target,
                request.header("X-Plivo-Signature-V3-Nonce"),
                token,
                request.header(f"X-Plivo-Signature-{kind}V3"),
                dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
            )


async def test_prices_of_a_country_nobody_has_priced(ringback: Running) -> None:
    code, found = await ask(ringback, "GET", "Pricing/?country_iso=de")
    assert code == 200
    assert (found["country"], found["country_code"], found["country_iso"]) == ("Germany", 49, "DE")
    assert found["message"]["outbound"]["rate"] == "0.00550"
    assert (found["message"]["outbound_networks_list"], found["phone_numbers"]) == ([], {})


LONG = "x" * 257
NOWHERE = "SA" + "Z" * 18
UUID = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "complaint"),
    [
        ("POST", "", {}, 400, "nothing to change: give one of name, city, address, state, timezone"),
        ("POST", "", {"name": LONG}, 400, "name parameter must be at most 256 printable characters"),
        ("POST", "", {"city": "a\nb"}, 400, "city parameter must be at most 256 printable characters"),
        ("POST", "", {"name": ["x"]}, 400, "name parameter must be a string"),
        ("POST", "", {"timezone": "../etc"}, 400, "timezone parameter must be a name such as Europe/Berlin"),
        ("POST", "", {"timezone": "Europe"}, 400, "timezone parameter must be a name such as Europe/Berlin"),
        ("DELETE", "", None, 405, "method not allowed"),
        ("POST", "Subaccount/", {}, 400, "name parameter is missing"),
        ("POST", "Subaccount/", {"name": "x", "enabled": 1}, 400, "enabled parameter must be true or false"),
        ("GET", "Subaccount/?limit=21", None, 400, "limit must be a whole number from 1 to 20"),
        ("GET", f"Subaccount/{NOWHERE}/", None, 404, "not found"),
        ("GET", "Subaccount/nope/", None, 404, "not found"),
        ("POST", f"Subaccount/{NOWHERE}/", {"name": "x"}, 404, "not found"),
        ("POST", f"Subaccount/{NOWHERE}/", {}, 400, "nothing to change: give one of name, enabled"),
        ("DELETE", f"Subaccount/{NOWHERE}/", None, 404, "not found"),
        ("DELETE", f"Subaccount/{NOWHERE}/?cascade=maybe", None, 400, "cascade parameter must be true or false"),
        ("GET", "Pricing/", None, 400, "country_iso parameter is missing"),
        ("GET", "Pricing/?country_iso=USA", None, 400, "country_iso parameter must be an ISO 3166 code"),
        ("GET", "Pricing/?country_iso=XX", None, 404, "not found"),
        ("POST", "VerifiedCallerId/", {}, 400, "phone_number parameter is missing"),
        ("POST", "VerifiedCallerId/", {"phone_number": "12"}, 400, "12 is not a valid phone number"),
        ("POST", "VerifiedCallerId/", {"phone_number": "15005550001", "channel": "call"}, 400, "channel call is not"),
        ("POST", "VerifiedCallerId/", {"phone_number": "15005550001", "country": "USA"}, 400, "country parameter must"),
        ("POST", "VerifiedCallerId/", {"phone_number": "15005550001", "subaccount": NOWHERE}, 400, "subaccount"),
        ("POST", f"VerifiedCallerId/Verification/{UUID}/", {"otp": "123456"}, 404, "not found"),
        ("POST", f"VerifiedCallerId/Verification/{UUID}/", {}, 400, "otp parameter is missing"),
        ("POST", "VerifiedCallerId/Verification/nope/", {"otp": "1"}, 404, "not found"),
        ("GET", "VerifiedCallerId/+15005550001/", None, 404, "not found"),
        ("GET", "VerifiedCallerId/nope/", None, 404, "not found"),
        ("POST", "VerifiedCallerId/15005550001/", {"alias": "x"}, 404, "not found"),
        ("POST", "VerifiedCallerId/15005550001/", {}, 400, "nothing to change: give one of alias, subaccount"),
        ("DELETE", "VerifiedCallerId/15005550001/", None, 404, "not found"),
    ],
)
async def test_refusals_store_nothing(
    ringback: Running,
    method: str,
    path: str,
    body: Any,
    *,
    status: int,
    complaint: str,
) -> None:
    code, refused = await ask(ringback, method, path, body)
    assert (code, set(refused)) == (status, {"api_id", "error"})
    assert refused["error"].startswith(complaint)

    def stored(tx: Any) -> list[int]:
        tables = (accounts_table, caller_ids, verifications, submissions)
        return [tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in tables]

    assert await ringback.platform.store.read(stored) == [1, 0, 0, 0]
    found = await ringback.platform.store.read(lambda tx: profiles.profile(tx, ringback.account.auth_id))
    assert (found.name, found.city, found.timezone, found.modified_at_us) == ("test", "", "Etc/UTC", None)


async def test_a_subaccount_has_none_of_its_own(ringback: Running) -> None:
    shop = await make(ringback)
    code, refused = await ask(ringback, "POST", "Subaccount/", {"name": "x"}, of=shop[0], by=shop)
    assert (code, set(refused)) == (400, {"api_id", "error"})
    assert (await ask(ringback, "GET", "Subaccount/"))[1]["meta"]["total_count"] == 1


async def test_after_five_wrong_codes_the_right_one_is_none(ringback: Running) -> None:
    _, begun = await ask(ringback, "POST", "VerifiedCallerId/", {"phone_number": "+1 (500) 555-0001", "country": "us"})
    path = f"VerifiedCallerId/verification/{begun['verification_uuid'].upper()}"
    for _ in range(5):
        code, refused = await ask(ringback, "POST", path, {"otp": "no"})
        assert (code, set(refused)) == (400, {"api_id", "error"})
    assert (await ask(ringback, "POST", path, {"otp": "no"}))[0] == 404
    assert (await ask(ringback, "GET", "VerifiedCallerId/"))[1]["meta"]["total_count"] == 0


async def test_the_code_is_in_no_record_of_the_message(ringback: Running) -> None:
    await ask(ringback, "POST", "VerifiedCallerId/", {"phone_number": "15005550001"})
    _, listed = await ask(ringback, "GET", "Message/")
    uuid = listed["objects"][0]["message_uuid"]
    found = await ringback.platform.store.read(lambda tx: messages.find(tx, None, uuid))
    assert found is not None
    assert (found.src, found.text) == ("Verify", None)


async def test_a_proxy_is_believed_when_it_is_trusted(tmp_path: Path) -> None:
    async with running(settings_for(tmp_path, server={"trusted_proxies": ["127.0.0.1"]})) as ringback:
        headers = {**ringback.auth, "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
        fields = {"src": "15005550100", "dst": "15005550001", "text": "hello"}
        async with ringback.http.post(ringback.messages_url, json=fields, headers=headers) as response:
            [uuid] = (await response.json())["message_uuid"]
        assert (await ask(ringback, "GET", f"Message/{uuid}/"))[1]["requester_ip"] == "203.0.113.9"


async def test_a_proxy_that_is_none_keeps_ringback_from_starting(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"server\.trusted_proxies"):
        async with open_platform(settings_for(tmp_path, server={"trusted_proxies": ["proxy"]})):
            pass
