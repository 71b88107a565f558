"""Paths as Plivo's clients write them (contract section 1.2): any case, doubled slashes, no slash at the end."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_WORDS_FOR_ID: Final = (("callback", "replay"), ("verifiedcallerid", "verification"), ("alert", "test"))
"""Resources, and the word that stands where their ids do."""


def canonical(path: str) -> str:
    """Return the path that routes are written for.

    Static segments become lower-case, the account's id upper-case; slashes are single and one ends the path.
    Paths outside the API are returned as they are.
    """
    if not path.lower().lstrip("/").startswith("v1/"):
        return path
    segments = [segment for segment in path.split("/") if segment]
    if len(segments) > 1 and segments[1].lower() == "bins":
        # Bins have names in lower case, and their captures numbers.
        return "/" + "/".join(segments).lower() + "/"
    for at, segment in enumerate(segments):
        if segments[1] == "operator":
            # There is no account: every other one is a name.
            is_name = at == 3 and (segments[2], segment.lower()) not in _WORDS_FOR_ID
            segments[at] = segment if is_name else segment.lower()
        elif at == 2:
            segments[at] = segment.upper()
        elif at < 2 or at % 2 or (at == 4 and (segments[3], segment.lower()) in _WORDS_FOR_ID):
            segments[at] = segment.lower()
    return "/" + "/".join(segments) + "/"


class TolerantPaths:
    """Rewrites API paths to their canonical form before they are routed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route by the canonical path; ``raw_path`` keeps what was sent."""
        if scope["type"] == "http":
            path = canonical(scope["path"])
            if path != scope["path"]:
                scope = {**scope, "path": path}
        await self._app(scope, receive, send)
