"""What the page of a message shows of its media."""

import html
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from ringback.store import media
from ringback.store.media import Media
from tests.data.dashboard.serving import Dashboard, serve
from tests.integration.test_dashboard import page, plain, send


async def show(dashboard: Dashboard, client: aiohttp.ClientSession, *kept: tuple[str, str], log: str = "true") -> str:
    """Give the page of an MMS with media of these names and types."""
    sent = await send(dashboard, type="mms", log=log)
    new = [
        Media(
            id=f"019ab000-0000-7000-9000-{number:012d}",
            account_id=sent.account_id,
            source="upload",
            content_type=content_type,
            file_name=name,
            size_bytes=12_345,
            created_at_us=dashboard.clock.now_us(),
            expires_at_us=None,
        )
        for number, (name, content_type) in enumerate(kept)
    ]
    await dashboard.commit(lambda tx: media.add(tx, new))
    await dashboard.commit(lambda tx: media.link(tx, [sent.uuid], [each.id for each in new]))
    return await page(client, f"/dashboard/messages/{sent.uuid}")


async def test_images_are_shown_by_signed_links_and_others_named(tmp_path: Path) -> None:
    async with serve(tmp_path) as dashboard, dashboard.operator() as client:
        shown = await show(dashboard, client, ("<cat>.png", "image/png"), ("ada.vcf", "text/vcard"))
        [image] = re.findall(r'<img src="(/media/[^"]+)"', shown)
        links = [html.unescape(link) for link in re.findall(r'<a href="(/media/[^"]+)"', shown)]
        assert html.unescape(image) == links[0]
        assert len(links) == 2
        for link in links:
            parts = urlsplit(link)
            assert parts.netloc == ""
            now_us = dashboard.clock.now_us()
            assert dashboard.context.media_urls.is_valid(parts.path, dict(parse_qsl(parts.query)), now_us=now_us)
        assert "&lt;cat&gt;.png" in shown
        assert "<cat>" not in shown
        assert "12,345 bytes" in plain(shown)
        assert "style=" not in shown


@pytest.mark.parametrize("log", ["false", "number_only"])
async def test_media_of_a_text_that_is_hidden_are_hidden_too(tmp_path: Path, log: str) -> None:
    async with serve(tmp_path) as dashboard, dashboard.operator() as client:
        shown = await show(dashboard, client, ("cat.png", "image/png"), log=log)
        assert "cat.png" not in shown
        assert "/media/" not in shown
        assert "Not shown, as the sender asked" in shown


async def test_there_may_be_none(tmp_path: Path) -> None:
    async with serve(tmp_path) as dashboard, dashboard.operator() as client:
        assert "still to be fetched" in await show(dashboard, client)
        text = await send(dashboard)
        assert "<h3>Media</h3>" not in await page(client, f"/dashboard/messages/{text.uuid}")
