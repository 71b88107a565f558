"""A dashboard on a free port, over a database of its own, in the test's event loop."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import uvicorn
from starlette.applications import Starlette

from ringback.dialect.media import MediaUrls
from ringback.messaging.progress import Progress
from ringback.model.ids import NewId
from ringback.model.message import Message
from ringback.receiver.explained import Explainer
from ringback.receiver.proxies import Proxies
from ringback.settings import DashboardSettings
from ringback.store.logins import Link
from ringback.store.port import Store, Transaction
from ringback.store.sqlite import open_store
from ringback.store.wakeups import Wakeups
from ringback.web.dashboard import csrf
from ringback.web.dashboard.context import DashboardContext
from ringback.web.dashboard.routes import dashboard_routes
from ringback.web.dashboard.sessions import COOKIE, make_login_link
from tests.data.dashboard.seeding import MAIN
from tests.fakes.clock import FakeClock
from tests.fakes.ids import counting_ids
from tests.fakes.messages import message, message_uuid

T = TypeVar("T")

ORIGIN = "https://one.example"


@dataclass(frozen=True)
class Dashboard:
    """What a test holds of a running dashboard."""

    base_url: str
    context: DashboardContext
    clock: FakeClock
    new_id: NewId
    store: Store
    server: uvicorn.Server
    serving: asyncio.Task[None]
    sent: list[str] = field(default_factory=list)
    """Uuids of the messages that the test has stored."""

    async def commit(self, work: Callable[[Transaction], T]) -> T:
        """Write something, and say that there are new events."""
        result = await self.store.write(work)
        self.context.wakeups.signal("events")
        return result

    async def owe(self, *, origin: str = ORIGIN, count: int = 1, **fields: object) -> list[Message]:
        """Accept messages whose first callbacks go to an endpoint."""
        now_us = self.clock.now_us()
        first = len(self.sent)
        new = [
            message(
                **{
                    "uuid": message_uuid(number),
                    "account_id": MAIN,
                    "queued_at_us": now_us,
                    "updated_at_us": now_us,
                    "callback_url": f"{origin}/status",
                    **fields,
                }
            )
            for number in range(first, first + count)
        ]
        self.sent.extend(item.uuid for item in new)

        def work(tx: Transaction) -> None:
            progress = Progress(self.new_id)
            for item in new:
                progress.accept(item)
            progress.write(tx)

        await self.commit(work)
        return new

    async def login_link(self) -> str:
        """Make a login link."""
        return await make_login_link(self.store, self.clock, self.context.settings, self.base_url)

    @contextlib.asynccontextmanager
    async def stranger(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a client that has no session."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.base_url, cookie_jar=jar) as client:
            yield client

    @contextlib.asynccontextmanager
    async def somebody(self, link: Link) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a client that has logged in as whom a link lets in."""
        made = await make_login_link(self.store, self.clock, self.context.settings, self.base_url, link)
        async with self.stranger() as client:
            await log_in(client, made)
            yield client

    @contextlib.asynccontextmanager
    async def operator(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a client that has logged in."""
        async with self.stranger() as client:
            await log_in(client, await self.login_link())
            yield client


@contextlib.asynccontextmanager
async def serve(
    directory: Path,
    *,
    clock: FakeClock | None = None,
    secure_cookies: bool = False,
    settings: DashboardSettings | None = None,
    **pacing: Any,
) -> AsyncIterator[Dashboard]:
    """Run a dashboard for as long as the context lasts."""
    clock = clock or FakeClock()
    new_id = counting_ids()
    store = open_store(directory, busy_timeout_s=4)
    context = DashboardContext(
        media_urls=MediaUrls(bytes(32), base_url="", lifetime_s=3600),
        store=store,
        clock=clock,
        wakeups=Wakeups(),
        settings=settings or DashboardSettings(frame_after_ms=60_000),
        new_id=new_id,
        secure_cookies=secure_cookies,
        explainer=Explainer(store=store, clock=clock, sources={}, public_base_url="", proxies=Proxies(())),
        stopping=asyncio.Event(),
        **pacing,
    )
    # Only for sockets that say TCP does asyncio send small answers without delay.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        app = Starlette(routes=dashboard_routes(context))
        config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none", proxy_headers=False)
        server = uvicorn.Server(config)
        listening.listen()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            yield Dashboard(base_url, context, clock, new_id, store, server, serving)
        finally:
            context.stopping.set()
            server.should_exit = True
            await serving
            await store.close()


async def log_in(client: aiohttp.ClientSession, link: str) -> None:
    """Use a login link up; what the client posts from then on carries the token of its session, as forms do."""
    key = urlsplit(link).query.removeprefix("key=")
    async with client.post("/dashboard/login", data={"key": key}, allow_redirects=False) as answer:
        assert answer.status == 303
        client.headers[csrf.HEADER] = csrf.token_of(answer.cookies[COOKIE].value)


async def page(client: aiohttp.ClientSession, path: str, *, status: int = 200) -> str:
    """Get a page."""
    async with client.get(path) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return text


def plain(html: str) -> str:
    """Return the words of a page without its markup, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
