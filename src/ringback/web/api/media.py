"""The Media resource: upload, list, get one (contract section 6.8)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.dialect import media as dialect
from ringback.dialect.media import MAX_FILE_BYTES, MAX_FILES, Complaint, MediaUrls
from ringback.model.errors import InvalidRequest, NotFound, OutOfSpace, StoreUnavailable, TooLarge
from ringback.model.ids import NewId, as_uuid
from ringback.runtime import Clock
from ringback.settings import RetentionSettings
from ringback.store import media
from ringback.store.accounts import Account
from ringback.store.media import Media, MediaRoom
from ringback.store.media_files import Draft, MediaFiles
from ringback.store.port import Store
from ringback.web.api import fields
from ringback.web.api.auth import Authenticator
from ringback.web.errors import guarded, json_response
from ringback.web.multipart import Begin, Data, Event, parts

MAX_UPLOAD_BYTES: Final = (MAX_FILES + 1) * MAX_FILE_BYTES
"""One file too large may still be answered for by itself; a request over this is refused as a whole."""
DEADLINE_S: Final = 120.0
"""Room is kept for an upload until then, however slowly it comes."""
MAX_LIMIT: Final = 20
HEAD_BYTES: Final = 12
HOUR_US: Final = 3_600_000_000

_TOO_LARGE: Final = Complaint(413, f"the file is larger than {MAX_FILE_BYTES} bytes")
_TOO_MANY: Final = Complaint(400, f"one request takes at most {MAX_FILES} files")
_EMPTY: Final = Complaint(400, "the file is empty")


class MediaApi:
    """Endpoints under ``/v1/Account/{auth_id}/Media/``."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        new_id: NewId,
        authenticator: Authenticator,
        files: MediaFiles,
        room: MediaRoom,
        urls: MediaUrls,
        retention: RetentionSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._authenticator = authenticator
        self._files = files
        self._room = room
        self._urls = urls
        self._retention = retention

    def routes(self) -> list[Route]:
        """Return the routes, in canonical form."""
        collection = "/v1/account/{auth_id}/media/"
        return [
            Route(collection, guarded(self.upload), methods=["POST"]),
            Route(collection, guarded(self.list), methods=["GET"]),
            Route(collection + "{media_id}/", guarded(self.get), methods=["GET"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Take files in; each has a status of its own. 201 when one or more are on disk."""
        account = await self._authenticator.account(request)
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > MAX_UPLOAD_BYTES:
            raise TooLarge(f"request body is over the limit of {MAX_UPLOAD_BYTES} bytes")
        async with self._room.promised(int(declared) if declared.isdigit() else MAX_UPLOAD_BYTES):
            taking = _Taking(self._files)
            try:
                async with asyncio.timeout(DEADLINE_S), aclosing(parts(request, MAX_UPLOAD_BYTES)) as events:
                    await taking.take_all(events)
                return await self._keep(account, taking.files)
            except TimeoutError as error:
                raise InvalidRequest(f"the files did not arrive within {DEADLINE_S:g} s, nothing was stored") from error
            finally:
                await taking.discard()

    async def _keep(self, account: Account, taken: "list[_File]") -> Response:
        if not taken:
            raise InvalidRequest("file parameter is missing")
        now_us = self._clock.now_us()
        new: list[Media] = []
        objects = []
        for file in taken:
            judged = file.judged()
            if isinstance(judged, Complaint):
                objects.append(dialect.refused(file.name, file.content_type[:127], file.size_bytes, judged))
                continue
            each = Media(
                # Their order is that of the request.
                id=self._new_id(now_us + len(new)),
                account_id=account.auth_id,
                source="upload",
                content_type=judged,
                file_name=file.name,
                size_bytes=file.size_bytes,
                created_at_us=now_us,
                expires_at_us=now_us + self._retention.upload_hours * HOUR_US,
            )
            # On disk before its row: what a crash leaves in between is swept.
            await file.keep(each.id)
            new.append(each)
            objects.append(dialect.uploaded(self._record(each, now_us)))
        answer: dict[str, Any] = {"api_id": str(uuid4()), "objects": objects}
        if not new:
            first = objects[0]
            return json_response({**answer, "error": first["error_message"]}, first["status_code"])
        await self._store.write(lambda tx: media.add(tx, new))
        return json_response(answer, 201)

    async def list(self, request: Request) -> Response:
        """Return a page of uploads, newest first."""
        account = await self._authenticator.account(request)
        given = {name: value for name, value in request.query_params.items() if value}
        limit = fields.whole(given, "limit", 1, MAX_LIMIT) or MAX_LIMIT
        offset = fields.whole(given, "offset", 0, 10_000_000) or 0
        now_us = self._clock.now_us()
        total, page = await self._store.read(
            lambda tx: media.uploads(tx, account.auth_id, now_us=now_us, limit=limit, offset=offset)
        )
        return json_response(
            {
                "api_id": str(uuid4()),
                "meta": _meta(f"/v1/Account/{account.auth_id}/Media/", limit, offset, total),
                "objects": [self._record(each, now_us) for each in page],
            }
        )

    async def get(self, request: Request) -> Response:
        """Return one upload."""
        account = await self._authenticator.account(request)
        media_id = as_uuid(request.path_params["media_id"])
        found = await self._store.read(lambda tx: media.upload(tx, account.auth_id, media_id)) if media_id else None
        now_us = self._clock.now_us()
        if found is None or not media.is_alive(found, now_us):
            raise NotFound("not found")
        return json_response({"api_id": str(uuid4()), **self._record(found, now_us)})

    def _record(self, each: Media, now_us: int) -> dict[str, Any]:
        return dialect.record(
            media_id=each.id,
            content_type=each.content_type,
            name=each.file_name,
            size=each.size_bytes,
            at_us=each.created_at_us,
            url=self._urls.url(each.account_id, None, each.id, now_us=now_us),
        )


def _meta(path: str, limit: int, offset: int, total: int) -> dict[str, Any]:
    def link(at: int) -> str:
        return f"{path}?{urlencode({'limit': limit, 'offset': at})}"

    return {
        "limit": limit,
        "offset": offset,
        "next": link(offset + limit) if offset + limit < total else None,
        "previous": link(max(offset - limit, 0)) if offset else None,
        "total_count": total,
    }


class _File:
    """A file of an upload: what it says it is, and what has come of it so far."""

    def __init__(self, begin: Begin, complaint: Complaint | None) -> None:
        self.name = dialect.file_name(begin.file_name)
        self.content_type = begin.content_type
        self.draft: Draft | None = None
        self.size_bytes = 0
        self._head = b""
        self._complaint = complaint

    async def write(self, data: bytes, files: MediaFiles) -> None:
        """Take some more of it, unless it is not taken anyway."""
        self.size_bytes += len(data)
        self._head += data[: HEAD_BYTES - len(self._head)]
        if self._complaint is None and self.size_bytes > MAX_FILE_BYTES:
            await self.refuse(_TOO_LARGE)
        if self._complaint is not None:
            return
        try:
            self.draft = self.draft or files.begin()
            await self.draft.write(data)
        except OutOfSpace as error:
            await self.refuse(Complaint(507, str(error)))

    async def keep(self, media_id: str) -> None:
        """Put it on disk under its id."""
        if self.draft is None:
            raise RuntimeError("a file that was taken has content")
        await self.draft.keep(media_id)

    async def refuse(self, complaint: Complaint) -> None:
        """Keep nothing of it."""
        self._complaint = complaint
        if self.draft is not None:
            await self.draft.discard()

    def judged(self) -> str | Complaint:
        """Return its type, or why it is not taken."""
        if self._complaint is None and self.size_bytes == 0:
            return _EMPTY
        return self._complaint or dialect.judge_type(self.content_type, self._head)


class _Taking:
    """Writes the files of one upload while they arrive."""

    def __init__(self, files: MediaFiles) -> None:
        self._files = files
        self.files: list[_File] = []

    async def take_all(self, events: AsyncIterator[Event]) -> None:
        """Take what comes in fields named ``file``; others are ignored."""
        current: _File | None = None
        async for event in events:
            match event:
                case Begin(field="file"):
                    current = _File(event, _TOO_MANY if len(self.files) >= MAX_FILES else None)
                    self.files.append(current)
                case Begin():
                    current = None
                case Data(data) if current is not None:
                    await current.write(data, self._files)

    async def discard(self) -> None:
        """Remove what was not kept."""
        for file in self.files:
            if file.draft is not None:
                try:
                    await file.draft.discard()
                except StoreUnavailable:
                    # The sweep will.
                    continue
