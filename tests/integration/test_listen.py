"""``ringback listen``: piped and in a terminal, with a server of its own and beside one."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.endpoint import RecordingEndpoint, recording_endpoint, status
from tests.fakes.ports import held_port
from tests.fakes.process import COMMAND, create_account, run, served
from tests.fakes.terminal import terminal

TOKEN = "the-token-of-the-account"
BODY = bytes(range(256)) * 3


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordingEndpoint]:
    async with recording_endpoint() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as found:
        yield found


class Piped:
    """A ``ringback listen`` whose lines are read."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> dict[str, Any]:
        """Give the next line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = await self.process.stdout.readline()
        assert line, await self.process.stderr.read() if self.process.stderr else b""
        found: dict[str, Any] = json.loads(line)
        return found

    async def end(self) -> int:
        """Press Ctrl-C, and wait."""
        self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            return await self.process.wait()


@asynccontextmanager
async def listening(data_dir: Path, *flags: str, port: int = 0) -> AsyncIterator[Piped]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "listen", "--data-dir", str(data_dir), "--port", str(port), *flags,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Piped(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def trigger(url: str, *flags: str) -> dict[str, Any]:
    """Send callbacks, and give the figures."""
    done = await asyncio.to_thread(
        run, "trigger", *flags, "--url", url, "--token-env", "TOKEN", "--speed", "50", "--json", TOKEN=TOKEN
    )
    assert done.stdout, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


async def test_captures_go_on_as_they_came(
    tmp_path: Path, endpoint: RecordingEndpoint, http: aiohttp.ClientSession
) -> None:
    endpoint.answer_next(status(418))
    async with listening(tmp_path, "--forward-to", endpoint.url + "/sms?own=1", "--token-env", "TOKEN") as listen:
        begin = await listen.line()
        assert begin["type"] == "listening"
        assert begin["joined"] is False
        sent_headers = [("X-A", "1"), ("X-A", "2"), ("X-Name", "Zoë"), ("Content-Type", "application/x")]
        async with http.put(begin["url"] + "/a%2Fb?x=%20&x=+", data=BODY, headers=sent_headers, allow_redirects=False):
            pass
        line = await listen.line()
        assert (line["method"], line["body_bytes"], line["verdict"]) == ("PUT", 768, "no_signature")
        assert line["forward"]["status"] == 418
        (got,) = endpoint.requests
        assert (got.method, got.body) == ("PUT", BODY)
        assert got.target == "/sms/a%2Fb?own=1&x=%20&x=+"
        own = [(name, value) for name, value in got.headers if name.lower().startswith("x-") or name == "Content-Type"]
        assert own == sent_headers
        assert await listen.end() == 0
        summary = await listen.line()
        assert (summary["captured"], summary["sent_on"], summary["answered_otherwise"]) == (1, 1, 1)


async def test_signed_lives_are_verified_and_filtered(tmp_path: Path, endpoint: RecordingEndpoint) -> None:
    flags = ("--forward-to", endpoint.url, "--token-env", "TOKEN", "--filter", "status=undelivered")
    async with listening(tmp_path, *flags) as listen:
        url = (await listen.line())["url"]
        figures = await trigger(url, "undelivered", "--count", "5", "--rate", "100", "--error", "80")
        assert figures["answered_2xx"] == 15
        lines = [await listen.line() for _ in range(5)]
        assert {(line["status"], line["error_code"], line["verdict"]) for line in lines} == {
            ("undelivered", "80", "v3")
        }
        assert await listen.end() == 0
        summary = await listen.line()
        assert (summary["captured"], summary["left_out"], summary["verified"]) == (15, 10, 5)
        assert len(endpoint.requests) == 5
        assert TOKEN not in json.dumps([*lines, summary])


async def test_what_runs_is_joined_and_what_does_not_belong_is_refused(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    account = create_account(tmp_path)
    async with served(tmp_path, account) as server:
        port = int(server.url.rpartition(":")[2])
        async with listening(tmp_path, "--bin", "Mine", port=port) as listen:
            begin = await listen.line()
            assert begin == {
                "type": "listening", "bin": "mine", "url": f"{server.url}/bin/mine", "forward_to": None, "joined": True,
            }  # fmt: skip
            async with http.get(begin["url"]):
                pass
            assert (await listen.line())["number"] == 1
            assert await listen.end() == 0
        bins = run("bin", "list", "--json", "--data-dir", str(tmp_path)).stdout.splitlines()
        assert [json.loads(line)["name"] for line in bins] == ["mine"]
        other = run("listen", "--port", str(port), "--data-dir", str(tmp_path / "other"))
        assert other.returncode == 2
        assert "is no Ringback over this database" in other.stderr


async def test_a_port_of_somebody_else(tmp_path: Path) -> None:
    with held_port() as port:
        done = await asyncio.to_thread(run, "listen", "--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "start another here with --port 0" in done.stderr


async def test_whoever_reads_the_lines_may_go(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with listening(tmp_path) as listen:
        url = (await listen.line())["url"]
        assert listen.process.stdout is not None
        listen.process.stdout._transport.close()  # type: ignore[attr-defined]
        async with http.get(url):
            pass
        async with asyncio.timeout(60):
            assert await listen.process.wait() == 0
        assert listen.process.stderr is not None
        assert b"Traceback" not in await listen.process.stderr.read()


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--forward-to", "localhost:3000"), "--forward-to must begin with http:// or https://"),
        (("--filter", "nam=1"), "there is no filter 'nam'"),
        (("--token-env", "NOWHERE"), "the environment variable NOWHERE"),
    ],
)
def test_flags_that_cannot_be(tmp_path: Path, flags: tuple[str, ...], complaint: str) -> None:
    done = run("listen", "--data-dir", str(tmp_path), *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


async def test_in_a_terminal(tmp_path: Path, endpoint: RecordingEndpoint) -> None:
    command = [*COMMAND, "listen", "--data-dir", str(tmp_path), "--port", "0", "--forward-to", endpoint.url]
    endpoint.answer_next(status(503))
    async with terminal(*command, "--token-env", "TOKEN", TOKEN=TOKEN) as screen:
        begin = await screen.until("/bin/listen")
        url = "http" + begin.rpartition("http")[2] + "/bin/listen"
        await screen.until("Nothing has come yet")
        await trigger(url, "delivered", "--count", "1")
        await screen.until("3 captures")
        await endpoint.wait_for(3)
        screen.press("r")
        await screen.until("capture 3 is sent again")
        await endpoint.wait_for(4)
        screen.press("fstatus=sent\r")
        await screen.until("1 with status=sent")
        screen.press("p")
        await screen.until("paused")
        screen.press("p\x1b[A\r")
        await screen.until("signed: ")
        await screen.until("MessageUUID")
        screen.press("\x1b[6~")
        await screen.until("X-Plivo-Signature-V3")
        screen.press("\x03")
        assert await screen.end() == 0
    assert "3 captured; 3 verified, 0 not; 4 sent on: 3 answered 2xx, 1 otherwise, 0 not at all" in screen.written
    assert TOKEN not in screen.written
    # The alternate screen is left, and the cursor is there again.
    assert screen.written.rfind("\x1b[?1049l") > screen.written.rfind("\x1b[?1049h") >= 0
    assert screen.written.rfind("\x1b[?25h") > screen.written.rfind("\x1b[?25l") >= 0


async def test_q_ends_it_too(tmp_path: Path) -> None:
    command = [*COMMAND, "listen", "--data-dir", str(tmp_path), "--port", "0"]
    async with terminal(*command, columns=60, lines=8) as screen:
        await screen.until("Nothing has come yet")
        screen.press("q")
        assert await screen.end() == 0
    assert "ringback bin show listen" in screen.written
