"""Ringback as a process of its own, to be signalled and killed."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

ALLOWED = {"RINGBACK_DELIVERY__EGRESS_ALLOW": "127.0.0.0/8"}
PATIENT = {"RINGBACK_STORE__BUSY_TIMEOUT_S": "30"}
"""Another process may be stopped by the machine while it writes."""
READY_S = 180
"""Where many tests share the cores, loading the program alone takes some of it."""
COMMAND = [str(Path(sys.executable).parent / "ringback")]


def run(*arguments: str, timeout_s: float = 180, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**PATIENT, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )


class Served:
    """A ``ringback serve`` that is ready."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, account: dict[str, str], log: "Log") -> None:
        self.process = process
        self.url = url
        self.account = account
        self.log = log
        """What it has written on standard error, by lines; whole once it has ended."""

    async def until_logged(self, text: str, *, timeout_s: float = 60) -> str:
        """Wait until it has written a line with a text on standard error; returns the line."""
        async with asyncio.timeout(timeout_s):
            while True:
                self.log.grown.clear()
                if found := next((line for line in self.log if text in line), None):
                    return found
                await self.log.grown.wait()

    async def send(self, http: aiohttp.ClientSession, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Send a message; gives status and body."""
        auth = aiohttp.encode_basic_auth(self.account["auth_id"], self.account["auth_token"])
        url = f"{self.url}/v1/Account/{self.account['auth_id']}/Message/"
        body = {"src": "15005550100", "dst": "15005550001", "text": "hello", **fields}
        async with http.post(url, json=body, headers={"Authorization": auth}) as response:
            return response.status, await response.json()

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self, *, timeout_s: float = 60) -> int:
        """End it orderly; gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()


class Log(list[str]):
    """Lines that come while somebody waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.grown = asyncio.Event()


def create_account(data_dir: Path, **environment: str) -> dict[str, str]:
    """Make an account with the command line."""
    made = run("account", "create", "test", "--json", "--data-dir", str(data_dir), **environment)
    assert made.returncode == 0, made.stderr
    account: dict[str, str] = json.loads(made.stdout)
    return account


@asynccontextmanager
async def served(
    data_dir: Path, account: dict[str, str], *flags: str, command: str = "serve", **environment: str
) -> AsyncIterator[Served]:
    """Run a command that serves, with flags of the caller's, on a free port unless they say otherwise."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, command, "--data-dir", str(data_dir), "--port", "0", *flags,
        env={**ALLOWED, **PATIENT, "PATH": "/usr/bin:/bin", "NO_COLOR": "1", **environment},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    drain: asyncio.Task[None] | None = None
    try:
        assert process.stderr is not None
        async with asyncio.timeout(READY_S):
            log = Log()
            while True:
                line = (await process.stderr.readline()).decode()
                assert line, f"ringback ended before it was ready: {''.join(log)[-2000:]}"
                log.append(line)
                if found := re.search(r"Ringback (?:listens on (http://\S+);|runs as )", line):
                    break
        drain = asyncio.create_task(_drain(process.stderr, log))
        yield Served(process, found[1] or "", account, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if drain is not None:
            await drain


async def _drain(stream: asyncio.StreamReader, log: Log) -> None:
    while line := await stream.readline():
        log.append(line.decode())
        log.grown.set()
