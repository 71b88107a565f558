"""Applications, numbers and powerpacks over real HTTP: as clients write it, and every refusal."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest
import sqlalchemy as sa

from ringback.cli.numbers import entries
from ringback.model.ids import AccountId
from ringback.store import accounts, numbers
from ringback.store.port import Transaction
from ringback.store.schema import accounts as accounts_table
from ringback.store.schema import messages, submissions
from ringback.store.schema_numbers import applications, powerpacks, sticky_senders
from ringback.store.schema_numbers import numbers as numbers_table
from ringback.wiring.backbone import create_account
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running, running, settings_for

ROWS = (
    {"number": "14155550100-14155550109", "services": "voice,sms,mms", "region": "California", "city": "San Francisco"},
    {"number": "12125550100-12125550101", "services": "sms", "lata": "132", "rate_center": "NWYRCYZN01"},
    {"number": "18005550100", "services": "sms,mms"},
    {"number": "447700900100", "type": "mobile"},
    {"number": "442079460100", "services": "voice"},
)
TABLES = (applications, numbers_table, powerpacks, sticky_senders, messages, submissions)
NOWHERE = "db3ce55a-7f1d-11e1-8ea7-1231380bc196"
SUB = AccountId("SA" + "B" * 18)


class Api:
    """The account's API, and what is stored."""

    def __init__(self, ringback: Running, auth: dict[str, str] | None = None, auth_id: str = "") -> None:
        self.ringback = ringback
        self.auth = auth or ringback.auth
        self.auth_id = auth_id or ringback.account.auth_id

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        url = f"{self.ringback.url}/v1/Account/{self.auth_id}/{path}"
        sent = options or ({} if body is None else {"json": body})
        async with self.ringback.http.request(method, url, headers=self.auth, **sent) as response:
            if response.status == 204:
                assert await response.read() == b""
                return 204, None
            assert response.headers["content-type"] == "application/json"
            answer = await response.json()
        assert len(answer["api_id"]) == 36
        return response.status, answer

    async def stored(self) -> list[list[tuple[Any, ...]]]:
        def look(tx: Transaction) -> list[list[tuple[Any, ...]]]:
            return [sorted((tuple(row) for row in tx.execute(sa.select(table))), key=str) for table in TABLES]

        return await self.ringback.platform.store.read(look)

    async def application(self, **fields: Any) -> str:
        status, answer = await self("POST", "Application/", {"app_name": "app", **fields})
        assert status == 201
        app_id: str = answer["app_id"]
        return app_id

    async def pool(self, *given: str, **fields: Any) -> str:
        status, answer = await self("POST", "Powerpack/", {"name": "pack", **fields})
        assert status == 201
        uuid: str = answer["uuid"]
        for number in given:
            assert (await self("POST", f"NumberPool/{uuid}/Number/{number}/", {"rent": "true"}))[0] == 201
        return uuid


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        stock = [number for row in ROWS for number, _ in entries(row)]
        await platform.platform.store.write(lambda tx: numbers.add(tx, stock))
        yield platform


@pytest.fixture
def api(ringback: Running) -> Api:
    return Api(ringback)


@pytest.fixture
async def other(ringback: Running) -> Api:
    """Another account's API."""
    account = await create_account(ringback.platform.store, ringback.platform.clock, "other")
    return _as(ringback, account.auth_id, account.tokens[0])


@pytest.fixture
async def sub(ringback: Running) -> Api:
    """The API of a subaccount."""
    now_us = ringback.platform.clock.now_us()

    def work(tx: Transaction) -> None:
        accounts.create(tx, auth_id=SUB, token="sub-token", name="branch", now_us=now_us)
        row = accounts_table.c.auth_id == SUB
        tx.execute(accounts_table.update().where(row).values(parent_id=ringback.account.auth_id))

    await ringback.platform.store.write(work)
    return _as(ringback, SUB, "sub-token")


def _as(ringback: Running, auth_id: str, token: str) -> Api:
    return Api(ringback, {"Authorization": aiohttp.encode_basic_auth(auth_id, token)}, auth_id)


# ---- refusals ----

REFUSED = [
    ("POST", "Application/", {}, 400, "app_name parameter is missing"),
    ("POST", "Application/", {"app_name": "with:colon"}, 400, "app_name must be"),
    ("POST", "Application/", {"app_name": "a", "message_url": "ftp://example.com"}, 400, "message_url parameter"),
    ("POST", "Application/", {"app_name": "a", "message_method": "PUT"}, 400, "one of POST, GET"),
    ("POST", "Application/", {"app_name": "a", "default_number_app": "maybe"}, 400, "must be true or false"),
    ("POST", "Application/", {"app_name": "a", "subaccount": "MA1"}, 400, "subaccount must be an auth id"),
    ("POST", "Application/", {"app_name": "a", "subaccount": SUB}, 400, "is not a subaccount of yours"),
    ("POST", "Application/", {"app_name": {"a": 1}}, 400, "must be a string"),
    ("GET", "Application/?limit=21", None, 400, "limit must be a whole number from 1 to 20"),
    ("GET", "Application/?offset=-1", None, 400, "offset must be a whole number"),
    ("GET", "Application/123/", None, 404, "not found"),
    ("POST", "Application/123/", {"message_url": "https://example.com/"}, 404, "not found"),
    ("DELETE", "Application/123/", None, 404, "not found"),
    ("DELETE", "Application/123/?cascade=perhaps", None, 400, "cascade parameter must be true or false"),
    ("DELETE", "Application/123/", {"new_endpoint_application": "9"}, 400, "there is no application 9 of yours"),
    ("PUT", "Application/", None, 405, "method not allowed"),
    ("GET", "Number/?services=fax", None, 400, "services parameter must be some of"),
    ("GET", "Number/?type=satellite", None, 400, "type parameter must be one of"),
    ("GET", "Number/?number_startswith=x", None, 400, "number_startswith parameter must be digits"),
    ("GET", "Number/?renewal_date__gt=soon", None, 400, "renewal_date__gt must be a day like 2026-01-31"),
    ("GET", "Number/14155550100/", None, 404, "not found"),
    ("GET", "Number/nonsense/", None, 404, "not found"),
    ("POST", "Number/14155550100/", {"alias": "a"}, 404, "not found"),
    ("DELETE", "Number/14155550100/", None, 404, "not found"),
    ("POST", "Number/", {"carrier": "c", "region": "r"}, 400, "numbers parameter is missing"),
    ("POST", "Number/", {"numbers": "4915123456701", "region": "r"}, 400, "carrier parameter is missing"),
    ("POST", "Number/", {"numbers": "4915123456701", "carrier": "c"}, 400, "region parameter is missing"),
    ("POST", "Number/", {"numbers": "1,2", "carrier": "c", "region": "r"}, 400, "1 is not a valid phone number"),
    ("POST", "Number/", {"numbers": "1415555", "carrier": "c", "region": "r"}, 400, "is not a valid phone number"),
    ("POST", "Number/", {"numbers": "4915123456701,14155550100", "carrier": "c", "region": "r"}, 400,
     "14155550100 is in the inventory already, nothing was added"),
    ("POST", "Number/", {"numbers": "4915123456701", "carrier": "c", "region": "r", "app_id": "1"}, 400,
     "there is no application 1 of yours"),
    ("GET", "PhoneNumber/", None, 400, "country_iso parameter is missing"),
    ("GET", "PhoneNumber/?country_iso=XX", None, 400, "country_iso XX is not an ISO 3166 code such as US"),
    ("GET", "PhoneNumber/?country_iso=US&pattern=4*5", None, 400, "pattern parameter must be digits"),
    ("GET", "PhoneNumber/?country_iso=US&lata=x", None, 400, "lata must be a whole number"),
    ("POST", "PhoneNumber/14155559999/", None, 404, "not found"),
    ("POST", "PhoneNumber/14155550100/", {"app_id": "1"}, 400, "there is no application 1 of yours"),
    ("POST", "PhoneNumber/14155550100/", {"cnam_lookup": "on"}, 400, "one of enabled, disabled"),
    ("POST", "Powerpack/", {}, 400, "name parameter is missing"),
    ("POST", "Powerpack/", {"name": "p", "application_type": "PHLO"}, 400, "application_type PHLO is not offered here"),
    ("POST", "Powerpack/", {"name": "p", "application_id": "1"}, 400, "there is no application 1 of yours"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": "x"}, 400, "number_priority parameter must be a list"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": [1]}, 400, "must be a list of objects"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": [{}]}, 400, "service_type parameter is missing"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": [{"service_type": "SMS", "country_iso": "US"}]}, 400,
     "priority parameter must be an object"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": [
        {"service_type": "SMS", "country_iso": "US", "priority": {"priority1": "tollfree", "priority2": "tollfree"}},
    ]}, 400, "none of them twice"),
    ("POST", "Powerpack/", {"name": "p", "number_priority": [
        {"service_type": "SMS", "country_iso": "US", "priority": {"priority1": "tollfree"}}] * 2,
    }, 400, "number_priority has two entries for SMS to US"),
    ("GET", "Powerpack/?service=voice", None, 400, "service parameter must be one of"),
    ("GET", f"Powerpack/{NOWHERE}/", None, 404, "not found"),
    ("POST", f"Powerpack/{NOWHERE}/", {"name": "p"}, 404, "not found"),
    ("DELETE", f"Powerpack/{NOWHERE}/", {"unrent_numbers": False}, 404, "not found"),
    ("GET", "Powerpack/nonsense/", None, 404, "not found"),
    ("GET", f"NumberPool/{NOWHERE}/Number/", None, 404, "not found"),
    ("GET", f"NumberPool/{NOWHERE}/Fax/", None, 404, "not found"),
    ("POST", f"NumberPool/{NOWHERE}/Number/14155550100/", {"rent": True}, 404, "not found"),
]  # fmt: skip


async def refuses(api: Api, cases: list[tuple[str, str, Any, int, str]], place: str = "") -> None:
    """See each refused as it says, with nothing stored; one platform takes them all."""
    before = await api.stored()
    for method, path, body, status, complaint in cases:
        answered, answer = await api(method, place + path, body)
        assert (answered, set(answer)) == (status, {"api_id", "error"}), (method, path, body)
        assert complaint in answer["error"], (method, path, body)
        assert await api.stored() == before, (method, path, body)


async def test_refusals_store_nothing(api: Api) -> None:
    await refuses(api, REFUSED)


POOL_REFUSED = [
    ("GET", "Number/?starts_with=415", None, 400, "starts_with needs country_iso2 beside it"),
    ("GET", "Number/?starts_with=4x&country_iso2=US", None, 400, "starts_with parameter must be at most 10 groups"),
    ("GET", f"Number/?starts_with={'1,' * 11}&country_iso2=US", None, 400, "starts_with parameter must be at most 10"),
    ("GET", "Number/?country_iso2=XX", None, 400, "country_iso2 XX is not an ISO 3166 code such as US"),
    ("GET", "Number/?type=satellite", None, 400, "type parameter must be one of"),
    ("GET", "Number/12125550100/", None, 404, "not found"),
    ("DELETE", "Number/12125550100/", {"unrent": True}, 404, "not found"),
    ("DELETE", "Number/14155550100/", {"unrent": "x"}, 400, "unrent parameter must be true or false"),
    ("DELETE", "Tollfree/14155550100/", {}, 404, "not found"),
    ("POST", "Number/12125550100/", {}, 404, "not found"),
    ("POST", "Number/14155550100/", {}, 400, "14155550100 is in a powerpack already"),
    ("POST", "Tollfree/14155550101/", {"rent": True}, 400, "14155550101 is not a Tollfree: add it under Number"),
    ("POST", "Shortcode/14155550101/", {"rent": True}, 400, "14155550101 is not a Shortcode: add it under Number"),
    ("POST", "Number/442079460100/", {"rent": True}, 400, "442079460100 is not an SMS enabled phone number"),
    ("POST", "Number/12125550100/", {"rent": True, "service": "mms"}, 400,
     "12125550100 is not an MMS enabled phone number"),
]  # fmt: skip


async def test_refusals_of_pools_store_nothing(api: Api) -> None:
    uuid = await api.pool("14155550100")
    await refuses(api, POOL_REFUSED, f"NumberPool/{uuid}/")


async def test_what_is_another_accounts_is_not_there(api: Api, other: Api) -> None:
    uuid, app_id = await api.pool("14155550100"), await api.application()
    before = await api.stored()
    for method in ("GET", "POST", "DELETE"):
        for path in (f"Powerpack/{uuid}/", f"Application/{app_id}/", "Number/14155550100/"):
            assert (await other(method, path, {}))[0] == 404
    assert (await other("GET", f"NumberPool/{uuid}/Number/"))[0] == 404
    assert (await other("GET", "Number/"))[1]["meta"]["total_count"] == 0
    status, answer = await other("POST", "PhoneNumber/14155550100/")
    assert (status, answer["error"]) == (400, "14155550100 is not for rent any more: search for another one")
    status, answer = await other("POST", "Message/", {"powerpack_uuid": uuid, "dst": "15005550001", "text": "t"})
    assert (status, answer["error"]) == (400, f"there is no powerpack {uuid} of yours")
    assert await api.stored() == before


# ---- what works ----


async def test_an_application_as_it_is_shown(api: Api) -> None:
    app_id = await api.application(answer_url="", hangup_url=None, message_url="https://example.com/in?a=1")
    _, found = await api("GET", f"application/{app_id}")
    found.pop("api_id")
    assert found == {
        "app_id": app_id,
        "app_name": "app",
        "answer_url": "",
        "answer_method": "POST",
        "hangup_url": "",
        "hangup_method": "POST",
        "fallback_answer_url": "",
        "fallback_method": "POST",
        "message_url": "https://example.com/in?a=1",
        "message_method": "POST",
        "default_app": False,
        "default_endpoint_app": False,
        "enabled": True,
        "public_uri": False,
        "log_incoming_messages": True,
        "callback_retry_delays_s": None,
        "sip_uri": f"sip:{app_id}@app.plivo.com",
        "sub_account": None,
        "resource_uri": f"/v1/Account/{api.auth_id}/Application/{app_id}/",
    }
    assert (await api("POST", f"Application/{app_id}/", {"message_url": "", "log_incoming_messages": False}))[0] == 202
    _, found = await api("GET", f"Application/{app_id}/")
    assert (found["message_url"], found["log_incoming_messages"]) == ("", False)


@pytest.mark.parametrize(("given", "shown"), [([30, 60.5], [30, 60.5]), ("30,60", [30, 60]), ([], []), ("none", [])])
async def test_an_application_takes_a_retry_plan(api: Api, given: object, shown: list[float]) -> None:
    app_id = await api.application(callback_retry_delays_s=given)
    _, found = await api("GET", f"Application/{app_id}/")
    assert found["callback_retry_delays_s"] == shown
    await api("POST", f"Application/{app_id}/", {"message_method": "GET"})
    _, found = await api("GET", f"Application/{app_id}/")
    assert found["callback_retry_delays_s"] == shown
    await api("POST", f"Application/{app_id}/", {"callback_retry_delays_s": ""})
    _, found = await api("GET", f"Application/{app_id}/")
    assert found["callback_retry_delays_s"] is None
    code, refused = await api("POST", f"Application/{app_id}/", {"callback_retry_delays_s": [0]})
    assert code == 400
    assert "callback_retry_delays_s parameter must be a list of up to 20 numbers" in refused["error"]


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"app_id": "x", "cascade": True, "new_endpoint_application": None}},
        {"params": {"cascade": "false"}},
        {"data": {"cascade": "false"}},
        {"data": b'""'},
        {"json": {}},
    ],
)
async def test_deleting_takes_flags_from_anywhere(api: Api, options: dict[str, Any]) -> None:
    app_id = await api.application(default_number_app=True)
    await api("POST", "PhoneNumber/14155550100/")
    assert (await api("DELETE", f"Application/{app_id}/", **options))[0] == 204
    assert (await api("GET", "Number/14155550100/"))[1]["application"] is None


async def test_lists_have_pages(api: Api) -> None:
    ids = [await api.application(app_name=f"app-{at}") for at in range(5)]
    _, answer = await api("GET", "Application/?limit=2&offset=1&app_name=app")
    assert [each["app_id"] for each in answer["objects"]] == [ids[3], ids[2]]
    path = f"/v1/Account/{api.auth_id}/Application/"
    assert answer["meta"] == {
        "limit": 2,
        "offset": 1,
        "next": f"{path}?app_name=app&limit=2&offset=3",
        "previous": f"{path}?app_name=app&limit=2&offset=0",
        "total_count": 5,
    }
    # As Node.js sends it.
    status, answer = await api("GET", "Application/", data=b'""')
    assert (status, answer["meta"]["next"], answer["meta"]["total_count"]) == (200, None, 5)
    _, answer = await api("GET", "Powerpack/")
    assert (answer["meta"]["next"], answer["meta"]["previous"]) == ("", "")


async def test_searching(api: Api) -> None:
    for query, found in (
        ("country_iso=us&pattern=212", 2),
        ("country_iso=US&npanxx=415555", 10),
        ("country_iso=US&type=tollfree", 1),
        ("country_iso=US&type=fixed", 12),
        ("country_iso=US&services=voice,sms", 10),
        ("country_iso=US&service=mms", 11),
        ("country_iso=US&city=san+francisco&region=CALIFORNIA", 10),
        ("country_iso=US&lata=132&rate_center=nwyrcyzn01", 2),
        ("country_iso=GB&eligible=true", 2),
        ("country_iso=FR", 0),
    ):
        status, answer = await api("GET", f"PhoneNumber/?{query}")
        assert (status, answer["meta"]["total_count"], len(answer["objects"])) == (200, found, found), query


async def test_a_number_for_rent_and_rented_as_they_are_shown(api: Api) -> None:
    _, answer = await api("GET", "PhoneNumber/?country_iso=US&pattern=415&limit=1")
    shared = {"sms_enabled": True, "sms_rate": "0.00000", "mms_enabled": True, "mms_rate": "0.00000",
              "voice_enabled": True, "voice_rate": "0.00000"}  # fmt: skip
    assert answer["objects"] == [
        {
            "number": "14155550100", "prefix": "415", "city": "San Francisco", "country": "US", "region": "California",
            "rate_center": "", "lata": None, "type": "local", "sub_type": "local", "setup_rate": "0.00000",
            "monthly_rental_rate": "0.00000", "restriction": None, "restriction_text": None, "prerequisites": [],
            "resource_uri": f"/v1/Account/{api.auth_id}/PhoneNumber/14155550100/", **shared,
        }
    ]  # fmt: skip
    status, answer = await api("POST", "PhoneNumber/+14155550100/", {"number": "14155550100", "cnam_lookup": "enabled"})
    answer.pop("api_id")
    assert (status, answer) == (
        201,
        {"message": "created", "status": "fulfilled", "numbers": [{"number": "14155550100", "status": "Success"}]},
    )
    _, mine = await api("GET", "Number/14155550100/")
    assert (mine["cnam_lookup"], mine["application"], mine["sub_account"]) == ("enabled", None, None)
    assert (mine["added_on"] < mine["renewal_date"], mine["tendlc_registration_status"]) == (True, "UNREGISTERED")
    for query, found in (
        (f"renewal_date={mine['renewal_date']}", 1),
        (f"renewal_date__gt={mine['renewal_date']}", 0),
        (f"renewal_date__gte={mine['renewal_date']}&renewal_date__lte={mine['renewal_date']}", 1),
        ("renewal_date__lt=2020-01-01", 0),
        ("tendlc_registration_status=unregistered", 1),
        ("tendlc_registration_status=registered", 0),
        ("toll_free_sms_verification=unverified", 0),
        ("cnam_lookup=enabled", 1),
    ):
        assert (await api("GET", f"Number/?{query}"))[1]["meta"]["total_count"] == found, query


async def test_a_number_is_bound_and_unbound(api: Api) -> None:
    app_id = await api.application()
    await api("POST", "PhoneNumber/14155550100/")
    uri = f"/v1/Account/{api.auth_id}/Application/{app_id}/"
    for given, shown in ((app_id, uri), (None, uri), ("", None), (uri, uri)):
        assert (await api("POST", "Number/14155550100/", {"app_id": given, "alias": "desk"}))[0] == 202
        assert (await api("GET", "Number/14155550100/"))[1]["application"] == shown


async def test_a_subaccount_has_what_is_for_it(api: Api, sub: Api) -> None:
    for number in ("14155550100", "14155550101"):
        await api("POST", f"PhoneNumber/{number}/")
    assert (await api("POST", "Number/14155550100/", {"subaccount": SUB}))[0] == 202
    _, shown = await api("GET", "Number/14155550100/")
    assert shown["sub_account"] == f"/v1/Account/{api.auth_id}/Subaccount/{SUB}/"
    assert shown["sub_account_name"] == "branch"
    assert (await sub("POST", "PhoneNumber/14155550102/"))[0] == 201
    _, seen = await sub("GET", "Number/")
    assert [each["number"] for each in seen["objects"]] == ["14155550100", "14155550102"]
    assert (await sub("GET", "Number/14155550101/"))[0] == 404
    _, seen = await api("GET", f"Number/?subaccount={SUB}")
    assert seen["meta"]["total_count"] == 2
    app_id = await sub.application(default_number_app=True)
    assert (await api("GET", f"Application/{app_id}/"))[1]["sub_account"].endswith(f"/Subaccount/{SUB}/")
    assert (await api("POST", "Number/14155550100/", {"subaccount": ""}))[0] == 202
    assert (await sub("GET", "Number/14155550100/"))[0] == 404


async def test_a_powerpack_as_it_is_shown(api: Api) -> None:
    wanted = [
        {
            "service_type": "SMS",
            "country_iso": "US",
            "priority": {"priority1": "longcode", "priority2": "tollfree", "priority3": None},
        }
    ]
    app_id = await api.application()
    uuid = await api.pool("14155550100", number_priority=wanted, application_id=app_id, application_type="XML")
    _, shown = await api("GET", f"Powerpack/{uuid}/")
    assert shown.pop("created_on").endswith("Z")
    shown.pop("api_id")
    assert shown == {
        "uuid": uuid,
        "name": "pack",
        "application_id": app_id,
        "application_type": "XML",
        "local_connect": True,
        "sticky_sender": True,
        "number_pool": f"/v1/Account/{api.auth_id}/NumberPool/{uuid}/",
        "number_priority": wanted,
    }
    _, pooled = await api("GET", f"numberpool/{uuid.upper()}//number/+14155550100")
    assert pooled.pop("added_on").endswith("Z")
    pooled.pop("api_id")
    assert pooled == {
        "number": "14155550100",
        "type": "fixed",
        "country_iso2": "US",
        "number_pool_uuid": uuid,
        "service": "mms",
        "account_phone_number_resource": f"/v1/Account/{api.auth_id}/Number/14155550100/",
    }
    _, shown = await api("POST", f"Powerpack/{uuid}/", {"application_id": "", "number_priority": []})
    assert (shown["application_id"], shown["application_type"], shown["number_priority"]) == ("", "", [])


async def test_a_short_code_of_the_account_in_a_pool(api: Api) -> None:
    ((code, _),) = entries({"number": "55155", "type": "shortcode", "country": "US"})
    owned = {"account_id": api.auth_id, "added_at_us": 1}

    def work(tx: Transaction) -> None:
        numbers.add(tx, [code])
        tx.execute(numbers_table.update().where(numbers_table.c.number == "55155").values(**owned))

    await api.ringback.platform.store.write(work)
    uuid = await api.pool("14155550100")
    assert (await api("POST", f"NumberPool/{uuid}/Shortcode/55155/", {}))[0] == 201
    _, answer = await api("GET", f"NumberPool/{uuid}/Shortcode/")
    assert [each["shortcode"] for each in answer["objects"]] == ["55155"]
    assert (await api("GET", f"NumberPool/{uuid}/Number/"))[1]["meta"]["total_count"] == 1
    assert (await api("DELETE", f"NumberPool/{uuid}/Shortcode/55155/"))[1]["response"] == "success"


async def test_messages_of_a_powerpack_say_so(api: Api) -> None:
    uuid = await api.pool("14155550100", "12125550100")
    async with recording_endpoint() as endpoint:
        fields = {"powerpack_uuid": uuid, "dst": "12125550123<14155550123", "text": "hi", "url": endpoint.url}
        status, answer = await api("POST", "Message/", fields)
        assert status == 202
        request = (await endpoint.wait_for(1))[0]
    assert dict(parse_qsl(request.body.decode()))["PowerpackUUID"] == uuid
    shown = [(await api("GET", f"Message/{each}/"))[1] for each in answer["message_uuid"]]
    # Each recipient sees a number of its own area.
    assert [each["from_number"] for each in shown] == ["12125550100", "14155550100"]
    assert {each["powerpack_id"] for each in shown} == {uuid}
    _, listed = await api("GET", f"Message/?powerpack_id={NOWHERE}")
    assert listed["meta"]["total_count"] == 0


async def test_senders_can_be_held_to_numbers_of_their_own(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, messaging={"require_owned_src": True})
    async with running(settings) as ringback:
        api = Api(ringback)
        await api("POST", "Number/", {"numbers": "4915123456701", "carrier": "c", "region": "r"})
        before = await api.stored()
        status, answer = await ringback.send(src="15005550100")
        assert status == 400
        assert answer["error"] == "src 15005550100 is not a number of yours: rent it, or use one that you have"
        assert await api.stored() == before
        for src in ("4915123456701", "+49 151 23456701", "Acme"):
            assert (await ringback.send(src=src))[0] == 202
