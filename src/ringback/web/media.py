"""Media by their signed URLs: what a browser, a phone or a carrier fetches without credentials.

Files came from strangers. Each is served as the type that it was taken as and no other, may run nothing, and is shown
in place only when it is an image, a sound or a film.
"""

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ringback.dialect.media import MediaUrls, is_shown_in_place, place_of
from ringback.model.errors import NotFound
from ringback.model.ids import as_uuid
from ringback.runtime import Clock
from ringback.store import media
from ringback.store.media import Media
from ringback.store.media_files import MediaFiles
from ringback.store.port import Store, Transaction
from ringback.web.errors import guarded

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=3600",
}


class MediaServer:
    """Answers with files."""

    def __init__(self, *, store: Store, clock: Clock, files: MediaFiles, urls: MediaUrls) -> None:
        self._store = store
        self._clock = clock
        self._files = files
        self._urls = urls

    def routes(self) -> list[Route]:
        """Return the routes; Starlette adds HEAD."""
        account = "/media/Account/{account_id}"
        return [
            Route(account + "/Media/{media_id}", guarded(self.serve), methods=["GET"]),
            Route(account + "/Message/{message_uuid}/Media/{media_id}", guarded(self.serve), methods=["GET"]),
        ]

    async def serve(self, request: Request) -> Response:
        """Answer with a file whose URL is signed; anything else is not there."""
        account_id, media_id = request.path_params["account_id"], request.path_params["media_id"]
        message_uuid: str | None = request.path_params.get("message_uuid")
        now_us = self._clock.now_us()
        place = place_of(account_id, message_uuid, media_id)
        if as_uuid(media_id) != media_id or not self._urls.is_valid(place, request.query_params, now_us=now_us):
            raise NotFound("there is nothing here, or the link has ended: the API gives new ones")

        def look(tx: Transaction) -> Media | None:
            found = media.of_message(tx, message_uuid) if message_uuid else media.by_id(tx, [media_id]).values()
            return next((each for each in found if each.id == media_id), None)

        found = await self._store.read(look)
        size_bytes = await self._files.size(media_id)
        if found is None or found.account_id != account_id or not media.is_alive(found, now_us) or size_bytes is None:
            raise NotFound("not found")
        # A file never changes under its id.
        headers = {**_HEADERS, "ETag": f'"{media_id}"', "Content-Disposition": _disposition(found)}
        if _has(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        headers["Content-Type"] = found.content_type
        return FileResponse(self._files.path(media_id), headers=headers)


def _has(if_none_match: str, etag: str) -> bool:
    return any(tag.strip().removeprefix("W/") in {etag, "*"} for tag in if_none_match.split(","))


def _disposition(each: Media) -> str:
    how = "inline" if is_shown_in_place(each.content_type) else "attachment"
    return f"{how}; filename*=UTF-8''{quote(each.file_name or each.id, safe='')}"
