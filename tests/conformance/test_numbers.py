"""The inventory, applications and powerpacks on every driver, also when several ask at a time."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import msgspec
import pytest

from ringback.dialect.send import SendRequest
from ringback.messaging.senders import Senders
from ringback.model.application import Application
from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AccountId
from ringback.model.inventory import SHORTCODE, Number, new_number
from ringback.model.powerpack import Powerpack, Priority
from ringback.store import accounts, applications, numbers, powerpacks, profiles
from ringback.store.accounts import Account
from ringback.store.numbers import OwnedNumber
from ringback.store.port import Store, Transaction
from ringback.store.powerpacks import PoolFilter
from ringback.store.schema import accounts as accounts_table
from ringback.store.scope import Scope, give_back, subaccount
from tests.conformance.conftest import Database
from tests.fakes.clock import FakeClock

MAIN, OTHER = Scope("MA" + "A" * 18, None), Scope("MA" + "C" * 18, None)
SUB = Scope(MAIN.account_id, "SA" + "B" * 18)
UUID = "019ab000-0000-7000-8000-000000000001"
NOW_US = FakeClock().now_us()
DAY_US = 86_400_000_000
APP_ID = "10000000000000001"


def stock(*given: str, **fields: Any) -> list[Number]:
    return [new_number(number, carrier="Ringback", **fields) for number in given]


def application(app_id: str = APP_ID, scope: Scope = MAIN, **fields: Any) -> Application:
    named = {"app_id": app_id, "name": f"app-{app_id[-1]}", "created_at_us": NOW_US, **fields}
    return Application(account_id=scope.account_id, subaccount_id=scope.subaccount_id, **named)


def powerpack(**fields: Any) -> Powerpack:
    shape = {"sticky_sender": True, "local_connect": False, "app_id": None, "priorities": (), **fields}
    return Powerpack(uuid=UUID, account_id=MAIN.account_id, subaccount_id=None, name="p", created_at_us=NOW_US, **shape)


async def rent(store: Store, number: str, scope: Scope = MAIN, **terms: Any) -> None:
    await store.write(partial(numbers.rent, scope=scope, number=number, terms=terms, now_us=NOW_US))


async def pooled(store: Store, *given: str, service: str = "sms", **fields: Any) -> None:
    """Make a powerpack with these numbers."""
    await store.write(partial(powerpacks.create, new=powerpack(**fields)))
    for number in given:
        await put_in(store, number, service=service)


async def put_in(store: Store, number: str, *, service: str = "sms") -> None:
    def work(tx: Transaction) -> None:
        found = numbers.find(tx, MAIN, number)
        assert found
        assert powerpacks.find(tx, MAIN, UUID, lock=True)
        powerpacks.put_in(tx, MAIN, UUID, found, service=service, now_us=NOW_US)

    await store.write(work)


# ---- the inventory ----


async def test_what_is_there_already_stays_as_it_is(store: Store) -> None:
    assert await store.write(partial(numbers.add, new=stock("14155550100", "14155550101"))) == []
    await rent(store, "14155550101")
    again = stock("14155550101", "14155550102", city="Elsewhere")
    assert await store.write(partial(numbers.add, new=again)) == ["14155550101"]
    total, found = await store.read(lambda tx: numbers.page(tx, None, numbers.Filter(), limit=9, offset=0))
    assert total == 3
    assert [(each.number, each.city, each.account_id) for each in found] == [
        ("14155550100", "", None),
        ("14155550101", "", MAIN.account_id),
        ("14155550102", "Elsewhere", None),
    ]


async def test_two_who_rent_a_number_at_once(prepared: Database) -> None:
    stores = [prepared.open(), prepared.open()]
    offered = [str(14155550100 + at) for at in range(20)]
    await stores[0].write(partial(numbers.add, new=stock(*offered)))

    async def ask(store: Store, scope: Scope, number: str) -> str | None:
        try:
            await rent(store, number, scope)
        except InvalidRequest:
            return None
        return scope.account_id

    asked = [ask(store, scope, each) for each in offered for store, scope in zip(stores, (MAIN, OTHER), strict=True)]
    answers = await asyncio.gather(*asked)
    _, found = await stores[0].read(lambda tx: numbers.page(tx, None, numbers.Filter(), limit=99, offset=0))
    for at, number in enumerate(found):
        won = [account_id for account_id in answers[2 * at : 2 * at + 2] if account_id]
        assert won == [number.account_id]
    for store in stores:
        await store.close()


async def test_two_who_bring_the_same_numbers_at_once(prepared: Database) -> None:
    stores = [prepared.open(), prepared.open()]
    own = stock("4915123456701", "4915123456702")

    async def ask(store: Store, scope: Scope) -> str | None:
        try:
            await store.write(partial(numbers.bring, scope=scope, own=own, terms={}, now_us=NOW_US))
        except InvalidRequest:
            return None
        return scope.account_id

    answers = await asyncio.gather(*(ask(*each) for each in zip(stores * 3, [MAIN, OTHER] * 3, strict=True)))
    (winner,) = (each for each in answers if each)
    _, found = await stores[1].read(lambda tx: numbers.page(tx, None, numbers.Filter(), limit=99, offset=0))
    assert [(each.account_id, each.is_own) for each in found] == [(winner, True)] * 2
    for store in stores:
        await store.close()


async def test_renting_what_cannot_be_rented(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100")))
    await store.write(partial(numbers.add, new=stock("55155", type_=SHORTCODE, country="US")))
    await rent(store, "14155550100")
    with pytest.raises(InvalidRequest, match="14155550100 is rented already, by you"):
        await rent(store, "14155550100")
    with pytest.raises(InvalidRequest, match="14155550100 is not for rent any more"):
        await rent(store, "14155550100", OTHER)
    for number in ("14155550199", "55155"):
        with pytest.raises(NotFound):
            await rent(store, number)


async def test_a_number_that_is_given_up_is_as_new(store: Store) -> None:
    before = stock("14155550100")
    await store.write(partial(numbers.add, new=before))
    await rent(store, "14155550100", cnam_lookup="enabled", app_id=APP_ID)
    await pooled(store, "14155550100")
    assert not await store.write(partial(numbers.unrent, scope=OTHER, number="14155550100"))
    assert await store.write(partial(numbers.unrent, scope=MAIN, number="14155550100"))
    assert await store.read(lambda tx: numbers.find(tx, None, "14155550100")) == before[0]
    total, found = await store.read(lambda tx: numbers.for_rent(tx, numbers.Search(country="US"), limit=9, offset=0))
    assert (total, found) == (1, before)


async def test_a_number_that_somebody_brought_goes_with_them(store: Store) -> None:
    await store.write(
        partial(numbers.bring, scope=MAIN, own=stock("4915123456701"), terms={"app_id": None}, now_us=NOW_US)
    )
    with pytest.raises(InvalidRequest, match="4915123456701 is in the inventory already, nothing was added"):
        await store.write(
            partial(numbers.bring, scope=OTHER, own=stock("4915123456700", "4915123456701"), terms={}, now_us=NOW_US)
        )
    assert await store.write(partial(numbers.unrent, scope=MAIN, number="4915123456701"))
    assert (await store.read(lambda tx: numbers.page(tx, None, numbers.Filter(), limit=9, offset=0)))[0] == 0


async def test_removing_from_the_inventory(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100", "14155550101")))
    await rent(store, "14155550101")
    await store.write(partial(numbers.remove, number="14155550100"))
    with pytest.raises(NotFound, match="there is no number 14155550100"):
        await store.write(partial(numbers.remove, number="14155550100"))
    with pytest.raises(InvalidRequest, match="14155550101 belongs to an account"):
        await store.write(partial(numbers.remove, number="14155550101"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["14155550100", "18005550100", "442079460100"]),
        ({"prefix": "1415"}, ["14155550100"]),
        ({"type": "tollfree"}, ["18005550100"]),
        ({"type": "fixed"}, ["14155550100", "442079460100"]),
        ({"services": ("sms", "mms")}, ["18005550100"]),
        ({"alias": "desk"}, ["14155550100"]),
        ({"subaccount_id": SUB.subaccount_id}, ["18005550100"]),
        ({"cnam_lookup": "disabled"}, ["18005550100", "442079460100"]),
        ({"cnam_lookup": "enabled"}, ["14155550100"]),
    ],
)
async def test_filters_of_the_list(store: Store, wanted: dict[str, Any], expected: list[str]) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100", "442079460100", services=["sms"])))
    await store.write(partial(numbers.add, new=stock("18005550100", services=["sms", "mms"])))
    await store.write(partial(numbers.add, new=stock("447700900100")))
    for number, scope in (("14155550100", MAIN), ("442079460100", MAIN), ("18005550100", SUB), ("447700900100", OTHER)):
        await rent(store, number, scope)
    await store.write(
        partial(numbers.update, scope=MAIN, number="14155550100", changes={"alias": "desk", "cnam_lookup": "enabled"})
    )
    look = partial(numbers.page, wanted=numbers.Filter(**wanted), limit=9, offset=0)
    total, found = await store.read(lambda tx: look(tx, MAIN))
    assert ([each.number for each in found], total) == (expected, len(expected))
    _, seen_by_sub = await store.read(lambda tx: look(tx, SUB))
    assert [each.number for each in seen_by_sub] == [each for each in expected if each == "18005550100"]


async def test_who_has_a_number(store: Store) -> None:
    look = partial(numbers.owner, number="14155550100")
    assert await store.read(look) is None
    await store.write(partial(numbers.add, new=stock("14155550100", services=["sms"])))
    assert await store.read(look) is None
    await rent(store, "14155550100")
    bare = OwnedNumber(
        number="14155550100",
        account_id=MAIN.account_id,
        app_id=None,
        message_url=None,
        message_method="POST",
        log_incoming_messages=True,
        retry_delays=None,
        powerpack_uuid=None,
        sms_enabled=True,
        mms_enabled=False,
    )
    assert await store.read(look) == bare
    for at, url in ((1, ""), (2, "https://example.com/in")):
        new = application(f"1000000000000000{at}", message_url=url, message_method="GET", log_incoming_messages=False)
        await store.write(partial(applications.create, new=new))
    await store.write(partial(numbers.update, scope=MAIN, number="14155550100", changes={"app_id": APP_ID}))
    expected = msgspec.structs.replace(bare, app_id=APP_ID, message_method="GET", log_incoming_messages=False)
    assert await store.read(look) == expected
    # The application of its powerpack goes before its own.
    await pooled(store, "14155550100", app_id="10000000000000002")
    expected = msgspec.structs.replace(
        expected, app_id="10000000000000002", message_url="https://example.com/in", powerpack_uuid=UUID
    )
    assert await store.read(look) == expected
    await store.write(
        partial(numbers.update, scope=MAIN, number="14155550100", changes={"subaccount_id": SUB.subaccount_id})
    )
    assert await store.read(look) == msgspec.structs.replace(expected, account_id=SUB.subaccount_id)


# ---- applications ----


async def test_of_two_defaults_the_later_one_stays(prepared: Database) -> None:
    stores = [prepared.open(), prepared.open()]
    ids = [f"1000000000000000{at}" for at in range(8)]
    for app_id in ids:
        await stores[0].write(partial(applications.create, new=application(app_id)))
    await stores[0].write(
        partial(applications.create, new=application("10000000000000009", SUB, is_default_number_app=True))
    )
    default = {"is_default_number_app": True}
    await asyncio.gather(
        *(
            stores[at % 2].write(partial(applications.update, scope=MAIN, app_id=app_id, changes=default))
            for at, app_id in enumerate(ids)
        )
    )
    _, found = await stores[0].read(lambda tx: applications.page(tx, MAIN, applications.Filter(), limit=20, offset=0))
    (chosen,) = (each.app_id for each in found if each.is_default_number_app and not each.subaccount_id)
    assert await stores[1].write(partial(applications.default_for_numbers, scope=MAIN)) == chosen
    assert await stores[1].write(partial(applications.default_for_numbers, scope=SUB)) == "10000000000000009"
    assert await stores[1].write(partial(applications.default_for_numbers, scope=OTHER)) is None
    for store in stores:
        await store.close()


async def test_an_application_that_is_deleted_is_bound_to_nothing(store: Store) -> None:
    await store.write(partial(applications.create, new=application()))
    await store.write(partial(numbers.add, new=stock("14155550100")))
    await rent(store, "14155550100", app_id=APP_ID)
    await pooled(store, app_id=APP_ID)
    assert not await store.write(partial(applications.delete, scope=OTHER, app_id=APP_ID))
    assert await store.write(partial(applications.delete, scope=MAIN, app_id=APP_ID))
    number = await store.read(lambda tx: numbers.find(tx, MAIN, "14155550100"))
    pack = await store.read(lambda tx: powerpacks.find(tx, MAIN, UUID))
    assert number
    assert pack
    assert (number.app_id, pack.app_id) == (None, None)
    with pytest.raises(InvalidRequest, match=f"there is no application {APP_ID} of yours"):
        await store.write(partial(applications.bindable, scope=MAIN, app_id=APP_ID))


async def test_a_subaccount_is_one_of_the_callers(store: Store) -> None:
    await store.write(
        partial(accounts.create, auth_id=AccountId(MAIN.account_id), token="t", name="main", now_us=NOW_US)
    )
    assert SUB.subaccount_id
    row = {"auth_id": SUB.subaccount_id, "parent_id": MAIN.account_id, "name": "s", "enabled": True}
    await store.write(lambda tx: tx.execute(accounts_table.insert().values(**row, created_at_us=NOW_US)).close())

    async def ask(scope: Scope, auth_id: str | None) -> str | None:
        return await store.read(lambda tx: subaccount(tx, scope, auth_id))

    assert await ask(MAIN, None) is None
    assert await ask(MAIN, SUB.subaccount_id) == SUB.subaccount_id
    assert await ask(SUB, None) == await ask(SUB, SUB.subaccount_id) == SUB.subaccount_id
    for scope, auth_id in ((OTHER, SUB.subaccount_id), (MAIN, "SA" + "Z" * 18), (SUB, "SA" + "Z" * 18)):
        with pytest.raises(InvalidRequest, match="is not a subaccount of yours"):
            await ask(scope, auth_id)


# ---- powerpacks ----

ACCOUNT = Account(AccountId(MAIN.account_id), "n", enabled=True, parent_id=None, tokens=(), main_tokens=())


async def send(store: Store, *recipients: str, service: str = "sms", now_us: int = NOW_US) -> list[str]:
    """Choose the sender for each recipient."""
    request = SendRequest(
        src="", powerpack_uuid=UUID, destinations=recipients, invalid=(), text="t", url=None, method="POST",
        retry_plan=None, log="true", trackable=False, expiry_s=60,
    )  # fmt: skip
    senders = Senders(store, requires_owned=True)
    return list(await senders.sources(ACCOUNT, request, now_us=now_us, service=service))


async def test_a_powerpack_keeps_what_it_is_given(store: Store) -> None:
    kinds = Priority(service="sms", country="US", kinds=("tollfree", "longcode"))
    await pooled(store, priorities=(kinds,))
    assert await store.read(lambda tx: powerpacks.find(tx, MAIN, UUID)) == powerpack(priorities=(kinds,))
    for scope in (SUB, OTHER):
        assert await store.read(lambda tx, scope=scope: powerpacks.find(tx, scope, UUID)) is None  # type: ignore[misc]
    changed = await store.write(
        partial(powerpacks.update, scope=MAIN, uuid=UUID, changes={"name": "new", "priorities": ()})
    )
    assert changed == await store.read(lambda tx: powerpacks.find(tx, MAIN, UUID))
    assert changed
    assert (changed.name, changed.priorities) == ("new", ())
    assert await store.write(partial(powerpacks.update, scope=OTHER, uuid=UUID, changes={"name": "x"})) is None
    for service, total in (("sms", 0), (None, 1)):
        page = partial(powerpacks.page, scope=MAIN, service=service, limit=9, offset=0)
        assert (await store.read(page))[0] == total


async def test_a_pool_and_its_filters(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100", "18005550100")))
    await store.write(partial(numbers.add, new=stock("447700900100", type_="mobile")))
    for number in ("14155550100", "18005550100", "447700900100"):
        await rent(store, number)
    await pooled(store, "14155550100", "18005550100")
    await put_in(store, "447700900100", service="mms")
    for wanted, expected in (
        (PoolFilter(kind="number"), 3),
        (PoolFilter(kind="tollfree"), 1),
        (PoolFilter(kind="shortcode"), 0),
        (PoolFilter(kind="number", country="US", prefixes=("1415", "1212")), 1),
        (PoolFilter(kind="number", type="mobile"), 1),
        (PoolFilter(kind="number", service="mms"), 1),
        (PoolFilter(kind="number", service="sms"), 3),
    ):
        total, found = await store.read(partial(powerpacks.pool_page, uuid=UUID, wanted=wanted, limit=9, offset=0))
        assert total == len(found) == expected, wanted
    with pytest.raises(InvalidRequest, match="14155550100 is in a powerpack already"):
        await put_in(store, "14155550100")
    await store.write(partial(powerpacks.take_out, uuid=UUID, number="14155550100"))
    await put_in(store, "14155550100")
    assert await send(store, "13055550123", service="mms") == ["447700900100"]


async def test_deleting_a_powerpack(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100", "14155550101")))
    await rent(store, "14155550100")
    own = stock("4915123456701")
    await store.write(partial(numbers.bring, scope=MAIN, own=own, terms={}, now_us=NOW_US))
    for unrents, expected in ((False, ["14155550100", "4915123456701"]), (True, [])):
        await pooled(store, "14155550100", "4915123456701")
        await send(store, "13055550123")
        assert not await store.write(partial(powerpacks.delete, scope=OTHER, uuid=UUID, unrents=True))
        assert await store.write(partial(powerpacks.delete, scope=MAIN, uuid=UUID, unrents=unrents))
        _, left = await store.read(lambda tx: numbers.page(tx, MAIN, numbers.Filter(), limit=9, offset=0))
        assert [(each.number, each.powerpack_uuid) for each in left] == [(number, None) for number in expected]
        kept = partial(powerpacks.kept_numbers, uuid=UUID, recipients=["13055550123"])
        assert await store.read(kept) == {}
    with pytest.raises(InvalidRequest, match=f"there is no powerpack {UUID} of yours"):
        await send(store, "13055550123")


async def test_a_number_that_joins_gets_its_share_and_no_more(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100", "14155550101", "14155550102")))
    for number in ("14155550100", "14155550101", "14155550102"):
        await rent(store, number)
    await pooled(store, "14155550100", "14155550101", sticky_sender=False)
    before = Counter(await send(store, *(str(13055550000 + at) for at in range(40))))
    assert before == {"14155550100": 20, "14155550101": 20}
    await put_in(store, "14155550102")
    assert set(Counter(await send(store, *(str(13055550000 + at) for at in range(30)))).values()) == {10}


async def test_those_who_send_to_one_recipient_at_once_choose_one_number(prepared: Database) -> None:
    stores = [prepared.open(), prepared.open()]
    given = [str(14155550100 + at) for at in range(8)]
    await stores[0].write(partial(numbers.add, new=stock(*given)))
    for number in given:
        await rent(stores[0], number)
    await pooled(stores[0], *given)
    recipients = [str(13055550000 + at) for at in range(16)]
    chosen = await asyncio.gather(*(send(stores[at % 2], *recipients) for at in range(10)))
    assert all(each == chosen[0] for each in chosen)
    assert set(Counter(chosen[0]).values()) == {2}
    for store in stores:
        await store.close()


async def test_who_was_not_written_to_for_long_is_forgotten(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100")))
    await rent(store, "14155550100")
    await pooled(store, "14155550100")
    await send(store, "13055550001", "13055550002")
    await send(store, "13055550002", now_us=NOW_US + 2 * DAY_US)
    before_us = NOW_US + DAY_US
    assert await store.write(partial(powerpacks.prune_kept, before_us=before_us, limit=10)) == 1
    assert await store.write(partial(powerpacks.prune_kept, before_us=before_us, limit=10)) == 0
    kept = partial(powerpacks.kept_numbers, uuid=UUID, recipients=["13055550001", "13055550002"])
    assert list(await store.read(kept)) == ["13055550002"]


async def test_what_a_subaccount_had_goes_back_to_its_account(store: Store) -> None:
    await store.write(partial(numbers.add, new=stock("14155550100")))
    await rent(store, "14155550100", SUB)
    await store.write(partial(applications.create, new=application(scope=SUB, is_default_number_app=True)))
    assert SUB.subaccount_id
    await store.write(partial(give_back, subaccount_id=SUB.subaccount_id))
    assert await store.read(lambda tx: numbers.find(tx, SUB, "14155550100")) is None
    found = await store.read(lambda tx: numbers.owner(tx, "14155550100"))
    assert found
    assert found.account_id == MAIN.account_id
    assert await store.read(lambda tx: applications.find(tx, SUB, APP_ID)) is None
    assert await store.write(partial(applications.default_for_numbers, scope=MAIN)) is None


@pytest.mark.parametrize("cascade", [True, False])
async def test_what_becomes_of_a_deleted_subaccounts_things(store: Store, *, cascade: bool) -> None:
    main, sub = MAIN.account_id, str(SUB.subaccount_id)
    await store.write(partial(accounts.create, auth_id=AccountId(main), token="t", name="main", now_us=NOW_US))
    await store.write(
        partial(
            profiles.add_subaccount, parent_id=main, auth_id=AccountId(sub), token="u", name="s", enabled=True, now_us=1
        )
    )
    await store.write(partial(numbers.add, new=stock("14155550100")))
    await rent(store, "14155550100", SUB)
    await store.write(partial(applications.create, new=application(scope=SUB)))
    await store.write(partial(powerpacks.create, new=msgspec.structs.replace(powerpack(), subaccount_id=sub)))
    await store.write(partial(profiles.delete_subaccount, parent_id=main, auth_id=sub, cascade=cascade, now_us=NOW_US))
    owner = await store.read(lambda tx: numbers.owner(tx, "14155550100"))
    app = await store.read(lambda tx: applications.find(tx, MAIN, APP_ID))
    pack = await store.read(lambda tx: powerpacks.find(tx, MAIN, UUID))
    assert [found is None for found in (owner, app, pack)] == [cascade] * 3
    assert owner is None or owner.account_id == main


@pytest.mark.parametrize("prefix", ["1", "14", "149", "1499", "14155550100", "9", "99"])
async def test_how_numbers_begin(store: Store, prefix: str) -> None:
    given = ["14155550100", "14995550100", "15005550100", "447700900100", "919876543210", "998712345678"]
    await store.write(partial(numbers.add, new=stock(*given)))
    _, found = await store.read(lambda tx: numbers.page(tx, None, numbers.Filter(prefix=prefix), limit=9, offset=0))
    assert [each.number for each in found] == [each for each in given if each.startswith(prefix)]
