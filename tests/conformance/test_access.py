"""Users, login links, sessions and the audit log, on every database."""

import asyncio
from functools import partial

import pytest

from ringback.model.errors import InvalidRequest, NotFound
from ringback.model.ids import AccountId
from ringback.store import accounts, audit, logins, profiles, users
from ringback.store.audit import Actor, Filter
from ringback.store.logins import Link, Session
from ringback.store.port import Store, Transaction
from tests.fakes.clock import FakeClock
from tests.fakes.people import session, user

MAIN, OTHER, SUB = (AccountId(f"{kind}{letter * 18}") for kind, letter in (("MA", "A"), ("MA", "B"), ("SA", "A")))
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000


@pytest.fixture
async def now_us(store: Store, clock: FakeClock) -> int:
    """Now, with two accounts."""
    at_us = clock.now_us()
    for auth_id in (MAIN, OTHER):
        await store.write(partial(accounts.create, auth_id=auth_id, token=auth_id, name=auth_id, now_us=at_us))
    return at_us


async def opened(store: Store, secret: str, made: Session) -> Session:
    await store.write(lambda tx: logins.open_session(tx, secret, made))
    return made


async def find(store: Store, secret: str, now_us: int, idle_us: int = HOUR_US) -> Session | None:
    return await store.read(lambda tx: logins.find_session(tx, secret, now_us, idle_us=idle_us))


async def test_a_link_is_good_once(store: Store, now_us: int) -> None:
    link = Link("a user", MAIN)
    await store.write(lambda tx: logins.add_link(tx, "link", link, now_us=now_us, expires_at_us=now_us + MINUTE_US))
    await opened(store, "session", session(now_us=now_us))
    for secret in ("unknown", "session"):
        assert await store.write(partial(logins.use_link, secret=secret, now_us=now_us)) is None
    used = await asyncio.gather(*(store.write(lambda tx: logins.use_link(tx, "link", now_us)) for _ in range(5)))
    assert sorted(map(str, used)) == sorted(map(str, [link, None, None, None, None]))


@pytest.mark.parametrize(("after_us", "is_good"), [(MINUTE_US - 1, True), (MINUTE_US, False)])
async def test_links_and_sessions_expire(store: Store, now_us: int, after_us: int, is_good: bool) -> None:  # noqa: FBT001
    until_us = now_us + MINUTE_US
    await store.write(lambda tx: logins.add_link(tx, "link", Link(), now_us=now_us, expires_at_us=until_us))
    await opened(store, "session", session(now_us=now_us, expires_at_us=until_us))
    assert (await find(store, "session", now_us + after_us) is not None) == is_good
    used = await store.write(lambda tx: logins.use_link(tx, "link", now_us + after_us))
    assert (used is not None) == is_good


async def test_a_session_that_is_not_used_ends(store: Store, now_us: int) -> None:
    made = await opened(store, "one", session(now_us=now_us, expires_at_us=now_us + 9 * HOUR_US))
    assert await find(store, "one", now_us + HOUR_US - 1) == made
    assert await find(store, "one", now_us + HOUR_US) is None
    await store.write(lambda tx: logins.use_session(tx, made.id, now_us + HOUR_US - 1))
    assert await find(store, "one", now_us + HOUR_US) is not None


async def test_another_secret_takes_the_place_of_the_one_before(store: Store, now_us: int) -> None:
    made = await opened(store, "one", session(now_us=now_us))
    await store.write(lambda tx: logins.change_secret(tx, made.id, "two"))
    assert await find(store, "one", now_us) is None
    assert await find(store, "two", now_us) == made


async def test_sessions_of_the_same_person(store: Store, now_us: int) -> None:
    whose: list[dict[str, object]] = [{}, {"account_id": MAIN}, {"user_id": "id of ada"}, {"user_id": "id of bob"}]
    await store.write(lambda tx: [users.add(tx, user(name)) for name in ("ada", "bob")])
    for number, fields in enumerate(whose + whose):
        await opened(store, f"s{number}", session(number, now_us=now_us, **fields))
    for number, fields in enumerate(whose):
        mine = session(number, now_us=now_us, **fields)
        found = await store.read(lambda tx: logins.like(tx, mine, now_us))  # noqa: B023
        assert {each.id for each in found} == {mine.id, session(number + 4, now_us=now_us).id}
        strange = session((number + 1) % 4, now_us=now_us).id
        assert not await store.write(lambda tx: logins.end_one(tx, mine, strange))  # noqa: B023
        assert await store.write(lambda tx: logins.end_others(tx, mine)) == 1  # noqa: B023
    assert [await find(store, f"s{number}", now_us) is not None for number in range(8)] == [True] * 4 + [False] * 4


@pytest.mark.parametrize("ending", ["password", "disable", "remove"])
async def test_sessions_and_links_end_with_what_opened_them(store: Store, now_us: int, ending: str) -> None:
    await store.write(lambda tx: [users.add(tx, user(name)) for name in ("ada", "bob")])
    for number, name in enumerate(("ada", "bob")):
        await opened(store, name, session(number, now_us=now_us, user_id=f"id of {name}"))
        link = Link(f"id of {name}")
        add = partial(logins.add_link, secret=f"link {name}", link=link, now_us=now_us, expires_at_us=now_us + 1)
        await store.write(add)
    works = {
        "password": partial(users.set_password, name="ada", password_hash="another"),
        "disable": partial(users.disable, name="ada", now_us=now_us),
        "remove": partial(users.remove, name="ada"),
    }
    await store.write(works[ending])
    assert await find(store, "ada", now_us) is None
    assert await store.write(lambda tx: logins.use_link(tx, "link ada", now_us)) is None
    assert await find(store, "bob", now_us) is not None
    assert await store.write(lambda tx: logins.use_link(tx, "link bob", now_us)) == Link("id of bob")


async def test_no_session_of_a_disabled_user_is_open_whoever_made_it(store: Store, now_us: int) -> None:
    await store.write(lambda tx: users.add(tx, user(disabled_at_us=now_us)))
    await opened(store, "late", session(now_us=now_us, user_id="id of ada"))
    await opened(store, "gone", session(2, now_us=now_us, user_id="id of nobody"))
    assert await find(store, "late", now_us) is None
    assert await find(store, "gone", now_us) is None


async def test_an_account_is_seen_with_its_subaccounts_while_it_is_enabled(store: Store, now_us: int) -> None:
    await store.write(
        partial(profiles.add_subaccount, parent_id=MAIN, auth_id=SUB, token="t", name="s", enabled=True, now_us=now_us)
    )

    async def seen(auth_id: str) -> frozenset[str]:
        return await store.read(lambda tx: logins.seen_accounts(tx, auth_id))

    assert await seen(MAIN) == {MAIN, SUB}
    assert await seen(SUB) == {SUB}
    assert await seen(OTHER) == {OTHER}
    assert await seen("MANOBODY") == frozenset()
    await store.write(lambda tx: accounts.set_enabled(tx, MAIN, enabled=False))
    assert await seen(MAIN) == await seen(SUB) == frozenset()


async def test_users_are_added_once_and_for_accounts_that_there_are(store: Store, now_us: int) -> None:
    await store.write(lambda tx: users.add(tx, user("ada", MAIN)))
    for again, error in ((user("ada"), InvalidRequest), (user("bob", "MANOBODY"), NotFound)):
        with pytest.raises(error):
            await store.write(lambda tx: users.add(tx, again))  # noqa: B023
    await store.write(lambda tx: users.logged_in(tx, "id of ada", now_us))
    assert [(each.name, each.last_login_at_us) for each in await store.read(users.list_all)] == [("ada", now_us)]
    await store.write(lambda tx: users.disable(tx, "ada", now_us))
    enabled = await store.write(lambda tx: (users.enable(tx, "ada"), users.known(tx, "ada"))[1])
    assert enabled.disabled_at_us is None
    for work in (users.enable, users.remove, partial(users.disable, now_us=1)):
        with pytest.raises(NotFound):
            await store.write(lambda tx: work(tx, name="nobody"))  # noqa: B023


async def test_a_hash_that_is_made_anew_gives_way_to_another_password(store: Store, now_us: int) -> None:
    before = user(now_us=now_us)
    await store.write(lambda tx: users.add(tx, before))
    await store.write(lambda tx: users.keep_anew(tx, before, "dearer"))
    assert await store.read(lambda tx: users.known(tx, "ada").password_hash) == "dearer"
    await store.write(lambda tx: users.keep_anew(tx, before, "too late"))
    assert await store.read(lambda tx: users.known(tx, "ada").password_hash) == "dearer"


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 65, "a\x00", "ä"])
def test_names_that_no_user_may_have(name: str) -> None:
    with pytest.raises(InvalidRequest):
        users.as_name(name)
    assert users.as_name(" Ada.L@one+two ") == "ada.l@one+two"


async def test_the_audit_log_is_found_by_what_it_says(store: Store) -> None:
    ada, bob = Actor("ada", "user", None, "192.0.2.1"), Actor("bob", "user", MAIN)

    def write(tx: Transaction) -> None:
        audit.note(tx, ada, "user add", "bob" + "b" * 300, now_us=10)
        audit.note(tx, bob, "login by password", now_us=20, outcome="refused")
        audit.note(tx, bob, "user", "\x00", now_us=30)

    await store.write(write)

    async def found(limit: int = 10, before: int | None = None, **wanted: object) -> list[int]:
        page = await store.read(lambda tx: audit.page(tx, Filter(**wanted), before=before, limit=limit))  # type: ignore[arg-type]
        return [entry.at_us for entry in page]

    assert await found() == [30, 20, 10]
    assert await found(action="user") == [30, 10]
    assert await found(action="use%") == []
    assert await found(action="login by") == [20]
    assert await found(account_id=MAIN) == await found(actor="bob") == [30, 20]
    assert await found(outcome="refused") == [20]
    assert await found(since_us=20) == [30, 20]
    newest = (await store.read(lambda tx: audit.page(tx, Filter(), limit=1)))[0]
    assert await found(before=newest.id) == [20, 10]
    assert await store.write(lambda tx: audit.prune(tx, before_us=30, limit=1)) == 1
    assert await found() == [30, 20]
