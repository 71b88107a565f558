"""Kannel, which nobody here wrote, as a customer: its bearerbox bound to an SMSC, its smsbox with a URL to send by.

``kannel(...)`` runs both for any SMSC that ``Upstream`` names. A blank line ends a group of their configuration.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import aiohttp
import msgspec
from aiohttp import web

from tests.fakes.ports import free_port

SBIN: Final = Path("/usr/sbin")
EXTRAS: Final = Path("/usr/lib/kannel/test")
ALL_REPORTS: Final = "31"
LOOK_AGAIN_S: Final = 0.05


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Whom Kannel binds to."""

    host: str = "127.0.0.1"
    port: int
    system_id: str = "kannel"
    password: str = "pw"
    pair: bool = False
    """A transmitter and a receiver instead of a transceiver."""
    more: str = ""
    """Further lines of the group."""


class Heard(msgspec.Struct, frozen=True):
    """A message from a phone as Kannel's smsbox hands it on."""

    source: str
    dest: str
    text: str


_CONFIGURATION: Final = """group = core
admin-port = {admin}
admin-password = x
smsbox-port = {box}
log-file = "{place}/bearerbox.log"
log-level = 0
box-allow-ip = "127.0.0.1"
store-type = spool
store-location = "{place}/store"
dlr-storage = internal
sms-incoming-queue-limit = -1
sms-resend-freq = 1

{binds}
group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}
log-file = "{place}/smsbox.log"
log-level = 0

group = sendsms-user
username = u
password = p
concatenation = true
max-messages = 10

group = sms-service
keyword = default
catch-all = true
max-messages = 0
omit-empty = true
get-url = "{sink}/mo?from=%p&to=%P&coding=%c&raw=%b"
"""
_BIND: Final = """group = smsc
smsc = smpp
smsc-id = one
host = {host}
{mode}
smsc-username = "{system_id}"
smsc-password = "{password}"
system-type = ""
msg-id-type = 0x00
reconnect-delay = 1
enquire-link-interval = 2
{more}
"""


class Kannel:
    """Both boxes, ready."""

    def __init__(self, *, place: Path, admin: int, http: int, session: aiohttp.ClientSession) -> None:
        self.place = place
        self.heard: list[Heard] = []
        self.reports: dict[str, list[int]] = {}
        """By the name that a message was given here: types of its delivery reports, in their order."""
        self._admin = admin
        self._http = http
        self._session = session
        self._sink = ""
        self._news = asyncio.Event()

    async def send(self, name: str, *, text: str = "Hello", dst: str = "15005550001", **more: str) -> int:
        """Send by the smsbox's URL; gives the HTTP status, 202 when it was taken."""
        query = {
            "username": "u", "password": "p", "from": "15005550100", "to": dst, "text": text, "charset": "UTF-8",
            "dlr-mask": ALL_REPORTS, "dlr-url": f"{self._sink}/dlr?name={quote(name)}&type=%d", **more,
        }  # fmt: skip
        self.reports.setdefault(name, [])
        async with self._session.get(f"http://127.0.0.1:{self._http}/cgi-bin/sendsms", params=query) as response:
            return response.status

    async def status(self) -> str:
        """Say what the bearerbox says of itself."""
        async with self._session.get(f"http://127.0.0.1:{self._admin}/status.txt?password=x") as response:
            return await response.text()

    async def until_heard(self, done: Callable[[], bool], *, within_s: float = 60) -> None:
        """Wait until something holds of what has come."""
        async with asyncio.timeout(within_s):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def _is_bound(self, binds: int) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            return (await self.status()).count("(online ") == binds
        return False

    async def _takes(self, _: int) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            url = f"http://127.0.0.1:{self._http}/cgi-bin/sendsms"
            async with self._session.get(url) as response:
                return response.status == 403 and "smsbox:" in await self.status()
        return False

    async def _arrive(self, request: web.Request) -> web.Response:
        split = urlsplit(request.raw_path)
        if split.path == "/dlr":
            said = dict(parse_qsl(split.query))
            self.reports[said["name"]].append(int(said["type"]))
        else:
            raw = parse_qs(split.query, encoding="latin-1", keep_blank_values=True)
            text = raw.get("raw", [""])[0].encode("latin-1")
            coding = "utf-16-be" if raw["coding"][0] == "2" else "utf-8"
            self.heard.append(Heard(raw["from"][0], raw["to"][0], text.decode(coding)))
        self._news.set()
        return web.Response()


@asynccontextmanager
async def kannel(place: Path, upstream: Upstream) -> AsyncIterator[Kannel]:
    """Run Kannel, bound to ``upstream``."""
    need(SBIN / "bearerbox", "kannel")
    (place / "store").mkdir(parents=True)
    admin, box, http = free_port(), free_port(), free_port()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        one = Kannel(place=place, admin=admin, http=http, session=session)
        runner = web.ServerRunner(web.Server(one._arrive))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one._sink = f"http://127.0.0.1:{runner.addresses[0][1]}"
        file = place / "kannel.conf"
        modes = ["port = {port}\ntransceiver-mode = true"]
        if upstream.pair:
            modes = ["port = {port}", "receive-port = {port}"]
        known = msgspec.structs.asdict(upstream)
        binds = "\n".join(_BIND.format(mode=mode.format(**known), **known) for mode in modes)
        file.write_text(
            _CONFIGURATION.format(admin=admin, box=box, http=http, place=place, binds=binds, sink=one._sink)
        )
        for name, is_up in (("bearerbox", one._is_bound), ("smsbox", one._takes)):
            program = running(SBIN / name, "-v", "3", str(file), log=place / f"{name}.out")
            process = await stack.enter_async_context(program)
            async with asyncio.timeout(60):
                while not await is_up(len(modes)):
                    assert process.returncode is None, (place / f"{name}.out").read_text()
                    await asyncio.sleep(LOOK_AGAIN_S)
        yield one


@asynccontextmanager
async def running(program: Path, *arguments: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program for as long as the block lasts; it ends with the tests, however those end."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig", "KILL", str(program), *arguments, stdout=out, stderr=out, cwd=log.parent
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()


def need(program: Path, package: str) -> None:
    """Say which package is missing."""
    if not program.exists() and shutil.which(program.name) is None:
        raise RuntimeError(f"{program.name} is missing, install {package}: make system-packages")
