"""Ringback above Ringback: an application, a platform whose carrier is an account of another platform, and that one."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.fakes.endpoint import recording_endpoint
from tests.fakes.platform import Running
from tests.fakes.upstream import one_above_the_other

ENDINGS = {
    "15005550001": ("delivered", "000"),
    "15005550030": ("undelivered", "30"),
}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Running, Running]]:
    async with one_above_the_other(tmp_path) as both:
        yield both


async def test_every_ending_comes_down(pair: tuple[Running, Running]) -> None:
    ours, upstream = pair
    async with recording_endpoint() as application:
        uuids = {}
        for dst in ENDINGS:
            _, answer = await ours.send(dst=dst, url=application.url)
            uuids[dst] = answer["message_uuid"][0]
        for dst, (status, code) in ENDINGS.items():
            message = await ours.until_status(uuids[dst], status)
            assert (message.error_code, message.connector) == (code, "plivo")
        await ours.until_called_back()
        told = [dict(parse_qsl(request.body.decode())) for request in application.requests]
    assert len(told) == 6
