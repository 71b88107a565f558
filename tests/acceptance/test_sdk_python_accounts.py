"""Account, subaccounts, pricing and verified caller ids through the official Python SDK, against a running Ringback."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import plivo
import plivo.rest.client
import pytest
import sqlalchemy as sa
from plivo.exceptions import AuthenticationError, ResourceNotFoundError, ValidationError

from ringback.model.pricing import Price
from ringback.store import callers, credit, prices, profiles
from ringback.store.schema import submissions
from ringback.store.submissions import Submission
from tests.acceptance.test_sdk_python import call
from tests.fakes.platform import Running, running, settings_for

NUMBER = "15005550030"


@pytest.fixture
async def ringback(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(settings_for(tmp_path)) as platform:
        yield platform


@contextmanager
def sdk(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[plivo.RestClient]:
    for name in (
        "PLIVO_API_BASE_URI",
        "API_VOICE_BASE_URI",
        "API_VOICE_BASE_URI_FALLBACK_1",
        "API_VOICE_BASE_URI_FALLBACK_2",
    ):
        monkeypatch.setattr(plivo.rest.client, name, f"{ringback.url}/v1/Account")
    with plivo.RestClient(ringback.account.auth_id, ringback.account.tokens[0], timeout=60) as made:
        yield made


@pytest.fixture
def client(ringback: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[plivo.RestClient]:
    with sdk(ringback, monkeypatch) as made:
        yield made


@contextmanager
def as_subaccount(made: Any) -> Iterator[plivo.RestClient]:
    with plivo.RestClient(made.auth_id, made.auth_token, timeout=60) as client:
        yield client


async def lay_down(ringback: Running, **changes: Any) -> None:
    auth_id, now_us = ringback.account.auth_id, ringback.platform.clock.now_us()
    await ringback.platform.store.write(lambda tx: profiles.lay_down(tx, auth_id, changes, now_us=now_us))


async def test_account(ringback: Running, client: plivo.RestClient) -> None:
    found = await call(client.account.get)
    assert (found.auth_id, found.name) == (ringback.account.auth_id, "test")
    assert (found.account_type, found.billing_mode, found.cash_credits) == ("standard", "postpaid", "0.00000")
    assert (found.auto_recharge, found.timezone) == (False, "Etc/UTC")
    changed = await call(client.account.update, name="Wir", city="Köln", address="Am Dom 1")
    assert changed.message == "changed"
    found = await call(client.account.get)
    assert (found.name, found.city, found.address, found.state) == ("Wir", "Köln", "Am Dom 1", "")


async def test_subaccounts_live_and_die(ringback: Running, client: plivo.RestClient) -> None:
    made = await call(client.subaccounts.create, "Shop", enabled=True)
    assert made.message == "created"
    assert re.fullmatch("SA[A-Z0-9]{18}", made.auth_id)
    found = await call(client.subaccounts.get, made.auth_id)
    assert (found.name, found.enabled, found.auth_token, found.new_auth_token) == ("Shop", True, made.auth_token, None)
    assert found.account == f"/v1/Account/{ringback.account.auth_id}/"
    assert found.modified is None
    listed = await call(client.subaccounts.list)
    assert [each.auth_id for each in listed] == [made.auth_id]
    with as_subaccount(made) as shop:
        sent = await call(shop.messages.create, src="15005550100", dst="15005550001", text="Hello")
        await call(client.subaccounts.update, made.auth_id, "Shop", False)
        with pytest.raises(AuthenticationError):
            await call(shop.messages.create, src="15005550100", dst="15005550001", text="Hello")
        await call(client.subaccounts.update, made.auth_id, "Store", True)
        assert (await call(shop.messages.get, sent.message_uuid[0])).message_uuid == sent.message_uuid[0]
        await call(client.subaccounts.delete, made.auth_id, cascade=True)
        with pytest.raises(AuthenticationError):
            await call(shop.messages.get, sent.message_uuid[0])
    with pytest.raises(ResourceNotFoundError):
        await call(client.subaccounts.get, made.auth_id)
    assert (await call(client.messages.list, subaccount=made.auth_id)).meta.total_count == 1


async def test_the_main_account_sees_its_subaccounts_messages(ringback: Running, client: plivo.RestClient) -> None:
    made = await call(client.subaccounts.create, "Shop", enabled=True)
    with as_subaccount(made) as shop:
        sent = (await call(shop.messages.create, src="15005550100", dst="15005550001", text="Hello")).message_uuid[0]
        own = (await call(client.messages.create, src="15005550100", dst="15005550001", text="Hello")).message_uuid[0]
        listed = await call(client.messages.list, subaccount=made.auth_id)
        assert [each.message_uuid for each in listed] == [sent]
        assert [each.message_uuid for each in await call(client.messages.list)] == [own]
        assert (await call(client.messages.get, sent)).message_uuid == sent
        with pytest.raises(ResourceNotFoundError):
            await call(shop.messages.get, own)


async def test_pricing(ringback: Running, client: plivo.RestClient) -> None:
    table = [
        Price(
            country="US", sms_outbound="0.00650", sms_inbound="0.00100", sms_carrier_fee="0.00300", local_rent="0.80000"
        ),
        Price(country="US", network_group="Small ones", networks="310-004", sms_outbound="0.00900"),
    ]  # fmt: skip
    await ringback.platform.store.write(lambda tx: prices.replace(tx, table))
    found = await call(client.pricing.get, "US")
    assert (found.country, found.country_code, found.country_iso) == ("United States", 1, "US")
    assert (found.message.inbound.rate, found.message.outbound.rate) == ("0.00100", "0.00650")
    assert [(each.group_name, each.rate) for each in found.message.outbound_networks_list] == [
        ("Small ones", "0.00900")
    ]
    assert found.phone_numbers.local.rate == "0.80000"
    sent = await call(client.messages.create, src="15005550100", dst="15005550001<4915112345678", text="a" * 161)
    american, german = [await call(client.messages.get, uuid) for uuid in sent.message_uuid]
    assert (american.total_rate, american.total_amount) == ("0.00650", "0.01300")
    assert (american.carrier_fees_rate, american.carrier_fees) == ("0.00300", "0.00600")
    assert (german.total_rate, german.carrier_fees_rate, german.carrier_fees) == ("0.00550", "0.00000", "0.00000")
    with pytest.raises(ResourceNotFoundError):
        await call(client.pricing.get, "XX")


async def test_out_of_credit_is_an_error_with_its_text(ringback: Running, client: plivo.RestClient) -> None:
    auth_id, now_us = ringback.account.auth_id, ringback.platform.clock.now_us()
    await lay_down(ringback, billing_mode="prepaid")

    def run_out(tx: Any) -> None:
        credit.add(tx, auth_id, 488_860, entry_id="e", note=None, now_us=now_us)
        wanted = Submission(
            message_uuid="m", account_id=auth_id, src="1", dst="2", text="", attempts_made=0, expires_at_us=0,
            lease_token="t", price=488_861,
        )  # fmt: skip
        assert credit.unpaid(tx, [wanted], refuse_until_us=now_us + 120_000_000) == ["m"]

    await ringback.platform.store.write(run_out)
    with pytest.raises(ValidationError, match=r"^Insufficient Credit"):
        await call(client.messages.create, src="15005550100", dst="15005550001", text="Hello")
    found = await call(client.account.get)
    assert (found.cash_credits, found.billing_mode) == ("4.88860", "prepaid")
    assert (await call(client.messages.list)).meta.total_count == 0


async def test_a_developer_account_reaches_its_sandbox_numbers(ringback: Running, client: plivo.RestClient) -> None:
    auth_id, now_us = ringback.account.auth_id, ringback.platform.clock.now_us()
    await lay_down(ringback, account_type="developer")
    await ringback.platform.store.write(lambda tx: callers.add_sandbox(tx, auth_id, NUMBER, now_us=now_us))
    refusal = rf"^15005550001 is not a sandbox number, .* ringback sandbox add {auth_id} 15005550001 makes it one$"
    with pytest.raises(ValidationError, match=refusal):
        await call(client.messages.create, src="15005550100", dst=f"{NUMBER}<15005550001", text="Hello")
    assert (await call(client.messages.list)).meta.total_count == 0
    await call(client.messages.create, src="15005550100", dst=NUMBER, text="Hello")
    assert (await call(client.account.get)).account_type == "developer"


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[Running]:
    """A platform that hands nothing over to a carrier."""
    async with running(msgspec.structs.replace(settings_for(tmp_path), roles=("web",))) as platform:
        yield platform


@pytest.mark.parametrize("account_type", ["standard", "developer"])
async def test_caller_ids_are_verified_by_a_code(
    silent: Running, monkeypatch: pytest.MonkeyPatch, account_type: str
) -> None:
    await lay_down(silent, account_type=account_type)
    with sdk(silent, monkeypatch) as client:
        ids = client.verify_callerids
        begun = await call(ids.initiate_verify, phone_number=f"+{NUMBER}", alias="desk", channel="sms")
        assert begun.message == f"Verification code is sent to number +{NUMBER} which is valid for 15 minutes"
        text = await silent.platform.store.read(lambda tx: tx.execute(sa.select(submissions.c.text)).scalar_one())
        code = text.split()[0]
        assert re.fullmatch(r"\d{6}", code)
        with pytest.raises(ValidationError, match="otp parameter is not the code"):
            await call(ids.verify_caller_id, begun.verification_uuid, otp=str((int(code) + 1) % 10**6))
        done = await call(ids.verify_caller_id, begun.verification_uuid, otp=code)
        assert (done.phone_number, done.alias, done.channel, done.country) == (f"+{NUMBER}", "desk", "sms", "US")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", done.created_at)
        listed = await call(ids.list_verified_caller_id, country="US", alias="desk", limit=5)
        assert [each["phone_number"] for each in listed["objects"]] == [f"+{NUMBER}"]
        found = await call(ids.get_verified_caller_id, f"+{NUMBER}")
        assert found.resource_uri == f"/v1/Account/{silent.account.auth_id}/VerifiedCallerId/{NUMBER}"
        changed = await call(ids.update_verified_caller_id, NUMBER, alias="door")
        assert (changed.alias, changed.verification_uuid) == ("door", begun.verification_uuid)
        await call(client.messages.create, src="15005550100", dst=NUMBER, text="A developer may send here now")
        await call(ids.delete_verified_caller_id, f"+{NUMBER}")
        with pytest.raises(ResourceNotFoundError):
            await call(ids.get_verified_caller_id, NUMBER)
        shown = await call(client.messages.list)
        assert [(each.from_number, each.log) for each in shown] == [("15005550100", "true"), ("Verify", "number_only")]
