"""When the process that has the analytics file ends, another one with the role goes on; two real processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ringback.analytics.engine import Standing
from ringback.analytics.remote import RemoteEngine
from tests.fakes.process import Served, create_account, served

OTHERS = ("--role", "web", "--role", "analytics")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as found:
        yield found


async def taken_in(data: Path, messages: int) -> Standing:
    """Wait until whoever has the file has taken in so many messages."""
    async with RemoteEngine(data / "analytics") as engine, asyncio.timeout(60):
        while True:
            answer = await engine.ask("SELECT count(*) FROM messages")
            standing = await engine.standing()
            if answer.rows == [(messages,)] and standing.state == "current":
                return standing
            await asyncio.sleep(0.05)


async def send(ringback: Served, http: aiohttp.ClientSession) -> None:
    status, _ = await ringback.send(http)
    assert status == 202


@pytest.mark.parametrize("way", ["kill", "terminate"])
async def test_a_second_process_takes_the_file_over(tmp_path: Path, http: aiohttp.ClientSession, way: str) -> None:
    account = create_account(tmp_path)
    async with served(tmp_path, account) as first, served(tmp_path, account, *OTHERS) as second:
        await second.until_logged("analytics_file_is_held")
        await send(first, http)
        await taken_in(tmp_path, 1)
        await getattr(first, way)()
        await second.until_logged("analytics_file_is_taken_over")
        # Nothing is lost and nothing is counted twice, and what is new is taken in.
        await taken_in(tmp_path, 1)
        await send(second, http)
        await taken_in(tmp_path, 2)
        assert await second.terminate() == 0
    assert not [line for line in second.log if "Traceback" in line or "Exception" in line]


async def test_one_that_waits_can_be_stopped(tmp_path: Path) -> None:
    account = create_account(tmp_path)
    async with served(tmp_path, account), served(tmp_path, account, *OTHERS) as second:
        await second.until_logged("analytics_file_is_held")
        assert await second.terminate() == 0
