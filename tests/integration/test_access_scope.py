"""Nobody of an account finds anything of another, on any page, and no form does anything without its token.

Both are tried on every route that the dashboard has: a new one is tried too, and fails here until it is scoped.
"""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import aiohttp
import pytest
import sqlalchemy as sa
from starlette.routing import Route

from ringback.settings import SourceSettings
from ringback.store import logins, resends
from ringback.store.logins import Link
from ringback.store.port import Transaction
from ringback.store.resends import Filter
from ringback.store.schema import metadata
from ringback.web.dashboard import csrf
from ringback.web.dashboard.routes import dashboard_routes
from tests.data.access.hidden import (
    BIN,
    CALLBACK_URL,
    ENDPOINT,
    MARK,
    MESSAGE,
    NUMBER,
    OURS,
    PHONES,
    RECEIVED,
    REPLAY,
    SOURCE,
    THEIRS,
    USER,
    add_hidden,
)
from tests.data.dashboard.serving import Dashboard, page, serve
from tests.fakes.messages import message_uuid

HIDDEN = (MARK, THEIRS, MESSAGE, MESSAGE[-12:], RECEIVED, REPLAY, ENDPOINT, NUMBER, *PHONES)
FILLED: Mapping[str, tuple[str, ...]] = {
    "uuid": (MESSAGE,),
    "id": (ENDPOINT, RECEIVED, REPLAY, MESSAGE),
    "bin": (BIN,),
    "number": ("1",),
    "name": ("ringback.css",),
    "rest": ("nowhere",),
}
"""What addresses have in their braces: ids of the other account's things. A new name needs an entry."""
ASKED: tuple[Mapping[str, str], ...] = (
    {},
    {"account": THEIRS},
    {"account_id": THEIRS, "auth_id": THEIRS},
    {"number": PHONES[0]},
    {"number": PHONES[1], "q": PHONES[1]},
    {"endpoint": ENDPOINT, "did": "pause", "replay": REPLAY, "message": MESSAGE, "source": SOURCE, "bin": BIN},
    {"endpoint": CALLBACK_URL, "state": "given_up", "again": "1"},
    {"span": "7d", "period": "90d", "prefix": NUMBER, "held": "rented", "actor": USER, "name": USER},
    {"format": "ndjson", "number": "1"},
    {"format": "csv"},
    {"format": "json", "left": "1", "right": "1"},
)
"""Queries that every page is asked with."""
SUBMITTED = {"account": THEIRS, "message": MESSAGE, "endpoint": "", "rate": "1", "name": USER, "session": MESSAGE}
ACTIONS = ("", "pause", "resume", "delete", "clear", "disable", "enable", "sign out", "end", "everywhere", "password")
NOT_TOLD = frozenset({"audit_log", "sessions", "logins"})
"""Tables that change with every login."""
OURS_ONLY = Link(None, OURS)


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    sources = {SOURCE: SourceSettings(account=THEIRS), "ours": SourceSettings(account=OURS)}
    async with serve(tmp_path, sources=sources, frame_interval_s=0.02) as running:
        await running.store.write(lambda tx: add_hidden(tx, running.new_id, running.clock.now_us()))
        yield running


def routes(dashboard: Dashboard, method: str) -> list[Route]:
    found = [route for route in dashboard_routes(dashboard.context) if isinstance(route, Route)]
    return [route for route in found if method in (route.methods or ())]


def addresses(route: Route) -> list[str]:
    """Return a route's addresses with every id of the other account that it could mean."""
    found = [route.path]
    for name in re.findall(r"{(\w+)(?::\w+)?}", route.path):
        assert name in FILLED, f"say in FILLED what {{{name}}} of {route.path} may be"
        found = [re.sub(rf"{{{name}(:\w+)?}}", value, path) for path in found for value in FILLED[name]]
    return found


def hidden_in(text: str, asked: str) -> list[str]:
    """Return what an answer says of the other account that was not in the question."""
    return [word for word in HIDDEN if word.lower() in text.lower() and word.lower() not in asked.lower()]


async def answer_of(client: aiohttp.ClientSession, address: str) -> str:
    """Return everything that an address answers; of a stream what it begins with."""
    async with client.get(address, allow_redirects=False) as answer:
        heads = json.dumps(list(answer.headers.items()))
        if answer.content_type == "text/event-stream":
            return heads + (await answer.content.readline()).decode()
        return heads + (await answer.read()).decode("utf-8", "replace")


async def walk(dashboard: Dashboard, client: aiohttp.ClientSession) -> dict[str, list[str]]:
    """Ask for everything, and return by address what shows something of the other account."""
    found: dict[str, list[str]] = {}
    for route in routes(dashboard, "GET"):
        for path in addresses(route):
            for query in ASKED:
                address = f"{path}?{urlencode(query)}" if query else path
                if shown := hidden_in(await answer_of(client, address), unquote(address)):
                    found[address] = shown
    return found


async def dump(dashboard: Dashboard) -> dict[str, list[tuple[Any, ...]]]:
    def read(tx: Transaction) -> dict[str, list[tuple[Any, ...]]]:
        told = [table for name, table in metadata.tables.items() if name not in NOT_TOLD]
        return {table.name: sorted((tuple(row) for row in tx.execute(sa.select(table))), key=repr) for table in told}

    return await dashboard.store.read(read)


async def callback_id(dashboard: Dashboard) -> str:
    found = await dashboard.store.read(lambda tx: resends.newest(tx, Filter(message_uuid=MESSAGE), limit=1))
    return found.ids[0]


async def test_no_page_shows_anything_of_another_account(dashboard: Dashboard) -> None:
    async with dashboard.somebody(OURS_ONLY) as client:
        assert "Overview" in await page(client, "/dashboard")
        assert await walk(dashboard, client) == {}


async def test_operators_find_on_the_same_walk_all_that_is_hidden_from_others(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        found = await walk(dashboard, client)
    assert {word for words in found.values() for word in words} == set(HIDDEN)


async def test_its_own_people_find_what_is_of_an_account(dashboard: Dashboard) -> None:
    async with dashboard.somebody(Link(None, THEIRS)) as client:
        for path in (
            "/dashboard/messages",
            f"/dashboard/messages/{MESSAGE}",
            "/dashboard/callbacks",
            "/dashboard/endpoints",
            f"/dashboard/endpoints/{ENDPOINT}",
            "/dashboard/replays",
            "/dashboard/numbers",
            "/dashboard/received",
            f"/dashboard/received/{RECEIVED}",
            "/dashboard/audit",
        ):
            assert hidden_in(await page(client, path), ""), path
        assert f"{MARK}-operator" not in await page(client, "/dashboard/audit")
        for path in ("/dashboard/bins", "/dashboard/carriers", "/dashboard/users", "/dashboard/simulate"):
            await page(client, path, status=404)


async def test_no_button_does_anything_to_another_account(dashboard: Dashboard) -> None:
    before = await dump(dashboard)
    submitted = {**SUBMITTED, "callback": await callback_id(dashboard)}
    async with dashboard.somebody(OURS_ONLY) as client:
        for route in routes(dashboard, "POST"):
            if route.path in {"/dashboard/login", "/dashboard/logout"}:
                continue
            for path in addresses(route):
                for action in ACTIONS:
                    form = submitted | {"action": action}
                    async with client.post(path, data=form, allow_redirects=False) as answer:
                        text, asked = await answer.text(), f"{path} {form}"
                        assert not hidden_in(text, asked), (path, form)
        assert await dump(dashboard) == before
        # What it was: of somebody who is logged in still.
        await page(client, "/dashboard")


@pytest.mark.parametrize("token", ["", "0" * 64, "another session's"])
async def test_no_button_does_anything_without_its_token(dashboard: Dashboard, token: str) -> None:
    given = csrf.token_of("another") if token.startswith("another") else token
    submitted = {**SUBMITTED, "callback": await callback_id(dashboard), csrf.FIELD: given}
    before = await dump(dashboard)
    async with dashboard.operator() as client:
        client.headers.pop(csrf.HEADER)
        for route in routes(dashboard, "POST"):
            if route.path == "/dashboard/login":
                # There is no session yet that a token could belong to.
                continue
            for path in addresses(route):
                async with client.post(path, data=submitted, allow_redirects=False) as answer:
                    assert answer.status == 403, path
                    assert "reload it" in await answer.text()
        assert await dump(dashboard) == before
        await page(client, "/dashboard")


async def test_a_form_carries_the_token_of_its_session(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        token = client.headers.pop(csrf.HEADER)
        html = await page(client, f"/dashboard/endpoints/{ENDPOINT}")
        forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", html, re.DOTALL)
        assert forms
        for form in forms:
            assert f'name="csrf" value="{token}"' in form
        form = {"action": "pause", csrf.FIELD: token}
        async with client.post(f"/dashboard/endpoints/{ENDPOINT}", data=form) as answer:
            assert "is paused" in await answer.text()


def test_every_form_that_posts_carries_the_token() -> None:
    templates = Path(csrf.__file__).parent / "templates"
    for template in templates.glob("*.html"):
        if template.name != "login.html":
            for form in re.findall(r"<form[^>]*method=\"post\"[^>]*>.{0,40}", template.read_text(), re.DOTALL):
                assert "{{ csrf_field() }}" in form, (template.name, form)


@contextlib.asynccontextmanager
async def stream(client: aiohttp.ClientSession, address: str) -> AsyncIterator[aiohttp.StreamReader]:
    async with client.get(address) as answer:
        assert answer.status == 200, await answer.text()
        yield answer.content


async def until_changes(content: aiohttp.StreamReader) -> str:
    """Return what a stream says up to its first change."""
    said = ""
    async for line in content:
        said += line.decode()
        if line.startswith(b"data:"):
            return said
    raise AssertionError(f"the stream has ended: {said}")


@pytest.mark.parametrize("query", ["after=0", "rows=none&after=0"])
async def test_a_stream_shows_what_is_of_the_account(dashboard: Dashboard, query: str) -> None:
    async with (
        dashboard.somebody(OURS_ONLY) as client,
        stream(client, f"/dashboard/live?{query}") as content,
    ):
        await dashboard.owe(account_id=THEIRS, text=MARK, count=3)
        (ours,) = await dashboard.owe(account_id=OURS)
        said = await until_changes(content)
    assert '"events":1' in said
    assert not hidden_in(said, "")
    if "none" not in query:
        assert ours.uuid in said
        assert message_uuid(0) not in said


async def test_there_is_no_stream_of_what_is_not_for_the_account(dashboard: Dashboard) -> None:
    async with dashboard.somebody(OURS_ONLY) as client:
        await page(client, f"/dashboard/live?rows=captures&bin={BIN}", status=404)
        await page(client, f"/dashboard/live?account={THEIRS}", status=404)


async def test_a_stream_ends_with_the_session(dashboard: Dashboard) -> None:
    async with dashboard.somebody(OURS_ONLY) as client, stream(client, "/dashboard/live?after=0") as content:
        await dashboard.owe(account_id=OURS)
        await until_changes(content)
        secret = next(iter(client.cookie_jar)).value
        await dashboard.store.write(lambda tx: logins.end_session(tx, secret))
        await dashboard.owe(account_id=OURS)
        assert "event: over" in (await content.read()).decode()
