"""A whole Ringback in this process, on a free port and an empty data directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from ringback.settings import Settings, load
from ringback.store import callbacks, messages
from ringback.store.accounts import Account
from ringback.wiring.backbone import create_account
from ringback.wiring.platform import Platform, open_platform


class Running(msgspec.Struct, frozen=True):
    """A platform that serves, with a first account and an HTTP client."""

    platform: Platform
    account: Account
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return self.platform.base_url

    @property
    def messages_url(self) -> str:
        """The account's message collection."""
        return f"{self.url}/v1/Account/{self.account.auth_id}/Message/"

    @property
    def auth(self) -> dict[str, str]:
        """The header with the account's credentials."""
        return {"Authorization": aiohttp.encode_basic_auth(self.account.auth_id, self.account.tokens[0])}

    def stop_clock(self) -> None:
        """Let no more time pass, so that what comes within seconds does so on a busy machine too."""
        clock = self.platform.clock
        now_us = clock.now_us()
        clock.now_us = lambda: now_us  # type: ignore[method-assign]

    async def send(self, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Send a message as JSON; gives status and body."""
        body = {"src": "15005550100", "dst": "15005550001", "text": "hello", **fields}
        async with self.http.post(self.messages_url, json=body, headers=self.auth) as response:
            return response.status, await response.json()

    async def until(self, condition: Any, *, timeout_s: float = 60) -> Any:
        """Wait until ``condition(tx)`` is true in the store, looking after each thing that may change it."""
        hint = self.platform.wakeups.listen("events", "callbacks", "received")
        try:
            async with asyncio.timeout(timeout_s):
                while not (found := await self.platform.store.read(condition)):
                    await hint.wait(1)
        finally:
            hint.close()
        return found

    async def until_status(self, uuid: str, status: str) -> messages.Message:
        """Wait until a message has a status."""

        def look(tx: Any) -> Any:
            message = messages.find(tx, None, uuid)
            return message if message and message.status == status else None

        found: messages.Message = await self.until(look)
        return found

    async def until_called_back(self) -> None:
        """Wait until no callback is owed."""
        await self.until(lambda tx: callbacks.waiting(tx) == 0)


def settings_for(data_dir: Path, **groups: dict[str, Any]) -> Settings:
    """Make settings for a test: free port, fast carrier, patience with a busy machine, and what the test says."""
    flags: dict[str, dict[str, object]] = {
        "server": {"port": 0},
        "simulator": {"speed": 20.0},
        **groups,
    }
    # Whoever is kept waiting by the machine has not failed. Attempts end before what drains does all the same.
    patient = {"deadline_s": 12.0, "connect_timeout_s": 12.0}
    flags["delivery"] = {"egress_allow": ["127.0.0.0/8"], **patient, **groups.get("delivery", {})}
    # A status is to say what became of a page.
    flags["dashboard"] = {"frame_after_ms": 60_000, **groups.get("dashboard", {})}
    flags["store"] = {"data_dir": data_dir, "busy_timeout_s": 30.0, **groups.get("store", {})}
    flags["server"] = {"port": 0, **groups.get("server", {})}
    return load(file=None, environment={}, flags=flags)


@asynccontextmanager
async def running(settings: Settings, *, account: Account | None = None) -> AsyncIterator[Running]:
    """Run a platform until the block ends, then drain it, and see that it drained."""
    async with open_platform(settings) as platform:
        known = account or await create_account(platform.store, platform.clock, "test")
        task = asyncio.create_task(platform.supervisor.run())
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
                yield Running(platform, known, http)
        finally:
            platform.supervisor.stop()
            drained = await task
    assert drained, "the platform did not finish what it had in hand"
