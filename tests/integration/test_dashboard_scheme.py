"""The choice of light or dark: what is kept of it, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from ringback.web.dashboard.pages import SCHEME_COOKIE
from tests.data.dashboard.serving import Dashboard, page, serve

DARK_SHEET = "/static/dark.css"


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with serve(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("chosen", "media", "meta"),
    [
        ("", 'media="(prefers-color-scheme: dark)"', 'content="light dark"'),
        ("dark", 'media="screen"', 'content="dark"'),
        ("light", None, 'content="light"'),
        ("pink", 'media="(prefers-color-scheme: dark)"', 'content="light dark"'),
    ],
)
async def test_a_page_comes_in_the_scheme_that_was_chosen(
    dashboard: Dashboard, chosen: str, media: str | None, meta: str
) -> None:
    async with dashboard.operator() as client:
        form = {"scheme": chosen, "next": "/dashboard/messages?status=failed"}
        async with client.post("/dashboard/scheme", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/dashboard/messages?status=failed")
        html = await page(client, "/dashboard/messages")
        assert f'<meta name="color-scheme" {meta}>' in html
        assert (DARK_SHEET in html) == (media is not None)
        assert media is None or media in html
        async with client.get("/dashboard/nowhere") as answer:
            assert meta in await answer.text()


async def test_the_choice_ends_with_the_next_one_and_not_with_the_session(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        async with client.post("/dashboard/scheme", data={"scheme": "dark"}, allow_redirects=False) as answer:
            kept = answer.cookies[SCHEME_COOKIE]
            assert (kept.value, kept["path"], kept["samesite"], kept["httponly"]) == ("dark", "/dashboard", "lax", True)
            assert int(kept["max-age"]) > 300 * 86_400
        await client.post("/dashboard/logout", allow_redirects=False)
        assert 'content="dark"' in await page(client, "/dashboard/login", status=401)


async def test_it_goes_back_to_pages_of_the_dashboard_only(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        form = {"scheme": "dark", "next": "https://evil.example/dashboard"}
        async with client.post("/dashboard/scheme", data=form, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/dashboard"


async def test_a_made_up_cookie_counts_as_none(dashboard: Dashboard) -> None:
    async with dashboard.operator() as client:
        client.cookie_jar.update_cookies({SCHEME_COOKIE: "pink"}, URL(dashboard.base_url))
        html = await page(client, "/dashboard")
        assert 'content="light dark"' in html
        assert "pink" not in html
