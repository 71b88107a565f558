"""Logging in with name and password: who gets in, how long, how often somebody may try, and what is written down."""

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from ringback.model import passwords
from ringback.model.ids import AccountId
from ringback.settings import DashboardSettings
from ringback.store import accounts, audit, users
from ringback.store.audit import Entry, Filter
from ringback.store.logins import Link
from ringback.store.users import User
from ringback.web.dashboard import csrf
from ringback.web.dashboard.login import HASHED_AT_A_TIME, MOST_WAITING
from ringback.web.dashboard.sessions import COOKIE
from ringback.web.dashboard.throttle import FREE_OF_ADDRESS, FREE_OF_NAME
from ringback.web.peers import Peers
from tests.data.dashboard.serving import Dashboard, page, serve
from tests.fakes.people import PASSWORD, user

OURS = AccountId("MAOURSOURSOURSOURSOU")
NEW = "another word that nobody knows"
MINUTE_S = 60


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path) as running:
        now_us = running.clock.now_us()
        add = partial(accounts.create, auth_id=OURS, token="a" * 40, name="Ours", now_us=now_us)
        await running.store.write(add)
        for each in (user("ada"), user("bob", OURS), user("new", password_hash=None), user("off", disabled_at_us=1)):
            await running.store.write(partial(users.add, user=each))
        yield running


async def enter(client: aiohttp.ClientSession, name: str = "ada", password: str = PASSWORD, **more: str) -> int:
    """Try a password; returns the status, 303 when it was right."""
    form = {"name": name, "password": password, **more}
    async with client.post("/dashboard/login", data=form, allow_redirects=False) as answer:
        if answer.status == 303:
            client.headers[csrf.HEADER] = csrf.token_of(answer.cookies[COOKIE].value)
        return answer.status


async def log(dashboard: Dashboard, **wanted: str) -> list[Entry]:
    return await dashboard.store.read(lambda tx: audit.page(tx, Filter(**wanted), limit=100))  # type: ignore[arg-type]


async def known(dashboard: Dashboard, name: str = "ada") -> User:
    return await dashboard.store.read(lambda tx: users.known(tx, name))


async def test_a_name_and_its_password_open_a_session(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client:
        async with client.post(
            "/dashboard/login",
            data={"name": " Ada ", "password": PASSWORD, "next": "/dashboard/audit"},
            allow_redirects=False,
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/dashboard/audit")
        html = await page(client, "/dashboard/audit")
    assert "login by password" in html
    assert (await known(dashboard)).last_login_at_us is not None
    (entry,) = await log(dashboard)
    assert (entry.actor, entry.actor_kind, entry.outcome, entry.address) == ("ada", "user", "done", "127.0.0.1")


async def test_whatever_is_wrong_gets_the_same_answer_after_the_same_work(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    fits = passwords.fits

    def noting(password: str, kept: str) -> bool:
        asked.append(
            (kept.rpartition("$")[0].rpartition("$")[0], threading.current_thread() is threading.main_thread())
        )
        return fits(password, kept)

    monkeypatch.setattr(passwords, "fits", noting)
    answers = set()
    for name, password in (("ada", "wrong"), ("nobody", PASSWORD), ("new", PASSWORD), ("off", PASSWORD), ("\x00", "")):
        async with (
            dashboard.stranger() as client,
            client.post("/dashboard/login", data={"name": name, "password": password}) as answer,
        ):
            assert "Set-Cookie" not in answer.headers
            answers.add((answer.status, await answer.text()))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    assert set(asked) == {("scrypt$15$8$3", False)}
    assert len(asked) == 5
    assert [(entry.actor, entry.outcome) for entry in await log(dashboard)] == [
        ("unknown name", "refused"),
        ("off", "refused"),
        ("new", "refused"),
        ("unknown name", "refused"),
        ("ada", "refused"),
    ]


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_each_further_wrong_password_has_to_wait_longer(dashboard: Dashboard, name: str) -> None:
    async with dashboard.stranger() as client:
        for _ in range(FREE_OF_NAME):
            assert await enter(client, name, "wrong") == 401
        for wait_s in (1, 2, 4):
            async with client.post("/dashboard/login", data={"name": name, "password": PASSWORD}) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (429, str(wait_s))
                assert "Too many tries" in await answer.text()
            dashboard.clock.advance(wait_s)
            assert await enter(client, name, "wrong") == 401
        assert len(await log(dashboard, action="login held back")) == 3
        dashboard.clock.advance(8)
        assert await enter(client, name) == (303 if name == "ada" else 401)
    async with dashboard.stranger() as client:
        # A right one has made good for the wrong ones.
        assert await enter(client, name, "wrong") == (401 if name == "ada" else 429)


async def test_many_names_from_one_address_have_to_wait_too(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client:
        statuses = [await enter(client, f"name{number}", "wrong") for number in range(FREE_OF_ADDRESS + 1)]
    assert statuses == [401] * FREE_OF_ADDRESS + [429]


async def test_a_few_passwords_are_hashed_at_a_time_and_a_few_wait(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, counting, inside, most = threading.Event(), threading.Condition(), 0, 0

    def held(*_: str) -> bool:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
            counting.notify_all()
        let_go.wait(300)
        with counting:
            inside -= 1
        return False

    def all_are_busy() -> bool:
        with counting:
            return counting.wait_for(lambda: inside >= HASHED_AT_A_TIME, timeout=60)

    monkeypatch.setattr(passwords, "fits", held)
    room = HASHED_AT_A_TIME + MOST_WAITING
    async with dashboard.stranger() as client:
        tries = [asyncio.create_task(enter(client, f"n{number}", "x")) for number in range(room + 1)]
        refused, _ = await asyncio.wait(tries, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert [each.result() for each in refused] == [503]
        # Pages go on being answered.
        await page(client, "/dashboard/login", status=401)
        # A thread may begin long after it was asked for.
        assert await asyncio.to_thread(all_are_busy)
        let_go.set()
        statuses = await asyncio.gather(*tries)
    assert most == HASHED_AT_A_TIME
    assert set(statuses) <= {401, 429, 503}


async def test_a_password_is_hashed_anew_when_hashing_has_become_dearer(dashboard: Dashboard) -> None:
    cheap = passwords.hashed(PASSWORD, bytes(16))
    await dashboard.store.write(lambda tx: users.set_password(tx, "ada", cheap))
    async with dashboard.stranger() as client:
        assert await enter(client) == 303
        await page(client, "/dashboard")
    kept = (await known(dashboard)).password_hash or ""
    assert passwords.is_current(kept)
    assert passwords.fits(PASSWORD, kept)


async def test_people_of_an_account_that_is_disabled_see_nothing(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client:
        assert await enter(client, "bob") == 303
        assert OURS in await page(client, "/dashboard/me")
        await dashboard.store.write(lambda tx: accounts.set_enabled(tx, OURS, enabled=False))
        await page(client, "/dashboard/me", status=401)


async def test_a_session_gets_another_secret_at_each_login(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client:
        assert await enter(client) == 303
        before = next(iter(client.cookie_jar)).value
        assert await enter(client) == 303
        assert next(iter(client.cookie_jar)).value != before
    async with dashboard.stranger() as thief:
        thief.cookie_jar.update_cookies({COOKIE: before})
        await page(thief, "/dashboard", status=401)


async def test_a_session_that_is_not_used_ends_whatever_renews_itself(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, settings=DashboardSettings(idle_minutes=10)) as dashboard,
        dashboard.operator() as client,
    ):
        for _ in range(3):
            dashboard.clock.advance(9 * MINUTE_S)
            await page(client, "/dashboard")
        dashboard.clock.advance(9 * MINUTE_S)
        async with client.get("/dashboard/overview", headers={"Sec-Fetch-Mode": "cors"}) as answer:
            assert answer.status == 200
        dashboard.clock.advance(MINUTE_S)
        await page(client, "/dashboard", status=401)


async def test_changing_the_password_ends_all_other_sessions(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client, dashboard.stranger() as other:
        assert await enter(client) == await enter(other) == 303
        before = next(iter(client.cookie_jar)).value
        form = {"action": "password", "present": PASSWORD, "new": NEW, "again": NEW}
        for wrong, complaint in (
            ({"present": "x"}, "not your present password"),
            ({"again": "x"}, "in two ways"),
            ({"new": "short", "again": "short"}, "12 to 200 characters"),
            ({"new": "a" * 20, "again": "a" * 20}, "too easy"),
        ):
            async with client.post("/dashboard/me", data=form | wrong) as answer:
                assert answer.status == 400
                assert complaint in await answer.text()
        async with client.post("/dashboard/me", data=form) as answer:
            assert "Your password is changed" in await answer.text()
        await page(client, "/dashboard")
        await page(other, "/dashboard", status=401)
        async with dashboard.stranger() as thief:
            thief.cookie_jar.update_cookies({COOKIE: before})
            await page(thief, "/dashboard", status=401)
        assert await enter(other) == 401
        assert await enter(other, password=NEW) == 303
    outcomes = [entry.outcome for entry in await log(dashboard, action="password change")]
    assert outcomes == ["done", *["refused"] * 4]
    assert not [entry for entry in await log(dashboard) if PASSWORD in repr(entry) or NEW in repr(entry)]


async def test_a_link_for_a_user_lets_them_set_a_password(dashboard: Dashboard) -> None:
    async with dashboard.somebody(Link("id of new")) as client:
        assert "Set it" in await page(client, "/dashboard/me")
        async with client.post("/dashboard/me", data={"action": "password", "new": NEW, "again": NEW}) as answer:
            assert "Your password is changed" in await answer.text()
            assert "Present password" in await answer.text()
    async with dashboard.stranger() as client:
        assert await enter(client, "new", NEW) == 303


async def test_a_link_of_a_disabled_user_opens_nothing(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as client:
        with pytest.raises(AssertionError):
            async with dashboard.somebody(Link("id of off")):
                pass
        await page(client, "/dashboard", status=401)


async def test_ones_sessions_are_listed_and_ended(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as one, dashboard.stranger() as two, dashboard.stranger() as three:
        for client, browser in ((one, "first browser"), (two, "second browser"), (three, "third browser")):
            client.headers["User-Agent"] = browser
            assert await enter(client) == 303
        html = await page(one, "/dashboard/me")
        assert all(name in html for name in ("first browser", "second browser", "third browser", "this one"))
        wanted = html.partition("second browser")[2].partition('name="session" value="')[2].partition('"')[0]
        async with one.post("/dashboard/me", data={"action": "end", "session": wanted}) as answer:
            assert "The session has ended" in await answer.text()
        await page(two, "/dashboard", status=401)
        await page(three, "/dashboard")
        async with one.post("/dashboard/me", data={"action": "everywhere"}) as answer:
            assert "All other sessions have ended" in await answer.text()
        await page(three, "/dashboard", status=401)
        await page(one, "/dashboard")


async def test_operators_disable_users_who_are_out_at_once(dashboard: Dashboard) -> None:
    async with dashboard.stranger() as ada, dashboard.stranger() as bob:
        assert await enter(ada) == await enter(bob, "bob") == 303
        await page(bob, "/dashboard/users", status=404)
        async with ada.post("/dashboard/users", data={"action": "disable", "name": "bob"}) as answer:
            assert "is disabled" in await answer.text()
        await page(bob, "/dashboard", status=401)
        assert await enter(bob, "bob") == 401
        async with ada.post("/dashboard/users", data={"action": "disable", "name": "ada"}) as answer:
            assert "cannot disable yourself" in await answer.text()
        async with ada.post("/dashboard/users", data={"action": "enable", "name": "bob"}) as answer:
            assert "may log in again" in await answer.text()
        assert await enter(bob, "bob") == 303
        async with ada.post("/dashboard/users", data={"action": "sign out", "name": "bob"}) as answer:
            assert "is signed out everywhere" in await answer.text()
        await page(bob, "/dashboard", status=401)
    told = [(entry.actor, entry.action, entry.target) for entry in await log(dashboard, action="user")]
    assert told == [("ada", f"user {did}", "bob") for did in ("sign out", "enable", "disable")]


@pytest.mark.parametrize(
    ("peer", "secure", "warns"), [("192.0.2.7", False, True), ("127.0.0.1", False, False), ("192.0.2.7", True, False)]
)
async def test_the_login_page_warns_where_passwords_could_be_read(
    tmp_path: Path, *, peer: str, secure: bool, warns: bool
) -> None:
    peers = Peers(["127.0.0.1"])
    async with (
        serve(tmp_path, secure_cookies=secure, peers=peers) as dashboard,
        dashboard.stranger() as client,
        client.get("/dashboard/login", headers={"X-Forwarded-For": peer}) as answer,
    ):
        assert ("without encryption" in await answer.text()) == warns
