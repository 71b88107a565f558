"""Style sheets, scripts and icon: read once, served under a name that changes with their content.

What others made stands in ``static/vendor``, as they publish it, with its licence; ``vendor.toml`` there names it.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_DIRECTORY: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}

FOREVER: Final = "public, max-age=31536000, immutable"


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served."""

    content: bytes
    media_type: str
    version: str
    """Digits of its SHA-256."""


class Assets:
    """The files beside the pages."""

    def __init__(self) -> None:
        self._known: dict[str, Asset] = {}
        for path in sorted(_DIRECTORY.rglob("*")):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                name = path.relative_to(_DIRECTORY).as_posix()
                self._known[name] = Asset(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])

    def url(self, name: str) -> str:
        """Return the address of a file in its present version. Raises ``KeyError``."""
        return f"/dashboard/static/{name}?v={self._known[name].version}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file; one asked for by its present version may be kept for ever."""
        asset = self._known.get(request.path_params["name"])
        if asset is None:
            return Response("no such file\n", 404, media_type="text/plain")
        present = request.query_params.get("v") == asset.version
        return Response(
            asset.content,
            media_type=asset.media_type,
            headers={"Cache-Control": FOREVER if present else "no-cache"},
        )
