"""Kannel as a customer of the SMPP server: its bearerbox binds, its smsbox sends and takes."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from ringback.store import inbound, smpp_owed
from ringback.wiring.chance import new_id
from tests.fakes.endpoint import recording_endpoint
from tests.fakes.esme import PASSWORD
from tests.fakes.numbers import OURS, own_number
from tests.fakes.platform import Running
from tests.fakes.ports import free_port
from tests.integration.test_smpp_server import DELIVERED, PHONE, UNDELIVERED, serving

pytestmark = pytest.mark.skipif(shutil.which("bearerbox") is None, reason="needs the Debian package kannel")

FROM_PHONE = "Grüße vom Telefon, in Teilen. " * 8
LONG = "A long message that Kannel sends in parts. " * 8
CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = secret
smsbox-port = {box}
box-allow-ip = 127.0.0.1
log-file = {directory}/bearerbox.log

group = smsc
smsc = smpp
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = acme
smsc-password = {password}
system-type = ""

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {http}
log-file = {directory}/smsbox.log

group = sendsms-user
username = user
password = secret
concatenation = true
max-messages = 10

group = sms-service
keyword = default
get-url = "{url}?from=%p&to=%P&text=%b&charset=UTF-8"
max-messages = 0
"""


class Kannel:
    """A gateway that is bound."""

    def __init__(self, http_port: int, url: str) -> None:
        self._http_port = http_port
        self._url = url

    async def send(self, dst: str, text: str) -> None:
        """Send a message, and ask to be told of its end."""
        query = {
            "username": "user", "password": "secret", "from": "15005550100", "to": dst, "text": text,
            "dlr-mask": "3", "dlr-url": f"{self._url}?state=%d&id=%F&to={dst}",
        }  # fmt: skip
        url = f"http://127.0.0.1:{self._http_port}/cgi-bin/sendsms?{urlencode(query)}"
        async with aiohttp.ClientSession() as http:
            async with asyncio.timeout(60):
                # Until the box listens.
                while True:
                    with contextlib.suppress(aiohttp.ClientConnectionError):
                        async with http.get(url) as answer:
                            assert answer.status == 202, await answer.text()
                            return
                    await asyncio.sleep(0.2)


@asynccontextmanager
async def kannel(directory: Path, port: int, url: str) -> AsyncIterator[Kannel]:
    """Run Kannel's two programs, with what they take from phones and are told going to ``url``."""
    ports = {"admin": free_port(), "box": free_port(), "http": free_port()}
    file = directory / "kannel.conf"
    file.write_text(CONFIGURATION.format(directory=directory, port=port, password=PASSWORD, url=url, **ports))
    running = []
    try:
        for program in ("bearerbox", "smsbox"):
            running.append(
                await asyncio.create_subprocess_exec(
                    program, str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
                )
            )
            await _listens(ports["box"])
        yield Kannel(ports["http"], url)
    finally:
        for process in reversed(running):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


async def bring(ringback: Running, text: str) -> None:
    """Have a phone write to the account's number."""
    now_us = ringback.platform.clock.now_us()
    asked = inbound.Request(
        id=new_id(now_us), src=PHONE, dst=OURS, text=text, type="sms", media_urls=(), requested_at_us=now_us
    )
    await ringback.platform.store.write(lambda tx: inbound.request(tx, asked))
    ringback.platform.wakeups.signal("inbound_requests")


async def test_kannel_sends_is_told_and_takes(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "data") as (ringback, port),
        recording_endpoint() as endpoint,
        kannel(tmp_path, port, endpoint.url) as gateway,
    ):
        store = ringback.platform.store
        await own_number(store, ringback.account.auth_id)
        await store.write(lambda tx: tx.exec_driver_sql("UPDATE smpp_logins SET takes_inbound = true"))
        await gateway.send(DELIVERED, "hello")
        await gateway.send(UNDELIVERED, "hello")
        await gateway.send("15005550002", LONG)
        await bring(ringback, FROM_PHONE)
        requests = await endpoint.wait_for(4)
        await ringback.until(lambda tx: not smpp_owed.waiting(tx))
        said = [
            {name: values[0] for name, values in parse_qs(urlsplit(each.target).query).items()} for each in requests
        ]
        ends = {each["to"]: each["state"] for each in said if "state" in each}
        assert {dst: ends[dst] for dst in (DELIVERED, UNDELIVERED)} == {DELIVERED: "1", UNDELIVERED: "2"}
        (long,) = [each for each in said if each["to"] == "15005550002"]
        whole = await ringback.until_status(long["id"][:36], "delivered")
        assert (whole.text, whole.units) == (LONG, 3)
        (brought,) = [each for each in said if "text" in each]
        assert (brought["from"], brought["text"]) == (f"+{PHONE}", FROM_PHONE)
