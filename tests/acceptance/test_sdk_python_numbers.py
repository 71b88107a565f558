"""The official Python SDK: applications, numbers, search and rent, powerpacks, against a running Ringback."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import plivo
import plivo.rest.client
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError

from ringback.cli.numbers import entries
from ringback.store import messages, numbers
from tests.fakes.platform import Running, running, settings_for

RANGES = (
    ("14155550100-14155550104", "US", "local", "voice,sms,mms"),
    ("12125550100-12125550101", "US", "local", "sms"),
    ("18005550100-18005550101", "US", "tollfree", "sms,mms"),
    ("447700900100-447700900101", "GB", "mobile", "sms"),
)


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        rows = [dict(zip(("number", "country", "type", "services"), row, strict=True)) for row in RANGES]
        stock = [number for row in rows for number, _ in entries(row)]
        await platform.platform.store.write(lambda tx: numbers.add(tx, stock))
        yield platform


@pytest.fixture
def client(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[plivo.RestClient]:
    for name in (
        "PLIVO_API_BASE_URI",
        "API_VOICE_BASE_URI",
        "API_VOICE_BASE_URI_FALLBACK_1",
        "API_VOICE_BASE_URI_FALLBACK_2",
    ):
        monkeypatch.setattr(plivo.rest.client, name, f"{ringback.url}/v1/Account")
    with plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as made:
        yield made


async def call(function: Callable[..., Any], *arguments: Any, **fields: Any) -> Any:
    """Call the SDK, which blocks, beside the server's loop."""
    return await asyncio.to_thread(function, *arguments, **fields)


async def test_applications(ringback: Running, client: plivo.RestClient) -> None:
    api = client.applications
    made = await call(api.create, "my-app", message_url="https://example.com/in", default_number_app=True)
    assert (made.message, len(made.app_id)) == ("created", 17)
    found = await call(api.get, made.app_id)
    assert (found.app_name, found.message_url, found.message_method) == ("my-app", "https://example.com/in", "POST")
    assert (found.default_app, found.log_incoming_messages, found.answer_url) == (True, True, "")
    assert found.resource_uri == f"/v1/Account/{ringback.account.auth_id}/Application/{made.app_id}/"
    # The SDK sends its defaults with every change, default_number_app among them.
    changed = await call(api.update, made.app_id, message_url="https://example.com/other", message_method="GET")
    assert changed.message == "changed"
    found = await call(api.get, made.app_id)
    assert (found.message_url, found.message_method, found.default_app) == ("https://example.com/other", "GET", False)
    await call(api.create, "another")
    listed = await call(api.list, app_name="my", limit=5)
    assert ([each.app_id for each in listed], listed.meta.total_count) == ([made.app_id], 1)
    await call(api.delete, made.app_id, cascade=False)
    with pytest.raises(ResourceNotFoundError):
        await call(api.get, made.app_id)


async def test_search_rent_change_and_unrent(ringback: Running, client: plivo.RestClient) -> None:
    api = client.numbers
    found = await call(api.search, "US", type="local", pattern="415", services="mms", limit=2)
    assert [each["number"] for each in found.objects] == ["14155550100", "14155550101"]
    assert found.meta["total_count"] == 5
    app = await call(client.applications.create, "inbound", default_number_app=True)
    bought = await call(api.buy, "14155550100")
    assert (bought.status, bought.numbers[0]["number"], bought.numbers[0]["status"]) == (
        "fulfilled", "14155550100", "Success",
    )  # fmt: skip
    for number, complaint in (("14155550100", "rented already"),):
        with pytest.raises(ValidationError, match=complaint):
            await call(api.buy, number)
    with pytest.raises(ResourceNotFoundError):
        await call(api.buy, "14155559999")
    mine = await call(api.get, "14155550100")
    assert mine.application == f"/v1/Account/{ringback.account.auth_id}/Application/{app.app_id}/"
    assert (mine.number_type, mine.sms_enabled, mine.country, mine.active) == ("local", True, "US", True)
    assert (await call(api.update, "14155550100", alias="front desk")).message == "changed"
    listed = await call(api.list, alias="front desk", services=["sms", "mms"], number_startswith="1415")
    assert [each.number for each in listed] == ["14155550100"]
    await call(api.delete, "14155550100")
    with pytest.raises(ResourceNotFoundError):
        await call(api.get, "14155550100")
    assert (await call(api.search, "US", pattern="415")).meta["total_count"] == 5


async def test_numbers_of_a_carrier_of_ones_own(client: plivo.RestClient) -> None:
    added = await call(client.numbers.create, ["4915123456701", "4915123456702"], "Mein Netz", "Berlin")
    assert added.message == "changed"
    listed = await call(client.numbers.list)
    assert [(each.number, each.carrier, each.renewal_date) for each in listed] == [
        ("4915123456701", "Mein Netz", None), ("4915123456702", "Mein Netz", None),
    ]  # fmt: skip
    with pytest.raises(ValidationError, match="in the inventory already"):
        await call(client.numbers.create, "4915123456703,4915123456701", "Mein Netz", "Berlin")
    await call(client.numbers.delete, "4915123456701")
    assert [each.number for each in await call(client.numbers.list)] == ["4915123456702"]


async def test_powerpacks_and_their_pools(ringback: Running, client: plivo.RestClient) -> None:
    made = await call(client.powerpacks.create, "all of them")
    assert made.number_pool.split("/")[5] == made.uuid
    pack = await call(client.powerpacks.get, made.uuid)
    assert (pack.name, pack.sticky_sender, pack.local_connect) == ("all of them", True, True)
    bought = await call(pack.buy_add_number, number="14155550100")
    assert (bought.number, bought.type, bought.country_iso2) == ("14155550100", "fixed", "US")
    # With a number only: without one this SDK asks its own answer for a length that it does not have.
    await call(pack.buy_add_number, number="447700900100")
    await call(client.numbers.buy, "18005550100")
    assert (await call(pack.add_tollfree, "18005550100")).type == "tollfree"
    await call(client.numbers.buy, "14155550101")
    assert (await call(pack.numberpool.numbers.add, "14155550101", service="sms")).service == "sms"
    listed = await call(pack.list_numbers)
    assert [each["number"] for each in listed.objects] == [
        "14155550100", "14155550101", "18005550100", "447700900100",
    ]  # fmt: skip
    assert (listed.meta["total_count"], listed.meta["next"], listed.meta["previous"]) == (4, "", "")
    assert await call(pack.count_numbers, country_iso2="US", starts_with="415", type="fixed") == 2
    assert await call(pack.count_numbers, service="mms") == 2
    assert (await call(pack.find_number, "14155550101")).number == "14155550101"
    assert len((await call(pack.list_tollfree)).objects) == 1
    assert (await call(pack.find_tollfree, "18005550100")).number == "18005550100"
    assert (await call(pack.list_shortcodes)).objects == []
    assert (await call(pack.remove_tollfree, "18005550100", unrent=True)).response == "success"
    assert (await call(pack.remove_number, "14155550101")).response == "success"
    assert [each.number for each in await call(client.numbers.list)] == [
        "14155550100", "14155550101", "447700900100",
    ]  # fmt: skip
    changed = await call(pack.update, {"name": "renamed", "sticky_sender": False})
    assert (changed.name, changed.sticky_sender) == ("renamed", False)
    assert [each["uuid"] for each in (await call(client.powerpacks.list)).objects] == [made.uuid]
    assert (await call(pack.delete, unrent_numbers=True)).response == "success"
    assert [each.number for each in await call(client.numbers.list)] == ["14155550101"]
    with pytest.raises(ResourceNotFoundError):
        await call(client.powerpacks.get, made.uuid)


async def test_sending_with_a_powerpack(ringback: Running, client: plivo.RestClient) -> None:
    made = await call(client.powerpacks.create, "spread", local_connect=False)
    with pytest.raises(ValidationError, match="has no number that can send"):
        await call(client.messages.create, powerpack_uuid=made.uuid, dst="15005550001", text="Hello")
    assert await ringback.platform.store.read(lambda tx: messages.count(tx, messages.Filter())) == 0
    pack = await call(client.powerpacks.get, made.uuid)
    for number in ("14155550100", "14155550101", "12125550100"):
        await call(pack.buy_add_number, number=number)
    recipients = [str(15005551000 + at) for at in range(30)]
    sent = await call(client.messages.create, powerpack_uuid=made.uuid, dst="<".join(recipients), text="Hello")
    stored = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, sent.message_uuid))
    first = {message.dst: message.src for message in stored.values()}
    assert set(Counter(first.values()).values()) == {10}
    again = await call(client.messages.create, powerpack_uuid=made.uuid, dst="<".join(recipients), text="Again")
    stored = await ringback.platform.store.read(lambda tx: messages.by_uuid(tx, again.message_uuid))
    assert {message.dst: message.src for message in stored.values()} == first
    found = await call(client.messages.get, again.message_uuid[0])
    assert found.powerpack_id == made.uuid
    await call(client.messages.create, src="15005550100", dst="15005550001", text="Hello")
    listed = await call(client.messages.list, powerpack_id=made.uuid, limit=1)
    assert listed.meta.total_count == 60
    with pytest.raises(ValidationError, match="there is no powerpack"):
        await call(
            client.messages.create,
            powerpack_uuid="db3ce55a-7f1d-11e1-8ea7-1231380bc196",
            dst="15005550001",
            text="Hello",
        )
