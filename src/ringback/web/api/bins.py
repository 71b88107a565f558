"""Bins for tools, an addition: ``/v1/bins``, with the credentials of an account, which sees those it has made.

A bin with a password can be read by whoever has that: Basic credentials of the bin's name and the password.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback import __version__
from ringback.inspector import exports, script
from ringback.inspector.keep import FIELDS, HOUR_S, MEGABYTE, BinKeeper
from ringback.inspector.rates import Rates, Room
from ringback.model.errors import InvalidRequest, NotAuthenticated, NotFound, TooManyRequests, TryLater
from ringback.model.passwords import fits
from ringback.runtime import Clock
from ringback.store import bins, captures
from ringback.store.bins import Bin
from ringback.store.captures import Capture
from ringback.store.port import Store
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator, credentials
from ringback.web.api.resource import answer
from ringback.web.errors import guarded

MAX_LIMIT: Final = 200
MAX_EXPORT: Final = 1_000
WAIT_S: Final = 30
MAX_WAIT_S: Final = 300
MAX_TEXT: Final = 200
FORMATS: Final = {
    "curl": "text/plain",
    "har": "application/json",
    "ndjson": "application/x-ndjson",
    "pytest": "text/x-python",
}
NUMBER_DIGITS: Final = 15
GUESSES_PER_S: Final = 1.0
"""Wrong passwords a second for one bin; each takes a core for a while."""


class BinApi:
    """Bins under ``/v1/bins/``."""

    def __init__(
        self,
        *,
        keeper: BinKeeper,
        store: Store,
        clock: Clock,
        authenticator: Authenticator,
        max_body_bytes: int,
        max_waits: int,
        base_url: str,
        stopping: asyncio.Event,
    ) -> None:
        self._keeper = keeper
        self._store = store
        self._clock = clock
        self._authenticator = authenticator
        self._max_body_bytes = max_body_bytes
        self._waits = Room(max_waits)
        self._base_url = base_url
        self._stopping = stopping
        self._guesses = Rates(GUESSES_PER_S)
        self._known: dict[str, bytes] = {}

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        one = "/v1/bins/{bin}/"
        return [
            Route("/v1/bins/", guarded(self.list), methods=["GET"]),
            Route("/v1/bins/", guarded(self.create), methods=["POST"]),
            Route(one, guarded(self.get), methods=["GET"]),
            Route(one, guarded(self.change), methods=["POST"]),
            Route(one, guarded(self.delete), methods=["DELETE"]),
            Route(one + "captures/", guarded(self.captures), methods=["GET"]),
            Route(one + "captures/", guarded(self.clear), methods=["DELETE"]),
            Route(one + "captures/{capture}/", guarded(self.capture), methods=["GET"]),
            Route(one + "captures/{capture}/body/", guarded(self.body), methods=["GET"]),
            Route(one + "wait/", guarded(self.wait), methods=["GET"]),
            Route(one + "export/", guarded(self.export), methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return bins by name; ``next`` is what ``after`` must be for those that follow."""
        account = await self._authenticator.caller(request)
        given = request.query_params
        fields.refuse_unknown(given, ("limit", "after"))
        limit = fields.whole(given, "limit", 1, MAX_LIMIT) or 20
        after = _storable(given.get("after", ""))
        found = await self._store.read(partial(bins.page, account_id=account.auth_id, after=after, limit=limit))
        following = found[-1].name if len(found) == limit else None
        return answer({"objects": [self._record(request, item) for item in found], "next": following})

    async def create(self, request: Request) -> Response:
        """Make a bin."""
        account = await self._authenticator.caller(request)
        given = await fields.body_fields(request, self._max_body_bytes, ("name", *FIELDS))
        settings = {name: value for name, value in given.items() if name != "name"}
        made = await self._keeper.create(fields.text(given, "name") or "", settings, account_id=account.auth_id)
        return answer(self._record(request, made), 201)

    async def get(self, request: Request) -> Response:
        """Return one bin."""
        return answer(self._record(request, await self._readable(request)))

    async def change(self, request: Request) -> Response:
        """Change what is given; ``null`` takes script or password away."""
        found = await self._own(request)
        given = await fields.body_fields(request, self._max_body_bytes, FIELDS)
        return answer(self._record(request, await self._keeper.change(found.name, given)))

    async def delete(self, request: Request) -> Response:
        """Remove a bin with all that it holds."""
        found = await self._own(request)
        await self._keeper.delete(found.name)
        return Response(status_code=204)

    async def clear(self, request: Request) -> Response:
        """Remove what a bin holds."""
        found = await self._own(request)
        return answer({"removed": await self._keeper.clear(found.name)})

    async def captures(self, request: Request) -> Response:
        """Return captures: after the cursor oldest first, or the newest first that have a text in them."""
        found = await self._readable(request)
        given = request.query_params
        fields.refuse_unknown(given, ("after", "before", "limit", "search"))
        limit = fields.whole(given, "limit", 1, MAX_LIMIT) or 20
        text = _storable(given.get("search", ""))
        after = _cursor(given, "after")
        if text or "before" in given:
            if "after" in given:
                raise InvalidRequest("after goes by age, search and before from the newest: give one of them")
            before = _cursor(given, "before") if "before" in given else None
            heads = await self._store.read(
                partial(captures.newest, bin_id=found.id, before=before, text=text[:MAX_TEXT], limit=limit)
            )
        else:
            heads = await self._store.read(partial(captures.after, bin_id=found.id, number=after, limit=limit))
        following = heads[-1].number if len(heads) == limit else None
        return answer({"objects": [exports.record(head) for head in heads], "next": following})

    async def capture(self, request: Request) -> Response:
        """Return one capture with its body."""
        item = await self._captured(request)
        return answer(exports.record(item, item.body))

    async def body(self, request: Request) -> Response:
        """Return a capture's body as it came."""
        item = await self._captured(request)
        return raw_body(item)

    async def wait(self, request: Request) -> Response:
        """Return as soon as so many captures have come, or when the time is over."""
        found = await self._readable(request)
        given = request.query_params
        fields.refuse_unknown(given, ("count", "timeout_s", "after"))
        count = fields.whole(given, "count", 1, MAX_LIMIT) or 1
        timeout_s = fields.whole(given, "timeout_s", 0, MAX_WAIT_S)
        if not self._waits.take(1):
            raise TryLater("too many requests wait for captures, send again in a moment")
        watcher = asyncio.create_task(_disconnected(request))
        try:
            heads = await self._keeper.wait(
                found,
                after=_cursor(given, "after"),
                count=count,
                timeout_s=WAIT_S if timeout_s is None else timeout_s,
                ended=lambda: self._stopping.is_set() or watcher.done(),
            )
        finally:
            watcher.cancel()
            self._waits.give_back(1)
        return answer({"met": len(heads) >= count, "objects": [exports.record(head) for head in heads]})

    async def export(self, request: Request) -> Response:
        """Return captures in the format of another tool."""
        found = await self._readable(request)
        given = request.query_params
        fields.refuse_unknown(given, ("format", "after", "limit", "number"))
        kind = fields.choice(given, "format", tuple(FORMATS)) or "ndjson"
        limit = fields.whole(given, "limit", 1, MAX_EXPORT) or MAX_EXPORT
        number = fields.whole(given, "number", 1, 10**NUMBER_DIGITS)
        after, limit = (_cursor(given, "after"), limit) if number is None else (number - 1, 1)
        items = await self._store.read(partial(captures.whole_after, bin_id=found.id, number=after, limit=limit))
        if number is not None:
            items = [item for item in items if item.number == number]
        return Response(write(items, kind, found.name, self._url(request)), media_type=FORMATS[kind])

    async def _own(self, request: Request) -> Bin:
        """Return the bin of the path. Raises ``NotFound``, also for one of somebody else."""
        account = await self._authenticator.caller(request)
        name = request.path_params["bin"]
        found = await self._store.read(partial(bins.find, name=_storable(name)))
        if found is None or found.account_id != account.auth_id:
            raise NotFound(f"there is no bin {name[:64]}")
        return found

    async def _readable(self, request: Request) -> Bin:
        user, password = credentials(request)
        name = request.path_params["bin"]
        if user.lower() != name:
            return await self._own(request)
        found: Bin | None = await self._store.read(partial(bins.find, name=_storable(name)))
        if found is None or found.password_hash is None or not await self._fits(password, found):
            raise NotAuthenticated("authentication failed: bin or password is wrong")
        return found

    async def _fits(self, password: str, found: Bin) -> bool:
        kept = found.password_hash or ""
        digest = hashlib.sha256(f"{kept}:{password}".encode()).digest()
        if self._known.get(found.id) == digest:
            return True
        wait_us = self._guesses.wait_us(found.id, self._clock.now_us())
        if wait_us:
            raise TooManyRequests("too many passwords tried; try again after Retry-After", retry_after_s=1)
        if not await asyncio.to_thread(fits, password, kept):
            return False
        if len(self._known) > MAX_EXPORT:
            self._known.clear()
        self._known[found.id] = digest
        return True

    async def _captured(self, request: Request) -> Capture:
        found = await self._readable(request)
        text = request.path_params["capture"]
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS else 0
        item: Capture | None = await self._store.read(partial(captures.one, bin_id=found.id, number=number))
        if item is None:
            raise NotFound(f"bin {found.name} holds no capture {text[:NUMBER_DIGITS]}")
        return item

    def _url(self, request: Request) -> str:
        return self._base_url or str(request.base_url).rstrip("/")

    def _record(self, request: Request, item: Bin) -> dict[str, Any]:
        return bin_record(item, self._url(request))


def write(items: "list[Capture]", kind: str, name: str, base_url: str) -> str:
    """Write captures in one of ``FORMATS``."""
    if kind == "curl":
        return "".join(exports.curl(item, base_url) for item in items)
    if kind == "har":
        return exports.har(items, base_url, __version__)
    return exports.pytest_module(items, name) if kind == "pytest" else exports.ndjson(items)


def bin_record(item: Bin, base_url: str) -> dict[str, Any]:
    """Return a bin as the API writes it."""
    return {
        "name": item.name,
        "url": f"{base_url}/bin/{item.name}",
        "created_time": exports.utc(item.created_at_us),
        "captures": item.max_captures,
        "megabytes": item.max_bytes // MEGABYTE,
        "retention_hours": item.retention_s // HOUR_S,
        "has_password": item.password_hash is not None,
        "script": None if item.script is None else msgspec.to_builtins(script.decode(item.script)),
        "held": item.captures,
        "held_bytes": item.bytes,
        "last_number": item.last_number,
    }


def raw_body(item: Capture) -> Response:
    """Answer a capture's body, as what no browser takes for a page of this host."""
    return Response(
        item.body,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="capture-{item.number}.bin"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _cursor(given: Mapping[str, Any], name: str) -> int:
    return fields.whole(given, name, 0, 10**NUMBER_DIGITS) or 0


def _storable(text: str) -> str:
    # No database takes either, and nothing has it in it.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
